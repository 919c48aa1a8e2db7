"""A child's HAC comes to its parent's and stays: the aligner and the difference of two counters, nothing else."""

from collections.abc import Callable
from typing import Any

from amaranth.hdl import Mux, Signal, Value, signed

from tb.formal.bench import Bench
from tb.formal.planted import Bug, Rtl
from tb.formal.proof import Proof

INTERVAL, SAMPLES = 32, 32
HALF = SAMPLES // 2
APART = 2 * INTERVAL * SAMPLES
"""Cycles between two that clocks come apart: 488 ppm."""
WIDE = 12


def aligned(period: int, jitter: int) -> Callable[[Rtl], Bench]:
    """``error`` is by how much the parent's HAC is ahead, and what a stamp says is that and the packet's jitter."""

    def build(rtl: Rtl) -> Bench:
        return Bench(lambda bench: _aligned(bench, rtl, period, jitter))

    return build


def _aligned(bench: Bench, rtl: Rtl, period: int, jitter: int) -> None:
    m, unit = bench.m, rtl("rtl.link.aligner").Aligner(period, jitter)
    inside = bench.place("aligner", unit)
    bench.drive(unit, "stamp_valid", "latency", "fraction", "arrival")
    m.d.comb += unit.enable.eq(1)
    bits = (period - 1).bit_length()
    error = Signal(signed(bits), name="apart", reset_less=True)
    noise = bench.free(signed(bits), "jitter")
    bench.assume((noise <= jitter) & (noise >= -jitter))
    m.d.comb += unit.stamp.eq((unit.arrival - unit.latency + error + noise)[:bits])
    drift, since = _drift(bench)
    step = Mux(unit.hac_fast, 1, Mux(unit.hac_slow, -1, 0))
    m.d.sync += error.eq(error + drift - step)
    sample = _Sample(bench, unit, inside["cycle"], error, noise)
    small = Signal(name="was_small")
    m.d.sync += small.eq(small | (_size(error) <= jitter + 2))

    quarter, first = period // 4, inside["cycle"] == 0
    near, steps = _size(error) <= quarter - jitter - 1, unit.hac_fast | unit.hac_slow
    bench.claim(first & ~(unit.hac_fast & unit.hac_slow), steps)
    bench.claim(error >= -1, unit.hac_fast & near)
    bench.claim(error <= 1, unit.hac_slow & near)
    bench.claim(steps, first & sample.judges & (_size(error) > 2 * jitter + 3))
    bench.claim(unit.hac_fast, first & sample.judges & (_size(error) > quarter + jitter + 1))
    seen = Signal.like(error, name="seen")
    m.d.comb += seen.eq(sample.judged + sample.judged_noise)
    beyond = first & sample.judges & (_size(seen) > jitter + 2)
    bench.claim(steps & (unit.hac_fast == ((seen > 0) | (_size(seen) > quarter))), beyond)
    bench.claim(_size(error) <= jitter + 3, small)
    _sample_inside(bench, unit, inside, sample, since, jitter)
    _sum_inside(bench, unit, inside, sample, since, jitter, small)


def _size(value: Value) -> Value:
    return Mux(value < 0, -value, value)


def _drift(bench: Bench) -> tuple[Value, Value]:
    """What the parent's HAC gains in a cycle, and cycles since it last gained or lost one."""
    drift, since = bench.free(signed(2), "drift"), Signal(WIDE, name="since_drift", init=APART)
    bench.assume((drift == 0) | ((drift != -2) & (since == APART)))
    with bench.m.If(drift != 0):
        bench.m.d.sync += since.eq(0)
    with bench.m.Elif(since != APART):
        bench.m.d.sync += since.eq(since + 1)
    return drift, since


class _Sample:
    """The last sample: by how much HACs were ``apart`` when it came, and its ``noise``; ``here``: it came in one of
    cycles 1 … 30 of this interval. ``judged`` and ``judged_noise``: those of the sample that decided in the interval
    before; ``judges``: there was one."""

    def __init__(self, bench: Bench, unit: Any, cycle: Value, error: Value, noise: Value):
        m, self.error = bench.m, error
        self.apart, self.noise = (
            Signal.like(error, name="sampled"),
            Signal.like(error, name="sampled_noise", reset_less=False),
        )
        self.judged, self.judged_noise = (
            Signal.like(error, name="judged"),
            Signal.like(error, name="judged_noise", reset_less=False),
        )
        self.here, self.judges = Signal(name="sample_here"), Signal(name="judges")
        with m.If(unit.stamp_valid):
            m.d.sync += [self.apart.eq(error), self.noise.eq(noise)]
        m.d.sync += self.here.eq((unit.stamp_valid | self.here) & (cycle != INTERVAL - 1) & (cycle != 0))
        with m.If(cycle == INTERVAL - 1):
            m.d.sync += [self.judged.eq(self.apart), self.judged_noise.eq(self.noise), self.judges.eq(1)]
        # Of an interval's samples one comes after the step that may be made in its first cycle.
        bench.assume((cycle != INTERVAL - 2) | self.here | unit.stamp_valid)


def _sample_inside(bench: Bench, unit: Any, inside: Any, sample: _Sample, since: Value, jitter: int) -> None:
    """What was sampled is what is there, but for one cycle of drift."""
    cycle, bits = inside["cycle"], len(sample.error)
    bench.invariant((_size(sample.noise) <= jitter) & (_size(sample.judged_noise) <= jitter))
    bench.invariant(inside["error"] == (sample.apart + sample.noise)[:bits].as_signed(), inside["fresh"])
    bench.invariant(inside["fresh"] & (cycle != 0), sample.here)
    bench.invariant(sample.here, cycle == INTERVAL - 1)
    bench.invariant(_since_then(sample.error, sample.apart, since, cycle), sample.here)
    bench.invariant(_since_then(sample.error, sample.judged, since, INTERVAL), sample.judges & (cycle == 0))


def _since_then(now: Value, then: Value, since: Value, cycles: Any) -> Value:
    """``now`` is what it was ``then``, or one drift away, less than so many cycles ago."""
    apart = (now - then)[: len(now)].as_signed()
    return (apart == 0) | ((_size(apart) == 1) & (since < cycles))


def _sum_inside(bench: Bench, unit: Any, inside: Any, sample: _Sample, since: Value, jitter: int, small: Value) -> None:
    """Of the samples that are summed up none is far from another, and all are near what is there."""
    m, cycle, count, total = bench.m, inside["cycle"], inside["count"], inside["total"]
    error = sample.error
    low, high = Signal.like(error, name="least_sampled"), Signal.like(error, name="most_sampled")
    with m.If(cycle == INTERVAL - 1):
        m.d.sync += [
            low.eq(Mux((count == 0) | (sample.apart < low), sample.apart, low)),
            high.eq(Mux((count == 0) | (sample.apart > high), sample.apart, high)),
        ]
    summing = count != 0
    elapsed, left = Signal(WIDE, name="elapsed"), Signal(signed(WIDE + 1), name="left")
    m.d.comb += [elapsed.eq(count * INTERVAL + cycle), left.eq(SAMPLES * INTERVAL - elapsed)]
    # Every sum began with some fraction of L in 32nds.
    bench.invariant((total < count * (high + jitter) + HALF) & (total >= count * (low - jitter) - HALF))
    bench.invariant((total < count * (jitter + 2) + HALF) & (total >= -count * (jitter + 2) - HALF))
    bench.invariant((low >= -2 * jitter - 2) & (high <= 2 * jitter + 2) & (high - low <= 1) & (low <= high), summing)
    bench.invariant((error >= high - 1) & (error <= low + 1), summing)
    bench.invariant(((high == low) & (error == low)) | (since < elapsed), summing)
    drifted = sample.here & (sample.apart != error)
    bench.invariant((low == high) & (low == sample.apart), summing & drifted)
    steps = unit.hac_fast | unit.hac_slow
    bench.invariant((count == 0) & (cycle == 0), steps)
    bench.invariant(sample.judges, (count != 0) | steps)
    # One that drift takes out of the band is brought back by the end of the sum.
    out = small & (_size(error) == jitter + 3)
    bench.invariant(since <= SAMPLES * INTERVAL + 2, out)
    bench.invariant(since + left <= SAMPLES * INTERVAL + 1, out & ~steps)
    bench.invariant((error < 0) == unit.hac_slow, out & steps)


RULES = "in every interval of 32 cycles a good HAC comes after the first, its latency within ±J; clocks come apart by "
RULES += "one cycle in 2,048 at most"
PROOFS = [
    Proof(
        name="aligner-exact",
        block="link/aligner",
        claim="without jitter, from any error and with any fraction of L, every interval brings the HACs nearer, "
        "forward if they are a quarter of a period apart, until they are within 2 cycles; then they stay within 3",
        build=aligned(16, 0),
        reduced="epochs of 16 cycles, J = 0",
        assumed=RULES,
        bug=Bug("rtl.link.aligner", "Mux(outside, error > 0,", "Mux(outside, error < 0,"),
        twin_depth=40,
    ),
    Proof(
        name="aligner-jitter",
        block="link/aligner",
        claim="with any fraction of L, HACs that are not a quarter of a period apart never step away from each other "
        "but for a sum's rounding, step as the sample says after every one beyond J + 2, so nearer in every interval "
        "while more than 2·J + 3 apart, and once within J + 2 stay within J + 3",
        build=aligned(32, 1),
        reduced="epochs of 32 cycles, J = 1",
        assumed=RULES,
        bug=Bug("rtl.link.aligner", "| (error < -(self.period // 4))", "| (error < 0)"),
        twin_depth=40,
    ),
]
