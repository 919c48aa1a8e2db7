"""Floating-point addition and multiplication in a small format, against exact fixed point."""

from collections.abc import Callable
from typing import Any

from amaranth.hdl import Cat, Mux, Signal, Value

from tb.formal.bench import Bench
from tb.formal.planted import Bug, Rtl
from tb.formal.proof import Proof

EXPONENT_BITS, FRACTION_BITS = 3, 3
MAGNITUDE_BITS = EXPONENT_BITS + FRACTION_BITS
BITS = 1 + MAGNITUDE_BITS
INFINITY = ((1 << EXPONENT_BITS) - 1) << FRACTION_BITS
NAN = INFINITY | 1 << (FRACTION_BITS - 1)
ONE = 1 << (FRACTION_BITS + (1 << (EXPONENT_BITS - 1)) - 2)
"""The number 1 in units of the smallest subnormal."""


def _units(magnitude: int) -> int:
    """What a magnitude is worth, in the smallest subnormal; for infinity what would come after the largest number."""
    exponent, fraction = divmod(magnitude, 1 << FRACTION_BITS)
    return fraction if exponent == 0 else (fraction + (1 << FRACTION_BITS)) << (exponent - 1)


def _nearest(m: Any, exact: Value, scale: int) -> Signal:
    """The magnitude nearest to ``exact`` / ``scale`` units, half to even: how many midpoints lie below."""
    total: Value = Value.cast(0)
    for magnitude in range(INFINITY):
        middle = (_units(magnitude) + _units(magnitude + 1)) * scale
        total = total + (exact * 2 >= middle if magnitude % 2 else exact * 2 > middle)
    nearest = Signal(MAGNITUDE_BITS, name="nearest")
    m.d.comb += nearest.eq(total)
    return nearest


class Operand:
    """Any number; ``units``: what its magnitude is worth."""

    def __init__(self, bench: Bench, name: str):
        self.bits = bench.free(BITS, name)
        self.sign, magnitude = self.bits[-1], self.bits[:-1]
        self.units = Signal(range(_units(INFINITY)), name=f"{name}_units")
        with bench.m.Switch(magnitude):
            for value in range(INFINITY):
                with bench.m.Case(value):
                    bench.m.d.comb += self.units.eq(_units(value))
        self.infinite, self.nan, self.zero = magnitude == INFINITY, magnitude > INFINITY, magnitude == 0


def float_bench(operation: str, reference: Callable[[Any, Operand, Operand], tuple[Value, Value]]) -> Any:
    """``reference`` gives sign and magnitude of the result, and NaN as a magnitude beyond infinity."""

    def build_with(rtl: Rtl) -> Bench:
        def build(bench: Bench) -> None:
            number = rtl("rtl.float.number")
            exact = getattr(rtl(f"rtl.float.{operation}"), f"{operation}_exact")
            m, form = bench.m, number.Format(EXPONENT_BITS, FRACTION_BITS)
            a, b = Operand(bench, "a"), Operand(bench, "b")
            unpacked = [number.unpack(m, name, form, value.bits) for name, value in (("left", a), ("right", b))]
            result = number.rounded(m, "result", form, exact(m, "exact", form, *unpacked))
            sign, magnitude = reference(m, a, b)
            expected = Signal(BITS, name="expected")
            m.d.comb += expected.eq(Mux(magnitude > INFINITY, NAN, Cat(magnitude, sign)))
            bench.claim(result == expected)

        return Bench(build)

    return build_with


def _sum(m: Any, a: Operand, b: Operand) -> tuple[Value, Value]:
    total = Mux(a.sign, -a.units, a.units) + Mux(b.sign, -b.units, b.units)
    sign = Mux(total == 0, a.sign & b.sign, total < 0)
    nearest = _nearest(m, Mux(total < 0, -total, total), 1)
    infinite = Mux(a.infinite, a.sign, b.sign)
    nan = a.nan | b.nan | (a.infinite & b.infinite & (a.sign != b.sign))
    magnitude = Mux(nan, NAN, Mux(a.infinite | b.infinite, INFINITY, nearest))
    return Mux(a.infinite | b.infinite, infinite, sign), magnitude


def _product(m: Any, a: Operand, b: Operand) -> tuple[Value, Value]:
    nearest = _nearest(m, a.units * b.units, ONE)
    nan = a.nan | b.nan | (a.infinite & b.zero) | (a.zero & b.infinite)
    magnitude = Mux(nan, NAN, Mux(a.infinite | b.infinite, INFINITY, nearest))
    return a.sign ^ b.sign, magnitude


SMALL = f"{EXPONENT_BITS} bits of exponent, {FRACTION_BITS} of fraction"
PROOFS = [
    Proof(
        name="float-add",
        block="float/add",
        claim="the sum of any two numbers is the nearest to the exact one, half to even; infinity, NaN, signs of zero",
        build=float_bench("add", _sum),
        bug=Bug("rtl.float.add", "BELOW = 3", "BELOW = 1"),
        reduced=SMALL,
    ),
    Proof(
        name="float-multiply",
        block="float/multiply",
        claim="the product of any two numbers is the nearest to the exact one, half to even; infinities, NaN, zeros",
        build=float_bench("multiply", _product),
        bug=Bug("rtl.float.number", "up = half & (aligned[: width - 2 - kept].any() | fraction[0])", "up = half"),
        reduced=SMALL,
    ),
]
