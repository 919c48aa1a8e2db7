"""A quantised ONNX model as a graph.

uint8 tensors are held as int8, 128 less. Zero points are folded into a constant, which is added to the sums. What a
node means is taken from the ONNX standard (onnx.ai/onnx/operators); scales are multiplied in float32, in the order in
which onnxruntime does.
"""

import contextlib
import dataclasses
import math
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper, shape_inference

from tsp.compiler import floats, onnx_float, onnx_linear, onnx_tables, tables
from tsp.compiler.graph import Graph
from tsp.compiler.graph import Tensor as GraphTensor
from tsp.compiler.onnx_moves import MOVES, arranged, channels_last, flattened
from tsp.compiler.onnx_operands import Make, is_exact, real
from tsp.compiler.onnx_operators import OPERATORS
from tsp.compiler.onnx_values import ELEMENTS, Constant, Value
from tsp.compiler.onnx_windows import windows_of
from tsp.compiler.tensor import table_of
from tsp.errors import InputError
from tsp.program import NARROW, Tensor

Array = NDArray[Any]
MOST_WEIGHTS = 1 << 26
"""Of a convolution whose groups are one, with zeros between."""
UNMOVED = (
    *MOVES, "QuantizeLinear", "DequantizeLinear", "Relu", "MatMul", "Gemm", "QLinearMatMul", "MatMulInteger",
)  # fmt: skip
"""Operators that know what to do with numbers that are not moved yet."""


@dataclasses.dataclass
class Imported:
    """A graph, with the shapes and types of the model's inputs and outputs."""

    graph: Graph
    inputs: dict[str, Value]
    outputs: dict[str, Value]

    def tensors(self) -> dict[str, Tensor]:
        """Name → layout; ``blocks`` is the name of the tensor in the graph."""
        found = {name: _layout(value, True) for name, value in self.inputs.items()}
        return found | {name: _layout(value, False) for name, value in self.outputs.items()}


def _layout(value: Value, given: bool) -> Tensor:
    first = value.tensor.image is not None
    name, table = value.tensor.name, table_of(value.tensor)
    return Tensor(given, value.shape, value.dtype, value.offset, first, (name,), table=table)


def import_model(model: onnx.ModelProto) -> Imported:
    """The graph of a model. InputError names the node that cannot be compiled and the nearest form that can."""
    try:
        inferred = shape_inference.infer_shapes(model)
    except shape_inference.InferenceError as error:
        reason = re.sub(r"\[\w+\] ", "", str(error)).splitlines()[0]
        raise InputError(f"the model makes no sense: {reason}") from None
    return Importer(inferred).run()


def opset_of(model: onnx.ModelProto) -> int:
    """The version of ONNX's own operators; the first if the model names none."""
    return max((opset.version for opset in model.opset_import if opset.domain in ("", "ai.onnx")), default=1)


def _array(tensor: onnx.TensorProto) -> Array:
    try:
        return numpy_helper.to_array(tensor)
    except (KeyError, ValueError, TypeError):
        raise InputError(f"constant {tensor.name!r} is damaged, or of an unknown type") from None


class Importer:
    def __init__(self, model: onnx.ModelProto):
        self.model, self.graph, self.opset = model.graph, Graph(), opset_of(model)
        self.known: dict[str, Value | Constant] = {}
        self.inputs: dict[str, Value] = {}
        self.node: onnx.NodeProto | None = None
        self.tables: dict[str, int] = {}
        """Input → how many rows the table has of which it gives numbers."""

    def run(self) -> Imported:
        for tensor in self.model.initializer:
            self.known[tensor.name] = Constant(_array(tensor))
        self.tables = onnx_tables.chosen_from(self.model)
        for given in self.model.input:
            if given.name not in self.known:
                self.known[given.name] = self.inputs[given.name] = self._input(given)
        for node in self.model.node:
            self._begin(node)
            for name in node.input:
                if name and name not in self.known:
                    raise self.refused(f"takes {name!r}, which is not made: of most nodes only the first output is")
            with self._named():
                self.known[node.output[0]] = self._operator(node)(self, node)
        outputs, makers = {}, {name: node for node in self.model.node for name in node.output}
        for wanted in self.model.output:
            if wanted.name not in self.known:
                raise InputError(f"output {wanted.name!r} is not made: of most nodes only the first output is")
            if wanted.name in makers:
                self._begin(makers[wanted.name])
            if not isinstance(self.known[wanted.name], Value):
                raise InputError(f"output {wanted.name!r} is a constant; nothing is computed")
            with self._named():
                value = self._outcome(wanted.name, ELEMENTS.get(wanted.type.tensor_type.elem_type, ""))
            self.graph.output(wanted.name, value.tensor)
            tensor = self.graph.outputs[wanted.name]
            outputs[wanted.name] = dataclasses.replace(value, tensor=tensor)
        return Imported(self.graph, self.inputs, outputs)

    def _begin(self, node: onnx.NodeProto) -> None:
        """What is made from now on, and what goes wrong, is this node's."""
        self.node, self.graph.node = node, node.name or node.output[0]

    def _operator(self, node: onnx.NodeProto) -> Make:
        """What makes a node; its inputs are brought to rows and lanes, but for operators that do it themselves."""
        if self.attribute("broadcast", 0):
            raise self.refused("broadcasts as before opset 7; bring the model to a later one by onnx.version_converter")
        operators = onnx_float.NODES if onnx_float.takes(self, node) else OPERATORS
        operators = onnx_linear.NODES if node.domain == onnx_linear.DOMAIN else operators
        operators = onnx_tables.NODES if onnx_tables.takes(self, node) else operators
        if node.op_type not in operators or node.domain not in ("", "ai.onnx", onnx_linear.DOMAIN):
            raise self.refused(f"is not supported; supported are {', '.join(sorted(operators))}")
        if node.op_type not in UNMOVED or operators is onnx_tables.NODES:
            self._bring([name for name in node.input if isinstance(self.known.get(name), Value)])
        return operators[node.op_type]

    def _bring(self, names: list[str]) -> None:
        """Bring tensors that meet to the same rows and lanes, as some of them lie already."""
        values = [x for x in map(self.known.__getitem__, names) if isinstance(x, Value)]
        known = {x.tensor.image is not None for x in values if x.source is None and len(x.shape) == 4}
        layout = "plain" if any(x.dtype == "float16" for x in values) else "image"
        if len(known) == 1 and len({x.shape for x in values}) == 1:
            layout = "image" if known.pop() else "plain"
        for name in names:
            arranged(self, name, layout if len(names) > 1 else "any")

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """What goes wrong names the node."""
        try:
            yield
        except InputError as error:
            if self.node is None or str(error).startswith(("node", "output")):
                raise
            raise self.refused(str(error)) from None

    def _outcome(self, name: str, dtype: str) -> Value:
        """What a run gives, in the type that the model says: floats that are only called so are computed."""
        arranged(self, name, "any")
        value = self.settled(name)
        if value.dtype == "int64":
            raise InputError(f"output {name!r} is int64; end the model with a Cast to int32")
        if value.dtype in NARROW:
            raise InputError(f"output {name!r} is {value.dtype}; end the model with a Cast to int8 or uint8")
        if value.scale is not None and not is_exact(value):
            raise InputError(f"output {name!r} is a float; end the model with QuantizeLinear, or at the sums")
        value = value if value.scale is None else real(self, value)
        if value.dtype == "float16" or (value.is_real and dtype == "float16"):
            return dataclasses.replace(value, tensor=floats.half(self.graph, value.tensor), dtype="float16")
        if dtype not in ("", value.dtype):
            raise InputError(f"output {name!r} is {dtype} in the model, but {value.dtype} is made; cast it to {dtype}")
        return value

    def _input(self, given: onnx.ValueInfoProto) -> Value:
        kind = given.type.tensor_type
        if not given.type.HasField("tensor_type"):
            found = str(given.type.WhichOneof("value")).removesuffix("_type")
            raise InputError(f"input {given.name!r} is no tensor, but of the kind {found}")
        numbers = given.name in self.tables
        if kind.elem_type not in ELEMENTS and not numbers:
            name = onnx.helper.tensor_dtype_to_string(kind.elem_type).rpartition(".")[2].lower()
            raise InputError(f"input {given.name!r} is {name}; supported are {', '.join(ELEMENTS.values())}")
        sizes = [axis.dim_value for axis in kind.shape.dim]
        if min(sizes, default=1) < 1:
            dims = [axis.dim_value or axis.dim_param or "?" for axis in kind.shape.dim]
            raise InputError(
                f"input {given.name!r} has shape {dims}; every axis must be a number (fix the dynamic ones)"
            )
        if numbers:
            tensor = tables.numbers(self.graph, given.name, math.prod(sizes), self.tables[given.name])
            return Value(tensor, onnx_tables.NUMBERS[kind.elem_type], tuple(sizes))
        dtype = ELEMENTS[kind.elem_type]
        offset = 128 if dtype == "uint8" else 0
        last = len(sizes) == 4 and channels_last(self.model, given.name)
        if last:
            image, features = (sizes[0], sizes[1], sizes[2]), sizes[3]
        elif len(sizes) == 4 and dtype != "float16":
            image, features = (sizes[0], sizes[2], sizes[3]), sizes[1]
        else:
            image, features = None, [1, *sizes][-1]
        stored = dtype if dtype in ("int32", "float16", "float32") else "int8"
        tensor = self.graph.input(given.name, (math.prod(sizes) // features, features), stored, image)
        return Value(dataclasses.replace(tensor, image=None) if last else tensor, dtype, tuple(sizes), offset)

    def refused(self, reason: str) -> InputError:
        assert self.node is not None
        name = f" {self.node.name!r}" if self.node.name else ""
        return InputError(f"node{name} {self.node.op_type} → {self.node.output[0]!r}: {reason}")

    def value(self, node: onnx.NodeProto, number: int, layout: str = "") -> Value:
        """An input that is computed, in rows and lanes as :func:`arranged` says."""
        self.unsettled(node, number)
        return self.settled(node.input[number], layout)

    def unsettled(self, node: onnx.NodeProto, number: int) -> Value:
        """An input that is computed, maybe but for what is still to be added."""
        found = self.known[node.input[number]]
        if isinstance(found, Constant):
            raise self.refused(f"input {node.input[number]!r} is a constant, but must be computed")
        return found

    def settled(self, name: str, layout: str = "") -> Value:
        """A computed tensor with all that is to be added, in rows and lanes as :func:`arranged` says."""
        x = self.known[name]
        assert isinstance(x, Value)
        self.known[name] = found = self.complete(name, arranged(self, name, layout) if layout or x.parts else x)
        return found

    def rows(self, node: onnx.NodeProto, number: int) -> Value:
        """An input that is multiplied with matrices: all its axes but the last are rows, but if these are images."""
        x = self.unsettled(node, number)
        return x if flattened(x) is not None else self.value(node, number, "plain")

    def complete(self, name: str, x: Value) -> Value:
        """With all that is to be added."""
        tensor = x.tensor
        if x.addends:
            raise self.refused(f"takes {name!r}, a sum of tensors whose scales have no common step; quantise it first")
        if x.plus is not None and x.plus.any():
            tensor = self.graph.add(tensor, x.plus.astype(np.int32))
        if x.positive:
            tensor = self.graph.relu(tensor)
        return dataclasses.replace(x, tensor=tensor, plus=None, positive=False)

    def constant(self, node: onnx.NodeProto, number: int, default: Any = None) -> Constant:
        """An input that is a constant."""
        if number >= len(node.input) or not node.input[number]:
            if default is None:
                raise self.refused(f"input {number} is missing")
            return Constant(np.asarray(default))
        found = self.known[node.input[number]]
        if not isinstance(found, Constant):
            raise self.refused(f"input {node.input[number]!r} is computed, but must be a constant")
        return found

    def scalar(self, node: onnx.NodeProto, number: int, default: Any = None) -> Any:
        """A constant of one number."""
        found = self.constant(node, number, default).value
        if found.size != 1:
            raise self.refused(f"input {node.input[number]!r} has {found.size} numbers, must have one for all")
        return found.reshape(-1)[0]

    def attribute(self, name: str, default: Any) -> Any:
        """Of the node at hand."""
        assert self.node is not None
        found = next((a for a in self.node.attribute if a.name == name), None)
        return default if found is None else onnx.helper.get_attribute_value(found)

    def element(self, name: str, default: str = "") -> str:
        """An element type that an attribute names; refused if it is none that is known."""
        number = self.attribute(name, 0)
        if number not in ELEMENTS and (number or not default):
            known = onnx.TensorProto.DataType.Name(number) if number in onnx.TensorProto.DataType.values() else number
            raise self.refused(f"has {name}={known}; known are {', '.join(ELEMENTS.values())}")
        return ELEMENTS.get(number, default)

    def fits(self, x: Value, shape: tuple[int, ...]) -> bool:
        """Whether bytes can be multiplied with matrices of this shape, one for all or one for each of their own."""
        stack, rows = shape[:-2], x.shape[:-2]
        axes = zip(reversed(stack), reversed(rows), strict=False)
        right = len(shape) >= 2 and len(stack) <= len(rows) and all(n in (1, m) for n, m in axes)
        return right and x.tensor.dtype == "int8" and shape[-2] == x.shape[-1]

    def products(self, x: Value, zero: int, weights: Array, images: bool) -> tuple[GraphTensor, Array]:
        """Sums of (x - zero) times whole-number weights, [in, out] or a stack of such, or [out, in, h, w] with images;
        and what is still to be added."""
        parts = [np.clip(weights, -128, 127).astype(np.int8)]
        while (rest := weights - sum(part.astype(np.int64) for part in parts)).any():
            parts.append(np.clip(rest, -128, 127).astype(np.int8))
        shift = x.offset - zero
        if weights.ndim > 2 and not images:
            which = np.arange(weights[..., 0, 0].size).reshape(weights.shape[:-2])
            of_row = np.broadcast_to(which[..., None], x.shape[:-1]).reshape(-1)
            stacks = [part.reshape(-1, *part.shape[-2:]) for part in parts]
            sums = self.graph.matmul_each(x.tensor, of_row, *stacks)
            constant = (shift * weights.sum(-2)).reshape(-1, weights.shape[-1])[of_row]
        elif images:
            sums = self.graph.conv2d(x.tensor, *parts, windows=windows_of(self, x, weights.shape[2:]), fill=-shift)
            constant = shift * weights.sum((1, 2, 3))
        else:
            whole = flattened(x)
            sums = self.graph.matmul(x.tensor, *parts) if whole is None else self.graph.flatten(whole, *parts)
            constant = shift * weights.sum(0)
        return sums, constant

    def images(self, x: Value) -> None:
        """InputError unless these are images."""
        if x.tensor.image is None or x.tensor.dtype != "int8":
            raise self.refused(f"takes int8 or uint8 [n, channels, lines, columns], not {x.dtype}{list(x.shape)}")

    def dense(self, weights: Array, features: int) -> Array:
        """Weights of a convolution in groups as those of one group, with zeros."""
        group, (out, into) = self.attribute("group", 1), weights.shape[:2]
        if group == 1:
            return weights
        if group < 1 or out % group or into * group != features:
            kinds = f"{out} outputs of {into} channels each and {features}"
            raise self.refused(f"has group={group}, which {kinds} do not fit")
        if (size := weights.size * group) > MOST_WEIGHTS:
            raise self.refused(f"has {group} groups, which make {size} weights with zeros; at most {MOST_WEIGHTS} do")
        whole = np.zeros((out, features, *weights.shape[2:]), weights.dtype)
        for number in range(out):
            first = number // (out // group) * into
            whole[number, first : first + into] = weights[number]
        return whole
