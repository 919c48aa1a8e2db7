"""ONNX operators on whole numbers and bool that are computed in several steps."""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from tsp.compiler import onnx_nodes, onnx_qdq
from tsp.compiler.division import divide_whole
from tsp.compiler.graph import Tensor
from tsp.compiler.lanes import extreme, first
from tsp.compiler.onnx_operands import (
    Make,
    Node,
    Part,
    axes_of,
    bytes_of,
    fitted,
    met,
    operand,
    parts_of,
    plain,
    shaped,
    whole,
)  # fmt: skip
from tsp.compiler.onnx_values import ANY, WHOLE, Constant, Value

if TYPE_CHECKING:
    from tsp.compiler.onnx_import import Importer

NODES = onnx_nodes.NODES | onnx_qdq.NODES
"""Operators on whole numbers, and on those between DequantizeLinear and QuantizeLinear."""
MIRRORED = {
    "Less": "Greater", "LessOrEqual": "GreaterOrEqual", "Greater": "Less", "GreaterOrEqual": "LessOrEqual",
} | {name: name for name in ("Add", "Mul", "Min", "Max", "Equal", "BitwiseAnd", "BitwiseOr", "BitwiseXor")}  # fmt: skip
"""What an operator is with its inputs the other way round."""


def either_way(name: str) -> Make:
    """An operator of :data:`NODES` whose first input may be the constant."""

    def make(i: "Importer", node: Node) -> Value | Constant:
        parts = [i.known[name] for name in node.input]
        if all(part.scale is None for part in parts):
            parts = parts_of(i, node)  # what is still to be added to sums is added now
        if len(parts) == 1:
            return parts[0]
        if len(parts) != 2 or name not in MIRRORED or not isinstance(parts[0], Constant):
            return _unbound(NODES[name](i, node))
        turned = Node()
        turned.CopyFrom(node)
        turned.input[:] = reversed(node.input)
        return _unbound(NODES[MIRRORED[name]](i, turned))

    return make


def _unbound(x: Value | Constant) -> Value | Constant:
    """What sums could be says nothing of whole numbers that were made from them."""
    return x if isinstance(x, Constant) or x.scale is not None else dataclasses.replace(x, bound=ANY)


def _alike(i: "Importer", parts: list[Part], kinds: tuple[str, ...]) -> Value:
    """The one that has the shape of the result; refused unless all are of one of these types."""
    found = {part.dtype for part in parts}
    scaled = any(part.scale is not None for part in parts)
    if len(found) > 1 or not found <= set(kinds) or scaled:
        raise i.refused(f"is supported on tensors of one type, {', '.join(kinds)}, not {', '.join(sorted(found))}")
    return shaped(i, parts)


def div(i: "Importer", node: Node) -> Value:
    """Rounded toward zero."""
    parts = parts_of(i, node)
    like = _alike(i, parts, WHOLE)
    quotient, _ = divide_whole(i.graph, *_divided(i, like, parts))
    return bytes_of(i, quotient, like.dtype, like.shape)


def mod(i: "Importer", node: Node) -> Value:
    """With the sign of the divisor; with ``fmod`` that of the dividend."""
    parts = parts_of(i, node)
    like = _alike(i, parts, WHOLE)
    _, rest = divide_whole(i.graph, *_divided(i, like, parts), floor=not i.attribute("fmod", 0))
    return bytes_of(i, rest, like.dtype, like.shape)


def _divided(i: "Importer", like: Value, parts: list[Part]) -> tuple[Tensor, Tensor]:
    if isinstance(parts[1], Constant) and not parts[1].value.all():
        raise i.refused("divides by a constant with a zero in it; that has no result")
    return operand(i, like, parts[0]), operand(i, like, parts[1])


def logical(name: str) -> Callable[["Importer", Node], Value]:
    """And, Or, Xor: bool is 0 or 1."""

    def make(i: "Importer", node: Node) -> Value:
        parts = parts_of(i, node)
        like = _alike(i, parts, ("bool",))
        tensor = i.graph.elementwise(name, *(operand(i, like, part) for part in parts))
        return bytes_of(i, tensor, "bool", like.shape)

    return make


def logical_not(i: "Importer", node: Node) -> Value:
    x = i.value(node, 0)
    if x.dtype != "bool":
        raise i.refused(f"is supported on bool, not {x.dtype}")
    return bytes_of(i, i.graph.elementwise("bit_xor", x.tensor, np.int32(1)), "bool", x.shape)


def where(i: "Importer", node: Node) -> Value:
    """Elements of two tensors of one type, as they lie in memory."""
    condition, *chosen = parts_of(i, node)
    kinds = (*WHOLE, "bool", "float32")
    found = {part.dtype for part in chosen}
    if len(found) > 1 or not found <= set(kinds) or any(part.scale is not None for part in chosen):
        raise i.refused(f"chooses between tensors of one type, {', '.join(kinds)}, not {', '.join(sorted(found))}")
    like, dtype = shaped(i, [condition, *chosen]), found.pop()
    offset = 128 if dtype == "uint8" else 0
    held = []
    for part in chosen:
        if isinstance(part, Value):
            tensor = met(i, like, part.tensor, part.shape)
            held.append(i.graph.bits(tensor, "int32") if dtype == "float32" else tensor)
        else:
            numbers = part.value.view(np.int32) if dtype == "float32" else part.value.astype(np.int32) - offset
            held.append(i.graph.constant(fitted(i, like, numbers, "int32")))
    tensor = i.graph.select(operand(i, like, condition), *held)
    if dtype in ("int32", "float32"):
        return Value(i.graph.bits(tensor, dtype) if dtype == "float32" else tensor, dtype, like.shape)
    return Value(i.graph.convert(tensor, "int8", wrap=True), dtype, like.shape, offset)


def reduce(name: str) -> Callable[["Importer", Node], Value]:
    """ReduceMin, ReduceMax over all axes."""

    def make(i: "Importer", node: Node) -> Value:
        x = i.value(node, 0)
        if x.dtype not in (*WHOLE, "float32") or x.scale is not None:
            found = x.dtype if x.scale is None else f"dequantised {x.dtype}"
            raise i.refused(f"is supported on {', '.join(WHOLE)} and float, not on {found}")
        if not (axes := axes_of(i, node, len(x.shape))):
            return x
        if len(set(axes)) < len(x.shape):
            raise i.refused(f"over {len(set(axes))} of {len(x.shape)} axes is not supported; take all at once")
        shape = (1,) * len(x.shape) if i.attribute("keepdims", 1) else ()
        return Value(first(i.graph, extreme(i.graph, name, x.tensor)), x.dtype, shape, x.offset)

    return make


def bitcast(i: "Importer", node: Node) -> Value:
    """The same bits: of bytes with or without a sign, of 32 bits as float or not."""
    x, to = plain(i.value(node, 0)), i.element("to")
    if x.dtype in ("int8", "uint8", "bool") and to in ("int8", "uint8"):
        return bytes_of(i, whole(i, x), to, x.shape)
    if {x.dtype, to} <= {"int32", "float32"} and (x.is_real or x.dtype == "int32"):
        return x if to == x.dtype else Value(i.graph.bits(x.tensor, to), to, x.shape)
    raise i.refused(f"from {x.dtype} to {to} is not supported; between bytes it is, and between int32 and float")
