"""The elastic buffer: words of a link leave the clock they came with for the chip's (docs/links.md, section 1)."""

from amaranth.hdl import ClockDomain, ClockSignal, Module, ResetSignal
from amaranth.lib import wiring
from amaranth.lib.cdc import ResetSynchronizer
from amaranth.lib.fifo import AsyncFIFO
from amaranth.lib.wiring import In, Out

from rtl.link.code import WORD_BITS
from rtl.link.framing import framing

DEPTH = 16
"""Pointers take two clocks to cross, so that a word waits three or four and the writer counts about eight when nothing
is left over: the smallest power of two that is then not always more than half full."""


RESET_EDGES = 8
"""Edges of the received clock that its side stays in reset: the FIFO's pointers must have crossed and come back."""


PORTS = {"received_word": In(WORD_BITS), "valid": Out(1), "word": Out(WORD_BITS)}


class Crossing(wiring.Component):
    """The buffer itself, from domain ``received``, which whoever places it has, to ``sync``. Ports: as of
    :class:`ElasticBuffer`."""

    def __init__(self, superlanes: int):
        self.superlanes = superlanes
        super().__init__(PORTS)

    def elaborate(self, platform):
        m = Module()
        m.submodules.fifo = fifo = AsyncFIFO(
            width=WORD_BITS, depth=DEPTH, r_domain="sync", w_domain="received", exact_depth=True
        )
        begins, header = framing(m, "received", self.superlanes, self.received_word, 1)
        surplus = begins & ~header & (fifo.w_level > DEPTH // 2)
        m.d.comb += [fifo.w_data.eq(self.received_word), fifo.w_en.eq(~surplus)]

        _, header = framing(m, "sync", self.superlanes, fifo.r_data, fifo.r_rdy & fifo.r_en)
        m.d.comb += fifo.r_en.eq(~header | (fifo.r_level >= 2))
        m.d.sync += self.valid.eq(fifo.r_rdy & fifo.r_en)
        with m.If(fifo.r_rdy & fifo.r_en):
            m.d.sync += self.word.eq(fifo.r_data)
        return m


class ElasticBuffer(wiring.Component):
    """A FIFO that makes up for clocks that differ by dropping idle words, or by having no word for a cycle.

    No back-pressure: what finds it full is lost, which needs a channel without the idle words it must have.

    Attributes:
        received_clk: in, the clock that came with the words. It may stop.
        received_word: in, a word at every rising edge of it.
        valid: out, register: ``word`` came in this cycle. A vector's words come in consecutive cycles.
        word: out, register: the word.
    """

    module_name = "link_elastic"

    def __init__(self, superlanes: int):
        self.superlanes = superlanes
        super().__init__({"received_clk": In(1)} | PORTS)

    def elaborate(self, platform):
        m = Module()
        m.domains += ClockDomain("received", local=True)
        m.d.comb += ClockSignal("received").eq(self.received_clk)
        m.submodules.reset = ResetSynchronizer(ResetSignal(), domain="received", stages=RESET_EDGES)
        m.submodules.crossing = crossing = Crossing(self.superlanes)
        m.d.comb += [
            crossing.received_word.eq(self.received_word),
            self.valid.eq(crossing.valid),
            self.word.eq(crossing.word),
        ]
        return m
