"""What compiled matmuls take of `groqchip`: floors at nine tenths of the figures in docs/compiler.md, and the goal."""

import numpy as np
import pytest

import tsp
from tsp.checker import check
from tsp.compiler.graph import Graph
from tsp.config import preset

CONFIG = preset("groqchip")
PEAK = 4 * CONFIG.lanes**2
"""Products a cycle."""


def cycles(rows, inputs, outputs):
    weights = np.random.default_rng(1).integers(-128, 128, (inputs, outputs)).astype(np.int8)
    graph = Graph()
    x = graph.input("x", (rows, inputs))
    graph.output("y", graph.requantise(graph.matmul(x, weights), shift=14))
    report = check(tsp.compile(graph, CONFIG).program)
    assert report.ok, str(report)
    return report.cycles


@pytest.mark.parametrize("rows", [1376, 2118, 3391])
def test_large_matmuls_keep_the_planes_busy(rows):
    """The published figure is 80 %, the goal 85 % of all products."""
    assert rows * 4096 * 2304 / (PEAK * cycles(rows, 4096, 2304)) > 0.85


def test_weights_of_one_vector_come_fast():
    loaded = 13 * 8 * CONFIG.lanes**2
    assert loaded / (2 * CONFIG.streams * CONFIG.lanes * cycles(1, 4096, 2304)) > 0.9 * 0.79
