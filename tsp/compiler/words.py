"""The instruction words of a queue with the cycles they dispatch in, while more are put in between."""

import bisect
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tsp.compiler.bursts import Burst
from tsp.floorplan import Queue
from tsp.track import NOP_MAX, nops


class Word(NamedTuple):
    """Dispatched in cycle ``at``, the next one in ``until``; ``free``: a NOP."""

    at: int
    until: int
    free: bool


class QueueWords:
    """The words of a queue that are in no block yet."""

    def __init__(self, queue: Queue, bursts: Sequence[Burst]):
        self.name, self.site = queue.name, queue.site
        self.words: list[Word] = []
        self.ahead: list[tuple[int, int]] = []
        """(cycle, words) of the IFETCHes: so many words more may come between them and their blocks."""
        self.blocks, self._straddles = 0, False
        for burst in sorted(bursts, key=lambda burst: burst.at):
            self.put(burst.at, burst.cycles, 1 + (burst.count > 1))
        self.total = len(self.words)

    def cost(self, at: int, length: int, words: int) -> int | None:
        """How many words an instruction adds; None if there is no room in these cycles."""
        found = self._gap(at, length)
        if found is None:
            return None
        first, last, start, end = found
        added = _waits(at - start) + words + _waits(end - at - length) - (last - first)
        if any(cycle < at and room < added for cycle, room in self.ahead):
            return None
        return added

    def put(self, at: int, length: int, words: int) -> None:
        """Put in an instruction of one or two words, where :meth:`cost` finds room."""
        added = self.cost(at, length, words)
        found = self._gap(at, length)
        assert found is not None and added is not None
        first, last, start, end = found
        cycles = [at, at + 1][:words]
        ends = [*cycles[1:], at + length]
        made = [Word(cycle, until, False) for cycle, until in zip(cycles, ends, strict=True)]
        self.words[first:last] = [*idle(start, at), *made, *idle(at + length, end)]
        self.ahead = [(cycle, room - added if cycle < at else room) for cycle, room in self.ahead]

    def behind(self, at: int) -> int:
        """How many words come after the one in cycle ``at``."""
        return len(self.words) - bisect.bisect(self.words, (at, math.inf))

    def pop(self, count: int) -> list[Word]:
        """Its last words, as a block."""
        block = self.words[-count:]
        del self.words[-count:]
        self.blocks += 1
        self.ahead = [(cycle, room) for cycle, room in self.ahead if cycle < block[0].at]
        self._straddles = bool(self.words) and self.words[-1].free and block[0].free
        return block

    def gaps(self, latest: int, length: int, most: int) -> Iterator[int]:
        """Cycles up to ``latest`` with room for an IFETCH, not more than ``most`` words before the end: first those
        that leave one NOP less."""
        for number in range(len(self.words) - 1, max(-1, len(self.words) - 2 - most), -1):
            at, until, free = self.words[number]
            last = min(until - length, latest)
            if free and last >= at:
                yield last
                if last > at:
                    yield at
                yield from range(last - 1, at, -1)

    def _gap(self, at: int, length: int) -> tuple[int, int, int, int] | None:
        """(numbers of the first of the NOPs around a cycle, and of the first word behind them, the cycles of both)."""
        end = self.words[-1].until if self.words else 0
        if at >= end:
            first = last = len(self.words)
            return None if self.blocks or at < 0 else (first, last, end, at + length)
        first = bisect.bisect(self.words, (at, math.inf)) - 1
        if first < 0 or not self.words[first].free:
            return None
        last = first + 1
        while first and self.words[first - 1].free:
            first -= 1
        while last < len(self.words) and self.words[last].free:
            last += 1
        start, end = self.words[first].at, self.words[last - 1].until
        # NOPs of one wait, some of which are in a block, stay as they are.
        split = last == len(self.words) and self.blocks and self._straddles
        return None if split or at + length > end else (first, last, start, end)


def _waits(cycles: int) -> int:
    """How many NOPs take so many cycles."""
    return -(-cycles // NOP_MAX)


def idle(start: int, end: int) -> list[Word]:
    """The NOPs between two instructions."""
    found = []
    for count in nops(end - start, end - start):
        found.append(Word(start, start + count, True))
        start += count
    return found
