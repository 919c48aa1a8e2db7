"""The quadratic that all functions of docs/float.md share: a table of segments and two small products."""

from amaranth.hdl import Const, Module, Value

from rtl.float.number import named
from tsp.float_tables import OFFSET_BITS, segments

C0_BITS, C1_BITS, C2_BITS = 29, 24, 16
"""Widths of a segment's coefficients."""


def quadratic(m: Module, name: str, index: Value, offset: Value) -> Value:
    """V of docs/float.md: 29 bits, in units of 2^-28.

    Args:
        index: of a segment, 9 bits.
        offset: r, 20 bits.
    """
    c0 = _coefficient(m, f"{name}_c0", [row.c0 for row in segments()], C0_BITS, index)
    c1 = _coefficient(m, f"{name}_c1", [row.c1 for row in segments()], C1_BITS, index).as_signed()
    c2 = _coefficient(m, f"{name}_c2", [row.c2 for row in segments()], C2_BITS, index).as_signed()
    slope = named(m, f"{name}_slope", (c1 + ((c2 * offset) >> OFFSET_BITS))[:C1_BITS]).as_signed()
    return named(m, f"{name}_value", (c0 + ((slope * offset) >> OFFSET_BITS))[:C0_BITS])


def _coefficient(m: Module, name: str, column: list[int], bits: int, index: Value) -> Value:
    """One column of the table, as a constant of words whose width is a power of two."""
    width = 1 << (bits - 1).bit_length()
    table = sum((value & (1 << bits) - 1) << width * i for i, value in enumerate(column))
    return named(m, name, Const(table, width * len(column)).word_select(index, width)[:bits])
