"""Lines of assembly: where they begin and end, and their parse trees."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from tsp.assembler_nodes import LineError

_COMMENT = re.compile(r'("[^"\n]*")|;[^\n]*')


class Line(NamedTuple):
    """A logical line: the number of its first row, and its rows without comments."""

    number: int
    text: str

    @property
    def word(self) -> str:
        """The directive the line starts with, or its first character."""
        text = self.text.lstrip()
        found = re.match(r"\.\w*", text)
        return found[0] if found else text[:1]


@cache
def _lark() -> Lark:
    grammar = Path(__file__).with_name("assembly.lark").read_text()
    return Lark(grammar, start="start", parser="lalr", maybe_placeholders=True)


def logical_lines(text: str) -> Iterator[Line]:
    """Lines without comments; one that ends in a comma takes the next one in."""
    held: list[str] = []
    for number, row in enumerate(text.split("\n"), 1):
        held.append(_COMMENT.sub(lambda found: found[1] or "", row))
        if held[-1].rstrip().endswith(","):
            continue
        if any(row.strip() for row in held):
            yield Line(number - len(held) + 1, "\n".join(held))
        held = []
    if held:
        yield Line(number - len(held) + 1, "\n".join(held))


def start(line: Line) -> Token:
    """Where the line begins."""
    text = line.text
    indent = len(text) - len(text.lstrip())
    return Token("START", line.word, line=1 + text[:indent].count("\n"), column=1 + indent)


_SPELLED = {
    "STREAM": "a stream such as e4",
    "NAME": "a name",
    "NUMBER": "a number",
    "MNEMONIC": "an instruction",
    "PLACE": "a queue or slice such as mem.e0",
    "SETTING": "field=value",
    "STRING": "a file name in quotes",
    "NEXT": "next",
}


def parse(line: Line) -> Tree[Any]:
    """The tree of a line (``assembly.lark``); LineError where it is none."""
    try:
        return _lark().parse(line.text)
    except UnexpectedInput as error:
        raise LineError(_unexpected(error), _place(error, line)) from None


def _unexpected(error: UnexpectedInput) -> str:
    if isinstance(error, UnexpectedCharacters):
        found, wanted = f"'{error.char}'", error.allowed or set()
    else:
        assert isinstance(error, UnexpectedToken)
        found = f"'{error.token}'" if error.token.type != "$END" else "the end of the line"
        wanted = error.accepts or error.expected
    names = sorted(_SPELLED[name] for name in wanted if name in _SPELLED)
    return f"unexpected {found}" + (f"; expected {' or '.join(names)}" if names else "")


def _place(error: UnexpectedInput, line: Line) -> Token:
    if error.line > 0:
        return Token("PLACE", "", line=error.line, column=error.column)
    rows = line.text.split("\n")
    return Token("PLACE", "", line=len(rows), column=len(rows[-1].rstrip()) + 1)
