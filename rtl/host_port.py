"""The host port of a chip and what it shows: status, cycle count, first fault, counters (architecture, section 8)."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.wiring import Component, In, Member, Out

from rtl import station, tile
from rtl.c2c import bundle as links
from rtl.ecc import CHECK_BITS, EccDecoder, EccEncoder
from rtl.stamp import stamp
from rtl.stream import WORD_BITS, unreset_register
from tsp import isa
from tsp.config import ChipConfig
from tsp.timing import timing

ADDRESS_BITS = 32
REGISTERS, QUEUES, MEMORY, SIGNATURES, FLIP_DATA, FLIP_CHECK, FLIP_MASK, FLIP_STREAM, LINKS = range(9)
"""Regions: bits 31…28 of an address."""
CONTROL, STATUS, CYCLES, FAULT, COUNTERS, CORRECTED = range(6)
"""Registers: the low bits of an address in region 0."""
REGISTER_BITS = 3
PUSH_QUEUE_BITS = 12

TILE_CYCLES = 3
"""From a request at superlane 0's southern edge to its answer there; registers answer in the same time, so in order."""


class HostPort(Component):
    """Turns host accesses into requests, register reads, pushed words and the start.

    Accesses to memory while a program runs are ignored, as is a second start. Latency of a read: 5 cycles, and 2 more
    per superlane north of the first.

    Ports:
        host_*: the chip's host port.
        push_*, start: to the ICU. idle, now, hac, sac, delta: from it.
        request_*, answer_*: to and from superlane 0.
        fault_* , fault_time: from the northernmost superlane, in T_f + 1 of the superlane that would be north of it;
            fault_time is that superlane's ``time``.
        stream_event, write_event: from superlane 0.
        With feature ``c2c``: link_write, link_write_address, of the push_word of this cycle; link_read_address, for
            link_read_data in the same cycle.
        With feature ``ecc``: corrected, from the northernmost superlane, in a cycle like faults; flip_mask, flip_push:
            the push_word and request_address of this cycle are for the queue of flips.
        done, running, fault: the status bits.
    """

    module_name = "host_port"

    def __init__(self, config: ChipConfig):
        self.config = config
        ports: dict[str, Member] = {
            "host_write": In(1),
            "host_read": In(1),
            "host_address": In(ADDRESS_BITS),
            "host_wdata": In(WORD_BITS),
            "host_rvalid": Out(1),
            "host_rdata": Out(WORD_BITS),
            "push_valid": Out(1),
            "push_queue": Out(PUSH_QUEUE_BITS),
            "push_word": Out(isa.WORD_BITS),
            "start": Out(1),
            "idle": In(1),
            "now": In(tile.TIME_BITS),
            "hac": In(16),
            "sac": In(16),
            "delta": In(12),
            "fault_time": In(tile.TIME_BITS),
            "stream_event": In(1),
            "write_event": In(1),
            "done": Out(1),
            "running": Out(1),
            "fault": Out(1),
        }
        if config.c2c:
            ports |= {"link_write": Out(1), "link_write_address": Out(links.ADDRESS_BITS)}
            ports |= {"link_read_address": Out(links.ADDRESS_BITS), "link_read_data": In(links.DATA_BITS)}
        if config.ecc:
            ports |= {"corrected": In(station.CHIP_CORRECTED_BITS), "flip_mask": Out(1), "flip_push": Out(1)}
        ports |= station.request_ports(config, Out, "request")
        ports |= station.answer_ports(In, "answer", tile.answer_bits(config) * config.beats)
        super().__init__(ports | station.fault_ports(In, "fault"))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        self._request(m)
        if self.config.c2c:
            m.d.comb += [
                self.link_write.eq(self._write & (self._address[28:] == LINKS)),
                self.link_write_address.eq(self._address[: links.ADDRESS_BITS]),
            ]
        if self.config.ecc:
            self._request_flips(m)
            self._count_corrected(m)
        self._answer(m)
        self._run(m)
        self._count(m)
        self._latch_fault(m)
        return m

    def _request(self, m: Module) -> None:
        """Register the access, then decode it."""
        self._write, self._read = Signal(name="write"), Signal(name="read")
        self._address = Signal(ADDRESS_BITS, name="address", reset_less=True)
        self._wdata = Signal(WORD_BITS, name="wdata", reset_less=True)
        m.d.sync += [self._write.eq(self.host_write), self._read.eq(self.host_read)]
        with m.If(self.host_write | self.host_read):
            m.d.sync += [self._address.eq(self.host_address), self._wdata.eq(self.host_wdata)]
        region = self._address[28:]
        memory = region == MEMORY
        if self.config.ecc:
            memory = region.matches(MEMORY, FLIP_DATA, FLIP_CHECK)
        in_tile = memory & ~self.running
        if self.config.trace:
            in_tile = in_tile | ((region == SIGNATURES) & self._read)
            m.d.comb += self.request_signature.eq(region == SIGNATURES)
        control = (region == REGISTERS) & (self._address[:REGISTER_BITS] == CONTROL)
        m.d.comb += [
            self.push_valid.eq(self._write & (region == QUEUES)),
            self.push_queue.eq(self._address[16:28]),
            self.push_word.eq(self._wdata),
            self.start.eq(self._write & control & self._wdata[0] & ~self.running),
            self.request_valid.eq((self._write | self._read) & in_tile),
            self.request_write.eq(self._write),
            self.request_superlane.eq(self._address[13:19]),
            self.request_place.eq(self._address[19:28]),
            self.request_address.eq(self._address[:13]),
            self.request_wdata.eq(self._wdata),
        ]

    def _request_flips(self, m: Module) -> None:
        """The check bits of what is written, and accesses that turn over bits or read a word as it is."""
        region = self._address[28:]
        m.submodules.encoder = encoder = stamp(EccEncoder(), "encoder")
        m.d.comb += [
            encoder.valid.eq(self._write),
            encoder.data.eq(self._wdata),
            self.request_check.eq(encoder.check),
            self.request_flip.eq(region != MEMORY),
            self.flip_mask.eq(self._write & (region == FLIP_MASK)),
            self.flip_push.eq(self._write & (region == FLIP_STREAM)),
        ]
        with m.If(region == FLIP_DATA):
            m.d.comb += self.request_check.eq(0)
        with m.Elif(region == FLIP_CHECK):
            m.d.comb += [self.request_check.eq(self._wdata[:CHECK_BITS]), self.request_wdata.eq(0)]

    def _count_corrected(self, m: Module) -> None:
        """Words corrected by the units, and of the host's reads those corrected and those that cannot be."""
        m.submodules.decoder = self._decoder = decoder = stamp(EccDecoder(), "decoder")
        data = self.answer_data[:WORD_BITS]
        check, to_correct = self.answer_data[WORD_BITS : WORD_BITS + CHECK_BITS], self.answer_data[-1]
        m.d.comb += [decoder.valid.eq(self.answer_valid & to_correct), decoder.data.eq(data), decoder.check.eq(check)]
        widths = {"units": 32, "host": 16, "uncorrectable": 16}
        self._corrected = [Signal(width, name=f"corrected_{name}") for name, width in widths.items()]
        found = (self.corrected, decoder.corrected, decoder.uncorrectable)
        for counter, more in zip(self._corrected, found, strict=True):
            with m.If(more != 0):
                m.d.sync += counter.eq(saturating_sum(counter, more))

    def _answer(self, m: Module) -> None:
        """The tiles' answers, and the registers' answers after the same time."""
        asked: Value = self._read & (self._address[28:] == REGISTERS)
        number: Value = self._address[:REGISTER_BITS]
        if self.config.c2c:
            # A bit above the address says whether it is a link's.
            of_link = self._address[28:] == LINKS
            asked = self._read & self._address[28:].matches(REGISTERS, LINKS)
            number = Cat(self._address[: links.ADDRESS_BITS], of_link)
        for stage in range(TILE_CYCLES):
            earlier, asked = asked, Signal(name=f"register_read_{stage}")
            m.d.sync += asked.eq(earlier)
            earlier, number = number, Signal(len(number), name=f"register_number_{stage}", reset_less=True)
            m.d.sync += number.eq(earlier)
        registers = self._registers(m, number[:REGISTER_BITS])
        if self.config.c2c:
            m.d.comb += self.link_read_address.eq(number)
            registers = Mux(number[-1], self.link_read_data, registers)
        m.d.sync += self.host_rvalid.eq(asked | self.answer_valid)
        rdata = unreset_register(m, self.host_rdata)
        with m.If(asked | self.answer_valid):
            answer: Value = self.answer_data
            if self.config.ecc:
                answer = Mux(self._decoder.valid, self._decoder.fixed, answer[:WORD_BITS])
            m.d.sync += rdata.eq(Mux(asked, registers, answer))

    def _registers(self, m: Module, number: Value) -> Value:
        self._cycles = Signal(tile.TIME_BITS, name="cycles")
        self._fault = {
            "cycle": Signal(tile.TIME_BITS, name="first_fault_cycle"),
            "queue": Signal(station.CHIP_QUEUE_BITS, name="first_fault_queue"),
            "kind": Signal(tile.KIND_BITS, name="first_fault_kind"),
        }
        status = Cat(self.done, self.running, self.fault)
        choices = {
            STATUS: status,
            CYCLES: self._cycles,
            FAULT: Cat(*self._fault.values()),
            COUNTERS: Cat(self.hac, self.sac, self.delta),
        }
        if self.config.ecc:
            choices[CORRECTED] = Cat(self._corrected)
        value: Value = Const(0, WORD_BITS)
        for register, shown in choices.items():
            value = Mux(number == register, shown, value)
        return value

    def _run(self, m: Module) -> None:
        """``running`` from the start until everything has been idle for the drain time."""
        drain = timing(self.config).drain
        quiet = Signal(range(drain + 1))
        with m.If(self.start):
            m.d.sync += [self.running.eq(1), self.done.eq(0), quiet.eq(0)]
        with m.Elif(self.running):
            m.d.sync += quiet.eq(Mux(self.idle, quiet + 1, 0))
            with m.If(quiet == drain):
                m.d.sync += [self.running.eq(0), self.done.eq(1)]

    def _count(self, m: Module) -> None:
        """The cycle after the last event of superlane 0. A drive is an event one cycle after it is reported."""
        driven = Signal()
        m.d.sync += driven.eq(self.stream_event)
        with m.If(self.start):
            m.d.sync += self._cycles.eq(0)
        with m.Elif(driven | self.write_event):
            m.d.sync += self._cycles.eq(self.now + 1)

    def _latch_fault(self, m: Module) -> None:
        # A fault pulse comes one cycle after its own.
        cycle = Signal(tile.TIME_BITS, reset_less=True)
        m.d.sync += cycle.eq(self.fault_time)
        with m.If(self.fault_valid & ~self.fault):
            m.d.sync += [
                self.fault.eq(1),
                self._fault["cycle"].eq(cycle),
                self._fault["queue"].eq(self.fault_queue),
                self._fault["kind"].eq(self.fault_kind),
            ]


def saturating_sum(counter: Value, more: Value) -> Value:
    """What a counter is after ``more``; all ones from the most it can hold on."""
    total = counter + more
    return Mux(total[len(counter) :].any(), Const(-1, len(counter)), total[: len(counter)])
