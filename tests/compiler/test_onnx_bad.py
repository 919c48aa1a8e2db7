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
