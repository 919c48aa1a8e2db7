"""What goes across lanes: the ALUs never do, so bytes go through the MXM, whose weights of 0 and 1 move them as they
are."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from tsp.compiler.graph import Graph, Tensor, is_column


def moved(g: Graph, x: Tensor, features: Sequence[int]) -> Tensor:
    """Features of a tensor, in any order and any number of times. Of int8 in one product, of 32 bits in four."""
    weights = np.zeros((x.features, len(features)), np.int8)
    weights[list(features), np.arange(len(features))] = 1
    if x.dtype == "int8":
        return g.convert(g.matmul(x, weights), "int8")
    e = g.elementwise
    word = g.bits(x, "int32") if x.dtype == "float32" else x
    found: Tensor | None = None
    for place in range(0, 32, 8):
        octet = g.convert(e("shift_right", word, np.int32(place)), "int8", wrap=True)
        part = e("shift_left", e("bit_and", g.matmul(octet, weights), np.int32(255)), np.int32(place))
        found = part if found is None else e("bit_or", found, part)
    assert found is not None
    return g.bits(found, "float32") if x.dtype == "float32" else found


def spread(g: Graph, x: Tensor, features: int) -> Tensor:
    """One number as a row of so many, if it is not in every lane already."""
    return x if features == 1 or is_column(x) else moved(g, x, [0] * features)


def extreme(g: Graph, op: str, x: Tensor) -> Tensor:
    """[1, features]: in each the ``minimum`` or ``maximum`` of all elements. Halves meet, first of the rows, then of
    the features."""
    x = dataclasses.replace(x, image=None)
    while x.rows > 1:
        half = -(-x.rows // 2)
        # A copy first: two places of one tensor are not read at the same time.
        copy = g.convert(g.take(x, range(half)), x.dtype)
        x = g.convert(g.elementwise(op, copy, g.take(x, range(x.rows - half, x.rows))), x.dtype)
    step = 1
    while step < x.features:
        turned = [(number + step) % x.features for number in range(x.features)]
        x = g.convert(g.elementwise(op, x, moved(g, x, turned)), x.dtype)
        step *= 2
    return x


def first(g: Graph, x: Tensor) -> Tensor:
    """[1, 1] of a row."""
    return moved(g, x, [0]) if x.features > 1 else x
