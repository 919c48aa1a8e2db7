"""HAC, SAC and δ under any steps, and what DESKEW, POLL and RUNTIME_DESKEW make of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal, Value, signed

from tb.formal.bench import LINKED, PLAIN, Bench, Inside
from tb.formal.planted import Bug, Rtl
from tb.formal.proof import Proof
from tsp.config import ChipConfig

# Small enough for a few steps to bring the epoch's end nearer.
CONFIG = PLAIN.override(["hac_period=16"])
LINKED_CONFIG = LINKED.override(["hac_period=16"])
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


class Stall:
    """A RUNTIME_DESKEW by counting: it has waited ``age`` cycles and takes ``due`` beyond its own; ``first``, its own;
    ``ends``, its last; ``before``: the cycle before was one of it."""

    def __init__(self, bench: Bench, retiming: Value, runtime_t: Value, delta: Value):
        m = bench.m
        self.age, sampled, self.first = Signal(18, name="age"), Signal(signed(18)), Signal()
        self.due = Signal(signed(18))
        self.before = bench.before(retiming, "retimes")
        m.d.comb += [
            self.first.eq(retiming & (self.age == 0)),
            self.due.eq(Mux(self.first, runtime_t + delta, sampled)),
        ]
        self.ends = retiming & (self.age == Mux(self.due < 0, 0, self.due))
        with m.If(self.first):
            m.d.sync += sampled.eq(self.due)
        m.d.sync += self.age.eq(Mux(retiming & ~self.ends, self.age + 1, 0))

    def invariants(self, bench: Bench, inside: Inside, retiming: Value, place: str = "") -> None:
        """How the RTL counts, in the unit at ``place``."""
        bench.invariant(inside[f"{place}waiting"] == (retiming & (self.age != 0)))
        bench.invariant((self.age == 0) | (self.age <= self.due) & retiming)
        bench.invariant(inside[f"{place}remaining"] == self.due - self.age, self.age != 0)
        bench.invariant(self.before, self.age != 0)


def waits(config: ChipConfig) -> Callable[[Rtl], Bench]:
    """The unit beside the queues, with queues that keep to what is proved of them."""
    return lambda rtl: Bench(lambda bench: _waits(bench, rtl, config))


def _waits(bench: Bench, rtl: Rtl, config: ChipConfig) -> None:
    m, unit = bench.m, rtl("rtl.icu_control").IcuControl(config, QUEUES)
    inside = bench.place("control", unit)
    bench.drive(unit)
    deskewing, retiming = unit.deskew.any(), unit.runtime_deskew.any()
    ready = Const(1)
    if config.c2c:
        deskewing, ready = deskewing | unit.poll.any(), unit.polled
    keep_rules(bench, unit, deskewing, retiming)
    stall = Stall(bench, retiming, unit.runtime_t, unit.delta)
    first, ends = stall.first, stall.ends

    align = Signal()
    expected = clocks(m, unit, align, first)
    m.d.comb += align.eq(deskewing & expected.epoch_ends & ready)
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
    bench.claim(unit.delta == 0, stall.before & ~stepped)
    bench.claim(unit.sac == unit.hac, stall.before & ~stepped & ~lost)
    _schedule_time(bench, unit, inside["counting"], deskewing | retiming, ends)
    _faults(bench, unit, first & (stall.due < 0), expected.saturates)

    stall.invariants(bench, inside, retiming)
    bench.invariant(((unit.sac - unit.hac - unit.delta) % PERIOD == 0) & (unit.sac < PERIOD), ~lost)


def keep_rules(bench: Bench, unit: Any, deskewing: Value, retiming: Value) -> None:
    """A queue waits until its resume, and all that wait began in one cycle with the same word (section 6)."""
    ended = bench.before(unit.resume | ~(deskewing | retiming), "free_to_begin", init=1)
    for name in ("deskew", "runtime_deskew", "runtime_t", *(["poll"] if hasattr(unit, "poll") else [])):
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
        build=waits(CONFIG),
        bug=Bug("rtl.icu_control", "self.deskew.any(), counters.carry", "self.deskew.any(), counters.hac == 15"),
        reduced=f"{QUEUES} queues, {PERIOD_16}",
        assumed=RULES,
    ),
    Proof(
        name="poll",
        block="icu_control",
        claim="in a chip with links DESKEW and POLL: resume is in the last cycle of an epoch in which polled says that "
        "there is what is polled, in no other cycle, whatever the steps, and δ = 0 and SAC = HAC after it",
        build=waits(LINKED_CONFIG),
        bug=Bug("rtl.icu_control", "counters.carry & self.polled", "self.polled & (counters.sac == 15)"),
        reduced=f"{QUEUES} queues, {PERIOD_16}",
        assumed=RULES,
    ),
    Proof(
        name="runtime-deskew",
        block="icu_control",
        claim="RUNTIME_DESKEW t: resume t + δ cycles after its own, at once if that is negative, which is a fault; "
        "δ is then what was stepped since, SAC = HAC + δ; schedule time counts 1 + t",
        build=waits(CONFIG),
        bug=Bug("rtl.icu_control", "remaining.eq(wait - 1)", "remaining.eq(wait - 2)"),
        reduced=f"{QUEUES} queues, {PERIOD_16}",
        assumed=RULES,
    ),
]
