"""ONNX operators in the ways that the package's own node tests leave out, against its reference implementation."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import tsp
from tsp.compiler.onnx_import import import_model
from tsp.config import preset
from tsp.errors import InputError
from tsp.program import Program
from tsp.run import outputs_of
from tsp.tensors import with_inputs

CONFIG = preset("tiny").override(["mem_words=1024", "queue_depth=2048"])
RNG = np.random.default_rng(1)
FLOAT, UINT8, INT8, INT32 = TensorProto.FLOAT, TensorProto.UINT8, TensorProto.INT8, TensorProto.INT32


def model(nodes, given, constants):
    """A model with the outputs of its last node, called y0, y1, …; their types and shapes are set later."""
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
        for name, value in given.items()
    ]
    outputs = [helper.make_tensor_value_info(name, FLOAT, None) for name in nodes[-1].output]
    known = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "test", inputs, outputs, known)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 26)], ir_version=13)


def reference(made, given):
    """Outputs of ONNX's reference implementation, by name; the model gets their types and shapes."""
    names = [output.name for output in made.graph.output]
    with np.errstate(all="ignore"):
        want = dict(zip(names, map(np.asarray, ReferenceEvaluator(made).run(None, given)), strict=True))
    for output, array in zip(made.graph.output, want.values(), strict=True):
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        output.CopyFrom(helper.make_tensor_value_info(output.name, kind, array.shape))
    onnx.checker.check_model(made, full_check=True)
    return want


def same(nodes, given, **constants):
    """The chip's outputs are the reference's."""
    made = model(nodes, given, constants)
    want = reference(made, given)
    found = tsp.compile(made, CONFIG)(**given)
    for name, array in want.items():
        assert found[name].dtype == array.dtype and found[name].shape == array.shape
        equal = np.array_equal(found[name], array, equal_nan=array.dtype.kind == "f")
        assert equal, f"{name}: {found[name]} must be {array}"


def node(op, *inputs, outputs=("y0",), **attributes):
    return helper.make_node(op, inputs, outputs, **attributes)


def ints(dtype, *shape, low=None, high=None):
    limits = np.iinfo(dtype)
    return RNG.integers(low if low is not None else limits.min, high or limits.max, shape, dtype, endpoint=True)


def floats(*shape):
    return (RNG.normal(size=shape) * 9).astype(np.float32)


def bools(*shape):
    return RNG.random(shape) < 0.5


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32"])
def test_division(dtype):
    x, z = ints(dtype, 3, 20), ints(dtype, 3, 20, low=1)
    z[:, ::3] >>= 2
    z[z == 0] = 1
    for op, attributes in (("Div", {}), ("Mod", {"fmod": 1})):
        same([node(op, "x", "z", **attributes)], {"x": x, "z": z if dtype == "uint8" else -z})
    same([node("Div", "x", "z")], {"x": x}, z=z[:1])
    same([node("Mod", "z", "x")], {"x": z}, z=x[0, 0])


def test_floats():
    x, z = floats(3, 5), floats(3, 5)
    for op in ("Add", "Sub", "Mul", "Div", "Min", "Max", "Less", "GreaterOrEqual", "Equal"):
        same([node(op, "x", "z")], {"x": x, "z": z})
        same([node(op, "z", "x")], {"x": x}, z=floats(5))
    same([node("Max", "x", "z", "w")], {"x": x, "z": z}, w=np.float32(1))
    same([node("Clip", "x", "", "w")], {"x": x}, w=np.float32(1))
    same([node("Relu", "x", outputs=["r"]), node("Round", "r")], {"x": x})


def test_constants_come_first():
    x = ints("int8", 3, 5)
    for op in ("Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Equal"):
        same([node(op, "z", "x")], {"x": x}, z=ints("int8", 5))
    for op in ("Add", "Mul", "Min", "BitwiseXor"):
        same([node(op, "z", "x")], {"x": x}, z=ints("int8"))
    for dtype, shape in (("uint8", (5,)), ("int32", ())):
        same([node("Sub", "z", "x")], {"x": ints(dtype, 3, 5)}, z=ints(dtype, *shape))


def test_logic():
    x, z = bools(3, 5), bools(3, 5)
    for op in ("And", "Or", "Xor"):
        same([node(op, "x", "z")], {"x": x, "z": z})
        same([node(op, "z", "x")], {"x": x}, z=z[0])
    same([node("Not", "x")], {"x": x})


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "float32", "bool"])
def test_where(dtype):
    x, z = ((floats(3, 5) * 5).astype(dtype) for _ in range(2))
    same([node("Where", "c", "x", "z")], {"c": bools(3, 5), "x": x, "z": z})
    same([node("Where", "c", "z", "w")], {"c": bools(3, 5)}, z=z[0, 0], w=z[0, 1])
    same([node("Where", "c", "x", "z")], {"x": x}, z=z[0], c=bools(3, 5))


@pytest.mark.parametrize("source", ["int8", "uint8", "int32", "float32", "bool"])
def test_casts(source):
    """Within the range of what they are cast to, beyond which ONNX says nothing of floats."""
    x = (floats(3, 5) * 3 if source == "float32" else ints("int32", 3, 5)).astype(source)
    for to in ("int8", "uint8", "int32", "float32", "bool"):
        given = abs(x) if source == "float32" and to == "uint8" else x
        same([node("Cast", "x", to=helper.np_dtype_to_tensor_dtype(np.dtype(to)))], {"x": given})
        same([node("CastLike", "x", "z")], {"x": given}, z=np.ones(1, to))


def test_bits():
    same([node("BitCast", "x", to=INT32)], {"x": floats(3, 5)})
    same([node("BitCast", "x", to=FLOAT)], {"x": ints("int32", 3, 5)})
    same([node("BitCast", "x", to=INT8)], {"x": ints("uint8", 3, 5)})


def test_reductions():
    """Of images too, and of one pixel."""
    for x in (ints("uint8", 3, 4), ints("int32", 2, 3), floats(1, 3, 2, 2), floats(1, 3, 1, 1)):
        same([node("ReduceMax", "x", keepdims=0)], {"x": x})
    same([node("ReduceMin", "x", "a")], {"x": floats(2, 3)}, a=np.array([0, -1]))


@pytest.mark.parametrize("shape, scale, attributes", [
    ((2, 5), (), {}), ((2, 5), (5,), {"axis": -1}), ((2, 5), (2,), {"axis": 0}), ((2, 3, 2, 2), (3,), {}),
    ((4, 6), (4, 3), {"axis": 1, "block_size": 2}), ((5, 2), (2, 2), {"axis": 0, "block_size": 3}),
])  # fmt: skip
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_scales(shape, scale, attributes, dtype):
    constants = {"s": RNG.uniform(0.1, 2, scale).astype(np.float32), "z": ints(dtype, *scale)}
    same([node("QuantizeLinear", "x", "s", "z", **attributes)], {"x": floats(*shape) * 20}, **constants)
    same([node("DequantizeLinear", "x", "s", "z", **attributes)], {"x": ints(dtype, *shape)}, **constants)


def test_computed_scales():
    """Also of what is all zero, and of one sign."""
    nodes = [node("DynamicQuantizeLinear", "x", outputs=["y0", "y1", "y2"])]
    for x in (np.zeros(2, np.float32), -abs(floats(2)), floats(1, 1, 2, 1) * np.float32(1e-38)):
        same(nodes, {"x": x})
    same([node("ReduceMax", "x", outputs=["m"]), node("Sub", "x", "m")], {"x": floats(3, 40)})
    given = {"x": floats(2, 3), "s": np.float32([0.3]), "z": np.uint8([7])}
    same([node("QuantizeLinear", "x", "s", "z")], given)


def test_a_stack_of_matrices():
    """One matrix for all, one for each, and zero points that take weights beyond int8."""
    for shape, stack in (((3, 2, 6), ()), ((3, 2, 6), (3,)), ((3, 2, 6), (1,)), ((5, 6), ())):
        constants = {"w": ints("uint8", *stack, 6, 7), "a": np.uint8(3), "b": np.uint8(200)}
        same([node("MatMulInteger", "x", "w", "a", "b")], {"x": ints("uint8", *shape)}, **constants)


def refused(nodes, given, **constants):
    with pytest.raises(InputError) as found:
        import_model(model(nodes, given, constants))
    return str(found.value)


def test_what_is_refused():
    x, f = {"x": ints("int8", 2, 3)}, {"x": floats(2, 3)}
    assert "divides by a constant with a zero in it" in refused([node("Div", "x", "z")], x, z=np.int8([1, 0, 1]))
    assert "only constants and single numbers are broadcast" in refused(
        [node("Where", "c", "x", "z")], x | {"c": bools(2, 3), "z": ints("int8", 1, 3)}
    )
    assert "of [2, 3] and [2], which do not fit" in refused([node("Add", "x", "z")], f, z=floats(2))
    assert "no tensor that is computed has the shape" in refused([node("Add", "x", "z")], f, z=floats(2, 2, 3))
    assert "over 1 of 2 axes is not supported" in refused([node("ReduceMax", "x", "a")], f, a=np.array([0]))
    assert "from int8 to float32 is not supported" in refused([node("BitCast", "x", to=FLOAT)], x)
    assert "has a scale that is not above 0" in refused([node("QuantizeLinear", "x", "s")], f, s=np.float32(-1))
    assert "has to=DOUBLE; known are int8" in refused([node("Cast", "x", to=TensorProto.DOUBLE)], x)
    assert "is supported on tensors of one type" in refused([node("Div", "x", "z")], x, z=np.int32(3))


def test_narrow_types_come_in_bytes():
    """numpy has no int4: bytes of its range will do."""
    values = np.arange(-8, 8, dtype=np.int8)
    made = model([node("Cast", "x", to=INT32)], {"x": values}, {})
    made.graph.input[0].type.tensor_type.elem_type = TensorProto.INT4
    made.graph.output[0].type.tensor_type.elem_type = INT32
    compiled = tsp.compile(made, CONFIG)
    assert np.array_equal(compiled(values)["y0"], values)
    with pytest.raises(InputError, match=r"input 'x' is int8\[16\], must be int4\[16\]"):
        compiled(values + np.int8(1))
    made.graph.node[0].CopyFrom(node("Identity", "x"))
    with pytest.raises(InputError, match="output 'y0' is int4; end the model with a Cast to int8 or uint8"):
        import_model(made)


def test_scalars_and_narrow_types_in_a_file(tmp_path):
    """A tensor without axes, and one of a type that numpy has not, come out of a program's file as they went in."""
    nodes = [node("Cast", "x", to=INT32, outputs=["y"]), node("ReduceMax", "y", keepdims=0)]
    made = model(nodes, {"x": ints("int8", 3)}, {})
    made.graph.input[0].type.tensor_type.elem_type = TensorProto.INT4
    made.graph.output[0].type.tensor_type.elem_type = INT32
    tsp.compile(made, CONFIG).program.save(tmp_path / "x.npz")
    program = Program.load(tmp_path / "x.npz")
    assert [str(tensor) for tensor in program.tensors.values()] == ["int4[3]", "int32[]"]
    found = outputs_of(with_inputs(program, {"x": np.int8([-8, 5, 2])}))["y0"]
    assert found.shape == () and found == 5
