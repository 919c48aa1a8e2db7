"""HAC, SAC and the drift δ between them (architecture, section 6; the counters of the ISCA 2022 paper's section 3)."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tsp.config import ChipConfig

COUNTER_BITS = 16
"""Width of the counter ports; the largest period is 2^16 cycles."""

DELTA_BITS = 12
DELTA_MIN, DELTA_MAX = -(1 << DELTA_BITS - 1), (1 << DELTA_BITS - 1) - 1


class Counters(wiring.Component):
    """The hardware aligned counter, the software aligned counter and δ = SAC - HAC, counted from reset on.

    This cycle's addition to the HAC is 1; with ``hac_fast`` 2, and δ becomes one less; with ``hac_slow`` 0, and δ
    becomes one more; with both 1. A step that would take δ beyond its 12 bits leaves it at the limit and raises
    ``saturated``.

    Attributes:
        hac_fast, hac_slow: in, steps of this cycle.
        align: in, SAC := HAC and δ := 0 at the end of this cycle, with this cycle's steps already counted (DESKEW).
        absorb: in, the δ of this cycle is taken off δ and SAC (RUNTIME_DESKEW); this cycle's step stays in δ.
        hac_next: out, the HAC of the next cycle.
        carry: out, this cycle's addition carries out of the HAC: the next cycle is the first one of an epoch.
        saturated: out, this cycle's step does not fit in δ.
        hac_next: out, what the HAC is in the next cycle.
        hac, sac: out, registers, 0 … hac_period - 1.
        delta: out, register, 12 bits, signed.
    """

    hac_fast: In(1)
    hac_slow: In(1)
    align: In(1)
    absorb: In(1)
    hac_next: Out(COUNTER_BITS)
    carry: Out(1)
    saturated: Out(1)
    hac_next: Out(COUNTER_BITS)
    hac: Out(COUNTER_BITS)
    sac: Out(COUNTER_BITS)
    delta: Out(signed(DELTA_BITS))

    def __init__(self, config: ChipConfig):
        self.period_bits = (config.hac_period - 1).bit_length()
        super().__init__()

    def elaborate(self, platform):
        """HAC, SAC and δ as three registers: SAC is not computed from the others, so that each counts by itself."""
        m = Module()
        hac = Signal(self.period_bits)
        sac = Signal(self.period_bits)
        m.d.comb += [self.hac.eq(hac), self.sac.eq(sac)]
        fast, slow = self.hac_fast & ~self.hac_slow, self.hac_slow & ~self.hac_fast

        sum_ = Signal(self.period_bits + 1)
        m.d.comb += [sum_.eq(hac + Mux(fast, 2, Mux(slow, 0, 1))), self.carry.eq(sum_[-1])]
        m.d.comb += self.hac_next.eq(sum_[:-1])
        m.d.sync += hac.eq(sum_)

        with m.If(self.align):
            m.d.sync += sac.eq(sum_)
        with m.Elif(self.absorb):
            m.d.sync += sac.eq(sac + 1 - self.delta)
        with m.Else():
            m.d.sync += sac.eq(sac + 1)

        kept = Mux(self.absorb, 0, self.delta)
        full = (fast & (kept == DELTA_MIN)) | (slow & (kept == DELTA_MAX))
        m.d.comb += self.saturated.eq(full & ~self.align)
        with m.If(self.align):
            m.d.sync += self.delta.eq(0)
        with m.Elif(self.absorb | (fast | slow) & ~full):
            m.d.sync += self.delta.eq(kept - fast + slow)
        return m
