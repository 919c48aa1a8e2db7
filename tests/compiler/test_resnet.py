"""Residual networks: every quantised tensor on the chip is onnxruntime's, bit for bit."""

import dataclasses
import hashlib
import os
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

import tsp
from programs.resnet.network import RESNET50, SMALL, image, resnet
from tsp.checker import check
from tsp.compiler.fold import fold
from tsp.compiler.lower import lower
from tsp.compiler.onnx_import import import_model
from tsp.config import preset

SLIM = preset("groqchip").override(["superlanes=4", "queue_depth=16384"])
FULL = bool(os.environ.get("TSP_FULL"))
CYCLES = [(SMALL, 1_710), *([(RESNET50, 42_056)] if FULL else [])]
"""Of one image on ``groqchip``, see docs/compiler.md. ResNet-50 itself takes a minute to compile and to run."""
LEVELS = onnxruntime.GraphOptimizationLevel


@pytest.fixture(scope="module")
def small():
    return resnet(SMALL)


def with_every_tensor(model):
    """All that QuantizeLinear makes as outputs."""
    found = onnx.ModelProto.FromString(model.SerializeToString())
    types = {tensor.name: tensor.data_type for tensor in found.graph.initializer}
    there = {output.name for output in found.graph.output}
    for node in found.graph.node:
        if node.op_type == "QuantizeLinear" and node.output[0] not in there:
            kind = types[node.input[2]]
            found.graph.output.append(onnx.helper.make_tensor_value_info(node.output[0], kind, None))
    return onnx.shape_inference.infer_shapes(found)


def reference(model, x, level=LEVELS.ORT_ENABLE_ALL):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"image": x}), strict=True))


def test_every_tensor(small):
    """Fused and node by node, onnxruntime computes the same, and so does the chip."""
    model, x = with_every_tensor(small), image(SMALL.side, seed=1)
    want = reference(model, x)
    assert len(want) == 14 and all(found.any() for found in want.values())
    plain = reference(model, x, LEVELS.ORT_DISABLE_ALL)
    found = tsp.compile(model, SLIM)(image=x)
    for name in want:
        assert np.array_equal(plain[name], want[name]), name
        assert found[name].dtype == want[name].dtype and np.array_equal(found[name], want[name]), name


def test_scales_of_any_size():
    """Every tensor is that of onnxruntime's fused operators, one of whose additions is of two quantised tensors."""
    family = dataclasses.replace(SMALL, side=16, exact=False)
    model, x = with_every_tensor(resnet(family)), image(family.side, seed=2)
    want, found = reference(model, x), tsp.compile(model, SLIM)(image=x)
    assert len(want) == 17
    for name in want:
        assert np.array_equal(found[name], want[name]), name


@pytest.mark.parametrize("family, cycles", CYCLES, ids=lambda value: getattr(value, "name", ""))
def test_logits_and_cycles_on_groqchip(family, cycles):
    model, x = resnet(family), image(family.side, seed=1)
    compiled = tsp.compile(model, preset("groqchip"))
    report = check(compiled.program)
    assert report.ok and report.cycles <= 1.1 * cycles, str(report)
    (logits,) = compiled(image=x).values()
    (want,) = reference(model, x).values()
    assert len(np.unique(want)) > family.classes // 20 and np.array_equal(logits, want)


def test_chains(small):
    """What follows the sums: a bias and a shift; two operations more where a shortcut is added; one more for means; of
    the pool's columns, which the MXM picks, a maximum."""
    config = preset("groqchip")
    passes = lower(fold(import_model(small).graph, config)[0], config)
    layers = {found.layer: found for found in passes if found.tiles}
    chains = [tuple(step.mnemonic for step in found.steps) for found in layers.values()]
    plain, mean, added = ("ADD", "SRA.sat"), ("MUL", "ADD", "SRA.sat"), ("SHL", "ADD", "ADD", "SRA.sat")
    assert set(chains) - {("CONVERT.sat",), ("MAX", "CONVERT.sat")} == {plain, mean, added}
    assert chains.count(added) == sum(SMALL.blocks) and chains.count(mean) == 1
    assert {found.entry for found, chain in zip(layers.values(), chains, strict=True) if chain == added} == {1}


def test_the_same_bytes(small):
    digest = hashlib.sha256(small.SerializeToString()).hexdigest()
    assert digest == hashlib.sha256(resnet(SMALL).SerializeToString()).hexdigest()
    assert digest != hashlib.sha256(resnet(SMALL, seed=1).SerializeToString()).hexdigest()


def layers(graph, shapes):
    """What each convolution, pool, sum and matrix is, in order."""
    found = []
    for node in graph.node:
        kept = {"kernel_shape", "strides", "pads"}
        numbers = {a.name: tuple(a.ints) for a in node.attribute if a.name in kept and any(a.ints)}
        weights = shapes[node.input[1]] if node.op_type in ("Conv", "Gemm") else None
        if node.op_type in ("Conv", "MaxPool", "Sum", "Add", "Gemm"):
            found.append((node.op_type.replace("Sum", "Add"), weights, tuple(sorted(numbers.items()))))
    return found


def test_structure_of_resnet50():
    """That of the light model of the onnx package, but that its pool is global and its softmax left to the host."""
    light = onnx.load(Path(onnx.__file__).parent / "backend/test/data/light/light_resnet50.onnx").graph
    given = {tensor.name: numpy_helper.to_array(tensor) for tensor in light.initializer}
    shapes = {n.output[0]: tuple(given[n.input[0]]) for n in light.node if n.op_type == "ConstantOfShape"}
    made = resnet(dataclasses.replace(RESNET50, side=32)).graph
    names = {n.output[0]: n.input[0] for n in made.node if n.op_type == "DequantizeLinear"}
    sizes = {tensor.name: tuple(tensor.dims) for tensor in made.initializer}
    assert layers(made, {real: sizes.get(name) for real, name in names.items()}) == layers(light, shapes)
