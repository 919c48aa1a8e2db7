"""What ONNX operators become on floating-point tensors.

Between nodes numbers are float32, also in a model of float16; they are rounded to float16 where a product takes them
and where they leave the model. So a result may differ from one that is rounded after each node, by that rounding. A
tensor's rows are all its axes but the last.
"""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from tsp.compiler import floats
from tsp.compiler.graph import COMPARES, ELEMENTWISE, Graph, Tensor
from tsp.compiler.onnx_moves import MOVES, arranged
from tsp.compiler.onnx_operands import fitted, limits_of
from tsp.compiler.onnx_over import OVER
from tsp.compiler.onnx_values import Constant, Value, made

if TYPE_CHECKING:
    from tsp.compiler.onnx_import import Importer

Node = onnx.NodeProto
Maker = Callable[["Importer", Node], Value | Constant]


def is_float(x: Value | Constant | None) -> bool:
    """Whether these are numbers that the chip computes with as floats."""
    return isinstance(x, Value) and x.scale is None and x.tensor.dtype.startswith("float")


def matmul(i: "Importer", node: Node) -> Value:
    """With a constant matrix, or of computed stacks of matrices one by one."""
    x = _half(i, node, 0)
    other = i.known[node.input[1]]
    if isinstance(other, Constant):
        if other.value.ndim != 2:
            raise i.refused(f"takes a constant matrix, not {list(other.value.shape)}")
        return made(x, i.graph.matmul(x.tensor, _weights(i, other.value)), (*x.shape[:-1], other.value.shape[1]))
    y = i.unsettled(node, 1)
    lead, *matrix = x.shape[:-2], *x.shape[-2:]
    if len(matrix) < 2 or len(y.shape) < 2 or y.shape[:-2] != lead or y.shape[-2] != matrix[1]:
        raise i.refused(f"multiplies {list(x.shape)} and {list(y.shape)}; computed stacks must be alike")
    # Of a computed matrix that is multiplied with, the rows are the outputs.
    (n, _), m, parts, columns = x.shape[-2:], y.shape[-1], [], _crossed(i, node.input[1])
    for number in range(int(np.prod(lead))):
        left = floats.take_rows(i.graph, x.tensor, range(number * n, (number + 1) * n)) if lead else x.tensor
        rows = floats.take_rows(i.graph, columns, range(number * m, (number + 1) * m))
        parts.append(floats.matmul_transposed(i.graph, left, rows))
    tensor = parts[0] if len(parts) == 1 else floats.concat_rows(i.graph, parts)
    return made(x, tensor, (*lead, n, m))


def _crossed(i: "Importer", name: str) -> Tensor:
    """The transposes of a stack of computed matrices."""
    return arranged(i, name, "plain", lambda x: x.swapaxes(-1, -2)).tensor


def gemm(i: "Importer", node: Node) -> Value:
    if i.attribute("alpha", 1.0) != 1.0 or i.attribute("beta", 1.0) != 1.0 or i.attribute("transA", 0):
        raise i.refused("is supported with alpha=1, beta=1, transA=0")
    x, weights = _half(i, node, 0), i.constant(node, 1).value
    tensor = i.graph.matmul(x.tensor, _weights(i, weights.T if i.attribute("transB", 0) else weights))
    found = made(x, tensor, (x.shape[0], tensor.features))
    if len(node.input) > 2 and node.input[2]:
        found = made(found, i.graph.add(tensor, _operand(i, found, i.constant(node, 2))), found.shape)
    return found


def _half(i: "Importer", node: Node, number: int) -> Value:
    """An input of a product. InputError for one that is float32 in the model."""
    x = i.value(node, number, "plain")
    if x.dtype != "float16":
        raise i.refused(f"multiplies {x.dtype}; the chip multiplies float16; convert the model to it, or quantise it")
    return dataclasses.replace(x, tensor=floats.half(i.graph, x.tensor))


def _weights(i: "Importer", value: Any) -> Any:
    if value.dtype != np.float16:
        raise i.refused(f"multiplies with {value.dtype}; weights must be float16")
    return np.ascontiguousarray(value)


def binary(name: str) -> Maker:
    """An operation on two tensors, or on one and a constant in either place."""

    def make(i: "Importer", node: Node) -> Value:
        if len(node.input) != 2:
            raise i.refused(f"takes two inputs, not {len(node.input)}")
        parts = [i.known[name] for name in node.input]
        wider = isinstance(parts[1], Value) and parts[0].shape[-1:] == (1,) != parts[1].shape[-1:]
        turned = not isinstance(parts[0], Value) or wider
        x = i.value(node, 1 if turned else 0)
        other = parts[0 if turned else 1]
        number = _operand(i, x, other)
        if turned and name == "sub":
            tensor = i.graph.add(i.graph.mul(x.tensor, np.float32(-1)), number)
        else:
            tensor = i.graph.elementwise(_TURNED.get(name, name) if turned else name, x.tensor, number)
        if ELEMENTWISE[name] in COMPARES:
            return Value(i.graph.convert(tensor, "int8", wrap=True), "bool", x.shape)
        return made(x, tensor, x.shape)

    return make


_TURNED = {"less": "greater", "greater": "less", "less_equal": "greater_equal", "greater_equal": "less_equal"}


def _operand(i: "Importer", x: Value, other: Value | Constant) -> Any:
    """What meets ``x``: a tensor of its shape or with one feature, or a constant as one number, a row, or all."""
    if isinstance(other, Value):
        if other.shape not in (x.shape, (*x.shape[:-1], 1)):
            raise i.refused(f"of {list(x.shape)} and {list(other.shape)}: a computed one must be alike, or end in 1")
        return other.tensor
    return fitted(i, x, other.value, "float32")


def div(i: "Importer", node: Node) -> Value:
    """Times a constant's reciprocal; x / y as x · y / y², which holds for |y| of 10^-19 … 10^19."""
    parts = [i.known[name] for name in node.input]
    if isinstance(parts[1], Constant):
        x = i.value(node, 0)
        inverse = 1 / _operand(i, x, parts[1]).astype(np.float64)
        return made(x, i.graph.mul(x.tensor, inverse.astype(np.float32)), x.shape)
    y = i.value(node, 1)
    inverse = _inverse(i, y.tensor)
    if isinstance(parts[0], Constant):
        return made(y, i.graph.mul(inverse, _operand(i, y, parts[0])), y.shape)
    x = i.value(node, 0)
    _operand(i, x, y)
    return made(x, i.graph.mul(x.tensor, inverse), x.shape)


def _inverse(i: "Importer", y: Tensor) -> Tensor:
    return i.graph.mul(floats.reciprocal(i.graph, i.graph.mul(y, y)), y)


def unary(make: Callable[..., Tensor]) -> Maker:
    def made_of(i: "Importer", node: Node) -> Value:
        x = i.value(node, 0)
        return made(x, make(i.graph, x.tensor), x.shape)

    return made_of


def _root(graph: Graph, x: Tensor) -> Tensor:
    """√x as x / √x, which is 0 for 0."""
    return graph.mul(graph.minimum(floats.rsqrt(graph, x), np.float32(3e38)), x)


def power(i: "Importer", node: Node) -> Value:
    x, exponent = i.value(node, 0), float(i.scalar(node, 1))
    if exponent == 2:
        return made(x, i.graph.mul(x.tensor, x.tensor), x.shape)
    if exponent == 0.5:
        return made(x, _root(i.graph, x.tensor), x.shape)
    raise i.refused(f"to the power {exponent:g}; supported are 2 and 0.5")


def clip(i: "Importer", node: Node) -> Value:
    """Between constants, either of which may be missing."""
    x = i.value(node, 0)
    tensor = x.tensor
    for name, limit in limits_of(i, node):
        tensor = i.graph.elementwise(name, tensor, _operand(i, x, limit))
    return made(x, tensor, x.shape)


def cast(i: "Importer", node: Node) -> Value:
    """Between float16 and float32."""
    x, to = i.value(node, 0), i.element("to")
    if to not in ("float16", "float32"):
        raise i.refused(f"of float16 to {to}: cast to float32 first")
    make = floats.half if to == "float16" else _whole
    return dataclasses.replace(x, tensor=make(i.graph, x.tensor), dtype=to)


def _whole(graph: Graph, x: Tensor) -> Tensor:
    return x if x.dtype == "float32" else graph.convert(x, "float32")


def where(i: "Importer", node: Node) -> Value:
    """By a computed condition, of two computed tensors."""
    condition, a, b = (i.value(node, number) for number in range(3))
    if len({condition.shape, a.shape, b.shape}) > 1 or condition.dtype != "bool":
        raise i.refused("takes a condition and two tensors of one shape, all computed")
    return made(a, i.graph.select(condition.tensor, a.tensor, b.tensor), a.shape)


def takes(i: "Importer", node: Node) -> bool:
    """Whether a node is one of this file: it has float16 in the model, makes it, or is no operator of float32. Refused
    if it would move numbers of images."""
    parts = [x for x in (i.known.get(name) for name in node.input) if isinstance(x, Value) and is_float(x)]
    to_half = node.op_type == "Cast" and i.attribute("to", 0) == onnx.TensorProto.FLOAT16
    if not any(x.dtype == "float16" for x in parts) and not (parts and (to_half or node.op_type in ALONE)):
        return False
    if any(x.tensor.image is not None and x.dtype == "float32" for x in parts) and node.op_type not in _EACH:
        raise i.refused("of images of float32 is not supported; give float16, or two or three axes")
    return True


_EACH: dict[str, Maker] = {
    "Add": binary("add"), "Sub": binary("sub"), "Mul": binary("mul"), "Min": binary("minimum"),
    "Max": binary("maximum"), "Equal": binary("equal"), "Less": binary("less"), "Greater": binary("greater"),
    "LessOrEqual": binary("less_equal"), "GreaterOrEqual": binary("greater_equal"), "Div": div, "Pow": power,
    "Clip": clip, "Cast": cast, "Where": where,
    "Exp": unary(floats.exp), "Tanh": unary(floats.tanh), "Sigmoid": unary(floats.sigmoid), "Sqrt": unary(_root),
    "Relu": unary(lambda graph, x: graph.relu(x)), "Neg": unary(lambda graph, x: graph.mul(x, np.float32(-1))),
    "Abs": unary(lambda graph, x: graph.maximum(graph.mul(x, np.float32(-1)), x)),
}  # fmt: skip
ALONE = (
    "Exp", "Tanh", "Sigmoid", "Sqrt", "Neg", "Abs", "Pow", "Softmax", "LayerNormalization", "RMSNormalization",
    "ReduceSum", "ReduceMean",
)  # fmt: skip
"""Operators that float32 has here too."""
NODES: dict[str, Maker] = MOVES | OVER | _EACH | {
    "MatMul": matmul, "Gemm": gemm,
}  # fmt: skip
"""Operator → what makes it of floats."""
