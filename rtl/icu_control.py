"""What the queues of the ICU share: start, barrier, schedule time, DESKEW unit, faults."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.counters import COUNTER_BITS, DELTA_BITS, Counters
from rtl.icu_queue import PREFETCH_CYCLES
from rtl.tile import KIND_BITS, SUPERLANE_BITS, TIME_BITS
from tsp import isa
from tsp.config import ChipConfig
from tsp.timing import timing

QUEUE_BITS = 8
NO_QUEUE = (1 << QUEUE_BITS) - 1
COLLISION, RUN_DRY, ILLEGAL_INSTRUCTION, DESKEW_NEGATIVE, DRIFT_SATURATED = 1, 4, 5, 9, 10
"""Kinds of the architecture's fault table that the ICU raises."""

START_CYCLES = PREFETCH_CYCLES + 1
"""From ``start`` to cycle 0 of the program: words pushed up to the cycle of the start are ready to dispatch by then."""

OPERAND_BITS = isa.BY_MNEMONIC["RUNTIME_DESKEW"].field("t").width


def _lowest(bits):
    """One bit of ``bits`` at most: its lowest."""
    return bits & (-bits)[: len(bits)]


def _number(one_hot, width: int):
    """The position of the bit that is set."""
    count = len(one_hot)
    return Cat((one_hot & sum(1 << i for i in range(count) if i >> bit & 1)).any() for bit in range(width))


class IcuControl(wiring.Component):
    """The unit beside ``queues`` queues. T is a cycle's schedule time: ``now`` in that cycle.

    Bit q of a port of ``queues`` bits belongs to queue q; they are the ports of the same name of
    :class:`rtl.icu_queue.IcuQueue`, and ``run``, ``unpark`` and ``resume`` go to all queues.

    Attributes:
        start: in, one pulse; ``START_CYCLES`` later is the first cycle that may be a dispatch cycle, with ``now`` 0.
        notify, deskew, runtime_deskew, illegal, busy: in, one bit per queue.
        dry, path: in, likewise, with the feature ``ifetch``: the queue has run dry; words that it fetches meet others.
        poll: in, likewise, with the feature ``c2c``. polled: in, every link that is polled has a good vector.
        runtime_t: in, the operand of the RUNTIME_DESKEW that waits.
        config: in, p in T of a CONFIG, else zero. power: out, register: how many superlanes act on instructions of this
            cycle. whole: out, all of them do in the next cycle. The three are absent in a chip of one superlane.
        hac_fast, hac_slow: in, see :class:`rtl.counters.Counters`.
        run: out, from three cycles after ``start`` until no queue has anything left.
        unpark: out, barrier - 1 cycles after a NOTIFY's T.
        resume: out, one cycle before the cycle in which a DESKEW, RUNTIME_DESKEW or POLL ends.
        now: out, register, 32 bits.
        idle: out, register: no queue dispatches or waits in this cycle, nor later unless started again.
        fault_valid, fault_queue, fault_kind: out, in T + 1: the lowest queue that met a fault in T, and its kind.
        carry, hac_next: out, see :class:`rtl.counters.Counters`, with the feature ``c2c``.
        hac, sac, delta: out, the counters.
    """

    def __init__(self, config: ChipConfig, queues: int):
        self._barrier = timing(config).barrier
        self._config = config
        fetching = ("dry", "path") if config.ifetch else ()
        per_queue = ("notify", "deskew", "runtime_deskew", "illegal", "busy", *fetching)
        power = {"config": In(SUPERLANE_BITS), "power": Out(SUPERLANE_BITS, init=config.superlanes), "whole": Out(1)}
        super().__init__(
            (power if config.superlanes > 1 else {})
            | ({"poll": In(queues), "polled": In(1)} if config.c2c else {})
            | {name: In(queues) for name in per_queue}
            | {name: In(1) for name in ("start", "hac_fast", "hac_slow")}
            | {name: Out(1) for name in ("run", "unpark", "resume", "fault_valid")}
            | ({"carry": Out(1), "hac_next": Out(COUNTER_BITS)} if config.c2c else {})
            | {
                "runtime_t": In(OPERAND_BITS),
                "now": Out(TIME_BITS),
                "idle": Out(1, init=1),
                "fault_queue": Out(QUEUE_BITS),
                "fault_kind": Out(KIND_BITS),
                "hac": Out(COUNTER_BITS),
                "sac": Out(COUNTER_BITS),
                "delta": Out(signed(DELTA_BITS)),
            }
        )

    def elaborate(self, platform):
        """Each part by itself."""
        m = Module()
        m.submodules.counters = counters = Counters(self._config)
        m.d.comb += [
            counters.hac_fast.eq(self.hac_fast),
            counters.hac_slow.eq(self.hac_slow),
            self.hac.eq(counters.hac),
            self.sac.eq(counters.sac),
            self.delta.eq(counters.delta),
        ]
        if self._config.c2c:
            m.d.comb += [self.carry.eq(counters.carry), self.hac_next.eq(counters.hac_next)]
        counting = self._start(m)
        self._bar(m)
        if self._config.superlanes > 1:
            self._power(m)
        self._deskew(m, counters, counting)
        return m

    def _start(self, m: Module):
        """``run`` and ``idle``; returns the signal that schedule time runs, from cycle 0 on."""
        starting = Signal(PREFETCH_CYCLES - 1)
        counting = Signal()
        m.d.sync += [
            starting.eq(Cat(self.start, starting)),
            self.idle.eq(~(self.busy.any() | self.start | starting.any())),
        ]
        with m.If(starting[-1]):
            m.d.sync += self.run.eq(1)
        with m.Elif(self.idle):
            # What is pushed after the end of a program waits for the next start.
            m.d.sync += self.run.eq(0)
        with m.If(self.start):
            m.d.sync += counting.eq(0)
        with m.Elif(self.run):
            m.d.sync += counting.eq(1)
        return counting

    def _bar(self, m: Module):
        """NOTIFYs travel to their release; any number may be under way."""
        stages = Signal(self._barrier - 1)
        m.d.sync += stages.eq(Cat(self.notify.any(), stages))
        m.d.comb += self.unpark.eq(stages[-1])

    def _power(self, m: Module):
        """A CONFIG of T is known in T + 1, when queues decide what they dispatch in T + 2, and holds in T + 2."""
        every = self._config.superlanes
        coming = Signal(SUPERLANE_BITS, name="power_coming", init=every)
        with m.If(self.start):
            m.d.sync += coming.eq(every)
        with m.Elif(self.config.any()):
            m.d.sync += coming.eq(self.config)
        m.d.sync += self.power.eq(coming)
        m.d.comb += self.whole.eq(coming == every)

    def _deskew(self, m: Module, counters: Counters, counting):
        """``resume``, schedule time and faults."""
        waiting = Signal()
        first = Signal()
        over = Signal()
        remaining = Signal(OPERAND_BITS + 1, reset_less=True)
        wait = Signal(signed(OPERAND_BITS + 2))
        retiming = self.runtime_deskew.any()
        deskewing, aligns = self.deskew.any(), counters.carry
        if self._config.c2c:
            deskewing, aligns = deskewing | self.poll.any(), counters.carry & self.polled
        m.d.comb += [
            wait.eq(self.runtime_t + counters.delta),
            first.eq(retiming & ~waiting),
            over.eq(Mux(waiting, remaining == 0, retiming & (wait <= 0))),
            counters.align.eq(deskewing & aligns),
            counters.absorb.eq(first),
            self.resume.eq(counters.align | over),
        ]
        with m.If(waiting):
            m.d.sync += [remaining.eq(remaining - 1), waiting.eq(remaining != 0)]
        with m.Elif(first & ~over):
            m.d.sync += [remaining.eq(wait - 1), waiting.eq(1)]
        with m.If(self.start):
            m.d.sync += self.now.eq(0)
        with m.Elif(counting & (self.resume | ~(deskewing | retiming))):
            m.d.sync += self.now.eq(self.now + 1 + Mux(over, self.runtime_t, 0))
        negative = first & (wait < 0)
        self._fault(m, Mux(negative, self.runtime_deskew, 0), counters.saturated)

    def _fault(self, m: Module, negative, saturated):
        """The first fault of a cycle, by queue and then by kind; what belongs to no queue comes last."""
        faulty = Signal(len(self.illegal))
        lowest = Signal(len(self.illegal))
        kinds = [(self.illegal, ILLEGAL_INSTRUCTION)]
        if self._config.ifetch:
            kinds = [(self.path, COLLISION), (self.dry, RUN_DRY), *kinds]
        every, kind = negative, Const(DESKEW_NEGATIVE, KIND_BITS)
        for bits, number in reversed(kinds):
            every, kind = every | bits, Mux((lowest & bits).any(), Const(number, KIND_BITS), kind)
        m.d.comb += [faulty.eq(every), lowest.eq(_lowest(faulty))]
        m.d.sync += self.fault_valid.eq(faulty.any() | saturated)
        with m.If(faulty.any()):
            m.d.sync += [
                self.fault_queue.eq(_number(lowest, QUEUE_BITS)),
                self.fault_kind.eq(kind),
            ]
        with m.Elif(saturated):
            m.d.sync += [
                self.fault_queue.eq(Const(NO_QUEUE, QUEUE_BITS)),
                self.fault_kind.eq(DRIFT_SATURATED),
            ]
