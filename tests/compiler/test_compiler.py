"""Compiled graphs on the golden model: numpy's results, legal, and exactly the cycles that the checker foretells."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tsp
from tests.compiler.golden_run import golden_run
from tsp.compiler.graph import Graph, Windows
from tsp.config import preset
from tsp.errors import InputError
from tsp.program import Program
from tsp.tensors import with_inputs

CONFIGS = {
    "tiny": preset("tiny").override(["mem_words=1024"]),
    "board": preset("board").override(["mem_words=4096"]),
    "groqchip": preset("groqchip"),
}
RNG = np.random.default_rng
ROOT = Path(__file__).parents[2]


def int8(rng, *shape):
    return rng.integers(-128, 128, shape).astype(np.int8)


def right(graph, config, values):
    """The compiled graph gives numpy's results in the predicted cycles; the result of the run."""
    compiled = tsp.compile(graph, config)
    taken = {name for name, tensor in compiled.program.tensors.items() if tensor.given}
    found, result = golden_run(compiled, {name: value for name, value in values.items() if name in taken})
    want = graph.evaluate(values, config.lanes)
    assert found.keys() == want.keys()
    for name in want:
        assert found[name].dtype == want[name].dtype
        equal = np.array_equal(found[name], want[name], equal_nan=want[name].dtype.kind == "f")
        assert equal, f"{name} differs in {(found[name] != want[name]).sum()} places"
    return compiled, result


def layer(rng, graph, x, config, out):
    """A matmul and what often comes after it."""
    y = graph.matmul(x, int8(rng, x.features, out))
    if rng.random() < 0.7:
        y = graph.add(y, rng.integers(-5000, 5000, out))
    if rng.random() < 0.5:
        y = graph.relu(y)
    if config.vxm_float and rng.random() < 0.5:
        scale = rng.uniform(1e-4, 1e-2, out if rng.random() < 0.5 else 1)
        return graph.requantise(y, scale=scale, zero=int(rng.integers(-9, 10)))
    return graph.requantise(y, shift=int(rng.integers(0, 14)))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32), name=st.sampled_from(sorted(CONFIGS)))
def test_random_perceptrons(seed, name):
    rng, config = RNG(seed), CONFIGS[name]
    widest = 3 * config.lanes if name != "groqchip" else 700
    graph = Graph()
    x = graph.input("x", (int(rng.integers(1, 30)), int(rng.integers(1, widest))))
    y = x
    for number in range(rng.integers(1, 4)):
        y = layer(rng, graph, y, config, int(rng.integers(1, widest)))
        if rng.random() < 0.4:
            graph.output(f"y{number}", y)
    graph.output("y", graph.sub(graph.add(y, y), 3) if rng.random() < 0.5 else y)
    right(graph, config, {"x": int8(rng, *x.shape)})


@settings(max_examples=12, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32))
def test_random_convolutions(seed):
    """Strides, paddings, dilations, several outputs of pools, images that end in a whole-image product."""
    rng = RNG(seed)
    config = [CONFIGS["tiny"], CONFIGS["groqchip"]][rng.integers(2)].override(["queue_depth=4096"])
    n, lines, columns = (int(v) for v in (rng.integers(1, 3), *rng.integers(5, 9, 2)))
    channels, out = (int(v) for v in rng.integers(1, 2 * config.lanes if config.superlanes == 2 else 40, 2))
    graph = Graph()
    x = graph.input("x", (n * lines * columns, channels), image=(n, lines, columns))
    pads = tuple(int(p) for p in rng.integers(0, 2, 4))
    windows = Windows(tuple(int(s) for s in rng.integers(1, 3, 2)), pads, tuple(int(d) for d in rng.integers(1, 3, 2)))
    y = graph.conv2d(x, int8(rng, out, channels, 3, 2), windows=windows, fill=int(rng.integers(-3, 4)))
    y = graph.requantise(graph.relu(graph.add(y, rng.integers(-999, 999, out))), shift=9)
    if min(y.image[1:]) >= 2:
        y = graph.max_pool(y, (2, 2), Windows((1, 2)))
    graph.output("y", y)
    graph.output("z", graph.flatten(y, int8(rng, y.features * y.image[1] * y.image[2], 7)))
    right(graph, config, {"x": int8(rng, *x.shape)})


@pytest.mark.parametrize("name", ["tiny", "groqchip"])
def test_what_is_added_to_sums_is_made_in_their_pass(name):
    """A shortcut: shifted while the sums are on their way, a shift for each feature; then the mean of all pixels."""
    rng, config, lanes = RNG(7), CONFIGS[name].override(["queue_depth=4096"]), 40
    graph = Graph()
    x, z = (graph.input(key, (12, lanes), image=(1, 3, 4)) for key in "xz")
    shifted = graph.elementwise("shift_left", z, rng.integers(0, 9, lanes))
    sums = graph.add(graph.matmul(x, int8(rng, lanes, lanes)), shifted)
    y = graph.requantise(graph.add(sums, rng.integers(-999, 999, lanes)), shift=rng.integers(0, 12, lanes))
    graph.output("y", y)
    graph.output("mean", graph.requantise(graph.sum_pool(y, (3, 4)), scale=np.float32(1 / 12)))
    compiled, _ = right(graph, config, {"x": int8(rng, *x.shape), "z": int8(rng, *z.shape)})
    chains = {tuple(step.mnemonic for step in pass_.steps) for pass_ in compiled.passes if pass_.tiles}
    assert ("SHL", "ADD", "ADD", "SRA.sat") in chains


def test_a_number_is_brought_to_its_type_before_the_next_operation():
    """What saturates at int8 does so before something is added to it."""
    rng = RNG(8)
    graph = Graph()
    x = graph.input("x", (5, 32))
    y = graph.requantise(graph.matmul(x, int8(rng, 32, 32)), shift=4)
    graph.output("y", graph.sub(y, 100))
    graph.output("z", graph.add(graph.convert(graph.matmul(x, int8(rng, 32, 32)), "int8", wrap=True), 100))
    graph.output("positive", graph.relu(graph.requantise(graph.matmul(x, int8(rng, 32, 32)), shift=4)))
    right(graph, CONFIGS["tiny"], {"x": int8(rng, *x.shape)})


def test_a_sum_over_more_rows_than_the_accumulator_has():
    rng, config = RNG(3), CONFIGS["tiny"].override(["acc_depth=8"])
    graph = Graph()
    x = graph.input("x", (30, 90))
    graph.output("y", graph.matmul(x, int8(rng, 90, 40)))
    compiled, _ = right(graph, config, {"x": int8(rng, 30, 90)})
    assert max(pass_.count for pass_ in compiled.passes) <= 8 < 30


def test_floats():
    rng, config = RNG(5), CONFIGS["tiny"]
    graph = Graph()
    x, y = graph.input("x", (9, 40), "float32"), graph.input("y", (9, 40), "float16")
    graph.output("z", graph.convert(graph.maximum(graph.mul(graph.add(x, y), np.float32(1.5)), x), "float16"))
    graph.output("w", graph.convert(graph.relu(graph.sub(x, 2.0)), "int8"))
    values = {"x": (rng.normal(size=(9, 40)) * 9).astype(np.float32), "y": rng.normal(size=(9, 40)).astype(np.float16)}
    right(graph, config, values)


def test_bits_and_choices():
    """Words read as the other type in the middle, at the begin and at the end of a pass; one row and one number."""
    rng, config = RNG(6), CONFIGS["tiny"]
    graph = Graph()
    x, y, row = graph.input("x", (7, 40), "float32"), graph.input("y", (7, 40), "int32"), graph.input("row", (1, 40))
    magnitude = graph.elementwise("bit_and", graph.bits(x, "int32"), np.int32(0x7FFFFFFF))
    graph.output("root", graph.mul(graph.bits(magnitude, "float32"), x))
    graph.output("bits", graph.bits(graph.add(x, np.float32(1)), "int32"))
    graph.output("float", graph.bits(graph.add(y, row), "float32"))
    graph.output("chosen", graph.select(graph.elementwise("less", y, np.int32(0)), 5, -6))
    graph.output("one_row", graph.select(row, y, graph.relu(row)))
    graph.output("shifted", graph.elementwise("shift_rounded", y, rng.integers(0, 40, (7, 40))))
    graph.output("folded", graph.add(x, graph.mul(graph.constant(np.float32(3)), np.float32(2))))
    graph.output("copy", y)
    values = {
        "x": rng.normal(size=(7, 40)).astype(np.float32), "row": int8(rng, 1, 40) * (rng.random((1, 40)) < 0.5),
        "y": rng.integers(-(2**31), 2**31, (7, 40)).astype(np.int32) >> rng.integers(0, 31, (7, 40), dtype=np.int32),
    }  # fmt: skip
    right(graph, config, values)


def test_what_is_read_in_several_steps():
    """A row of numbers, and a tensor of bytes: an operation that needs them again begins a pass of its own."""
    rng, graph = RNG(7), Graph()
    x, row = graph.input("x", (5, 40)), rng.integers(-99, 99, 40)
    constant = graph.constant(row, "int32")
    graph.output("row", graph.sub(graph.mul(graph.add(x, constant), np.int32(3)), constant))
    graph.output("bytes", graph.mul(graph.add(graph.relu(x), np.int32(5)), x))
    right(graph, CONFIGS["tiny"], {"x": int8(rng, 5, 40)})


def test_weights_load_behind_computing():
    """Of a long matmul every plane multiplies in almost every cycle."""
    rng, config = RNG(7), CONFIGS["groqchip"]
    graph = Graph()
    x = graph.input("x", (600, 1280))
    graph.output("y", graph.requantise(graph.matmul(x, int8(rng, 1280, 1280)), shift=12))
    _, result = right(graph, config, {"x": int8(rng, 600, 1280)})
    planes = config.mxm_planes_w + config.mxm_planes_e
    assert 600 * 1280 * 1280 / (planes * config.lanes**2 * result.cycles) > 0.5


def test_the_same_graph_gives_the_same_bytes(tmp_path):
    def made(path):
        graph = Graph()
        x = graph.input("x", (5, 70))
        graph.output("y", layer(RNG(1), graph, x, CONFIGS["tiny"], 50))
        tsp.compile(graph, CONFIGS["tiny"]).program.save(path)
        return path.read_bytes()

    assert made(tmp_path / "a.npz") == made(tmp_path / "b.npz")
    loaded = Program.load(tmp_path / "a.npz")
    assert {name: str(tensor) for name, tensor in loaded.tensors.items()} == {"x": "int8[5, 70]", "y": "int8[5, 50]"}
    assert with_inputs(loaded, {"x": np.ones((5, 70), np.int8)}).tensors == loaded.tensors


def test_it_is_called_like_a_function():
    graph = Graph()
    x = graph.input("x", (2, 3))
    graph.output("y", graph.matmul(x, np.eye(3, dtype=np.int8)))
    compiled = tsp.compile(graph, CONFIGS["tiny"])
    given_ = np.arange(6, dtype=np.int8).reshape(2, 3)
    assert compiled(given_)["y"].tolist() == given_.tolist() == compiled(x=given_)["y"].tolist()
    for stage in ("lower", "place", "schedule"):
        assert "x.0" in compiled.dump(stage) or "abc" in compiled.dump(stage)


def wrong(make, *arguments, config=CONFIGS["tiny"]):
    with pytest.raises(InputError) as found:
        graph = Graph()
        x = graph.input("x", (4, 8))
        make(graph, x, *arguments)
        tsp.compile(graph, config)
    return str(found.value)


W8 = np.ones((8, 4), np.int8)


@pytest.mark.parametrize(
    "make, sentence",
    [
        (
            lambda g, x: g.matmul(x, np.ones((9, 4), np.int8)),
            "matmul: x int8[4, 8] has 8 features, but the weights have 9",
        ),
        (lambda g, x: g.matmul(g.matmul(x, W8), W8), "matmul takes int8 times int8, not matmul_0 int32[4, 4] times"),
        (lambda g, x: None, "the graph has no output; name one"),
        (lambda g, x: g.output("y", g.constant(W8)), "output constant_0 int8[8, 4] is a constant; nothing is computed"),
        (lambda g, x: g.bits(x, "float32"), "bits of x int8[4, 8] as float32: must be int32 as float32"),
        (lambda g, x: g.convert(x, "float32", wrap=True), "convert x int8[4, 8] to float32: floats have no low bits"),
        (lambda g, x: g.select(x, x, g.convert(x, "float32")), "must be of one kind, and x int8[4, 8] an integer"),
        (lambda g, x: g.add(x, g.input("z", (4, 1))), "z int8[4, 1] has its numbers in one lane, so it must have 8"),
        (lambda g, x: g.input("x", (1, 1)), "tensor 'x' is there twice"),
        (lambda g, x: g.output("x", g.relu(x)), "output 'x' is there twice, or an input; choose another name"),
        (lambda g, x: g.input("z", (0, 1)), "input 'z' has shape [0, 1], must be [rows, features], each at least 1"),
        (lambda g, x: g.input("z", (1, 1), "int9"), "input 'z' is int9; did you mean 'int8'?"),
        (lambda g, x: g.conv2d(x, np.ones((1, 8, 3, 3), np.int8)), "conv2d takes int8 images"),
        (lambda g, x: g.requantise(x, shift=3), "requantise x int8[4, 8]: takes int32"),
        (lambda g, x: g.requantise(g.matmul(x, W8), shift=40), "shift is 40, must be 0…31"),
        (lambda g, x: g.add(x, g.input("f", (4, 8), "float32")), "an integer and a float; convert one of them"),
        (lambda g, x: g.add(x, np.ones(3, int)), "have different shapes"),
    ],
)
def test_sentences(make, sentence):
    assert sentence in wrong(make)


def test_what_does_not_fit_is_named_with_the_bytes_that_are_missing():
    """Of all that stays in memory; or of what finds no room in it."""

    def long(graph, x):
        graph.output("y", graph.matmul(graph.input("long", (2000, 8)), W8))

    def several(graph, x):
        for number in range(30):
            graph.output(f"y{number}", graph.relu(graph.input(f"x{number}", (100, 8))))

    tiny = preset("tiny")
    assert wrong(long, config=tiny) == (
        "the network does not fit: weights take 1024 bytes, inputs, outputs and constants 320000, but config tiny has"
        " 98304; 222720 bytes are missing; set mem_words=512"
    )
    assert wrong(several, config=tiny.override(["mem_words=256"])) == (
        "x8.0 does not fit: it takes 100 words in each of 1 MEM slices (mem.w4…mem.w4), which have 56 left; 1408 bytes "
        "are missing; set mem_words=512"
    )
    tall = tiny.override(["mem_words=8192"])
    assert wrong(lambda g, x: g.output("y", g.matmul(x, np.ones((8, 300_000), np.int8))), config=tall).endswith(
        "bytes are missing; no chip has more than mem_words=8192"
    )


def test_what_a_chip_lacks():
    none = preset("tiny").override(["mxm_planes_w=0", "mxm_planes_e=0", "mxm_fp16=off"])
    assert "has no MXM" in wrong(lambda g, x: g.output("y", g.matmul(x, W8)), config=none)
    whole = preset("tiny").override(["vxm_float=off", "mxm_fp16=off"])
    assert "vxm_float=False" in wrong(lambda g, x: g.output("y", g.convert(x, "float32")), config=whole)


def test_wrong_inputs():
    graph = Graph()
    graph.output("y", graph.matmul(graph.input("x", (2, 3)), np.eye(3, dtype=np.int8)))
    compiled = tsp.compile(graph, CONFIGS["tiny"])
    for values, sentence in (
        ({}, "no value for input 'x', int8[2, 3]"),
        ({"x": np.ones((2, 3))}, "input 'x' is float64[2, 3], must be int8[2, 3]"),
        ({"z": np.ones((2, 3), np.int8)}, "the program has no input 'z'"),
    ):
        with pytest.raises(InputError) as found:
            compiled.with_inputs(values)
        assert sentence in str(found.value)


def two_layers():
    rng = RNG(1)
    graph = Graph()
    hidden = graph.requantise(graph.matmul(graph.input("x", (3, 40)), int8(rng, 40, 40)), shift=8)
    graph.output("y", graph.matmul(hidden, int8(rng, 40, 40)))
    return graph


def test_progress_is_told_and_changes_nothing():
    told = []
    compiled = tsp.compile(two_layers(), CONFIGS["tiny"], progress=lambda *step: told.append(step))
    stages = [step for step in told if step[0] != "schedule"]
    assert stages == [(stage, 0, 1) for stage in ("fold", "lower", "place", "fetch", "emit")]
    done = [step[1] for step in told if step[0] == "schedule"]
    assert done[0] == 0 and done == sorted(set(done)) and 2 <= len(done) <= len(compiled.passes)
    assert {step[2] for step in told if step[0] == "schedule"} == {len(compiled.passes)}
    assert compiled.program.queues == tsp.compile(two_layers(), CONFIGS["tiny"]).program.queues


def test_words_are_used_twice_where_there_are_too_few():
    """Eight layers of 200 rows, of which a slice holds one; with more room nothing waits for words."""
    rng, graph, config = RNG(8), Graph(), preset("tiny").override(["mem_words=256"])
    y = graph.input("x", (200, 16))
    for _ in range(8):
        y = graph.requantise(graph.relu(graph.add(graph.matmul(y, int8(rng, 16, 16)), int8(rng, 16))), shift=9)
    graph.output("y", y)
    values = {"x": int8(rng, 200, 16)}
    narrow, slow = right(graph, config, values)
    roomy, fast = right(graph, config.override(["mem_words=4096"]), values)
    assert len(narrow.places.lent) == 7 and not roomy.places.lent
    assert slow.cycles > fast.cycles


def test_the_example_of_the_documentation():
    """From a matmul to queue words: every line that docs/compiler.md shows."""
    text = (ROOT / "docs" / "compiler.md").read_text()
    section = text[text.index("## From a matmul to queue words") :].split("```")
    shown = [line.rstrip() for block in section[1:4:2] for line in block.strip("\n").split("\n")]
    graph = Graph()
    graph.output("y", graph.requantise(graph.matmul(graph.input("x", (4, 40)), int8(RNG(1), 40, 20)), shift=6))
    compiled = tsp.compile(graph, preset("tiny"))
    made = [line.rstrip() for stage in ("lower", "schedule") for line in compiled.dump(stage).split("\n")]
    assert len(shown) == 9 and set(shown) <= set(made)
