"""Hand-made programs: instructions placed at cycles, and a whole matrix product."""

import numpy as np

from golden.machine import run
from tsp.config import ChipConfig
from tsp.floorplan import floorplan
from tsp.isa import Instruction, OperandKind, instruction, stream_operand
from tsp.program import Image, Program

STREAM, IMMEDIATE, ALU = int(OperandKind.STREAM), int(OperandKind.IMMEDIATE), int(OperandKind.ALU)


def east(index: int) -> int:
    return stream_operand(0, index)


def west(index: int) -> int:
    return stream_operand(1, index)


class Handmade:
    """A program under construction: ``at`` places instructions, ``put`` words of memory."""

    def __init__(self, config: ChipConfig):
        self.config, self.plan = config, floorplan(config)
        self.program = Program(config)
        self.free: dict[str, int] = {}

    def at(self, cycle: int, queue: str, item: Instruction, count: int = 1, d: int = 1, a: int = 0, b: int = 0) -> None:
        """``count`` issues from ``cycle`` on, ``d`` apart, addresses stepping by a and b."""
        items = [item]
        wait = cycle - self.free.get(queue, 0)
        assert wait >= 0, f"{queue} is busy in cycle {cycle}"
        if wait:
            items.insert(0, instruction("NOP", n=wait))
        if count > 1:
            items.append(instruction("REPEAT", n=count - 1, d=d, step_a=a, step_b=b))
        self.words(queue).extend(item.encode() for item in items)
        self.free[queue] = cycle + (count - 1) * d + 1

    def words(self, queue: str) -> list[int]:
        return self.program.queues.setdefault(self.plan.queue(queue).index, [])

    def put(self, slice_: str, rows: np.ndarray, address: int = 0) -> None:
        """Define consecutive words of a slice from bytes [n, lanes]."""
        rows = np.asarray(rows).astype(np.uint8)
        place, new = self.place(slice_), address + np.arange(len(rows))
        if place in self.program.memory:
            old = self.program.memory[place]
            new, rows = np.concatenate([old.addresses, new]), np.concatenate([old.words, rows])
        self.program.memory[place] = Image(new, rows)

    def place(self, slice_: str) -> int:
        return self.plan.slice(slice_).index

    def hops(self, a: str, b: str) -> int:
        """Cycles a value takes from its SR beside slice ``a`` to be beside slice ``b``."""
        return abs(self.plan.slice(a).site - self.plan.slice(b).site) - 1

    def run(self, **options: bool):
        return run(self.program, **options)

    def queue(self, name: str) -> int:
        return self.plan.queue(name).index


def read(address: int, stream: int) -> Instruction:
    return instruction("READ", read_address=address, read_stream=stream)


def write(address: int, stream: int) -> Instruction:
    return instruction("WRITE", write_address=address, write_stream=stream)


def int32(result, places: list[int], addresses) -> np.ndarray:
    """int32 [n, lanes] from four byte planes in four slices."""
    planes = [result.words(place, addresses) for place in places]
    return np.ascontiguousarray(np.stack(planes, axis=-1)).view(np.int32)[..., 0]


class Matmul(Handmade):
    """``x`` int8 [n, lanes] times the transpose of ``w`` int8 [outputs, inputs] on plane mxm.e0, into int32."""

    plane = "mxm.e0"

    def __init__(self, config: ChipConfig, x: np.ndarray, w: np.ndarray):
        super().__init__(config)
        self.x, self.w = x, w
        self.first = config.mem_words // 2
        self.load = len(self.plan.sites) + 2
        self.start = self.load + config.superlanes + 1
        self.sums = self.start + 2 * config.superlanes
        self._weights()
        self._vectors()
        self._results()

    def _bring(self, slice_: str, arrival: int, stream: int, address: int, rows: np.ndarray) -> None:
        self.put(slice_, rows.view(np.uint8), address)
        start = arrival - 2 - self.hops(slice_, self.plane)
        self.at(start, slice_, read(address, stream), len(rows), a=1)

    def _weights(self) -> None:
        group, s = self.config.streams - 16, self.config.superlanes
        for j in range(16):
            self._bring(f"mem.{'we'[j // 8]}{j % 8}", self.load, east(group + j), 0, self.w[np.arange(s) * 16 + j])
        self.at(self.load, "mxm.e0.weights", instruction("LW", stream=east(group)), s, a=1)
        self.at(self.load + s, "mxm.e0.weights", instruction("IW"))

    def _vectors(self) -> None:
        self._bring("mem.w7", self.start, east(0), self.config.superlanes, self.x)
        self.at(self.start, "mxm.e0.activations", instruction("ABC", stream=east(0)), len(self.x))

    def _results(self) -> None:
        acc = instruction("ACC", out=1, stream=west(4))
        self.at(self.sums, "mxm.e0.accumulate", acc, len(self.x), a=1)
        self.outputs = [f"mem.e{4 + plane}" for plane in range(4)]
        for plane, slice_ in enumerate(self.outputs):
            self.arrival = self.sums + 2 + self.hops(self.plane, slice_)
            self.at(self.arrival, slice_, write(self.first, west(4 + plane)), len(self.x), b=1)

    @property
    def cycles(self) -> int:
        """What the program takes, from its parts."""
        return self.arrival + len(self.x)

    def product(self, result) -> np.ndarray:
        """int32 [n, outputs] that a run left in memory."""
        addresses = range(self.first, self.first + len(self.x))
        return int32(result, [self.place(slice_) for slice_ in self.outputs], addresses)


def random_bytes(count: int, lanes: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, lanes), dtype=np.uint8)


def random_int8(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-128, 128, shape, dtype=np.int8)
