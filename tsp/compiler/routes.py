"""Reads, writes and the streams between them, as what they take of queues and streams."""

import dataclasses
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsp import travel
from tsp.compiler.booking import Booking, Lane, Pauses, Placed, Slot
from tsp.compiler.bursts import Burst
from tsp.compiler.homes import Places
from tsp.compiler.passes import Copy, Pass, Runs, Tile, View, rows_of, runs_of
from tsp.compiler.stationary import Write, writes
from tsp.config import ChipConfig
from tsp.floorplan import EAST, WEST, Floorplan, floorplan
from tsp.isa import GROUP16
from tsp.timing import timing


@dataclasses.dataclass(frozen=True)
class Piece:
    """Rows of a view in one part of a block: the first is its ``start``th."""

    copy: Copy
    start: int
    rows: NDArray[np.int64] = dataclasses.field(compare=False)


@dataclasses.dataclass(frozen=True)
class Read:
    """Rows of a block that meet ``target``, the first ``after`` cycles behind the start of what is placed."""

    view: View
    pieces: tuple[Piece, ...]
    target: str
    after: int
    first: int = 0
    """Stream from which on they are looked for."""
    step: int = -1
    """Of the pass's steps, that takes it."""

    @property
    def source(self) -> str:
        """The first slice of the first byte plane."""
        return self.pieces[0].copy.slices[0]

    @property
    def slices(self) -> list[str]:
        """Of all pieces."""
        return [name for piece in self.pieces for name in piece.copy.slices]


class Routes:
    """What the scheduler and its parts share: what is taken, what was scheduled, and when rows can be read."""

    def __init__(self, places: Places, config: ChipConfig, pauses: Pauses):
        self.places, self.config = places, config
        self.table, self.plan = timing(config), floorplan(config)
        self.planes = [slice_.name for slice_ in self.plan.slices if slice_.unit == "mxm"]
        self.booking = Booking(config, pauses)
        self.bursts: list[Burst] = []
        self.number, self.few = 0, False
        """Of the pass at hand, and whether it has so few rows that loads bound it."""
        self._ready: dict[str, NDArray[np.int64]] = {}
        """Block → the first cycle in which each row can be read."""
        self._touched: dict[str, NDArray[np.int64]] = defaultdict(lambda: np.full(config.mem_words, -1, np.int64))
        """Slice → the last cycle in which each word was read or written, where words are used twice."""

    def read_of(self, view: View, pass_: Pass, target: str, after: int, beside: Sequence[Read] = ()) -> Read:
        """A read of the copies that a pass takes: each plane its own, on its side if there is one, and none that a read
        ``beside`` it takes."""
        number = self.planes.index(pass_.plane) if pass_.plane else 0
        taken = [piece.copy for read in beside for piece in read.pieces]
        pieces = []
        for part, start, rows in self.places.blocks[view.block.name].pieces(view.runs):
            turned = [part.copies[(number + turn) % len(part.copies)] for turn in range(len(part.copies))]
            copy = next((copy for copy in turned if copy not in taken), turned[0])
            if target == pass_.plane and len({copy.side for copy in part.copies}) > 1:
                near = [copy for copy in part.copies if copy.side == target[4]]
                copy = near[int(target[5:]) % len(near)]
            pieces.append(Piece(copy, start, rows))
        return Read(view, tuple(pieces), target, after, self.own(target))

    def operands(self, pass_: Pass, alus: int, beside: Sequence[Read]) -> list[Read]:
        """The views that steps read, in the order of their operands; the first step works ``alus`` cycles behind the
        start, and the reads ``beside`` them are of the same pass."""
        found: dict[tuple[View, int], Read] = {}
        for j, step in enumerate(pass_.steps):
            for operand in step.operands:
                if isinstance(operand, View) and (operand, j) not in found:
                    read = self.read_of(operand, pass_, "vxm", alus + j, [*beside, *found.values()])
                    found[operand, j] = dataclasses.replace(read, step=j)
                    if operand.by is not None:
                        # The maps come behind, to where the rows are read.
                        at = read.after - self.travel(read.source, "vxm")
                        found[operand.by, j] = self.read_of(operand.by, pass_, read.source, at)
        return list(found.values())

    def place(self, least: int, slots: list[Slot], reads: list[Read], lanes: list[Lane], pass_: Pass) -> Placed:
        """Book slots, reads and lanes at the earliest start, and emit the READs."""
        every = self._with_reads(slots, reads, lanes, pass_)
        placed = self.booking.place(self._least(least, reads, pass_), *every, f"pass {pass_.name}")
        for number, (read, stream) in enumerate(zip(reads, placed.streams, strict=False)):
            way = self.way(read.source, read.target)
            if read.view.by is not None:
                maps = f"{self.way(reads[number + 1].source, read.source)}{placed.streams[number + 1]}"
                for plane, name in enumerate(read.slices):
                    at = placed.start + read.after - self.travel(name, read.target)
                    self.burst("gather", name, at, pass_.count, stream_=f"{way}{stream + plane}", map_=maps)
                continue
            for piece in read.pieces:
                runs = runs_of(piece.rows)
                for plane, name in enumerate(piece.copy.slices):
                    at = placed.start + read.after + piece.start - self.travel(name, read.target)
                    self.move("read", name, at, piece.copy.address, f"{way}{stream + plane}", runs)
                    self.touch(name, piece.copy.address + piece.rows, at + np.arange(len(piece.rows)))
        return placed

    def probe(self, least: int, slots: list[Slot], reads: list[Read], lanes: list[Lane], pass_: Pass) -> int:
        """The start at which :meth:`place` would."""
        every = self._with_reads(slots, reads, lanes, pass_)
        return self.booking.find(self._least(least, reads, pass_), *every, f"pass {pass_.name}").start

    def _with_reads(
        self, slots: list[Slot], reads: list[Read], lanes: list[Lane], pass_: Pass
    ) -> tuple[list[Slot], list[Lane]]:
        more, brought = [], []
        for read in reads:
            for piece in read.pieces:
                at = read.after + piece.start
                more += [Slot(n, at - self.travel(n, read.target), len(piece.rows)) for n in piece.copy.slices]
            first, width = read.after - self.travel(read.source, read.target), len(read.pieces[0].copy.slices)
            lane = self.driven(read.source, [read.target], first, pass_.count, width, read.slices)
            brought.append(dataclasses.replace(lane, first=read.first))
        return [*slots, *more], [*brought, *lanes]

    def _least(self, least: int, reads: list[Read], pass_: Pass) -> int:
        """The first start at which every row that is read has been written."""
        for read in reads:
            if (ready := self._ready.get(read.view.block.name)) is not None:
                late = ready[rows_of(read.view.runs)] - np.arange(pass_.count)
                for piece in read.pieces:
                    last = int(late[piece.start : piece.start + len(piece.rows)].max()) - read.after
                    least = max(least, *(last + self.travel(name, read.target) for name in piece.copy.slices))
        return least

    def writes(self, pass_: Pass, producer: str, at: int) -> Iterator[tuple[int, Write]]:
        """WRITEs of the result of what dispatches ``at`` cycles behind the start; before each, when the first vector is
        there."""
        part, _, rows = next(self.places.blocks[pass_.result.block.name].pieces(pass_.result.runs))
        for copy in part.copies:
            for write in writes(View(pass_.result.block, runs_of(rows)), copy):
                yield at + self.travel(producer, write.slice), write

    def touch(self, slice_: str, addresses: NDArray[np.int64], cycles: NDArray[np.int64]) -> None:
        """Words are read or written in these cycles."""
        if self.places.lent:
            np.maximum.at(self._touched[slice_], addresses, cycles)

    def untouched(self, slice_: str, addresses: NDArray[np.int64], cycles: NDArray[np.int64]) -> int:
        """The first start behind which words may be written in these cycles: what they held was read."""
        return int((self._touched[slice_][addresses] + 1 - cycles).max()) if self.places.lent else 0

    def written(self, pass_: Pass, last: int) -> None:
        """The result's rows can be read: the first is written at the latest in cycle ``last``."""
        block = pass_.result.block
        ready = self._ready.setdefault(block.name, np.zeros(max(block.rows, block.words), np.int64))
        ready[rows_of(pass_.result.runs)] = last + np.arange(pass_.count) + self.table.write_read

    def ready(self, tile: Tile) -> int:
        """The first cycle in which computed weights can be read."""
        assert tile.source is not None
        return int(self._ready[tile.source.name][tile.first : tile.first + self.config.lanes].max())

    def move(self, method: str, slice_: str, at: int, address: int, stream: str, runs: Runs) -> None:
        """READs or WRITEs of rows, one a cycle."""
        for first, count, step in runs:
            self.burst(method, slice_, at, count, address=address + first, stream_=stream, step=step)
            at += count

    def weights_lane(self, target: str, sources: Sequence[str], count: int) -> tuple[str, Lane]:
        """Streams from slices to the weights of a plane, read at the start of what is placed."""
        queue = self.plan.queue(target)
        way = EAST if queue.hemisphere == "e" else WEST
        diagonal = 1 - queue.site if way == EAST else queue.site
        zones = zones_of(self.plan, [queue.site, *(self.plan.slice(name).site for name in sources)])
        return "ew"[way], Lane(way, len(sources), diagonal, count, zones, self.own(target))

    def own(self, target: str) -> int:
        """The first of a plane's own streams: where loads follow each other, and few vectors come between them, these
        meet no others then. For others 0."""
        return GROUP16 * int(target.split(".")[1][1:]) if self.few and target.startswith("mxm") else 0

    def driven(
        self, producer: str, targets: Sequence[str], at: int, count: int, width: int, others: Sequence[str] = ()
    ) -> Lane:
        """Streams from a producer that dispatches ``at`` cycles behind the start, toward targets on one side of it;
        ``others`` drive them too, one after the other."""
        slice_ = self.plan.slice(producer)
        func = {"mem": self.table.read_func, "vxm": self.table.alu_func, "mxm": self.table.acc_func}[slice_.unit]
        way = travel.direction(self.config, producer, targets[0])
        diagonal = at + func - slice_.site if way == EAST else at + func + slice_.site - 1
        zones = zones_of(self.plan, [self.plan.slice(name).site for name in [producer, *targets, *others]])
        return Lane(way, 1 << (width - 1).bit_length(), diagonal, count, zones)

    def way(self, source: str, target: str) -> str:
        """``e`` or ``w``."""
        return "ew"[travel.direction(self.config, source, target)]

    def travel(self, source: str, target: str) -> int:
        """See :func:`tsp.travel.travel`."""
        return travel.travel(self.config, source, target)

    def burst(self, method: str, queue: str, at: int, count: int, **arguments: Any) -> None:
        """Add an instruction."""
        self.bursts.append(Burst(method, queue, at, count, tuple(arguments.items()), self.number))


def zones_of(plan: Floorplan, sites: Sequence[int]) -> tuple[int, ...]:
    """The SRs through which a stream runs that visits sites."""
    return tuple(range(min(sites), max(sites)))
