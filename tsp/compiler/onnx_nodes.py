"""What each supported ONNX operator becomes. A function takes the importer and a node, and returns its first output."""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from tsp.compiler.graph import COMPARES, ELEMENTWISE, Tensor
from tsp.compiler.onnx_values import Constant, Value

if TYPE_CHECKING:
    from tsp.compiler.onnx_import import Importer

Node = onnx.NodeProto
_BYTES = ("int8", "uint8")


def _sums(i: "Importer", x: Value, zero: int, weights: Any, weights_zero: Any, images: bool) -> Value:
    """Sums of products of what is in bytes with constant weights, as int32."""
    whole = weights.astype(np.int64)
    offset = np.asarray(weights_zero, np.int64)
    if images:
        i.images(x)
        offset = offset.reshape(-1, 1, 1, 1) if offset.size > 1 else offset
        whole = i.dense(whole - offset, x.tensor.features)
        if whole.shape[1] != x.tensor.features:
            raise i.refused(f"weights take {whole.shape[1]} channels, but there are {x.tensor.features}; see group")
    elif weights.ndim != 2 or x.tensor.dtype != "int8":
        raise i.refused(f"takes bytes times a constant int8 or uint8 matrix, not {x.dtype} and {list(weights.shape)}")
    else:
        whole = whole - offset
    tensor = i.products(x, zero, whole, images)
    shape = (*x.shape[:-1], tensor.features)
    return Value(tensor, "int32", _image_shape(tensor) if images else shape)


def _image_shape(x: Tensor) -> tuple[int, ...]:
    """[n, channels, lines, columns]."""
    assert x.image is not None
    return x.image[0], x.features, *x.image[1:]


def matmul_integer(i: "Importer", node: Node) -> Value:
    x, weights = i.value(node, 0), i.constant(node, 1).value
    return _sums(i, x, int(i.scalar(node, 2, 0)), weights, i.constant(node, 3, 0).value, False)


def conv_integer(i: "Importer", node: Node) -> Value:
    x, weights = i.value(node, 0), i.constant(node, 1).value
    return _sums(i, x, int(i.scalar(node, 2, 0)), weights, i.constant(node, 3, 0).value, True)


def _requantised(i: "Importer", sums: Value, scale: Any, zero: Any) -> Value:
    """Sums times a scale, in the type of the zero point."""
    dtype = str(np.asarray(zero).dtype)
    if dtype not in _BYTES:
        raise i.refused(f"makes {dtype}; int8 and uint8 are supported")
    tensor, offset = i.quantised(sums.tensor, np.asarray(scale, np.float32), dtype, int(zero))
    return Value(tensor, dtype, sums.shape, offset)


def qlinear_matmul(i: "Importer", node: Node) -> Value:
    x, weights = i.value(node, 0), i.constant(node, 3).value
    sums = _sums(i, x, int(i.scalar(node, 2)), weights, i.constant(node, 5).value, False)
    scale = np.float32(i.scalar(node, 1)) * i.constant(node, 4).value.astype(np.float32)
    return _requantised(i, sums, scale / np.float32(i.scalar(node, 6)), i.scalar(node, 7))


def qlinear_conv(i: "Importer", node: Node) -> Value:
    x, weights = i.value(node, 0), i.constant(node, 3).value
    sums = _sums(i, x, int(i.scalar(node, 2)), weights, i.constant(node, 5).value, True)
    if len(node.input) > 8 and node.input[8]:
        sums = dataclasses.replace(sums, tensor=i.graph.add(sums.tensor, i.constant(node, 8).value.astype(np.int32)))
    scale = np.float32(i.scalar(node, 1)) * i.constant(node, 4).value.astype(np.float32)
    return _requantised(i, sums, scale / np.float32(i.scalar(node, 6)), i.scalar(node, 7))


def dequantize(i: "Importer", node: Node) -> Value | Constant:
    """Nothing is computed: the scale goes with the tensor."""
    x, scale = i.known[node.input[0]], i.constant(node, 1).value.astype(np.float32)
    zero = i.constant(node, 2, 0).value
    if isinstance(x, Constant):
        return Constant(x.value, scale, zero)
    if scale.size != 1 or x.scale is not None:
        raise i.refused("takes one scale for all of a tensor that is not dequantised already")
    return dataclasses.replace(x, scale=scale.reshape(()), zero=int(zero.reshape(-1)[0]))


def quantize(i: "Importer", node: Node) -> Value:
    """Sums of a matmul or convolution of dequantised tensors are scaled once, as onnxruntime does."""
    x, scale = i.value(node, 0), np.float32(i.scalar(node, 1))
    zero = i.scalar(node, 2, np.uint8(0))
    if x.scale is None:
        raise i.refused("quantises a float that is computed as such; only sums of dequantised tensors are supported")
    if x.tensor.dtype == "int32":
        return _requantised(i, x, np.asarray(x.scale, np.float32) / scale, zero)
    same = x.scale.size == 1 and float(x.scale) == float(scale) and x.zero == int(zero)
    if not same or x.dtype != str(zero.dtype):
        raise i.refused("changes the scale of a tensor; only that of sums can change")
    return dataclasses.replace(x, scale=None, zero=0)


def _dequantised_product(i: "Importer", node: Node, images: bool, transposed: bool = False) -> Value:
    """A product of a dequantised tensor and dequantised weights, and its bias, whose scale is that of the sums."""
    x, weights = i.value(node, 0), i.constant(node, 1)
    if x.scale is None or weights.scale is None:
        raise i.refused("multiplies floats; put DequantizeLinear before both inputs")
    matrix = weights.value.T if transposed else weights.value
    sums = _sums(i, x, x.zero, matrix, weights.zero, images)
    scale = np.asarray(np.float32(x.scale) * weights.scale, np.float32)
    if len(node.input) > 2 and node.input[2]:
        bias = i.constant(node, 2)
        found = bias.value
        if bias.scale is None:
            # The bias of a float model, brought to whole sums as quantisers do.
            found = np.rint(bias.value.astype(np.float64) / scale)
        elif not np.allclose(bias.scale, scale, rtol=1e-5):
            raise i.refused("has a bias whose scale is not that of the sums (scale of input times scale of weights)")
        sums = dataclasses.replace(sums, tensor=i.graph.add(sums.tensor, found.reshape(-1).astype(np.int32)))
    return dataclasses.replace(sums, dtype="float32", scale=scale)


def matmul(i: "Importer", node: Node) -> Value:
    return _dequantised_product(i, node, False)


def gemm(i: "Importer", node: Node) -> Value:
    if i.attribute("alpha", 1.0) != 1.0 or i.attribute("beta", 1.0) != 1.0 or i.attribute("transA", 0):
        raise i.refused("is supported with alpha=1, beta=1, transA=0")
    return _dequantised_product(i, node, False, bool(i.attribute("transB", 0)))


def conv(i: "Importer", node: Node) -> Value:
    return _dequantised_product(i, node, True)


def relu(i: "Importer", node: Node) -> Value:
    x = i.value(node, 0)
    if x.offset or x.zero or x.tensor.dtype not in ("int32", "int8"):
        raise i.refused("is supported on int32, on sums, and on int8 with zero point 0")
    tensor = i.graph.relu(x.tensor)
    return dataclasses.replace(x, tensor=i.graph.convert(tensor, "int8") if x.tensor.dtype == "int8" else tensor)


def max_pool(i: "Importer", node: Node) -> Value:
    x = i.value(node, 0)
    i.images(x)
    size = tuple(i.attribute("kernel_shape", []))
    if len(size) != 2 or i.attribute("ceil_mode", 0) or len([name for name in node.output if name]) > 1:
        raise i.refused("is supported with two axes, without ceil_mode and indices")
    tensor = i.graph.max_pool(x.tensor, (int(size[0]), int(size[1])), i.windows(x, size))
    return dataclasses.replace(x, tensor=tensor, shape=_image_shape(tensor))


def _binary(name: str) -> Callable[["Importer", Node], Value]:
    """An operation on whole numbers, which wrap as those of their type do; compares make bool."""

    def make(i: "Importer", node: Node) -> Value:
        parts = [i.known[name] for name in node.input]
        computed = [part for part in parts if isinstance(part, Value)]
        if any(x.dtype not in (*_BYTES, "int32") or x.scale is not None for x in computed) or len(parts) > 2:
            raise i.refused("is supported on two tensors of int8, uint8 or int32")
        if not computed or not isinstance(parts[0], Value):
            raise i.refused("takes a tensor first, then a tensor or a constant")
        first = computed[0]
        if len(computed) == 2 and computed[1].shape != first.shape:
            raise i.refused(f"of {list(first.shape)} and {list(computed[1].shape)}: only a constant is broadcast")
        other = _exact(i, computed[1]) if len(computed) == 2 else _broadcast(i, first, parts)
        tensor = i.graph.elementwise(name, _exact(i, first), other)
        if ELEMENTWISE[name] in COMPARES:
            return Value(i.graph.convert(tensor, "int8", wrap=True), "bool", first.shape)
        return _wrapped(i, tensor, first)

    return make


def _exact(i: "Importer", x: Value) -> Tensor:
    """The numbers themselves, as int32 if they are held less something."""
    return i.graph.add(x.tensor, np.int32(x.offset)) if x.offset else x.tensor


def _wrapped(i: "Importer", tensor: Tensor, like: Value) -> Value:
    """int32 brought to the type of a value, modulo its range."""
    if like.dtype in _BYTES:
        moved = i.graph.sub(tensor, np.int32(like.offset)) if like.offset else tensor
        tensor = i.graph.convert(moved, "int8", wrap=True)
    return dataclasses.replace(like, tensor=tensor)


def bit_shift(i: "Importer", node: Node) -> Value:
    """To the left, or to the right with the sign: of a negative number its complement is shifted."""
    if i.attribute("direction", b"") == b"LEFT":
        return _binary("shift_left")(i, node)
    x = i.value(node, 0)
    if x.dtype == "uint8":
        return _binary("shift_right")(i, node)
    graph, number = i.graph, x.tensor
    sign = graph.mul(graph.elementwise("shift_right", number, np.int32(31)), np.int32(-1))
    i.known[node.input[0]] = dataclasses.replace(x, tensor=graph.elementwise("bit_xor", number, sign), dtype="int32")
    shifted = _binary("shift_right")(i, node).tensor
    i.known[node.input[0]] = x
    return _wrapped(i, graph.elementwise("bit_xor", shifted, sign), x)


def clip(i: "Importer", node: Node) -> Value:
    """Between constants, either of which may be missing."""
    x = i.value(node, 0)
    if x.dtype not in (*_BYTES, "int32") or x.scale is not None:
        raise i.refused("is supported on int8, uint8 and int32")
    tensor = _exact(i, x)
    for number, name in ((1, "maximum"), (2, "minimum")):
        if len(node.input) > number and node.input[number]:
            tensor = i.graph.elementwise(name, tensor, np.int32(i.scalar(node, number)))
    return _wrapped(i, tensor, x)


def bitwise_not(i: "Importer", node: Node) -> Value:
    x = i.value(node, 0)
    if x.dtype not in (*_BYTES, "int32"):
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


def identity(i: "Importer", node: Node) -> Value | Constant:
    return i.known[node.input[0]]


def cast(i: "Importer", node: Node) -> Value:
    """Sums may be called floats: their scale is one."""
    x = i.value(node, 0)
    if x.tensor.dtype != "int32" or i.attribute("to", 0) != onnx.TensorProto.FLOAT or x.scale is not None:
        raise i.refused("is supported from int32 to float")
    return dataclasses.replace(x, dtype="float32", scale=np.ones((), np.float32))


def flatten(i: "Importer", node: Node) -> Value:
    """Of images of one pixel, or of what is flat already."""
    x = i.value(node, 0)
    features = int(np.prod(x.shape[1:]))
    if x.tensor.features != features:
        raise i.refused(f"of images of {list(x.shape[2:])} pixels is not supported; make them 1×1 by a convolution")
    tensor = dataclasses.replace(x.tensor, image=None)
    return dataclasses.replace(x, tensor=tensor, shape=(x.shape[0], features))


NODES: dict[str, Callable[["Importer", Node], Value | Constant]] = {
    "MatMulInteger": matmul_integer, "ConvInteger": conv_integer, "QLinearMatMul": qlinear_matmul,
    "QLinearConv": qlinear_conv, "QuantizeLinear": quantize, "DequantizeLinear": dequantize, "MatMul": matmul,
    "Gemm": gemm, "Conv": conv, "Relu": relu, "MaxPool": max_pool, "Add": _binary("add"), "Sub": _binary("sub"),
    "Mul": _binary("mul"), "Min": _binary("minimum"), "Max": _binary("maximum"), "Identity": identity, "Cast": cast,
    "Flatten": flatten, "BitwiseAnd": _binary("bit_and"), "BitwiseOr": _binary("bit_or"), "BitwiseNot": bitwise_not,
    "BitwiseXor": _binary("bit_xor"), "BitShift": bit_shift, "Clip": clip, "Equal": _binary("equal"),
    "Less": _binary("less"), "LessOrEqual": _binary("less_equal"), "Greater": _binary("greater"),
    "GreaterOrEqual": _binary("greater_equal"),
}  # fmt: skip
"""Operator → what makes it."""
