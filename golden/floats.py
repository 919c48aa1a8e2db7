"""The ALU in fp32, as ``docs/float.md`` says: numpy's float32 where it is IEEE 754, the contract's integers elsewhere.

Numbers are passed as the integers that their 32 bits make, int64 arrays of any shape with int32 values.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tsp.float_tables import (
    EXP,
    LOG2_E,
    OFFSET_BITS,
    RSQRT_EVEN,
    RSQRT_ODD,
    SEGMENT_BITS,
    TANH_FAR,
    TANH_NEAR,
    segments,
)

Bits = NDArray[np.int64]
Floats = NDArray[np.float32]
NAN, NAN_HALF, INFINITY, SIGN = 0x7FC00000, 0x7E00, 0x7F800000, 0x80000000
ONE, HIDDEN = 0x3F800000, 1 << 23
_C0, _C1, _C2 = np.array(segments(), np.int64).T


def operate(mnemonic: str, operands: list[Bits]) -> Bits:
    """The result of an operation with ``float`` = 1 other than CONVERT: fp32, or 1 or 0 of a compare."""
    with _ieee():
        result = _OPERATIONS[mnemonic](*operands)
    return result if mnemonic in _COMPARES else canonical(result)


def canonical(bits: Bits) -> Bits:
    """The bits as int32 values, every NaN the canonical one."""
    unsigned = bits & 0xFFFFFFFF
    unsigned = np.where(unsigned & 0x7FFFFFFF > INFINITY, NAN, unsigned)
    return np.asarray((unsigned ^ SIGN) - SIGN, np.int64)


def of_integer(value: Bits) -> Bits:
    """CONVERT of int32 values to fp32."""
    return bits_of(value.astype(np.float32))


def to_integer(bits: Bits, saturate: bool) -> Bits:
    """CONVERT of fp32 to int32: the nearest whole number, half to even, brought to int32 by the mode."""
    with _ieee():
        number = floats_of(bits).astype(np.float64)
    number = np.where(np.isnan(number), 0.0, number)
    if saturate:
        return np.clip(np.rint(number), -(2.0**31), 2.0**31 - 1).astype(np.int64)
    # From 2^55 on the low 32 bits are zero, and infinity counts as zero.
    whole = np.rint(np.where(np.abs(number) < 2.0**55, number, 0.0)).astype(np.int64)
    return np.asarray(((whole + (1 << 31)) & 0xFFFFFFFF) - (1 << 31), np.int64)


def widen_half(half: NDArray[np.uint16]) -> Bits:
    """fp16 bits as the fp32 bits of the same numbers."""
    with _ieee():
        return bits_of(half.view(np.float16).astype(np.float32))


def narrow_half(bits: NDArray[np.signedinteger]) -> NDArray[np.uint16]:
    """fp32 bits rounded to fp16, half to even."""
    number = floats_of(np.asarray(bits, np.int64))
    with _ieee():
        half = number.astype(np.float16).view(np.uint16)
    return np.where(np.isnan(number), np.uint16(NAN_HALF), half)


def floats_of(bits: Bits) -> Floats:
    """float32 of the same bits."""
    return bits.astype(np.uint32).view(np.float32)


def bits_of(number: Floats) -> Bits:
    """The bits of float32 numbers, as int32 values."""
    return np.ascontiguousarray(number).view(np.int32).astype(np.int64)


def _ieee() -> np.errstate:
    """Overflow and NaN are results like others. Refuses to compute on a thread that some library made flush subnormals
    to zero: the results would be wrong in silence."""
    if np.float32(2.0**-149) * np.float32(1) == 0:
        raise RuntimeError("this process flushes subnormal numbers to zero; a library built with -ffast-math does that")
    return np.errstate(all="ignore")


def _arithmetic(function: Callable[[Floats, Floats], Floats]) -> Callable[[Bits, Bits], Bits]:
    return lambda a, b: bits_of(function(floats_of(a), floats_of(b)))


def _compare(relation: Callable[[Floats, Floats], NDArray[np.bool_]]) -> Callable[[Bits, Bits], Bits]:
    return lambda a, b: np.asarray(relation(floats_of(a), floats_of(b)), np.int64)


def _extreme(choose: Callable[[Bits, Bits], Bits]) -> Callable[[Bits, Bits], Bits]:
    """MIN or MAX. The bits of numbers, negative ones complemented but for the sign, are ordered as the numbers are, and
    -0 below +0. NaN wins."""

    def function(a: Bits, b: Bits) -> Bits:
        chosen = _ordered(choose(_ordered(a), _ordered(b)))
        return np.asarray(np.where(_is_nan(a) | _is_nan(b), NAN, chosen), np.int64)

    return function


def _ordered(bits: Bits) -> Bits:
    signed = ((bits & 0xFFFFFFFF) ^ SIGN) - SIGN
    return np.asarray(np.where(signed < 0, signed ^ 0x7FFFFFFF, signed), np.int64)


def _select(a: Bits, b: Bits, c: Bits) -> Bits:
    return np.asarray(np.where(c != 0, a, b), np.int64)


def _is_nan(bits: Bits) -> NDArray[np.bool_]:
    return (bits & 0x7FFFFFFF) > INFINITY


def _parts(bits: Bits) -> tuple[NDArray[np.bool_], Bits, Bits]:
    """Sign, e and m: the absolute value is m · 2^(e - 23)."""
    field, fraction = bits >> 23 & 0xFF, bits & HIDDEN - 1
    m = np.where(field > 0, fraction | HIDDEN, fraction)
    return (bits & SIGN) != 0, np.maximum(field, 1) - 127, m


def _quadratic(index: Bits, r: Bits) -> Bits:
    """V of the contract."""
    p = _C1[index] + (_C2[index] * r >> OFFSET_BITS)
    v: Bits = _C0[index] + (p * r >> OFFSET_BITS)
    return v


def _rounded(negative: NDArray[np.bool_], number: Bits, exponent: Bits) -> Bits:
    """The fp32 nearest to ±number · 2^exponent. Less than 2^53 is exact in a float64 of these exponents, so that it is
    rounded once."""
    exact = np.ldexp(number.astype(np.float64), exponent.astype(np.int32))
    return bits_of(np.where(negative, -exact, exact).astype(np.float32))


def _segment(fraction: Bits, bits: int) -> tuple[Bits, Bits]:
    """The upper ``SEGMENT_BITS`` of a number of that many bits: the segment; and the rest as an offset in it."""
    rest = bits - SEGMENT_BITS
    return fraction >> rest, (fraction & (1 << rest) - 1) << (OFFSET_BITS - rest)


def _exp(x: Bits) -> Bits:
    negative, e, m = _parts(x)
    t = m * LOG2_E >> np.minimum(29 - np.minimum(e, 6), 63)
    t = np.where(negative, -t, t)
    i, r = _segment(t & (1 << 26) - 1, 26)
    finite = _rounded(np.zeros_like(negative), _quadratic(EXP + i, r), (t >> 26) - 28)
    result = np.where(e >= 7, np.where(negative, 0, INFINITY), finite)
    return np.where(_is_nan(x), NAN, result)


def _rsqrt(x: Bits) -> Bits:
    negative, e, m = _parts(x)
    up = 24 - np.frexp(np.maximum(m, 1).astype(np.float64))[1].astype(np.int64)
    m, e = m << up, e - up
    i, r = _segment(m & HIDDEN - 1, 23)
    v = _quadratic(np.where(e & 1, RSQRT_ODD, RSQRT_EVEN) + i, r)
    result = _rounded(np.zeros_like(negative), v, -28 - (e >> 1))
    result = np.where(x & 0x7FFFFFFF == INFINITY, 0, result)
    result = np.where(_is_nan(x) | negative, NAN, result)
    return np.where(x & 0x7FFFFFFF == 0, x & SIGN | INFINITY, result)


def _tanh(x: Bits) -> Bits:
    negative, e, m = _parts(x)
    i, r = _segment(m & HIDDEN - 1, 23)
    octave = np.clip(e, 0, 3)
    far = _rounded(negative, _quadratic(TANH_FAR + (octave << SEGMENT_BITS) + i, r), np.full_like(e, -28))
    low = np.clip(e, -12, -1)
    i, r = _segment(m << np.maximum(low + 3, 0) >> np.maximum(-3 - low, 0), 26)
    near = _rounded(negative, m * _quadratic(TANH_NEAR + i, r), low - 51)
    result = np.where(e < -12, x, np.where(e < 0, near, np.where(e < 4, far, x & SIGN | ONE)))
    return np.where(_is_nan(x), NAN, result)


_COMPARES: dict[str, Callable[..., Bits]] = {
    "EQ": _compare(np.equal),
    "NE": _compare(np.not_equal),
    "LT": _compare(np.less),
    "LE": _compare(np.less_equal),
    "GT": _compare(np.greater),
    "GE": _compare(np.greater_equal),
}
_MAX = _extreme(np.maximum)
_OPERATIONS: dict[str, Callable[..., Bits]] = {
    **_COMPARES,
    "ADD": _arithmetic(np.add),
    "SUB": _arithmetic(np.subtract),
    "MUL": _arithmetic(np.multiply),
    "MIN": _extreme(np.minimum),
    "MAX": _MAX,
    "ABS": lambda a: a & 0x7FFFFFFF,
    "NEG": lambda a: a ^ SIGN,
    "MASK": lambda a, b: np.where(b != 0, a, 0),
    "SELECT": _select,
    "RELU": lambda a: _MAX(a, np.zeros_like(a)),
    "TANH": _tanh,
    "EXP": _exp,
    "RSQRT": _rsqrt,
}
