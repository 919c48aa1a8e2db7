"""What goes across lanes, matrices of their own for rows, and floats that become whole numbers."""

import numpy as np
import pytest

import tsp
from tsp.compiler.graph import Graph
from tsp.compiler.lanes import extreme, first
from tsp.compiler.rounding import rounded, truncated
from tsp.config import preset

CONFIG = preset("tiny").override(["mem_words=1024", "queue_depth=2048"])
RNG = np.random.default_rng


def run(make, x):
    """On the golden model, which must give what the graph means in numpy."""
    graph = Graph()
    graph.output("y", make(graph, graph.input("x", x.shape, str(x.dtype))))
    found = tsp.compile(graph, CONFIG)(x)["y"]
    assert np.array_equal(found, graph.evaluate({"x": x})["y"], equal_nan=x.dtype.kind == "f")
    return found


@pytest.mark.parametrize("dtype", ["int8", "int32", "float32"])
def test_across_lanes(dtype):
    """In one block of lanes, and in two."""
    x = (RNG(1).normal(size=(3, 40)) * 50).astype(dtype)
    chosen = RNG(2).integers(0, 40, 7).tolist()
    assert np.array_equal(run(lambda g, x: g.gather(x, chosen, 1), x), x[:, chosen])


@pytest.mark.parametrize("dtype, shape", [("int8", (5, 40)), ("int32", (5, 6)), ("float32", (1, 6)), ("int8", (1, 1))])
def test_extremes(dtype, shape):
    x = (RNG(1).normal(size=shape) * 50).astype(dtype)
    assert (run(lambda g, x: extreme(g, "minimum", x), x) == x.min()).all()
    assert run(lambda g, x: first(g, extreme(g, "maximum", x)), x) == x.max()


def test_a_matrix_for_each_row():
    rng = RNG(3)
    x, stack = (rng.integers(-128, 128, shape).astype(np.int8) for shape in ((6, 40), (3, 40, 35)))
    of_row = np.array([0, 0, 2, 1, 1, 2])
    found = run(lambda g, x: g.matmul_each(x, of_row, stack, stack), x)
    assert np.array_equal(found, 2 * np.einsum("rk,rkm->rm", x.astype(int), stack[of_row]))


def floats():
    """Halves, their neighbours, and numbers of every size."""
    rng = RNG(4)
    halves = (rng.integers(-99, 99, (4, 30)) / 2).astype(np.float32)
    near = (halves.view(np.int32) + rng.integers(-1, 2, halves.shape, dtype=np.int32)).view(np.float32)
    wide = rng.normal(size=(4, 30)) * 2.0 ** rng.integers(-30, 60, (4, 30))
    corners = np.array([[0.0, -0.0, 0.4, -0.4, 0.5, -0.5, 2**23, 2**23 - 0.5, -(2**31), 2**31]], np.float32)
    return np.concatenate([near, wide.astype(np.float32), np.repeat(corners, 3, 1)])


def test_rounded():
    x = floats()
    found = run(rounded, x)
    assert np.array_equal(found.view(np.int32), np.rint(x).view(np.int32))
    assert np.array_equal(run(rounded, np.array([[np.inf, -np.inf]], np.float32)), [[np.inf, -np.inf]])
    assert np.isnan(run(rounded, np.array([[np.nan]], np.float32))).all()


def test_truncated():
    x = floats()
    assert np.array_equal(run(truncated, x), np.clip(np.trunc(x.astype(float)), -(2**31), 2**31 - 1))
