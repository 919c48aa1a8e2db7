"""Numbers in other rows and lanes, and what else a graph has by name: numpy's results on the golden model."""

import numpy as np
import pytest

import tsp
from tests.compiler.test_compiler import CONFIGS, RNG, int8, right
from tsp.compiler.graph import Graph, Windows
from tsp.compiler.moves import arranged
from tsp.config import preset
from tsp.errors import InputError

TINY, HALVES = CONFIGS["tiny"], preset("groqchip").override(["superlanes=2"])


def given(rng, shape, dtype):
    return int8(rng, *shape) if dtype == "int8" else (rng.normal(size=shape) * 50).astype(dtype)


def run(make, *shapes, dtype="int8", config=TINY, images=(), seed=1):
    """What a graph of inputs makes of random numbers, on the golden model; and these."""
    rng, graph = RNG(seed), Graph()
    images = (*images, *[None] * len(shapes))
    inputs = [graph.input(f"x{n}", shape, dtype, images[n]) for n, shape in enumerate(shapes)]
    graph.output("y", make(graph, *inputs))
    values = {x.name: given(rng, x.shape, dtype) for x in inputs}
    compiled, _ = right(graph, config, values)
    return graph.evaluate(values)["y"], list(values.values()), compiled


MOVES = {
    "features": (lambda g, a, b: g.concat([a, b]), lambda a, b: np.concatenate([a, b], 1), (7, 5), (7, 40)),
    "whole blocks": (lambda g, a, b: g.concat([a, b]), lambda a, b: np.concatenate([a, b], 1), (7, 32), (7, 64)),
    "rows": (lambda g, a, b: g.concat([b, a], 0), lambda a, b: np.concatenate([b, a], 0), (7, 40), (2, 40)),
    "narrower rows": (lambda g, a: g.reshape(a, (18, 4)), lambda a: a.reshape(18, 4), (3, 24)),
    "wider rows": (lambda g, a: g.reshape(a, (3, 24)), lambda a: a.reshape(3, 24), (18, 4)),
    "other rows": (lambda g, a: g.reshape(a, (4, 18)), lambda a: a.reshape(4, 18), (3, 24)),
    "columns": (lambda g, a: g.transpose(a), lambda a: a.T, (4, 3)),
    "some rows": (lambda g, a: g.gather(a, [3, -1, 0, 3]), lambda a: a[[3, -1, 0, 3]], (9, 40)),
    "some features": (lambda g, a: g.gather(a, [3, -1, 0, 3], 1), lambda a: a[:, [3, -1, 0, 3]], (9, 40)),
}


@pytest.mark.parametrize("way", MOVES)
def test_moves_of_bytes(way):
    make, want, *shapes = MOVES[way]
    found, values, _ = run(make, *shapes)
    assert np.array_equal(found, want(*values))


@pytest.mark.parametrize("dtype", ["int8", "int32", "float16", "float32"])
def test_a_transpose_of_many_numbers(dtype):
    """Through float16, of 32 bits byte by byte."""
    found, (x,), _ = run(lambda g, x: g.transpose(x), (9, 40), dtype=dtype, config=HALVES)
    assert np.array_equal(found, x.T)


@pytest.mark.parametrize("dtype", ["int32", "float16", "float32"])
@pytest.mark.parametrize("way", ["features", "wider rows"])
def test_moves_of_other_types(way, dtype):
    make, want, *shapes = MOVES[way]
    found, values, _ = run(make, *shapes, dtype=dtype, config=HALVES)
    assert np.array_equal(found, want(*values))


def test_channels_side_by_side_are_folded_with_their_images():
    """A row holds several pixels, and a convolution goes on with them."""
    rng, around = RNG(3), Windows(pads=(1, 1, 1, 1))
    weights = [int8(rng, *shape) for shape in ((4, 3, 3, 3), (6, 3, 1, 1), (3, 10, 3, 3))]

    def fire(g, x):
        narrow = g.requantise(g.conv2d(x, weights[1]), shift=7)
        wide = g.requantise(g.conv2d(x, weights[0], windows=around), shift=8)
        return g.requantise(g.conv2d(g.concat([narrow, wide]), weights[2], windows=around), shift=9)

    _, _, compiled = run(fire, (64, 3), images=[(1, 8, 8)])
    assert max(x.features for x in compiled.graph.tensors.values() if x.op == "convert") > 10


def test_images_below_each_other():
    """Two of them are a batch, which a padded convolution takes."""
    weights, around = int8(RNG(4), 3, 5, 3, 3), Windows(pads=(1, 1, 1, 1))
    run(lambda g, a, b: g.conv2d(g.concat([a, b], 0), weights, windows=around), (12, 5), (24, 5),
        images=[(1, 3, 4), (2, 3, 4)])  # fmt: skip


@pytest.mark.parametrize("dtype", ["int8", "float16"])
@pytest.mark.parametrize("counted", [False, True])
def test_average_pool(dtype, counted):
    found, (x,), _ = run(
        lambda g, x: g.average_pool(x, (2, 3), Windows((1, 2), (1, 1, 0, 1)), counted), (20, 6), dtype=dtype,
        config=HALVES, images=[(1, 4, 5)],
    )  # fmt: skip
    image = np.pad(x.reshape(4, 5, 6).astype(np.float64), ((1, 0), (1, 1), (0, 0)), constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(image, (2, 3), (0, 1))[:, ::2]
    if counted:
        windows = np.nan_to_num(windows)
    want = np.nanmean(windows, axis=(-2, -1)).reshape(-1, 6)
    if dtype == "float16":
        assert np.abs(found - want).max() <= 2.0**-10 * np.abs(want).max()
    else:
        assert (np.abs(found - want) <= 0.5).all()


def test_functions_of_floats_by_name():
    graph = Graph()
    x = graph.input("x", (5, 8), "float16")
    graph.output("y", graph.add(graph.softmax(x), graph.add(graph.layer_norm(x, np.ones(8)), graph.rms_norm(x))))
    values = RNG(5).normal(size=(5, 8)).astype(np.float16)
    found, x = tsp.compile(graph, HALVES)(values)["y"], values.astype(np.float64)
    power = np.exp(x - x.max(1, keepdims=True))
    away = x - x.mean(1, keepdims=True)
    want = power / power.sum(1, keepdims=True) + away / x.std(1, keepdims=True) + x / np.sqrt((x**2).mean(1))[:, None]
    assert np.abs(found - want).max() < 0.01


@pytest.mark.parametrize(
    "make, sentence",
    [
        (lambda g, x, y: g.concat([x, y], 2), "concat of 2 tensors along axis 2: takes some, along 0 (rows) or 1"),
        (lambda g, x, y: g.concat([x, y]), "concat of x int8[4, 6] and y int8[3, 6]: they must have as many rows"),
        (lambda g, x, y: g.concat([x, g.convert(y, "int32")], 0), "whose types differ; convert them"),
        (lambda g, x, y: g.reshape(x, (5, 5)), "to [5, 5]: must be [rows, features] of 24 numbers"),
        (lambda g, x, y: g.reshape(x, (6, 4), (1, 2, 2)), "its image [1, 2, 2] must have 6 pixels"),
        (lambda g, x, y: g.gather(x, [0, 4]), "along axis 0: takes a list of whole numbers -4…3"),
        (lambda g, x, y: g.average_pool(x, (2, 2)), "x int8[4, 6] is no image"),
        (lambda g, x, y: g.products([(x, np.eye(6, dtype=np.int8)), (y, np.eye(6, dtype=np.int8))]),
         "products of different shapes cannot be added: (3, 6), (4, 6)"),
    ],
)  # fmt: skip
def test_sentences(make, sentence):
    graph = Graph()
    with pytest.raises(InputError) as found:
        make(graph, graph.input("x", (4, 6)), graph.input("y", (3, 6)))
    assert sentence in str(found.value)


def test_windows_of_padding_alone_have_no_mean():
    graph = Graph()
    x = graph.input("x", (4, 6), image=(1, 2, 2))
    with pytest.raises(InputError, match="one has no pixel of the image to average"):
        graph.average_pool(x, (1, 1), Windows(pads=(1, 0, 0, 0)))


def test_what_would_take_too_many_products():
    graph = Graph()
    x = graph.input("x", (100, 100))
    with pytest.raises(InputError, match="to other lanes, which takes 6351 products and 63510000 weights"):
        arranged(graph, [x], RNG(6).integers(0, 10000, (100, 100)))


def test_a_transpose_needs_an_mxm_that_multiplies_floats():
    graph = Graph()
    graph.output("y", graph.transpose(graph.input("x", (20, 20))))
    with pytest.raises(InputError, match="mxm_fp16=False; set mxm_fp16=True"):
        tsp.compile(graph, TINY.override(["mxm_fp16=off"]))
