"""Graphs of any operations in any order, on small chips of any shape; and what such graphs have found."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tsp
from tests.compiler.test_compiler import CONFIGS, RNG, int8, right
from tsp.compiler import floats, tables
from tsp.compiler.graph import Graph, Windows
from tsp.compiler.lanes import extreme
from tsp.config import preset
from tsp.errors import InputError
from tsp.program import Program

PLANES = [(1, 1), (2, 2), (0, 1), (1, 0), (1, 2)]
BINARY = ["add", "sub", "mul", "minimum", "maximum", "bit_xor", "shift_left", "shift_rounded", "less"]


def chip(rng):
    west, east = PLANES[rng.integers(len(PLANES))]
    fields = {
        "superlanes": rng.integers(1, 5), "mxm_planes_w": west, "mxm_planes_e": east, "mem_words": 1024,
        "mem_slices": rng.choice([16, 20, 32]), "acc_depth": rng.choice([8, 64]), "queue_depth": 8192,
        "vxm_rows": rng.choice([1, 4]), "mxm_fp16": 2 in (west, east) and rng.random() < 0.7,
    }  # fmt: skip
    return preset("tiny").override([f"{name}={value}" for name, value in fields.items()])


def windows(rng):
    strides, pads, dilations = rng.choice([1, 1, 2, 3], 2), rng.choice([0, 0, 1, 2], 4), rng.choice([1, 1, 2], 2)
    return Windows(tuple(strides.tolist()), tuple(pads.tolist()), tuple(dilations.tolist()))


def grow(rng, graph, known):
    """One more operation, on any tensors that it takes."""
    x, size = known[rng.integers(len(known))], tuple(rng.choice([1, 2, 3], 2).tolist())
    out, fill = int(rng.choice([x.features, rng.integers(1, 40)])), int(rng.choice([0, 3, -128]))
    kind = rng.integers(13)
    if x.dtype == "int32" and kind < 4:
        return graph.requantise(x, shift=rng.integers(0, 14, rng.choice([1, x.features])))
    if kind < 2 and x.image is not None:
        weights = int8(rng, out, x.features, *size) * (rng.random() < 0.9)
        return graph.conv2d(x, weights, windows=windows(rng), fill=fill)
    if kind == 2:
        return graph.matmul(x, int8(rng, x.features, out))
    if kind == 3:
        return graph.sum_pool(x, size, windows(rng), fill)
    if kind == 4:
        return graph.max_pool(x, size, windows(rng))
    if kind == 7:
        return move(rng, graph, known, x)
    if kind == 8:
        return graph.average_pool(x, size, windows(rng), bool(rng.integers(2)))
    if kind == 9:
        return graph.convert(x, str(rng.choice(["int8", "int32", "float32", "float16"])))
    if kind == 10:
        return floats.products(graph, [(x, rng.normal(size=(x.features, out)).astype(np.float16))])
    if kind > 10:
        return rows_of(rng, graph, x, out)
    alike = [y for y in known if y.shape == x.shape]
    numbers = rng.integers(-999, 999, [(1,), (x.features,), x.shape][rng.integers(3)])
    other = alike[rng.integers(len(alike))] if rng.random() < 0.6 else numbers
    return graph.elementwise(str(rng.choice(BINARY)), x, other) if kind == 5 else graph.relu(x)


def rows_of(rng, graph, x, out):
    """Rows by constant numbers, times a matrix each; or rows of a table by computed numbers."""
    if x.dtype != "int8" or rng.random() < 0.4:
        return graph.take(x, rng.integers(0, x.rows, rng.integers(1, 20)))
    if rng.random() < 0.4:
        count = int(rng.integers(1, 4))
        return graph.matmul_each(x, rng.integers(0, count, x.rows), int8(rng, count, x.features, out))
    table = rng.integers(-99, 99, (rng.choice([2, 60]), out)).astype(rng.choice(["int8", "int32", "float16"]))
    return tables.look_up(graph, table, graph.matmul(x, np.sign(int8(rng, x.features, 1))))


def move(rng, graph, known, x):
    """Numbers in other rows and lanes; of a transpose few, as these chips multiply no floats."""
    axis = int(rng.integers(2))
    fitting = [y for y in known if y.dtype == x.dtype and y.shape[1 - axis] == x.shape[1 - axis]]
    numbers = x.rows * x.features
    divisors = [n for n in range(1, 41) if numbers % n == 0 and (x.features % n == 0 or n % x.features == 0)]
    features = int(rng.choice(divisors))
    ways = [
        lambda: graph.concat([x, *rng.choice(fitting, rng.integers(1, 3))], axis),
        lambda: graph.gather(x, rng.integers(-x.shape[axis], x.shape[axis], rng.integers(1, 30)), axis),
        lambda: graph.reshape(x, (numbers // features, features)),
        lambda: graph.transpose(x) if numbers <= 16 else graph.transpose(graph.gather(x, [0])),
    ]
    return ways[rng.integers(len(ways))]()


def random_graph(seed):
    rng = RNG(seed)
    config, graph = chip(rng), Graph()
    image = tuple(int(n) for n in (rng.integers(1, 3), *rng.integers(1, 9, 2)))
    shape = int(np.prod(image)), int(rng.choice([1, 3, 40, rng.integers(1, 20)]))
    known = [graph.input("x", shape, image=image), graph.input("y", shape, image=image if rng.random() < 0.5 else None)]
    while len(known) < 9 and known[-1].rows * known[-1].features < 9000:
        try:
            known.append(grow(rng, graph, known))
        except InputError:  # windows that do not fit, a type that is not taken
            known.append(graph.relu(known[-1]))
    for number, x in enumerate(known[2:]):
        if rng.random() < 0.3 or x is known[-1]:
            graph.output(f"z{number}", x)
    return graph, config, {x.name: int8(rng, *x.shape) for x in graph.inputs}


@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32))
def test_random_graphs(seed):
    graph, config, values = random_graph(seed)
    try:
        right(graph, config, values)
    except InputError as error:
        assert "set mem_" in str(error) or "set mxm_fp16" in str(error)


def test_an_input_with_a_block_that_nothing_reads(tmp_path):
    """Its weights are zeros: it has no place in memory, and the other block is still its own."""
    rng, graph = RNG(1), Graph()
    x, weights = graph.input("x", (4, 50)), int8(rng, 50, 9)
    weights[:32] = 0
    graph.output("y", graph.matmul(x, weights))
    compiled, _ = right(graph, CONFIGS["tiny"], {"x": int8(rng, 4, 50)})
    assert compiled.program.tensors["x"].blocks == ("", "x.1")
    compiled.program.save(tmp_path / "x.npz")
    assert Program.load(tmp_path / "x.npz").tensors == compiled.program.tensors


def test_windows_of_one_line_on_padded_lines():
    graph = Graph()
    x = graph.input("x", (8, 3), image=(1, 2, 4))
    y = graph.max_pool(x, (1, 2), Windows((1, 2), (1, 0, 1, 0)))
    graph.output("y", graph.relu(y))
    right(graph, CONFIGS["tiny"], {"x": int8(RNG(2), 8, 3)})


@pytest.mark.parametrize("way", ["rows", "other lines", "one row", "one number", "halves"])
def test_what_meets_pixels_that_are_no_pixels_of_that_image(way):
    """Then these are not folded."""
    rng, graph, same = RNG(6), Graph(), Windows(pads=(1, 1, 1, 1))
    x = graph.input("x", (64, 4), image=(1, 8, 8))
    y = graph.requantise(graph.conv2d(x, int8(rng, 4, 4, 3, 3), windows=same), shift=9)
    y = graph.requantise(graph.conv2d(y, int8(rng, 4, 4, 3, 3), windows=same), shift=9)
    others = {
        "rows": lambda: graph.add(y, graph.input("z", (64, 4))),
        "other lines": lambda: graph.add(y, graph.input("z", (64, 4), image=(1, 16, 4))),
        "one row": lambda: graph.add(y, graph.input("z", (1, 4))),
        "one number": lambda: graph.add(y, graph.matmul(y, int8(rng, 4, 1))),
        "halves": lambda: extreme(graph, "maximum", y),
    }
    graph.output("y", others[way]())
    right(graph, CONFIGS["tiny"], {x.name: int8(rng, *x.shape) for x in graph.inputs})


@pytest.mark.parametrize("side, channels, words", [(31, 1, 128), (35, 2, 256)])
def test_an_image_of_an_odd_width_that_a_slice_has_no_words_for(side, channels, words):
    """Rows hold several pixels, the last of a line some beyond its end, which nobody reads."""
    rng, graph = RNG(8), Graph()
    x = graph.input("x", (side * side, channels), image=(1, side, side))
    sums = graph.conv2d(x, int8(rng, 5, channels, 3, 3), windows=Windows((2, 2)))
    y = graph.requantise(graph.add(sums, rng.integers(-99, 99, (sums.rows, 5))), shift=7)
    graph.output("y", graph.max_pool(y, (3, 3), Windows((2, 2))))
    config = CONFIGS["tiny"].override([f"mem_words={words}"])
    assert y.rows % 2 and y.rows > words
    compiled, _ = right(graph, config, {"x": int8(rng, side * side, channels)})
    assert compiled.passes[0].result.block.rows < y.rows / 2 + side


def test_products_of_floats_are_not_folded():
    rng, graph = RNG(7), Graph()
    x, weights = graph.input("x", (64, 4), "float16", image=(1, 8, 8)), rng.normal(size=(4, 5)).astype(np.float16)
    graph.output("y", graph.matmul(x, weights, weights))
    values = rng.normal(size=(64, 4)).astype(np.float16)
    values[5, 2] = np.inf
    right(graph, CONFIGS["tiny"], {"x": values})


def test_numbers_beyond_the_edge_are_those_of_each_operation():
    rng, graph = RNG(3), Graph()
    x = graph.input("x", (12, 40), image=(1, 3, 4))
    graph.output("y", graph.conv2d(x, int8(rng, 5, 40, 3, 3), windows=Windows(pads=(1, 1, 1, 1)), fill=9))
    for fill in (0, -128):
        graph.output(f"z{fill}", graph.sum_pool(x, (2, 2), Windows((2, 2), (1, 1, 1, 1)), fill))
    right(graph, CONFIGS["tiny"], {"x": int8(rng, 12, 40)})


def test_more_rows_than_the_accumulator_has_pass_through_it():
    rng, graph = RNG(4), Graph()
    graph.output("y", graph.matmul(graph.input("x", (30, 20)), int8(rng, 20, 20)))
    compiled, _ = right(graph, CONFIGS["tiny"].override(["acc_depth=8"]), {"x": int8(rng, 30, 20)})
    assert max(pass_.count for pass_ in compiled.passes) > 8


def test_weights_lie_once_in_a_hemisphere():
    """Also of planes on whose side there is no group of sixteen slices."""
    rng, graph = RNG(5), Graph()
    x = graph.input("x", (30, 90))
    graph.output("y", graph.matmul(x, int8(rng, 90, 40)))
    compiled = tsp.compile(graph, CONFIGS["tiny"].override(["mem_slices=16", "acc_depth=8"]))
    for home in compiled.places.tiles.values():
        assert len({copy.side for copy in home.copies}) == len(home.copies)


def test_three_views_of_what_lies_in_three_parts():
    """Each reads a part of its own, or a copy of its own."""
    rng, graph = RNG(8), Graph()
    y = graph.convert(graph.matmul(graph.input("x", (6, 25)), int8(rng, 25, 15)), "int8")
    first, second, third = (graph.take(y, (n, n + 3)) for n in range(3))
    graph.output("z", graph.maximum(graph.maximum(first, second), third))
    right(graph, CONFIGS["tiny"].override(["superlanes=3"]), {"x": int8(rng, 6, 25)})


def test_numbers_that_meet_one_number_of_each_row():
    """What comes of them is in every lane, and meets every feature."""
    rng, graph = RNG(9), Graph()
    x = graph.input("x", (9, 40))
    column = graph.sub(graph.matmul(x, int8(rng, 40, 1)), rng.integers(-99, 99, (9, 1)))
    column = graph.select(graph.elementwise("less", column, 7), 5, -6)
    graph.output("y", graph.add(x, column))
    right(graph, CONFIGS["tiny"], {"x": int8(rng, 9, 40)})


def test_what_wraps_does_so_before_a_relu():
    rng, graph = RNG(10), Graph()
    x = graph.input("x", (9, 3), "int32")
    graph.output("y", graph.relu(graph.convert(x, "int8", wrap=True)))
    right(graph, CONFIGS["tiny"], {"x": rng.integers(-999, 999, (9, 3)).astype(np.int32)})
