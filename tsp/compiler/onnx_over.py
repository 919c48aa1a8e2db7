"""ONNX operators that take float16 along some axes together: these are brought to the lanes, and back."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import onnx

from tsp.compiler import floats
from tsp.compiler.graph import Tensor
from tsp.compiler.onnx_moves import arranged, moved
from tsp.compiler.onnx_nodes import image_shape
from tsp.compiler.onnx_operands import Make, axes_of, axis_of
from tsp.compiler.onnx_values import Array, Value, made
from tsp.compiler.onnx_windows import windows_of

if TYPE_CHECKING:
    from tsp.compiler.onnx_import import Importer

Node = onnx.NodeProto


def softmax(i: "Importer", node: Node) -> Value:
    """Along an axis; before opset 13 along all from one on together."""
    x, back = _from(i, node, 1) if i.opset < 13 else _over(i, node, [i.attribute("axis", -1)])
    return back(floats.softmax(i.graph, x.tensor))


def layer_normalization(i: "Importer", node: Node) -> Value:
    x, back = _from(i, node)
    gain = _along(i, node, 1)
    bias = _along(i, node, 2) if len(node.input) > 2 and node.input[2] else None
    return back(floats.layer_norm(i.graph, x.tensor, gain, bias, i.attribute("epsilon", 1e-5)))


def rms_normalization(i: "Importer", node: Node) -> Value:
    x, back = _from(i, node)
    return back(floats.rms_norm(i.graph, x.tensor, _along(i, node, 1), i.attribute("epsilon", 1e-5)))


def reduce(i: "Importer", node: Node) -> Value:
    """Sum, mean or greatest over some axes, or all."""
    shape = i.unsettled(node, 0).shape
    if not (axes := axes_of(i, node, len(shape))):
        return i.value(node, 0)
    x, _ = _over(i, node, axes)
    half = floats.half(i.graph, x.tensor)
    if node.op_type == "ReduceMax":
        tensor = floats.take_features(i.graph, floats.max_features(i.graph, half), [0])
    else:
        tensor = floats.sum_features(i.graph, half)
        if node.op_type == "ReduceMean":
            tensor = i.graph.mul(tensor, np.float32(1 / x.shape[-1]))
    kept = [1 if axis in axes else size for axis, size in enumerate(shape)]
    left = kept if i.attribute("keepdims", 1) else [size for axis, size in enumerate(shape) if axis not in axes]
    return moved(made(x, tensor, (*x.shape[:-1], 1)), lambda array: array.reshape(left))


def average_pool(i: "Importer", node: Node) -> Value:
    """Of images of float16."""
    x = i.value(node, 0, "image")
    if x.dtype != "float16" or x.tensor.image is None:
        raise i.refused(f"averages float16 [n, channels, lines, columns], not {x.dtype}{list(x.shape)}")
    whole = node.op_type == "GlobalAveragePool"
    size = x.tensor.image[1:] if whole else tuple(i.attribute("kernel_shape", []))
    if len(size) != 2 or (i.attribute("ceil_mode", 0) and i.attribute("count_include_pad", 0)):
        raise i.refused("is supported with two axes, and without padding that counts if there is ceil_mode")
    half, counted = floats.half(i.graph, x.tensor), bool(i.attribute("count_include_pad", 0))
    tensor = i.graph.average_pool(half, (size[0], size[1]), windows_of(i, x, size), counted)
    return made(x, tensor, image_shape(tensor))


def _along(i: "Importer", node: Node, number: int) -> Array:
    """A constant for each number of the axes that are taken together."""
    shape, value = i.unsettled(node, 0).shape, i.constant(node, number).value
    wanted = shape[axis_of(i, i.attribute("axis", -1), len(shape)) :]
    try:
        return np.broadcast_to(value, wanted).reshape(-1)
    except ValueError:
        raise i.refused(f"of {list(wanted)} and {list(value.shape)}, which do not fit") from None


def _from(i: "Importer", node: Node, usual: int = -1) -> tuple[Value, Callable[[Tensor], Value]]:
    """The first input with all axes from a certain one on as its last."""
    axes = len(i.unsettled(node, 0).shape)
    return _over(i, node, list(range(axis_of(i, i.attribute("axis", usual), axes), axes)))


def _over(i: "Importer", node: Node, axes: list[int]) -> tuple[Value, Callable[[Tensor], Value]]:
    """The first input with some axes together as its last one, and what brings a result of that shape back."""
    given = i.unsettled(node, 0)
    if given.dtype != "float16":
        raise i.refused(f"sums {given.dtype}; the chip sums float16, so convert the model to it")
    shape = given.shape
    last = [axis_of(i, axis, len(shape)) for axis in axes]
    order = [axis for axis in range(len(shape)) if axis not in last] + last
    ordered = [shape[axis] for axis in order]
    flat = (*ordered[: -len(last)], int(np.prod(ordered[-len(last) :])))
    x = arranged(i, node.input[0], "plain", lambda array: array.transpose(order).reshape(flat))

    def back(tensor: Tensor) -> Value:
        found = made(x, tensor, flat)
        return moved(found, lambda array: array.reshape(ordered).transpose(np.argsort(order)))

    return x, back


OVER: dict[str, Make] = {
    "Softmax": softmax, "LayerNormalization": layer_normalization, "RMSNormalization": rms_normalization,
    "ReduceSum": reduce, "ReduceMean": reduce, "ReduceMax": reduce, "AveragePool": average_pool,
    "GlobalAveragePool": average_pool,
}  # fmt: skip
"""Operator → what makes it of float16."""
