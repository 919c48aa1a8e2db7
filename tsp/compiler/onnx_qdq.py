"""Quantised operators, and real ones between DequantizeLinear and QuantizeLinear.

A real tensor is a whole number times a scale; it is quantised with one rounding, half to even. For products and their
sums that is what onnxruntime's QLinearConv and QLinearMatMul compute: sums times scale in float32. Where all scales are
powers of two it is the real number itself, which onnxruntime gives with and without its graph optimisations as long as
sums stay below 2^24; then sums are shifted, and tensors of different scales can be added.
"""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tsp.compiler.onnx_nodes import Node, binary, image_shape, sums_of
from tsp.compiler.onnx_rounding import bytes_quantised, mean, power_of_two, requantised, shifts_between
from tsp.compiler.onnx_values import BYTES, Array, Constant, Value
from tsp.compiler.onnx_windows import windows_of

if TYPE_CHECKING:
    from tsp.compiler.onnx_import import Importer


def _scales(i: "Importer", node: Node, number: int) -> Array:
    """One scale, or several."""
    found = i.constant(node, number).value.astype(np.float32)
    if not found.size or not np.isfinite(found).all() or found.min() <= 0:
        raise i.refused(f"has scales {node.input[number]!r} that are not all numbers above zero")
    return found


def _scale(i: "Importer", node: Node, number: int) -> Any:
    """One scale."""
    i.scalar(node, number)
    return _scales(i, node, number).reshape(-1)[0]


def _biased(i: "Importer", sums: Value, bias: Array) -> Value:
    """Sums with a bias still to be added to them."""
    assert sums.plus is not None
    if bias.size not in (1, sums.tensor.features):
        raise i.refused(f"has a bias of {bias.size} numbers for {sums.tensor.features} features")
    whole = bias.reshape(-1).astype(np.int64)
    return dataclasses.replace(sums, plus=sums.plus + whole, bound=sums.bound + int(np.abs(whole).max()))


def qlinear_matmul(i: "Importer", node: Node) -> Value:
    return _qlinear(i, node, False)


def qlinear_conv(i: "Importer", node: Node) -> Value:
    return _qlinear(i, node, True)


def _qlinear(i: "Importer", node: Node, images: bool) -> Value:
    x, weights = i.value(node, 0, "image") if images else i.rows(node, 0), i.constant(node, 3).value
    sums = sums_of(i, x, int(i.scalar(node, 2)), weights, i.constant(node, 5).value, images)
    if len(node.input) > 8 and node.input[8]:
        sums = _biased(i, sums, i.constant(node, 8).value)
    scale = _of_features(i, _scale(i, node, 1) * _scales(i, node, 4), sums)
    return requantised(i, sums, scale / _scale(i, node, 6), i.scalar(node, 7))


def _of_features(i: "Importer", scale: Array, sums: Value) -> Array:
    if scale.size not in (1, sums.tensor.features):
        raise i.refused(f"has {scale.size} scales of weights for {sums.tensor.features} features")
    return scale


def dequantize(i: "Importer", node: Node) -> Value | Constant:
    """Nothing is computed: the scale goes with the tensor."""
    x, scale = i.known[node.input[0]], _scales(i, node, 1)
    zero = i.constant(node, 2, 0).value
    if i.attribute("block_size", 0):
        raise i.refused("is supported without block_size")
    if isinstance(x, Constant):
        return Constant(x.value, scale, zero, int(i.attribute("axis", 1)))
    if scale.size != 1 or x.scale is not None:
        raise i.refused("takes one scale for all of a tensor that is not dequantised already")
    found = x if x.parts else i.value(node, 0)
    return found.scaled(scale.reshape(()), int(zero.reshape(-1)[0]))


def quantize(i: "Importer", node: Node) -> Value | Constant:
    """Sums of a matmul or convolution of dequantised tensors are scaled once, as onnxruntime does."""
    if isinstance(given := i.known[node.input[0]], Constant):
        return _constant_quantised(i, node, given)
    x, scale = i.unsettled(node, 0), _scale(i, node, 1)
    zero = i.scalar(node, 2, _no_zero(i, node))
    if not x.parts:
        return _quantised(i, x, scale, zero)
    # Each of the tensors before it is moved.
    parts = tuple(_quantised(i, part, scale, zero) for part in x.parts)
    return dataclasses.replace(parts[0], shape=x.shape, parts=parts, source=x.source)


def _no_zero(i: "Importer", node: Node) -> Any:
    """The zero point of a QuantizeLinear that has none, in the type that it names."""
    dtype = "" if len(node.input) > 2 and node.input[2] else i.element("output_dtype", "uint8")
    if dtype and dtype not in BYTES:
        raise i.refused(f"makes {dtype}; int8 and uint8 are supported")
    return np.zeros((), dtype or "uint8")


def _constant_quantised(i: "Importer", node: Node, x: Constant) -> Constant:
    """One scale for all, or one for each index of an axis."""
    scale, zero = _scales(i, node, 1), i.constant(node, 2, _no_zero(i, node)).value
    if x.scale is not None or x.value.dtype.kind != "f" or i.attribute("block_size", 0):
        raise i.refused("of a constant takes floats, and is supported without block_size")
    if scale.size > 1:
        shape = [-1 if axis == i.attribute("axis", 1) % x.value.ndim else 1 for axis in range(x.value.ndim)]
        scale, zero = scale.reshape(shape), zero.reshape(shape if zero.size > 1 else [])
    limits = np.iinfo(zero.dtype)
    whole = np.rint(x.value.astype(np.float32) / scale) + zero
    return Constant(np.clip(whole, limits.min, limits.max).astype(zero.dtype))


def _quantised(i: "Importer", x: Value, scale: Any, zero: Any) -> Value:
    if x.scale is None:
        raise i.refused("quantises a float that is computed as such; only sums of dequantised tensors are supported")
    if x.addends:
        return bytes_quantised(i, x.addends, x.positive, scale, zero)
    if x.is_mean:
        return mean(i, x, scale, zero)
    if x.tensor.dtype == "int32":
        return requantised(i, x, np.asarray(x.scale, np.float32) / scale, zero)
    same = x.scale.size == 1 and float(x.scale) == float(scale) and x.zero == int(zero)
    if not same or x.dtype != str(zero.dtype):
        return bytes_quantised(i, [x], False, scale, zero)
    return dataclasses.replace(x, scale=None, zero=0)


def _dequantised_product(i: "Importer", node: Node, images: bool, transposed: bool = False) -> Value:
    """A product of a dequantised tensor and dequantised weights, and its bias, whose scale is that of the sums."""
    x, weights = i.value(node, 0, "image") if images else i.rows(node, 0), i.constant(node, 1)
    if x.scale is None or weights.scale is None:
        raise i.refused("multiplies floats; put DequantizeLinear before both inputs, or convert the model to float16")
    matrix = weights.value.T if transposed else weights.value
    axis = 0 if images or transposed else matrix.ndim - 1
    if weights.scale.size > 1 and weights.axis % weights.value.ndim != axis:
        raise i.refused(f"has weights whose scales go along axis {weights.axis}; they must go along axis {axis}")
    sums = sums_of(i, x, x.zero, matrix, weights.zero, images)
    scale = _of_features(i, np.asarray(np.float32(x.scale) * weights.scale, np.float32), sums)
    if len(node.input) > 2 and node.input[2]:
        bias = i.constant(node, 2)
        found = bias.value
        if bias.scale is None:
            # The bias of a float model, brought to whole sums as quantisers do.
            found = np.rint(bias.value.astype(np.float64) / scale)
        elif bias.scale.size not in (1, scale.size) or not np.allclose(bias.scale, scale, rtol=1e-5):
            raise i.refused("has a bias whose scale is not that of the sums (scale of input times scale of weights)")
        sums = _biased(i, sums, found)
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
    """Of sums it is remembered: what quantises them may do it by saturating."""
    x = i.unsettled(node, 0)
    if not x.parts:
        return _positive(i, x)
    parts = tuple(_positive(i, part) for part in x.parts)
    return dataclasses.replace(x, tensor=parts[0].tensor, parts=parts)


def _positive(i: "Importer", x: Value) -> Value:
    if x.scale is not None and (x.tensor.dtype == "int32" or x.addends):
        return dataclasses.replace(x, positive=True)
    if x.tensor.dtype not in ("int32", "int8"):
        raise i.refused(f"is supported on whole numbers and on floats, not on {x.dtype}")
    # Bytes are held less something, and zero is the zero point.
    level = x.zero - x.offset
    if not level:
        return dataclasses.replace(x, tensor=i.graph.relu(x.tensor))
    return dataclasses.replace(x, tensor=i.graph.maximum(x.tensor, i.graph.constant([level], x.tensor.dtype)))


def add(i: "Importer", node: Node) -> Value:
    """Of whole numbers; or of two real tensors, in units of the finer scale."""
    parts = [x for x in (i.known[name] for name in node.input) if isinstance(x, Value)]
    if all(x.scale is None for x in parts):
        return binary("add")(i, node)
    if len(parts) != 2 or any(x.scale is None or x.is_mean for x in parts):
        raise i.refused("of real numbers takes two dequantised tensors or sums of such")
    if parts[0].shape != parts[1].shape:
        raise i.refused(f"of {list(parts[0].shape)} and {list(parts[1].shape)}: only a constant is broadcast")
    if any(x.positive or x.addends for x in parts):
        parts = [i.value(node, n) for n in (0, 1)]
    finer = np.minimum(*(np.asarray(x.scale, np.float32) for x in parts))
    shifts = [left for x in parts if (left := shifts_between(x, finer)) is not None]
    whole = any(x.tensor.dtype == "int32" for x in parts)
    if len(shifts) == len(parts) and (whole or power_of_two(finer)):
        return _aligned(i, parts, shifts, finer)
    if whole:
        raise i.refused("adds sums to what is no power of two of their scale; quantise them first")
    return dataclasses.replace(parts[0], offset=0, zero=0, addends=tuple(parts))


def _aligned(i: "Importer", parts: list[Value], shifts: list[Array], finer: Array) -> Value:
    """The sum of tensors whose scales are a finer one shifted to the left."""
    bounds = [255 if x.tensor.dtype == "int8" else x.bound for x in parts]
    bound = sum(most << int(left.max()) for most, left in zip(bounds, shifts, strict=True))
    if bound >= 1 << 31:
        raise i.refused(f"adds numbers of up to {bound} steps of the finer scale, more than int32 holds")
    tensors, plus = [], np.zeros(1, np.int64)
    for x, left in zip(parts, shifts, strict=True):
        tensors.append(i.graph.elementwise("shift_left", x.tensor, left.astype(np.int32)) if left.any() else x.tensor)
        own = x.offset - x.zero if x.plus is None else x.plus
        plus = plus + (np.asarray(own, np.int64) << left)
    tensor = i.graph.add(tensors[0], tensors[1])
    return Value(tensor, "float32", parts[0].shape, scale=finer, plus=plus, bound=bound)


def average_pool(i: "Importer", node: Node) -> Value:
    """Sums of windows, to be divided by how many pixels they have."""
    x = i.value(node, 0, "image")
    if x.scale is None:
        raise i.refused("averages floats; put DequantizeLinear before its input")
    i.images(x)
    assert x.tensor.image is not None
    size = x.tensor.image[1:] if node.op_type == "GlobalAveragePool" else tuple(i.attribute("kernel_shape", []))
    ceil, counted = i.attribute("ceil_mode", 0), bool(i.attribute("count_include_pad", 0))
    if len(size) != 2 or (ceil and counted):
        raise i.refused("is supported with two axes, and without padding that counts if there is ceil_mode")
    windows, whole = windows_of(i, x, size), int(np.prod(size))
    counts = windows.pixels(x.tensor, (size[0], size[1]), counted)
    shift, count = x.offset - x.zero, counts if counts.size > 1 else int(counts[0, 0])
    tensor = i.graph.sum_pool(x.tensor, (size[0], size[1]), windows, -shift)
    return Value(
        tensor, "float32", image_shape(tensor), scale=x.scale, count=count, plus=np.full(1, shift * whole),
        bound=255 * whole,
    )  # fmt: skip


NODES: dict[str, Callable[["Importer", Node], Value | Constant]] = {
    "QLinearMatMul": qlinear_matmul, "QLinearConv": qlinear_conv, "QuantizeLinear": quantize,
    "DequantizeLinear": dequantize, "MatMul": matmul, "Gemm": gemm, "Conv": conv, "Relu": relu, "Add": add,
    "AveragePool": average_pool, "GlobalAveragePool": average_pool,
}  # fmt: skip
"""Operator → what makes it."""
