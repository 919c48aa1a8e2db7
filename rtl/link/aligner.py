"""A child's HAC follows its parent's (docs/links.md, section 3)."""

from amaranth.hdl import Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.counters import COUNTER_BITS

JITTER = 9
"""J: a packet's latency is this many cycles from the nominal one at most."""

INTERVAL = 32
SAMPLES = 32
FRACTION_BITS = (SAMPLES - 1).bit_length()
"""Of L in 32nds of a cycle, signed: what it adds to all samples is the fraction itself, as there are 32."""
SILENT_EPOCHS = 16


def hac_error(period: int, stamp: Value, latency: Value, arrival: Value) -> Value:
    """What the own HAC lacks: stamp + latency - arrival, modulo the period into -period / 2 … period / 2 - 1."""
    bits = (period - 1).bit_length()
    return (stamp[:bits] + latency[:bits] - arrival[:bits])[:bits].as_signed()


class Aligner(wiring.Component):
    """Steps of the HAC from what comes on the parent's link: one step at most in every interval of 32 cycles.

    Attributes:
        enable: in, this chip has a parent. While it is low nothing is stepped, and sums begin anew.
        stamp_valid: in, a good HAC came: ``stamp``, the parent's HAC in the cycle it was sent in, and ``arrival``,
            this chip's HAC in the cycle it arrived in.
        latency, fraction: in, the nominal L from the parent, in cycles and signed 32nds of one. A sum takes the
            fraction with which it begins.
        hac_fast, hac_slow: out, registers: step the HAC forward, hold it back, in this cycle.
        silent: out, register: no good HAC came for 16 epochs of 2^n cycles. It stays until reset.
    """

    enable: In(1)
    stamp_valid: In(1)
    stamp: In(COUNTER_BITS)
    arrival: In(COUNTER_BITS)
    latency: In(COUNTER_BITS)
    fraction: In(FRACTION_BITS)
    hac_fast: Out(1)
    hac_slow: Out(1)
    silent: Out(1)

    def __init__(self, period: int, jitter: int = JITTER):
        self.period = period
        self.jitter = jitter
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        error = Signal(signed((self.period - 1).bit_length()))
        fresh = Signal()
        cycle = Signal(range(INTERVAL))
        ends = cycle == INTERVAL - 1
        m.d.sync += [cycle.eq(cycle + 1), fresh.eq(self.stamp_valid | fresh & ~ends)]
        with m.If(self.stamp_valid):
            m.d.sync += error.eq(hac_error(self.period, self.stamp, self.latency, self.arrival))

        takes = ends & fresh & self.enable
        far = (error > self.period // 4) | (error < -(self.period // 4))
        outside = (error > self.jitter + 2) | (error < -(self.jitter + 2))
        count, total, sum_ = self._sum(m, error)
        last = count == SAMPLES - 1
        fast = Mux(far, 1, Mux(outside, error > 0, last & (sum_ > SAMPLES // 2)))
        slow = Mux(far, 0, Mux(outside, error < 0, last & (sum_ < -(SAMPLES // 2))))
        m.d.sync += [self.hac_fast.eq(takes & fast), self.hac_slow.eq(takes & slow)]
        with m.If(~self.enable | takes & (far | outside | last)):
            m.d.sync += [count.eq(0), total.eq(self.fraction.as_signed())]
        with m.Elif(takes):
            m.d.sync += [count.eq(count + 1), total.eq(sum_)]

        silence = Signal(range(SILENT_EPOCHS * self.period))
        with m.If(self.stamp_valid | ~self.enable):
            m.d.sync += silence.eq(0)
        with m.Else():
            m.d.sync += [silence.eq(silence + 1), self.silent.eq(self.silent | silence.all())]
        return m

    def _sum(self, m: Module, error: Signal) -> tuple[Signal, Signal, Signal]:
        """Number and sum of the errors so far, and the sum with this one."""
        bits = signed((SAMPLES * (self.jitter + 2) + SAMPLES // 2).bit_length() + 1)
        count = Signal(range(SAMPLES))
        total = Signal(bits)
        sum_ = Signal(bits, name="sum")
        m.d.comb += sum_.eq(total + error)
        return count, total, sum_
