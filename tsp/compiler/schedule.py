"""Stage 3: in which cycle every instruction dispatches, and over which streams its values go."""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from tsp.compiler.booking import Booking, Lane, Pauses, Slot
from tsp.compiler.bursts import Burst, named, spell
from tsp.compiler.gangs import Gang, alone, gangs
from tsp.compiler.homes import Places
from tsp.compiler.passes import SUMS, ZEROS, Copy, Pass, Tile, View
from tsp.compiler.progress import Progress, silent
from tsp.compiler.routes import Read, Routes
from tsp.compiler.stationary import Write
from tsp.config import ChipConfig
from tsp.errors import InputError
from tsp.isa import GROUP16, Type


@dataclasses.dataclass
class _Plane:
    """What a plane of the MXM has done so far."""

    name: str
    installed: int = -1
    """Cycle of the last IW."""
    free: int = 0
    """First cycle without an ABC."""
    holds: str = ""
    """Name of the tile that was installed last."""
    loads: int = 0
    """How many there were."""
    buffer: str = ""
    """Name of the tile that is loaded and not installed."""
    loaded: int = 0
    """The first cycle in which it may be."""
    joins: bool = False
    """Whether the first LW of the next load installs it."""


class Scheduler(Routes):
    """Places passes one after the other, each as early as queues, streams and its operands allow."""

    def __init__(self, places: Places, config: ChipConfig, pauses: Pauses):
        super().__init__(places, config, pauses)
        self.alone, self.full = False, True
        """Whether the passes at hand have a row only, and share no loads; whether loads take all planes."""
        self.state = {name: _Plane(name) for name in self.planes}

    def schedule(self, gang: Gang, then: Gang) -> None:
        """Place a gang; ``then`` is the next that takes some of its planes. InputError if a pass never fits."""
        number, first = gang[0]
        if not first.tiles:
            self.number = number
            self._finish(first, 0, [], [])
            return
        names = [name for _, pass_ in gang for name in self._planes(pass_)]
        planes = [self.state[name] for name in names]
        # Few rows take less time than weights: then the next tile's come first, and products where they leave room.
        self.few = ahead = first.count <= 2 * self.config.superlanes
        self.alone = alone(gang)
        self.full = any(all(name != ZEROS for name, _ in tile.parts) for tile in first.tiles)
        coming = [(number, tile) for tile in first.tiles]
        # Of another layer they would keep this one waiting.
        if self.alone and alone(then) and names == self._planes(then[0][1]) and first.layer == then[0][1].layer:
            coming.append((then[0][0], then[0][1].tiles[0]))
        self._load(planes, *coming[0])
        for turn in range(len(first.tiles)):
            following = coming[turn + 1 : turn + 2]
            for plane in planes:
                self._install(plane, [_held(plane, tile) for _, tile in coming[turn : turn + 2]])
            for tile in following if ahead else []:
                self._load(planes, *tile)
            for self.number, pass_ in gang:
                self._multiply(pass_, turn)
            for tile in following if not ahead else []:
                self._load(planes, *tile)

    def _planes(self, pass_: Pass) -> list[str]:
        """What multiplies: a plane, or for fp16 the two of a hemisphere, the first of which has the ABCs and ACCs."""
        return [name for name in self.planes if name[4] == pass_.plane[4]] if pass_.is_fp16 else [pass_.plane]

    def _load(self, planes: Sequence[_Plane], number: int, tile: Tile) -> None:
        """LWs of a tile. Nothing where planes have it already."""
        self.number = number
        if tile.source is not None:
            copy, ready = self.places.blocks[tile.source.name].copies[0], self.ready(tile)
            homes = [Copy(slices, copy.address + tile.first // GROUP16)
                     for slices in (copy.slices[:GROUP16], copy.slices[GROUP16:])]  # fmt: skip
        else:
            homes, ready = [self.places.tiles[name].near(planes[0].name[4]) for name, _ in tile.parts], 0
        shared = [planes] if len(homes) == 1 else [[plane] for plane in planes]
        for those, home in zip(shared, homes, strict=True):
            if any(_held(plane, tile) != (plane.buffer or plane.holds) for plane in those):
                self._lw(those, _held(those[0], tile), home, ready)

    def _lw(self, planes: Sequence[_Plane], what: str, home: Copy, ready: int) -> None:
        """One load for all these planes. ``ready``: the first cycle in which all words may be read."""
        queues = [f"{plane.name}.weights" for plane in planes]
        columns = self.config.superlanes
        slots = [Slot(queue, 0, columns) for queue in queues]
        slots += [Slot(name, -self.travel(name, queues[0]), columns) for name in home.slices]
        way, lane = self.weights_lane(queues[0], home.slices, columns)
        least = max([max(plane.loaded, plane.free - 1) if plane.joins else plane.installed + 1 for plane in planes]
                    + [ready + self.travel(name, queues[0]) for name in home.slices])  # fmt: skip
        placed = self.booking.place(least, slots, [lane], f"weights {what} into {planes[0].name}")
        stream = placed.streams[0]
        for j, name in enumerate(home.slices):
            at = placed.start - self.travel(name, queues[0])
            self.move("read", name, at, home.address, f"{way}{stream + j}", ((0, columns, 1),))
        for plane, queue in zip(planes, queues, strict=True):
            joined = int(plane.joins)
            if joined:
                self.burst("lw", queue, placed.start, 1, supercell=0, stream_=f"{way}{stream}", install=True)
                plane.installed, plane.holds, plane.joins = placed.start, plane.buffer, False
            if columns > joined:
                at = placed.start + joined
                self.burst("lw", queue, at, columns - joined, supercell=joined, stream_=f"{way}{stream}")
            plane.buffer, plane.loaded = what, placed.start + columns - 1 + self.table.lw_iw
            plane.loads += 1

    def _install(self, plane: _Plane, names: Sequence[str]) -> None:
        """Install the tile that was loaded, at the earliest with the last ABC of the weights before. ``names``: of it
        and of the next, whose first LW may do it as well."""
        if not plane.buffer:
            return
        if self._hurries(plane) and len(names) == len(set(names)) == 2:
            plane.joins = True
            return
        queue = f"{plane.name}.weights"
        least = max(plane.loaded, plane.free - 1)
        placed = self.booking.place(least, [Slot(queue, 0, 1)], [], f"IW of {plane.name}")
        self.burst("iw", queue, placed.start, 1)
        plane.installed, plane.holds, plane.buffer, plane.loaded = placed.start, plane.buffer, "", 0

    def _hurries(self, plane: _Plane) -> bool:
        """Whether a load follows the last one of a plane at once. Where all streams bring weights, planes take turns to
        pause a cycle, in which their streams bring the vectors."""
        groups = self.config.streams // GROUP16
        return self.alone and (not self.full or (plane.loads - 1 - int(plane.name[5:])) % groups > 0)

    def _multiply(self, pass_: Pass, number: int) -> None:
        """ABCs and ACCs of a tile; with the last one everything that follows the sums."""
        plane, tile, last = self.state[pass_.plane], pass_.tiles[number], number == len(pass_.tiles) - 1
        queues = {kind: f"{plane.name}.{kind}" for kind in ("activations", "accumulate")}
        slots = [Slot(queues["activations"], 0, pass_.count)]
        slots.append(Slot(queues["accumulate"], self.table.abc_acc, pass_.count))
        read = self.read_of(tile.view, pass_, plane.name, 0)
        used = [self.state[name] for name in self._planes(pass_)]
        least = max(max(plane.free, plane.installed + self.table.iw_abc) for plane in used)
        if self.alone and self.full:
            # When the next tile is loaded: with the IW in a pause, or before another plane's pause is over.
            least = max(least, *(plane.loaded - self._hurries(plane) for plane in used))
            read = dataclasses.replace(read, first=read.first + GROUP16 * self._hurries(plane))
        modes = {(True, True): "pass", (True, False): "store", (False, True): "peek", (False, False): "add"}
        mode = modes[number == 0, last]
        if last:
            start, stream = self._finish(pass_, least, slots, [read], mode)
        else:
            placed = self.place(least, slots, [read], [], pass_)
            start, stream = placed.start, placed.streams[0]
            self._acc(pass_, start + self.table.abc_acc, mode, None)
        way = self.way(read.source, plane.name)
        type_ = ":fp16" if pass_.is_fp16 else ""
        self.burst("abc", queues["activations"], start, pass_.count, stream_=f"{way}{stream}{type_}")
        for plane in used:
            plane.free = start + pass_.count

    def _acc(self, pass_: Pass, at: int, mode: str, to: str | None) -> None:
        # What only passes through needs no row, and may be more rows than there are.
        step = {"step": 0} if mode == "pass" else {}
        self.burst("acc", f"{pass_.plane}.accumulate", at, pass_.count, row=0, mode=mode, to=to, **step)

    def _finish(self, pass_: Pass, least: int, slots: list[Slot], reads: list[Read], mode: str = "") -> tuple[int, int]:
        """The end of a pass: from sums or blocks through the ALUs to memory. Returns the start (of the ABCs, or of the
        first ALU without any) and the stream of the first read."""
        count, plane = pass_.count, pass_.plane
        sums = self.table.abc_acc if plane else 0
        alus = sums + self.travel(plane, "vxm") - pass_.entry if plane else 0
        made = alus + len(pass_.steps) - 1
        writes = list(self.writes(pass_, "vxm", made) if pass_.steps else self.writes(pass_, plane, sums))
        targets, width = [write.slice for _, write in writes], pass_.result.block.type.planes
        reads = [*reads, *self.operands(pass_, alus, reads)]
        lanes: list[Lane] = []
        if plane:
            lanes.append(self.driven(plane, ["vxm"] if pass_.steps else targets, sums, count, Type.INT32.planes))
        if pass_.steps:
            lanes.append(self.driven("vxm", targets, made, count, width))
        slots = [*slots, *(Slot(write.slice, offset + write.after, write.length) for offset, write in writes)]
        words = [(w.slice, *_words(w, offset)) for offset, w in writes]
        least = max([least, *(self.untouched(*word) for word in words)])
        rows, start, streams = self._fit(pass_, least, alus, slots, reads, lanes)
        spelled = [f"{'ew'[lane.direction]}{stream}" for lane, stream in zip(lanes, streams[len(reads) :], strict=True)]
        if plane:
            self._acc(pass_, start + sums, mode, spelled[0])
        self._alus(pass_, start + alus, rows, reads, streams, spelled)
        way, stream = spelled[-1][0], int(spelled[-1][1:])
        for offset, w in writes:
            self.burst(
                "write", w.slice, start + offset + w.after, w.count, address=w.address,
                stream_=f"{way}{stream + w.plane}", step=w.step, every=w.every,
            )  # fmt: skip
        for name, addresses, cycles in words:
            self.touch(name, addresses, start + cycles)
        self.written(pass_, start + max(offset for offset, _ in writes))
        return start, streams[0]

    def _fit(
        self, pass_: Pass, least: int, alus: int, slots: list[Slot], reads: list[Read], lanes: list[Lane]
    ) -> tuple[list[str], int, tuple[int, ...]]:
        """(ALUs of the steps, start, streams): of all ways to lay the chain over rows and stages the earliest."""
        best: tuple[int, list[str]] | None = None
        for queues in self._chains(len(pass_.steps)):
            more = [Slot(queue, alus + j, pass_.count) for j, queue in enumerate(queues)]
            start = self.probe(least, [*slots, *more], reads, lanes, pass_)
            if best is None or start < best[0]:
                best = start, queues
        if best is None:
            length, stages = len(pass_.steps), self.config.vxm_stages
            raise InputError(
                f"{pass_} takes {length} ALUs one after the other, but config {self.config.name} has"
                f" {self.config.vxm_rows * stages}; set vxm_rows={-(-length // stages)}"
            )
        more = [Slot(queue, alus + j, pass_.count) for j, queue in enumerate(best[1])]
        placed = self.place(best[0], [*slots, *more], reads, lanes, pass_)
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

    def _alus(
        self, pass_: Pass, at: int, queues: Sequence[str], reads: Sequence[Read], streams: Sequence[int],
        spelled: Sequence[str],
    ) -> None:  # fmt: skip
        found = {(read.view, read.step): f"{self.way(read.source, 'vxm')}{stream}"
                 for read, stream in zip(reads, streams, strict=False) if read.target == "vxm"}  # fmt: skip
        for j, (step, queue) in enumerate(zip(pass_.steps, queues, strict=True)):
            operands = []
            for number, operand in enumerate(step.operands):
                if isinstance(operand, View):
                    operands.append(f"{found[operand, j]}:{named(operand.block.type, step.takes_float(number))}")
                elif operand == SUMS:
                    operands.append(f"{spelled[0]}:{'fp32' if pass_.is_fp16 else 'int32'}")
                else:
                    operands.append(spell(operand, step, queues[j - 1]))
            to = f"{spelled[-1]}:{named(pass_.result.block.type, step.is_float)}"
            if j < len(queues) - 1:
                to = "next:fp32" if step.is_float and step.mnemonic.startswith("CONVERT") else "next"
            self.burst("alu", queue, at + j, pass_.count, mnemonic=step.mnemonic, operands=tuple(operands), to=to)


def _held(plane: _Plane, tile: Tile) -> str:
    """What a plane holds of a tile."""
    return tile.parts[int(plane.name[5:]) if len(tile.parts) > 1 else 0][0]


def _words(write: Write, offset: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Addresses of WRITEs, and cycles behind the start in which they dispatch."""
    numbers = np.arange(write.count)
    return write.address + write.step * numbers, offset + write.after + write.every * numbers


def schedule(
    passes: Sequence[Pass], places: Places, config: ChipConfig, pauses: Pauses, progress: Progress = silent
) -> tuple[list[Burst], Booking]:
    """All instructions of all passes, and what they take, with pauses in queues. InputError for a pass that never
    fits."""
    scheduler = Scheduler(places, config, pauses)
    for gang, then in gangs(passes):
        progress("schedule", gang[0][0] - 1, len(passes))
        scheduler.schedule(gang, then)
    return scheduler.bursts, scheduler.booking
