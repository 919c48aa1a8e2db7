"""A system as a picture: chips on a circle, links between them, thick where time goes down the tree."""

from collections import Counter
from textwrap import wrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tsp.floorplan import floorplan
from tsp.system import System

_INK, _LINK, _TREE = "#1f2933", "#8793a0", "#2a9d8f"
_ROOT, _CHIP, _SPARE = "#e9a23b", "#e8ecf0", "#ffffff"
_MOST_LABELS = 64
"""Of chips, and of links: nobody could read more."""
_WIDEST = 16
"""Characters of a line of a name."""
_LARGEST = 40.0
"""Inches of an edge."""
_EDGE = 1.3
"""Where the picture ends; the circle has the radius 1."""
_POINTS, _LABELS = 41, (13, 12, 14, 11, 15, 10, 16, 9, 17)
"""Points of a line, and those at which a label may stand, counted from its end, the best first."""
_ROOM = 0.4
"""Inches from the middle of a label to that of the next."""
_BEND = 0.35
"""How far links between the same two chips are apart."""
_LOOP = 0.6
"""Inches."""
Places = NDArray[np.float64]
"""Points [n, 2]."""


def draw_system(system: System) -> Figure:
    """Chips with their names, presets and depths; links with the port at each end and the nominal latency of
    what leaves there."""
    count = len(system.chips)
    size = min(3.0 + 0.75 * count, _LARGEST)
    figure = Figure(figsize=(size, size), layout="constrained")
    axes = figure.subplots()
    axes.set(xlim=(-_EDGE, _EDGE), ylim=(-_EDGE, _EDGE))
    angle = 2 * np.pi * np.arange(count) / count
    places = np.stack([np.sin(angle), np.cos(angle)], 1) * (count > 1)
    _draw_links(axes, system, places, size)
    if count <= _MOST_LABELS:
        _draw_chips(axes, system, places)
    else:
        axes.plot(*places.T, ".", color=_INK)
        axes.plot(*places[system.root], "o", color=_ROOT)
    axes.set_aspect("equal")
    axes.axis("off")
    return figure


def _draw_chips(axes: Axes, system: System, places: Places) -> None:
    for number, (chip, (x, y)) in enumerate(zip(system.chips, places.tolist(), strict=True)):
        colour = _ROOT if number == system.root else _SPARE if chip.spare else _CHIP
        name = "\n".join(wrap(chip.name, _WIDEST))
        text = f"{name}\n{chip.config.name}, {'spare' if chip.spare else f'depth {system.depth[number]}'}"
        box = {"boxstyle": "round", "facecolor": colour, "edgecolor": _INK, "linestyle": ":" if chip.spare else "-"}
        axes.text(x, y, text, ha="center", va="center", color=_INK, fontsize="small", bbox=box, parse_math=False)


def _draw_links(axes: Axes, system: System, places: Places, size: float) -> None:
    tree, lines = {*system.tree}, _lines(system, places, _LOOP * 2 * _EDGE / size)
    of_tree = [number in tree for number in range(len(lines))]
    colours, widths = [_TREE if t else _LINK for t in of_tree], [3 if t else 1 for t in of_tree]
    # Each by itself would be an element of the picture.
    axes.add_collection(LineCollection(lines, colors=colours, linewidths=widths, zorder=1))
    if len(lines) > _MOST_LABELS:
        return
    box = {"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none"}
    taken: list[Places] = []
    room = _ROOM * 2 * _EDGE / size
    for link, line in zip(system.links, lines, strict=True):
        for port, latency, way in zip(link.ends, link.latency, (line, line[::-1]), strict=True):
            name = floorplan(system.chips[port.chip].config).links[port.link].name
            text = f"{name} {latency}"
            point = _free(way, taken, room)
            taken.append(way[point])
            # Along its own link: where links cross it is clear which is meant.
            (x, y), (dx, dy) = way[point], way[point + 1] - way[point - 1]
            turned = (np.degrees(np.arctan2(dy, dx)) + 90.001) % 180 - 90
            axes.text(x, y, text, ha="center", va="center", rotation=turned, color=_INK, fontsize="x-small", bbox=box)


def _free(way: Places, taken: list[Places], room: float) -> int:
    """The point of a line, of those nearer to its beginning, at which a label is clear of all others; else of those the
    one with most room."""
    clear = [min([room, *(float(np.hypot(*(way[point] - other))) for other in taken)]) for point in _LABELS]
    return _LABELS[int(np.argmax(clear))]


def _lines(system: System, places: Places, loop: float) -> list[Places]:
    """A line of points for each link, from its first end; several between two chips are bent, each its own way. A link
    of a chip to itself is a circle of radius ``loop`` towards the middle, the next a larger one."""
    pairs = [tuple(sorted(port.chip for port in link.ends)) for link in system.links]
    count, drawn = Counter(pairs), Counter[tuple[int, ...]]()
    share = np.linspace(0, 1, _POINTS if len(pairs) <= _MOST_LABELS else 2)[:, None]
    found = []
    for pair, link in zip(pairs, system.links, strict=True):
        low, high = places[[*pair]]
        if pair[0] == pair[1]:
            towards = -low if low.any() else np.asarray([0.0, 1.0])
            across = np.asarray([-towards[1], towards[0]])
            turn = 2 * np.pi * share
            line = low + loop * (1 + drawn[pair] / 2) * ((1 - np.cos(turn)) * towards + np.sin(turn) * across)
        else:
            bend = _BEND * (2 * drawn[pair] - count[pair] + 1) * np.asarray([low[1] - high[1], high[0] - low[0]])
            line = low + (high - low) * share + bend * share * (1 - share)
        drawn[pair] += 1
        found.append(line if link.ends[0].chip == pair[0] else line[::-1])
    return found
