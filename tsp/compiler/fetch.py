"""Stage 4: what a queue has no room for lies in memory, and IFETCHes bring it.

Words are known with their cycles once everything is scheduled, so this goes backward in time: the last words of a queue
become a block, its IFETCH goes into a free place before, and the READ of the block before that. What is put in comes
earlier than all blocks that are made already, so these never change.
"""

import bisect
import dataclasses
import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence

from tsp.compiler.booking import Booking, Lane, Pauses
from tsp.compiler.bursts import Burst
from tsp.compiler.homes import Places
from tsp.compiler.routes import zones_of
from tsp.compiler.words import QueueWords
from tsp.config import ChipConfig, enough
from tsp.errors import InputError, counted
from tsp.floorplan import EAST, WEST, floorplan
from tsp.timing import arrival, timing

_TRIES = 16
"""Places for an IFETCH and its READ among which the one is taken that makes the fewest words."""
_FEW = 4
"""Words that are not worth another try: a block has so many times as many."""
_APART = 8
"""Words by which a stretch without a free cycle must be shorter than what a queue holds beside a block: an IFETCH
stands some cycles before its words, and other words beside it."""

_TOGETHER = (1, 2, 4)
"""Queues of a site for which there is to be time to fetch, tried one after the other."""


class NoRoom(InputError):
    """A queue holds too few words, and they cannot be fetched."""


@dataclasses.dataclass(frozen=True)
class Brought:
    """Words of a queue that an IFETCH of ``vectors`` in cycle ``at`` brings from ``slice`` [``address``…]."""

    queue: str
    words: int
    at: int
    vectors: int
    stream: str
    slice: str
    address: int

    def __str__(self) -> str:
        last = self.address + self.vectors - 1
        words = f"{counted(self.words, 'word')} from {self.slice} [{self.address}…{last}]"
        return f"{self.at:6} {self.queue:20} {words} by {self.stream}"


@dataclasses.dataclass(frozen=True)
class Fetched:
    """The schedule with what brings its own words.

    Attributes:
        bursts: all, the IFETCHes and their READs among them.
        resident: queue → how many of its words are there from the start; those not named here are there wholly.
        blocks: the others in the order of their cycles.
    """

    bursts: list[Burst]
    resident: dict[str, int]
    blocks: list[Brought]

    def __str__(self) -> str:
        lines = [f"{name}: {counted(count, 'word')} from the start" for name, count in self.resident.items()]
        return "\n".join([*lines, *map(str, self.blocks)]) or "no queue has too many words"


@dataclasses.dataclass(frozen=True)
class _Way:
    """How vectors come to an IFETCH, with ``read`` the cycle of their READ."""

    added: int
    """Words that it takes in both queues."""
    source: QueueWords
    lane: Lane
    stream: int
    read: int


class _Fetcher:
    def __init__(self, bursts: Sequence[Burst], places: Places, booking: Booking, config: ChipConfig, number: int):
        self.config, self.booking, self.number = config, booking, number
        self.table, self.plan = timing(config), floorplan(config)
        self.vectors, self.size = vectors(config), vectors(config) * config.superlanes
        self.depth = config.queue_depth
        of = defaultdict(list)
        for burst in bursts:
            of[burst.queue].append(burst)
        self.queues = {q.name: QueueWords(q, of[q.name]) for q in self.plan.queues if q.kind == "mem" or q.name in of}
        self.longest = max(self.queues.values(), key=lambda queue: queue.total)
        self.memory = [queue for name, queue in self.queues.items() if self.plan.queue(name).kind == "mem"]
        self.low = _used(places, config)
        self.high = {queue.name: config.mem_words for queue in self.memory}
        self.path: dict[int, list[int]] = defaultdict(list)
        """Site → cycles of IFETCHes."""
        self.bursts = list(bursts)
        self.blocks: list[Brought] = []

    def run(self) -> Fetched:
        """Fetch until every queue holds what is left of it, the latest words first."""
        if self.longest.total > self.depth and not self.config.ifetch:
            raise self._refusal(f"config {self.config.name} has ifetch=False")
        if self.longest.total > self.depth <= self.size:
            raise self._refusal(f"an IFETCH brings {self.size} words")
        while long := [queue for queue in self.queues.values() if len(queue.words) > self.depth]:
            self._bring(max(long, key=lambda queue: queue.words[-self.size].at))
        resident = {name: len(queue.words) for name, queue in self.queues.items() if queue.blocks}
        return Fetched(self.bursts, resident, self.blocks[::-1])

    def _refusal(self, why: str) -> NoRoom:
        name, total = self.longest.name, self.longest.total
        words = f"queue {name} needs {counted(total, 'word')}, but queue_depth is {self.depth} and {why}"
        return NoRoom(f"{words}; {enough('queue_depth', total)}")

    def _bring(self, queue: QueueWords) -> None:
        """Make the last words of a queue a block. NoRoom if nothing can bring it."""
        since = queue.words[-self.size].at
        latest = min([since - self.table.ifetch_dispatch, *(at - self.size for at, _ in queue.ahead)])
        queue.pop(self.size)
        found: list[tuple[int, int, int, _Way]] = []
        for at in queue.gaps(latest, self.vectors, self.depth - self.size):
            if (way := self._best(queue, at)) is not None:
                found.append((way.added, len(found), at, way))
            if len(found) >= _TRIES or (found and _FEW * found[-1][0] <= self.size):
                break
        if not found:
            full = not any(self._holds(source) for source in self.memory if source.site != queue.site)
            busy = f"{queue.name} is too busy before cycle {since} to fetch more"
            raise self._refusal("no MEM slice has room for more words of the program" if full else busy)
        *_, at, way = min(found, key=lambda one: one[:2])
        self._take(queue, at, way)

    def _best(self, queue: QueueWords, at: int) -> _Way | None:
        """How the vectors of an IFETCH in cycle ``at`` can come: if possible from a slice that need not be fetched for
        itself because of that, and then with the fewest words."""
        own = queue.cost(at, self.vectors, 1)
        if own is None or self._met(queue, at) or self._behind(queue, at) > self.depth - self.size:
            return None
        found: list[tuple[bool, int, int, int, _Way]] = []
        for source, lane, stream in self._streams(queue, at):
            read = self._reads(source, queue, at)
            added = source.cost(read, self.vectors, 1 + (self.vectors > 1))
            if added is not None:
                more = len(source.words) + added > self.depth
                way = _Way(own + added + more * self.size, source, lane, stream, read)
                found.append((more, added, len(source.words), len(found), way))
        return min(found)[-1] if found else None

    def _behind(self, queue: QueueWords, at: int) -> int:
        """Words between an IFETCH in cycle ``at`` and its block."""
        end = at + self.vectors
        word = queue.words[-1 - queue.behind(at)]
        return queue.behind(at) + (end < word.until)

    def _met(self, queue: QueueWords, at: int) -> bool:
        """Whether words of another IFETCH of its site are in the way."""
        path = self.path[queue.site]
        near = bisect.bisect(path, at)
        return any(abs(at - other) < self.size for other in path[max(0, near - 1) : near + 1])

    def _streams(self, queue: QueueWords, at: int) -> Iterator[tuple[QueueWords, Lane, int]]:
        """Slices with room for a block from which a stream is free to an IFETCH in cycle ``at``."""
        for _, group in itertools.groupby(self.memory, key=lambda source: source.site):
            sources = [source for source in group if source.site != queue.site and self._holds(source)]
            if sources:
                lane = self._lane(sources[0], queue, at)
                stream = self.booking.choose(0, [lane])
                yield from ((source, lane, stream[0]) for source in sources if stream is not None)

    def _lane(self, source: QueueWords, queue: QueueWords, at: int) -> Lane:
        read, zones = at + self.table.ifetch_skew, zones_of(self.plan, [source.site, queue.site])
        if source.site < queue.site:
            return Lane(EAST, 1, read + 1 - queue.site, self.vectors, zones)
        return Lane(WEST, 1, read + queue.site, self.vectors, zones)

    def _reads(self, source: QueueWords, queue: QueueWords, at: int) -> int:
        """The cycle of the first READ."""
        return at + self.table.ifetch_skew - self.table.read_func - arrival(source.site, queue.site)

    def _holds(self, source: QueueWords) -> bool:
        return self.high[source.name] - self.vectors >= self.low[source.name]

    def _take(self, queue: QueueWords, at: int, way: _Way) -> None:
        source, stream = way.source, f"{'ew'[way.lane.direction]}{way.stream}"
        self.booking.take(0, [way.lane], [way.stream])
        queue.put(at, self.vectors, 1)
        queue.ahead.append((at, self.depth - self.size - queue.behind(at)))
        source.put(way.read, self.vectors, 1 + (self.vectors > 1))
        bisect.insort(self.path[queue.site], at)
        self.high[source.name] -= self.vectors
        address = self.high[source.name]
        fetch = (("stream_", stream), ("vectors", self.vectors))
        moved = (("address", address), ("stream_", stream), ("step", 1))
        self.bursts.append(Burst("fetch_words", queue.name, at, 1, fetch, self.number))
        self.bursts.append(Burst("read", source.name, way.read, self.vectors, moved, self.number))
        self.blocks.append(Brought(queue.name, self.size, at, self.vectors, stream, source.name, address))


def vectors(config: ChipConfig) -> int:
    """How many an IFETCH takes: most, or as many as are some words."""
    return 2 if config.superlanes > 1 else 8


def ways(config: ChipConfig) -> Iterator[tuple[int | None, Pauses]]:
    """(Most words of a queue that the rows of a pass may need, pauses), to be tried one after the other until there is
    time to fetch: first none, then a pause for each block of words, then passes cut short and pauses behind all that is
    done, for one or several queues of a site."""
    yield None, Pauses()
    if not config.ifetch:
        return
    size = vectors(config) * config.superlanes
    yield None, Pauses(vectors(config), size - 2)
    words = max(2, min(config.queue_depth - size - _APART, max(_APART, size - 4)))
    for queues in _TOGETHER:
        # An IFETCH is a word itself, and so is the NOP behind it; the blocks of a site come one after the other.
        blocks = queues * -(-(words + 2) // (size - 2))
        yield words, Pauses((blocks - 1) * size + vectors(config))


def _used(places: Places, config: ChipConfig) -> dict[str, int]:
    """Slice → the first word that no block and no weights use, nor any behind it."""
    found: dict[str, int] = defaultdict(int)
    for part in (part for home in places.blocks.values() for part in home.parts):
        for copy in part.copies:
            for name in copy.slices:
                found[name] = max(found[name], copy.address + part.words)
    for weights in places.tiles.values():
        for copy in weights.copies:
            for name in copy.slices:
                found[name] = max(found[name], copy.address + config.superlanes)
    return found


def fetch(bursts: Sequence[Burst], places: Places, booking: Booking, config: ChipConfig, number: int) -> Fetched:
    """Add what brings the words that queues have no room for; ``number`` is that of the pass it counts as. NoRoom if a
    queue is too busy, or the chip has no IFETCH."""
    return _Fetcher(bursts, places, booking, config, number).run()
