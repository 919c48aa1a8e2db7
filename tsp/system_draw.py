"""A system as a picture: chips on a circle, links between them, thick where time goes down the tree."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from tsp.floorplan import floorplan
from tsp.system import System

_INK, _PALE, _LINK, _TREE = "#1f2933", "#6b7784", "#8793a0", "#2a9d8f"
_ROOT, _CHIP, _SPARE = "#e9a23b", "#e8ecf0", "#ffffff"
_MOST_LABELS = 64
"""Of chips, and of links: nobody could read more."""
_LARGEST = 40.0
"""Inches of an edge."""


def draw_system(system: System) -> Figure:
    """Chips with their names, presets and depths; links with ports and latencies, there and back."""
    count = len(system.chips)
    size = min(4.0 + 0.5 * count, _LARGEST)
    figure = Figure(figsize=(size, size), layout="constrained")
    axes = figure.subplots()
    angle = 2 * np.pi * np.arange(count) / count
    places = np.stack([np.sin(angle), np.cos(angle)], 1) * (count > 1)
    _draw_links(axes, system, places)
    if count <= _MOST_LABELS:
        _draw_chips(axes, system, places)
    else:
        axes.plot(*places.T, ".", color=_INK)
        axes.plot(*places[system.root], "o", color=_ROOT)
    axes.set_aspect("equal")
    axes.set_xlim(-1.3, 1.3)
    axes.set_ylim(-1.3, 1.3)
    axes.axis("off")
    return figure


def _draw_chips(axes: Axes, system: System, places: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> None:
    for number, (chip, (x, y)) in enumerate(zip(system.chips, places.tolist(), strict=True)):
        colour = _ROOT if number == system.root else _SPARE if chip.spare else _CHIP
        text = f"{chip.name}\n{chip.config.name}, {'spare' if chip.spare else f'depth {system.depth[number]}'}"
        box = {"boxstyle": "round", "facecolor": colour, "edgecolor": _INK, "linestyle": ":" if chip.spare else "-"}
        axes.text(x, y, text, ha="center", va="center", color=_INK, fontsize="small", bbox=box, parse_math=False)


def _draw_links(axes: Axes, system: System, places: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> None:
    tree = {*system.tree}
    ends = np.asarray([[port.chip for port in link.ends] for link in system.links], int).reshape(-1, 2)
    of_tree = [number in tree for number in range(len(ends))]
    colours, widths = [_TREE if t else _LINK for t in of_tree], [3 if t else 1 for t in of_tree]
    # Each by itself would be an element of the picture.
    axes.add_collection(LineCollection(list(places[ends]), colors=colours, linewidths=widths, zorder=1))
    if len(ends) > _MOST_LABELS:
        return
    for link, (one, other) in zip(system.links, places[ends].tolist(), strict=True):
        there, back = link.latency
        names = [floorplan(system.chips[port.chip].config).links[port.link].name for port in link.ends]
        labels = (names[0], str(there) if there == back else f"{there} / {back}", names[1])
        for label, share, colour in zip(labels, (0.25, 0.5, 0.75), (_INK, _PALE, _INK), strict=True):
            x, y = (a + (b - a) * share for a, b in zip(one, other, strict=True))
            box = {"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none"}
            axes.text(x, y, label, ha="center", va="center", color=colour, fontsize="x-small", bbox=box)
