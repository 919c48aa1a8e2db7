"""ALU operands and results from their spelling in assembly, without names and arithmetic."""

from collections.abc import Iterable

from tsp.encoding import Operand, Result, element_type, stream
from tsp.errors import InputError
from tsp.isa import OperandKind


def alu_operands(texts: Iterable[str]) -> list[Operand]:
    """``"e4:int8"``, ``"#-5"`` or ``"r0"`` each; InputError for anything else."""
    return [_operand(text.strip()) for text in texts]


def _operand(text: str) -> Operand:
    if text[:1] == "#":
        return Operand(OperandKind.IMMEDIATE, _whole(text))
    if text[:1] == "r":
        return Operand(OperandKind.ALU, _whole(text))
    name, colon, type_ = text.partition(":")
    if not colon:
        raise InputError(f"operand '{text}': must be a typed stream (e4:int8), an immediate (#5) or a row (r0)")
    return Operand(OperandKind.STREAM, stream(name), element_type(type_))


def _whole(text: str) -> int:
    try:
        return int(text[1:], 0)
    except ValueError:
        raise InputError(f"operand '{text}': '{text[1:]}' is not a whole number") from None


def alu_result(text: str) -> Result:
    """``"e8:int8"``, ``"next"`` or both with a comma; InputError for anything else."""
    result = Result()
    for part in (part.strip() for part in text.split(",")):
        name, colon, type_ = part.partition(":")
        if part == "next":
            result = result._replace(to_next=True)
        elif colon and result.stream is None:
            result = result._replace(stream=stream(name), type=element_type(type_))
        else:
            raise InputError(f"result '{text}': must be a typed stream (e8:int8), next, or both")
    return result
