"""Stage 3: in which cycle every instruction dispatches, and over which streams its values go."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsp import travel
from tsp.compiler.booking import Booking, Lane, Slot
from tsp.compiler.bursts import Burst, spell
from tsp.compiler.passes import PREVIOUS, Pass, Runs, Tile, View, rows_of
from tsp.compiler.place import Home, Places
from tsp.config import ChipConfig
from tsp.floorplan import EAST, WEST, floorplan
from tsp.isa import GROUP16, Type
from tsp.timing import timing


@dataclasses.dataclass
class _Plane:
    """What a plane of the MXM has done so far."""

    name: str
    installed: int = -1
    """Cycle of the last IW."""
    free: int = 0
    """First cycle without an ABC."""
    rows_free: int = 0
    """First cycle in which no ACC that was scheduled uses a row."""


@dataclasses.dataclass(frozen=True)
class _Read:
    """Rows of a home that meet ``target``, the first ``after`` cycles behind the start of what is placed."""

    home: Home
    target: str
    after: int
    runs: Runs


class Scheduler:
    """Places passes one after the other, each as early as queues, streams and its operands allow."""

    def __init__(self, places: Places, config: ChipConfig):
        self.places, self.config = places, config
        self.table = timing(config)
        self.booking = Booking(config)
        self.bursts: list[Burst] = []
        self.planes = [_Plane(s.name) for s in floorplan(config).slices if s.unit == "mxm"]
        self._ready: dict[str, NDArray[np.int64]] = {}
        """Block → the first cycle in which each row can be read."""
        self._number = 0

    def schedule(self, pass_: Pass) -> None:
        """Place a pass. InputError if it never fits."""
        self._number += 1
        if not pass_.tiles:
            self._finish(pass_, None, 0, [], [])
            return
        plane = min(self.planes, key=lambda plane: plane.free)
        # Few rows take less time than weights: then the next tile's come first, and products where they leave room.
        ahead = pass_.count <= 2 * self.config.superlanes
        loaded = self._load(plane, pass_.tiles[0])
        for number in range(len(pass_.tiles)):
            following = pass_.tiles[number + 1 : number + 2]
            self._install(plane, loaded)
            if ahead:
                loaded = max([0, *(self._load(plane, tile) for tile in following)])
            self._multiply(plane, pass_, number)
            if not ahead:
                loaded = max([0, *(self._load(plane, tile) for tile in following)])

    def _load(self, plane: _Plane, tile: Tile) -> int:
        """LWs of a tile; the first cycle an IW may install it in."""
        home, queue = self.places.tiles[tile.name], f"{plane.name}.weights"
        columns = self.config.superlanes
        slots = [Slot(queue, 0, columns)]
        slots += [Slot(name, -self._travel(name, queue), columns) for name in home.slices]
        way, lane = self._lane(queue, GROUP16, columns)
        placed = self.booking.place(plane.installed + 1, slots, [lane], f"weights {tile.name} into {plane.name}")
        stream = placed.streams[0]
        for j, name in enumerate(home.slices):
            at = placed.start - self._travel(name, queue)
            self._move("read", name, at, home.address, f"{way}{stream + j}", ((0, columns, 1),))
        self._burst("lw", queue, placed.start, columns, supercell=0, stream_=f"{way}{stream}")
        return placed.start + columns - 1 + self.table.lw_iw

    def _install(self, plane: _Plane, loaded: int) -> None:
        """IW, at the earliest with the last ABC of the weights before."""
        queue = f"{plane.name}.weights"
        placed = self.booking.place(max(loaded, plane.free - 1), [Slot(queue, 0, 1)], [], f"IW of {plane.name}")
        self._burst("iw", queue, placed.start, 1)
        plane.installed = placed.start

    def _multiply(self, plane: _Plane, pass_: Pass, number: int) -> None:
        """ABCs and ACCs of a tile; with the last one everything that follows the sums."""
        tile, last = pass_.tiles[number], number == len(pass_.tiles) - 1
        queues = {kind: f"{plane.name}.{kind}" for kind in ("activations", "accumulate")}
        slots = [Slot(queues["activations"], 0, pass_.count)]
        slots.append(Slot(queues["accumulate"], self.table.abc_acc, pass_.count))
        read = _Read(self.places.blocks[tile.view.block.name], plane.name, 0, tile.view.runs)
        least = max(plane.free, plane.installed + self.table.iw_abc)
        modes = {(True, True): "pass", (True, False): "store", (False, True): "peek", (False, False): "add"}
        mode = modes[number == 0, last]
        if last:
            start, stream = self._finish(pass_, plane, least, slots, [read], mode)
        else:
            placed = self._place(least, slots, [read], [], pass_)
            start, stream = placed.start, placed.streams[0]
            self._acc(plane, start + self.table.abc_acc, pass_, mode, None)
        way = self._way(read.home.slices[0], plane.name)
        self._burst("abc", queues["activations"], start, pass_.count, stream_=f"{way}{stream}")
        plane.free = start + pass_.count

    def _acc(self, plane: _Plane, at: int, pass_: Pass, mode: str, to: str | None) -> None:
        self._burst("acc", f"{plane.name}.accumulate", at, pass_.count, row=0, mode=mode, to=to)

    def _finish(
        self, pass_: Pass, plane: _Plane | None, least: int, slots: list[Slot], reads: list[_Read], mode: str = ""
    ) -> tuple[int, int]:
        """The end of a pass: from sums or blocks through the ALUs to memory. Returns the start (of the ABCs, or of the
        first ALU without any) and the stream of the first read."""
        home, count = self.places.blocks[pass_.result.block.name], pass_.count
        sums = 0 if plane is None else self.table.abc_acc
        alus = sums if plane is None else sums + self._travel(plane.name, "vxm")
        reads = [*reads, *self._operands(pass_, alus)]
        lanes: list[tuple[str, Lane]] = []
        if plane is not None:
            toward = "vxm" if pass_.steps else home.slices[0]
            lanes.append(self._driven(plane.name, toward, Type.INT32.planes, sums, count))
        if pass_.steps:
            made = alus + len(pass_.steps) - 1
            lanes.append(self._driven("vxm", home.slices[0], home.block.type.planes, made, count))
        producer, at = ("vxm", made) if pass_.steps else (plane.name, sums) if plane is not None else ("", 0)
        writes = [(name, at + self._travel(producer, name)) for name in home.slices]
        slots = [*slots, *(Slot(name, offset, count) for name, offset in writes)]
        rows, start, streams = self._fit(pass_, least, alus, slots, reads, [lane for _, lane in lanes])
        spelled = [f"{way}{stream}" for (way, _), stream in zip(lanes, streams[len(reads) :], strict=True)]
        if plane is not None:
            self._acc(plane, start + sums, pass_, mode, spelled[0])
        self._alus(pass_, start + alus, rows, reads, streams, spelled)
        for part, (name, offset) in enumerate(writes):
            way, stream = spelled[-1][0], int(spelled[-1][1:])
            self._move("write", name, start + offset, home.address, f"{way}{stream + part}", pass_.result.runs)
        written = rows_of(pass_.result.runs)
        ready = self._ready.setdefault(pass_.result.block.name, np.zeros(home.block.words, np.int64))
        ready[written] = start + max(offset for _, offset in writes) + np.arange(count) + self.table.write_read
        return start, streams[0]

    def _fit(
        self, pass_: Pass, least: int, alus: int, slots: list[Slot], reads: list[_Read], lanes: list[Lane]
    ) -> tuple[list[str], int, tuple[int, ...]]:
        """(ALUs of the steps, start, streams): of all ways to lay the chain over rows and stages the earliest."""
        best: tuple[int, list[str]] | None = None
        for queues in self._chains(len(pass_.steps)):
            more = [Slot(queue, alus + j, pass_.count) for j, queue in enumerate(queues)]
            start = self._probe(least, [*slots, *more], reads, lanes, pass_)
            if best is None or start < best[0]:
                best = start, queues
        assert best is not None
        more = [Slot(queue, alus + j, pass_.count) for j, queue in enumerate(best[1])]
        placed = self._place(best[0], [*slots, *more], reads, lanes, pass_)
        return best[1], placed.start, placed.streams

    def _chains(self, length: int) -> Iterator[list[str]]:
        """Ways to lay a chain over the ALUs: row after row, beginning in any stage and row."""
        rows, stages = self.config.vxm_rows, self.config.vxm_stages
        if not length:
            yield []
            return
        for stage in range(stages):
            for row in range(rows):
                queues = [f"vxm.r{(row + j // stages) % rows}s{(stage + j) % stages}" for j in range(length)]
                if len(set(queues)) == length:
                    yield queues

    def _operands(self, pass_: Pass, alus: int) -> list[_Read]:
        """The blocks that steps read, in the order of their operands."""
        found = []
        for j, step in enumerate(pass_.steps):
            for operand in step.operands:
                if isinstance(operand, View):
                    found.append(_Read(self.places.blocks[operand.block.name], "vxm", alus + j, operand.runs))
        return list(dict.fromkeys(found))

    def _alus(
        self, pass_: Pass, at: int, queues: Sequence[str], reads: Sequence[_Read], streams: Sequence[int],
        spelled: Sequence[str],
    ) -> None:  # fmt: skip
        found = {View(read.home.block, read.runs): f"{self._way(read.home.slices[0], 'vxm')}{stream}"
                 for read, stream in zip(reads, streams, strict=False) if read.target == "vxm"}  # fmt: skip
        for j, (step, queue) in enumerate(zip(pass_.steps, queues, strict=True)):
            operands = []
            for operand in step.operands:
                if isinstance(operand, View):
                    operands.append(f"{found[operand]}:{operand.block.type.name.lower()}")
                elif operand == PREVIOUS and j == 0:
                    operands.append(f"{spelled[0]}:int32")
                else:
                    operands.append(spell(operand, step, queues[j - 1]))
            to = f"{spelled[-1]}:{pass_.result.block.type.name.lower()}"
            if j < len(queues) - 1:
                to = "next:fp32" if step.is_float and step.mnemonic.startswith("CONVERT") else "next"
            self._burst("alu", queue, at + j, pass_.count, mnemonic=step.mnemonic, operands=tuple(operands), to=to)

    def _place(self, least: int, slots: list[Slot], reads: list[_Read], lanes: list[Lane], pass_: Pass) -> Any:
        """Book slots, reads and lanes at the earliest start, and emit the READs."""
        every, ways = self._with_reads(slots, reads, lanes, pass_)
        placed = self.booking.place(self._least(least, reads, pass_), *every, f"pass {pass_.name}")
        for read, way, stream in zip(reads, ways, placed.streams, strict=False):
            for part, name in enumerate(read.home.slices):
                at = placed.start + read.after - self._travel(name, read.target)
                self._move("read", name, at, read.home.address, f"{way}{stream + part}", read.runs)
        return placed

    def _probe(self, least: int, slots: list[Slot], reads: list[_Read], lanes: list[Lane], pass_: Pass) -> int:
        every, _ = self._with_reads(slots, reads, lanes, pass_)
        return self.booking.find(self._least(least, reads, pass_), *every, f"pass {pass_.name}").start

    def _with_reads(
        self, slots: list[Slot], reads: list[_Read], lanes: list[Lane], pass_: Pass
    ) -> tuple[tuple[list[Slot], list[Lane]], list[str]]:
        ways, more, brought = [], [], []
        for read in reads:
            more += [Slot(name, read.after - self._travel(name, read.target), pass_.count) for name in read.home.slices]
            name = read.home.slices[0]
            way, lane = self._driven(
                name,
                read.target,
                read.home.block.type.planes,
                read.after - self._travel(name, read.target),
                pass_.count,
            )
            ways.append(way)
            brought.append(lane)
        return ([*slots, *more], [*brought, *lanes]), ways

    def _least(self, least: int, reads: list[_Read], pass_: Pass) -> int:
        """The first start at which every row that is read has been written."""
        for read in reads:
            if (ready := self._ready.get(read.home.block.name)) is not None:
                late = int((ready[rows_of(read.runs)] - np.arange(pass_.count)).max())
                least = max(least, *(late - read.after + self._travel(name, read.target) for name in read.home.slices))
        return least

    def _move(self, method: str, slice_: str, at: int, address: int, stream: str, runs: Runs) -> None:
        """READs or WRITEs of rows, one a cycle."""
        for first, count, step in runs:
            self._burst(method, slice_, at, count, address=address + first, stream_=stream, step=step)
            at += count

    def _lane(self, target: str, width: int, count: int) -> tuple[str, Lane]:
        """Streams to the weights of a plane, read at the start of what is placed."""
        queue = floorplan(self.config).queue(target)
        way = EAST if queue.hemisphere == "e" else WEST
        diagonal = 1 - queue.site if way == EAST else queue.site
        return "ew"[way], Lane(way, width, diagonal, count)

    def _driven(self, producer: str, target: str, width: int, at: int, count: int) -> tuple[str, Lane]:
        """Streams from a producer that dispatches ``at`` cycles behind the start, toward a target."""
        plan, table = floorplan(self.config), self.table
        slice_ = plan.slice(producer)
        func = {"mem": table.read_func, "vxm": table.alu_func, "mxm": table.acc_func}[slice_.unit]
        way = travel.direction(self.config, producer, target)
        diagonal = at + func - slice_.site if way == EAST else at + func + slice_.site - 1
        return "ew"[way], Lane(way, _aligned(width), diagonal, count)

    def _way(self, source: str, target: str) -> str:
        return "ew"[travel.direction(self.config, source, target)]

    def _travel(self, source: str, target: str) -> int:
        return travel.travel(self.config, source, target)

    def _burst(self, method: str, queue: str, at: int, count: int, **arguments: Any) -> None:
        self.bursts.append(Burst(method, queue, at, count, tuple(arguments.items()), self._number))


def _aligned(width: int) -> int:
    return 1 << (width - 1).bit_length()


def schedule(passes: Sequence[Pass], places: Places, config: ChipConfig) -> list[Burst]:
    """All instructions of all passes. InputError for a pass that never fits."""
    scheduler = Scheduler(places, config)
    for pass_ in passes:
        scheduler.schedule(pass_)
    return scheduler.bursts
