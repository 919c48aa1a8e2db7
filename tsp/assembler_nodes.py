"""What a parsed line of assembly is made of: expressions are evaluated, operands keep their place in the line."""

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from lark import Token, Tree, v_args
from lark.visitors import Transformer_NonRecursive

from tsp import encoding, float_text, isa
from tsp.builder_operands import passed_type
from tsp.encoding import Stream
from tsp.errors import InputError, close, nearest
from tsp.isa import AccMode, Type, Way

_NUMBER_LIMIT = 1 << 64
_LARGE = "the number leaves the 64 bits that numbers are computed with"
_CHARACTERS = 300
"""More than any number of use has, and few enough to be converted at once."""
_T = TypeVar("_T")


RESERVED = {
    r"[ew][0-9]+": "a stream",
    r"r[0-9]+": "a row of ALUs",
    r"store|add|pass|peek": "a mode of ACC",
    r"up|down": "a way to SHIFT",
    r"next|file": "a word of the language",
    r"inf|nan": "a floating-point number",
}
"""Patterns of names that mean something else where a name may stand, and what."""


class LineError(InputError):
    """A mistake at a line and column of the logical line."""

    def __init__(self, message: str, token: Token | None):
        super().__init__(message)
        self.line = (token.line or 1) if token is not None else 1
        self.column = (token.column or 1) if token is not None else 1


@dataclasses.dataclass(frozen=True)
class Value:
    """A number; ``symbol`` is the memory it is an address of, empty if none."""

    token: Token
    number: int
    symbol: str = ""


@dataclasses.dataclass(frozen=True)
class Real:
    """A floating-point number."""

    token: Token
    number: float


@dataclasses.dataclass(frozen=True)
class StreamNode:
    """A stream, with its type if one is written."""

    token: Token
    stream: Stream
    type: Type | None


@dataclasses.dataclass(frozen=True)
class Row:
    """The ALU of a row in the stage before, with its type if one is written."""

    token: Token
    number: int
    type: Type | None = None


@dataclasses.dataclass(frozen=True)
class Immediate:
    """An immediate: an integer, or the bits of a float as a signed number."""

    token: Token
    number: int
    type: Type | None = None


@dataclasses.dataclass(frozen=True)
class Mode:
    """A mode of ACC, or the way of a SHIFT."""

    token: Token
    mode: AccMode | Way


@dataclasses.dataclass(frozen=True)
class Next:
    """The result ``next``, with its type if one is written."""

    token: Token | None = None
    type: Type | None = None


Node = Value | Real | StreamNode | Row | Immediate | Mode | Next


@dataclasses.dataclass(frozen=True)
class Written:
    """One instruction as written."""

    token: Token
    mnemonic: str
    suffix: str
    operands: list[Node]
    results: list[Node]


@v_args(inline=True)
class Nodes(Transformer_NonRecursive):  # type: ignore[type-arg]
    """Turns the tree of one line into nodes. Names are looked up in ``names``; unknown ones raise LineError.

    ``operations`` are those of the line: what their operands may be is suggested beside the names.
    """

    def __init__(self, names: Mapping[str, tuple[int | float, str]]):
        super().__init__()
        self._names = names
        self.operations: Sequence[isa.Operation] = ()

    def number(self, token: Token) -> Value:
        return Value(token, whole(token))

    def real(self, token: Token) -> Real:
        return Real(token, float(token))

    def name(self, token: Token) -> Value | Real:
        if token not in self._names:
            raise LineError(f"unknown name '{token}'{self._instead(token)}", token)
        number, symbol = self._names[str(token)]
        return Real(token, number) if isinstance(number, float) else Value(token, number, symbol)

    def _instead(self, token: Token) -> str:
        kinds = {field.kind for operation in self.operations for field in operation.fields}
        known = [*self._names, *((mode.name.lower() for mode in AccMode) if "mode" in kinds else ())]
        found = re.fullmatch(r"[A-Za-z]([0-9]+)", token)
        if found and "stream" in kinds and not close(token, known):
            return f"; a stream is written e{found[1]} or w{found[1]}"
        return nearest(token, known) if known else "; define it with .const, .data or .space"

    def add(self, a: Value | Real, b: Value | Real) -> Value | Real:
        return _combine(a, b, a.number + b.number)

    def sub(self, a: Value | Real, b: Value | Real) -> Value | Real:
        return _combine(a, b, a.number - b.number)

    def mul(self, a: Value | Real, b: Value | Real) -> Value | Real:
        return _combine(a, b, a.number * b.number)

    def neg(self, a: Value | Real) -> Value | Real:
        return Real(a.token, -a.number) if isinstance(a, Real) else Value(a.token, -a.number)

    def stream(self, token: Token, type_: Token | None) -> StreamNode:
        return StreamNode(token, located(token, encoding.stream, str(token)), element_type(type_) if type_ else None)

    def alu_row(self, token: Token, type_: Token | None) -> Row:
        return Row(token, whole(token, token[1:]), located(type_, passed_type, str(type_)) if type_ else None)

    def immediate(self, value: Value | Real, type_: Token | None) -> Immediate:
        chosen = located(type_, passed_type, str(type_)) if type_ else None
        if isinstance(value, Value):
            return Immediate(value.token, value.number, chosen)
        if chosen == Type.INT32:
            raise LineError(f"{value.number} is no int32", value.token)
        return Immediate(value.token, located(value.token, float_text.single, value.number), Type.FP32)

    def mode(self, token: Token) -> Mode:
        name = token.upper()
        return Mode(token, Way[name] if name in Way.__members__ else AccMode[name])

    def next(self, type_: Token | None) -> Next:
        return Next(type_, element_type(type_) if type_ else None)

    def at(self, value: Value | Real) -> Value:
        return whole_value(value)

    def index(self, value: Value | Real) -> Value:
        return whole_value(value)

    def label(self, token: Token) -> Token:
        return token

    def operands(self, *nodes: Node) -> list[Node]:
        return list(nodes)

    def results(self, *nodes: Node) -> list[Node]:
        return list(nodes)

    def instruction(self, token: Token, operands: list[Node] | None, results: list[Node] | None) -> Written:
        mnemonic, _, suffix = token.partition(".")
        return Written(token, mnemonic.upper(), suffix, operands or [], results or [])


def whole(token: Token, text: str | None = None, most: int = _NUMBER_LIMIT, large: str = _LARGE) -> int:
    """The whole number of a token; LineError if it is spelled badly, or says ``large`` if it is more than ``most``."""
    text = str(token) if text is None else text
    if len(text) > _CHARACTERS:
        raise LineError(large, token)
    try:
        number = int(text, 0 if text[:2] in ("0x", "0b") else 10)
    except ValueError:
        raise LineError(f"'{text}' is not a number", token) from None
    if number > most:
        raise LineError(large, token)
    return number


def whole_value(value: Value | Real) -> Value:
    """The value, which must be a whole number; LineError otherwise."""
    if isinstance(value, Real):
        raise LineError(f"{value.number} stands where a whole number must", value.token)
    return value


def _combine(a: Value | Real, b: Value | Real, number: int | float) -> Value | Real:
    if isinstance(a, Real) or isinstance(b, Real) or isinstance(number, float):
        return Real(a.token, float(number))
    if abs(number) > _NUMBER_LIMIT:
        raise LineError("the expression leaves the 64 bits that numbers are computed with", a.token)
    return Value(a.token, number, a.symbol or b.symbol)


def element_type(token: Token) -> Type:
    """The type a token names; LineError otherwise."""
    return located(token, encoding.element_type, str(token))


def located(token: Token | None, function: Callable[..., _T], *arguments: Any) -> _T:
    """Call ``function``, giving its InputError the place of ``token``."""
    try:
        return function(*arguments)
    except LineError:
        raise
    except InputError as error:
        raise LineError(str(error), token) from None


def mnemonics(tree: Tree[Any]) -> list[Token]:
    """The mnemonics of a line, in order."""
    found = [child for child in tree.children if isinstance(child, Tree) and child.data == "instruction"]
    return [token for node in found if isinstance(token := node.children[0], Token)]
