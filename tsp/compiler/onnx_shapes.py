"""ONNX operators that move the numbers of floating-point tensors: rows by reading them in another order, lanes by
products with matrices of ones and zeros, which are exact."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from numpy.typing import NDArray

from tsp.compiler import floats
from tsp.compiler.graph import Tensor
from tsp.compiler.onnx_values import Constant, Value

if TYPE_CHECKING:
    from tsp.compiler.onnx_import import Importer

Node = onnx.NodeProto
Shape = tuple[int, ...]


def is_float(x: Value | Constant | None) -> bool:
    """Whether these are numbers that the chip computes with as floats."""
    return isinstance(x, Value) and x.scale is None and x.tensor.dtype.startswith("float")


def made(like: Value, tensor: Tensor, shape: Sequence[int]) -> Value:
    """What a node makes, in the model's type of ``like``."""
    return dataclasses.replace(like, tensor=tensor, shape=tuple(int(n) for n in shape))


def _ordered(i: "Importer", x: Tensor, rows: NDArray[Any]) -> Tensor:
    """Rows in another order."""
    chosen = rows.reshape(-1).tolist()
    return x if chosen == list(range(x.rows)) else floats.take_rows(i.graph, x, chosen)


def _lanes(i: "Importer", x: Value) -> Tensor:
    """float16, as products that move lanes take it. InputError for float32, which they would round."""
    if x.dtype != "float16":
        raise i.refused(f"moves {x.dtype} between lanes, where only float16 goes")
    return floats.half(i.graph, x.tensor)


def transpose(i: "Importer", node: Node) -> Value:
    x = i.value(node, 0)
    axes = list(i.attribute("perm", None) or range(len(x.shape))[::-1])
    shape = [x.shape[axis] for axis in axes]
    last = len(axes) - 1
    if axes[-1] == last:
        rows = np.arange(x.tensor.rows).reshape(x.shape[:-1]).transpose(axes[:-1])
        return made(x, _ordered(i, x.tensor, rows), shape)
    # Bring the axis that becomes the last before the lanes; then each matrix is transposed.
    before = [axis for axis in axes if axis != last and axis != axes[-1]] + [axes[-1]]
    rows = np.arange(x.tensor.rows).reshape(x.shape[:-1]).transpose(before)
    stacked = _ordered(i, _lanes(i, x), rows)
    n = x.shape[axes[-1]]
    count = x.tensor.rows // n
    parts = [floats.transpose(i.graph, floats.take_rows(i.graph, stacked, range(c * n, (c + 1) * n)))
             for c in range(count)]  # fmt: skip
    tensor = parts[0] if count == 1 else floats.concat_rows(i.graph, parts)
    if axes[-2] == last:
        # A product with its transpose takes the matrices as they were.
        i.crossed[node.output[0]] = made(x, stacked, ())
    now = [*before[:-1], last]
    order = np.arange(tensor.rows).reshape([x.shape[axis] for axis in now])
    return made(x, _ordered(i, tensor, order.transpose([now.index(axis) for axis in axes[:-1]])), shape)


def reshape(i: "Importer", node: Node) -> Value:
    """To other axes; the last one may be split, or merged with those before it."""
    x = i.value(node, 0)
    if node.op_type == "Reshape":
        shape = [x.shape[n] if size == 0 else size for n, size in enumerate(i.constant(node, 1).value.tolist())]
    elif node.op_type == "Flatten":
        axis = i.attribute("axis", 1)
        shape = [int(np.prod(x.shape[:axis])), -1]
    elif node.op_type == "Squeeze":
        gone = [axis % len(x.shape) for axis in i.constant(node, 1).value.tolist()]
        shape = [size for n, size in enumerate(x.shape) if n not in gone]
    else:
        shape = list(x.shape)
        for axis in sorted(i.constant(node, 1).value.tolist()):
            shape.insert(axis if axis >= 0 else len(shape) + 1 + axis, 1)
    if -1 in shape:
        shape[shape.index(-1)] = int(np.prod(x.shape)) // -int(np.prod(shape))
    return made(x, _refold(i, x, shape[-1]), shape)


def _refold(i: "Importer", x: Value, features: int) -> Tensor:
    """The same numbers in rows of ``features``."""
    before, rows = x.tensor.features, x.tensor.rows
    if features == before:
        return x.tensor
    if before % features == 0:
        half, parts = _lanes(i, x), before // features
        pieces = [floats.take_features(i.graph, half, range(p * features, (p + 1) * features)) for p in range(parts)]
        stacked = floats.concat_rows(i.graph, [floats.half(i.graph, piece) for piece in pieces])
        return _ordered(i, stacked, np.arange(parts * rows).reshape(parts, rows).T)
    if features % before == 0:
        half, parts = _lanes(i, x), features // before
        picked = [floats.take_rows(i.graph, half, range(p, rows, parts)) for p in range(parts)]
        return floats.concat_features(i.graph, picked)
    raise i.refused(f"makes rows of {features} from rows of {before}; one must divide the other")


def concat(i: "Importer", node: Node) -> Value:
    """Of computed tensors."""
    parts = [i.value(node, number) for number in range(len(node.input))]
    axis = i.attribute("axis", 0) % len(parts[0].shape)
    shape = list(parts[0].shape)
    shape[axis] = sum(part.shape[axis] for part in parts)
    if axis == len(shape) - 1:
        return made(parts[0], floats.concat_features(i.graph, [_lanes(i, part) for part in parts]), shape)
    stacked = floats.concat_rows(i.graph, [floats.half(i.graph, p.tensor) if p.dtype == "float16" else p.tensor
                                           for p in parts])  # fmt: skip
    ends = np.cumsum([0, *(part.tensor.rows for part in parts)])
    rows = [np.arange(a, b).reshape(part.shape[:-1]) for part, a, b in zip(parts, ends, ends[1:], strict=False)]
    return made(parts[0], _ordered(i, stacked, np.concatenate(rows, axis)), shape)


def gather(i: "Importer", node: Node) -> Value:
    """By constant numbers."""
    x = i.value(node, 0)
    axis, numbers = i.attribute("axis", 0) % len(x.shape), i.constant(node, 1).value
    numbers = np.where(numbers < 0, numbers + x.shape[axis], numbers)
    if numbers.size and (numbers.min() < 0 or numbers.max() >= x.shape[axis]):
        raise i.refused(f"takes number {numbers.max()} of an axis of {x.shape[axis]}")
    return _chosen(i, x, axis, numbers)


def _chosen(i: "Importer", x: Value, axis: int, numbers: NDArray[Any]) -> Value:
    last = axis == len(x.shape) - 1
    if last and numbers.ndim != 1:
        raise i.refused(f"takes numbers of {list(numbers.shape)} along the last axis; they must be a list")
    shape = (*x.shape[:axis], *numbers.shape, *x.shape[axis + 1 :])
    if last:
        return made(x, floats.take_features(i.graph, _lanes(i, x), numbers.tolist()), shape)
    rows = np.take(np.arange(x.tensor.rows).reshape(x.shape[:-1]), numbers, axis)
    return made(x, _ordered(i, x.tensor, rows), shape)


def slice_(i: "Importer", node: Node) -> Value:
    x = i.value(node, 0)
    starts, ends = (i.constant(node, number).value.tolist() for number in (1, 2))
    axes = i.constant(node, 3, np.arange(len(starts))).value.tolist()
    steps = i.constant(node, 4, np.ones(len(starts), int)).value.tolist()
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        x = _chosen(i, x, axis % len(x.shape), np.arange(x.shape[axis])[start:end:step])
    return x


def identity(i: "Importer", node: Node) -> Value | Constant:
    return i.known[node.input[0]]


SHAPES: dict[str, Callable[["Importer", Node], Value | Constant]] = {
    "Transpose": transpose, "Reshape": reshape, "Flatten": reshape, "Squeeze": reshape, "Unsqueeze": reshape,
    "Concat": concat, "Gather": gather, "Slice": slice_, "Identity": identity,
}  # fmt: skip
"""Operator → what makes it of floats."""
