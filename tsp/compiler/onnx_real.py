"""ONNX operators on floats that are computed as such, and between floats and whole numbers."""

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from tsp.compiler import onnx_qdq
from tsp.compiler.division import LIMIT, Divisor, divide, rounded_quotient
from tsp.compiler.graph import COMPARES, ELEMENTWISE, Tensor
from tsp.compiler.lanes import extreme, first
from tsp.compiler.onnx_operands import (
    Make,
    Node,
    axis_of,
    bytes_of,
    fitted,
    limits_of,
    met,
    operand,
    parts_of,
    real,
    shaped,
    whole,
)  # fmt: skip
from tsp.compiler.onnx_values import BYTES, WHOLE, Constant, Value
from tsp.compiler.rounding import rounded, truncated

if TYPE_CHECKING:
    from tsp.compiler.onnx_import import Importer

LARGEST = 255
"""What DynamicQuantizeLinear maps the greatest float to."""


def by_type(of_whole: Make, of_real: Make) -> Make:
    """One function for nodes with a float among their inputs that is computed as such, one for others."""

    def make(i: "Importer", node: Node) -> Value | Constant:
        parts = [i.known[name] for name in node.input if name]
        is_real = any(isinstance(part, Value) and part.is_real for part in parts)
        return (of_real if is_real else of_whole)(i, node)

    return make


def binary(name: str) -> Make:
    """An operation on floats; compares make bool."""

    def make(i: "Importer", node: Node) -> Value:
        parts = parts_of(i, node)
        like = shaped(i, parts)
        tensor, *others = (operand(i, like, part) for part in parts)
        if len(parts) > 2 and name not in ("minimum", "maximum"):
            raise i.refused(f"takes two inputs, not {len(parts)}")
        for other in others:
            tensor = divide(i.graph, tensor, other) if name == "div" else i.graph.elementwise(name, tensor, other)
        if ELEMENTWISE.get(name) in COMPARES:
            return bytes_of(i, tensor, "bool", like.shape)
        return Value(tensor, "float32", like.shape)

    return make


def clip(i: "Importer", node: Node) -> Value:
    x = i.value(node, 0)
    tensor = x.tensor
    for name, limit in limits_of(i, node):
        tensor = i.graph.elementwise(name, tensor, operand(i, x, limit))
    return Value(tensor, "float32", x.shape)


def relu(i: "Importer", node: Node) -> Value:
    x = i.value(node, 0)
    return dataclasses.replace(x, tensor=i.graph.relu(x.tensor))


def round_(i: "Importer", node: Node) -> Value:
    x = real(i, i.value(node, 0))
    return dataclasses.replace(x, tensor=rounded(i.graph, x.tensor))


def cast(i: "Importer", node: Node) -> Value:
    return cast_to(i, node, i.element("to"))


def cast_like(i: "Importer", node: Node) -> Value:
    return cast_to(i, node, i.known[node.input[1]].dtype)


def cast_to(i: "Importer", node: Node, to: str) -> Value:
    """Whole numbers keep their low bits; floats lose what is behind the point. Sums may be called floats: their scale
    is one."""
    x = i.value(node, 0)
    if x.dtype == to:
        return x
    if to not in (*WHOLE, "float32", "bool"):
        raise i.refused(f"to {to} is not supported; {', '.join((*WHOLE, 'float32', 'bool'))} are")
    if x.dtype == "int32" and to == "float32" and x.scale is None:
        return dataclasses.replace(x, dtype="float32", scale=np.ones((), np.float32))
    number = real(i, x).tensor if x.is_real or x.scale is not None else whole(i, x)
    if to == "float32":
        return Value(i.graph.convert(number, "float32"), to, x.shape)
    if to == "bool":
        zero = np.zeros((), np.float32 if number.dtype == "float32" else np.int32)
        return bytes_of(i, i.graph.elementwise("not_equal", number, zero), to, x.shape)
    if number.dtype == "float32":
        number = truncated(i.graph, number)
    elif to == "int32":
        number = i.graph.convert(number, "int32")
    return bytes_of(i, number, to, x.shape)


def quantize(i: "Importer", node: Node) -> Value:
    """Floats; sums go the way of :func:`tsp.compiler.onnx_qdq.quantize`."""
    x = real(i, i.value(node, 0))
    zero = i.known[node.input[2]] if len(node.input) > 2 and node.input[2] else None
    dtype = zero.dtype if zero is not None else i.element("output_dtype", "uint8")
    if dtype not in BYTES or i.attribute("precision", 0) not in (0, onnx.TensorProto.FLOAT):
        raise i.refused(f"makes {dtype}; int8 and uint8 are supported, computed in float")
    scale = i.known[node.input[1]]
    if isinstance(scale, Constant):
        factor = _along(i, x, scale.value, "float32")
        if not (np.isfinite(factor) & (factor > 0)).all():
            raise i.refused("has a scale that is not above 0")
        quotient = rounded_quotient(i.graph, x.tensor, factor)
    else:
        quotient = _limited(i, divide(i.graph, x.tensor, met(i, x, scale.tensor, scale.shape)))
    if isinstance(zero, Value):
        moved = met(i, x, whole(i, zero), zero.shape)
    else:
        moved = i.graph.constant(_along(i, x, np.zeros((), np.int32) if zero is None else zero.value, "int32"))
    return _saturated(i, i.graph.add(quotient, moved), dtype, x.shape)


def _limited(i: "Importer", x: Tensor) -> Tensor:
    """The nearest whole number, up to the limit beyond which it is beyond any byte."""
    bounded = i.graph.minimum(i.graph.maximum(x, np.float32(-LIMIT)), np.float32(LIMIT))
    return i.graph.convert(bounded, "int32")


def _saturated(i: "Importer", x: Tensor, dtype: str, shape: tuple[int, ...]) -> Value:
    offset = 128 if dtype == "uint8" else 0
    return Value(i.graph.convert(i.graph.sub(x, np.int32(offset)) if offset else x, "int8"), dtype, shape, offset)


def _along(i: "Importer", x: Value, value: Any, dtype: str) -> Any:
    """Scales or zero points: one for all, one for each index of an axis, or one for each block along it."""
    axis, block = i.attribute("axis", 1), i.attribute("block_size", 0)
    if value.size > 1:
        axis = axis_of(i, axis, len(x.shape))
    if block and value.ndim == len(x.shape):
        value = np.repeat(value, block, axis).take(range(x.shape[axis]), axis)
    elif value.ndim == 1 and value.size > 1:
        value = value.reshape([-1 if n == axis % len(x.shape) else 1 for n in range(len(x.shape))])
    return fitted(i, x, value, dtype)


def dequantize(i: "Importer", node: Node) -> Value | Constant:
    """With one scale nothing is computed; with several (number - zero) · scale is."""
    x = i.known[node.input[0]]
    scale = i.constant(node, 1).value
    if isinstance(x, Constant) or scale.size == 1:
        return onnx_qdq.dequantize(i, node)
    x = i.value(node, 0)
    if x.scale is not None or x.is_real:
        raise i.refused(f"takes whole numbers, not {x.dtype}")
    zero = _along(i, x, i.constant(node, 2, np.zeros((), np.int32)).value, "int32")
    number = i.graph.sub(x.tensor, zero - x.offset) if (zero - x.offset).any() else x.tensor
    found = i.graph.mul(i.graph.convert(number, "float32"), _along(i, x, scale, "float32"))
    return Value(found, "float32", x.shape)


def dynamic_quantize(i: "Importer", node: Node) -> Value:
    """uint8 between the least and the greatest of all elements and zero, with the scale and zero point of that. If all
    are zero, the range counts as 1, as in ONNX's reference implementation."""
    x, g, zero = real(i, i.value(node, 0)), i.graph, np.float32(0)
    low = g.minimum(extreme(g, "minimum", x.tensor), zero)
    high = g.maximum(extreme(g, "maximum", x.tensor), zero)
    span = g.bits(g.sub(high, low), "int32")
    span = g.select(span, span, np.float32(1).view(np.int32))
    scale = divide(g, g.bits(span, "float32"), g.constant(np.float32(LARGEST)))
    divisor = Divisor(g, scale)
    point = _limited(i, g.sub(g.constant(zero), divisor.of(low)))
    point = g.minimum(g.maximum(point, np.int32(0)), np.int32(LARGEST))
    found = [_saturated(i, g.add(_limited(i, divisor.of(x.tensor)), point), "uint8", x.shape)]
    found += [Value(first(g, scale), "float32", ()), bytes_of(i, first(g, point), "uint8", ())]
    i.known |= {name: value for name, value in zip(node.output, found, strict=False) if name}
    return found[0]


def constant(i: "Importer", node: Node) -> Constant:
    if (value := i.attribute("value", None)) is not None:
        return Constant(onnx.numpy_helper.to_array(value))
    for kind, dtype in (("float", np.float32), ("int", np.int64)):
        for name in (f"value_{kind}", f"value_{kind}s"):
            if (value := i.attribute(name, None)) is not None:
                return Constant(np.asarray(value, dtype))
    raise i.refused("is supported with a tensor or with numbers as its value")
