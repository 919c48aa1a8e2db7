"""TOML files that may be anything: bounded, and refused with a sentence."""

import tomllib
from pathlib import Path
from typing import Any

from tsp.errors import InputError
from tsp.files import read_bounded

MOST_DOTS = 64
"""Of a line: the time that tomllib takes grows with the square of the parts of a dotted key."""


def read_toml(path: Path, limit: int, kind: str) -> dict[str, Any]:
    """The tables of a file of at most ``limit`` bytes. InputError for anything else; ``kind`` is what it should be."""
    try:
        text = read_bounded(path, limit).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: byte {error.start} is not UTF-8 text; is this {kind}?") from None
    for number, line in enumerate(text.split("\n"), 1):
        if line.count(".") > MOST_DOTS:
            raise InputError(f"{path}: line {number} has more than {MOST_DOTS} dots, the most that is read; shorten it")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise InputError(f"{path}: is not TOML of {kind}: its brackets are too deep") from None
    except ValueError as error:  # also for whole numbers that are too long for Python
        raise InputError(f"{path}: is not TOML: {' '.join(str(error).partition(';')[0].split())}") from None


def shortened(text: str) -> str:
    """A text as messages show it, in one line."""
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text[:61])
    return shown if len(shown) <= 60 else f"{shown[:57]}…"
