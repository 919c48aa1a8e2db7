"""ONNX models of float16 against onnxruntime's float32, within float16; ONNX's own node tests of floats: none wrong."""

import os
from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import tsp
from tests.compiler.test_onnx_nodes import arrays, every_case, with_constants
from tsp.checker import check
from tsp.compiler import onnx_float
from tsp.compiler.onnx_import import import_model
from tsp.config import preset
from tsp.errors import InputError

NARROW = preset("groqchip").override(["superlanes=2"])
RNG = np.random.default_rng
HALF, REAL = TensorProto.FLOAT16, TensorProto.FLOAT


def model(nodes, shapes, outputs, element, **constants):
    """``shapes``: of inputs; the same model in float16 or float32."""
    dtype = np.float16 if element == HALF else np.float32
    values = {n: v if np.asarray(v).dtype.kind == "i" else np.asarray(v, dtype) for n, v in constants.items()}
    graph = helper.make_graph(
        nodes, "test", [helper.make_tensor_value_info(name, element, shape) for name, shape in shapes.items()],
        [helper.make_tensor_value_info(name, element, None) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in values.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


def near(nodes, shapes, outputs, seed=1, **constants):
    """The chip's float16 outputs are those of onnxruntime in float32, within some roundings to float16."""
    rng = RNG(seed)
    values = {name: rng.normal(size=shape).astype(np.float16) for name, shape in shapes.items()}
    # Constants are numbers of float16 in both models.
    constants = {n: v if np.asarray(v).dtype.kind == "i" else np.asarray(v, np.float16) for n, v in constants.items()}
    compiled = tsp.compile(model(nodes, shapes, outputs, HALF, **constants), NARROW)
    report = check(compiled.program)
    assert report.ok, str(report)
    session = onnxruntime.InferenceSession(model(nodes, shapes, outputs, REAL, **constants).SerializeToString())
    want = session.run(outputs, {name: value.astype(np.float32) for name, value in values.items()})
    found = compiled(**values)
    for name, right in zip(outputs, want, strict=True):
        assert found[name].dtype == np.float16 and found[name].shape == right.shape
        assert np.abs(found[name] - right).max() <= 2.0**-8 * np.abs(right).max(), name


def node(op, inputs, output, **attributes):
    return helper.make_node(op, inputs.split(), [output], **attributes)


def test_an_attention_block():
    """As exporters write it: heads split by Reshape and Transpose, a mask, Softmax, heads merged, residual, LayerNorm,
    a gated MLP."""
    rng, (batch, n, heads, dim) = RNG(2), (2, 5, 3, 8)
    width = heads * dim
    nodes = []
    for name, perm in (("q", (0, 2, 1, 3)), ("k", (0, 2, 3, 1)), ("v", (0, 2, 1, 3))):
        nodes += [
            node("MatMul", f"x w{name}", f"{name}0"), node("Add", f"{name}0 b{name}", f"{name}1"),
            node("Reshape", f"{name}1 split", f"{name}2"), node("Transpose", f"{name}2", f"{name}3", perm=perm),
        ]  # fmt: skip
    nodes += [
        node("MatMul", "q3 k3", "s0"), node("Div", "s0 root", "s1"), node("Add", "s1 mask", "s2"),
        node("Softmax", "s2", "p", axis=-1), node("MatMul", "p v3", "m0"),
        node("Transpose", "m0", "m1", perm=(0, 2, 1, 3)), node("Reshape", "m1 merge", "m2"),
        node("MatMul", "m2 wo", "m3"), node("Add", "m3 x", "r"), node("LayerNormalization", "r gain bias", "h"),
        node("MatMul", "h wg", "g"), node("Sigmoid", "g", "sg"), node("Mul", "g sg", "a"),
        node("MatMul", "a wd", "d"), node("Add", "r d", "y"),
    ]  # fmt: skip
    weights = {f"w{name}": rng.normal(size=(width, width)) / np.sqrt(width) for name in "qkvogd"}
    biases = {f"b{name}": rng.normal(size=width) for name in "qkv"}
    near(
        nodes, {"x": [batch, n, width]}, ["y", "h"], split=np.array([batch, n, heads, dim]),
        merge=np.array([batch, n, width]), root=np.sqrt(dim), mask=np.triu(np.full((n, n), -9.0), 1),
        gain=rng.normal(size=width), bias=rng.normal(size=width), **weights, **biases,
    )  # fmt: skip


def test_a_norm_of_single_operators():
    """RMSNorm as ReduceMean, Sqrt and Div; Gemm; powers; constants that come first."""
    rng = RNG(3)
    nodes = [
        node("Pow", "x two", "s"), node("ReduceMean", "s", "m", axes=[-1]), node("Add", "m tiny", "e"),
        node("Sqrt", "e", "t"), node("Div", "x t", "n"), node("Gemm", "n w b", "y", transB=1),
        node("Sub", "one y", "z"), node("Div", "one e", "inverse"),
    ]  # fmt: skip
    near(nodes, {"x": [6, 40]}, ["y", "z", "inverse"], two=2.0, tiny=1e-3, one=1.0, w=rng.normal(size=(20, 40)),
         b=rng.normal(size=20))  # fmt: skip


def test_moving():
    nodes = [
        node("Transpose", "x", "t", perm=(2, 0, 1)), node("Concat", "x y", "c", axis=1),
        node("Concat", "x x", "d", axis=2), node("Gather", "x two", "g", axis=1), node("Gather", "x two", "f", axis=2),
        node("Slice", "x from to last", "s"), node("Reshape", "x merge", "r"),
    ]  # fmt: skip
    near(nodes, {"x": [2, 3, 8], "y": [2, 2, 8]}, list("tcdgfsr"), two=np.array([1, -1]), **{"from": np.array([2])},
         to=np.array([7]), last=np.array([2]), merge=np.array([2, 24]))  # fmt: skip


def test_other_axes_than_the_last():
    """They are brought to the lanes; pools take images."""
    nodes = [
        node("Softmax", "x", "s", axis=1), node("ReduceMean", "x", "m", axes=[0, 2], keepdims=0),
        node("ReduceMax", "x", "g", axes=[1]), node("LayerNormalization", "x gain", "l", axis=1),
        node("AveragePool", "p", "a", kernel_shape=[2, 2], pads=[1, 0, 0, 0]), node("Add", "a each", "b"),
        node("Add", "b a", "c"), node("MatMul", "c square", "d"), node("GlobalAveragePool", "p", "w"),
    ]  # fmt: skip
    near(nodes, {"x": [2, 4, 5], "p": [1, 3, 4, 5]}, list("smglabcdw"), gain=RNG(4).normal(size=(4, 5)),
         each=RNG(5).normal(size=(1, 3, 1, 1)), square=RNG(6).normal(size=(4, 6)))  # fmt: skip


def test_outputs_that_are_not_made():
    nodes = [helper.make_node("LayerNormalization", ["x", "w"], ["y", "mean"]), node("Add", "mean mean", "z")]
    with pytest.raises(InputError, match="takes 'mean', which is not made: of most nodes only the first output is"):
        import_model(model(nodes, {"x": [4, 8]}, ["z"], HALF, w=np.ones(8)))
    with pytest.raises(InputError, match="output 'mean' is not made: of most nodes only the first output is"):
        import_model(model(nodes[:1], {"x": [4, 8]}, ["y", "mean"], HALF, w=np.ones(8)))


@pytest.mark.parametrize(
    "nodes, element, sentence",
    [
        ([node("MatMul", "x w", "y")], REAL, "multiplies floats; put DequantizeLinear before both inputs, or convert"),
        ([node("Softmax", "x", "y", axis=0)], REAL, "sums float32; the chip sums float16, so convert the model to it"),
        ([node("Erf", "x", "y")], HALF, "is not supported; supported are Abs, Add"),
        ([node("Pow", "x three", "y")], HALF, "to the power 3; supported are 2 and 0.5"),
    ],
)
def test_sentences(nodes, element, sentence):
    with pytest.raises(InputError) as found:
        import_model(model(nodes, {"x": [4, 8]}, ["y"], element, w=np.eye(8), three=3.0))
    assert sentence in str(found.value)


FULL = bool(os.environ.get("TSP_FULL"))
PASSED = 215 if FULL else 36
"""So many of ONNX's node tests of float32 when all is made float16, or of a sixth of them; see docs/compiler.md."""


def node_cases():
    """Node tests of operators that are known and floats alone."""
    for case in every_case():
        if case.model is None or not {n.op_type for n in case.model.graph.node} <= set(onnx_float.NODES):
            continue
        ends = [end.type.tensor_type.elem_type for end in [*case.model.graph.input, *case.model.graph.output]]
        # Float16 has no 10,001.
        if ends[0] == REAL and not set(ends) - {REAL, TensorProto.INT64, TensorProto.BOOL} and "large" not in case.name:
            yield case


def halved(case):
    """The model in float16, with its inputs."""
    changed = onnx.ModelProto()
    changed.CopyFrom(case.model)
    for end in [*changed.graph.input, *changed.graph.output, *changed.graph.value_info]:
        if end.type.tensor_type.elem_type == REAL:
            end.type.tensor_type.elem_type = HALF
    given = [a.astype(np.float16) if a.dtype == np.float32 else a for a in arrays(case.data_sets[0][0])]
    return changed, given


def outcome(case):
    changed, given = halved(case)
    names = [value.name for value in changed.graph.input]
    try:
        import_model(changed)
        inputs = dict(zip(names, given, strict=True))
    except InputError:
        changed, inputs = with_constants(changed, given), {names[0]: given[0]}
    try:
        compiled = tsp.compile(import_model(changed), NARROW.override(["queue_depth=4096"]))
    except InputError as error:
        return str(error)
    found = compiled(**inputs)
    for output, want in zip(case.model.graph.output, arrays(case.data_sets[0][1]), strict=True):
        got = found[output.name]
        assert got.shape == want.shape, case.name
        if want.dtype == np.float32:
            near = 2.0**-8 * np.abs(want[np.isfinite(want)]).max(initial=1)
            assert np.allclose(got, want, rtol=2.0**-8, atol=near, equal_nan=True), case.name
    return "passed"


def test_no_node_gives_a_wrong_result():
    cases = list(node_cases())[:: 1 if FULL else 6]
    outcomes = {case.name: (case.model.graph.node[-1].op_type, outcome(case)) for case in cases}
    passed = Counter(operator for operator, found in outcomes.values() if found == "passed")
    for operator, count in sorted(Counter(operator for operator, _ in outcomes.values()).items()):
        reasons = sorted({found for name, found in outcomes.values() if name == operator} - {"passed"})
        print(f"{operator:20} {passed[operator]:3} of {count:3}  {'; '.join(reasons)[:150]}")
    print(sum(passed.values()), "of", len(outcomes))
    assert sum(passed.values()) >= PASSED
