"""The sending end of a link: vectors become packets, and idle words stand between them."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component, In, Out

from rtl.link import code
from rtl.link.code import HALF_BITS, NUMBER_BITS, PLACE_BITS, PLACES, WORD_BITS
from rtl.stream import unreset_register

IDLE, VECTOR = 0x00, 0xFF


class LinkTransmit(Component):
    """One link's words, one in each cycle.

    The words of a SEND of T wait in one of two slots of a memory until it is their turn. Two SENDs whose words come at
    the same time are an odd number of cycles apart, so that cycles take turns: a word that comes in an even cycle and
    one that comes in an odd one belong to different SENDs, and go into different slots.

    Nothing here finds SENDs that are too close to each other; what comes of them is not defined.

    Ports:
        send: in, a SEND is dispatched in this cycle, T.
        word_valid, word (128): in, superlane k's word in T + 2·k + 1; one that is not valid then is sent as zeros.
        hac_next, epoch_next (16): in, what the HAC, and the number of epochs begun since reset, will be in the next
            cycle, whatever is being added to the HAC in this one. A header takes them in the cycle before it is on the
            pins, so its stamp is the HAC of the cycle in which it is on them.
        probe_valid, probe_tag (16), reflect_valid, reflect_tag (16): in, held until taken: the next idle word is to be
            this probe or reflection. probe_taken, reflect_taken: out, the word on the pins in the next cycle is. A
            reflection comes first.
        flush: in, the next vector is the first one again. Packets under way are sent.
        tx (128): out, register, the pins. The header of a SEND of T is on them in T + superlanes + 4.
    """

    module_name = "link_transmit"

    def __init__(self, superlanes: int):
        self.superlanes = superlanes
        one = ("send", "word_valid", "probe_valid", "reflect_valid", "flush")
        numbers = ("hac_next", "epoch_next", "probe_tag", "reflect_tag")
        ports = {name: In(1) for name in one} | {name: In(NUMBER_BITS) for name in numbers}
        ports |= {"word": In(WORD_BITS), "probe_taken": Out(1), "reflect_taken": Out(1), "tx": Out(WORD_BITS)}
        super().__init__(ports)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        depth = 1 << (PLACES[self.superlanes - 1]).bit_length()
        m.submodules.memory = memory = Memory(shape=WORD_BITS, depth=2 * depth, init=[])
        phase = Signal()
        m.d.sync += phase.eq(~phase)
        self._arrive(m, memory.write_port(), phase)
        word, here, place = self._leave(m, memory.read_port(), phase)
        self._send(m, word, here, place)
        return m

    def _arrive(self, m: Module, port: Value, phase: Signal) -> None:
        """Words into the memory: the slot is the cycle's phase, the address in it the place in the packet.

        Two SENDs take turns to be the one whose word comes ``now``.
        """
        now, then = Signal(name="arriving_now"), Signal(name="arriving_then")
        place_now = Signal(PLACE_BITS, name="arriving_place_now")
        place_then = Signal(PLACE_BITS, name="arriving_place_then")
        m.d.sync += [
            now.eq(self.send | then),
            place_now.eq(Mux(self.send, PLACES[0], place_then)),
            then.eq(now & (place_now != PLACES[self.superlanes - 1])),
            place_then.eq(code.next_place(place_now)),
        ]
        m.d.comb += [
            port.en.eq(now),
            port.addr.eq(Cat(place_now[: len(port.addr) - 1], phase)),
            port.data.eq(Mux(self.word_valid, self.word, 0)),
        ]

    def _leave(self, m: Module, port: Value, phase: Signal) -> tuple[Value, Value, Value]:
        """Words out of the memory: superlane k's, whether there is one, and its place, in T + superlanes + 3 + k."""
        waiting = Signal(self.superlanes, name="send_waiting")
        reading, slot = Signal(name="reading"), Signal(name="reading_slot")
        place = Signal(PLACE_BITS, name="reading_place")
        m.d.sync += waiting.eq(Cat(self.send, waiting))
        with m.If(waiting[-1]):
            # This is T + superlanes, and the slot is the phase of T + 1.
            m.d.sync += [reading.eq(1), place.eq(PLACES[0]), slot.eq(phase if self.superlanes % 2 else ~phase)]
        with m.Else():
            m.d.sync += [reading.eq(reading & (place != PLACES[self.superlanes - 1])), place.eq(code.next_place(place))]
        m.d.comb += [port.en.eq(reading), port.addr.eq(Cat(place[: len(port.addr) - 1], slot))]
        read, here = Signal(name="read"), Signal(name="here")
        place_read, place_here = Signal(PLACE_BITS, name="read_place"), Signal(PLACE_BITS, name="here_place")
        word = Signal(WORD_BITS, name="here_word", reset_less=True)
        m.d.sync += [read.eq(reading), place_read.eq(place), here.eq(read), place_here.eq(place_read)]
        with m.If(read):
            m.d.sync += word.eq(port.data)
        self._crc = Signal(code.CRC_BITS, name="here_crc", reset_less=True)
        self._digests = [Signal(code.BIT_BITS + 1, name=f"here_digest_{i}", reset_less=True) for i in range(4)]
        found = [*code.digests(port.data[:HALF_BITS], HALF_BITS), *code.digests(port.data[HALF_BITS:])]
        with m.If(read):
            m.d.sync += [self._crc.eq(code.crc_of(port.data)), Cat(self._digests).eq(Cat(found))]
        return word, here, place_here

    def _send(self, m: Module, word: Value, here: Value, place: Value) -> None:
        """What is on the pins in the next cycle: a half of a vector's word above, and one of the word before below it;
        a header in place of the first half, and a trailer in place of the last."""
        first, ends, idle = Signal(name="first"), Signal(name="ends"), Signal(name="idle")
        held = Signal(HALF_BITS, name="held", reset_less=True)
        m.d.comb += [first.eq(here & (place == PLACES[0])), idle.eq(~here & ~ends)]
        m.d.sync += ends.eq(here & (place == PLACES[self.superlanes - 1]))
        with m.If(here):
            m.d.sync += held.eq(word[HALF_BITS:])
        header = self._header(m, first, idle)
        trailer = self._trailer(m, header, here, first, ends, place)
        tx = unreset_register(m, self.tx)
        m.d.sync += tx.eq(Cat(Mux(first | idle, header, held), Mux(here, word[:HALF_BITS], trailer)))

    def _header(self, m: Module, first: Value, idle: Value) -> Value:
        """The header of a packet that begins in the next cycle, if one does."""
        sequence, start = Signal(NUMBER_BITS, name="sequence"), Signal(name="start", init=1)
        with m.If(first):
            m.d.sync += [sequence.eq(sequence + 1), start.eq(0)]
        with m.If(self.flush):
            m.d.sync += [sequence.eq(0), start.eq(1)]
        m.d.comb += [
            self.reflect_taken.eq(idle & self.reflect_valid),
            self.probe_taken.eq(idle & self.probe_valid & ~self.reflect_valid),
        ]
        header = Signal(code.HEADER, name="header")
        m.d.comb += [
            header.type.eq(Mux(first, VECTOR, IDLE)),
            header.probe.eq(self.probe_taken),
            header.reflection.eq(self.reflect_taken),
            header.start.eq(first & start),
            header.sequence.eq(Mux(first, sequence, 0)),
            header.hac.eq(self.hac_next),
        ]
        with m.If(header.start):
            m.d.comb += header.tag.eq(self.epoch_next)
        with m.Elif(self.reflect_taken):
            m.d.comb += header.tag.eq(self.reflect_tag)
        with m.Elif(self.probe_taken):
            m.d.comb += header.tag.eq(self.probe_tag)
        return header.as_value()

    def _trailer(self, m: Module, header: Value, here: Value, first: Value, ends: Value, place: Value) -> Value:
        """The trailer after what is summed up, or after the header alone."""
        places = Const(PLACES[self.superlanes], PLACE_BITS), Const(PLACES[0], PLACE_BITS)
        crc, sums = Signal(code.CRC_BITS, name="crc"), Signal(code.CODES * code.CHECK_BITS, name="sums")
        crc_begun, sums_begun = Signal.like(crc, name="header_crc"), Signal.like(sums, name="header_sums")
        m.d.comb += [
            crc_begun.eq(code.crc_of(header) ^ code.advanced(code.CRC_START, HALF_BITS)),
            sums_begun.eq(code.sums_of(header, places[1])),
        ]
        upper, crc_before = Signal(PLACE_BITS, name="upper_place"), Signal.like(crc, name="crc_before")
        added = Cat(code.at_place(digest, place) for digest in self._digests[: code.CODES])
        added ^= Cat(code.at_place(digest, upper) for digest in self._digests[code.CODES :])
        m.d.comb += [upper.eq(code.next_place(place)), crc_before.eq(Mux(first, crc_begun, crc))]
        with m.If(here):
            m.d.sync += [
                crc.eq(code.crc_past(crc_before, WORD_BITS) ^ self._crc),
                sums.eq(Mux(first, sums_begun, sums) ^ added),
            ]
        crc_sent, sums_sent = Signal.like(crc, name="crc_sent"), Signal.like(sums, name="sums_sent")
        m.d.comb += [
            crc_sent.eq(~Mux(ends, crc, crc_begun)),
            sums_sent.eq(Mux(ends, sums, sums_begun) ^ code.sums_of(crc_sent, Mux(ends, *places), HALF_BITS)),
        ]
        checks = [sums_sent.word_select(i, code.CHECK_BITS) for i in range(code.CODES)]
        return Cat(crc_sent, *(Cat(check[:-1], check.xor()) for check in checks), Const(0, 8))
