"""The FIFO of the elastic buffer as amaranth has it, with Gray codes, synchronisers and reset, between two clocks.

A step is a moment at which one clock ticks, or both. :func:`late` says that it is the FIFO which the proofs of the
elastic buffer have in its place; :func:`sampled`, that nothing is lost whatever a pointer reads as while it changes.
"""

from typing import Any

from amaranth.hdl import (
    Cat,
    ClockDomain,
    ClockSignal,
    Elaboratable,
    EnableInserter,
    Module,
    ResetInserter,
    ResetSignal,
    Signal,
    Value,
)
from amaranth.hdl._ast import AnySeq, Initial

from tb.formal.bench import Bench, Inside
from tb.formal.elastic import DEPTH, POINTER, SLOW, TAG, Clocks, LateFifo
from tb.formal.planted import Bug, Rtl
from tb.formal.proof import Proof

WIDTH = 8 + TAG
READ, WRITE, STEP = "sync", "received", "step"


def _domains(m: Module, reset: Value) -> None:
    """All have the one clock; which of them ticks says an enable."""
    m.domains += [ClockDomain(WRITE), ClockDomain(STEP, reset_less=True)]
    for domain in (WRITE, STEP):
        m.d.comb += ClockSignal(domain).eq(ClockSignal())
    m.d.comb += ResetSignal(WRITE).eq(reset)


def _drive(bench: Bench, *fifos: Any) -> None:
    """Any inputs, the same for all."""
    for name in ("w_data", "w_en", "r_en"):
        free = bench.free(len(getattr(fifos[0], name)), f"any_{name}")
        bench.m.d.comb += [getattr(fifo, name).eq(free) for fifo in fifos]


def late(rtl: Rtl) -> Bench:
    """The FIFO and LateFifo side by side, from reset on."""

    def build(bench: Bench) -> None:
        m, clocks, held = bench.m, Clocks(bench), rtl("rtl.link.elastic").RESET_EDGES
        edges, resetting = Signal(range(held + 1), name="reset_edges"), Signal(name="resetting")
        m.d.comb += resetting.eq(bench.reset | (edges != held))
        _domains(m, resetting & clocks.writes)
        with m.If(bench.reset):
            m.d[STEP] += edges.eq(0)
        with m.Elif(resetting & clocks.writes):
            m.d[STEP] += edges.eq(edges + 1)
        bench.assume_always(~bench.reset | clocks.reads)

        ticks = EnableInserter({READ: clocks.reads, WRITE: clocks.writes})
        fifo = rtl("amaranth.lib.fifo", AsyncFFSynchronizer=_held(resetting, clocks.reads)).AsyncFIFO(
            width=WIDTH, depth=DEPTH, r_domain=READ, w_domain=WRITE, exact_depth=True
        )
        model = LateFifo(width=WIDTH, depth=DEPTH, r_domain=READ, w_domain=WRITE, exact_depth=True)
        inside = bench.place("fifo", ticks(fifo))
        bench.place("model", ResetInserter({READ: resetting, WRITE: resetting})(ticks(model)))
        _drive(bench, fifo, model)

        place = bench.constant(range(DEPTH), "place")
        bench.claim(fifo.r_rdy == model.r_rdy)
        bench.claim(fifo.r_level == model.r_level, model.r_rdy)
        for name in ("w_rdy", "w_level"):
            bench.claim(getattr(fifo, name) == getattr(model, name), ~resetting)
        here = model.read[: POINTER - 1] == place
        bench.claim((fifo.r_data[0] == model.r_data[0]) & (fifo.r_data[8:] == model.r_data[8:]), model.r_rdy & here)
        _same(bench, m, inside, fifo, model, place, ~resetting)

    return Bench(build)


def sampled(rtl: Rtl) -> Bench:
    """The FIFO between any two clocks; follow any one word."""

    def build(bench: Bench) -> None:
        m, writes, reads = bench.m, bench.free(1, "writes"), bench.free(1, "reads")
        _domains(m, bench.reset)
        bench.assume_always(~bench.reset | Initial())
        parts = {"FFSynchronizer": AnySampled, "AsyncFFSynchronizer": _held(bench.reset, reads)}
        fifo = rtl("amaranth.lib.fifo", **parts).AsyncFIFO(
            width=1, depth=DEPTH, r_domain=READ, w_domain=WRITE, exact_depth=True
        )
        inside = bench.place("fifo", EnableInserter({READ: reads, WRITE: writes})(fifo))
        _drive(bench, fifo)
        names = [f"{way}_cdc.{stage}" for way in ("consume", "produce") for stage in ("stage1", "stage0", "before")]
        codes = [inside[name] for name in (*names[:3], "consume_r_gry", *names[3:], "produce_w_gry")]
        # It begins empty; that reset makes it so is elastic-fifo's claim.
        for register in (*codes, inside["consume_r_bin"], inside["produce_w_bin"]):
            bench.assume_always(~Initial() | (register == 0))

        level = Signal(range(DEPTH + 2), name="level")
        takes, gives = writes & fifo.w_en & fifo.w_rdy, reads & fifo.r_en & fifo.r_rdy
        m.d.sync += level.eq(level + takes - gives)
        bench.claim(level != 0, fifo.r_rdy)
        bench.claim(fifo.r_level <= level)
        bench.claim(level < DEPTH, fifo.w_rdy)
        mark = bench.free(1, "mark")
        followed, ahead = Signal(), Signal(range(DEPTH + 2))
        word = Signal(name="word")
        with m.If(followed & gives & (ahead == 0)):
            m.d.sync += followed.eq(0)
        with m.Elif(mark & takes & ~followed):
            m.d.sync += [followed.eq(1), word.eq(fifo.w_data), ahead.eq(level - gives)]
        with m.Elif(followed & gives):
            m.d.sync += ahead.eq(ahead - 1)
        bench.claim(fifo.r_data == word, followed & (ahead == 0) & fifo.r_rdy)

        pointers = [_binary(code) for code in codes]
        *_, read, seen, coming, _, written = pointers
        gaps = _gaps(*pointers)
        bench.invariant(sum(gaps) <= DEPTH)
        bench.invariant((gaps[2] <= 1) & (gaps[-1] <= 1))
        bench.invariant((inside["consume_r_bin"] == read) & (inside["produce_w_bin"] == written))
        bench.invariant((written - read)[:POINTER] == level)
        bench.invariant(ahead < level, followed)
        bench.invariant(inside.memory_row(m, (read + ahead)[: POINTER - 1], "storage") == word, followed)
        bench.invariant(fifo.r_data == word, followed & (ahead == 0) & (coming != read))
        held = inside["rst_cdc.held"]
        bench.invariant((held != 1) & (~held[0] | (coming == read)) & (~held[1] | (seen == read)))

    return Bench(build)


class AnySampled(Elaboratable):
    """In place of FFSynchronizer: a bit of ``i`` is taken as it is, or as it was before the last step, each by itself:
    bits reach a register at times of their own, or change as it takes them."""

    def __init__(self, i: Value, o: Signal, *, o_domain: str):
        self.i, self.o, self.o_domain = i, o, o_domain

    def elaborate(self, platform: object) -> Module:
        m = Module()
        before = Signal.like(self.i, name="before", reset_less=True)
        stages = [Signal.like(self.i, name=f"stage{i}", reset_less=True) for i in range(2)]
        late = Signal(len(self.i), name="late")
        m.d.comb += [late.eq(AnySeq(len(late))), self.o.eq(stages[1])]
        m.d[STEP] += before.eq(self.i)
        m.d[self.o_domain] += [stages[0].eq((self.i & ~late) | (before & late)), stages[1].eq(stages[0])]
        return m


def _held(resetting: Value, ticks: Value) -> Any:
    """In place of AsyncFFSynchronizer, whose register has an asynchronous reset: the same in steps."""

    class Held(Elaboratable):
        def __init__(self, i: Value, o: Signal, *, o_domain: str):
            self.o = o

        def elaborate(self, platform: object) -> Module:
            m = Module()
            stages = Signal(2, name="held")
            with m.If(resetting):
                m.d[STEP] += stages.eq(3)
            with m.Elif(ticks):
                m.d[STEP] += stages.eq(stages << 1)
            m.d.comb += self.o.eq(resetting | stages[-1])
            return m

    return Held


def _gray(pointer: Value) -> Value:
    return pointer ^ pointer[1:]


def _binary(code: Value) -> Value:
    return Cat(code[i:].xor() for i in range(len(code)))


def _same(bench: Bench, m: Module, inside: Inside, fifo: Any, model: LateFifo, place: Value, running: Value) -> None:
    """What in the one is what in the other."""
    pairs = [("produce_w_bin", model.written), ("consume_r_bin", model.read), ("consume_w_bin", model.read_2)]
    codes = [("produce_w_gry", model.written), ("produce_cdc.stage0", model.written_0)]
    codes += [("produce_cdc.stage1", model.written_1), ("consume_r_gry", model.read)]
    codes += [("consume_cdc.stage0", model.read_0), ("consume_cdc.stage1", model.read_1)]
    for name, pointer in [*pairs, *((name, _gray(pointer)) for name, pointer in codes)]:
        bench.invariant(inside[name] == pointer, running)
    gaps = _gaps(model.read_1, model.read_0, model.read, model.written_1, model.written_0, model.written)
    bench.invariant(sum(gaps) <= DEPTH, running)
    row = inside.memory_row(m, place, "storage")
    within = (place - model.read)[: POINTER - 1] < (model.written - model.read)[:POINTER]
    for i in range(DEPTH):
        kept = (row[0] == model.bits[i]) & (row[8:] == model.tags[i])
        bench.invariant(kept, running & within & (place == i))
    seen = (model.written_0 != model.read) & (model.read[: POINTER - 1] == place)
    bench.invariant(fifo.r_data == row, running & seen)


def _gaps(*pointers: Value) -> list[Value]:
    return [(ahead - behind)[:POINTER] for behind, ahead in zip(pointers, pointers[1:], strict=False)]


GRAY_ENCODE, GRAY_DECODE = "return val ^ val[1:]\n", "\n\ndef _gray_decode(val):\n    "
PROOFS = [
    Proof(
        name="elastic-gray",
        block="link/elastic",
        claim="amaranth's AsyncFIFO between any two clocks gives words in order, each once, and never says that more "
        "are there than are, or that there is room where none is, whatever the bits of a pointer that changes read as",
        build=sampled,
        bug=Bug("amaranth.lib.fifo", GRAY_ENCODE + GRAY_DECODE, "return val\n" + GRAY_DECODE + "return val\n    "),
        twin_depth=20,
        reduced=f"{DEPTH} words of a bit",
        assumed="a bit reads as it is or as it was before the last tick; it begins empty",
    ),
    Proof(
        name="elastic-fifo",
        block="link/elastic",
        claim="amaranth's AsyncFIFO is the FIFO that the proofs of the elastic buffer have in its place: with Gray "
        "codes, synchronisers and memory, from 8 edges of reset on, which leave all its pointers at zero",
        build=late,
        bug=Bug("rtl.link.elastic", "RESET_EDGES = 8", "RESET_EDGES = 6"),
        depth=12,
        twin_depth=20,
        reduced=f"words of {WIDTH} bits",
        assumed=SLOW,
    ),
]
