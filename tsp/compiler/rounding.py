"""Floats brought to whole numbers."""

import numpy as np

from tsp.compiler.division import ABSOLUTE, SIGN
from tsp.compiler.graph import Graph, Tensor

WHOLE = 2.0**23
"""Floats from here on are whole numbers."""


def rounded(g: Graph, x: Tensor) -> Tensor:
    """The nearest whole number as float32, half to even; −0.4 gives −0."""
    e = g.elementwise
    word = g.bits(x, "int32")
    magnitude = g.bits(e("bit_and", word, np.int32(ABSOLUTE)), "float32")
    # 2^23 more leaves no place behind the point, and the addition rounds.
    near = g.sub(g.add(magnitude, np.float32(WHOLE)), np.float32(WHOLE))
    signed = e("bit_or", g.bits(near, "int32"), e("bit_and", word, np.int32(SIGN)))
    return g.bits(g.select(e("less", magnitude, np.float32(WHOLE)), signed, word), "float32")


def truncated(g: Graph, x: Tensor) -> Tensor:
    """The whole number next to x toward zero, as int32, saturated. Of NaN 0."""
    e, zero = g.elementwise, np.float32(0)
    near = g.convert(x, "int32")
    back = g.convert(near, "float32")
    above = e("bit_and", e("greater", back, x), e("greater", x, zero))
    below = e("bit_and", e("less", back, x), e("less", x, zero))
    return g.add(g.sub(near, above), below)
