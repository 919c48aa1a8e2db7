"""The board on which a random program is laid out: who issues when, what is on which stream, which words are defined.

Every booking either keeps the program legal or raises :class:`NoRoom`, so whatever has been booked is a legal program.
A value on a stream is known by its *diagonal*: eastward, cycle − SR; westward, cycle + SR. It stays on it until it
leaves the chip or a slice further on drives the same stream.
"""

import dataclasses
import random
from collections import defaultdict
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from tsp import isa
from tsp.config import ChipConfig
from tsp.floorplan import EAST, WEST, Queue, floorplan
from tsp.power import Power
from tsp.program import Program
from tsp.randprog.fetched import Fetch, move
from tsp.randprog.memory import Memory
from tsp.timing import timing


class NoRoom(Exception):
    """A booking would make the program illegal; the template that asked for it is undone."""


@dataclasses.dataclass(frozen=True)
class Shape:
    """``count`` issues, ``interval`` cycles apart: one instruction, or one with its REPEAT."""

    count: int = 1
    interval: int = 1

    @property
    def length(self) -> int:
        """Cycles from the first issue to the last, both included."""
        return (self.count - 1) * self.interval + 1

    def times(self, start: int) -> range:
        """The cycles of the issues."""
        return range(start, start + self.length, self.interval)


@dataclasses.dataclass(frozen=True)
class Item:
    """Words of one queue that take the cycles ``start … end - 1``."""

    start: int
    end: int
    words: tuple[int, ...]
    idle: bool = False
    """Does nothing itself: left out when nothing follows it in its queue."""


@dataclasses.dataclass
class _Track:
    """One stream on one diagonal: the sites that drive it and the sites that read it."""

    drives: set[int] = dataclasses.field(default_factory=set)
    reads: set[int] = dataclasses.field(default_factory=set)


class Layout:
    """A program under construction; no instruction is issued from cycle ``horizon`` on, and a RUNTIME_DESKEW waits at
    least ``slack`` cycles."""

    def __init__(self, config: ChipConfig, rng: random.Random, horizon: int, slack: int = 0):
        self.config, self.rng, self.horizon, self.slack = config, rng, horizon, slack
        self.plan, self.timing = floorplan(config), timing(config)
        self.memory = Memory(config, rng, self.log)
        self.busy: dict[int, int] = defaultdict(int)
        """Queue → bit mask of the cycles it is taken in."""
        self.items: dict[int, list[Item]] = defaultdict(list)
        self.drives: list[tuple[Queue, int, int]] = []
        """(queue, cycle of the instruction, stream operand) of every drive."""
        self.fetches: list[Fetch] = []
        """At most one of a queue."""
        self.scattered: list[int] = []
        """Places of the slices that SCATTERs write: what they hold later is not known, so nothing is fetched there."""
        self.powers: list[tuple[int, int]] = []
        """(cycle, p) of every CONFIG."""
        self._words: dict[int, int] = defaultdict(int)
        self._tracks: dict[tuple[int, int], _Track] = defaultdict(_Track)
        self._log: list[Callable[[], object]] = []

    def attempt(self, template: Callable[[], object]) -> bool:
        """Run a template; if it finds no room, undo what it booked. Whether it stayed."""
        mark = len(self._log)
        try:
            template()
        except NoRoom:
            while len(self._log) > mark:
                self._log.pop()()
            return False
        return True

    def log(self, undo: Callable[[], object]) -> None:
        """Remember how to undo a change."""
        self._log.append(undo)

    def first(self, templates: Iterator[Callable[[], object]] | list[Callable[[], object]]) -> None:
        """Book the first of several alternatives that has room; NoRoom when none has."""
        if not any(self.attempt(template) for template in templates):
            raise NoRoom

    def powered(self, cycle: int) -> int:
        """How many superlanes instructions of a cycle act in."""
        return int(Power.of(self.powers, self.config).at(np.asarray(cycle)))

    def narrow(self, cycle: int) -> bool:
        """Whether fewer superlanes are powered than once are later."""
        now = self.powered(cycle)
        return any(p > now for at, p in self.powers if at + self.timing.config > cycle)

    def free(self, queue: int, start: int, end: int) -> bool:
        """Whether a queue is free in the cycles ``start … end - 1``."""
        return 0 <= start and end <= self.horizon and not self.busy[queue] & _mask(start, end)

    def book(self, queue: int, item: Item) -> None:
        """Take a queue's cycles for an item."""
        # A NOP may come before every item: the bound is never exceeded, whatever is booked later.
        words = len(item.words) + 1
        if not self.free(queue, item.start, item.end) or self._words[queue] + words > self.config.queue_depth:
            raise NoRoom
        mask = _mask(item.start, item.end)
        self.busy[queue] |= mask
        self._words[queue] += words
        self.items[queue].append(item)

        def undo() -> None:
            self.busy[queue] &= ~mask
            self._words[queue] -= words
            self.items[queue].remove(item)

        self.log(undo)

    def block(self, queue: int, cycle: int) -> None:
        """Let a queue do nothing in a cycle."""
        self.busy[queue] |= 1 << cycle
        self.log(lambda: self.busy.update({queue: self.busy[queue] & ~(1 << cycle)}))

    def issue(
        self, queue: Queue, start: int, shape: Shape, instruction: isa.Instruction, step_a: int = 0, step_b: int = 0
    ) -> None:
        """Issue an instruction in every cycle of a shape, with one REPEAT or written out."""
        if shape.count > 1 and self.rng.random() < (0.35 if shape.count <= 3 else 0.05):
            for i, time in enumerate(shape.times(start)):
                word = instruction.with_steps(i * step_a, i * step_b).encode()
                self.book(queue.index, Item(time, time + 1, (word,)))
            return
        words = [instruction.encode()]
        if shape.count > 1:
            fields = {"n": shape.count - 1, "d": shape.interval, "step_a": step_a, "step_b": step_b}
            words.append(isa.instruction("REPEAT", **fields).encode())
        self.book(queue.index, Item(start, start + shape.length, tuple(words)))

    def drive(self, queue: Queue, operand: int, start: int, func: int, shape: Shape) -> None:
        """Instructions of a shape from ``start`` drive a stream, ``func`` cycles later, at their queue's site."""
        direction, site = operand >> isa.STREAM_DIRECTION_BIT, queue.site
        for time in shape.times(start):
            diagonal = time + func - site if direction == EAST else time + func + site - 1
            track = self._tracks[operand, diagonal]
            beyond = [drive for drive in track.drives if _before(direction, site, drive)]
            end = min(beyond, default=self._edge(direction), key=lambda s: s if direction == EAST else -s)
            hidden = any(_before(direction, site, r) and not _before(direction, end, r) for r in track.reads)
            if site in track.drives or hidden:
                raise NoRoom
            self._add(track.drives, site)
            self.drives.append((queue, time, operand))
            self.log(self.drives.pop)

    def present(self, site: int, operand: int, start: int, shape: Shape) -> bool:
        """Whether the stream carries a value at a site in every cycle of a shape."""
        direction = operand >> isa.STREAM_DIRECTION_BIT
        for time in shape.times(start):
            track = self._tracks.get((operand, self._read_diagonal(direction, site, time)))
            if track is None or not any(_before(direction, drive, site) for drive in track.drives):
                return False
        return True

    def read(self, site: int, operand: int, start: int, shape: Shape) -> None:
        """A slice at a site reads a stream in every cycle of a shape; NoRoom when a value is missing."""
        if not self.present(site, operand, start, shape):
            raise NoRoom
        direction = operand >> isa.STREAM_DIRECTION_BIT
        for time in shape.times(start):
            self._add(self._tracks[operand, self._read_diagonal(direction, site, time)].reads, site)

    def upstream(self, direction: int, site: int) -> list[Queue]:
        """MEM queues whose reads can reach a site on a stream of that direction."""
        return [q for q in self.plan.queues if q.kind == "mem" and _before(direction, q.site, site)]

    def downstream(self, direction: int, site: int) -> list[Queue]:
        """MEM queues that can write what a site drives in that direction."""
        return [q for q in self.plan.queues if q.kind == "mem" and _before(direction, site, q.site)]

    def program(self) -> Program:
        """Everything booked, as a program."""
        timed = {index: self._queue_words(index) for index in sorted(self.items)}
        queues = {index: [word for _, word in words] for index, words in timed.items()}
        brought: dict[tuple[int, int], NDArray[np.uint8]] = {}
        for fetch in self.fetches:
            queues[fetch.queue], data = move(timed[fetch.queue], fetch, self.config)
            if data is not None:
                brought |= {(fetch.place, fetch.address + i): vector for i, vector in enumerate(data)}
        return Program(self.config, queues, self.memory.images(brought)).validate()

    def _queue_words(self, index: int) -> list[tuple[int, int]]:
        items = sorted(self.items[index], key=lambda item: item.start)
        while items and items[-1].idle:
            items.pop()
        words, now = [], 0
        for item in items:
            if item.start > now:
                words.append((now, isa.instruction("NOP", n=item.start - now).encode()))
            words.extend((item.start + i, word) for i, word in enumerate(item.words))
            now = item.end
        return words

    def _add(self, where: set[int], site: int) -> None:
        if site not in where:
            where.add(site)
            self.log(lambda: where.discard(site))

    def _edge(self, direction: int) -> int:
        return len(self.plan.sites) if direction == EAST else -1

    @staticmethod
    def _read_diagonal(direction: int, site: int, time: int) -> int:
        return time - (site - 1) if direction == EAST else time + site


def _before(direction: int, a: int, b: int) -> bool:
    """Whether a value of that direction passes site ``a`` before site ``b``."""
    return a < b if direction == EAST else a > b


def _mask(start: int, end: int) -> int:
    return ((1 << (end - start)) - 1) << start


def opposite(direction: int) -> int:
    """The other direction."""
    return WEST if direction == EAST else EAST
