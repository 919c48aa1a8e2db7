"""Multiplication."""

from amaranth.hdl import Module, Value

from rtl.float.number import Format, Number, Unrounded, named


def multiply_exact(m: Module, name: str, form: Format, a: Number, b: Number, product: Value | None = None) -> Unrounded:
    """a · b, with a significand of twice the operands' bits.

    Args:
        product: of the significands, if another operation shares the multiplier; bits beyond theirs do not matter.
    """
    width = 2 * (form.fraction_bits + 1)
    if product is None:
        product = named(m, f"{name}_product", a.significand * b.significand)
    return Unrounded(
        sign=named(m, f"{name}_sign", a.sign ^ b.sign),
        # Operands are in [0, 2), so the product is in [0, 4): its top bit stands for 2.
        exponent=named(m, f"{name}_exponent", a.exponent + b.exponent - (form.bias - 1)),
        significand=product[:width],
        nan=named(m, f"{name}_nan", a.nan | b.nan | (a.infinite & b.zero) | (a.zero & b.infinite)),
        infinite=a.infinite | b.infinite,
    )
