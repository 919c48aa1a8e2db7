"""Floating point of IEEE 754 in combinational logic, for any width of exponent and fraction.

An operation makes an exact :class:`~rtl.float.number.Unrounded` of its operands, and one rounder
(:func:`~rtl.float.number.rounded`) makes a number of whichever operation was asked for.
"""

from rtl.float.add import add_exact
from rtl.float.multiply import multiply_exact
from rtl.float.number import FP16, FP32, Format, Number, Unrounded, rounded, unpack

__all__ = ["FP16", "FP32", "Format", "Number", "Unrounded", "add_exact", "multiply_exact", "rounded", "unpack"]
