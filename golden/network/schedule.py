"""Every packet of every tensor gets a slot on each link of its route, before anything moves.

The scheduler knows all sizes. It takes packets in turn, one of each tensor after the other, and gives each the route on
which it arrives first: so a small tensor takes the direct link, a large one spreads over detours as far as these pay,
and where others need those links the detours are late and are left.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from golden.network import routes
from golden.network.topology import Topology
from tsp.config import ChipConfig, preset
from tsp.errors import InputError
from tsp.timing import timing as latencies
from tsp.travel import travel

MOST_PACKETS = 1_000_000
"""Some seconds of work for each link of their routes."""


@dataclasses.dataclass(frozen=True)
class LinkTiming:
    """What a link takes, in cycles (docs/architecture.md, docs/network.md).

    Attributes:
        superlanes: S. A packet carries a vector, 16·S bytes, in S + 1 words of the link.
        latency: of the wire; the mean is published.
        send: SEND's dispatch to the packet's first word on the wire (``send_wire`` of :mod:`tsp.timing`).
        decode: the cycle after the packet's last word to the first RECEIVE that sees the vector (``receive_ready``).
        margin: that a RECEIVE waits for what may come late: jitter, clocks that are not quite aligned and drift.
        forward: RECEIVE's dispatch to that of the SEND that reads its stream, if it leaves on the other side of the
            chip: the longest way.
    """

    superlanes: int
    send: int
    decode: int
    forward: int
    latency: int = 216
    margin: int = 31

    @classmethod
    def of(cls, config: ChipConfig) -> "LinkTiming":
        """What links of chips of a configuration take, on both sides of which there are some."""
        table = latencies(config)
        return cls(config.superlanes, table.send_wire, table.receive_ready, travel(config, "c2c.w", "c2c.e"))

    @property
    def payload(self) -> int:
        """Bytes of a packet's vector."""
        return 16 * self.superlanes

    @property
    def slot(self) -> int:
        """Cycles of a packet on a link."""
        return self.superlanes + 1

    @property
    def arrival(self) -> int:
        """Cycles from the start of a slot to the RECEIVE that may take its packet."""
        return self.send + self.latency + self.slot + self.decode + self.margin

    @property
    def hop(self) -> int:
        """Slots from a packet's slot on a link to the first it can have on the next."""
        return -(-(self.arrival + self.forward) // self.slot)


GROQCHIP = LinkTiming.of(preset("groqchip"))


class Transfer(NamedTuple):
    """A tensor that goes from chip to chip: bytes, and the first slot it may leave in."""

    source: int
    destination: int
    size: int
    start: int = 0


class Placed(NamedTuple):
    """A packet's slot on a link of its route."""

    packet: int
    link: int
    slot: int


class Packet(NamedTuple):
    """A part of a transfer's tensor: its first byte, and how many."""

    transfer: int
    offset: int
    size: int


@dataclasses.dataclass(frozen=True, eq=False)
class Schedule:
    """The packets of some transfers, and all that is placed, by packet and then along its route."""

    topology: Topology
    timing: LinkTiming
    transfers: tuple[Transfer, ...]
    packets: list[Packet]
    placed: list[Placed]

    @cached_property
    def table(self) -> NDArray[np.int64]:
        """[n, 3]: ``placed``: packet, link, slot."""
        return np.array(self.placed, np.int64).reshape(-1, 3)

    @property
    def slots(self) -> int:
        """Slots until no link is used any more."""
        return max((placed.slot for placed in self.placed), default=-1) + 1

    @property
    def cycles(self) -> int:
        """Cycles until the last packet can be received."""
        return (self.slots - 1) * self.timing.slot + self.timing.arrival if self.placed else 0

    @cached_property
    def hops(self) -> NDArray[np.int64]:
        """[packets]: links of each packet's route."""
        return np.bincount(self.table[:, 0], minlength=len(self.packets))


def schedule(
    topology: Topology, transfers: Sequence[Transfer], timing: LinkTiming = GROQCHIP, detours: bool | None = None
) -> Schedule:
    """Split each transfer into packets and place them.

    Detours shorten what few send and may lengthen what all send at once, as each takes links of others. Unless
    ``detours`` says whether they may be taken, both are tried, and the schedule that ends first is kept. Raises
    InputError for chips that are not there, a tensor of no bytes, and more than MOST_PACKETS packets.
    """
    packets = _packets(transfers, timing.payload)
    tried = (False, True) if detours is None else (detours,)
    made = [
        Schedule(topology, timing, tuple(transfers), packets, _place(topology, transfers, timing, packets, each))
        for each in tried
    ]
    return min(made, key=lambda schedule: schedule.slots)


def _place(
    topology: Topology, transfers: Sequence[Transfer], timing: LinkTiming, packets: list[Packet], detours: bool
) -> list[Placed]:
    ways = _Ways(topology, detours)
    free = _Free(topology.ends.size)
    found: list[list[Placed]] = [[] for _ in packets]
    for number in sorted(range(len(packets)), key=lambda n: packets[n].offset):
        source, destination, _, start = transfers[packets[number].transfer]
        best: list[Placed] = []
        for kind in ways(source, destination):
            best = free.best(kind, number, start, timing.hop, best)
            if best[-1].slot < start + timing.hop * len(best):
                break  # It waits less than the hop that a detour is longer.
        for _, link, slot in best:
            free.take(link, slot)
        found[number] = best
    return [placed for each in found for placed in each]


def _packets(transfers: Sequence[Transfer], payload: int) -> list[Packet]:
    for transfer in transfers:
        if transfer.size < 1:
            raise InputError(
                f"chip {transfer.source} sends {transfer.size} bytes to chip {transfer.destination}, must be 1 or more"
            )
        if transfer.start < 0:
            raise InputError(f"chip {transfer.source} starts in slot {transfer.start}, the first is 0")
    number = sum(-(-transfer.size // payload) for transfer in transfers)
    if number > MOST_PACKETS:
        raise InputError(
            f"{sum(t.size for t in transfers):,} bytes are {number:,} packets of {payload} bytes, at most "
            f"{MOST_PACKETS:,} are placed at once: send less, or tensors one after the other"
        )
    return [
        Packet(index, offset, min(payload, transfer.size - offset))
        for index, transfer in enumerate(transfers)
        for offset in range(0, transfer.size, payload)
    ]


class _Ways:
    """The routes between two chips; each pair is asked for once, and for detours only when they may pay."""

    def __init__(self, topology: Topology, detours: bool) -> None:
        self.topology = topology
        self.kinds = (routes.canonical, routes.detours) if detours else (routes.canonical,)
        self.known: dict[tuple[int, int], list[list[routes.Route]]] = {}

    def __call__(self, source: int, destination: int) -> Iterator[list[routes.Route]]:
        known = self.known.setdefault((source, destination), [])
        for number, kind in enumerate(self.kinds):
            if number == len(known):
                known.append(kind(self.topology, source, destination))
            yield known[number]


class _Free:
    """The free slots of every link. A taken slot knows a later one that may be free, so that looking is quick."""

    def __init__(self, links: int) -> None:
        self.later: list[dict[int, int]] = [{} for _ in range(links)]

    def best(self, ways: list[routes.Route], number: int, start: int, hop: int, best: list[Placed]) -> list[Placed]:
        """The way of these, which come shortest first, on which a packet is there first; ``best`` if none is better."""
        for route in ways:
            if best and best[-1].slot <= start + hop * (len(route) - 1):
                break
            if slots := self.along(route, start, hop, best[-1].slot if best else None):
                best = [Placed(number, link, slot) for link, slot in zip(route, slots, strict=True)]
        return best

    def along(self, route: routes.Route, start: int, hop: int, limit: int | None) -> list[int]:
        """The first free slots along a route; none if its last is not before the limit."""
        slots: list[int] = []
        rest = hop * (len(route) - 1)
        for link in route:
            slot = self.first(link, start)
            if limit is not None and slot + rest >= limit:
                return []
            slots.append(slot)
            start, rest = slot + hop, rest - hop
        return slots

    def first(self, link: int, slot: int) -> int:
        """The first free slot of a link from ``slot`` on."""
        later = self.later[link]
        seen = []
        while slot in later:
            seen.append(slot)
            slot = later[slot]
        for taken in seen[:-1]:
            later[taken] = slot
        return slot

    def take(self, link: int, slot: int) -> None:
        self.later[link][slot] = slot + 1
