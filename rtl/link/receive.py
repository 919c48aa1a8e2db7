"""The receiving end of a link: packets found among the words that come, checked, corrected, and kept in order."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib.wiring import Component, In, Out

from rtl.link import code
from rtl.link.code import COVERED, HALF_BITS, NUMBER_BITS, PLACE_BITS, PLACES, SUPERLANE_BITS, WORD_BITS
from rtl.link.receive_buffer import COUNTER_BITS, ReceiveBuffer
from rtl.link.verdict import Verdict
from rtl.stream import unreset_register

VECTOR_ONES = 5
"""So many ones or more in the type byte make a vector."""


class LinkReceive(Component):
    """What comes out of a link's elastic buffer.

    A is the cycle in which a packet's last word is at the input; any number of cycles without a word may be before it.

    Ports:
        valid, word (128): in, a word of the channel, or none in this cycle.
        hac_now (16): in, the own HAC in this cycle.
        flush: in, all that was received is forgotten, and the next vector expected is number 0. Only while nothing but
            idle words comes: of a packet under way the rest would be taken for headers.
        hac_valid, hac, hac_arrival (16): out, registers, in A + 2 of a right packet: the HAC in its header, and the own
            HAC in the cycle in which that header was at the input. This was 2 cycles ago if the packet is an idle word.
        probe_valid, reflect_valid, tag (16): out, registers, likewise: a right idle word with that flag, and its tag.
        north_valid, north_superlane (5), north_slot, north_word (128): out, registers: a superlane's word, in the cycle
            after the one in which its second half came, and the slot it is to wait in.
        take: in, a RECEIVE is dispatched in this cycle, T; A + 4 is the first that takes the packet's vector.
        taken_valid: out, register, in T + 1: there was a vector. taken_good, taken_slot, taken_flip_0, taken_flip_1
            (:data:`rtl.link.code.FLIP`): whether it is good, where it waits, and bits of it to be turned back; none of
            a bad one. Its slot may be filled anew from T + 3 on.
        ready_good: out, in this cycle there is a vector for a RECEIVE, and it is good.
        overrun: out, register, in A + 4: the vector had no room, when its header came, and is dropped.
        clear: in, counters begin anew.
        corrected, bad (16): out, registers: vectors that were corrected; vectors that are bad. They stop at their most.
        occupancy: out, register: the most slots that were taken at once, by whole vectors, since ``clear``.
        slack (16): out, register: the fewest cycles between the first one in which a vector could be taken and its
            RECEIVE, since ``clear``, modulo 2^16; all ones if none was.
    """

    module_name = "link_receive"

    def __init__(self, superlanes: int, link_buffer: int):
        self.superlanes = superlanes
        self.link_buffer = link_buffer
        slot = (link_buffer - 1).bit_length()
        inputs = {"valid": 1, "word": WORD_BITS, "hac_now": NUMBER_BITS, "flush": 1, "take": 1, "clear": 1}
        outputs = {"hac_valid": 1, "hac": NUMBER_BITS, "hac_arrival": NUMBER_BITS}
        outputs |= {"probe_valid": 1, "reflect_valid": 1, "tag": NUMBER_BITS}
        outputs |= {"north_valid": 1, "north_superlane": SUPERLANE_BITS, "north_slot": slot, "north_word": WORD_BITS}
        outputs |= {"taken_valid": 1, "taken_good": 1, "taken_slot": slot, "taken_flip_0": code.FLIP}
        outputs |= {"taken_flip_1": code.FLIP, "ready_good": 1, "overrun": 1, "occupancy": slot + 1}
        outputs |= {"corrected": COUNTER_BITS, "bad": COUNTER_BITS, "slack": COUNTER_BITS}
        ports = {name: In(shape) for name, shape in inputs.items()}
        super().__init__(ports | {name: Out(shape) for name, shape in outputs.items()})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.buffer = buffer = ReceiveBuffer(self.link_buffer)
        m.submodules.verdict = verdict = Verdict(self.superlanes)
        inside, last = self._find_packets(m)
        self._sum_up(m, verdict, inside, last)
        self._keep_header(m, verdict, inside)
        self._go_north(m, verdict, buffer, inside, last)
        self._decide(m, verdict, buffer)
        return m

    def _find_packets(self, m: Module) -> tuple[Value, Value]:
        """Whether this word is inside a vector packet, after its header; and whether it is the last of its packet."""
        self._count = Signal(SUPERLANE_BITS, name="words_come")
        self._vector, inside, last = Signal(name="is_vector"), Signal(name="inside"), Signal(name="is_last")
        ones = sum(self.word[i] for i in range(8))
        m.d.comb += [
            self._vector.eq(inside | (ones >= VECTOR_ONES)),
            last.eq(Mux(inside, self._count == self.superlanes, ~self._vector)),
        ]
        with m.If(self.valid):
            m.d.sync += [inside.eq(self._vector & ~last), self._count.eq(Mux(last, 0, self._count + 1))]
        with m.If(self.flush):
            m.d.sync += [inside.eq(0), self._count.eq(0)]
        return inside, last

    def _sum_up(self, m: Module, verdict: Verdict, inside: Value, last: Value) -> None:
        """CRC and sums of the codes, up to and with this word. The last one's upper quarter is not covered: of what
        stands there the check bits are added to the sums."""
        place = Signal(PLACE_BITS, name="place", init=PLACES[0])
        crc, sums = Signal(code.CRC_BITS, name="crc"), Signal(code.CODES * code.CHECK_BITS, name="sums")
        covered, above = self.word[:COVERED], self.word[COVERED:]
        checks = [above.word_select(i, code.CHECK_BITS) for i in range(code.CODES)]
        crc_before = Mux(inside, code.crc_past(crc, WORD_BITS), code.advanced(code.CRC_START, WORD_BITS))
        crc_here = code.crc_of(covered, WORD_BITS - COVERED) ^ Mux(last, 0, code.crc_of(above))
        sums_above = Mux(
            last, Cat(Cat(check[:-1], check.xor()) for check in checks), code.sums_of(above, place, COVERED)
        )
        with m.If(self.valid):
            m.d.sync += [
                place.eq(Mux(last, PLACES[0], code.next_place(place))),
                crc.eq(crc_before ^ crc_here),
                sums.eq(Mux(inside, sums, 0) ^ code.sums_of(covered, place) ^ sums_above),
            ]
        with m.If(self.flush):
            m.d.sync += place.eq(PLACES[0])
        m.d.comb += [verdict.crc.eq(crc), verdict.sums.eq(sums)]
        ended, vector = Signal(name="ended"), Signal(name="ended_vector")
        m.d.sync += [ended.eq(self.valid & last & ~self.flush), vector.eq(inside)]
        m.d.comb += [verdict.ended.eq(ended), verdict.vector.eq(vector)]

    def _keep_header(self, m: Module, verdict: Verdict, inside: Value) -> None:
        header, arrival = Signal(code.HEADER, name="header"), Signal(NUMBER_BITS, name="arrival", reset_less=True)
        with m.If(self.valid & ~inside):
            m.d.sync += [header.eq(self.word[:HALF_BITS]), arrival.eq(self.hac_now)]
        idle = verdict.right & ~verdict.vector
        outputs = [(self.hac, header.hac), (self.hac_arrival, arrival), (self.tag, header.tag)]
        m.d.sync += [
            self.hac_valid.eq(verdict.right),
            self.probe_valid.eq(idle & header.probe),
            self.reflect_valid.eq(idle & header.reflection),
            *(unreset_register(m, port).eq(value) for port, value in outputs),
        ]
        m.d.comb += verdict.sequence.eq(header.sequence)

    def _go_north(self, m: Module, verdict: Verdict, buffer: ReceiveBuffer, inside: Value, last: Value) -> None:
        """Superlanes' words, unless the vector has no room."""
        held, dropped = Signal(HALF_BITS, name="held", reset_less=True), Signal(name="dropped")
        begins = self.valid & ~inside & ~last
        with m.If(self.valid):
            m.d.sync += held.eq(self.word[HALF_BITS:])
        with m.If(begins):
            m.d.sync += dropped.eq(buffer.full)
        whole = self.valid & inside & ~dropped
        m.d.sync += self.north_valid.eq(whole)
        outputs = [
            (self.north_superlane, self._count - 1),
            (self.north_slot, buffer.entry_slot),
            (self.north_word, Cat(held, self.word[:HALF_BITS])),
        ]
        registers = [(unreset_register(m, port), value) for port, value in outputs]
        with m.If(whole):
            m.d.sync += [register.eq(value) for register, value in registers]
        m.d.comb += buffer.enters.eq(whole & last)
        m.d.comb += verdict.dropped.eq(dropped)

    def _decide(self, m: Module, verdict: Verdict, buffer: ReceiveBuffer) -> None:
        """Into the receive buffer in A + 3, and out of it."""
        m.d.comb += [
            verdict.flush.eq(self.flush),
            buffer.flush.eq(self.flush),
            buffer.clear.eq(self.clear),
            buffer.take.eq(self.take),
            buffer.decided.eq(verdict.decided & ~verdict.lost),
            buffer.good.eq(verdict.good),
            buffer.flips.eq(Cat(verdict.flip_0, verdict.flip_1)),
            *(getattr(self, name).eq(getattr(buffer, name)) for name in ReceiveBuffer.SHOWN),
            Cat(self.taken_flip_0, self.taken_flip_1).eq(buffer.taken_flips),
        ]
        m.d.sync += self.overrun.eq(verdict.decided & verdict.lost)
        events = [(self.corrected, verdict.corrected), (self.bad, verdict.decided & ~verdict.good)]
        for counter, event in events:
            with m.If(self.clear):
                m.d.sync += counter.eq(0)
            with m.Elif(event & ~counter.all()):
                m.d.sync += counter.eq(counter + 1)
