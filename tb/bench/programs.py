"""The programs that are timed: a busy one and an idle one of any length, and a matrix product."""

import numpy as np
from numpy.typing import NDArray

from tsp.builder import Builder
from tsp.config import ChipConfig
from tsp.floorplan import floorplan
from tsp.isa import instruction
from tsp.program import Program
from tsp.timing import timing

READERS = 2
"""Slices that share a stream in :func:`busy`: each reads in every second cycle."""


class _Busy:
    """Where everything stands in :func:`busy`: mem.*0…3 are read, mem.*4…11 written; weights pass by before."""

    first = 100
    """Cycle of the first vector at the VXM: all weights are in place."""
    weight_slices = [f"mem.{side}{i}" for side in "we" for i in range(4, 12)]
    planes = {"mxm.e0": ("e0", "w16", "mem.e8"), "mxm.e1": ("e1", "w20", "mem.w8"), "mxm.w0": ("w0", "e16", "mem.w4")}
    """Plane → its activations, the stream of its sums, the slice they end in."""

    def __init__(self, config: ChipConfig, segments: int, seed: int):
        self.b = Builder(config)
        self.config = config
        self.rng = np.random.default_rng(seed)
        self.segment = READERS * config.mem_words
        self.count = segments * self.segment
        self.segments = segments

    def build(self) -> Program:
        self._weights()
        for side in "we":
            for stream in range(2):
                self._read(side, stream)
        self._vxm()
        for plane, (activations, sums, target) in self.planes.items():
            self._multiply(plane, activations, sums, target)
        return self.b.build()

    def _weights(self) -> None:
        lanes = self.config.lanes
        symbols = self.b.place_weights("w", self.weight_slices, self.rng.integers(-128, 128, (lanes, lanes)))
        for i, plane in enumerate(self.planes):
            # One plane's weights are past every slice before the next one's set out.
            done = self.b.load_weights(plane, symbols, 0, 20 + 20 * i)
            self.b.iw(plane, done)

    def _read(self, side: str, stream: int) -> None:
        """Vectors of two slices in turn, a vector a cycle at the VXM, all memory over and over."""
        for turn in range(READERS):
            slice_ = f"mem.{side}{READERS * stream + turn}"
            words = self.rng.integers(-128, 128, (self.config.mem_words, self.config.lanes))
            symbol = self.b.place(f"{side}{stream}_{turn}", slice_, words)
            for i in range(self.segments):
                at = self.first + i * self.segment + turn
                self.b.fetch(symbol, stream, "vxm", at, count=self.config.mem_words, every=READERS)

    def _vxm(self) -> None:
        b, first, count = self.b, self.first, self.count
        b.alu("vxm.r0s0", "ADD.sat", "e0:int8", "w0:int8", to="next", at=first, count=count)
        b.alu("vxm.r1s0", "MUL", "e1:int8", "w1:int8", to="w8:int16, next", at=first, count=count)
        b.alu("vxm.r0s1", "SUB", "r0", "r1", to="e12:int32", at=first + 1, count=count)
        b.alu("vxm.r1s1", "SRA.sat", "r1", "#3", to="w12:int8", at=first + 1, count=count)
        self._write("mem.e4", 12, "vxm", first + 1)

    def _multiply(self, plane: str, activations: str, sums: str, target: str) -> None:
        # What is west or east of the VXM in cycle `first` is on its other side a cycle later, a result alu_func later.
        start = self.b.arrive(self.first, "vxm", plane) - timing(self.config).alu_func + 1
        acc = self.b.abc(plane, activations, start, count=self.count)
        self.b.acc(plane, 0, "store", acc, to=sums)
        self.b.acc(plane, 0, "add", acc + 1, to=sums, count=self.count - 1, step=0)
        self._write(target, int(sums[1:]), plane, acc)

    def _write(self, slice_: str, stream: int, source: str, at: int) -> None:
        """Four byte planes, all to one word, which lies in the bank the weights are not in."""
        word = self.b.space(f"{slice_}_out", slice_, 1, "int32", address=self.config.mem_words // 2)
        self.b.store(word, stream, source, at, count=self.count, step=0)


def busy(config: ChipConfig, cycles: int = 20_000, seed: int = 1) -> Program:
    """All ALUs, planes and memory slices of a chip like ``tiny`` at work in every cycle, for at least ``cycles``.

    Eight slices read, each in every second cycle, sixteen write, four ALUs work and three planes multiply new vectors.
    """
    return _Busy(config, -(-cycles // (READERS * config.mem_words)), seed).build()


def idle(config: ChipConfig, cycles: int = 20_000) -> Program:
    """One queue waits ``cycles`` cycles; nothing else happens."""
    queue = floorplan(config).queue("mem.e0").index
    return Program(config, {queue: [instruction("NOP", n=cycles).encode()]})


def matmul(config: ChipConfig, x: NDArray[np.int8], w: NDArray[np.int8]) -> Program:
    """``x`` int8 [n, 16·S] times the transpose of ``w`` int8 [16·S, 16·S] on mxm.e0, int32 into symbol ``y``."""
    b = Builder(config)
    weights = b.place_weights("w", [f"mem.{'we'[j % 2]}{j // 2}" for j in range(16)], w)
    vectors = b.place("x", "mem.w8", x)
    product = b.space("y", "mem.e8", len(x), "int32")
    load = max(b.arrive(0, f"mem.{side}{i}", "mxm.e0") for side in "we" for i in range(9))
    install = b.load_weights("mxm.e0", weights, 0, load)
    b.iw("mxm.e0", install)
    start = install + timing(config).iw_abc
    activations = b.fetch(vectors, 16, "mxm.e0", start, count=len(x))
    sums = b.abc("mxm.e0", activations, start, count=len(x))
    b.acc("mxm.e0", 0, "store", sums, to="w0", count=len(x))
    b.store(product, 0, "mxm.e0", sums, count=len(x))
    return b.build()
