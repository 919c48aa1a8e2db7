"""Model files that are no models, or of networks that no chip holds: one sentence, before anything large is made."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

import tsp
from tsp.compiler.onnx_file import load
from tsp.compiler.windows import Windows
from tsp.config import preset
from tsp.errors import InputError

AXES = ["n", "c", "h", "w"]


def convolution(shape=(1, 4, 8, 8), **attributes):
    node = helper.make_node("ConvInteger", ["x", "w"], ["y"], **attributes)
    given = helper.make_tensor_value_info("x", TensorProto.INT8, shape)
    made = helper.make_tensor_value_info("y", TensorProto.INT32, AXES)
    weights = numpy_helper.from_array(np.ones((3, 4, 3, 3), np.int8), "w")
    graph = helper.make_graph([node], "test", [given], [made], [weights])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=9)


def refused(path, model):
    path.write_bytes(model.SerializeToString())
    with pytest.raises(InputError) as found:
        tsp.compile(load(path), preset("tiny"))
    assert "\n" not in str(found.value)
    return str(found.value)


@pytest.mark.parametrize(
    "attributes, sentence",
    [
        ({"strides": [0, 1]}, "(op_type:ConvInteger): Attribute strides must only contain positive values"),
        ({"dilations": [-1, 1]}, "Attribute dilations must only contain positive values"),
        ({"strides": [1]}, "Attribute strides has incorrect size"),
        ({"pads": [-1, 0, 0, 0]}, "Attribute pads must not contain negative values"),
        ({"group": 0}, "node ConvInteger → 'y': has group=0, which 3 outputs"),
        ({"group": 2}, "has group=2, which 3 outputs of 4 channels each and 4 do not fit"),
        ({"auto_pad": "SAME"}, "has auto_pad=SAME and pads=[0, 0, 0, 0]; give one of NOTSET"),
        ({"auto_pad": "VALID", "pads": [1, 1, 1, 1]}, "has auto_pad=VALID and pads=[1, 1, 1, 1]"),
        ({"pads": [10**9] * 4}, "node ConvInteger → 'y': windows of [3, 3] on x int8[64, 4]"),
        ({"shape": (10**6, 4, 32, 32)}, "x int8[1024000000, 4] has 1024000000 rows; no chip holds more than"),
        (
            {"shape": (1, 4, 200, 50)},
            "x int8[10000, 4] does not fit: it takes 10000 words, but config tiny has 3072; 221696",
        ),
    ],
)
def test_nodes_that_make_no_sense(tmp_path, attributes, sentence):
    assert sentence in refused(tmp_path / "x.onnx", convolution(**attributes))


def test_constants_of_unknown_types():
    made = convolution()
    made.graph.initializer[0].data_type = 99
    with pytest.raises(InputError, match="constant 'w' is damaged, or of an unknown type"):
        tsp.compile(made, preset("tiny"))


def test_windows_that_are_none():
    for fields in ({"strides": (0, 1)}, {"dilations": (1, -1)}, {"pads": (1, 1)}):
        with pytest.raises(InputError, match="must have two strides and two dilations, each at least 1, and four pads"):
            Windows(**fields)


def nodes_of(op, *inputs, **attributes):
    return [helper.make_node(op, [*inputs], ["y"], **attributes)]


@pytest.mark.parametrize(
    "nodes, kind, shape, constants, sentence",
    [
        (nodes_of("Relu", "x"), "INT8", [1, 2 * 10**9], {}, "int8[1, 2000000000] does not fit: it takes 62500000"),
        (nodes_of("Relu", "x"), "INT8", [2**40, 2**40], {}, "has 1099511627776 rows; no chip holds more than 16777216"),
        (
            nodes_of("ConvInteger", "x", "w", group=65536), "INT8", [1, 65536, 2, 2],
            {"w": np.ones((65536, 1, 1, 1), np.int8)}, "has 65536 groups, which make 4294967296 weights with zeros",
        ),
        (nodes_of("Softmax", "x"), "FLOAT16", [4, 200_000], {}, "it is found among at most 4096 features"),
        (nodes_of("ReduceMax", "x"), "INT8", [1, 200_000], {}, "takes 1 product and 40000000000 weights; at most 4096"),
        (
            nodes_of("MatMulInteger", "x", "w"), "INT8", [3000, 2, 6], {"w": np.ones((3000, 6, 1), np.int8)},
            "its rows meet 18000000 matrices in all; at most 16777216 do",
        ),
        (nodes_of("Concat", "x", "x", axis=0), "INT8", [9 * 10**6, 1], {}, "makes 18000000 numbers; at most 16777216"),
    ],
    ids=["wide", "beyond int64", "groups", "softmax", "lanes", "stack", "doubled"],
)  # fmt: skip
def test_what_would_take_all_memory(nodes, kind, shape, constants, sentence):
    """Refused before anything of that size is made."""
    graph = helper.make_graph(
        nodes, "test", [helper.make_tensor_value_info("x", getattr(TensorProto, kind), shape)],
        [helper.make_tensor_value_info("y", TensorProto.UNDEFINED, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )  # fmt: skip
    with pytest.raises(InputError) as found:
        tsp.compile(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=9), preset("tiny"))
    assert sentence in str(found.value)
