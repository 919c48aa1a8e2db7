"""The planes of the MXM for :mod:`stepper`: each sum on its own, those of fp16 as fractions."""

from fractions import Fraction

import float_reference
import gmpy2
from plain_alu import to_signed

from tsp.isa import AccMode


class FloatSum(int):
    """A sum of fp16 products: the bits of an fp32."""


def dot(lanes):
    """The fp32 of the exact sum of (low, high) activation times (low, high) weight, the weight's as signed bytes."""
    exact, plus, minus = Fraction(0), False, False
    for a_low, a_high, w_low, w_high in lanes:
        a = float_reference.number_of_half(a_low + 256 * a_high)
        w = float_reference.number_of_half(w_low % 256 + w_high % 256 * 256)
        product = a * w
        if gmpy2.is_finite(product):
            exact += Fraction(*a.as_integer_ratio()) * Fraction(*w.as_integer_ratio())
        else:
            plus |= not product < 0
            minus |= not product > 0
    if plus or minus:
        return float_reference.NAN if plus and minus else 0x7F800000 if plus else 0xFF800000
    wide = float_reference.EXACT.div(gmpy2.mpz(exact.numerator), gmpy2.mpz(exact.denominator))
    return float_reference.single(wide)


class Planes:
    """Weights, sums and accumulator rows of all planes of a machine, whose streams, time and faults they use."""

    def __init__(self, machine):
        self.machine = machine
        self.buffer, self.array = {}, {}  # plane -> {output: weights}
        self.sums, self.rows = {}, {}
        self.int8, self.multiplied = {}, None  # plane -> cycle of its last ABC; plane and cycle of the last of fp16

    def dispatch(self, queue, instruction):
        values, plane, name = instruction.values, queue.slice, instruction.mnemonic
        if name == "ABC_FP16":
            return self._abc_fp16(plane, queue, values)
        if name == "ABC":
            if self.multiplied == (plane - 1, self.machine.now):
                self.machine.faults.add((self.machine.now, queue.index - 3, 1))
            read = self.machine.read(queue, values["stream"])
            vector = [to_signed(x, 8) if lane < 16 * self.machine.powered else 0 for lane, x in enumerate(read)]
            weights = self.array.get(plane, {})
            none = [0] * self.machine.config.lanes
            self.int8[plane] = self.machine.now
            self.sums[plane, self.machine.now + self.machine.table.abc_acc] = [
                sum(x * w for x, w in zip(vector, weights.get(out, none), strict=True))
                for out in range(self.machine.config.lanes)
            ]
            return None
        if name == "ACC":
            return self._acc(queue, values)
        loaded = {}
        if name != "IW":
            for j in range(16):
                vector = self.machine.read(queue, values["stream"] + j)
                loaded[16 * values["supercell"] + j] = [to_signed(x, 8) for x in vector]

        on, none = 16 * self.machine.powered, [0] * self.machine.config.lanes

        def changed(before, new):
            """Weights of inputs that are powered change, the others stay."""
            return before | {out: row[:on] + before.get(out, none)[on:] for out, row in new.items()}

        def change():
            if name != "LW":
                self.array[plane] = changed(self.array.get(plane, {}), self.buffer.get(plane, {}))
            self.buffer[plane] = changed(self.buffer.get(plane, {}), loaded)

        return change

    def _abc_fp16(self, plane, queue, values):
        """Low bytes of weights are in this plane, high ones in the next, which does nothing else in this cycle."""
        if self.int8.get(plane + 1) == self.machine.now:
            self.machine.faults.add((self.machine.now, queue.index, 1))
        self.multiplied = plane, self.machine.now
        low, high = (self.machine.read(queue, values["stream"] + i) for i in range(2))
        none = [0] * self.machine.config.lanes
        arrays = [self.array.get(plane + i, {}) for i in range(2)]
        outputs = range(self.machine.config.lanes)
        factors = [list(zip(low, high, *(a.get(out, none) for a in arrays), strict=True)) for out in outputs]
        self.sums[plane, self.machine.now + self.machine.table.abc_acc] = [
            FloatSum(float_reference.signed(dot(lanes[: 16 * self.machine.powered]))) for lanes in factors
        ]

    def _added(self, value, row):
        if isinstance(value, FloatSum):
            return float_reference.lane("ADD", False, True, row, value)
        return value + row

    def _acc(self, queue, values):
        sums = self.sums.pop((queue.slice, self.machine.now), None)
        if sums is None:
            self.machine.faults.add((self.machine.now, queue.index, 3))
            sums = [0] * self.machine.config.lanes
        key, mode = (queue.slice, values["row"]), AccMode(values["mode"])
        row = self.rows.get(key, [0] * self.machine.config.lanes)
        added = mode in (AccMode.ADD, AccMode.PEEK)
        result = [self._added(s, r) if added else int(s) for s, r in zip(sums, row, strict=True)]
        result = [to_signed(r, 32) for r in result]
        if values["out"]:
            streams = [bytes(r >> 8 * plane & 255 for r in result) for plane in range(4)]
            self.machine.drive(queue, values["stream"], streams, self.machine.table.acc_func)
        if mode in (AccMode.STORE, AccMode.ADD):
            on = 16 * self.machine.powered
            return lambda: self.rows.__setitem__(key, result[:on] + row[on:])
        return None
