"""HAC, SAC and δ under any steps, and what DESKEW and RUNTIME_DESKEW make of them."""

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value, signed

from tb.formal.bench import PLAIN, Bench
from tb.formal.planted import Bug, Rtl
from tb.formal.proof import Proof

# Small enough for a few steps to bring the epoch's end nearer.
CONFIG = PLAIN.override(["hac_period=16"])
PERIOD = CONFIG.hac_period
QUEUES = 3
NO_QUEUE, ILLEGAL, NEGATIVE, SATURATED = 255, 5, 9, 10
"""From the table of faults in docs/architecture.md, section 5."""


@dataclass
class Clocks:
    """HAC and δ by plain counting. ``total``: the HAC with an epoch number of 8 bits above it."""

    total: Signal
    step: Value
    slew: Value
    delta: Signal
    saturates: Value

    @property
    def epoch_ends(self) -> Value:
        """The next cycle is in another epoch than this one."""
        return (self.total + self.step)[: len(self.total)] // PERIOD != self.total // PERIOD


def clocks(m: Module, unit: Any, align: Value, absorb: Value) -> Clocks:
    """What ``unit``, whose HAC is stepped, must show."""
    total = Signal(range(PERIOD * 256), name="hac_in_all")
    fast, slow = unit.hac_fast & ~unit.hac_slow, unit.hac_slow & ~unit.hac_fast
    step = Mux(fast, 2, Mux(slow, 0, 1))
    m.d.sync += total.eq(total + step)
    # A step forward makes SAC - HAC one less.
    slew = 1 - Value.cast(step).as_unsigned()
    delta, exact = Signal(signed(12), name="drift"), Signal(signed(14), name="exact_drift")
    m.d.comb += exact.eq(Mux(absorb, 0, delta) + slew)
    saturates = Signal(name="saturates")
    m.d.comb += saturates.eq(~align & ((exact > 2047) | (exact < -2048)))
    with m.If(align):
        m.d.sync += delta.eq(0)
    with m.Elif(~saturates):
        m.d.sync += delta.eq(exact)
    with m.Elif(absorb):
        m.d.sync += delta.eq(0)
    return Clocks(total, step, slew, delta, saturates)


def counters(rtl: Rtl) -> Bench:
    """The three counters."""

    def build(bench: Bench) -> None:
        m, unit = bench.m, rtl("rtl.counters").Counters(CONFIG)
        bench.place("counters", unit)
        bench.drive(unit)
        expected = clocks(m, unit, unit.align, unit.absorb)
        epoch, lost = Signal(8), Signal()
        with m.If(unit.carry):
            m.d.sync += epoch.eq(epoch + 1)
        with m.If(unit.align | expected.saturates):
            m.d.sync += lost.eq(~unit.align)
        bench.claim(unit.hac == expected.total % PERIOD)
        bench.claim(unit.carry == expected.epoch_ends)
        bench.claim(epoch == expected.total // PERIOD)
        bench.claim(unit.delta == expected.delta)
        bench.claim(unit.saturated == expected.saturates)
        bench.claim((unit.sac - unit.hac - unit.delta) % PERIOD == 0, ~lost)
        bench.claim(unit.sac < PERIOD)
        aligned = bench.before(unit.align, "aligned")
        bench.claim((unit.sac == unit.hac) & (unit.delta == 0), aligned)

    return Bench(build)


def waits(rtl: Rtl) -> Bench:
    """The unit beside the queues, with queues that keep to what is proved of them."""

    def build(bench: Bench) -> None:
        m, unit = bench.m, rtl("rtl.icu_control").IcuControl(CONFIG, QUEUES)
        inside = bench.place("control", unit)
        bench.drive(unit)
        deskewing, retiming = unit.deskew.any(), unit.runtime_deskew.any()
        _queues(bench, unit, deskewing, retiming)
        age, sampled, first = Signal(18), Signal(signed(18)), Signal()
        due = Signal(signed(18))
        m.d.comb += [first.eq(retiming & (age == 0)), due.eq(Mux(first, unit.runtime_t + unit.delta, sampled))]
        ends = retiming & (age == Mux(due < 0, 0, due))
        with m.If(first):
            m.d.sync += sampled.eq(due)
        m.d.sync += age.eq(Mux(retiming & ~ends, age + 1, 0))

        align = Signal()
        expected = clocks(m, unit, align, first)
        m.d.comb += align.eq(deskewing & expected.epoch_ends)
        bench.claim(unit.hac == expected.total % PERIOD)
        bench.claim(unit.delta == expected.delta)
        bench.claim(unit.resume == (align | ends))
        resumed = bench.before(unit.resume & deskewing, "deskewed")
        bench.claim((unit.hac < 2) & (unit.sac == unit.hac) & (unit.delta == 0), resumed)
        stepped = Signal()
        with m.If(retiming):
            m.d.sync += stepped.eq((expected.step != 1) | stepped & ~first)
        lost = Signal()
        with m.If(align | expected.saturates):
            m.d.sync += lost.eq(~align)
        was_retiming = bench.before(retiming, "retimes")
        bench.claim(unit.delta == 0, was_retiming & ~stepped)
        bench.claim(unit.sac == unit.hac, was_retiming & ~stepped & ~lost)
        _schedule_time(bench, unit, inside["counting"], deskewing | retiming, ends)
        _faults(bench, unit, first & (due < 0), expected.saturates)

        bench.invariant(inside["waiting"] == (retiming & (age != 0)))
        bench.invariant(was_retiming, age != 0)
        bench.invariant((age == 0) | (age <= due) & retiming)
        bench.invariant(inside["remaining"] == due - age, age != 0)
        bench.invariant(((unit.sac - unit.hac - unit.delta) % PERIOD == 0) & (unit.sac < PERIOD), ~lost)

    return Bench(build)


def _queues(bench: Bench, unit: Any, deskewing: Value, retiming: Value) -> None:
    """A queue waits until its resume, and all that wait began in one cycle with the same word (section 6)."""
    ended = bench.before(unit.resume | ~(deskewing | retiming), "free_to_begin", init=1)
    for name in ("deskew", "runtime_deskew", "runtime_t"):
        port = getattr(unit, name)
        earlier = bench.before(port, f"earlier_{name}")
        bench.assume(ended | (port == earlier))
    bench.assume(~(deskewing & retiming))
    bench.assume(retiming | (unit.runtime_t == 0))
    bench.assume(~unit.start | ~(deskewing | retiming))


def _schedule_time(bench: Bench, unit: Any, counting: Value, waits: Value, ends: Value) -> None:
    """It stands still in a wait; a DESKEW takes 1 and a RUNTIME_DESKEW 1 + t of it."""
    moves = unit.resume | ~waits
    advance = Mux(counting & moves, 1 + Mux(ends, unit.runtime_t, 0), 0)
    now = bench.before(Mux(unit.start, 0, unit.now + advance)[:32], "expected_now")
    bench.claim(unit.now == now)


def _faults(bench: Bench, unit: Any, negative: Value, saturates: Value) -> None:
    """The lowest queue's, and of one queue the lowest kind; the counters' come last."""
    faulty = unit.illegal | Mux(negative, unit.runtime_deskew, 0)
    queue, kind = Signal(8), Signal(4)
    m = bench.m
    m.d.comb += [queue.eq(NO_QUEUE), kind.eq(SATURATED)]
    for i in reversed(range(QUEUES)):
        with m.If(faulty[i]):
            m.d.comb += [queue.eq(i), kind.eq(Mux(unit.illegal[i], ILLEGAL, NEGATIVE))]
    raised = bench.before(faulty.any() | saturates, "raised")
    bench.claim(unit.fault_valid == raised)
    bench.claim(unit.fault_queue == bench.before(queue, "lowest_queue"), raised)
    bench.claim(unit.fault_kind == bench.before(kind, "lowest_kind"), raised)


PERIOD_16 = f"epochs of {PERIOD} cycles"
RULES = "queues wait as sequencer-* prove; those that wait dispatched the same word in one cycle; no start meanwhile"
PROOFS = [
    Proof(
        name="counters-epochs",
        block="counters",
        claim="under any steps every multiple of the period is one carry: no epoch is skipped or doubled",
        build=counters,
        reduced=PERIOD_16,
        bug=Bug("rtl.counters", "self.carry.eq(sum_[-1])", "self.carry.eq(hac.all())"),
    ),
    Proof(
        name="counters-drift",
        block="counters",
        claim="δ is the sum of the steps since it was cleared, SAC = HAC + δ; at its limit δ stays and says so",
        build=counters,
        reduced=PERIOD_16,
        bug=Bug("rtl.counters", "kept - fast + slow", "Mux(self.absorb, 0, kept - fast + slow)"),
    ),
    Proof(
        name="deskew",
        block="icu_control",
        claim="DESKEW: resume is in the last cycle of an epoch, whatever the steps, and δ = 0 and SAC = HAC after it",
        build=waits,
        bug=Bug("rtl.icu_control", "self.deskew.any(), counters.carry", "self.deskew.any(), counters.hac == 15"),
        reduced=f"{QUEUES} queues, {PERIOD_16}",
        assumed=RULES,
    ),
    Proof(
        name="runtime-deskew",
        block="icu_control",
        claim="RUNTIME_DESKEW t: resume t + δ cycles after its own, at once if that is negative, which is a fault; "
        "δ is then what was stepped since, SAC = HAC + δ; schedule time counts 1 + t",
        build=waits,
        bug=Bug("rtl.icu_control", "remaining.eq(wait - 1)", "remaining.eq(wait - 2)"),
        reduced=f"{QUEUES} queues, {PERIOD_16}",
        assumed=RULES,
    ),
]
