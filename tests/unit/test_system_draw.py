"""Pictures of systems: every end of every link says its port and latency, legibly."""

from itertools import combinations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.path import Path as Outline
from matplotlib.text import Text
from matplotlib.transforms import Affine2D

from tests.unit.systems import TINY, random_system
from tsp.node import Node
from tsp.program import Program
from tsp.system import Chip, Link, Port, System
from tsp.system_draw import draw_system


def parallel(count: int) -> System:
    """Two chips of long names, joined several times."""
    links = [Link((Port(n % 2, n), Port(1 - n % 2, n)), (210 + n, 300 + n), (210 + n, 300 + n)) for n in range(count)]
    chips = tuple(Chip(name * 64, TINY, Program(TINY)) for name in "ab")
    return System("parallel", chips, tuple(links), 0, (0,))


def loops(count: int) -> System:
    """Chips with links to themselves, one after the other in a row."""
    both = ((216, 216), (216, 216))
    links = [Link((Port(n, 0), Port(n, 1)), *both) for n in range(count)] + [Link((Port(0, 2), Port(0, 3)), *both)]
    links += [Link((Port(n, 4), Port(n + 1, 5)), *both) for n in range(count - 1)]
    chips = tuple(Chip(f"chip{n}", TINY, Program(TINY)) for n in range(count))
    return System("loops", chips, tuple(links), 0, tuple(range(count + 1, len(links))))


NODE = Node(TINY.override(["links_e=4"])).system()
SYSTEMS = [NODE, parallel(5), loops(1), loops(4), *map(random_system, range(1, 4))]


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: f"{len(system.chips)} chips {len(system.links)} links")
def test_no_text_of_a_picture_hides_another(system: System) -> None:
    figure = draw_system(system)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    texts = figure.axes[0].texts
    names = [system.port_name(port).rpartition(".")[2] for link in system.links for port in link.ends]
    latencies = [cycles for link in system.links for cycles in link.latency]
    labels = [f"{name} {cycles}" for name, cycles in zip(names, latencies, strict=True)]
    assert [text.get_text() for text in texts[: len(labels)]] == labels
    assert len(texts) == len(labels) + len(system.chips)
    outlines = [outline(text, canvas) for text in texts]
    hidden = [(a, b) for a, b in combinations(range(len(texts)), 2) if outlines[a].intersects_path(outlines[b])]
    assert not hidden, [(texts[a].get_text(), texts[b].get_text()) for a, b in hidden]


def outline(text: Text, canvas: FigureCanvasAgg) -> Outline:
    """The edge of a text's letters, in pixels, turned as it is."""
    turned = text.get_rotation()
    text.set_rotation(0)
    box = text.get_window_extent(canvas.get_renderer())
    middle = np.asarray(box.min + box.max) / 2
    return Outline.unit_rectangle().transformed(
        Affine2D().translate(-0.5, -0.5).scale(box.width, box.height).rotate_deg(turned).translate(*middle)
    )


def test_links_between_the_same_chips_are_lines_of_their_own() -> None:
    (lines,) = draw_system(parallel(4)).axes[0].collections
    middles = [tuple(np.round(segment[len(segment) // 2], 6)) for segment in lines.get_segments()]
    assert len({*middles}) == 4


def test_a_large_system_is_drawn_without_names() -> None:
    chips = tuple(Chip(f"chip{n}", TINY, Program(TINY)) for n in range(70))
    links = tuple(Link((Port(n, 0), Port(n + 1, 5)), (216, 216), (216, 216)) for n in range(69))
    axes = draw_system(System("large", chips, links, 0, tuple(range(69)))).axes[0]
    assert not axes.texts and [len(segment) for segment in axes.collections[0].get_segments()] == [2] * 69
