"""Errors a user can cause, and the exit codes of every command."""

import difflib
from collections.abc import Iterable

EXIT_RIGHT = 0
EXIT_DIFFERS = 1
EXIT_BAD_INPUT = 2
EXIT_MACHINE_FAULT = 3


class InputError(Exception):
    """A bad input. The message is one sentence: the thing, the place, the rule and the nearest thing that works."""

    exit_code = EXIT_BAD_INPUT


_MOST_NAMES = 12


def counted(number: int, what: str) -> str:
    """``1 vector`` or ``2 vectors``."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def nearest(word: str, known: Iterable[str], most: int = _MOST_NAMES) -> str:
    """``"; did you mean 'x'?"`` for the known word closest to ``word``; when none is close the first ``most`` known."""
    names = list(known)
    if not names:
        return ""
    if found := close(word, names):
        return f"; did you mean '{found}'?"
    more = f" … ({len(names)} in all)" if len(names) > most else ""
    return f"; known: {', '.join(names[:most])}{more}"


def close(word: str, known: Iterable[str]) -> str:
    """The known word that ``word`` may be a slip of, or an empty string."""
    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)), "")
