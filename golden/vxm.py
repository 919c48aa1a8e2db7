"""The ALU: integer operations exact in int64, brought to the register and the stream as the contract's table says.

Those in fp32 are in :mod:`golden.floats`; between the two pass int64 arrays with int32 values.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from golden import floats
from tsp.isa import FLOAT_TYPES, Instruction, Type

Wide = NDArray[np.int64]
BITS = {Type.INT8: 8, Type.INT16: 16, Type.INT32: 32}


def result(instruction: Instruction, mul_bits: int, operands: list[Wide]) -> Wide:
    """The int32 or fp32 result of an ALU instruction, as :func:`operate` returns it."""
    saturate, of_float = bool(instruction["saturate"]), bool(instruction["float"])
    if instruction.mnemonic == "CONVERT" and of_float:
        (a,) = operands
        return floats.canonical(a) if instruction["type"] in FLOAT_TYPES else floats.to_integer(a, saturate)
    if of_float:
        return floats.operate(instruction.mnemonic, operands)
    value = operate(instruction.mnemonic, saturate, mul_bits, operands)
    converted = instruction.mnemonic == "CONVERT" and instruction["type"] in FLOAT_TYPES
    return floats.of_integer(value) if converted else value


def operate(mnemonic: str, saturate: bool, mul_bits: int, operands: list[Wide]) -> Wide:
    """The int32 result of an integer operation, as int64 of any shape; operands hold int32 values."""
    if mnemonic == "MUL":
        operands = [modular(operand, mul_bits) for operand in operands]
    if mnemonic == "SHL" and saturate:
        # From 2^31 on every a but 0 saturates, and -1 · 2^31 is exact.
        return saturated(_shl(operands[0], operands[1], limit=31), 32)
    exact = _OPERATIONS[mnemonic](*operands)
    # The logical shift is a bit pattern: its result is never out of range, whatever its sign.
    return saturated(exact, 32) if saturate and mnemonic != "SRL" else modular(exact, 32)


def narrow(value: NDArray[np.signedinteger], kind: Type, saturate: bool) -> NDArray[np.uint8]:
    """Results [n, lanes] as the byte planes of a stream type: uint8 [n, planes, lanes], low byte first."""
    if kind == Type.FP16:
        value, kind, saturate = floats.narrow_half(value).view(np.int16), Type.INT16, False
    elif kind == Type.FP32:
        kind, saturate = Type.INT32, False
    bits = BITS[kind]
    fitting = saturated(value.astype(np.int64), bits) if saturate else value
    planes = np.ascontiguousarray(fitting, np.int32).view(np.uint8).reshape(*value.shape, 4)
    return planes[..., : bits // 8].transpose(0, 2, 1)


def widen(planes: NDArray[np.uint8], kind: Type | None = None) -> Wide:
    """Byte planes [n, planes, lanes] as values [n, lanes]: signed integers, or with ``kind`` FP16 the bits of fp32."""
    count = planes.shape[1]
    joined = np.ascontiguousarray(planes.transpose(0, 2, 1))
    if kind == Type.FP16:
        return floats.widen_half(joined.view(np.uint16)[..., 0])
    signed: NDArray[np.signedinteger] = joined.view({1: np.int8, 2: np.int16, 4: np.int32}[count])
    return np.asarray(signed[..., 0], np.int64)


def modular(value: Wide, bits: int) -> Wide:
    """The low bits as a signed number."""
    half = np.int64(1) << (bits - 1)
    return ((value + half) & ((half << 1) - 1)) - half


def saturated(value: Wide, bits: int) -> Wide:
    """The nearest signed number of that many bits."""
    half = 1 << (bits - 1)
    return np.minimum(np.maximum(value, np.int64(-half)), np.int64(half - 1))


def _amount(b: Wide, limit: int = 32) -> Wide:
    """A shift amount read as unsigned, all amounts from ``limit`` on made equal to it."""
    unsigned: Wide = b & 0xFFFFFFFF
    return np.minimum(unsigned, np.int64(limit))


def _shl(a: Wide, b: Wide, limit: int = 32) -> Wide:
    return a << _amount(b, limit)


def _sra(a: Wide, b: Wide) -> Wide:
    """a / 2^b rounded half to even: add just under a half, and the missing bit when the quotient's floor is odd."""
    amount = _amount(b, 40)  # int32 / 2^33 and less rounds to 0, as at 40
    floor = a >> amount
    half = np.where(amount > 0, np.int64(1) << np.maximum(amount - 1, 0), 0)
    remainder = a - (floor << amount)
    up = (remainder > half) | ((remainder == half) & (floor & 1 == 1))
    return floor + np.where(amount > 0, up, False)


def _srl(a: Wide, b: Wide) -> Wide:
    return (a & 0xFFFFFFFF) >> _amount(b)


def _mask(a: Wide, b: Wide) -> Wide:
    return np.where(b != 0, a, np.int64(0))


def _select(a: Wide, b: Wide, c: Wide) -> Wide:
    return np.asarray(np.where(c != 0, a, b), np.int64)


def _compare(relation: Callable[[Wide, Wide], NDArray[np.bool_]]) -> Callable[[Wide, Wide], Wide]:
    return lambda a, b: relation(a, b).astype(np.int64)


_OPERATIONS: dict[str, Callable[..., Wide]] = {
    "ADD": np.add,
    "SUB": np.subtract,
    "MUL": np.multiply,
    "MIN": np.minimum,
    "MAX": np.maximum,
    "ABS": np.abs,
    "NEG": np.negative,
    "AND": np.bitwise_and,
    "OR": np.bitwise_or,
    "XOR": np.bitwise_xor,
    "NOT": np.invert,
    "SHL": _shl,
    "SRA": _sra,
    "SRL": _srl,
    "EQ": _compare(np.equal),
    "NE": _compare(np.not_equal),
    "LT": _compare(np.less),
    "LE": _compare(np.less_equal),
    "GT": _compare(np.greater),
    "GE": _compare(np.greater_equal),
    "MASK": _mask,
    "SELECT": _select,
    "CONVERT": lambda a: a,
    "RELU": lambda a: np.maximum(a, 0),
}
