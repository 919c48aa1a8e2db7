"""The elastic buffer loses no word of a vector and leaves no gap in one, whichever of its clocks is the faster.

One clock stands for both: in a cycle each of them ticks, but for a *slip*, in which one of them does not. What a FIFO
between clocks does beyond keeping words in order is to show each side the other's pointer some ticks late; that is
modelled here, and :mod:`tb.formal.gray` proves that amaranth's does just that.
"""

from typing import Any

from amaranth.hdl import Array, Cat, DomainRenamer, EnableInserter, Module, Mux, Signal, Value
from amaranth.lib.wiring import Component, In, Out

from tb.formal.bench import Bench
from tb.formal.planted import Bug, Rtl
from tb.formal.proof import Proof

SUPERLANES, DEPTH, POINTER, TAG = 4, 16, 5, 3
IDLE, HEADER, LAST = 0, 1, SUPERLANES + 1
"""Tags of words; between the last two those of a vector's other words."""
RUN, APART = 1250, 2500
"""One of so many words is idle; cycles between slips, which is 400 ppm."""
WIDE = 13


class LateFifo(Component):
    """In place of AsyncFIFO. It keeps a word's lowest bit, for the whole of byte 0, and its tag, above that byte."""

    def __init__(self, width: int, depth: int, r_domain: str, w_domain: str, exact_depth: bool):
        assert depth == DEPTH
        self.domains = w_domain, r_domain
        ports = {"w_data": In(width), "w_en": In(1), "w_rdy": Out(1), "w_level": Out(POINTER)}
        ports |= {"r_data": Out(width), "r_en": In(1), "r_rdy": Out(1), "r_level": Out(POINTER)}
        super().__init__(ports)
        names = ("written", "written_0", "written_1", "read", "read_0", "read_1", "read_2", "levelled", "levelled_read")
        for name in names:
            setattr(self, name, Signal(POINTER, name=name))
        self.bits = [Signal(name=f"bit_{i}", reset_less=True) for i in range(DEPTH)]
        self.tags = [Signal(TAG, name=f"tag_{i}", reset_less=True) for i in range(DEPTH)]

    def elaborate(self, platform: object) -> Module:
        m = Module()
        w, r = self.domains
        takes, gives = self.w_en & self.w_rdy, self.r_en & self.r_rdy
        for i in range(DEPTH):
            with m.If(takes & (self.written[: POINTER - 1] == i)):
                m.d[w] += [self.bits[i].eq(self.w_data[0]), self.tags[i].eq(self.w_data[8 : 8 + TAG])]
        m.d[w] += [
            self.written.eq(self.written + takes),
            self.read_0.eq(self.read),
            self.read_1.eq(self.read_0),
            self.read_2.eq(self.read_1),
            self.levelled.eq(self.written),
            self.levelled_read.eq(self.read_2),
        ]
        m.d[r] += [
            self.read.eq(self.read + gives),
            self.written_0.eq(self.written),
            self.written_1.eq(self.written_0),
        ]
        at = self.read[: POINTER - 1]
        m.d.comb += [
            self.w_rdy.eq((self.written - self.read_1)[:POINTER] != DEPTH),
            self.w_level.eq(self.levelled - self.levelled_read),
            self.r_rdy.eq(self.written_1 != self.read),
            self.r_level.eq(self.written_1 - self.read),
            self.r_data.eq(Cat(Array(self.bits)[at].replicate(8), Array(self.tags)[at])),
        ]
        return m


def room(rtl: Rtl) -> Bench:
    """Pointers, and how full it gets."""
    return _bench(rtl, packets=False)


def packets(rtl: Rtl) -> Bench:
    """What comes out. Where the pointers are is what the other proof says."""
    return _bench(rtl, packets=True)


def _bench(rtl: Rtl, packets: bool) -> Bench:
    made: list[LateFifo] = []

    def fifo(**named: Any) -> LateFifo:
        made.append(LateFifo(**named))
        return made[-1]

    def build(bench: Bench) -> None:
        unit = rtl("rtl.link.elastic", AsyncFIFO=fifo).Crossing(SUPERLANES)
        clocks = Clocks(bench)
        ticking = EnableInserter({"sync": clocks.reads, "received": clocks.writes})(unit)
        inside = bench.place("crossing", DomainRenamer({"received": "sync"})(ticking))
        words = _Words(bench, clocks, unit)
        bench.invariant((inside["received_remaining"] == words.left) & (words.left <= SUPERLANES))
        known = [*_pointers(clocks, made[-1]), *_level(clocks, made[-1], words)]
        for fact in known:
            if packets:
                bench.assume(fact)
            else:
                bench.invariant(fact)
        if packets:
            _in_order(bench, clocks, unit)
            _packets(bench, clocks, made[-1], words, inside["sync_remaining"])
            last = Mux(unit.valid, unit.word[8 : 8 + TAG], IDLE)
            bench.invariant((last <= LAST) & (_left_after(last) == inside["sync_remaining"]))
        else:
            bench.claim(made[-1].w_rdy, clocks.writes & made[-1].w_en)
            bench.claim(made[-1].w_en | (words.tag == IDLE))

    return Bench(build)


class Clocks:
    """Which clock ticks; ``since`` the last slip (0 right after it), and whether it was the writer that stood still."""

    def __init__(self, bench: Bench):
        m = bench.m
        slips, writer = bench.free(1, "slips"), bench.free(1, "writer_slips")
        self.since, self.writer = Signal(WIDE, name="since_slip", init=APART), Signal(name="writer_slipped")
        self.writes, self.reads = Signal(name="writes"), Signal(name="reads")
        m.d.comb += [self.writes.eq(~(slips & writer)), self.reads.eq(~(slips & ~writer))]
        bench.assume(~slips | (self.since == APART))
        with m.If(slips):
            m.d.sync += [self.since.eq(0), self.writer.eq(writer)]
        with m.Elif(self.since != APART):
            m.d.sync += self.since.eq(self.since + 1)

    def slipped(self, writer: bool, least: int, most: int) -> Value:
        """That side stood still so many cycles ago."""
        return (self.writer == writer) & (self.since >= least) & (self.since <= most)


class _Words:
    """What comes: ``left`` words of a packet are still to come, and ``run`` words came since the last idle one.
    ``newest`` is the tag of what came last, ``newest_0`` and ``newest_1`` what the reader's side knows of it."""

    def __init__(self, bench: Bench, clocks: Clocks, unit: Any):
        m = bench.m
        vector, payload = bench.free(1, "begins_vector"), bench.free(1, "payload_like_a_vector")
        self.left, self.run = Signal(range(SUPERLANES + 1), name="left"), Signal(WIDE, name="run")
        self.tag = Signal(TAG, name="tag")
        begins = self.left == 0
        m.d.comb += self.tag.eq(Mux(begins, Mux(vector, HEADER, IDLE), LAST + 1 - self.left))
        byte = Mux(begins, vector, payload)
        m.d.comb += unit.received_word.eq(Cat(byte.replicate(8), self.tag))
        bench.assume((self.tag == IDLE) | (self.run < RUN - 1))
        self.newest, self.newest_0, self.newest_1 = (Signal(TAG, name=f"newest_{i}") for i in range(3))
        with m.If(clocks.writes):
            m.d.sync += [
                self.left.eq(Mux(begins, Mux(vector, SUPERLANES, 0), self.left - 1)),
                self.run.eq(Mux(self.tag == IDLE, 0, self.run + 1)),
                self.newest.eq(self.tag),
            ]
        with m.If(clocks.reads):
            m.d.sync += [self.newest_0.eq(self.newest), self.newest_1.eq(self.newest_0)]


def _within(tag: Value) -> Value:
    """Of the packet that a word with this tag is of, words follow."""
    return (tag != IDLE) & (tag != LAST)


def _in_order(bench: Bench, clocks: Clocks, unit: Any) -> None:
    """A word of a packet follows the one before it in the next tick."""
    tag, m = unit.word[8 : 8 + TAG], bench.m
    before, ticked = Signal(TAG, name="tag_before"), bench.before(clocks.reads, "ticked")
    with m.If(clocks.reads):
        m.d.sync += before.eq(Mux(unit.valid, tag, IDLE))
    bench.claim(unit.valid & (tag == before + 1), ticked & _within(before))
    bench.claim(~unit.valid | (tag == IDLE) | (tag == HEADER), ticked & ~_within(before))


def _pointers(clocks: Clocks, fifo: LateFifo) -> list[Value]:
    """A pointer is a tick behind on each of its ways, two if the side it goes to stood still meanwhile."""
    ways = [
        (fifo.written, fifo.written_0, False, 0),
        (fifo.written_0, fifo.written_1, False, 1),
        (fifo.read, fifo.read_0, True, 0),
        (fifo.read_0, fifo.read_1, True, 1),
        (fifo.read_1, fifo.read_2, True, 2),
        (fifo.read_2, fifo.levelled_read, True, 3),
    ]
    facts = [(fifo.written - fifo.levelled)[:POINTER] <= 1]
    for ahead, behind, writer, since in ways:
        gap = (ahead - behind)[:POINTER]
        facts.append((gap <= 1) | (gap == 2) & clocks.slipped(writer, since, since))
    return facts


def _level(clocks: Clocks, fifo: LateFifo, words: _Words) -> list[Value]:
    """One more than half and one for what is on its way, and another until the next idle word."""
    level = (fifo.written - fifo.read)[:POINTER]
    most = DEPTH // 2 + 2
    late = clocks.slipped(False, 0, RUN) & (clocks.since <= words.run + 1)
    seen = (fifo.written_1 - fifo.read)[:POINTER]
    return [(level <= most) | (level == most + 1) & late, seen <= level, words.run < RUN]


def _packets(bench: Bench, clocks: Clocks, fifo: LateFifo, words: _Words, left_out: Value) -> None:
    """Words in the FIFO follow each other as in their packets, and what the reader cannot see yet is on its way."""
    level = (fifo.written - fifo.read)[:POINTER]
    bench.invariant(_left_after(words.newest) == words.left)
    bench.invariant(left_out == words.left, level == 0)
    for i in range(DEPTH):
        place = (i - fifo.read)[: POINTER - 1]
        tag, following = fifo.tags[i], fifo.tags[(i + 1) % DEPTH]
        here = place < level
        bench.invariant(tag <= LAST, here)
        bench.invariant(fifo.bits[i] == (tag == HEADER), here & ((tag == HEADER) | (tag == IDLE)))
        bench.invariant(_follows(tag, following), here & (place + 1 < level))
        bench.invariant(_left_after(tag) == words.left, here & (place + 1 == level))
        bench.invariant(_follows(LAST + 1 - left_out - 1, tag) & (left_out != 0) | (left_out == 0) & (tag <= HEADER),
                        here & (place == 0))  # fmt: skip
        for pointer, newest in ((fifo.written_0, words.newest_0), (fifo.written_1, words.newest_1)):
            behind = (pointer - fifo.read)[:POINTER]
            bench.invariant(_left_after(tag) == _left_after(newest), here & (place + 1 == behind))
    seen, coming = fifo.r_level, (fifo.written_0 - fifo.written_1)[:POINTER]
    next_, reading = (fifo.written - fifo.written_0)[:POINTER], left_out != 0
    bench.invariant((next_ != 0) | clocks.slipped(True, 0, 0), _within(words.newest_0))
    bench.invariant((coming != 0) | clocks.slipped(True, 1, 1), _within(words.newest_1))
    bench.invariant(seen >= 1, reading)
    # Of the packet that is being read more is to come than the reader sees.
    more = left_out > seen
    bench.invariant((seen >= 2) | clocks.slipped(True, 0, SUPERLANES + 4) & (clocks.since + left_out <= LAST + 4), more)
    bench.invariant((coming != 0) | (seen >= 2), more)
    bench.invariant((next_ != 0) | (seen + coming >= 3), left_out > seen + coming)


def _left_after(tag: Value) -> Value:
    return Mux(_within(tag), (LAST - tag)[:TAG], 0)


def _follows(tag: Value, following: Value) -> Value:
    return Mux(_within(tag), following == tag + 1, following <= HEADER)


SLOW = "clocks lose a cycle on each other once in 2,500 at most; the FIFO keeps words in order and shows pointers two "
SLOW += "ticks late"
PROOFS = [
    Proof(
        name="elastic-room",
        block="link/elastic",
        claim="only idle words are dropped, and there is always room for the others",
        build=room,
        reduced="4 superlanes; types without wrong bits",
        assumed=f"one of 1,250 words is idle; {SLOW}",
        bug=Bug("rtl.link.elastic", "begins & ~header & (fifo.w_level > DEPTH // 2)", "fifo.w_level > DEPTH // 4"),
        twin_depth=24,
    ),
    Proof(
        name="elastic-packets",
        block="link/elastic",
        claim="words of a vector come out in order and in consecutive cycles, each once",
        build=packets,
        reduced="4 superlanes; types without wrong bits",
        assumed=f"elastic-room, and how full the FIFO then is; {SLOW}",
        bug=Bug("rtl.link.elastic", "fifo.r_level >= 2", "fifo.r_level >= 1"),
        twin_depth=24,
        engine="smtbmc --nopresat --unroll z3 -- --noincr",
    ),
]
