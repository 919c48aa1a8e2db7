"""Order of numbers. A NaN is neither less than nor equal to anything."""

from dataclasses import dataclass

from amaranth.hdl import Module, Mux, Value

from rtl.float.number import Number, named


@dataclass(frozen=True)
class Order:
    """How two numbers compare."""

    below: Value
    """a is below b where -0 is below +0; means nothing when unordered"""
    less: Value
    equal: Value
    unordered: Value
    """one of them is a NaN; then neither ``less`` nor ``equal`` holds"""


def compare(m: Module, name: str, a_bits: Value, a: Number, b_bits: Value, b: Number) -> Order:
    """Compare the numbers ``a`` and ``b``, given with their bits. Zeros of both signs are equal."""
    unordered = named(m, f"{name}_unordered", a.nan | b.nan)
    zeros = a.zero & b.zero
    equal = named(m, f"{name}_equal", ~unordered & (zeros | (a_bits == b_bits)))
    # Of two negative numbers the one with the larger magnitude is below; which one is where they are the same matters
    # to nobody, and ``less`` looks at ``equal``.
    smaller = named(m, f"{name}_smaller", a_bits[:-1] < b_bits[:-1])
    below = named(m, f"{name}_below", Mux(a.sign ^ b.sign, a.sign, smaller ^ a.sign))
    return Order(below, named(m, f"{name}_less", ~unordered & ~equal & below), equal, unordered)
