"""Which cycles queues and streams are taken in, and the first cycle in which several things at once find room."""

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Sequence

from tsp.config import ChipConfig
from tsp.errors import InputError

FOREVER = 1 << 24
"""Cycles after which a schedule counts as impossible."""
_BEFORE = 128
"""Streams are booked by diagonal (cycle - position eastward), which may be below zero."""


@dataclasses.dataclass(frozen=True)
class Slot:
    """A queue is needed for ``length`` cycles, the first ``offset`` after the start of what is placed."""

    queue: str
    offset: int
    length: int


@dataclasses.dataclass(frozen=True)
class Lane:
    """``width`` adjacent streams of a direction, the first a multiple of it, are needed for ``length`` diagonals.

    ``zones``: in which SRs; a value that has passed its last reader may be replaced.
    """

    direction: int
    width: int
    diagonal: int
    length: int
    zones: tuple[int, ...]
    first: int = 0
    """Stream from which on they are looked for, round and round."""


@dataclasses.dataclass(frozen=True)
class Placed:
    """Where something went: its start, and the first stream of each lane in the order asked for."""

    start: int
    streams: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Pauses:
    """``cycles`` that a queue stays free after at most ``words`` words without such a pause; as good as none by
    default."""

    cycles: int = 0
    words: int = 0


class Booking:
    """Everything that is taken, as bit masks over time. A stream is taken along a diagonal, from SR to SR."""

    def __init__(self, config: ChipConfig, pauses: Pauses):
        self._streams, self._pauses = config.streams, pauses
        self._queues: dict[str, int] = defaultdict(int)
        self._words: Counter[str] = Counter()
        """Queue → words since its last pause, about."""
        self._lanes: dict[tuple[int, int, int], int] = defaultdict(int)

    def place(self, least: int, slots: Sequence[Slot], lanes: Sequence[Lane], why: str) -> Placed:
        """Take everything where :meth:`find` finds room."""
        placed = self.find(least, slots, lanes, why)
        for slot in slots:
            self._occupy(placed.start + slot.offset, slot)
        self.take(placed.start, lanes, placed.streams)
        return placed

    def find(self, least: int, slots: Sequence[Slot], lanes: Sequence[Lane], why: str) -> Placed:
        """The first start from ``least`` on at which everything is free. InputError if there is none, with ``why`` it
        is needed."""
        start = max([least, *(-slot.offset for slot in slots)])
        while start < FOREVER:
            after = self._blocked(start, slots)
            if after is not None:
                start = after
                continue
            streams = self.choose(start, lanes)
            if streams is not None:
                return Placed(start, streams)
            start += 1
        raise InputError(f"{why}: found no room in the first {FOREVER} cycles")

    def _blocked(self, start: int, slots: Sequence[Slot]) -> int | None:
        """The first start that a queue that is taken allows, or None if all are free."""
        found = None
        for slot in slots:
            meets = self._queues[slot.queue] & self._cycles(start + slot.offset, slot)
            if meets:
                found = max(found or 0, meets.bit_length() - slot.offset)
        return found

    def _occupy(self, at: int, slot: Slot) -> None:
        taken, due, before = self._queues[slot.queue], self._due(slot), max(0, at - self._pauses.cycles)
        self._queues[slot.queue] |= self._cycles(at, slot)
        rested = not taken & _mask(before, at - before)
        self._words[slot.queue] = 0 if due else _words(slot) + (0 if rested else self._words[slot.queue])

    def _cycles(self, at: int, slot: Slot) -> int:
        return _mask(at, slot.length + (self._pauses.cycles if self._due(slot) else 0))

    def _due(self, slot: Slot) -> bool:
        """Whether a queue pauses behind a slot."""
        return self._words[slot.queue] + _words(slot) > self._pauses.words

    def choose(self, start: int, lanes: Sequence[Lane]) -> tuple[int, ...] | None:
        """Free streams for lanes at a start, or None."""
        chosen: list[int] = []
        for number, lane in enumerate(lanes):
            mask = _mask(start + lane.diagonal + _BEFORE, lane.length)
            beside = [(other, first) for other, first in zip(lanes[:number], chosen, strict=False)
                      if other.direction == lane.direction and set(other.zones) & set(lane.zones)]  # fmt: skip
            firsts = range(0, self._streams - lane.width + 1, lane.width)
            begin = lane.first // lane.width % len(firsts)
            for first in (*firsts[begin:], *firsts[:begin]):
                group = range(first, first + lane.width)
                own = any(first < f + other.width and f < first + lane.width for other, f in beside)
                if not own and not any(
                    self._lanes[zone, lane.direction, stream] & mask for zone in lane.zones for stream in group
                ):
                    chosen.append(first)
                    break
            else:
                return None
        return tuple(chosen)

    def take(self, start: int, lanes: Sequence[Lane], streams: Sequence[int]) -> None:
        """Take streams."""
        for lane, first in zip(lanes, streams, strict=True):
            for stream in range(first, first + lane.width):
                for zone in lane.zones:
                    mask = _mask(start + lane.diagonal + _BEFORE, lane.length)
                    self._lanes[zone, lane.direction, stream] |= mask


def _words(slot: Slot) -> int:
    """An instruction and its REPEAT: what a slot takes that is one burst."""
    return 1 + (slot.length > 1)


def _mask(first: int, length: int) -> int:
    return ((1 << length) - 1) << first
