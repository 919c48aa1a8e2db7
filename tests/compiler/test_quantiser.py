"""What onnxruntime's static quantiser makes of float models, with a shortcut and with channels put together: every
tensor is onnxruntime's."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

import tsp
from tests.compiler.test_onnx import model
from tsp.compiler.onnx_file import load
from tsp.compiler.onnx_import import import_model
from tsp.config import preset
from tsp.errors import InputError

SIDE, CHANNELS = 8, 12


def float_model(rng, name):
    """Shapes of weights, each with a bias, and what takes them."""
    shapes, nodes = {"shortcut": shortcut, "fire": fire}[name]()
    weights = {f"w{key}": rng.normal(0, 0.2, shape).astype(np.float32) for key, shape in shapes.items()}
    outputs = {key: shape[-1] if key == "y" else shape[0] for key, shape in shapes.items()}
    weights |= {f"b{key}": rng.normal(0, 0.1, out).astype(np.float32) for key, out in outputs.items()}
    graph = helper.make_graph(
        nodes, "float", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 10])],
        [numpy_helper.from_array(value, key) for key, value in weights.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def layer(key, x, relu=True, size=3):
    """A convolution with weights of that name."""
    conv = [f"{x}", f"w{key}", f"b{key}"], [f"{key}s" if relu else key]
    nodes = [helper.make_node("Conv", *conv, name=f"{key}s", kernel_shape=[size] * 2, pads=[size // 2] * 4)]
    return [*nodes, helper.make_node("Relu", [f"{key}s"], [key], name=key)] if relu else nodes


def shortcut():
    shapes = {"h": (CHANNELS, 3, 3, 3), "b": (CHANNELS, CHANNELS, 3, 3), "y": (CHANNELS, 10)}
    return shapes, [
        *layer("h", "x"), *layer("b", "h", relu=False), helper.make_node("Add", ["b", "h"], ["s"], name="s"),
        helper.make_node("Relu", ["s"], ["r"], name="r"),
        helper.make_node("GlobalAveragePool", ["r"], ["m"], name="m"),
        helper.make_node("Flatten", ["m"], ["f"], name="f"),
        helper.make_node("Gemm", ["f", "wy", "by"], ["y"], name="y"),
    ]  # fmt: skip


def fire():
    """A Fire module, and a block of Inception's kind behind it: scales differ between what is put together."""
    shapes = {
        "q": (6, 3, 1, 1), "a": (8, 6, 1, 1), "b": (10, 6, 3, 3), "d": (12, 18, 3, 3), "e": (5, 12, 1, 1),
        "f": (7, 12, 3, 3), "y": (24, 10),
    }  # fmt: skip
    around = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1}
    return shapes, [
        *layer("q", "x", size=1), *layer("a", "q", size=1), *layer("b", "q"),
        helper.make_node("Concat", ["a", "b"], ["c"], name="c", axis=1),
        helper.make_node("MaxPool", ["c"], ["m"], name="m", kernel_shape=[2, 2], strides=[2, 2]), *layer("d", "m"),
        *layer("e", "d", relu=False, size=1), helper.make_node("AveragePool", ["d"], ["p"], name="p", **around),
        *layer("f", "p"), helper.make_node("Concat", ["d", "e", "f"], ["i"], name="i", axis=1),
        helper.make_node("GlobalAveragePool", ["i"], ["j"], name="j"),
        helper.make_node("Flatten", ["j"], ["g"], name="g"),
        helper.make_node("Gemm", ["g", "wy", "by"], ["y"], name="y"),
    ]  # fmt: skip


class Images(CalibrationDataReader):
    def __init__(self, rng):
        self.left = iter([{"x": rng.normal(size=(1, 3, SIDE, SIDE)).astype(np.float32)} for _ in range(4)])

    def get_next(self):
        return next(self.left, None)


SHORTCUT, FIRE = ([(name, kind) for kind in ("QUInt8", "QInt8")] for name in ("shortcut", "fire"))


@pytest.fixture(scope="module")
def quantised(request, tmp_path_factory):
    """The model between its floats, with all that QuantizeLinear makes as outputs; and the whole."""
    folder, rng = tmp_path_factory.mktemp("quantiser"), np.random.default_rng(6)
    paths = [str(folder / name) for name in ("float.onnx", "whole.onnx", "cut.onnx")]
    name, kind = request.param[0], getattr(QuantType, request.param[1])
    onnx.save(float_model(rng, name), paths[0])
    quantize_static(
        paths[0], paths[1], Images(rng), quant_format=QuantFormat.QDQ, activation_type=kind, per_channel=True
    )
    whole = onnx.load(paths[1])
    made = [node.output[0] for node in whole.graph.node if node.op_type == "QuantizeLinear"]
    onnx.utils.extract_model(paths[1], paths[2], made[:1], made[1:])
    return onnx.load(paths[2]), whole


@pytest.mark.parametrize("quantised", SHORTCUT + FIRE, indirect=True, scope="module")
def test_every_tensor(quantised):
    model, _ = quantised
    given = model.graph.input[0]
    dtype = helper.tensor_dtype_to_np_dtype(given.type.tensor_type.elem_type)
    limits = np.iinfo(dtype)
    x = np.random.default_rng(7).integers(limits.min, limits.max + 1, (1, 3, SIDE, SIDE)).astype(dtype)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    want = dict(zip([out.name for out in session.get_outputs()], session.run(None, {given.name: x}), strict=True))
    found = tsp.compile(model, preset("groqchip").override(["superlanes=2"]))(x)
    assert len(want) >= 6
    for name in want:
        assert np.array_equal(found[name], want[name]), name


def test_the_format_of_operators(tmp_path):
    """QLinearConcat and the like instead of DequantizeLinear and QuantizeLinear; floats at both ends."""
    rng, paths = np.random.default_rng(6), [str(tmp_path / name) for name in ("float.onnx", "whole.onnx")]
    onnx.save(float_model(rng, "fire"), paths[0])
    quantize_static(*paths, Images(rng), quant_format=QuantFormat.QOperator, activation_type=QuantType.QUInt8)
    whole, imported = onnx.load(paths[1]), load(Path(paths[1]))
    assert {"QLinearConcat", "QLinearAveragePool", "QGemm"} < {node.op_type for node in whole.graph.node}
    x = rng.normal(size=(1, 3, SIDE, SIDE)).astype(np.float32)
    (want,) = onnxruntime.InferenceSession(whole.SerializeToString()).run(None, {"x": x})
    assert np.array_equal(tsp.compile(imported, preset("groqchip").override(["superlanes=2"]))(x)["y"], want)


@pytest.mark.parametrize(
    "op, inputs, sentence",
    [
        ("QLinearConcat", "s z x s", "node QLinearConcat → 'y': has 4 inputs, which are too few: each has a scale"),
        ("QLinearAdd", "x s z x s z", "has 6 inputs, which are too few: its output has a scale and a zero point"),
        ("QGemm", "x s z x s z", "makes floats; give it the scale and the zero point of its output"),
        ("QLinearMul", "x s z x s z s z", "is not supported; supported are QGemm, QLinearAdd, QLinearAveragePool"),
    ],
)
def test_sentences(op, inputs, sentence):
    made = model(
        [helper.make_node(op, inputs.split(), ["y"], domain="com.microsoft")], {"x": (TensorProto.INT8, [2, 3])},
        {"y": (TensorProto.INT8, None)}, s=np.float32(0.5), z=np.int8(1),
    )  # fmt: skip
    made.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    with pytest.raises(InputError) as found:
        import_model(made)
    assert sentence in str(found.value)


@pytest.mark.parametrize("quantised", SHORTCUT, indirect=True, scope="module")
def test_floats_at_both_ends(quantised):
    """QuantizeLinear of the input and DequantizeLinear of the output on the chip, too."""
    whole, x = quantised[1], np.random.default_rng(8).normal(size=(1, 3, SIDE, SIDE)).astype(np.float32)
    (want,) = onnxruntime.InferenceSession(whole.SerializeToString()).run(None, {"x": x})
    found = tsp.compile(whole, preset("groqchip").override(["superlanes=2"]))(x)["y"]
    assert found.dtype == np.float32 and np.array_equal(found, want)
