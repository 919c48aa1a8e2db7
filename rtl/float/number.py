"""Formats of IEEE 754, the fields of a number, and rounding half to even."""

from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value, unsigned


@dataclass(frozen=True)
class Format:
    """A binary format: a sign, ``exponent_bits`` and ``fraction_bits``, in that order from the top."""

    exponent_bits: int
    fraction_bits: int

    @property
    def bits(self) -> int:
        """Width of a number."""
        return 1 + self.exponent_bits + self.fraction_bits

    @property
    def bias(self) -> int:
        """A biased exponent b stands for 2^(b - bias)."""
        return (1 << (self.exponent_bits - 1)) - 1

    @property
    def top(self) -> int:
        """The biased exponent of infinities and NaNs."""
        return (1 << self.exponent_bits) - 1

    @property
    def infinity(self) -> int:
        """The bits of +∞."""
        return self.top << self.fraction_bits

    @property
    def nan(self) -> int:
        """The bits of the only NaN that is ever a result."""
        return self.infinity | 1 << (self.fraction_bits - 1)


FP16 = Format(5, 10)
FP32 = Format(8, 23)


@dataclass(frozen=True)
class Number:
    """A number's value is ± significand · 2^(exponent - bias - fraction_bits), unless it is infinite or a NaN."""

    sign: Value
    exponent: Value
    """biased; 1 for subnormals and zeros, whose scale that is"""
    significand: Value
    """the fraction below the hidden bit, which is 0 for subnormals and zeros"""
    zero: Value
    infinite: Value
    nan: Value


@dataclass(frozen=True)
class Unrounded:
    """An exact result: ± significand · 2^(exponent - bias) / 2^(width - 1), for a significand of ``width`` bits.

    What is too small for the significand shows as its lowest bit ("sticky"), which is then at least two below the last
    that rounding keeps. ``nan`` and ``infinite`` replace the value.
    """

    sign: Value
    exponent: Value
    """biased, signed, of any size"""
    significand: Value
    nan: Value
    infinite: Value


def named(m: Module, name: str, value: Value, shape: Shape | None = None) -> Signal:
    """A signal that holds ``value``, so that it is computed once however often it is used."""
    signal = Signal(value.shape() if shape is None else shape, name=name)
    m.d.comb += signal.eq(value)
    return signal


def unpack(m: Module, name: str, form: Format, bits: Value) -> Number:
    """The fields of a number."""
    fraction, field = bits[: form.fraction_bits], bits[form.fraction_bits : -1]
    normal = named(m, f"{name}_normal", field.any())
    special = named(m, f"{name}_special", field.all())
    whole = named(m, f"{name}_whole", ~fraction.any())
    return Number(
        sign=bits[-1],
        exponent=Cat(field[0] | ~normal, field[1:]),
        significand=Cat(fraction, normal),
        zero=~normal & whole,
        infinite=special & whole,
        nan=special & ~whole,
    )


def shifted_right(m: Module, name: str, value: Value, distance: Value) -> Value:
    """``value`` shifted right, its lowest bit set if anything was shifted out. Any unsigned distance."""
    width = len(value)
    far = named(m, f"{name}_far", distance >= width)
    low = distance[: (width - 1).bit_length()]
    dropped = Const((1 << width) - 1, width) >> (width - low).as_unsigned()
    lost = named(m, f"{name}_lost", (value & dropped).any())
    kept = named(m, f"{name}_kept", value >> low)
    return Mux(far, value.any(), Cat(kept[0] | lost, kept[1:]))


def normalised(m: Module, name: str, value: Value, room: Value) -> tuple[Value, Value]:
    """``value`` shifted left until its top bit is one, but at most by ``room``; and the room that is left."""
    width = len(value)
    for step in (1 << i for i in reversed(range((width - 1).bit_length()))):
        fits = named(m, f"{name}_fits_{step}", ~value[width - step :].any() & (room >= step))
        value = named(m, f"{name}_by_{step}", Mux(fits, Cat(Const(0, step), value[: width - step]), value))
        room = named(m, f"{name}_room_{step}", Mux(fits, room - step, room), unsigned(len(room)))
    return value, room


def packed(m: Module, name: str, form: Format, aligned: Value, exponent: Value, exact: Unrounded) -> Signal:
    """The number nearest to ± aligned · 2^(exponent - bias) / 2^(width - 1), half to even.

    Args:
        aligned: its top bit is one, or ``exponent`` is 1: the scale of subnormals.
        exact: has the sign, and whether it is infinite or a NaN.
    """
    width, kept = len(aligned), form.fraction_bits
    assert width >= kept + 2
    fraction, half = aligned[width - 1 - kept : width - 1], aligned[width - 2 - kept]
    up = half & (aligned[: width - 2 - kept].any() | fraction[0])
    normal = aligned[-1]
    # A carry out of the fraction is right for the exponent, up to infinity.
    field = Mux(normal, exponent[: form.exponent_bits], 0)
    magnitude = named(m, f"{name}_magnitude", Cat(fraction, field) + up, unsigned(form.bits - 1))
    overflow = exact.infinite | (normal & (exponent >= form.top))
    replaced = Mux(overflow, Const(form.infinity, form.bits - 1), magnitude)
    return named(m, f"{name}_rounded", Mux(exact.nan, Const(form.nan, form.bits), Cat(replaced, exact.sign)))


def rounded(m: Module, name: str, form: Format, exact: Unrounded) -> Signal:
    """The number nearest to an exact result, half to even; too large a one is infinite."""
    # Aligned to the result's exponent: to the left until the top bit is one, but no further than to exponent 1, the
    # scale of subnormals; to the right if the exponent is below that.
    room = named(m, f"{name}_room", exact.exponent - 1)
    tiny = room[-1]
    deep = shifted_right(m, f"{name}_deep", exact.significand, named(m, f"{name}_depth", (-room).as_unsigned()))
    start = named(m, f"{name}_start", Mux(tiny, deep, exact.significand))
    left = named(m, f"{name}_start_room", Mux(tiny, 0, room[:-1]))
    aligned, left = normalised(m, f"{name}_aligned", start, left)
    return packed(m, name, form, aligned, named(m, f"{name}_exponent", left + 1), exact)
