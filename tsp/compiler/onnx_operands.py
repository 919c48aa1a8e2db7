"""Operands of what is computed element by element: whichever of them are constants, and how they are broadcast."""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from tsp.compiler.graph import Tensor
from tsp.compiler.lanes import spread
from tsp.compiler.onnx_values import Constant, Value, laid

if TYPE_CHECKING:
    from tsp.compiler.onnx_import import Importer

Node = onnx.NodeProto
Part = Value | Constant
Make = Callable[["Importer", Node], Value | Constant]
"""Makes a node's first output."""


def parts_of(i: "Importer", node: Node) -> list[Part]:
    """The inputs of a node, but those that are left out; with all that is to be added to them."""
    for name in node.input:
        if name and isinstance(i.known[name], Value):
            i.settled(name)
    return [i.known[name] for name in node.input if name]


def axis_of(i: "Importer", axis: int, count: int) -> int:
    """An axis of ``count``, counted from the first one. Refused if there is none of that number."""
    if not -count <= axis < count:
        raise i.refused(f"has axis {axis}, but a tensor of {count} axes")
    return axis % count


def axes_of(i: "Importer", node: Node, count: int) -> list[int]:
    """Axes that a reduction of ``count`` of them goes over: those that an input or, in older models, an attribute
    names; of none all, but for ``noop_with_empty_axes``."""
    given = len(node.input) > 1 and node.input[1]
    named = i.constant(node, 1).value.reshape(-1).tolist() if given else i.attribute("axes", [])
    whole = not named and not i.attribute("noop_with_empty_axes", 0)
    return list(range(count)) if whole else [axis_of(i, axis, count) for axis in named]


def limits_of(i: "Importer", node: Node) -> list[tuple[str, Part]]:
    """What a Clip does to numbers, with what: inputs either of which may be missing, or attributes in older models."""
    found: list[tuple[str, Part]] = []
    for number, key, name in ((1, "min", "maximum"), (2, "max", "minimum")):
        if len(node.input) > number and node.input[number]:
            found.append((name, i.known[node.input[number]]))
        elif (limit := i.attribute(key, None)) is not None:
            found.append((name, Constant(np.asarray(limit, np.float32))))
    return found


def shaped(i: "Importer", parts: list[Part]) -> Value:
    """The computed one that has the shape of the result. Refused if there is none."""
    try:
        shape = np.broadcast_shapes(*(part.shape for part in parts))
    except ValueError:
        raise i.refused(f"of {_shapes(parts)}, which do not fit") from None
    for part in parts:
        if isinstance(part, Value) and part.shape == shape:
            return part
    raise i.refused(f"of {_shapes(parts)}: no tensor that is computed has the shape of the result")


def whole(i: "Importer", x: Value) -> Tensor:
    """The numbers themselves, as int32 if they are held less something."""
    return i.graph.add(x.tensor, np.int32(x.offset)) if x.offset else x.tensor


def is_exact(x: Value) -> bool:
    """Whether floats that are only called so can be computed: products and means are not, they are quantised first."""
    return x.scale is not None and not x.is_mean and (x.dtype != "float32" or bool((x.scale == 1).all()))


def real(i: "Importer", x: Value) -> Value:
    """A float tensor, computed as such: (number - zero) · scale, each rounded to float32."""
    if x.is_real:
        return x
    if x.scale is None or not is_exact(x):
        raise i.refused(f"takes floats, not {'sums that are not quantised yet' if x.scale is not None else x.dtype}")
    away = x.offset - x.zero
    moved = i.graph.add(x.tensor, np.int32(away)) if away else x.tensor
    tensor = i.graph.convert(moved, "float32")
    if (x.scale != 1).any():
        tensor = i.graph.mul(tensor, x.scale.astype(np.float32))
    return Value(tensor, "float32", x.shape)


def operand(i: "Importer", like: Value, part: Part) -> Tensor:
    """A part as what meets ``like``: float32, or the numbers themselves."""
    if isinstance(part, Constant):
        value = part.value
        if part.scale is not None:
            value = (value.astype(np.int32) - part.zero).astype(np.float32) * part.scale
        return i.graph.constant(fitted(i, like, value, "float32" if value.dtype.kind == "f" else "int32"))
    tensor = real(i, part).tensor if part.is_real or part.scale is not None else whole(i, part)
    return met(i, like, tensor, part.shape)


def met(i: "Importer", like: Value, tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A computed tensor as it is, or one number of it for all features."""
    if shape == like.shape:
        return tensor
    if tensor.shape != (1, 1):
        raise i.refused(f"of {list(like.shape)} and {list(shape)}: only constants and single numbers are broadcast")
    return spread(i.graph, tensor, like.tensor.features)


def fitted(i: "Importer", like: Value, value: Any, dtype: str) -> Any:
    """A constant as :func:`tsp.compiler.onnx_values.laid` lays it; refused if it does not fit."""
    try:
        return laid(like, np.asarray(value), dtype)
    except ValueError:
        raise i.refused(f"of {list(like.shape)} and {list(np.shape(value))}, which do not fit") from None


def bytes_of(i: "Importer", tensor: Tensor, dtype: str, shape: tuple[int, ...]) -> Value:
    """int32 brought to int8, uint8, int32 or bool, modulo the type's range."""
    if dtype == "int32":
        return Value(tensor, dtype, shape)
    offset = 128 if dtype == "uint8" else 0
    moved = i.graph.sub(tensor, np.int32(offset)) if offset else tensor
    return Value(i.graph.convert(moved, "int8", wrap=True), dtype, shape, offset)


def plain(x: Value) -> Value:
    """Without a scale."""
    return dataclasses.replace(x, scale=None, zero=0)


def _shapes(parts: list[Part]) -> str:
    return " and ".join(str(list(part.shape)) for part in parts)
