"""Tensors in the header of a stranger's program file: refused in a sentence, or what they say is done."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tsp
from tests.compiler.test_compiler import CONFIGS, RNG, int8
from tests.unit.test_program import header_of, with_header
from tsp.cli import run as tsp_command
from tsp.compiler import tables
from tsp.compiler.graph import Graph, Windows
from tsp.errors import InputError
from tsp.program import NARROW, Program, Window
from tsp.tensors import outputs, with_inputs

VALUES = [0, 1, -1, 2, 3, 8, 64, 65536, 2**31, 10**30, True, None, "", [], {}, 1.5, "int8", "float32", "int4", "x.0"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A program whose input lies in windows, with outputs of images and of floats, and of rows of a table."""
    rng, graph = RNG(1), Graph()
    x, z = graph.input("x", (64, 3), image=(1, 8, 8)), graph.input("z", (4, 40), "float32")
    sums = graph.conv2d(x, int8(rng, 20, 3, 3, 3), windows=Windows((2, 2), (1, 1, 1, 1)))
    graph.output("y", graph.requantise(sums, shift=8))
    graph.output("w", graph.add(z, z))
    graph.output("t", tables.look_up(graph, int8(rng, 9, 3), tables.numbers(graph, "which", 2, 9)))
    path = tmp_path_factory.mktemp("tensors") / "x.npz"
    tsp.compile(graph, CONFIGS["tiny"]).program.save(path)
    return path.read_bytes()


def test_a_file_for_each_output(tmp_path, data, capsys):
    (tmp_path / "x.npz").write_bytes(data)
    one, other = (f"{name}={tmp_path / 'o.npy'}" for name in "yw")
    assert tsp_command(["run", str(tmp_path / "x.npz"), "--output", one, "--output", other]) == 2
    assert "is where y is written; give each output a file of its own" in capsys.readouterr().err


def used(path, data, tensors):
    """Load it, put zeros in, and take out what memory would hold if it were all zeros."""
    path.write_bytes(with_header(data, tensors=tensors))
    program = Program.load(path)
    given_ = {name: tensor for name, tensor in program.tensors.items() if tensor.given}
    kinds = {name: "int8" if tensor.dtype in NARROW else tensor.dtype for name, tensor in given_.items()}
    program = with_inputs(program, {name: np.zeros(given_[name].shape, kind) for name, kind in kinds.items()})
    return outputs(program, lambda place, address: np.zeros(program.config.lanes, np.uint8))


def places_in(value, path=()):
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield (*path, key)
        yield from places_in(value[key], (*path, key))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.randoms(use_true_random=False))
def test_changes_never_give_a_traceback(data, tmp_path_factory, random):
    tensors = copy.deepcopy(header_of(data)["tensors"])
    for _ in range(random.randint(1, 3)):
        *way, last = random.choice(list(places_in(tensors)))
        inner = tensors
        for key in way:
            inner = inner[key]
        other = copy.deepcopy(random.choice(list(tensors.values())))
        same = other[last] if type(other) is dict and last in other else None
        inner[last] = same if same is not None and random.random() < 0.5 else random.choice(VALUES)
    try:
        used(tmp_path_factory.getbasetemp() / "changed.npz", data, tensors)
    except InputError as error:
        assert "\n" not in str(error)


def test_pads_take_no_memory(data, tmp_path):
    """As many windows as before, tens of thousands of pixels apart."""
    tensors = copy.deepcopy(header_of(data)["tensors"])
    window = tensors["x"]["window"]
    places = Window(**window).places
    window["pads"] = [30_000] * 4
    window["strides"] = [60_000 // (n - 1) for n in places]
    assert Window(**window).places == places
    assert used(tmp_path / "x.npz", data, tensors).keys() == {"y", "w", "t"}


@pytest.mark.parametrize("name, key, value", [("y", "dtype", "int4"), ("x", "blocks", ["", ""]), ("y", "blocks", [""])])
def test_what_cannot_be(data, tmp_path, name, key, value):
    tensors = copy.deepcopy(header_of(data)["tensors"])
    tensors[name][key] = value
    with pytest.raises(InputError, match="are damaged|does not lie in"):
        used(tmp_path / "x.npz", data, tensors)
