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
    "COMMA": "','",
    "COLON": "':'",
    "EQUAL": "'='",
    "LSQB": "'['",
    "RSQB": "']'",
    "RPAR": "')'",
    "_ARROW": "'->'",
    "AMPERSAND": "'&'",
    "STAR": "an operator (+, -, *)",
    "NAME": "a name",
    "TYPE": "a type such as int8",
    "NUMBER": "a number",
    "STREAM": "a stream such as e4",
    "NEXT": "next",
    "MNEMONIC": "an instruction",
    "PLACE": "a queue or slice such as mem.e0",
    "SETTING": "field=value",
    "STRING": "a file name in quotes",
}
"""What may come next, in the order it is said in. What else may begin an operand or end a line goes without saying."""
_EXAMPLES = {
    ".config": ".config tiny superlanes=4",
    ".const": ".const n = 2 * 8",
    ".data": ".data x: mem.e0 int8 = 1, 2, 3",
    ".space": ".space x: mem.e0 int8, 4",
    ".queue": ".queue mem.e0",
    ".fetched": ".fetched x",
    ".word": ".word 0x0",
}


def parse(line: Line) -> Tree[Any]:
    """The tree of a line (``assembly.lark``); LineError where it is none."""
    try:
        return _lark().parse(line.text)
    except UnexpectedInput as error:
        raise LineError(_unexpected(error, line), _place(error, line)) from None


def _unexpected(error: UnexpectedInput, line: Line) -> str:
    # Neither `expected` nor `allowed`: these hold what may follow elsewhere, too.
    accepted = error.interactive_parser.accepts()  # type: ignore[no-untyped-call]
    *names, last = [text for name, text in _SPELLED.items() if name in accepted] or [""]
    wanted = f"{', '.join(names)} or {last}" if names else last
    form = f"; write it as in '{_EXAMPLES[line.word]}'" if line.word in _EXAMPLES else ""
    if isinstance(error, UnexpectedCharacters):
        found = error.char
    else:
        assert isinstance(error, UnexpectedToken)
        if error.token.type == "$END":
            return f"the line ends where {wanted} is expected{form}"
        found = str(error.token)
    return f"unexpected '{found}'" + (f"; expected {wanted}" if wanted else "") + form


def _place(error: UnexpectedInput, line: Line) -> Token:
    if error.line > 0:
        return Token("PLACE", "", line=error.line, column=error.column)
    rows = line.text.split("\n")
    return Token("PLACE", "", line=len(rows), column=len(rows[-1].rstrip()) + 1)
