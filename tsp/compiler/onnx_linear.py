"""onnxruntime's own quantised operators, which its static quantiser writes in the format QOperator: each is an operator
between DequantizeLinear and QuantizeLinear, and means that here."""

from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import helper

from tsp.compiler import onnx_moves, onnx_qdq
from tsp.compiler.onnx_operands import Make
from tsp.compiler.onnx_values import Constant, Value

if TYPE_CHECKING:
    from tsp.compiler.onnx_import import Importer

Node = onnx.NodeProto
DOMAIN = "com.microsoft"


def _real(i: "Importer", node: Node, number: int) -> str:
    """The name of an input, its scale and its zero point as a dequantised tensor."""
    if len(node.input) < number + 3:
        raise i.refused(f"has {len(node.input)} inputs, which are too few: each has a scale and a zero point")
    name = f"{node.output[0]} input {number}"
    made = helper.make_node("DequantizeLinear", node.input[number : number + 3], [name])
    i.known[name] = onnx_qdq.dequantize(i, made)
    return name


def _between(i: "Importer", node: Node, op: str, make: Make, inputs: list[str], last: int) -> Value | Constant:
    """An operator on dequantised tensors, quantised by the inputs ``last`` and the next one."""
    if len(node.input) < last + 2:
        raise i.refused(f"has {len(node.input)} inputs, which are too few: its output has a scale and a zero point")
    if i.attribute("channels_last", 0):
        raise i.refused("has channels_last=1; only [n, channels, lines, columns] is supported")
    name = f"{node.output[0]} real"
    i.known[name] = make(i, helper.make_node(op, inputs, [name]))
    return onnx_qdq.quantize(i, helper.make_node("QuantizeLinear", [name, *node.input[last : last + 2]], node.output))


def concat(i: "Importer", node: Node) -> Value | Constant:
    names = [_real(i, node, number) for number in range(2, len(node.input), 3)]
    return _between(i, node, "Concat", onnx_moves.MOVES["Concat"], names, 0)


def add(i: "Importer", node: Node) -> Value | Constant:
    return _between(i, node, "Add", onnx_qdq.add, [_real(i, node, 0), _real(i, node, 3)], 6)


def average_pool(i: "Importer", node: Node) -> Value | Constant:
    op = node.op_type.removeprefix("QLinear")
    return _between(i, node, op, onnx_qdq.average_pool, [_real(i, node, 0)], 3)


def gemm(i: "Importer", node: Node) -> Value | Constant:
    """With a bias in steps of the sums."""
    if len(node.input) < 9 or not node.input[7]:
        raise i.refused("makes floats; give it the scale and the zero point of its output")
    names = [_real(i, node, 0), _real(i, node, 3)]
    weights, name = i.known[names[1]], f"{node.output[0]} bias"
    if not isinstance(weights, Constant) or weights.scale is None:
        raise i.refused(f"input {node.input[3]!r} is computed, but must be a constant")
    i.known[names[1]] = Constant(weights.value, weights.scale, weights.zero, 0 if i.attribute("transB", 0) else 1)
    if node.input[6]:
        scale = np.float32(i.scalar(node, 1)) * weights.scale.reshape(-1)
        i.known[name] = Constant(i.constant(node, 6).value.reshape(-1), scale)
        names.append(name)
    return _between(i, node, "Gemm", onnx_qdq.gemm, names, 7)


NODES: dict[str, Make] = {
    "QLinearConcat": concat, "QLinearAdd": add, "QLinearAveragePool": average_pool,
    "QLinearGlobalAveragePool": average_pool, "QGemm": gemm,
}  # fmt: skip
"""Operator → what makes it."""
