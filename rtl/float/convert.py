"""Conversions between numbers and integers, and between formats."""

from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Mux, Value, signed

from rtl.float.number import Format, Number, Unrounded, named, normalised, packed, shifted_right


def from_integer(m: Module, name: str, form: Format, integer: Value) -> Unrounded:
    """A signed integer. Zero is positive."""
    sign = integer[-1]
    magnitude = named(m, f"{name}_magnitude", Mux(sign, -integer.as_signed(), integer)[: len(integer)])
    exponent = Const(form.bias + len(integer) - 1, signed(form.exponent_bits + 2))
    return Unrounded(sign, exponent, magnitude, nan=Const(0), infinite=Const(0))


def narrowed(m: Module, name: str, number: Number, form: Format, target: Format) -> Value:
    """A number of ``form`` rounded to the narrower ``target``, in which a subnormal of ``form`` is zero."""
    above = form.bias - target.bias
    assert above > target.fraction_bits + 1 and form.fraction_bits > target.fraction_bits
    low = named(m, f"{name}_low", number.exponent <= above)
    depth = named(m, f"{name}_depth", (above + 1 - number.exponent)[: form.exponent_bits])
    deep = shifted_right(m, f"{name}_deep", number.significand, depth)
    aligned = named(m, f"{name}_aligned", Mux(low, deep, number.significand))
    exponent = named(m, f"{name}_exponent", Mux(low, 1, number.exponent - above)[: form.exponent_bits])
    exact = Unrounded(number.sign, exponent, number.significand, number.nan, number.infinite)
    return packed(m, name, target, aligned, exponent, exact)


def widened(m: Module, name: str, number: Number, form: Format, target: Format) -> Value:
    """A number of ``form`` in the wider ``target``, which holds it exactly and as no subnormal."""
    assert target.bias - form.bias >= form.fraction_bits and target.fraction_bits >= form.fraction_bits
    room = named(m, f"{name}_room", (number.exponent + (target.bias - form.bias))[: target.exponent_bits])
    significand, exponent = normalised(m, name, number.significand, room)
    fraction = Cat(Const(0, target.fraction_bits - form.fraction_bits), significand[:-1])
    finite = Mux(number.zero, Const(0, target.bits - 1), Cat(fraction, exponent))
    magnitude = Mux(number.infinite, Const(target.infinity, target.bits - 1), finite)
    return named(m, name, Mux(number.nan, Const(target.nan, target.bits), Cat(magnitude, number.sign)))


@dataclass(frozen=True)
class Integer:
    """A number rounded half to even: its low bits as a signed integer, and whether the integer has more."""

    low: Value
    beyond: Value


def to_integer(m: Module, name: str, form: Format, number: Number, bits: int) -> Integer:
    """The nearest integer. What a NaN or an infinity has for low bits is 0, like any large power of two."""
    assert form.fraction_bits < bits - 1, "rounding could reach beyond the largest integer"
    # Fixed point: an integer with two bits below it, the half and the sticky one, for the largest exponent whose
    # integer has low bits; all others are shifted right from there.
    highest = form.bias + form.fraction_bits + bits - 1
    fixed = Cat(Const(0, 2 + bits - 1), number.significand)
    beyond = named(m, f"{name}_beyond", number.exponent >= form.bias + bits - 1)
    far = named(m, f"{name}_far", number.exponent > highest)
    distance = named(m, f"{name}_distance", (highest - number.exponent)[: form.exponent_bits])
    moved = named(m, f"{name}_moved", shifted_right(m, name, fixed, distance))
    up = moved[1] & (moved[0] | moved[2])
    rounded = named(m, f"{name}_rounded", (moved[2 : bits + 2] + up)[:bits])
    signed_ = Mux(number.sign, -rounded.as_signed(), rounded)[:bits]
    return Integer(named(m, f"{name}_low", Mux(far, 0, signed_)[:bits]), beyond)
