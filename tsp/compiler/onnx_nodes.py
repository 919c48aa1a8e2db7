"""What each supported ONNX operator becomes. A function takes the importer and a node, and returns its first output."""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from tsp.compiler.graph import COMPARES, ELEMENTWISE, Tensor
from tsp.compiler.onnx_values import Constant, Value
from tsp.compiler.onnx_windows import windows_of

if TYPE_CHECKING:
    from tsp.compiler.onnx_import import Importer

Node = onnx.NodeProto
BYTES = ("int8", "uint8")


def sums_of(i: "Importer", x: Value, zero: int, weights: Any, weights_zero: Any, images: bool) -> Value:
    """Sums of products of what is in bytes with constant weights, as int32."""
    if images and weights.ndim != 4:
        raise i.refused(f"takes weights [out, in, lines, columns], not {list(weights.shape)}")
    whole = weights.astype(np.int64)
    offset = np.asarray(weights_zero, np.int64)
    if images:
        i.images(x)
        offset = offset.reshape(-1, 1, 1, 1) if offset.size > 1 else offset
        whole = i.dense(_less(i, whole, offset), x.tensor.features)
        if whole.shape[1] != x.tensor.features:
            raise i.refused(f"weights take {whole.shape[1]} channels, but there are {x.tensor.features}; see group")
    elif not i.fits(x, weights.shape):
        kinds = f"{x.dtype}{list(x.shape)} and {list(weights.shape)}"
        raise i.refused(f"takes bytes times a constant int8 or uint8 matrix, or a stack of them, not {kinds}")
    else:
        whole = _less(i, whole, offset)
    tensor, plus = i.products(x, zero, whole, images)
    shape = image_shape(tensor) if images else (*x.shape[:-1], tensor.features)
    bound = 255 * int(np.abs(whole).sum((1, 2, 3) if images else -2).max())
    return Value(tensor, "int32", shape, plus=plus, bound=bound)


def _less(i: "Importer", weights: Any, zeros: Any) -> Any:
    try:
        return np.broadcast_to(weights - zeros, weights.shape)
    except ValueError:
        kinds = f"{zeros.size} zero points of weights {list(weights.shape)}"
        raise i.refused(f"has {kinds}; there must be one, or one for each output") from None


def image_shape(x: Tensor) -> tuple[int, ...]:
    """[n, channels, lines, columns]."""
    assert x.image is not None
    return x.image[0], x.features, *x.image[1:]


def matmul_integer(i: "Importer", node: Node) -> Value:
    x, weights = i.rows(node, 0), i.constant(node, 1).value
    return sums_of(i, x, int(i.scalar(node, 2, 0)), weights, i.constant(node, 3, 0).value, False)


def conv_integer(i: "Importer", node: Node) -> Value:
    x, weights = i.value(node, 0, "image"), i.constant(node, 1).value
    return sums_of(i, x, int(i.scalar(node, 2, 0)), weights, i.constant(node, 3, 0).value, True)


def max_pool(i: "Importer", node: Node) -> Value:
    x = i.value(node, 0, "image")
    i.images(x)
    size = tuple(i.attribute("kernel_shape", []))
    if len(size) != 2 or len([name for name in node.output if name]) > 1:
        raise i.refused("is supported with two axes, without indices")
    tensor = i.graph.max_pool(x.tensor, (int(size[0]), int(size[1])), windows_of(i, x, size))
    return dataclasses.replace(x, tensor=tensor, shape=image_shape(tensor))


def binary(name: str) -> Callable[["Importer", Node], Value]:
    """An operation on whole numbers, which wrap as those of their type do; compares make bool."""

    def make(i: "Importer", node: Node) -> Value:
        parts = [i.known[name] for name in node.input]
        computed = [part for part in parts if isinstance(part, Value)]
        if any(x.dtype not in (*BYTES, "int32") or x.scale is not None for x in computed) or len(parts) > 2:
            raise i.refused("is supported on two tensors of int8, uint8 or int32")
        if not computed:
            raise i.refused("takes constants alone; it is computed with a tensor")
        first = computed[0]
        if len(computed) == 2 and computed[1].shape != first.shape:
            raise i.refused(f"of {list(first.shape)} and {list(computed[1].shape)}: only a constant is broadcast")
        operands = [
            _exact(i, part) if isinstance(part, Value) else i.graph.constant(_broadcast(i, first, parts), "int32")
            for part in parts
        ]
        tensor = i.graph.elementwise(name, *operands)
        if ELEMENTWISE[name] in COMPARES:
            return Value(i.graph.convert(tensor, "int8", wrap=True), "bool", first.shape)
        return _wrapped(i, tensor, first)

    return make


def _exact(i: "Importer", x: Value) -> Tensor:
    """The numbers themselves, as int32 if they are held less something."""
    return i.graph.add(x.tensor, np.int32(x.offset)) if x.offset else x.tensor


def _wrapped(i: "Importer", tensor: Tensor, like: Value) -> Value:
    """int32 brought to the type of a value, modulo its range."""
    if like.dtype in BYTES:
        moved = i.graph.sub(tensor, np.int32(like.offset)) if like.offset else tensor
        tensor = i.graph.convert(moved, "int8", wrap=True)
    return dataclasses.replace(like, tensor=tensor)


def bit_shift(i: "Importer", node: Node) -> Value:
    """To the left, or to the right with the sign: of a negative number its complement is shifted."""
    if i.attribute("direction", b"") == b"LEFT":
        return binary("shift_left")(i, node)
    x = i.value(node, 0)
    if x.dtype == "uint8":
        return binary("shift_right")(i, node)
    graph, number = i.graph, x.tensor
    sign = graph.mul(graph.elementwise("shift_right", number, np.int32(31)), np.int32(-1))
    i.known[node.input[0]] = dataclasses.replace(x, tensor=graph.elementwise("bit_xor", number, sign), dtype="int32")
    shifted = binary("shift_right")(i, node).tensor
    i.known[node.input[0]] = x
    return _wrapped(i, graph.elementwise("bit_xor", shifted, sign), x)


def clip(i: "Importer", node: Node) -> Value:
    """Between constants, either of which may be missing."""
    x = i.value(node, 0)
    if x.dtype not in (*BYTES, "int32") or x.scale is not None:
        raise i.refused("is supported on int8, uint8 and int32")
    tensor = _exact(i, x)
    for number, name in ((1, "maximum"), (2, "minimum")):
        if len(node.input) > number and node.input[number]:
            tensor = i.graph.elementwise(name, tensor, np.int32(i.scalar(node, number)))
    return _wrapped(i, tensor, x)


def bitwise_not(i: "Importer", node: Node) -> Value:
    x = i.value(node, 0)
    if x.dtype not in (*BYTES, "int32"):
        raise i.refused("is supported on int8, uint8 and int32")
    return _wrapped(i, i.graph.elementwise("bit_xor", _exact(i, x), np.int32(-1)), x)


def _broadcast(i: "Importer", x: Value, parts: list[Any]) -> Any:
    """A constant as one number, one per feature, or one per element."""
    value = next(part.value for part in parts if isinstance(part, Constant))
    if value.size == 1:
        return value.reshape(-1).astype(np.int32)
    try:
        whole = np.broadcast_to(value, x.shape)
    except ValueError:
        raise i.refused(f"adds {list(value.shape)} to {list(x.shape)}, which do not fit") from None
    moved = np.moveaxis(whole, 1, -1) if x.tensor.image is not None else whole
    rows = moved.reshape(x.tensor.shape).astype(np.int32)
    return rows[:1] if (rows == rows[:1]).all() else rows


NODES: dict[str, Callable[["Importer", Node], Value | Constant]] = {
    "MatMulInteger": matmul_integer, "ConvInteger": conv_integer, "MaxPool": max_pool, "Sub": binary("sub"),
    "Mul": binary("mul"), "Min": binary("minimum"), "Max": binary("maximum"),
    "BitwiseAnd": binary("bit_and"), "BitwiseOr": binary("bit_or"), "BitwiseNot": bitwise_not,
    "BitwiseXor": binary("bit_xor"), "BitShift": bit_shift, "Clip": clip, "Equal": binary("equal"),
    "Less": binary("less"), "LessOrEqual": binary("less_equal"), "Greater": binary("greater"),
    "GreaterOrEqual": binary("greater_equal"),
}  # fmt: skip
"""Operator → what makes it."""
