"""The node tests that the onnx package ships, those with 8-bit types: none may give a wrong result.

A model's scales, zero points and weights are inputs there; where the compiler wants constants, the given ones are put
into the model, all but the first input.
"""

import functools
import warnings
from collections import Counter

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

import tsp
from tsp.compiler.onnx_import import import_model
from tsp.config import preset
from tsp.errors import InputError

CONFIG = preset("tiny").override(["mem_words=2048", "queue_depth=4096"])
BYTES = {TensorProto.INT8, TensorProto.UINT8}
PASSED = 88
"""So many of 97: all but the nine of ImageDecoder."""


@functools.cache
def every_case():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        return collect_testcases(None)


def node_cases():
    for case in every_case():
        if case.model is None:
            continue
        ends = [*case.model.graph.input, *case.model.graph.output]
        if {end.type.tensor_type.elem_type for end in ends} & BYTES:
            yield case


def arrays(values):
    return [numpy_helper.to_array(v) if isinstance(v, TensorProto) else np.asarray(v) for v in values]


def with_constants(model, given):
    """The model with all its inputs but the first as constants."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    for value, array in list(zip(model.graph.input, given, strict=True))[1:]:
        changed.graph.initializer.append(numpy_helper.from_array(array, value.name))
    return changed


def prepared(case):
    """The model, imported, its inputs and the outputs that are wanted, by name. InputError if it is not supported."""
    given, wanted = (arrays(values) for values in case.data_sets[0])
    ends = [v.name for v in case.model.graph.input], [v.name for v in case.model.graph.output]
    inputs, outputs = (dict(zip(*pair, strict=True)) for pair in zip(ends, (given, wanted), strict=True))
    try:
        return import_model(case.model), inputs, outputs
    except InputError:
        return import_model(with_constants(case.model, given)), dict(list(inputs.items())[:1]), outputs


def outcome(case):
    """``passed``, or why it is not supported. AssertionError if a result is wrong."""
    try:
        model, inputs, wanted = prepared(case)
        compiled = tsp.compile(model, CONFIG)
    except InputError as error:
        return str(error)
    found = compiled(**inputs)
    for name, want in wanted.items():
        assert found[name].dtype == want.dtype and found[name].shape == want.shape, case.name
        assert np.array_equal(found[name], want), f"{case.name}: {found[name]} must be {want}"
    return "passed"


@pytest.fixture(scope="module")
def outcomes():
    return {case.name: (case.model.graph.node[-1].op_type, outcome(case)) for case in node_cases()}


def test_no_node_gives_a_wrong_result(outcomes):
    """97 cases; each passes or is refused in a sentence."""
    assert len(outcomes) == 97
    passed = Counter(operator for operator, found in outcomes.values() if found == "passed")
    every = Counter(operator for operator, _ in outcomes.values())
    for operator in sorted(every):
        reasons = sorted({found for name, found in outcomes.values() if name == operator} - {"passed"})
        print(f"{operator:20} {passed[operator]:3} of {every[operator]:3}  {'; '.join(reasons)[:150]}")
    assert sum(passed.values()) >= PASSED
