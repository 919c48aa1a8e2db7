"""Graphs of floats on the golden model. Sums and elementwise results are numpy's to the bit; only EXP, TANH and RSQRT
differ from it, by 2 units in the last place (docs/float.md), and what is made of them by a little more."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tsp
from tests.compiler.golden_run import golden_run
from tsp.compiler import floats
from tsp.compiler.graph import Graph
from tsp.compiler.reference_float import product
from tsp.config import preset
from tsp.errors import InputError

TINY = preset("tiny").override(["mem_words=1024"])
NARROW = preset("groqchip").override(["superlanes=2"])
"""Two superlanes, with room for computed weights: 32 slices in a hemisphere."""
RNG = np.random.default_rng


def half(rng, *shape):
    return rng.normal(size=shape).astype(np.float16)


def run(graph, config, values):
    """Outputs of the golden model and of numpy; the cycles are the predicted ones."""
    found, _ = golden_run(tsp.compile(graph, config), values)
    return found, graph.evaluate(values, config.lanes)


def exact(graph, config, values):
    found, want = run(graph, config, values)
    for name in want:
        assert found[name].dtype == want[name].dtype
        assert np.array_equal(found[name], want[name], equal_nan=True), name


def near(graph, config, values, tolerance):
    """``tolerance``: of a number, relative to the greatest."""
    found, want = run(graph, config, values)
    for name in want:
        assert np.abs(found[name] - want[name]).max() <= tolerance * np.abs(want[name]).max(), name


@pytest.mark.parametrize("rows", [1, 7])
def test_weights_of_a_byte(rows):
    """They are exact but for roundings to float32, of sums that 128 is added to; and one plane of a pair holds zeros,
    which it loads once."""
    rng, graph, scale = RNG(5), Graph(), RNG(6).uniform(0.1, 9, 50)
    x, y = graph.input("x", (rows, 70), "float16"), graph.input("y", (rows, 40), "float16")
    weights = [rng.integers(-128, 128, shape, np.int8) for shape in ((70, 50), (40, 50))]
    graph.output("z", floats.byte_products(graph, list(zip((x, y), weights, strict=True)), scale))
    values = {"x": half(rng, rows, 70), "y": half(rng, rows, 40)}
    exact(graph, NARROW, values)
    want = sum(values[name].astype(float) @ w for name, w in zip("xy", weights, strict=True)) * scale
    (found,) = graph.evaluate(values, NARROW.lanes).values()
    assert np.abs(found - want).max() < 2.0**-18 * np.abs(want).max()
    loads = [burst.queue for burst in tsp.compile(graph, NARROW).bursts if burst.method == "lw"]
    assert loads.count("mxm.e1.weights") <= 1 < 5 <= loads.count("mxm.e0.weights")
    with pytest.raises(InputError, match="weights must be int8, not float64"):
        floats.byte_products(graph, [(x, np.ones((70, 3)))], 1.0)


@settings(max_examples=6, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32))
def test_random_products(seed):
    """Several blocks are rounded at each addition; chains of operations follow; the sum of two products; columns."""
    rng = RNG(seed)
    config = [TINY, NARROW, preset("groqchip")][rng.integers(3)]
    graph = Graph()
    rows, k, m = (int(v) for v in (rng.integers(1, 30), *rng.integers(1, 3 * min(64, config.lanes), 2)))
    x, y = graph.input("x", (rows, k), "float16"), graph.input("y", (rows, 40), "float16")
    h = graph.relu(graph.add(graph.matmul(x, half(rng, k, m)), rng.normal(size=m).astype(np.float32)))
    h = floats.half(graph, graph.mul(h, np.float32(0.37)))
    sums = floats.products(graph, [(h, half(rng, m, 50)), (y, half(rng, 40, 50))])
    total = floats.sum_features(graph, h)
    graph.output("z", graph.sub(sums, graph.mul(total, np.float32(-0.11))))
    exact(graph, config, {"x": half(rng, rows, k), "y": half(rng, rows, 40)})


def test_sums_are_exact_and_rounded_once():
    """Against whole numbers of any size, with terms that cancel and ties."""
    rng = RNG(1)
    x, w = (rng.integers(0, 1 << 16, shape).astype(np.uint16).view(np.float16) for shape in ((40, 7), (7, 40)))
    x[~np.isfinite(x)], w[~np.isfinite(w)] = 65504, -(2.0**-24)
    x[0, :3], w[:3, 0] = (65504, 2.0**-24, 65504), (65504, 2.0**-24, -65504)
    x[0, 3:] = 0
    found = product(x, w)
    assert found[0, 0] == 2.0**-48
    whole = [[int(float(v) * 2**24) for v in row] for row in x], [[int(float(v) * 2**24) for v in row] for row in w.T]
    for i, j in np.ndindex(found.shape):
        sum_ = sum(a * b for a, b in zip(whole[0][i], whole[1][j], strict=True))
        got = int(float(found[i, j]) * 2**48)
        step = max(1, 1 << max(0, abs(sum_).bit_length() - 24))
        assert abs(got - sum_) * 2 <= step and got % step == 0


def test_infinities_and_nan_follow_numpy():
    graph = Graph()
    x = graph.input("x", (3, 4), "float16")
    graph.output("y", graph.matmul(x, np.eye(4, dtype=np.float16)))
    exact(graph, TINY, {"x": np.array([[np.inf, 1, 2, 3], [1, 2, 3, 4], [np.nan, 0, 0, 0]], np.float16)})


def test_selecting_and_comparing():
    rng, graph = RNG(2), Graph()
    x, y = graph.input("x", (6, 40), "float16"), graph.input("y", (6, 40), "float32")
    greater = graph.elementwise("greater", x, y)
    graph.output("g", greater)
    graph.output("s", graph.select(greater, graph.mul(x, np.float32(2)), y))
    exact(graph, TINY, {"x": half(rng, 6, 40), "y": rng.normal(size=(6, 40)).astype(np.float32)})


def test_computed_weights():
    """Q·Kᵀ and P·V with more rows than lanes and several blocks of features, parts of a stationary tensor, gaps, and
    features that are left out."""
    rng, graph = RNG(3), Graph()
    q, k, v = (graph.input(n, shape, "float16") for n, shape in (("q", (5, 70)), ("k", (37, 70)), ("v", (37, 20))))
    scores = floats.matmul_transposed(graph, q, floats.half(graph, graph.mul(k, np.float32(0.5))))
    graph.output("scores", scores)
    values = floats.transpose(graph, v)
    graph.output("pv", floats.matmul_transposed(graph, floats.half(graph, scores), values))
    parts = floats.stationary(graph, 45, [(3, floats.take_rows(graph, k, range(4, 9)))], (30, 66))
    graph.output("part", floats.matmul_transposed(graph, q, parts))
    both = floats.stationary(graph, 60, [(40, floats.take_rows(graph, k, [1, 2])), (2, k)])
    graph.output("both", floats.matmul_transposed(graph, q, both))
    exact(graph, NARROW, {"q": half(rng, 5, 70), "k": half(rng, 37, 70), "v": half(rng, 37, 20)})


def test_moving_rows_and_features():
    rng, graph = RNG(4), Graph()
    x, y = graph.input("x", (5, 40), "float16"), graph.input("y", (7, 40), "float16")
    stacked = floats.concat_rows(graph, [floats.half(graph, graph.mul(x, np.float32(3))), y])
    graph.output("stacked", stacked)
    graph.output("rows", floats.take_rows(graph, stacked, [11, 0, 3, 4, 5, 5]))
    graph.output("beside", floats.concat_features(graph, [x, x, floats.take_rows(graph, y, range(5))]))
    graph.output("features", floats.take_features(graph, x, [39, 0, 0, 17]))
    exact(graph, NARROW, {"x": half(rng, 5, 40), "y": half(rng, 7, 40)})


def test_functions():
    rng, graph = RNG(5), Graph()
    x = graph.input("x", (6, 40), "float32")
    graph.output("exp", floats.exp(graph, x))
    graph.output("silu", floats.silu(graph, x))
    graph.output("root", floats.rsqrt(graph, graph.add(graph.mul(x, x), np.float32(1))))
    near(graph, TINY, {"x": rng.normal(size=(6, 40)).astype(np.float32)}, 4 * 2.0**-23)


@pytest.mark.parametrize("features, words", [(1, 8192), (20, 8192), (70, 8192), (20, 32)])
def test_softmax_and_norms(features, words):
    """Lanes beyond the features do no harm, in several blocks neither, and words that are used twice are written when
    what they held is read. What is rounded to fp16 may round to the other side where EXP or RSQRT differs in the last
    place: half a unit of fp16."""
    rng, graph = RNG(6), Graph()
    x = graph.input("x", (9, features), "float16")
    softmax = floats.softmax(graph, graph.mul(x, np.float32(5)))
    graph.output("softmax", softmax)
    graph.output("mixed", graph.matmul(floats.half(graph, softmax), half(rng, features, 33)))
    normed = floats.rms_norm(graph, x, rng.normal(size=features))
    graph.output("rms", normed)
    graph.output("after", graph.matmul(floats.half(graph, normed), half(rng, features, 9)))
    graph.output("layer", floats.layer_norm(graph, x, rng.normal(size=features), rng.normal(size=features)))
    config = NARROW.override([f"mem_words={words}"])
    near(graph, config, {"x": half(rng, 9, features)}, 2.0**-11)
    assert bool(tsp.compile(graph, config).places.lent) == (words == 32)


def test_softmax_means_softmax():
    """What the graph computes in numpy is the softmax of float64, within the rounding of its numerators to fp16."""
    graph, x = Graph(), half(RNG(7), 4, 50)
    graph.output("y", floats.softmax(graph, graph.input("x", (4, 50), "float16")))
    e = np.exp(x.astype(np.float64))
    assert np.allclose(graph.evaluate({"x": x})["y"], e / e.sum(1, keepdims=True), rtol=2.0**-10)


@pytest.mark.parametrize("features", [64, 70])
def test_softmax_over_blocks(features):
    """The greatest of the blocks first; what lies beyond the last one's features does not count, be it greater."""
    graph, x = Graph(), RNG(9).normal(size=(5, features)).astype(np.float32) - 9
    given = graph.input("x", (5, features), "float32")
    graph.output("y", floats.softmax(graph, floats.sigmoid(graph, given), NARROW.lanes))
    graph.output("z", floats.softmax(graph, given, NARROW.lanes))
    near(graph, NARROW, {"x": x}, 2.0**-11)
    plain = Graph()
    plain.output("z", floats.softmax(plain, plain.input("x", (5, features), "float32")))
    assert np.array_equal(plain.evaluate({"x": x}, 32)["z"], graph.evaluate({"x": x}, 32)["z"])


def test_softmax_of_masked_scores():
    graph, rng = Graph(), RNG(8)
    x = rng.normal(size=(4, 40)).astype(np.float32)
    x[np.triu_indices(4, 1, 40)] = -np.inf
    graph.output("y", floats.softmax(graph, graph.input("x", (4, 40), "float32")))
    near(graph, TINY, {"x": x}, 2.0**-11)
    assert (graph.evaluate({"x": x})["y"][0, 1:] == 0).all()


def wrong(make, config=NARROW):
    graph = Graph()
    x = graph.input("x", (4, 8), "float16")
    with pytest.raises(InputError) as found:
        graph.output("y", make(graph, x))
        tsp.compile(graph, config)
    return str(found.value)


W = np.ones((8, 4), np.float16)


@pytest.mark.parametrize(
    "make, sentence",
    [
        (lambda g, x: g.matmul(x, W[:7]), "matmul: x float16[4, 8] has 8 features, but the weights"),
        (lambda g, x: g.matmul(x, W.astype(float) * 0.3), "a weight, 0.3, is no float16"),
        (lambda g, x: floats.products(g, [(g.add(x, 1.0), W)]), "products take float16, not add_0 float32[4, 8]"),
        (lambda g, x: floats.products(g, [(x, x)]), "make it stationary first, or use matmul_transposed"),
        (lambda g, x: floats.products(g, []), "no pair is given"),
        (lambda g, x: floats.take_rows(g, x, [4]), "rows [4] of x float16[4, 8]: it has rows 0…3"),
        (lambda g, x: floats.exp(g, g.input("i", (4, 8))), "exp of i int8[4, 8]: takes floats; convert it"),
        (lambda g, x: floats.stationary(g, 5, [(0, x), (3, x)]), "does not fit at row 3"),
        (lambda g, x: g.mul(x, g.input("c", (4, 1), "float16")), "has its numbers in one lane"),
    ],
)
def test_sentences(make, sentence):
    assert sentence in wrong(make)


def test_what_a_chip_lacks():
    sentence = wrong(lambda g, x: floats.matmul_transposed(g, x, x), TINY)
    assert "needs 32 MEM slices of a hemisphere, but config tiny has 12; set mem_slices=32 or more" in sentence
    assert "mxm_fp16=False" in wrong(lambda g, x: g.matmul(x, W), TINY.override(["mxm_fp16=off"]))


def test_zeros_in_lanes_that_are_no_features_take_an_alu():
    """Of 1 / √0 in other lanes; on a chip with two ALUs the chain before is shorter, on one with one there is none."""
    rng, graph = RNG(7), Graph()
    root = floats.rsqrt(graph, graph.input("x", (3, 20), "float32"))
    graph.output("y", graph.matmul(floats.half(graph, graph.mul(root, np.float32(2))), half(rng, 20, 5)))
    values = {"x": (4.0 ** rng.integers(-3, 3, (3, 20))).astype(np.float32)}
    exact(graph, TINY.override(["vxm_rows=1"]), values)
    with pytest.raises(InputError, match="takes 2 ALUs one after the other, but config tiny has 1; set vxm_rows=2"):
        tsp.compile(graph, TINY.override(["vxm_rows=1", "vxm_stages=1"]))
