"""Gather along axis 0 of a constant, by numbers that are given or computed: a table's rows."""

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np
import onnx

from tsp.compiler import onnx_real, tables
from tsp.compiler.graph import Tensor
from tsp.compiler.onnx_operands import Make, Node
from tsp.compiler.onnx_values import Constant, Value
from tsp.compiler.tensor import table_of
from tsp.errors import InputError

if TYPE_CHECKING:
    from tsp.compiler.onnx_import import Importer

NUMBERS: dict[int, str] = {onnx.TensorProto.INT32: "int32", onnx.TensorProto.INT64: "int64"}
"""Types of the numbers of rows."""
_KINDS = ("int8", "uint8", "int32", "float16", "float32")
_SAME = ("Cast", "Identity")
"""What may stand between an input and the Gathers that it is for."""


def chosen_from(model: onnx.GraphProto) -> dict[str, int]:
    """Input → how many rows the table has of which it gives numbers, of inputs that serve nothing else. InputError for
    one that is for tables of several sizes."""
    sizes = {tensor.name: tensor.dims[0] for tensor in model.initializer if tensor.dims}
    uses: dict[str, list[int]] = defaultdict(list)
    uses |= {output.name: [0] for output in model.output}
    for node in model.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in sizes:
            sizes[node.output[0]] = sizes[node.input[0]]
    for node in reversed(model.node):
        axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
        for number, name in enumerate(node.input):
            if node.op_type in _SAME:
                uses[name] += uses[node.output[0]]
            else:
                by = node.op_type == "Gather" and number == 1 and axis == 0
                uses[name].append(sizes.get(node.input[0], 0) if by else 0)
    kinds = {given.name: given.type.tensor_type.elem_type for given in model.input}
    found = {name: sorted(set(uses[name])) for name, kind in kinds.items() if kind in NUMBERS and any(uses[name])}
    for name, rows in found.items():
        if rows[0] and len(rows) > 1:
            few = " and ".join(map(str, rows))
            raise InputError(f"input {name!r} chooses rows of tables of {few}; give each an input of its own")
    return {name: rows[0] for name, rows in found.items() if rows[0]}


def takes(i: "Importer", node: Node) -> bool:
    """Whether a node looks rows up, or brings numbers of rows there."""
    parts = [i.known.get(name) for name in node.input]
    if node.op_type == "Gather":
        return isinstance(parts[0], Constant) and isinstance(parts[1], Value)
    if node.op_type not in _SAME or not isinstance(parts[0], Value):
        return False
    wide = node.op_type == "Cast" and i.attribute("to", 0) == onnx.TensorProto.INT64
    return wide or parts[0].dtype == "int64" or table_of(parts[0].tensor) > 0


def cast(i: "Importer", node: Node) -> Value:
    """Between int32 and int64, of which no more than int32 is held; whole numbers to them."""
    x, to = i.value(node, 0), i.attribute("to", 0)
    if to not in NUMBERS:
        raise i.refused(f"of {x.dtype} is supported to {' and '.join(NUMBERS.values())}")
    if x.dtype not in NUMBERS.values():
        if x.dtype not in ("int8", "uint8", "bool", "float32"):
            raise i.refused(f"of {x.dtype} to {NUMBERS[to]} is not supported; cast it to float32 first")
        x = onnx_real.cast_to(i, node, "int32")
    return Value(x.tensor, NUMBERS[to], x.shape)


def gather(i: "Importer", node: Node) -> Value:
    """Rows of a matrix."""
    data, which = i.constant(node, 0), i.value(node, 1)
    value = data.value
    if value.ndim != 2 or i.attribute("axis", 0) not in (0, -2):
        raise i.refused(
            f"by computed numbers along axis {i.attribute('axis', 0)} of {list(value.shape)}: it takes rows of a matrix"
        )
    if which.dtype not in NUMBERS.values():
        raise i.refused(f"chooses rows by {which.dtype}; cast it to int32")
    if str(value.dtype) not in _KINDS or (data.scale is not None and data.scale.size > 1):
        scales = f" with {data.scale.size} scales" if data.scale is not None else ""
        raise i.refused(f"takes rows of {value.dtype}{scales}; supported are {', '.join(_KINDS)} with one scale")
    offset = 128 if value.dtype == np.uint8 else 0
    held = (value.astype(np.int16) - offset).astype(np.int8) if offset else value
    tensor = tables.look_up(i.graph, held, _column(i, which))
    shape = *which.shape, value.shape[1]
    if data.scale is None:
        return Value(tensor, str(value.dtype), shape, offset)
    zero = int(np.asarray(data.zero).reshape(-1)[0])
    return Value(tensor, str(value.dtype), shape, offset, data.scale.reshape(()), zero)


def _column(i: "Importer", which: Value) -> Tensor:
    """Each number in a row of its own."""
    x = which.tensor
    return x if x.features == 1 else i.graph.reshape(x, (x.rows * x.features, 1))


def identity(i: "Importer", node: Node) -> Value:
    return i.value(node, 0)


NODES: dict[str, Make] = {"Gather": gather, "Cast": cast, "Identity": identity}
"""Operator → what makes it."""
