"""What a POLL sees of a link: of the vectors whose packets have come, header and all, the oldest, if it is good."""

from collections.abc import Callable
from types import SimpleNamespace

from amaranth.hdl import Cat, Mux, Signal, Value
from amaranth.hdl._ast import AnySeq

from rtl.link import code
from tb.formal.bench import Bench
from tb.formal.planted import Bug, Rtl
from tb.formal.proof import Proof

SLOTS, SUPERLANES = 4, 2
DECIDED = 3
"""Cycles from the arrival of a packet's last word to the one after which its vector is seen (docs/links.md, section
2)."""
FOUND = {"crc_of": code.CRC_BITS, "crc_past": code.CRC_BITS, "columns_of": code.CRC_BITS}
FOUND |= {"sums_of": code.CODES * code.CHECK_BITS}
"""Functions of :mod:`rtl.link.code` in whose place stands anything: what codes and CRC say is not proved here."""


def buffer(rtl: Rtl) -> Bench:
    """Follow any one vector from the decision about it to its RECEIVE."""

    def build(bench: Bench) -> None:
        m, unit = bench.m, rtl("rtl.link.receive_buffer").ReceiveBuffer(SLOTS)
        inside = bench.place("buffer", unit)
        bench.drive(unit)
        whole, decided, taken = (Signal(range(SLOTS + 1), name=f"{name}_now") for name in ("whole", "decided", "taken"))
        takes = unit.take & (decided != 0)
        bench.assume(~unit.enters | (whole != SLOTS))
        bench.assume(~unit.decided | (decided != whole))
        for count, more in ((whole, unit.enters), (decided, unit.decided)):
            m.d.sync += count.eq(Mux(unit.flush, 0, count + more - takes))

        mark = bench.free(1, "mark")
        followed, good, ahead = Signal(), Signal(name="is_good"), Signal(range(SLOTS + 1))
        with m.If(unit.flush | followed & takes & (ahead == 0)):
            m.d.sync += followed.eq(0)
        with m.Elif(mark & unit.decided & ~followed):
            m.d.sync += [followed.eq(1), good.eq(unit.good), ahead.eq(decided - takes)]
        with m.Elif(followed & takes):
            m.d.sync += ahead.eq(ahead - 1)
        oldest = followed & (ahead == 0)
        bench.claim(decided != 0, unit.ready_good)
        bench.claim(unit.ready_good == good, oldest)
        bench.claim(unit.full == (whole == SLOTS))
        bench.claim(unit.taken_valid == bench.before(takes, "took"))
        bench.claim(unit.taken_good == bench.before(good, "was_good"), bench.before(oldest & takes, "took_followed"))

        entered, ready, out = (inside[name] for name in ("entered", "ready", "taken"))
        bench.invariant((entered - out)[: len(out)] == whole)
        bench.invariant((ready - out)[: len(out)] == decided)
        bench.invariant((decided <= whole) & (whole <= SLOTS))
        bench.invariant(ahead < decided, followed)
        row = inside.memory_row(m, (out + ahead)[: len(out) - 1], "goods")
        bench.invariant(row == good, followed)

    return Bench(build)


def _anything(width: int) -> Callable[..., Value]:
    return lambda *of: AnySeq(width)


def packets(rtl: Rtl) -> Bench:
    """The receiving end, whatever words come: a vector is its header and SUPERLANES words after it."""

    def build(bench: Bench) -> None:
        found = SimpleNamespace(**vars(code) | {name: _anything(width) for name, width in FOUND.items()})
        verdict = rtl("rtl.link.verdict", code=found).Verdict
        m, unit = bench.m, rtl("rtl.link.receive", code=found, Verdict=verdict).LinkReceive(SUPERLANES, SLOTS)
        inside = bench.place("receive", unit)
        bench.drive(unit)
        left, room = Signal(range(SUPERLANES + 1), name="words_left"), Signal(name="has_room")
        header = (left == 0) & (sum(unit.word[i] for i in range(8)) >= 5)
        bench.assume(~unit.flush | (left == 0) & ~(unit.valid & header))
        whole, waiting = Signal(range(SLOTS + 1), name="whole"), Signal(range(SLOTS + 1), name="waiting")
        with m.If(unit.valid & (left != 0)):
            m.d.sync += left.eq(left - 1)
        with m.Elif(unit.valid & header):
            m.d.sync += [left.eq(SUPERLANES), room.eq(whole != SLOTS)]
        comes, takes = unit.valid & (left == 1), unit.take & (waiting != 0)
        came = [comes & room, *(Signal(name=f"came_{i + 1}") for i in range(DECIDED))]
        lost = [comes & ~room, *(Signal(name=f"lost_{i + 1}") for i in range(DECIDED))]
        for row in (came, lost):
            m.d.sync += [later.eq(earlier & ~unit.flush) for earlier, later in zip(row, row[1:], strict=False)]
        for count, more in ((whole, came[0]), (waiting, came[-1])):
            m.d.sync += count.eq(Mux(unit.flush, 0, count + more - takes))
        bench.claim(waiting != 0, unit.ready_good)
        bench.claim(unit.taken_valid == bench.before(takes, "took"))
        bench.claim(unit.overrun == bench.before(lost[-1], "lost"))

        entered, ready, taken = (inside[f"buffer.{name}"] for name in ("entered", "ready", "taken"))
        bench.invariant((entered - taken)[: len(taken)] == whole)
        bench.invariant((ready - taken)[: len(taken)] == waiting)
        bench.invariant(whole == waiting + sum(came[1:]))
        bench.invariant(~Cat(a & b for a, b in zip(came, lost, strict=True)).any())
        bench.invariant((whole <= SLOTS) & (left <= SUPERLANES))
        bench.invariant(~room | (whole != SLOTS), left != 0)
        bench.invariant(inside["words_come"] == Mux(left == 0, 0, SUPERLANES + 1 - left))
        bench.invariant(inside["inside"] == (left != 0))
        bench.invariant(inside["dropped"] == ~room, (left != 0) | came[1] | lost[1])
        bench.invariant(room == came[1], came[1] | lost[1])
        bench.invariant(inside["ended"] & inside["ended_vector"] == (came[1] | lost[1]))
        for stage, name in ((2, "one"), (3, "two")):
            ended, dropped = (inside[f"verdict.{what}_{name}"] for what in ("ended", "dropped"))
            bench.invariant(ended == (came[stage] | lost[stage]))
            bench.invariant(dropped == lost[stage], ended)

    return Bench(build)


PROOFS = [
    Proof(
        name="poll-whole",
        block="link/receive",
        claim="a vector is seen by POLL and RECEIVE from the fourth cycle on after the last word of its packet came, "
        "when the header and all words after it have, if there was room when the header came, and never before",
        build=packets,
        bug=Bug(
            "rtl.link.receive",
            "ended.eq(self.valid & last & ~self.flush), vector.eq(inside)",
            "ended.eq(self.valid & (last | self._vector) & ~self.flush), vector.eq(self._vector)",
        ),
        reduced=f"{SUPERLANES} superlanes, {SLOTS} slots",
        assumed="a flush comes while no vector does; codes and CRC say anything",
    ),
    Proof(
        name="poll-good",
        block="link/receive_buffer",
        claim="that a link has a good vector is said when there is one that has been decided and not yet taken, and "
        "the oldest of these is good, and never else; RECEIVEs take vectors in the order in which they came",
        build=buffer,
        bug=Bug("rtl.link.receive_buffer", "ready_good.eq(there & oldest.data)", "ready_good.eq(oldest.data)"),
        reduced=f"{SLOTS} slots",
        assumed="poll-whole: vectors enter while there is room, and are decided after that",
    ),
]
