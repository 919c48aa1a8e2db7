"""Float operations on a graph: products of float16, functions, and what is made of them.

g = Graph()
x = g.input("x", (16, 576), "float16")
h = floats.rms_norm(g, x, gain)                      # float32
g.output("p", floats.softmax(g, g.matmul(half(g, h), w)))

Products take float16 and give float32; all else computes in float32. Of a computed matrix that is multiplied with, the
rows are the outputs: it is *stationary*, laid out in memory as LW reads it.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from tsp.compiler.tensor import Tensor, wide
from tsp.errors import InputError

if TYPE_CHECKING:
    from tsp.compiler.graph import Graph

Factor = Tensor | ArrayLike
"""Constant weights [inputs, outputs], or a stationary tensor [outputs, inputs]."""
LARGEST = 65504.0
"""The largest float16."""
SMALLEST = 2.0**-24
"""The smallest one above 0."""
MOST_LANES = 1 << 12
"""That a matrix turns round, which has the square of it."""


def half(graph: "Graph", x: Tensor) -> Tensor:
    """Rounded to float16."""
    return x if x.dtype == "float16" else graph.convert(x, "float16")


def products(
    graph: "Graph", pairs: Sequence[tuple[Tensor, Factor]], image: tuple[int, int, int] | None = None
) -> Tensor:
    """The sum of products of float16 [n, k] with weights: float32 [n, m]. Up to 16·S products are summed exactly and
    rounded once; such sums are added up in float32, in the order of the pairs. With one output, [n, 1], the number is
    in every lane, and meets every feature of another tensor. ``image``: what the rows are the pixels of."""
    if not pairs:
        raise InputError("products: no pair is given; give at least one of a tensor and weights")
    inputs, shapes = [], []
    for x, factor in pairs:
        w = factor if isinstance(factor, Tensor) else _weights(graph, factor)
        into, out = w.shape if w.value is not None else w.shape[::-1]
        if x.dtype != "float16" or w.dtype != "float16":
            raise InputError(f"products take float16, not {x} and {w}; convert them")
        if w.value is None and not is_stationary(w):
            raise InputError(f"products: {w} is computed; make it stationary first, or use matmul_transposed")
        if x.features != into:
            raise InputError(f"matmul: {x} has {x.features} features, but the weights {w} have {into} inputs")
        inputs += [x, w]
        shapes.append((x.rows, out))
    if len(set(shapes)) > 1:
        raise InputError(f"products of different shapes cannot be added: {', '.join(map(str, shapes))}")
    taps = (None,) * len(pairs)
    return graph.make("matmul", shapes[0], "float32", tuple(inputs), image, taps=taps, fill=0)


def byte_products(graph: "Graph", pairs: Sequence[tuple[Tensor, ArrayLike]], scale: ArrayLike) -> Tensor:
    """The sum of products of float16 [n, k] with constant int8 [k, m], output j times ``scale[j]``: float32 [n, m].

    A weight takes a byte: w + 128 alone in the low byte of a float16 is the subnormal (w + 128) · 2^-24. What 128 adds
    is the same for all outputs, and is taken off; of an infinity NaN is left. So a load of weights takes one plane, and
    the other one of the pair holds zeros.
    """
    bare, extra = [], []
    for x, factor in pairs:
        weights = np.asarray(factor)
        if weights.dtype != np.int8:
            raise InputError(f"byte_products of {x}: weights must be int8, not {weights.dtype}")
        bare.append((x, (weights.astype(np.int16) + 128).astype(np.uint16).view(np.float16)))
        extra += [x, shared(graph, f"bytes.{x.features}", np.full((x.features, 1), 128 * SMALLEST, np.float16))]
    made = (y for y in graph.tensors.values() if y.op == "matmul" and y.inputs == tuple(extra))
    offset = next(made, None) or products(graph, list(zip(extra[::2], extra[1::2], strict=True)))
    return graph.mul(graph.sub(products(graph, bare), offset), (np.asarray(scale) / SMALLEST).astype(np.float32))


def _weights(graph: "Graph", factor: ArrayLike) -> Tensor:
    """InputError for numbers that float16 does not hold exactly."""
    given = np.asarray(factor)
    with np.errstate(over="ignore"):
        rounded = given.astype(np.float16)
    other = given[~((given == rounded) | (given != given))].reshape(-1)
    if other.size:
        raise InputError(f"matmul: a weight, {other[0]}, is no float16; round the weights first, or scale them")
    return graph.constant(rounded)


def is_stationary(x: Tensor) -> bool:
    """Whether a tensor lies in memory as weights do."""
    return x.op == "concat" and bool(x.attribute("stationary"))


def matmul_transposed(graph: "Graph", x: Tensor, y: Tensor) -> Tensor:
    """float16 [n, k] times the transpose of a computed [m, k], which is rounded to float16: float32 [n, m]."""
    return products(graph, [(x, y if is_stationary(y) else stationary(graph, y.rows, [(0, y)]))])


def stationary(
    graph: "Graph", rows: int, parts: Sequence[tuple[int, Tensor]], keep: tuple[int, int] | None = None
) -> Tensor:
    """float16 [rows, k] of parts, each from a row on, and zeros between; for products only. Of the features those from
    ``keep[0]`` to ``keep[1]`` - 1 are kept, the others are zero."""
    first, last = keep or (0, parts[0][1].features)
    pieces = [graph.make("keep", x.shape, "float16", (x,), None, first=first, last=last) for _, x in parts]
    return _stack(graph, rows, [at for at, _ in parts], pieces, True)


def concat_rows(graph: "Graph", parts: Sequence[Tensor]) -> Tensor:
    """One below the other, in the type of the first."""
    dtype = parts[0].dtype
    if len({part.dtype for part in parts}) > 1:
        raise InputError(f"concat of {' and '.join(map(str, parts))}: types differ; convert them")
    pieces = [graph.convert(part, dtype) for part in parts]
    offsets = np.cumsum([0, *(piece.rows for piece in pieces)]).tolist()
    return _stack(graph, offsets.pop(), offsets, pieces, False)


def _stack(graph: "Graph", rows: int, offsets: list[int], pieces: list[Tensor], weights: bool) -> Tensor:
    features, end = pieces[0].features, 0
    for offset, piece in sorted(zip(offsets, pieces, strict=True), key=lambda part: part[0]):
        if piece.features != features or offset < end or offset + piece.rows > rows:
            raise InputError(f"{piece} does not fit at row {offset} of [{rows}, {features}], of which {end} are taken")
        end = offset + piece.rows
    attributes = {"offsets": tuple(offsets), "stationary": weights}
    return graph.make("concat", (rows, features), pieces[0].dtype, tuple(pieces), None, **attributes)


def take_rows(graph: "Graph", x: Tensor, rows: Sequence[int]) -> Tensor:
    """Rows of a tensor by constant numbers, in any order; nothing is moved."""
    wrong = [row for row in rows if not 0 <= row < x.rows]
    if wrong or not len(rows):
        raise InputError(f"rows {wrong[:3]} of {x}: it has rows 0…{x.rows - 1}, and at least one must be named")
    return graph.take(x, rows)


def transpose(graph: "Graph", x: Tensor) -> Tensor:
    """float32 [k, n] of float16 [n, k], exactly: a product of the unit matrix and x."""
    unit = graph.constant(np.eye(x.features, dtype=np.float16))
    return matmul_transposed(graph, unit, x)


def concat_features(graph: "Graph", parts: Sequence[Tensor]) -> Tensor:
    """float32 [n, all features] of float16 tensors side by side, exactly: each times a matrix that moves its lanes."""
    ends = np.cumsum([part.features for part in parts])
    pairs: list[tuple[Tensor, Factor]] = []
    for part, end in zip(parts, ends.tolist(), strict=True):
        pairs.append((part, np.eye(part.features, ends[-1], end - part.features, np.float16)))
    return products(graph, pairs)


def take_features(graph: "Graph", x: Tensor, features: Sequence[int]) -> Tensor:
    """float32 [n, len(features)] of a float16 tensor, exactly: times a matrix that chooses."""
    chosen = np.zeros((x.features, len(features)), np.float16)
    chosen[list(features), range(len(features))] = 1
    return products(graph, [(x, chosen)])


def exp(graph: "Graph", x: Tensor) -> Tensor:
    """e to the power of each number, by docs/float.md within 2 units in the last place."""
    return _function(graph, "exp", x)


def tanh(graph: "Graph", x: Tensor) -> Tensor:
    """Hyperbolic tangent, by docs/float.md within 2 units in the last place."""
    return _function(graph, "tanh", x)


def rsqrt(graph: "Graph", x: Tensor) -> Tensor:
    """1 / √x, by docs/float.md within 2 units in the last place."""
    return _function(graph, "rsqrt", x)


def _function(graph: "Graph", op: str, x: Tensor) -> Tensor:
    if wide(x.dtype) != "float32":
        raise InputError(f"{op} of {x}: takes floats; convert it")
    return graph.make(op, x.shape, "float32", (x,), x.image)


def reciprocal(graph: "Graph", x: Tensor) -> Tensor:
    """1 / x of positive numbers: the square of 1 / √x."""
    root = rsqrt(graph, x)
    return graph.mul(root, root)


def sum_features(graph: "Graph", x: Tensor) -> Tensor:
    """float32 [n, 1] of float16: a product with ones."""
    return products(graph, [(x, ones(graph, x.features))])


def ones(graph: "Graph", inputs: int) -> Tensor:
    """float16 [inputs, 1]."""
    return shared(graph, f"ones.{inputs}", np.ones((inputs, 1), np.float16))


def max_features(graph: "Graph", x: Tensor, width: int = 0) -> Tensor:
    """float16 [n, k]: in each lane the greatest of the row. Every step takes the greater of a lane and of one twice as
    far away as before, round the end; a product with a permutation moves them, exactly. ``width``: 16·S of the chip if
    k may be more, then of the blocks the greatest is taken first, and the result is [n, width]."""
    found = half(graph, x)
    if width and x.features > width:
        found = half(graph, _greatest_block(graph, found, width))
    k, distance = found.features, 1
    if k > MOST_LANES:
        raise InputError(f"the greatest of {x}: it is found among at most {MOST_LANES} features, or with a width")
    while distance < k:
        moved = shared(graph, f"rotation.{k}.{distance}", np.roll(np.eye(k, dtype=np.float16), distance, 1))
        found = half(graph, graph.maximum(products(graph, [(found, moved)]), found))
        distance *= 2
    return found


def _greatest_block(graph: "Graph", x: Tensor, width: int) -> Tensor:
    """[n, width]: of each lane the greatest over the blocks; the last one counts as far as it goes."""
    *firsts, last = range(0, x.features, width)
    there = graph.constant((np.arange(width) < x.features - last).astype(np.int8))
    found = graph.select(there, columns(graph, x, last, width), np.float32(-LARGEST))
    for first in firsts:
        found = graph.maximum(found, columns(graph, x, first, width))
    return found


def columns(graph: "Graph", x: Tensor, first: int, width: int) -> Tensor:
    """``width`` features from ``first`` on, which begin a block of 16·S; nothing is moved. What lies beyond the last
    means nothing."""
    return graph.make("columns", (x.rows, width), x.dtype, (x,), None, first=first)


def softmax(graph: "Graph", x: Tensor, width: int = 0) -> Tensor:
    """exp(x - max x) / the sum of it over the features, float32, for x up to 65504; -inf counts nothing. The maximum is
    that of x in float16, the numerator is rounded to float16, and so its sum is exact but for roundings to float32.
    ``width``: see :func:`max_features`."""
    # The lanes of the maximum are moved by products, in which an infinity would make NaN of its whole row.
    finite = half(graph, graph.maximum(x, np.float32(-LARGEST)))
    top = max_features(graph, finite, width)
    if top.shape != x.shape:
        top = take_features(graph, top, [0])
    numerator = half(graph, exp(graph, graph.sub(x, top)))
    return graph.mul(numerator, reciprocal(graph, sum_features(graph, numerator)))


def rms_norm(
    graph: "Graph", x: Tensor, gain: ArrayLike | None = None, epsilon: float = 1e-5, scale: float = 1.0
) -> Tensor:
    """x / √(mean of x² + epsilon) · gain, float32. Squares of x · ``scale`` are rounded to float16 before they are
    summed, so |x| · scale must be below 256, and should be far from its least number, 2^-24, in the mean."""
    scaled = graph.mul(x, np.float32(scale)) if scale != 1.0 else x
    total = sum_features(graph, half(graph, graph.mul(scaled, scaled)))
    mean = graph.mul(total, np.float32(1.0 / (x.features * scale * scale)))
    found = graph.mul(x, rsqrt(graph, graph.add(mean, np.float32(epsilon))))
    return found if gain is None else graph.mul(found, np.asarray(gain, np.float32))


def layer_norm(
    graph: "Graph", x: Tensor, gain: ArrayLike | None = None, bias: ArrayLike | None = None, epsilon: float = 1e-5,
    scale: float = 1.0,
) -> Tensor:  # fmt: skip
    """(x - mean) / √(variance + epsilon) · gain + bias, float32. The mean is that of x in float16; squares as in
    :func:`rms_norm`."""
    mean = graph.mul(sum_features(graph, half(graph, x)), np.float32(1.0 / x.features))
    found = rms_norm(graph, graph.sub(x, mean), gain, epsilon, scale)
    return found if bias is None else graph.add(found, np.asarray(bias, np.float32))


def sigmoid(graph: "Graph", x: Tensor) -> Tensor:
    """1 / (1 + exp(-x)) as ½ + ½ tanh(x / 2)."""
    return graph.add(graph.mul(tanh(graph, graph.mul(x, np.float32(0.5))), np.float32(0.5)), np.float32(0.5))


def silu(graph: "Graph", x: Tensor) -> Tensor:
    """x · sigmoid(x)."""
    return graph.mul(sigmoid(graph, x), x)


def shared(graph: "Graph", name: str, value: np.ndarray) -> Tensor:
    """A constant that is there once."""
    return graph.tensors.get(name) or graph.constant(value, name=name)
