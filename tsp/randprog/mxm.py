"""Templates of the MXM: weights loaded and installed, activations multiplied, sums accumulated and driven out."""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from tsp import isa
from tsp.floorplan import EAST, WEST
from tsp.isa import AccMode, Type
from tsp.randprog import streams, values, vxm
from tsp.randprog.layout import Layout, NoRoom, Shape
from tsp.timing import arrival

NEVER = 1 << 60
USES_ROW = (AccMode.ADD, AccMode.PEEK)


class Plane:
    """One MXM plane of a layout and what of it is defined when."""

    def __init__(self, layout: Layout, hemisphere: str, number: int):
        self.layout, self.rng = layout, layout.rng
        name = f"mxm.{hemisphere}{number}"
        self.weights, self.activations, self.accumulate = (
            layout.plan.queue(f"{name}.{part}") for part in ("weights", "activations", "accumulate")
        )
        self.site = self.weights.site
        self.inward = EAST if hemisphere == "e" else WEST
        """Direction of the streams the plane reads; it drives the other one."""
        self.loaded = self.installed = NEVER
        """First cycles in which an IW finds every supercell of the buffer loaded, an ABC weights in the array."""
        self.rows: dict[int, int] = {}
        """Accumulator row → the first cycle in which an ACC finds it defined."""
        self.partner: Plane | None = None
        """Of a pair's plane 0: plane 1."""
        self.halves: list[NDArray[np.int64]] = []
        """Of a pair: fp16 numbers of which weights are made, and which of their bytes are this plane's."""
        self.byte = 0
        self.of_fp32: dict[int, bool] = {}
        """Accumulator row → whether it is one of fp32 sums; every row is of one kind throughout."""
        depth = layout.config.acc_depth
        self.pool = sorted({row for row in (0, 1, 2, 3, depth - 2, depth - 1) if row < depth})

    def load_all(self, time: int, interval: int, install: bool = False) -> None:
        """Load every supercell of the buffer, upwards or downwards, maybe installing it in each of the cycles."""
        count = self.layout.config.superlanes
        shape = Shape(count, interval)
        backwards = self.rng.randrange(2)
        self._load(time, shape, count - 1 if backwards else 0, -1 if backwards else 1, install)
        self._note("loaded", time + (count - 1) * interval + self.layout.timing.lw_iw)

    def load_some(self, time: int, shape: Shape) -> None:
        """Load some supercells, or one several times, now and then installing the buffer in the same cycles."""
        count = self.layout.config.superlanes
        supercell, step = self.rng.randrange(count), self.rng.choice((-1, 0, 1))
        if not 0 <= supercell + (shape.count - 1) * step < count:
            step = 0
        self._load(time, shape, supercell, step, install=time >= self.loaded and self.rng.random() < 0.7)

    def install(self, time: int, shape: Shape) -> None:
        """Install the buffer."""
        if time < self.loaded or self.layout.narrow(time):
            raise NoRoom
        self.layout.issue(self.weights, time, shape, isa.instruction("IW"))
        self._note("installed", time + self.layout.timing.iw_abc)

    def multiply(self, time: int, shape: Shape, fp16: bool = False) -> None:
        """One pass of activations whose sums are driven out."""
        start, step = self._rows(shape.count, time)
        defined = self._defined(start, step, time, shape)
        modes = [mode for mode in AccMode if defined or mode not in USES_ROW]
        self._pass(time, shape, start, step, self.rng.choice(modes), out=True, fp16=fp16)

    def overlap(self, time: int, shape: Shape) -> None:
        """Load or install weights in the cycle of an ABC, or before its sum has left the array."""
        self.multiply(time, shape)
        time += self.rng.choice((0, 0, self.rng.randrange(shape.length + self.layout.timing.abc_acc)))
        supercell = self.rng.randrange(self.layout.config.superlanes)
        action = self.rng.choice(("LW", "IW", "LW_IW"))
        if action == "IW":
            self.install(time, Shape())
        else:
            self._load(time, Shape(), supercell, 0, install=action == "LW_IW")

    def matmul(self, time: int, shape: Shape, fp16: bool = False) -> None:
        """Several passes over the same rows, as blocks of a wide matrix: stored, added to, driven out at the end."""
        start, step = self._rows(shape.count, time)
        mode, first = AccMode.STORE, time
        passes = self.rng.choice((2, 2, 3))
        for i in range(passes):
            last = i == passes - 1
            if last:
                mode = self.rng.choice((AccMode.ADD, AccMode.PEEK))
            if self.layout.powered(time) != self.layout.powered(first):
                raise NoRoom
            self._pass(time, shape, start, step, mode, out=last or self.rng.random() < 0.2, fp16=fp16)
            mode = AccMode.ADD
            time += shape.length + self.rng.choice((0, 0, 1, 3))

    def _note(self, what: str, time: int) -> None:
        before = getattr(self, what)
        setattr(self, what, min(before, time))
        self.layout.log(lambda: setattr(self, what, before))

    def _load(self, time: int, shape: Shape, supercell: int, step: int, install: bool = False) -> None:
        # With more superlanes powered, what these weights leave as it was would be used, too.
        if install and time < self.loaded or self.layout.narrow(time):
            raise NoRoom
        operands = streams.any_group(self.layout, self.inward, isa.GROUP16)
        read = time + self.layout.timing.lw_skew
        words = self._halves(shape) if self.halves and self.rng.random() < 0.8 else None
        streams.source(self.layout, self.site, operands, read, shape, reuse=0.2 if words else 0.8, words=words)
        word = isa.instruction("LW_IW" if install else "LW", supercell=supercell, stream=operands[0])
        step_b = streams.spare_step(self.layout, shape)
        self.layout.issue(self.weights, time, shape, word, step_a=step if shape.count > 1 else 0, step_b=step_b)
        if install:
            self._note("installed", time + self.layout.timing.iw_abc)

    def _halves(self, shape: Shape) -> list[list[NDArray[np.uint8]]]:
        """The plane's bytes of fp16 numbers for each of sixteen streams: what both planes load belongs together."""
        chosen = [[self.halves[(j + i) % len(self.halves)] for i in range(shape.count)] for j in range(isa.GROUP16)]
        return [values.plane(numbers, self.byte) for numbers in chosen]

    def _rows(self, count: int, time: int) -> tuple[int, int]:
        """Rows of ACCs of activations from ``time`` on. Even and odd ones, if a program powers some superlanes only."""
        pool, steps = self.pool, [-2, -1, 0, 1, 1, 2]
        if any(p < self.layout.config.superlanes for _, p in self.layout.powers):
            odd = self.layout.powered(time) < self.layout.config.superlanes
            pool, steps = [row for row in pool if row % 2 == odd], [-2, 0, 0, 2]
        start, step = self.rng.choice(pool), self.rng.choice(steps)
        last = start + (count - 1) * step
        return start, step if count > 1 and 0 <= last < self.layout.config.acc_depth else 0

    def _defined(self, start: int, step: int, time: int, shape: Shape) -> bool:
        """Whether every row an ACC would find is defined, for activations from ``time`` on."""
        taken = shape.times(time + self.layout.timing.abc_acc)
        return all(self.rows.get(start + i * step, NEVER) <= t for i, t in enumerate(taken))

    def _pass(
        self, time: int, shape: Shape, start: int, step: int, mode: AccMode, out: bool, fp16: bool = False
    ) -> None:
        layout, table = self.layout, self.layout.timing
        undefined = mode in USES_ROW and not self._defined(start, step, time, shape)
        if time < self.installed or undefined:
            raise NoRoom
        if mode != AccMode.PASS:
            self._use_as(fp16, [start + i * step for i in range(shape.count)])
        if fp16:
            self._activate_pair(time, shape)
        else:
            operands = streams.any_group(layout, self.inward, 1)
            streams.source(layout, self.site, operands, time + table.abc_skew, shape, reuse=0.3)
            layout.issue(self.activations, time, shape, isa.instruction("ABC", stream=operands[0]))
        taken = time + table.abc_acc
        results = streams.any_group(layout, 1 - self.inward, 4) if out else []
        fields = {"row": start, "mode": mode, "out": int(out), "stream": results[0] if out else 0}
        step_b = streams.spare_step(layout, shape)
        layout.issue(self.accumulate, taken, shape, isa.instruction("ACC", **fields), step_a=step, step_b=step_b)
        for result in results:
            layout.drive(self.accumulate, result, taken, table.acc_func, shape)
        if mode in (AccMode.STORE, AccMode.ADD):
            for i, t in enumerate(shape.times(taken)):
                self._define(start + i * step, t + table.acc_acc)
        if out:
            type_ = Type.FP32 if fp16 and layout.config.vxm_float else Type.INT32
            layout.attempt(lambda: self._use(results, type_, taken + table.acc_func, shape))

    def _activate_pair(self, time: int, shape: Shape) -> None:
        """ABCs of fp16, during which the pair's other plane multiplies nothing."""
        if self.partner is None or time < self.partner.installed:
            raise NoRoom
        for t in shape.times(time):
            if not self.layout.free(self.partner.activations.index, t, t + 1):
                raise NoRoom
            self.layout.block(self.partner.activations.index, t)
        operands = streams.any_group(self.layout, self.inward, Type.FP16.planes)
        vectors = [values.factors(self.rng, self.layout.config.lanes) for _ in range(shape.count)]
        read = time + self.layout.timing.abc_skew
        streams.source(self.layout, self.site, operands, read, shape, Type.FP16, reuse=0.2, vectors=vectors)
        self.layout.issue(self.activations, time, shape, isa.instruction("ABC_FP16", stream=operands[0]))

    def _use_as(self, fp16: bool, rows: list[int]) -> None:
        """Keep rows for sums of one kind; NoRoom if one is of the other already."""
        for row in rows:
            if self.of_fp32.get(row, fp16) != fp16:
                raise NoRoom
            if row not in self.of_fp32:
                self.of_fp32[row] = fp16
                self.layout.log(partial(self.of_fp32.pop, row))

    def _define(self, row: int, time: int) -> None:
        before = self.rows.get(row)
        self.rows[row] = time if before is None else min(before, time)
        self.layout.log(lambda: self.rows.pop(row) if before is None else self.rows.update({row: before}))

    def _use(self, results: list[int], type_: Type, event: int, shape: Shape) -> None:
        """What leaves the accumulator goes through the VXM or to memory."""
        if self.rng.random() < 0.5:
            passing = event + arrival(self.site, self.layout.plan.vxm_site)
            vxm.consume(self.layout, results, type_, passing, shape)
        else:
            streams.store(self.layout, self.site, results, event, shape)


def planes(layout: Layout) -> list[Plane]:
    """Every plane of the chip."""
    config = layout.config
    found = {h: [Plane(layout, h, number) for number in range(config.planes(h))] for h in "we"}
    for h, pair in found.items():
        if config.multiplies_fp16(h):
            pair[0].partner = pair[1]
            halves = [values.factors(layout.rng, config.lanes) for _ in range(2 * isa.GROUP16)]
            for byte, plane in enumerate(pair):
                plane.halves, plane.byte = halves, byte
    return [plane for pair in found.values() for plane in pair]
