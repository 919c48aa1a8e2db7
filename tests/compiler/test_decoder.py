"""A decoder layer on the golden model: the graph's numbers in numpy, and those of the usual formulas in float32."""

import numpy as np
import pytest

import tsp
from tests.compiler.golden_run import golden_run
from tsp.compiler import floats
from tsp.compiler.decoder import decoder_layer, meaning
from tsp.compiler.decoder_sizes import Quantised, Sizes, Weights
from tsp.compiler.graph import Graph
from tsp.config import preset
from tsp.errors import InputError

NARROW = preset("groqchip").override(["superlanes=2"])


def inputs(graph, sizes, seed=3):
    rng = np.random.default_rng(seed)
    values = {x.name: rng.normal(size=x.shape).astype(x.dtype) for x in graph.inputs}
    for b, bundle in enumerate(sizes.bundles() if sizes.cache else []):
        # A head that lies there several times is the same each time.
        first = np.repeat([bundle.keys.index(head) for head in bundle.keys], sizes.dim) * sizes.dim
        lanes = first + np.tile(np.arange(sizes.dim), len(bundle.keys))
        values[f"k_cache.{b}"] = values[f"k_cache.{b}"][:, lanes]
        values[f"v_cache.{b}"] = values[f"v_cache.{b}"][lanes]
        values[f"v_cache.{b}"][:, sizes.cache :] = 0
    return values


LAYERS = [
    Sizes(48, 6, 2, 80, 5, width=NARROW.lanes),
    Sizes(48, 6, 6, 80, 2, 3, width=NARROW.lanes),
    Sizes(48, 5, 2, 80, 1, 40, width=NARROW.lanes, head=8, queries=(4, 1)),
]


@pytest.mark.parametrize("sizes", LAYERS)
def test_a_layer(sizes):
    """Several tokens at once; two behind a cache, with so many heads of keys that they make two bundles; one behind
    keys of two blocks, with a head of keys that lies there four times, for each of its queries."""
    weights = Weights.random(sizes)
    graph = decoder_layer(sizes, weights)
    values = inputs(graph, sizes)
    found, _ = golden_run(tsp.compile(graph, NARROW), values)
    want, plain = graph.evaluate(values, NARROW.lanes), meaning(sizes, weights, values)["y"]
    for name in want:
        # An EXP or RSQRT that differs in the last place may round to another float16.
        assert np.abs(found[name] - want[name]).max() <= 2.0**-9 * np.abs(want[name]).max(), name
    # Activations are float16: some units of 2^-11 in the end.
    assert np.abs(found["y"] - plain).max() <= 2.0**-9 * np.abs(plain).max()


def test_what_a_token_leaves_is_what_the_next_takes():
    """Three tokens at once, or the third behind the other two: the same, within float16."""
    whole, last = Sizes(48, 6, 2, 80, 3, 0, width=32), Sizes(48, 6, 2, 80, 1, 2, width=32)
    weights = Weights.random(whole)
    x = np.random.default_rng(8).normal(size=(3, 48)).astype(np.float32)
    first = decoder_layer(whole, weights).evaluate({"x": x}, 32)
    values = first["v.0"].copy()
    values[:, 2] = 0
    given = {"x": x[2:], "k_cache.0": first["k.0"][:2], "v_cache.0": values}
    second = decoder_layer(last, weights).evaluate(given, 32)
    assert np.allclose(second["y"], first["y"][2:], atol=2.0**-9 * np.abs(first["y"]).max())
    assert np.allclose(second["v.0"], first["v.0"], atol=1e-3)
    assert np.allclose(second["k.0"], first["k.0"][2:], atol=1e-3)


def test_quantised_weights():
    matrix = np.random.default_rng(1).normal(size=(30, 7))
    found = Quantised.of(matrix)
    assert (np.abs(found.whole).max(0) == 127).all()
    assert np.abs(found.numbers - matrix).max() <= np.abs(matrix).max() / 127 / 2 * 1.001


def test_weights_of_a_byte_take_a_byte_each():
    """Two bytes each would be more than the chip has; the zeros beside them are there once."""
    chip, graph, features = NARROW.override(["mem_words=64"]), Graph(), 320
    capacity = 2 * chip.mem_slices * chip.mem_words * chip.lanes
    assert 2 * features**2 > capacity > features**2
    weights = np.random.default_rng(1).integers(-128, 128, (features, features)).astype(np.int8)
    x = graph.input("x", (1, features), "float16")
    graph.output("y", floats.byte_products(graph, [(x, weights)], np.ones(features)))
    values = np.random.default_rng(2).integers(-8, 9, (1, features)).astype(np.float16)
    found, _ = golden_run(tsp.compile(graph, chip), {"x": values})
    assert np.array_equal(found["y"], values.astype(np.float32) @ weights.astype(np.float32))


def test_sizes_that_make_no_layer():
    for sizes, sentence in ((Sizes(48, 5, 2, 80, 1), "5 heads of 48 features"), (Sizes(48, 6, 2, 80, 0), "at least 1")):
        with pytest.raises(InputError) as found:
            decoder_layer(sizes, None)
        assert sentence in str(found.value)
