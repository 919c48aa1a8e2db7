"""Numbers that meet across lanes."""

import dataclasses

from tsp.compiler.graph import Graph, Tensor


def spread(g: Graph, x: Tensor, features: int) -> Tensor:
    """One number as a row of so many, if it is not in every lane already."""
    return x if features == 1 or x.is_column else g.gather(x, [0] * features, 1)


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
        x = g.convert(g.elementwise(op, x, g.gather(x, turned, 1)), x.dtype)
        step *= 2
    return x


def first(g: Graph, x: Tensor) -> Tensor:
    """[1, 1] of a row."""
    return g.gather(x, [0], 1) if x.features > 1 else x
