"""ALU operands and results from their spelling in assembly, without names and arithmetic."""

import re
from collections.abc import Iterable

from tsp import float_text
from tsp.encoding import Operand, Result, element_type, stream
from tsp.errors import InputError
from tsp.isa import OperandKind, Type


def alu_operands(texts: Iterable[str]) -> list[Operand]:
    """``"e4:int8"``, ``"#-5"``, ``"#1.5"``, ``"r0"`` or ``"r0:fp32"`` each; InputError for anything else."""
    return [_operand(text.strip()) for text in texts]


def _operand(text: str) -> Operand:
    name, colon, type_ = text.partition(":")
    if text[:1] in ("#", "r"):
        kind = OperandKind.IMMEDIATE if text[0] == "#" else OperandKind.ALU
        if text[0] == "#" and not colon and (number := _real(name[1:])) is not None:
            return Operand(kind, float_text.single(number), Type.FP32)
        return Operand(kind, _whole(name), passed_type(type_) if colon else Type.INT8)
    if not colon:
        raise InputError(f"operand '{text}': must be a typed stream (e4:int8), an immediate (#5) or a row (r0)")
    return Operand(OperandKind.STREAM, stream(name), element_type(type_))


def passed_type(text: str) -> Type:
    """The type of what passes between ALUs, or of an immediate: ``fp32`` or ``int32``; InputError otherwise."""
    type_ = element_type(text)
    if type_ not in (Type.INT32, Type.FP32):
        raise InputError(f"type {text}: rows of ALUs and immediates are int32 or fp32")
    return type_


def _real(text: str) -> float | None:
    """The number, if it is written as a float: with a point or an exponent, ``inf`` or ``nan``."""
    if text.lstrip("-") not in ("inf", "nan") and not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?", text):
        return None
    return float(text) if not re.fullmatch(r"-?[0-9]+", text) else None


def _whole(text: str) -> int:
    try:
        return int(text[1:], 0)
    except ValueError:
        raise InputError(f"operand '{text}': '{text[1:]}' is not a whole number") from None


def alu_result(text: str) -> Result:
    """``"e8:int8"``, ``"next"`` or both with a comma; ``"next:fp32"`` for a CONVERT. InputError for anything else."""
    result, chosen = Result(), False
    for part in (part.strip() for part in text.split(",")):
        name, colon, type_ = part.partition(":")
        typed = bool(colon) and not chosen
        if part == "next" or (name == "next" and typed):
            result = result._replace(to_next=True)
        elif typed:
            result = result._replace(stream=stream(name))
        else:
            raise InputError(f"result '{text}': must be a typed stream (e8:int8), next, or both")
        if colon:
            result, chosen = result._replace(type=element_type(type_)), True
    return result
