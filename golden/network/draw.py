"""Pictures of how chips are cabled, how HACs come together and when links are taken."""

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from golden.network.align import FROM_ROOT, LINKED, Alignment
from golden.network.schedule import Schedule
from golden.network.topology import CHIPS, PORTS, Topology
from tsp.errors import counted

_POINTS = 150
"""Of a line over time."""
_GREY, _BLUE, _RED = "#9aa0a6", "#1f4e8c", "#c0392b"


def cabling(topology: Topology) -> Figure:
    """The chips of an island with their cables, and beside them the racks, if there are any, with those between."""
    racks = topology.islands > 1
    figure = Figure(figsize=(11 if racks else 6, 5.6), layout="constrained")
    axes = figure.subplots(1, 2 if racks else 1, squeeze=False)[0]
    _chips(axes[0], topology)
    axes[0].set_title(f"{'a rack' if racks else 'the nodes'}: {topology.nodes} × {CHIPS} chips")
    if racks:
        _racks(axes[1], topology)
        axes[1].set_title(f"{topology.islands} racks, and the cables of one")
    for each in axes:
        each.set_aspect("equal")
        each.axis("off")
    return figure


def _circle(number: int, radius: float = 1.0) -> NDArray[np.float64]:
    angle = 2 * np.pi * np.arange(number) / number
    return radius * np.stack([np.sin(angle), np.cos(angle)], 1)


def _chips(axes: Axes, topology: Topology) -> None:
    centres = _circle(topology.nodes, 1.0 if topology.nodes > 1 else 0.0)
    near = min(0.28, 2.2 / topology.nodes)
    places = (centres[:, None] * (1 + near) + _circle(CHIPS, 0.45 * near)).reshape(-1, 2)
    ends = topology.cables // PORTS
    ends = ends[(ends < topology.island_chips).all(1)]
    local = ends[:, 0] // CHIPS == ends[:, 1] // CHIPS
    for chosen, colour, width in ((~local, _BLUE, 0.35), (local, _GREY, 0.3)):
        axes.plot(*_broken(places[ends[chosen]]).T, color=colour, linewidth=width)
    axes.plot(*places.T, ".", color="black", markersize=2.5 if topology.nodes > 9 else 5)


def _racks(axes: Axes, topology: Topology) -> None:
    """Every rack is cabled to every other; all the lines would be a grey disc, so these are the first one's."""
    places = _circle(topology.islands)
    lines = np.stack([places[:1].repeat(topology.islands - 1, 0), places[1:]], 1)
    axes.plot(*_broken(lines).T, color=_BLUE, linewidth=0.35)
    axes.plot(*places.T, ".", color="black", markersize=4)


def _broken(lines: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lines [n, 2 ends, 2] as one that is lifted between them: each by itself would be an element of the picture."""
    return np.concatenate([lines, np.full((len(lines), 1, 2), np.nan)], 1).reshape(-1, 2)


def coming_together(alignment: Alignment) -> Figure:
    """The largest differences of HACs over time: of each depth of the tree from the root, and of linked chips."""
    figure = Figure(figsize=(9, 4.4), layout="constrained")
    axes = figure.subplots()
    depths = alignment.from_root.shape[1]
    shades = matplotlib.colormaps["viridis"](np.linspace(0, 0.9, max(depths - 1, 1)))
    # The most of so many records: a picture of all would be large, and one of some would leave peaks out.
    every = -(-len(alignment.time) // _POINTS)
    begins = np.arange(0, len(alignment.time), every)
    time = alignment.time[begins] / 1000
    for depth in range(1, depths):
        off = np.maximum.reduceat(alignment.from_root[:, depth], begins)
        axes.plot(time, off, color=shades[depth - 1], linewidth=0.8, label=f"from the root, depth {depth}")
    axes.plot(
        time, np.maximum.reduceat(alignment.linked, begins), color=_RED, linewidth=0.8, label="chips of one cable"
    )
    axes.axhline(FROM_ROOT, color="black", linewidth=0.5, linestyle="--")
    axes.axhline(LINKED, color=_RED, linewidth=0.5, linestyle="--")
    axes.set_yscale("symlog", linthresh=10)
    axes.set_yticks([0, 2, 4, 6, 8, 10, 32, 128], ["0", "2", "4", "6", "8", "10", "32", "128"])
    axes.set_ylim(0, 140)
    axes.set_xlabel("thousand cycles")
    axes.set_ylabel("cycles that HACs differ, at most")
    axes.set_title(f"{alignment.topology.chips:,} chips, seed {alignment.seed}")
    axes.legend(fontsize="small", loc="upper right")
    return figure


def occupancy(schedule: Schedule) -> Figure:
    """Which links carry a packet in which slot; the colour is how many links lie behind it on its route."""
    links, row = np.unique(schedule.table[:, 1], return_inverse=True)
    packet, slot = schedule.table[:, 0], schedule.table[:, 2]
    taken = np.zeros((max(links.size, 1), max(schedule.slots, 1)))
    begins = np.r_[True, np.diff(packet) != 0]
    position = np.arange(packet.size)
    taken[row, slot] = 1 + position - np.maximum.accumulate(np.where(begins, position, 0))
    figure = Figure(figsize=(9, 4.4), layout="constrained")
    axes = figure.subplots()
    most = max(int(taken.max()), 2)
    colours = matplotlib.colormaps["viridis"].resampled(most)
    free = np.ma.masked_equal(taken, 0)
    shown = axes.imshow(free, aspect="auto", interpolation="none", cmap=colours, vmin=0.5, vmax=most + 0.5)
    bar = figure.colorbar(shown, label="link of its route, from the source")
    bar.ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel(f"slot of {schedule.timing.slot} cycles")
    if links.size <= 40:
        names = [f"{link // PORTS}→{schedule.topology.peers.ravel()[link]}" for link in links]
        axes.set_yticks(range(links.size), names, fontsize=max(9 - links.size // 8, 4))
    axes.set_ylabel("link, from chip to chip" if links.size <= 40 else f"{links.size} links")
    axes.set_title(f"{counted(len(schedule.packets), 'packet')} of {counted(len(schedule.transfers), 'tensor')}")
    return figure
