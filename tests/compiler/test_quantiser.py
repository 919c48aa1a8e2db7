"""What onnxruntime's static quantiser makes of a float model with a shortcut: every tensor is onnxruntime's."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

import tsp
from tsp.config import preset

SIDE, CHANNELS = 8, 12


def float_model(rng):
    shapes = {"wa": (CHANNELS, 3, 3, 3), "wb": (CHANNELS, CHANNELS, 3, 3), "wc": (10, CHANNELS)}
    weights = {key: rng.normal(0, 0.2, shape).astype(np.float32) for key, shape in shapes.items()}
    weights |= {f"b{key[1]}": rng.normal(0, 0.1, w.shape[0]).astype(np.float32) for key, w in list(weights.items())}
    padded = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    nodes = [
        helper.make_node("Conv", ["x", "wa", "ba"], ["a"], name="a", **padded),
        helper.make_node("Relu", ["a"], ["h"], name="h"),
        helper.make_node("Conv", ["h", "wb", "bb"], ["b"], name="b", **padded),
        helper.make_node("Add", ["b", "h"], ["s"], name="s"),
        helper.make_node("Relu", ["s"], ["r"], name="r"),
        helper.make_node("GlobalAveragePool", ["r"], ["m"], name="m"),
        helper.make_node("Flatten", ["m"], ["f"], name="f"),
        helper.make_node("Gemm", ["f", "wc", "bc"], ["y"], name="y", transB=1),
    ]
    graph = helper.make_graph(
        nodes, "float", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 10])],
        [numpy_helper.from_array(value, key) for key, value in weights.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


class Images(CalibrationDataReader):
    def __init__(self, rng):
        self.left = iter([{"x": rng.normal(size=(1, 3, SIDE, SIDE)).astype(np.float32)} for _ in range(4)])

    def get_next(self):
        return next(self.left, None)


@pytest.fixture(scope="module", params=["QUInt8", "QInt8"])
def quantised(request, tmp_path_factory):
    """The model between its floats, with all that QuantizeLinear makes as outputs; and the whole."""
    folder, rng = tmp_path_factory.mktemp("quantiser"), np.random.default_rng(6)
    paths = [str(folder / name) for name in ("float.onnx", "whole.onnx", "cut.onnx")]
    onnx.save(float_model(rng), paths[0])
    kind = getattr(QuantType, request.param)
    quantize_static(
        paths[0], paths[1], Images(rng), quant_format=QuantFormat.QDQ, activation_type=kind, per_channel=True
    )
    whole = onnx.load(paths[1])
    made = [node.output[0] for node in whole.graph.node if node.op_type == "QuantizeLinear"]
    onnx.utils.extract_model(paths[1], paths[2], made[:1], made[1:])
    return onnx.load(paths[2]), whole


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


def test_floats_at_both_ends(quantised):
    """QuantizeLinear of the input and DequantizeLinear of the output on the chip, too."""
    whole, x = quantised[1], np.random.default_rng(8).normal(size=(1, 3, SIDE, SIDE)).astype(np.float32)
    (want,) = onnxruntime.InferenceSession(whole.SerializeToString()).run(None, {"x": x})
    found = tsp.compile(whole, preset("groqchip").override(["superlanes=2"]))(x)["y"]
    assert found.dtype == np.float32 and np.array_equal(found, want)
