"""What an operator means where older or newer versions of ONNX differ, and what it means by default."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper, shape_inference
from onnx.reference import ReferenceEvaluator

import tsp
from tsp.compiler.onnx_file import load
from tsp.compiler.onnx_import import import_model
from tsp.config import preset
from tsp.errors import InputError

NARROW = preset("groqchip").override(["superlanes=2"])
RNG = np.random.default_rng(1)
HALVES, REALS = (RNG.normal(size=(2, 3, 4)).astype(dtype) for dtype in ("float16", "float32"))
BYTES = RNG.integers(-128, 128, (6, 4)).astype(np.int8)
WEIGHTS = RNG.integers(-128, 128, (4, 5)).astype(np.int8)


def node(op, inputs, output="y", **attributes):
    return helper.make_node(op, inputs.split(), [output], **attributes)


def model(nodes, x, opset, **constants):
    """With an input x and an output y, whose type and shape are inferred."""
    given = helper.make_tensor_value_info("x", helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
    known = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "test", [given], [onnx.ValueInfoProto(name="y")], known)
    return shape_inference.infer_shapes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    )


@pytest.mark.parametrize("x", [HALVES, REALS], ids=["float16", "float32"])
def test_limits_that_are_attributes(x):
    """As Clip had them before opset 11."""
    made = model([node("Clip", "x", min=-0.5, max=0.25)], x, 10)
    assert np.array_equal(tsp.compile(made, NARROW)(x)["y"], np.clip(x, x.dtype.type(-0.5), x.dtype.type(0.25)))


@pytest.mark.parametrize("attributes", [{}, {"axis": 2}, {"axis": 0}])
def test_a_softmax_over_all_axes_from_one_on(attributes):
    """As it was before opset 13."""
    made = model([node("Softmax", "x", **attributes)], HALVES, 11)
    (want,) = onnxruntime.InferenceSession(made.SerializeToString()).run(None, {"x": HALVES})
    assert np.abs(tsp.compile(made, NARROW)(HALVES)["y"] - want).max() < 1e-3


def test_the_oldest_models():
    """Their Concat goes along axis 1 by itself; how they broadcast is refused."""
    made = model([node("Concat", "x x")], BYTES, 3)
    assert np.array_equal(tsp.compile(made, NARROW)(BYTES)["y"], np.concatenate([BYTES, BYTES], 1))
    with pytest.raises(InputError, match="node Add → 'y': broadcasts as before opset 7; bring the model to"):
        import_model(model([node("Add", "x c", broadcast=1, axis=1)], HALVES, 6, c=np.ones(3, np.float16)))


@pytest.mark.parametrize(
    "nodes, x, constants",
    [
        ([node("DequantizeLinear", "x s", "d"), node("DequantizeLinear", "w s", "e"), node("MatMul", "d e", "m"),
          node("QuantizeLinear", "m t", output_dtype=TensorProto.INT8)],
         BYTES, {"s": np.float32(0.5), "t": np.float32(64), "w": WEIGHTS}),
        ([node("DequantizeLinear", "x s", "d"), node("QuantizeLinear", "d t", output_dtype=TensorProto.INT8)],
         BYTES, {"s": np.float32(0.5), "t": np.float32(1)}),
        ([node("DequantizeLinear", "x s")], BYTES, {"s": np.float16(0.1)}),
        ([node("ReduceMax", "x", noop_with_empty_axes=1)], REALS, {}),
        ([node("ReduceMin", "x axes")], REALS, {"axes": np.zeros(0, np.int64)}),
        ([helper.make_node("Constant", [], ["c"], value_float=1.5), node("Add", "x c")], REALS, {}),
        ([helper.make_node("Constant", [], ["c"], value_ints=[4, 6]), node("Reshape", "x c")], REALS, {}),
    ],
    ids=["sums", "bytes", "half", "no axes", "empty axes", "number", "numbers"],
)  # fmt: skip
def test_what_attributes_and_types_say(nodes, x, constants):
    made = model(nodes, x, 21, **constants)
    (want,) = ReferenceEvaluator(made).run(None, {"x": x})
    found = tsp.compile(made, NARROW)(x)["y"]
    assert found.dtype == want.dtype and found.shape == want.shape and np.array_equal(found, want)


@pytest.mark.parametrize("op, attributes", [("Softmax", {}), ("RMSNormalization", {}), ("ReduceSum", {"axes": [2]})])
def test_axes_that_a_number_has_not(op, attributes):
    """Of models that were not checked."""
    made = model([node(op, "x w" if op[0] == "R" and not attributes else "x", **attributes)], np.float16(1), 13,
                 w=np.float16(1))  # fmt: skip
    made.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT16
    with pytest.raises(InputError, match="has axis (-1|2), but a tensor of 0 axes"):
        import_model(made)


def test_an_output_has_the_type_that_the_model_says():
    made = model([node("Relu", "x")], BYTES, 21)
    made.graph.output[0].type.tensor_type.elem_type = TensorProto.INT32
    with pytest.raises(InputError, match="output 'y' is int32 in the model, but int8 is made; cast it to int32"):
        import_model(made)


def beside(folder, **where):
    """A model file whose weights are said to lie elsewhere."""
    made = model([node("MatMulInteger", "x w")], BYTES, 21, w=WEIGHTS)
    (weights,) = made.graph.initializer
    onnx.external_data_helper.set_external_data(weights, **where)
    weights.ClearField("raw_data")
    folder.mkdir()
    (folder / "x.onnx").write_bytes(made.SerializeToString())
    return folder / "x.onnx"


def test_weights_may_lie_beside_the_model(tmp_path, monkeypatch):
    """Beside it, not where the command is called."""
    path = beside(tmp_path / "folder", location="weights.bin", offset=3)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights.bin").write_bytes(bytes(99))
    with pytest.raises(InputError, match="weights 'w' lie in .*folder/weights.bin: No such file or directory$"):
        load(path)
    path.with_name("weights.bin").write_bytes(b"abc" + WEIGHTS.tobytes())
    assert np.array_equal(tsp.compile(load(path), NARROW)(BYTES)["y"], BYTES.astype(int) @ WEIGHTS)


@pytest.mark.parametrize("where, sentence", [
    ({"location": "../x.bin"}, "'../x.bin' points outside the directory"),
    ({"location": "/etc/passwd"}, "should be a relative path, but it is an absolute path"),
    ({"location": "x.bin", "length": 1 << 40}, "the weights beside it have 1099511627776 bytes; at most 2147483648"),
])  # fmt: skip
def test_weights_that_are_not_read(tmp_path, where, sentence):
    path = beside(tmp_path / "folder", **where)
    for folder in (tmp_path, path.parent):
        (folder / "x.bin").write_bytes(bytes(99))
    with pytest.raises(InputError, match=sentence) as found:
        load(path)
    assert "\n" not in str(found.value)
