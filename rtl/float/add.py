"""Addition. Subtraction is the addition of a number with the other sign."""

from amaranth.hdl import Cat, Const, Module, Mux, signed

from rtl.float.number import Format, Number, Unrounded, named, shifted_right

BELOW = 3
"""Bits below the fraction that a rounding can depend on: a guard, one that a subtraction may shift up, a sticky one."""


def add_exact(m: Module, name: str, form: Format, a: Number, b: Number) -> Unrounded:
    """a + b, with a significand of ``fraction_bits + 5`` bits: a carry, the operand's, and :data:`BELOW`."""
    # The larger one's exponent is the sum's; the smaller one is shifted.
    a_order, b_order = Cat(a.significand, a.exponent), Cat(b.significand, b.exponent)
    swap = named(m, f"{name}_swap", a_order < b_order)
    large = named(m, f"{name}_large", Mux(swap, b_order, a_order))
    small = named(m, f"{name}_small", Mux(swap, a_order, b_order))
    split = form.fraction_bits + 1
    distance = named(m, f"{name}_distance", (large[split:] - small[split:])[: form.exponent_bits])
    addend = shifted_right(m, f"{name}_addend", Cat(Const(0, BELOW), small[:split]), distance)
    subtract = named(m, f"{name}_subtract", a.sign ^ b.sign)
    augend = Cat(Const(0, BELOW), large[:split])
    total = named(m, f"{name}_total", Mux(subtract, augend - addend, augend + addend)[: split + BELOW + 1])
    # Zero is positive unless both are negative.
    sign = Mux(total.any(), Mux(swap, b.sign, a.sign), a.sign & b.sign)
    infinite = a.infinite | b.infinite
    return Unrounded(
        sign=named(m, f"{name}_sign", Mux(infinite, Mux(a.infinite, a.sign, b.sign), sign)),
        exponent=named(m, f"{name}_exponent", large[split:] + Const(1, signed(2))),
        significand=total,
        nan=named(m, f"{name}_nan", a.nan | b.nan | (a.infinite & b.infinite & subtract)),
        infinite=infinite,
    )
