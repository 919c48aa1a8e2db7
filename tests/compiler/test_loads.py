"""Weights that meet one row: how fast they come, and that the products are right."""

import numpy as np
import pytest

import tsp
from tests.compiler.golden_run import golden_run
from tsp.compiler.graph import Graph
from tsp.config import preset

CHIPS = {
    "two planes a side": ["superlanes=2"],
    "a plane a side": ["superlanes=2", "mxm_planes_e=1", "mxm_planes_w=1", "mxm_fp16=off"],
    "planes in one hemisphere": ["superlanes=2", "mxm_planes_w=0"],
    "half of the streams": ["superlanes=2", "streams=16"],
    "one superlane": ["superlanes=1"],
}


def product(config, inputs, outputs, dtype="int8"):
    """A graph of a row times a matrix, and a row."""
    rng, graph = np.random.default_rng(1), Graph()
    x = graph.input("x", (1, inputs), dtype)
    make = {"int8": lambda *n: rng.integers(-128, 128, n), "float16": lambda *n: rng.normal(size=n)}[dtype]
    sums = graph.matmul(x, make(inputs, outputs).astype(dtype))
    graph.output("y", graph.requantise(sums, shift=6) if dtype == "int8" else sums)
    return graph, {"x": make(1, inputs).astype(dtype)}


@pytest.mark.parametrize("name, dtype", [*((name, "int8") for name in CHIPS), ("two planes a side", "float16")])
def test_a_row_times_a_matrix(name, dtype):
    """Blocks of all sizes, more than planes, two of them alike, and one of zeros."""
    config = preset("groqchip").override(CHIPS[name])
    graph, values = product(config, 5 * config.lanes - 3, 9 * config.lanes - 7, dtype)
    matrix = next(x.value for x in graph.tensors.values() if x.value is not None and x.value.size > 1)
    lanes = config.lanes
    matrix[lanes : 2 * lanes, :lanes] = matrix[:lanes, :lanes]
    matrix[2 * lanes : 3 * lanes, lanes : 2 * lanes] = 0
    found, _ = golden_run(tsp.compile(graph, config), values)
    assert np.array_equal(found["y"], graph.evaluate(values, config.lanes)["y"])


def test_loads_follow_each_other_without_a_pause_every_second_time():
    """Two planes share the streams of a side: one pauses a cycle, in which its streams bring the row to both."""
    config = preset("groqchip").override(["superlanes=4"])
    compiled = tsp.compile(product(config, 12 * config.lanes, 16 * config.lanes)[0], config)
    for plane in ("e0", "e1", "w0", "w1"):
        queue = f"mxm.{plane}.weights"
        loads = [dict(b.arguments) | {"at": b.at} for b in compiled.bursts if b.queue == queue and b.method == "lw"]
        starts = sorted(load["at"] for load in loads if load["supercell"] == 0)
        assert len(starts) == 48
        # All but the first tiles, as the slices of one plane are nearer than those of the other.
        periods = np.diff(starts)[4:]
        assert abs(periods.mean() - (config.superlanes + 0.5)) < 0.1 and set(periods) == {4, 5}
