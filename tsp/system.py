"""A system: chips, the links between them, and the tree down which time goes (docs/links.md, section 3)."""

import dataclasses
from collections.abc import Sequence
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tsp.config import ChipConfig
from tsp.errors import InputError, nearest
from tsp.floorplan import floorplan
from tsp.flow.channels import Channel
from tsp.program import Program

JITTER = 9
"""J: a packet's latency is within ±J cycles of its link's."""
PPM = 100
"""How far clocks may be from their nominal frequency, in parts per million."""
MOST_OFF = 32
"""Cycles that a measured latency may differ from the nominal one."""
MOST_LATENCY = 1 << 16
MOST_JITTER = 64
MOST_PPM = 200
"""Beyond it the idle words that a channel must have do not make up for what clocks differ by (tb/formal/elastic.py)."""
INTERVAL = 32
"""Cycles in which a HAC is stepped once at most."""
MOST_STEPS = 2047
"""Steps that a chip counts (δ, architecture.md, section 6); one more is a fault."""
Cycles = TypeVar("Cycles", int, NDArray[np.int64])


def _refuse_beyond(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        shown = value if abs(value) < 1 << 64 else "too large"  # Python writes no number of very many digits
        raise InputError(f"{name} is {shown}, must be {low}…{high}; try {min(max(value, low), high)}")


@dataclasses.dataclass(frozen=True)
class Chip:
    """A chip by name; ``program`` is what it runs from common cycle 0 on. A ``spare`` has none, and takes the place of
    one that fails (:mod:`tsp.runtime`)."""

    name: str
    config: ChipConfig
    program: Program
    spare: bool = False


@dataclasses.dataclass(frozen=True)
class Port:
    """A link of a chip: numbers in :attr:`System.chips` and in ``floorplan(config).links``."""

    chip: int
    link: int


@dataclasses.dataclass(frozen=True)
class Link:
    """Two ports that are joined, and both channels between them, the first of them from ``ends[0]`` to ``ends[1]``.

    Attributes:
        latency: nominal L in cycles, of each channel.
        measured: L_eff of each; the nominal ones if nothing was measured.
        jitter: J.

    Raises InputError for cycles that no link has, and for a measured latency that is farther than :data:`MOST_OFF` from
    the nominal one.
    """

    ends: tuple[Port, Port]
    latency: tuple[int, int]
    measured: tuple[int, int]
    jitter: int = JITTER

    @property
    def off(self) -> int:
        """Cycles that a measured latency is from the nominal one, at most."""
        return max(abs(m - n) for m, n in zip(self.measured, self.latency, strict=True))

    def __post_init__(self) -> None:
        for name, both in (("latency", self.latency), ("measured", self.measured)):
            for cycles in both:
                _refuse_beyond(name, cycles, 1, MOST_LATENCY)
        _refuse_beyond("jitter", self.jitter, 0, MOST_JITTER)
        for nominal, found in zip(self.latency, self.measured, strict=True):
            if abs(nominal - found) > MOST_OFF:
                close = nominal + (MOST_OFF if found > nominal else -MOST_OFF)
                raise InputError(
                    f"measured latency {found} is {abs(nominal - found)} cycles from the nominal {nominal}, at most"
                    f" {MOST_OFF} are allowed ({close}); say latency = {found}, or look at the cable"
                )


@dataclasses.dataclass(frozen=True)
class System:
    """Chips and links.

    Attributes:
        name: of its file, for messages.
        root: the chip whose HAC the others follow.
        tree: links (numbers in ``links``) that alignment and the start go down; a spanning tree.
        ppm: how far any clock may be from nominal.
        preamble: the programs begin in common cycle 0, and :mod:`tsp.start` puts before them what makes it common; else
            they do so themselves.
    """

    name: str
    chips: tuple[Chip, ...]
    links: tuple[Link, ...]
    root: int = 0
    tree: tuple[int, ...] = ()
    ppm: int = PPM
    preamble: bool = True

    def __post_init__(self) -> None:
        _refuse_beyond("ppm", self.ppm, 0, MOST_PPM)

    def port_name(self, port: Port) -> str:
        """``a.e3``."""
        chip = self.chips[port.chip]
        return f"{chip.name}.{floorplan(chip.config).links[port.link].name}"

    def chip(self, name: str) -> int:
        """The number of a chip; InputError with the nearest name otherwise."""
        names = [chip.name for chip in self.chips]
        if name not in names:
            raise InputError(f"{self.name}: there is no chip '{name}'{nearest(name, names)}")
        return names.index(name)

    @property
    def channels(self) -> list[Channel]:
        """Both directions of every link, with the latencies that were measured."""
        return [Channel(a.chip, a.link, b.chip, b.link, latency) for _, a, b, latency in self._directions(False)]

    @property
    def nominal(self) -> list[Channel]:
        """The same with nominal latencies."""
        return [Channel(a.chip, a.link, b.chip, b.link, latency) for _, a, b, latency in self._directions(True)]

    @property
    def wired(self) -> "System":
        """The same with the latencies that were measured as nominal ones: wires to which alignment adds nothing."""
        links = tuple(dataclasses.replace(link, latency=link.measured) for link in self.links)
        return dataclasses.replace(self, links=links)

    def _directions(self, nominal: bool) -> list[tuple[int, Port, Port, int]]:
        found = []
        for number, link in enumerate(self.links):
            there, back = link.latency if nominal else link.measured
            found += [(number, *link.ends, there), (number, *link.ends[::-1], back)]
        return found

    @cached_property
    def jitter_into(self) -> dict[tuple[int, int], int]:
        """(chip, link) → J of what comes on it."""
        return {(port.chip, port.link): link.jitter for link in self.links for port in link.ends}

    @cached_property
    def parents(self) -> list[Channel | None]:
        """For each chip the channel (nominal) of the tree that its time comes on; None for the root."""
        tree = set(self.tree)
        leads: list[list[tuple[Port, Port, int]]] = [[] for _ in self.chips]
        for number, a, b, latency in self._directions(True):
            if number in tree:
                leads[a.chip].append((a, b, latency))
        found: list[Channel | None] = [None] * len(self.chips)
        reached, queue = {self.root}, [self.root]
        for chip in queue:
            for a, b, latency in leads[chip]:
                if b.chip not in reached:
                    reached.add(b.chip)
                    queue.append(b.chip)
                    found[b.chip] = Channel(chip, a.link, b.chip, b.link, latency)
        return found

    @cached_property
    def depth(self) -> list[int]:
        """Edges from the root to each chip."""
        found: dict[int, int] = {}
        for chip in range(len(self.chips)):
            way = [chip]
            while way[-1] not in found and (parent := self.parents[way[-1]]) is not None:
                way.append(parent.sender)
            first = found.setdefault(way[-1], 0)
            found |= {each: first + edges for edges, each in enumerate(reversed(way))}
        return [found[chip] for chip in range(len(self.chips))]

    def _way(self, chip: int) -> list[Channel]:
        """The channels from a chip up to the root."""
        found: list[Channel] = []
        while (parent := self.parents[chip]) is not None:
            found.append(parent)
            chip = parent.sender
        return found

    def apart(self, one: int, other: int) -> int:
        """ε: the bound on the difference of two chips' HACs, J + 2 for each edge of the tree between them."""
        ways = [{channel.receiver: channel for channel in self._way(chip)} for chip in (one, other)]
        between = ways[0].keys() ^ ways[1].keys()
        edges = [(ways[0].get(chip) or ways[1][chip]) for chip in between]
        return sum(self.jitter_into[edge.receiver, edge.into] + 2 for edge in edges)

    def margin(self, channel: Channel, cycles: Cycles) -> Cycles:
        """H of what comes over a channel so many cycles after the last resynchronisation: J + ε + drift + 2."""
        jitter = self.jitter_into[channel.receiver, channel.into]
        return jitter + self.apart(channel.sender, channel.receiver) + self.drift(cycles) + 2

    def drift(self, cycles: Cycles) -> Cycles:
        """How far two clocks may come apart in so many cycles, rounded up."""
        return -(-2 * self.ppm * cycles // 1_000_000)


def spanning_tree(
    name: str, chips: Sequence[str], links: Sequence[Link], root: int, among: Sequence[int]
) -> tuple[int, ...]:
    """Links of ``among`` that join all chips, found breadth first from the root: every chip is as few edges from it as
    can be. InputError if some chip cannot be reached."""
    leads: list[list[tuple[int, int]]] = [[] for _ in chips]
    for number in among:
        one, other = (port.chip for port in links[number].ends)
        leads[one].append((number, other))
        leads[other].append((number, one))
    reached, queue, tree = {root}, [root], []
    for chip in queue:
        for number, other in leads[chip]:
            if other not in reached:
                reached.add(other)
                queue.append(other)
                tree.append(number)
    lost = [name_ for number, name_ in enumerate(chips) if number not in reached]
    if lost:
        what, close = "no links", f"join it to one that is reached, such as '{chips[root]}'"
        if len(among) < len(links):
            what, close = "no links with tree = true", "give one more link tree = true, or none"
        more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
        raise InputError(f"{name}: {what} lead from chip '{chips[root]}' to chip '{lost[0]}'{more}; {close}")
    return tuple(sorted(tree))
