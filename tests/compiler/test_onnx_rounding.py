"""Real additions, means and changes of scale: right for every byte, pair of bytes or sum there can be."""

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from tsp.compiler.fixed_point import fixed_point
from tsp.compiler.onnx_import import Importer, import_model
from tsp.errors import InputError

KINDS = {"int8": (TensorProto.INT8, 128), "uint8": (TensorProto.UINT8, 0)}
BYTES = np.arange(256)


def model(inputs, middle, scale, zero, shape, out):
    """Dequantised inputs, name → (scale, zero), nodes from them to ``real``, and that quantised to ``y``."""
    nodes, constants = [], {"ys": np.float32(scale), "yz": zero}
    for name, (step, origin) in inputs.items():
        constants |= {f"{name}s": np.float32(step), f"{name}z": origin}
        nodes.append(helper.make_node("DequantizeLinear", [name, f"{name}s", f"{name}z"], [f"{name}r"]))
    nodes += [*middle, helper.make_node("QuantizeLinear", ["real", "ys", "yz"], ["y"])]
    graph = helper.make_graph(
        nodes, "test",
        [helper.make_tensor_value_info(key, KINDS[str(z.dtype)][0], shape) for key, (_, z) in inputs.items()],
        [helper.make_tensor_value_info("y", KINDS[str(zero.dtype)][0], out)],
        [numpy_helper.from_array(np.asarray(value), key) for key, value in constants.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def both(made, values):
    """(numpy's result of the compiler's graph, onnxruntime's of the nodes one by one)."""
    imported = import_model(made)
    rows = {}
    for key, value in values.items():
        x = imported.inputs[key]
        stored = (value.astype(int) - x.offset).astype(np.int8)
        rows[key] = (np.moveaxis(stored, 1, -1) if stored.ndim == 4 else stored).reshape(x.tensor.shape)
    found = imported.graph.evaluate(rows)["y"].astype(int) + imported.outputs["y"].offset
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    (want,) = onnxruntime.InferenceSession(made.SerializeToString(), options).run(None, values)
    return imported.graph, found, want.astype(int)


def of(kind, numbers):
    return (numbers - KINDS[kind][1]).astype(kind)


PAIR = {"a": BYTES.repeat(256).reshape(256, 256), "b": np.tile(BYTES, (256, 1))}


@pytest.mark.parametrize(
    "scales, kinds, zeros, relu",
    [
        ((0.037134, 0.083291, 0.091178), ("uint8", "int8", "uint8"), (0, 3, 0), True),
        ((0.037134, 0.037134, 0.050331), ("uint8", "uint8", "int8"), (117, 5, -9), False),
        ((0.061127, 0.018734, 0.043019), ("int8", "int8", "int8"), (0, -20, -3), True),
        ((0.25, 2.0, 1.0), ("uint8", "int8", "uint8"), (1, 3, 7), False),
        ((0.25, 0.25, 0.5), ("int8", "int8", "int8"), (0, 0, 0), True),
        ((0.0371, 0.0833, 0.0912), ("uint8", "uint8", "uint8"), (0, 3, 0), True),
        ((0.0611, 0.0187, 0.043), ("int8", "int8", "int8"), (0, -20, -3), True),
        ((3e-6, 0.08, 0.1), ("int8", "uint8", "uint8"), (-128, 128, 0), False),
    ],
)
def test_additions(scales, kinds, zeros, relu):
    """All 65,536 pairs; short decimals are divided."""
    inputs = {key: (scales[n], np.array(zeros[n], kinds[n])) for n, key in enumerate("ab")}
    middle = [helper.make_node("Add", ["ar", "br"], ["sum" if relu else "real"])]
    middle += [helper.make_node("Relu", ["sum"], ["real"])] if relu else []
    made = model(inputs, middle, scales[2], np.array(zeros[2], kinds[2]), [256, 256], [256, 256])
    graph, found, want = both(made, {key: of(kind, PAIR[key]) for key, kind in zip("ab", kinds, strict=False)})
    assert np.array_equal(found, want) and len(np.unique(want)) > 90
    assert any(x.op == "bits" for x in graph.tensors.values()) == (scales[0] in (0.0371, 0.0611))


@pytest.mark.parametrize("scale, zero", [(0.031, 4), (0.05, 128), (0.12343, 255), (0.1234, 255)])
def test_another_scale(scale, zero):
    middle = [helper.make_node("Identity", ["ar"], ["real"])]
    made = model({"a": (0.05, np.uint8(100))}, middle, scale, np.uint8(zero), [1, 256], [1, 256])
    _, found, want = both(made, {"a": BYTES.astype(np.uint8).reshape(1, 256)})
    assert np.array_equal(found, want) and len(np.unique(want)) > 40


@pytest.mark.parametrize(
    "scale, out, zero",
    [(0.25, 0.125, np.uint8(0)), (0.5, 1, np.int8(3)), (0.5, 1, np.int8(4)), (0.04, 0.0331, np.uint8(9))],
)
@pytest.mark.parametrize("pool", ["GlobalAveragePool", "AveragePool"])
def test_means(pool, scale, out, zero):
    """Of sums between the least and the greatest of 49 bytes; those below zero become zero."""
    places = {} if pool == "GlobalAveragePool" else {"kernel_shape": [7, 7]}
    middle = [helper.make_node(pool, ["ar"], ["mean"], **places), helper.make_node("Relu", ["mean"], ["real"])]
    made = model({"a": (scale, np.uint8(20))}, middle, out, zero, [1, 64, 7, 7], [1, 64, 1, 1])
    x = np.random.default_rng(1).integers(0, 256, (1, 64, 7, 7)) * np.linspace(0, 1, 64).reshape(1, 64, 1, 1)
    graph, found, want = both(made, {"a": x.astype(np.uint8)})
    assert np.array_equal(found.reshape(-1), want.reshape(-1)) and len(np.unique(want)) > 20
    floats = any(tensor.dtype == "float32" for tensor in graph.tensors.values())
    assert floats == (scale != 0.25)


EDGES = [
    {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]},
    {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1},
    {"kernel_shape": [3, 2], "strides": [2, 2], "ceil_mode": 1},
    {"kernel_shape": [9, 8], "pads": [0, 0, 1, 1]},
    {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [0, 1, 0, 1], "ceil_mode": 1},
]


@pytest.mark.parametrize("scale, out, zero", [(0.5, 0.5, np.int8(3)), (0.5, 1, np.uint8(4)), (0.04, 0.03, np.uint8(9))])
@pytest.mark.parametrize("places", EDGES)
def test_means_of_windows_that_an_edge_cuts(places, scale, out, zero):
    """Half of the channels have few values, so that many means are halves."""
    made = model(
        {"a": (scale, np.uint8(7))}, [helper.make_node("AveragePool", ["ar"], ["real"], **places)], out, zero,
        [1, 6, 8, 7], None,
    )  # fmt: skip
    x = np.random.default_rng(1).integers(0, 256, (1, 6, 8, 7)).astype(np.uint8)
    x[:, 3:] %= 16
    _, found, want = both(made, {"a": x})
    want = np.moveaxis(want, 1, -1).reshape(-1, 6)
    assert np.array_equal(found, want) and len(np.unique(want)) > 2


@pytest.mark.parametrize("kind, zero", [("uint8", 0), ("uint8", 100), ("uint8", 255), ("int8", -128), ("int8", 5)])
def test_relu_of_bytes(kind, zero):
    """The greater of a byte and its zero point."""
    point = np.array(zero, kind)
    made = model({"a": (0.5, point)}, [helper.make_node("Relu", ["ar"], ["real"])], 0.5, point, [16, 16], [16, 16])
    _, found, want = both(made, {"a": of(kind, BYTES.reshape(16, 16))})
    assert np.array_equal(found, want) and want.min() == zero


def test_fixed_point():
    """Every sum of up to 49 bytes, divided by 49; and what no factor can do."""
    sums = np.arange(49 * 255 + 1)
    want = np.clip(np.rint(sums / 49) - 128, -128, 127).astype(int)
    (factor,), added, shift = fixed_point([sums], [1 / 49], want, -128)
    half, made = 1 << shift - 1, sums * factor + added
    assert np.array_equal((made + half >> shift), want) and abs(made).max() < 1 << 31
    want[1000] += 1
    assert fixed_point([sums], [1 / 49], want, -128) is None


def test_what_is_not_supported_is_named():
    x = {"a": (0.5, np.uint8(0))}
    for middle, sentence in (
        (
            [helper.make_node("AveragePool", ["ar"], ["real"], kernel_shape=[2, 2], ceil_mode=1, count_include_pad=1)],
            "without padding that counts if there is ceil_mode",
        ),
        (
            [helper.make_node("AveragePool", ["ar"], ["real"], kernel_shape=[1, 1], pads=[1, 0, 0, 0])],
            "one has no pixel of the image to average",
        ),
        ([helper.make_node("Add", ["ar", "ys"], ["real"])], "takes two dequantised tensors"),
        ([helper.make_node("GlobalAveragePool", ["a"], ["real"])], "put DequantizeLinear before"),
    ):
        with pytest.raises(InputError, match=sentence):
            import_model(model(x, middle, 0.5, np.uint8(0), [1, 4, 4, 4], None))


@pytest.mark.parametrize("scale", [0, -1, np.nan, np.inf])
def test_scales_are_positive_numbers(scale):
    middle = [helper.make_node("Add", ["ar", "ar"], ["real"])]
    for scales in ((scale, 0.5), (0.5, scale)):
        with pytest.raises(InputError, match="that are not all numbers above zero"):
            import_model(model({"a": (scales[0], np.uint8(0))}, middle, scales[1], np.uint8(0), [2, 2], [2, 2]))


@pytest.mark.parametrize(
    "constants, sentence",
    [
        ({"ws": np.full(3, 0.5, np.float32)}, "3 scales of weights for 2 features"),
        ({"ws": np.full(4, 0.5, np.float32), "axis": 1}, "scales go along axis 1; they must go along axis 0"),
        ({"b": np.zeros(3, np.int32)}, "a bias of 3 numbers for 2 features"),
        ({"wz": np.zeros(3, np.int8)}, r"3 zero points of weights \[2, 4, 1, 1\]"),
        ({"w": np.zeros((2, 4, 1), np.int8)}, r"\[out, in, lines, columns\], not \[2, 4, 1\]"),
        ({"w": np.zeros((2, 3, 1, 1), np.int8)}, "weights take 3 channels, but there are 4"),
    ],
)
def test_constants_that_do_not_fit(constants, sentence):
    given = {
        "w": np.ones((2, 4, 1, 1), np.int8), "ws": np.float32(0.5), "wz": np.int8(0), "b": np.zeros(2, np.int32),
        "bs": np.float32(0.25), "bz": np.int32(0),
        "axis": 0,
    } | constants  # fmt: skip
    middle = [
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wr"], axis=given.pop("axis")),
        helper.make_node("DequantizeLinear", ["b", "bs", "bz"], ["br"], axis=0),
        helper.make_node("Conv", ["ar", "wr", "br"], ["real"]),
    ]
    made = model({"a": (0.5, np.uint8(0))}, middle, 1, np.uint8(0), [1, 4, 3, 3], [1, 2, 3, 3])
    made.graph.initializer.extend(numpy_helper.from_array(np.asarray(value), key) for key, value in given.items())
    with pytest.raises(InputError, match=sentence):
        Importer(made).run()
