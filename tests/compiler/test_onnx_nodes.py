"""The node tests that the onnx package ships, those with 8-bit types: none may give a wrong result.

A model's scales, zero points and weights are inputs there; where the compiler wants constants, the given ones are put
into the model, all but the first input.
"""

import functools
import os
import warnings
from collections import Counter

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

import tsp
from tsp.compiler.onnx_import import import_model
from tsp.compiler.onnx_operators import OPERATORS
from tsp.config import preset
from tsp.errors import InputError

CONFIG = preset("tiny").override(["mem_words=2048", "queue_depth=4096"])
BYTES = {TensorProto.INT8, TensorProto.UINT8}
PASSED = 88
"""So many of 97: all but the nine of ImageDecoder."""
OTHERS = 211
"""So many pass of those without bytes: to the bit, but for operators that are only right within a few units."""
FULL = bool(os.environ.get("TSP_FULL"))


@functools.cache
def every_case():
    """All of the package's cases that take and give nothing but tensors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        cases = collect_testcases(None)
    return [case for case in cases if case.model and all(end.type.HasField("tensor_type") for end in ends(case))]


def ends(case):
    return [*case.model.graph.input, *case.model.graph.output]


def has_bytes(case):
    return bool({end.type.tensor_type.elem_type for end in ends(case)} & BYTES)


def node_cases():
    return filter(has_bytes, every_case())


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
    names = [v.name for v in case.model.graph.input], [v.name for v in case.model.graph.output]
    inputs, outputs = (dict(zip(*pair, strict=True)) for pair in zip(names, (given, wanted), strict=True))
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
        if {node.op_type for node in case.model.graph.node} <= OPERATORS.keys():
            equal = np.array_equal(found[name], want, equal_nan=want.dtype.kind == "f")
        else:  # Exp and the like, which are right within a few units
            equal = np.allclose(found[name], want, 2.0**-20, 2.0**-24, equal_nan=True)
        assert equal, f"{case.name}: {found[name]} must be {want}"
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


def test_no_other_node_gives_a_wrong_result():
    """Of cases without bytes every twentieth; with full counts all."""
    others = [case for case in every_case() if not has_bytes(case)][:: 1 if FULL else 20]
    passed = [case.name for case in others if outcome(case) == "passed"]
    assert len(passed) >= (OTHERS if FULL else 1), passed
