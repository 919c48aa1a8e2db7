"""Rows of constant tables, chosen by numbers that are given or computed."""

import numpy as np
import pytest
from onnx import TensorProto

import tsp
from tests.compiler.golden_run import golden_run
from tests.compiler.test_onnx_operators import model, node, same
from tsp.compiler import floats, tables
from tsp.compiler.graph import Graph
from tsp.config import preset
from tsp.errors import InputError
from tsp.program import Program
from tsp.tensors import with_inputs

TINY = preset("tiny").override(["mem_words=512"])
NARROW = preset("groqchip").override(["superlanes=2"])
RNG = np.random.default_rng(1)
IDS = np.array([[3, -1, 49], [0, -50, 7]])
BYTES, WORDS = RNG.integers(-128, 128, (50, 9)).astype(np.int8), RNG.normal(size=(50, 40)).astype(np.float16)


def right(graph, config, values):
    found, _ = golden_run(tsp.compile(graph, config), values)
    want = graph.evaluate(values, config.lanes)
    for name in want:
        assert found[name].dtype == want[name].dtype and np.array_equal(found[name], want[name])
    return want


@pytest.mark.parametrize("config, dtype", [(TINY, "int8"), (TINY, "float32"), (NARROW, "float16"), (NARROW, "int16")])
def test_rows_of_all_types(config, dtype):
    """Of more features than lanes, by given numbers, of which a negative one counts from the end; what follows is
    computed in the same pass."""
    table, which = RNG.integers(-99, 99, (100, 75)).astype(dtype), RNG.integers(-100, 100, (70, 1)).astype(np.int32)
    graph = Graph()
    found = tables.look_up(graph, table, tables.numbers(graph, "which", 70, 100))
    graph.output("y", found)
    graph.output("z", graph.add(found, np.arange(75)))
    want = right(graph, config, {"which": which})
    assert np.array_equal(want["y"], table[which[:, 0]])


@pytest.mark.parametrize("config", [TINY, NARROW])
def test_computed_numbers(config):
    """In every lane, and in one; beyond the table they take its first or last row."""
    table, weights = RNG.normal(size=(50, 40)).astype(np.float16), np.int8([[1], [7], [0]])
    graph = Graph()
    x, z = graph.input("x", (6, 3)), graph.input("z", (6, 1), "int32")
    graph.output("y", tables.look_up(graph, table, graph.matmul(x, weights)))
    graph.output("w", tables.look_up(graph, table, z))
    values = {"x": RNG.integers(-9, 9, (6, 3)).astype(np.int8), "z": np.int32([[0], [300], [-300], [-50], [49], [-1]])}
    want = right(graph, config, values)
    assert np.array_equal(want["w"], table[[0, 49, 0, 0, 49, 49]])
    assert np.array_equal(want["y"], table[np.clip(values["x"].astype(int) @ weights, -50, 49)[:, 0]])


@pytest.mark.parametrize("dtype", ["int8", "float16"])
def test_more_rows_than_a_slice_has(dtype):
    """Every row, by its number from the start and from the end; of floats the bits, zeros with a sign too."""
    rows, config = 140, TINY.override(["mem_words=64", "mem_slices=20"])
    table = RNG.integers(-99, 99, (rows, 20)).astype(dtype)
    table[5] = -0.0
    graph = Graph()
    graph.output("y", tables.look_up(graph, table, tables.numbers(graph, "which", 12, rows)))
    graph.output("w", tables.look_up(graph, table[:70], graph.input("z", (4, 1), "int32")))
    compiled = tsp.compile(graph, config)
    edges = [0, 1, 5, 61, 62, 63, 123, 124, 139, -1, -78, -140]
    values = {"which": np.int32(edges)[:, None], "z": np.int32([[69], [70], [-70], [-99]])}
    found, _ = golden_run(compiled, values)
    assert found["y"].tobytes() == table[edges].tobytes()
    assert np.array_equal(found["w"], table[[69, 69, 0, 0]])


def test_several_tables_and_a_product():
    """Embeddings of two kinds, added and multiplied; all tables of a site are read at once."""
    graph, matrix = Graph(), RNG.normal(size=(40, 20)).astype(np.float16)
    a, b = tables.numbers(graph, "a", 4, 50), tables.numbers(graph, "b", 4, 2)
    both = graph.add(tables.look_up(graph, WORDS, a), tables.look_up(graph, WORDS[:2], b))
    graph.output("y", graph.matmul(floats.half(graph, both), matrix))
    right(graph, NARROW, {"a": np.int32([[3], [3], [49], [0]]), "b": np.int32([[1], [0], [-1], [1]])})


def test_a_program_file_knows_its_numbers(tmp_path):
    graph = Graph()
    graph.output("y", tables.look_up(graph, BYTES, tables.numbers(graph, "which", 2, 50)))
    tsp.compile(graph, TINY).program.save(tmp_path / "x.npz")
    program = Program.load(tmp_path / "x.npz")
    assert program.tensors["which"].table == 50
    for number, sentence in ((50, "holds 50, but the table has 50 rows, so must be -50…49; try 49"), (-51, "try -50")):
        with pytest.raises(InputError, match=sentence):
            with_inputs(program, {"which": np.int32([[0], [number]])})
        with pytest.raises(InputError, match=sentence):
            graph.evaluate({"which": np.int32([[0], [number]])})


def looked_up(config=TINY, rows=50, dtype="int32", use=None):
    graph = Graph()
    which = tables.numbers(graph, "which", 2, 50) if dtype == "int32" else graph.input("which", (2, 1), dtype)
    graph.output("y", use(graph, which) if use else tables.look_up(graph, np.zeros((rows, 3), np.int8), which))
    return tsp.compile(graph, config)


@pytest.mark.parametrize(
    "case, sentence",
    [
        ({"config": TINY.override(["gather=False"])}, "config tiny has gather=False; set gather=True"),
        ({"rows": 40}, "it chooses from 50 rows, but .* has 40"),
        ({"dtype": "float32"}, "the numbers of rows must be int32"),
        ({"use": lambda graph, which: graph.add(which, 1)}, "is add of numbers of a table's rows, with which only"),
    ],
)  # fmt: skip
def test_sentences(case, sentence):
    with pytest.raises(InputError, match=sentence):
        looked_up(**case)


def test_gather():
    """By numbers of any shape; of bytes, which are held less 128, and of halves."""
    same([node("Gather", "t", "x")], {"x": IDS}, t=BYTES)
    same([node("Gather", "t", "x")], {"x": np.int32(5)}, t=WORDS)
    cast = node("Cast", "x", outputs=["c"], to=TensorProto.INT64)
    unsigned = RNG.integers(0, 256, (256, 9)).astype(np.uint8)
    same([cast, node("Gather", "t", "c")], {"x": IDS.astype(np.int32)}, t=unsigned[:50])
    same([cast, node("Gather", "t", "c")], {"x": np.uint8([[7, 0], [255, 200]])}, t=unsigned)


def test_gather_of_what_is_dequantised():
    """Before or behind the Gather; what is quantised with the same scale are the bytes."""
    constants = {"t": BYTES, "s": np.float32(0.25), "z": np.int8(3)}
    before = [node("DequantizeLinear", "t", "s", "z", outputs=["d"]), node("Gather", "d", "x", outputs=["g"])]
    behind = [node("Gather", "t", "x", outputs=["d"]), node("DequantizeLinear", "d", "s", "z", outputs=["g"])]
    for nodes in (before, behind):
        same([*nodes, node("QuantizeLinear", "g", "s", "z")], {"x": IDS}, **constants)


@pytest.mark.parametrize(
    "nodes, sentence",
    [
        ([node("Gather", "t", "x", axis=1)], "input 'x' is int64"),
        ([node("Gather", "t", "x", outputs=["a"]), node("Gather", "u", "x", outputs=["b"]), node("Add", "a", "b")],
         "chooses rows of tables of 20 and 50; give each an input of its own"),
        ([node("Gather", "v", "x")], r"of \[50\]: it takes rows of a matrix"),
        ([node("Gather", "w", "x")], "takes rows of int64; supported are int8"),
    ],
)  # fmt: skip
def test_what_is_refused(nodes, sentence):
    constants = {"t": BYTES, "u": BYTES[:20], "v": BYTES[:, 0], "w": BYTES.astype(np.int64)}
    with pytest.raises(InputError, match=sentence):
        tsp.compile(model(nodes, {"x": IDS}, constants), TINY)
