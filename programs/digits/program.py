"""The digits classifier as a program for the chip `tiny`: 360 images, 64-32-10, nothing left to the host but argmax.

Every image goes through two passes of a plane of the east MXM (pixels 0-31 and 32-63), the VXM (bias, relu, requantise)
and one pass of the west plane, without touching memory on the way:

    mem.w4…w9    pixels ──────────────► mxm.e0, mxm.e1   layer 1, halves A and B of w1 in turn, summed by ACC
    vxm.r0s0 ◄─ int32 sums ─────────────┘    + b1 → relu (r0s1) → / 2^shift, saturated to int8 (r1s0)
    mxm.w0   ◄─ int8 hidden vector ─┘        layer 2
    vxm.r1s1 ◄─ int32 sums ─┘                + b2
    mem.e0…e7 ◄─ int32 logits ─┘

Each plane holds one half of w1 for a *phase* of CHUNK images and then the other; the next half streams in behind the
computing. mxm.e1 runs one phase behind mxm.e0, so that both want the same half at the same time (one load serves both)
and their finished sums take turns on one stream group: one hidden vector a cycle, just what mxm.w0 can take.

Layer 2 has only ten outputs for 32 columns. The images form GROUPS groups of 120; group g's weights stand in columns
10·g…, and ACC adds the three groups up: one accumulator row, one logits word, holds three images.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from programs.digits.model import HIDDEN, INPUTS, OUTPUTS, Weights, load_weights
from tsp.builder import Builder
from tsp.config import preset
from tsp.floorplan import floorplan
from tsp.memory_map import plane_slices
from tsp.program import Program, Symbol
from tsp.timing import timing

CONFIG = preset("tiny")
IMAGES = 360
CHUNK = 12
"""Images of a phase. Smaller starts sooner (the first hidden vector comes after one phase) and needs more loads."""
PLANES = ("mxm.e0", "mxm.e1")
PHASES = IMAGES // CHUNK
"""Phases of one plane: two per chunk of its images."""
GROUPS = 3
GROUP = IMAGES // GROUPS
USEFUL_MACS = IMAGES * (INPUTS * HIDDEN + HIDDEN * OUTPUTS)

WEIGHT_SLICES = [f"mem.e{i}" for i in range(12)] + [f"mem.w{i}" for i in range(4)]
PIXEL_SLICES = (("mem.w4", "mem.w5", "mem.w6"), ("mem.w7", "mem.w8", "mem.w9"))
"""For each plane the slices of its pixels, GROUP vectors in each."""
LOGITS_SLICES = ("mem.e4", "mem.e0")
"""First of the four slices of each half of the logits. Weights are read there meanwhile: logits use the other bank."""

# Streams. East: 0-15 w1, 16 and 17 pixels of each plane, 18-19 b1, 20-23 sums of layer 2, 24-27 logits, 28-29 b2.
# West: 0-3 sums of layer 1, 4 hidden vectors, 16-31 w2.
W1, PIXELS, B1, SUMS2, LOGITS, B2 = 0, 16, 18, 20, 24, 28
SUMS1, HIDDENS, W2 = 0, 4, 16

Half = tuple[int, str] | None
"""(address, stream) of a READ or a WRITE."""


def build(images: NDArray[np.int8], weights: Weights | None = None) -> Program:
    """The program with its memory.

    Args:
        images: int8 [360, 64].
        weights: the stored ones if not given.

    Raises:
        ValueError: `images` has another shape or type.
    """
    if images.dtype != np.int8 or images.shape != (IMAGES, INPUTS):
        raise ValueError(f"images are {images.dtype} {list(images.shape)}, expected int8 [{IMAGES}, {INPUTS}]")
    return _Digits(images, weights or load_weights()).program()


def logits_words(program: Program) -> list[tuple[int, int]]:
    """(place, word) of every word that holds logits when the program is done, four byte planes of 120."""
    return [word for symbol in _logits_symbols(program) for word in _words(symbol)]


def logits(program: Program, word: Callable[[int, int], NDArray[np.uint8]]) -> NDArray[np.int32]:
    """int32 [360, 10] from memory; ``word(place, address)`` is uint8 [32]. Moves bytes, computes nothing."""
    rows = []
    for symbol in _logits_symbols(program):
        data = np.array([word(*key) for key in _words(symbol)], np.uint8)
        planes = data.reshape(symbol.type.planes, symbol.count, CONFIG.lanes)
        rows.append(np.ascontiguousarray(np.moveaxis(planes, 0, -1)).view("<i4")[:, :, 0])
    packed = np.concatenate(rows)[:, : GROUPS * OUTPUTS]
    return packed.reshape(GROUP, GROUPS, OUTPUTS).swapaxes(0, 1).reshape(IMAGES, OUTPUTS).astype(np.int32)


def utilisation(cycles: int) -> float:
    """Useful multiplications over those that all planes could do in so many cycles."""
    planes = sum(slice_.unit == "mxm" for slice_ in floorplan(CONFIG).slices)
    return USEFUL_MACS / (planes * CONFIG.lanes**2 * cycles)


def _logits_symbols(program: Program) -> list[Symbol]:
    return [program.symbols[f"logits{half}"] for half in range(len(LOGITS_SLICES))]


def _words(symbol: Symbol) -> list[tuple[int, int]]:
    places = plane_slices(CONFIG, floorplan(CONFIG).slices[symbol.slice], symbol.type)
    return [(place, symbol.address + i) for place in places for i in range(symbol.count)]


@dataclasses.dataclass(frozen=True)
class _Schedule:
    """When things dispatch; all follow from the first LW.

    Attributes:
        load: the first LW of w1; phase h's is at ``load + h·CHUNK``.
        layer1: the first ABC of mxm.e0; phase h's is at ``layer1 + h·CHUNK``.
        hidden: ADD of b1 for the first image, one more each cycle.
        layer2: ABC of mxm.w0 for the first image.
        bias2: ADD of b2 for the first image (done for the last group only).
    """

    load: int
    layer1: int
    hidden: int
    layer2: int
    bias2: int

    @classmethod
    def of(cls, b: Builder) -> "_Schedule":
        table = timing(CONFIG)
        load = max(b.arrive(0, slice_, "mxm.e0.weights") for slice_ in WEIGHT_SLICES)
        layer1 = load + (CONFIG.superlanes - 1) + table.lw_iw + table.iw_abc
        # The first image's second half is multiplied in phase 1.
        hidden = b.arrive(layer1 + CHUNK + table.abc_acc, "mxm.e0", "vxm")
        layer2 = b.arrive(hidden + 2 * table.alu_next, "vxm", "mxm.w0")
        return cls(load, layer1, hidden, layer2, b.arrive(layer2 + table.abc_acc, "mxm.w0", "vxm"))


class _Digits:
    def __init__(self, images: NDArray[np.int8], weights: Weights):
        self.b = Builder(CONFIG)
        self.when = _Schedule.of(self.b)
        self.timeline: dict[str, dict[int, tuple[Half, Half]]] = {}
        """Slice → cycle → READ and WRITE, for slices that do both."""
        self._place(images, weights)
        self.shift = weights.shift1

    def _place(self, images: NDArray[np.int8], weights: Weights) -> None:
        b = self.b
        lanes = CONFIG.lanes
        self.w1 = b.place_weights("w1", WEIGHT_SLICES, np.vstack([weights.w1[:, :lanes], weights.w1[:, lanes:]]))
        w2 = np.zeros((GROUPS, lanes, HIDDEN), np.int8)
        for group in range(GROUPS):
            w2[group, group * OUTPUTS : (group + 1) * OUTPUTS] = weights.w2
        self.w2 = b.place_weights("w2", WEIGHT_SLICES, w2.reshape(-1, HIDDEN))
        self.pixels = [self._place_pixels(p, _in_order_of_use(images, p)) for p in range(len(PLANES))]
        self.b1 = b.place("b1", "mem.w10", weights.b1[None], "int16")
        self.b2 = b.place("b2", "mem.w4", np.tile(weights.b2, GROUPS)[None], "int16")
        bank, count = CONFIG.mem_words // 2, GROUP // len(LOGITS_SLICES)
        self.logits = [
            b.space(f"logits{i}", slice_, count, "int32", address=bank) for i, slice_ in enumerate(LOGITS_SLICES)
        ]

    def _place_pixels(self, p: int, vectors: NDArray[np.int8]) -> list[Symbol]:
        parts = np.split(vectors, len(PIXEL_SLICES[p]))
        return [self.b.place(f"pixels{p}_{i}", PIXEL_SLICES[p][i], part) for i, part in enumerate(parts)]

    def program(self) -> Program:
        for p, plane in enumerate(PLANES):
            self._layer1(p, plane)
        self._requantise()
        self._layer2()
        self._outputs()
        self._emit_timeline()
        return self.b.build()

    def _layer1(self, p: int, plane: str) -> None:
        b, when = self.b, self.when
        start = when.layer1 + p * CHUNK
        for i, symbol in enumerate(self.pixels[p]):
            stream = b.fetch(symbol, PIXELS + p, plane, start + i * GROUP, count=GROUP)
        b.abc(plane, stream, start, count=PHASES * CHUNK)
        for h in range(p, p + PHASES):
            load, abc = when.load + h * CHUNK, when.layer1 + h * CHUNK
            b.lw(plane, 0, f"e{W1}", load, count=CONFIG.superlanes)
            b.iw(plane, abc - timing(CONFIG).iw_abc)
            first = (h - p) % 2 == 0
            acc = abc + timing(CONFIG).abc_acc
            b.acc(plane, 0, "store" if first else "add", acc, to=None if first else f"w{SUMS1}", count=CHUNK)
        if p == 0:
            for h in range(PHASES + 1):  # the two planes' phases, one load for both
                self._read_weights(self.w1, h % 2, f"e{W1}", f"{plane}.weights", when.load + h * CHUNK)

    def _requantise(self) -> None:
        b, at = self.b, self.when.hidden
        bias = b.fetch(self.b1, B1, "vxm.r0s0", at, count=IMAGES, step=0)
        b.alu("vxm.r0s0", "ADD", f"w{SUMS1}:int32", f"{bias}:int16", to="next", at=at, count=IMAGES)
        b.alu("vxm.r0s1", "RELU", "r0", to="next", at=at + 1, count=IMAGES)
        b.alu("vxm.r1s0", "SRA.sat", "r0", f"#{self.shift}", to=f"w{HIDDENS}:int8", at=at + 2, count=IMAGES)

    def _layer2(self) -> None:
        b, plane, start = self.b, "mxm.w0", self.when.layer2
        sums = b.abc(plane, f"w{HIDDENS}", start, count=IMAGES)
        installed = self.when.layer1
        for group in range(GROUPS):
            install = start + group * GROUP - timing(CONFIG).iw_abc
            load = self._free_load(self.w2, installed)
            self._read_weights(self.w2, group, f"w{W2}", f"{plane}.weights", load)
            b.lw(plane, 0, f"w{W2}", load, count=CONFIG.superlanes)
            b.iw(plane, install)
            last = group == GROUPS - 1
            mode = "add" if group else "store"
            b.acc(plane, 0, mode, sums + group * GROUP, to=f"e{SUMS2}" if last else None, count=GROUP)
            installed = install

    def _outputs(self) -> None:
        b, first = self.b, self.when.bias2 + IMAGES - GROUP
        bias = b.fetch(self.b2, B2, "vxm.r1s1", first, count=GROUP, step=0)
        b.alu("vxm.r1s1", "ADD", f"e{SUMS2}:int32", f"{bias}:int16", to=f"e{LOGITS}:int32", at=first, count=GROUP)
        for half, symbol in enumerate(self.logits):
            for i in range(symbol.count):
                made = first + half * symbol.count + i
                for plane, (place, address) in enumerate(_words(symbol)[i :: symbol.count]):
                    slice_ = floorplan(CONFIG).slices[place].name
                    self._write(slice_, b.arrive(made, "vxm", slice_), (address, f"e{LOGITS + plane}"))

    def _read_weights(self, symbols: Sequence[Symbol], block: int, group16: str, queue: str, at: int) -> None:
        """READs of block ``block`` of weights that meet LWs of ``queue`` from cycle ``at`` on."""
        way, first = group16[0], int(group16[1:])
        for j, (slice_, symbol) in enumerate(zip(WEIGHT_SLICES, symbols, strict=True)):
            for column in range(CONFIG.superlanes):
                address = symbol.address + block * CONFIG.superlanes + column
                cycle = self.b.depart(at + column, slice_, queue)
                self.timeline.setdefault(slice_, {})[cycle] = ((address, f"{way}{first + j}"), None)

    def _free_load(self, symbols: Sequence[Symbol], after: int) -> int:
        """The first cycle after ``after`` for an LW of mxm.w0 whose READs meet none of those of w1."""
        columns = range(CONFIG.superlanes)
        at = after + 1
        while any(
            self.b.depart(at + column, slice_, "mxm.w0.weights") in self.timeline[slice_]
            for slice_ in WEIGHT_SLICES
            for column in columns
        ):
            at += 1
        return at

    def _write(self, slice_: str, cycle: int, write: tuple[int, str]) -> None:
        read, _ = self.timeline[slice_].get(cycle, (None, None))
        self.timeline[slice_][cycle] = (read, write)

    def _emit_timeline(self) -> None:
        for slice_, cycles in self.timeline.items():
            ordered = sorted(cycles)
            start = 0
            for i in range(1, len(ordered) + 1):
                if i == len(ordered) or not _continues(cycles, ordered[i - 1], ordered[i]):
                    self._emit(slice_, ordered[start], cycles[ordered[start]], i - start)
                    start = i

    def _emit(self, slice_: str, at: int, halves: tuple[Half, Half], count: int) -> None:
        read, write = halves
        if read and write:
            self.b.read_write(slice_, read, write, at, count=count)
        elif read:
            self.b.read(slice_, *read, at=at, count=count)
        elif write:
            self.b.write(slice_, *write, at=at, count=count)


def _in_order_of_use(images: NDArray[np.int8], plane: int) -> NDArray[np.int8]:
    """int8 [360, 32]: the pixel vectors of a plane. mxm.e0 begins a chunk with pixels 0-31, mxm.e1 with 32-63."""
    chunks = images.reshape(-1, len(PLANES), CHUNK, 2, CONFIG.lanes)[:, plane]  # chunk, image, half, lane
    halves = chunks.swapaxes(1, 2)  # chunk, half, image, lane
    return (halves if plane == 0 else halves[:, ::-1]).reshape(-1, CONFIG.lanes)


def _continues(cycles: dict[int, tuple[Half, Half]], before: int, cycle: int) -> bool:
    """Whether one REPEAT covers both cycles: the next cycle, the same streams, the next addresses."""
    if cycle != before + 1:
        return False
    follows = tuple(half and (half[0] + 1, half[1]) for half in cycles[before])
    return follows == cycles[cycle]
