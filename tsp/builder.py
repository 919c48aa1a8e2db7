"""Programs from Python: memory, instructions at absolute cycles, and when values meet.

b = Builder(preset("tiny"))
x = b.place("x", "mem.w0", [1, 2, 3])
y = b.place("y", "mem.e0", [10, 20, 30])
z = b.space("z", "mem.e4", 1)
e = b.fetch(x, 4, "vxm.r0s0", at=10)       # a READ that meets the ALU's cycle 10; e is "e4"
w = b.fetch(y, 4, "vxm.r0s0", at=10)
b.alu("vxm.r0s0", "ADD.sat", f"{e}:int8", f"{w}:int8", to="e8:int8", at=10)
b.store(z, 8, "vxm.r0s0", at=10)           # a WRITE that meets its result
program = b.build()
"""

import linecache
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tsp import isa, travel
from tsp.builder_operands import alu_operands, alu_result
from tsp.config import PAIR, ChipConfig
from tsp.disassembler import spell
from tsp.encoding import Stream, alu_values, cost, element_type, encode, operation, stream, written_operands
from tsp.errors import InputError
from tsp.fetched import vectors
from tsp.floorplan import Queue, floorplan
from tsp.memory_map import MemoryMap, plane_slices
from tsp.placement import Entry, Placement
from tsp.program import Program, Source, Symbol
from tsp.timing import timing
from tsp.track import Track


def byte_planes(weights: ArrayLike) -> list[NDArray[np.int8]]:
    """The low and the high bytes of an fp16 matrix: what plane 0 and plane 1 of a pair are loaded with."""
    octets = np.ascontiguousarray(weights, np.float16)[..., None].view(np.int8)
    return [octets[..., plane] for plane in range(PAIR)]


class Builder:
    """A program being written.

    Common arguments: ``at``, the cycle of the (first) dispatch; ``count``, how often the instruction issues, ``every``
    cycles apart (more than once makes a REPEAT); ``step``, what each issue adds to the addresses. Every method raises
    InputError for what does not exist, cannot be encoded or meets what the queue does already.

    Args:
        config: the chip.
        barrier: every queue begins with SYNC and one with NOTIFY; cycles then count from the release.
    """

    def __init__(self, config: ChipConfig, barrier: bool = False):
        self.config = config.validate()
        self._barrier = barrier
        self._memory = MemoryMap(config)
        self._plan = floorplan(config)
        self._queues: dict[str, Placement] = {}
        self._kept: dict[str, tuple[int, tuple[tuple[str, int], ...], int]] = {}
        self._file = sys._getframe(1).f_code.co_filename

    def place(
        self, name: str, slice_: str, values: ArrayLike, type_: str = "int8", address: int | None = None
    ) -> Symbol:
        """Vectors that memory holds at the start: integers [n, at most 16·S], or a flat list, lane after lane."""
        return self._memory.place(name, slice_, values, element_type(type_), address)

    def space(self, name: str, slice_: str, count: int, type_: str = "int8", address: int | None = None) -> Symbol:
        """Room for ``count`` vectors, at ``address`` or the first free one."""
        return self._memory.reserve(name, slice_, count, element_type(type_), address)

    def place_weights(
        self, name: str, slices: list[str], weights: ArrayLike, address: int | None = None
    ) -> list[Symbol]:
        """An int8 matrix [out, in], in ≤ 16·S, for LW: its row 16·sc + j becomes vector sc of symbol ``name_j`` in
        ``slices[j]``, of sixteen. Rows beyond the last are zero."""
        rows = np.asarray(weights)
        if len(slices) != isa.GROUP16 or rows.ndim != 2:
            raise InputError(
                f"'{name}': a {rows.ndim}-d array on {len(slices)} slices, must be a matrix on {isa.GROUP16} slices"
            )
        rows = np.pad(rows, ((0, -len(rows) % isa.GROUP16), (0, 0)))
        parts = [rows[j :: isa.GROUP16] for j in range(isa.GROUP16)]
        return [self.place(f"{name}_{j}", slices[j], part, address=address) for j, part in enumerate(parts)]

    def depart(self, at: int, source: str, target: str) -> int:
        """The cycle ``source`` must dispatch in to meet ``target``'s dispatch in cycle ``at`` (slices or queues)."""
        return travel.depart(self.config, at, source, target)

    def arrive(self, at: int, source: str, target: str) -> int:
        """The cycle ``target`` must dispatch in to take what ``source`` dispatched in cycle ``at`` produces."""
        return at + travel.travel(self.config, source, target)

    def free(self, queue: str, at: int, length: int = 1) -> int:
        """The first cycle from ``at`` on from which the queue has nothing to do for ``length`` cycles."""
        return self._placement(self._plan.queue(queue)).free(at, length)

    def read(
        self, slice_: str, address: int, stream_: str, at: int, count: int = 1, every: int = 1, step: int = 1
    ) -> None:
        """READ: memory word to stream."""
        values: dict[str, int | Stream] = {"read_address": address, "read_stream": stream(stream_)}
        self._emit(slice_, "READ", values, at, count, every, (step, step))

    def write(
        self, slice_: str, address: int, stream_: str, at: int, count: int = 1, every: int = 1, step: int = 1
    ) -> None:
        """WRITE: stream to memory word."""
        values: dict[str, int | Stream] = {"write_address": address, "write_stream": stream(stream_)}
        self._emit(slice_, "WRITE", values, at, count, every, (step, step))

    def read_write(
        self,
        slice_: str,
        read: tuple[int, str],
        write: tuple[int, str],
        at: int,
        count: int = 1,
        every: int = 1,
        steps: tuple[int, int] = (1, 1),
    ) -> None:
        """READ and WRITE in one word, each an (address, stream), in different banks."""
        values: dict[str, int | Stream] = {"read_address": read[0], "read_stream": stream(read[1])}
        values |= {"write_address": write[0], "write_stream": stream(write[1])}
        self._emit(slice_, "READ_WRITE", values, at, count, every, steps)

    def gather(self, slice_: str, stream_: str, map_: str, at: int, count: int = 1, every: int = 1) -> None:
        """GATHER: the word that each superlane's map names to stream."""
        values: dict[str, int | Stream] = {"read_stream": stream(stream_), "map": stream(map_)}
        self._emit(slice_, "GATHER", values, at, count, every, None)

    def scatter(self, slice_: str, stream_: str, map_: str, at: int, count: int = 1, every: int = 1) -> None:
        """SCATTER: stream to the word that each superlane's map names."""
        values: dict[str, int | Stream] = {"write_stream": stream(stream_), "map": stream(map_)}
        self._emit(slice_, "SCATTER", values, at, count, every, None)

    def send(self, queue: str, link: int, stream_: str, at: int, count: int = 1, every: int = 1) -> None:
        """SEND: a vector off a stream to a link of the hemisphere of ``queue``, such as ``c2c.e0``."""
        self._emit(queue, "SEND", {"link": link, "stream": stream(stream_)}, at, count, every, None)

    def receive(self, queue: str, link: int, stream_: str, at: int, count: int = 1, every: int = 1) -> None:
        """RECEIVE: the oldest vector that came over a link to a stream."""
        self._emit(queue, "RECEIVE", {"link": link, "stream": stream(stream_)}, at, count, every, None)

    def poll(self, queue: str, link: int, at: int) -> None:
        """POLL: go on in the first cycle of an epoch, once a good vector has come over a link."""
        self._emit(queue, "POLL", {"link": link}, at, 1, 1, None)

    def fetch(
        self,
        symbol: Symbol,
        index: int,
        target: str,
        at: int,
        first: int = 0,
        count: int = 1,
        every: int = 1,
        step: int = 1,
    ) -> str:
        """READs of every byte plane of vector ``first`` of ``symbol`` that meet ``target``'s dispatch in cycle
        ``at``, on streams ``index``… of the direction that leads there. Returns the first stream's name."""
        names = self._planes(symbol)
        way = travel.direction(self.config, names[0], target)
        for plane, name in enumerate(names):
            start = self.depart(at, name, target)
            self.read(name, symbol.address + first, f"{'ew'[way]}{index + plane}", start, count, every, step)
        return f"{'ew'[way]}{index}"

    def store(
        self,
        symbol: Symbol,
        index: int,
        source: str,
        at: int,
        first: int = 0,
        count: int = 1,
        every: int = 1,
        step: int = 1,
    ) -> int:
        """WRITEs of every byte plane to vector ``first`` of ``symbol`` of what ``source``, dispatched in cycle ``at``,
        puts on streams ``index``…. Returns the cycle of the last WRITE of the first vector."""
        names = self._planes(symbol)
        way = travel.direction(self.config, source, names[0])
        cycles = [self.arrive(at, source, name) for name in names]
        for plane, (name, cycle) in enumerate(zip(names, cycles, strict=True)):
            self.write(name, symbol.address + first, f"{'ew'[way]}{index + plane}", cycle, count, every, step)
        return max(cycles)

    def alu(self, queue: str, mnemonic: str, *operands: str, to: str, at: int, count: int = 1, every: int = 1) -> None:
        """A VXM instruction, spelled as in assembly: operands ``"e4:int8"``, ``"#5"``, ``"r0"``, result
        ``"e8:int8, next"``."""
        name, _, suffix = mnemonic.partition(".")
        operation(name, self._plan.queue(queue), self.config)
        values = alu_values(name, alu_operands(operands), alu_result(to), suffix == "sat")
        self._emit(queue, name, values, at, count, every, None)

    def sxm(
        self, queue: str, mnemonic: str, *operands: str | int, to: str, at: int, count: int = 1, every: int = 1
    ) -> None:
        """An SXM instruction, its operands in the order of assembly: ``"SHIFT", "e4", "up", 3, to="e8"``."""
        op = operation(mnemonic, self._plan.queue(queue), self.config)
        names = written_operands(op, len(operands))
        values: dict[str, int | Stream] = {"result": stream(to)}
        values |= {name: _spelled(op.field(name), str(text)) for name, text in zip(names, operands, strict=True)}
        values |= {"selects": 1} if "select" in names else {}
        self._emit(queue, mnemonic, values, at, count, every, None)

    def lw(
        self,
        plane: str,
        supercell: int,
        stream_: str,
        at: int,
        install: bool = False,
        count: int = 1,
        every: int = 1,
        step: int = 1,
    ) -> None:
        """LW, with ``install`` LW & IW: sixteen vectors into a supercell column of the weight buffer of ``mxm.e0``…."""
        values: dict[str, int | Stream] = {"supercell": supercell, "stream": stream(stream_)}
        self._emit(f"{plane}.weights", "LW_IW" if install else "LW", values, at, count, every, (step, step))

    def iw(self, plane: str, at: int) -> None:
        """IW: weight buffer into the array."""
        self._emit(f"{plane}.weights", "IW", {}, at, 1, 1, None)

    def load_weights(self, plane: str, symbols: list[Symbol], index: int, at: int) -> int:
        """READs and LWs, the first LW in cycle ``at``, that load what :meth:`place_weights` placed over streams
        ``index``…. Returns the first cycle an IW may install it in."""
        queue, columns = f"{plane}.weights", symbols[0].count
        streams = [self.fetch(symbol, index + j, queue, at, count=columns) for j, symbol in enumerate(symbols)]
        self.lw(plane, 0, streams[0], at, count=columns)
        return at + columns - 1 + timing(self.config).lw_iw

    def abc(self, plane: str, stream_: str, at: int, count: int = 1, every: int = 1) -> int:
        """ABC: one activation vector, spelled as in assembly: ``"e4"``, or ``"e4:fp16"`` for plane 0 of a pair. Returns
        the only cycle in which an ACC takes its sum."""
        name, _, type_ = stream_.partition(":")
        if type_ and element_type(type_) != isa.Type.FP16:
            raise InputError(f"ABC {stream_}: an ABC takes bytes, written {name}, or fp16, written {name}:fp16")
        mnemonic = "ABC_FP16" if type_ else "ABC"
        self._emit(f"{plane}.activations", mnemonic, {"stream": stream(name)}, at, count, every, None)
        return at + timing(self.config).abc_acc

    def acc(
        self,
        plane: str,
        row: int,
        mode: str,
        at: int,
        to: str | None = None,
        count: int = 1,
        every: int = 1,
        step: int = 1,
    ) -> None:
        """ACC in mode ``store``, ``add``, ``pass`` or ``peek``, sending its value to stream group ``to`` if given."""
        modes = {mode_.name.lower(): mode_ for mode_ in isa.AccMode}
        if mode not in modes:
            raise InputError(f"unknown ACC mode '{mode}'; known: {', '.join(modes)}")
        values: dict[str, int | Stream] = {"row": row, "mode": modes[mode]}
        values |= {} if to is None else {"out": 1, "stream": stream(to)}
        self._emit(f"{plane}.accumulate", "ACC", values, at, count, every, (step, step))

    def fetch_words(self, queue: str, stream_: str, vectors: int, at: int) -> None:
        """IFETCH: ``vectors`` vectors off a stream become words of this queue, after those that are there."""
        self._emit(queue, "IFETCH", {"stream": stream(stream_), "n": vectors}, at, 1, 1, None)

    def keep(self, queue: str, resident: int, homes: Sequence[tuple[str, int]], vectors: int) -> None:
        """Words of a queue from number ``resident`` on lie in memory: as many as an IFETCH of ``vectors`` vectors, a
        pair if there are several superlanes, brings at each (slice, address), in the order in which it brings them."""
        self._kept[self._plan.queue(queue).name] = resident, tuple(homes), vectors

    def power(self, queue: str, superlanes: int, at: int) -> None:
        """CONFIG: instructions from ``at`` + ``timing.config`` on act in the first ``superlanes`` superlanes only."""
        self._emit(queue, "CONFIG", {"p": superlanes}, at, 1, 1, None)

    def control(self, queue: str, mnemonic: str, at: int, t: int = 0) -> None:
        """DESKEW, RUNTIME_DESKEW ``t`` or NOTIFY. A SYNC would end the count of cycles; see ``barrier``."""
        if mnemonic not in ("DESKEW", "RUNTIME_DESKEW", "NOTIFY"):
            known = "CONFIG is written power(…)" if mnemonic == "CONFIG" else "DESKEW, RUNTIME_DESKEW and NOTIFY have"
            raise InputError(f"{mnemonic} has no place at an absolute cycle; {known}")
        self._emit(queue, mnemonic, {"t": t} if mnemonic == "RUNTIME_DESKEW" else {}, at, 1, 1, None)

    def build(self) -> Program:
        """The program; InputError if a queue is too long."""
        program = Program(self.config, source=Source(Path(self._file).name))
        placements = sorted((p for p in self._queues.values() if p.entries), key=lambda p: p.queue.index)
        for i, placement in enumerate(placements):
            track = Track(placement.queue, self.config, long=placement.queue.name in self._kept)
            if self._barrier:
                for mnemonic in ("NOTIFY", "SYNC") if i == 0 else ("SYNC",):
                    track.append(isa.instruction(mnemonic).encode())
            for entry in placement.entries:
                track.append(entry.words[0], entry.line, entry.start)
                for word in entry.words[1:]:
                    track.append(word, entry.line)
            program.queues[placement.queue.index] = self._resident(track)
            for j, line in enumerate(track.lines):
                if line:
                    program.source.lines[placement.queue.index, j] = line
                    program.source.text[line] = linecache.getline(self._file, line).strip()
        program.memory, program.symbols = self._memory.images(), dict(self._memory.symbols)
        return program.validate()

    def _resident(self, track: Track) -> list[int]:
        """The words that are there from the start; the others go to memory."""
        name = track.queue.name
        if name not in self._kept:
            return track.words
        resident, homes, count = self._kept[name]
        size, words = count * self.config.superlanes, track.words[resident:]
        if len(words) != size * len(homes):
            raise InputError(
                f"queue {name} has {len(words)} words behind the first {resident}, but {len(homes)} IFETCHes of {size}"
            )
        for number, (slice_, address) in enumerate(homes):
            data = b"".join(vectors(words[number * size : (number + 1) * size], self.config))
            values = np.frombuffer(data, np.int8).reshape(count, self.config.lanes)
            self._memory.place("", slice_, values, isa.Type.INT8, address)
        return track.words[:resident]

    def _placement(self, queue: Queue) -> Placement:
        return self._queues.setdefault(queue.name, Placement(queue))

    def _planes(self, symbol: Symbol) -> list[str]:
        first = self._plan.slices[symbol.slice]
        return [self._plan.slices[place].name for place in plane_slices(self.config, first, symbol.type)]

    def _emit(
        self,
        queue_name: str,
        mnemonic: str,
        values: Mapping[str, int | Stream],
        at: int,
        count: int,
        every: int,
        steps: tuple[int, int] | None,
    ) -> None:
        """Put an instruction and, for a count above 1, its REPEAT into a queue. ``steps``: of its two addresses."""
        queue = self._plan.queue(queue_name)
        words = [encode(mnemonic, values, queue, self.config)]
        instruction = isa.decode(words[0])
        assert instruction is not None
        taken = cost(instruction)
        if count < 1:
            raise InputError(f"queue {queue.name}: {mnemonic} with count {count}, must be at least 1")
        if count > 1:
            a, b = steps or (0, 0)
            repeat = {"n": count - 1, "d": every, "step_a": a, "step_b": b}
            words.append(encode("REPEAT", repeat, queue, self.config))
            taken += (count - 1) * every
        text = spell(instruction, queue, {})
        self._placement(queue).add(Entry(at, at + taken, tuple(words), text, self._line()))

    def _line(self) -> int:
        """The line of the file that made the builder which this call comes from; 0 if none."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and frame.f_code.co_filename != self._file:
            frame = frame.f_back
        return frame.f_lineno if frame is not None else 0


def _spelled(field: isa.Field, text: str) -> int | Stream:
    """An operand of an SXM instruction from its text; InputError if it is none."""
    if field.kind == "stream":
        return stream(text)
    if field.kind == "way":
        if text.upper() not in isa.Way.__members__:
            raise InputError(f"'{text}' is no way to shift; up and down are")
        return isa.Way[text.upper()]
    if not text.isdecimal():
        raise InputError(f"{field.name} is '{text}', must be a whole number")
    return int(text)
