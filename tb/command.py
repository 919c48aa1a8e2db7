"""What the ``python -m tb…`` commands share: where reports go, and how a command ends that cannot do its work."""

import contextlib
import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from tb import tools
from tsp.errors import EXIT_BAD_INPUT, InputError
from tsp.files import reason, write_atomic

AT_LEAST_ONE = click.IntRange(min=1)
"""The type of a count that must not be nought: a regression of no programs would pass."""


@contextlib.contextmanager
def one_sentence() -> Iterator[None]:
    """Around the body of a command: bad input, or a file that cannot be had, ends it with a sentence and code 2."""
    try:
        yield
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        print(f"error: {error.format_message()}", file=sys.stderr)
        sys.exit(EXIT_BAD_INPUT)
    except BrokenPipeError:
        raise  # click ends quietly when whoever read the output has enough
    except OSError as error:
        print(f"error: {_unavailable(error)}", file=sys.stderr)
        sys.exit(EXIT_BAD_INPUT)


class Command(click.Command):
    """A command that says of wrong options just what is wrong; click's own prints its usage before."""

    def make_context(self, *arguments: Any, **named: Any) -> click.Context:
        with one_sentence():
            return super().make_context(*arguments, **named)


def _unavailable(error: OSError) -> str:
    sentence = f"{error.filename or 'a file'}: {reason(error)}"
    root, place = tools.build_root(), Path(str(error.filename))
    if place.is_relative_to(root) or root.is_relative_to(place):
        sentence += f"; builds and reports go to {root}, and TSP_BUILD=FOLDER sends them elsewhere"
    return sentence


def require_checkout(package: str) -> None:
    """InputError where a package that no wheel holds cannot be imported."""
    try:
        found = importlib.util.find_spec(package)
    except ModuleNotFoundError:
        found = None
    if found is None:
        raise not_installed(package.replace(".", "/"))


def not_installed(path: str) -> InputError:
    """The error for a part of the repository that no wheel holds."""
    return InputError(f"{path} is not there: no wheel holds it, this needs a checkout of the repository")


def report_path(name: str) -> Path:
    """``build/reports/<name>.json``, in a folder that is there. A command that takes long asks before it begins."""
    folder = tools.build_root() / "reports"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}.json"


def write_report(path: Path, content: Any) -> None:
    """Write a report as JSON, as a whole or not at all."""
    write_atomic(path, (json.dumps(content, indent=2) + "\n").encode())
