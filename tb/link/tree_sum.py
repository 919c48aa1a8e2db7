"""A sum over the chips of a system, up its tree and down again: what chains and trees of whole chips run.

Every chip adds what its children send to its own vectors and sends that to its parent; the root's sums go back down.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tb.link.system import Topology
from tsp.builder import Builder
from tsp.collectives import Collective
from tsp.config import ChipConfig
from tsp.floorplan import Link as ChipLink
from tsp.floorplan import floorplan
from tsp.flow.channels import Channel, ready_after
from tsp.program import Program, Symbol
from tsp.system import Chip, Link, Port, System
from tsp.system_file import with_programs
from tsp.travel import travel

OUT, OWN, SUM = 4, 9, 10
"""Streams of what is sent, of a chip's own vectors and of sums; what its child number k sends comes on stream k."""
LONGEST = 20_000
"""Cycles of a program, by which clocks have drifted apart at most."""


def joined(topology: Topology, config: ChipConfig, latency: int) -> System:
    """A system of equal chips without programs. A chip's first link is its first in the west, its second the first in
    the east, and so on by turns."""
    ports = sorted(floorplan(config).links, key=lambda link: (link.number, link.hemisphere == "e"))

    def port(chip: int, number: int) -> Port:
        return Port(chip, ports[topology.links_of(chip).index(number)].index)

    both = (latency, latency)
    links = [Link((port(a, n), port(b, n)), both, both) for n, (a, b) in enumerate(topology.links)]
    chips = [Chip(f"chip{number}", config, Program(config)) for number in range(topology.chips)]
    tree = {n for n in topology.parents() if n is not None}
    return System(topology.name, tuple(chips), tuple(links), 0, tuple(sorted(tree)))


def tree_sum(system: System, vectors: NDArray[np.int8]) -> Collective:
    """int8 [chips, n, lanes] added up over the chips, to every chip: exact if no sum on the way saturates. A chip has
    at most as many children as stages of ALUs."""
    sums = _TreeSum(system, vectors.shape[1])
    own = [b.place("own", "mem.w0", rows) for b, rows in zip(sums.builders, vectors, strict=True)]
    total, there = sums.up(system.root, own)
    sums.down(system.root, total, there)
    programs = [builder.build() for builder in sums.builders]
    return Collective(with_programs(system, programs), tuple((sums.totals[n],) for n in range(len(programs))))


class _TreeSum:
    """The programs while they are written. ``there`` is the first cycle in which a symbol may be read,
    ``burst`` the cycles that a queue takes for all vectors."""

    def __init__(self, system: System, count: int):
        self.system, self.config = system, system.chips[0].config
        self.builders = [Builder(chip.config) for chip in system.chips]
        self.many = {"count": count, "every": self.config.superlanes + 1}
        self.burst = (count - 1) * self.many["every"] + 1
        self.totals: dict[int, Symbol] = {}
        self._links = floorplan(self.config).links
        self._back = {(channel.sender, channel.out): channel for channel in system.channels}

    def up(self, chip: int, own: Sequence[Symbol]) -> tuple[Symbol, int]:
        """The sums of a chip and all below it."""
        builder, children = self.builders[chip], self._children(chip)
        if not children:
            return own[chip], 0
        ways = [self._back[child.receiver, child.into] for child in children]
        ready = [self._send(way, *self.up(way.sender, own)) for way in ways]
        # A stage of the ALUs for each child, one after the other.
        at = max(cycle - stage for stage, cycle in enumerate(ready))
        meet = at + travel(self.config, self._queue(self._links[0]), "vxm")
        term = f"{builder.fetch(own[chip], OWN, 'vxm.r0s0', meet, **self.many)}:int8"
        for stage, way in enumerate(ways):
            link = self._links[way.into]
            stream = f"{'we'[link.hemisphere == 'w']}{stage}"
            builder.receive(self._queue(link), link.number, stream, at + stage, **self.many)
            last = way is ways[-1]
            name, to = ("ADD.sat", f"w{SUM}:int8") if last else ("ADD", "next")
            builder.alu(f"vxm.r0s{stage}", name, term, f"{stream}:int8", to=to, at=meet + stage, **self.many)
            term = "r0"
        total = builder.space("sum", "mem.w1", self.many["count"])
        return total, builder.store(total, SUM, "vxm", meet + len(ways) - 1, **self.many) + self.burst

    def down(self, chip: int, total: Symbol, there: int) -> None:
        """Send the sums to all below a chip, to one child after the other."""
        self.totals[chip] = total
        for number, way in enumerate(self._children(chip)):
            ready = self._send(way, total, there + number * self.burst)
            link, builder = self._links[way.into], self.builders[way.receiver]
            builder.receive(self._queue(link), link.number, f"{'we'[link.hemisphere == 'w']}{SUM}", ready, **self.many)
            found = builder.space("total", "mem.w2", self.many["count"])
            stored = builder.store(found, SUM, self._queue(link), ready, **self.many)
            self.down(way.receiver, found, stored + self.burst)

    def _children(self, chip: int) -> list[Channel]:
        return [channel for channel in self.system.parents if channel is not None and channel.sender == chip]

    def _queue(self, link: ChipLink) -> str:
        return f"c2c.{link.hemisphere}{link.number}"

    def _send(self, way: Channel, symbol: Symbol, there: int) -> int:
        """SEND a symbol; the cycle of the first RECEIVE that is sure to find it."""
        link, builder = self._links[way.out], self.builders[way.sender]
        queue = self._queue(link)
        at = there + travel(self.config, floorplan(self.config).slices[symbol.slice].name, queue)
        stream = builder.fetch(symbol, OUT, queue, at, **self.many)
        builder.send(queue, link.number, stream, at, **self.many)
        return at + ready_after(way, self.config) + self.system.margin(way, LONGEST)
