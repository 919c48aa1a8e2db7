"""Compiled networks on the RTL: onnxruntime's numbers in the predicted cycles."""

import os

import numpy as np
import onnxruntime
import pytest

import golden.machine
import tsp
from programs.digits import networks
from programs.digits.data import load_digits
from tb import machine, regress
from tb.compare import compare
from tb.machine import Job
from tests.compiler.test_long_programs import chain
from tests.cosim.test_fetched_programs import config as small
from tsp.compiler import floats
from tsp.compiler.graph import Graph
from tsp.config import preset
from tsp.dump import dumped_words
from tsp.tensors import outputs
from tsp.timing import timing

CONFIG = preset("tiny")
IMAGES = load_digits().data.astype(np.int8)
FULL = bool(os.environ.get("TSP_FULL"))
CASES = {"verilator": {"mlp": (24, 5), "cnn": (1, 100 if FULL else 20)}, "icarus": {"mlp": (3, 1)}}
"""Simulator → network → images of a run, runs."""


@pytest.mark.parametrize("sim, name", [(sim, name) for sim, cases in CASES.items() for name in cases])
def test_digits(sim, name):
    batch, runs = CASES[sim][name]
    model = getattr(networks, name)(batch)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    compiled = tsp.compile(model, CONFIG)
    shape = tuple(session.get_inputs()[0].shape)
    given = [IMAGES[batch * number : batch * (number + 1)].reshape(shape) for number in range(runs)]
    programs = [compiled.with_inputs({"images": images}) for images in given]
    want = golden.machine.run(programs[0])
    limit = want.cycles + timing(CONFIG).drain + 64
    # Of the first run everything is compared with the golden model, of the others what they give.
    read = [word for block in programs[0].tensors["logits"].blocks for word in dumped_words(programs[0], block)]
    jobs = [regress.job(programs[0], want, ()), *(Job(program, limit, read=read) for program in programs[1:])]
    found = machine.run(jobs, CONFIG, sim)
    assert [str(difference) for difference in compare(want, found[0], CONFIG)] == []
    for images, program, result in zip(given, programs, found, strict=True):
        assert result.done and result.fault is None and result.cycles == want.cycles
        logits = outputs(program, lambda place, address, r=result: r.memory[place, address])["logits"]
        assert np.array_equal(logits, session.run(None, {"images": images})[0])


def test_floats():
    """fp16 products of two blocks, a softmax and a norm: cycles, memory and signatures are the golden model's."""
    rng, graph = np.random.default_rng(3), Graph()
    x = graph.input("x", (3, 40), "float16")
    scores = graph.matmul(x, rng.normal(size=(40, 20)).astype(np.float16))
    graph.output("y", floats.rms_norm(graph, floats.softmax(graph, scores)))
    program = tsp.compile(graph, CONFIG).with_inputs({"x": rng.normal(size=(3, 40)).astype(np.float16)})
    want = golden.machine.run(program)
    (found,) = machine.run([regress.job(program, want, ())], CONFIG, "verilator")
    assert [str(difference) for difference in compare(want, found, CONFIG)] == []
    assert (found.done, found.fault, found.cycles) == (True, None, want.cycles)


def test_a_program_from_memory():
    """Fifty-five blocks of words, which bring each other; cycles, memory and signatures are the golden model's."""
    compiled = tsp.compile(chain(16), small(1))
    program = compiled.with_inputs({"x": np.random.default_rng(4).integers(-128, 128, (3, 16)).astype(np.int8)})
    assert len(compiled.fetched.blocks) > 50
    want = golden.machine.run(program)
    (found,) = machine.run([regress.job(program, want, ())], program.config, "icarus")
    assert [str(difference) for difference in compare(want, found, program.config)] == []
    assert (found.done, found.fault, found.cycles) == (True, None, want.cycles)
