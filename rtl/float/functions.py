"""TANH, EXP and RSQRT of docs/float.md: what goes into the quadratic, and what becomes of its value.

Each function has an argument (segment and offset) and, of the value, an exact result that is rounded like any other.
The formats' sizes are those of fp32 throughout.
"""

from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Mux, Value

from rtl.float.number import FP32, Number, Unrounded, named, normalised
from tsp import float_tables as tables
from tsp.float_tables import OFFSET_BITS, SEGMENT_BITS

ONE = FP32.bias
"""The biased exponent of numbers in [1, 2)."""
EXP_PLACE = 26
"""EXP's argument is in units of 2^-26: offset and segment."""
SPARE = 31
"""Added to the exponents that RSQRT counts with, so that a subnormal's is no negative number."""


@dataclass(frozen=True)
class Argument:
    """Segment (9 bits) and offset (20 bits), and the exponent that the function's result has."""

    index: Value
    offset: Value
    exponent: Value


def exp_argument(m: Module, name: str, x: Number) -> Argument:
    """2^n · 2^f, where n + f is x · log2(e)."""
    product = named(m, f"{name}_product", x.significand * Const(tables.LOG2_E))
    # The shift is 29 - e; from 57 on nothing is left, and it is less than 23 only where EXP overflows anyway.
    shift = named(m, f"{name}_shift", (ONE + 29 - x.exponent)[:8])
    scaled = named(m, f"{name}_scaled", (product >> shift)[: EXP_PLACE + 8])
    power = named(m, f"{name}_power", Mux(x.sign, -scaled, scaled)[: EXP_PLACE + 9])
    fraction, whole = power[:EXP_PLACE], power[EXP_PLACE:].as_signed()
    index = Cat(fraction[OFFSET_BITS:], Const(tables.EXP >> SEGMENT_BITS, 3))
    return Argument(index, fraction[:OFFSET_BITS], whole + ONE)


def exp_exact(x: Number, argument: Argument, value: Value) -> Unrounded:
    """EXP of x, given the quadratic's value."""
    huge = x.exponent >= ONE + 7
    return Unrounded(
        sign=Const(0),
        exponent=argument.exponent,
        significand=Mux(huge, Const(0, len(value)), value),
        nan=x.nan,
        infinite=huge & ~x.sign,
    )


def rsqrt_argument(m: Module, name: str, x: Number) -> Argument:
    """1/√m or 1/√(2m) for m in [1, 2), by the exponent's lowest bit."""
    room = named(m, f"{name}_room", x.exponent + SPARE)
    significand, left = normalised(m, name, x.significand, room)
    # e = left - SPARE - ONE, and SPARE + ONE is even.
    assert (SPARE + ONE) % 2 == 0
    odd = left[0]
    index = Cat(significand[17:23], ~odd, odd, Const(0, 1))
    return Argument(index, Cat(Const(0, 3), significand[:17]), ONE + (SPARE + ONE) // 2 - (left >> 1))


def rsqrt_exact(x: Number, argument: Argument, value: Value) -> Unrounded:
    """RSQRT of x, given the quadratic's value."""
    return Unrounded(
        sign=x.sign & x.zero,
        exponent=argument.exponent,
        significand=Mux(x.infinite, Const(0, len(value)), value),
        nan=x.nan | (x.sign & ~x.zero),
        infinite=x.zero,
    )


def tanh_argument(m: Module, name: str, x: Number) -> Argument:
    """tanh(x)/x below 1, tanh(x) from there on."""
    far = named(m, f"{name}_far", x.exponent >= ONE)
    # |x| in units of 2^-26; below 1 only.
    near = named(m, f"{name}_near", Cat(Const(0, 2), x.significand) >> (ONE - 1 - x.exponent)[:4])
    fraction = x.significand[:23]
    octave = (x.exponent + 1)[:2]
    index = Mux(far, Cat(fraction[17:], octave, Const(1, 1)), Cat(near[OFFSET_BITS:], Const(0b011, 3)))
    offset = Mux(far, Cat(Const(0, 3), fraction[:17]), near[:OFFSET_BITS])
    return Argument(index, offset, Mux(far, ONE, x.exponent))


def tanh_exact(m: Module, name: str, x: Number, argument: Argument, value: Value, product: Value) -> Unrounded:
    """TANH of x, given the quadratic's value; ``product`` is x.significand · value, of which 52 bits matter."""
    tiny, one = x.exponent < ONE - 12, x.exponent >= ONE + 4
    far = x.exponent >= ONE
    large = Mux(one, Const(1 << 28, 29), value)
    small = Mux(tiny, Cat(Const(0, 28), x.significand), product[:52])
    significand = named(m, f"{name}_significand", Mux(far, Cat(Const(0, 23), large), small))
    return Unrounded(x.sign, argument.exponent, significand, nan=x.nan, infinite=Const(0))
