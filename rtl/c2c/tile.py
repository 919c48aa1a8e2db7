"""C2C's tile in one superlane: words of SENDs go south, words of received vectors wait for their RECEIVE."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component, In, Member, Out

from rtl import stream, tile
from rtl.c2c.bundle import RECEIVE, northward_ports, southward_ports
from rtl.ecc import Checks, coded
from rtl.stream import WORD_BITS, unreset_register
from rtl.trace import hashed_drives
from tsp.config import ChipConfig
from tsp.floorplan import C2C_QUEUES

MARK = 0b11
"""Check bits that are wrong in what a RECEIVE drives that got no good vector: two, which nothing can correct."""


class C2cTile(Component):
    """The tile of a hemisphere with ``links`` links. T is this superlane's time.

    Ports beside those of every tile:
        instr_<q>_valid, instr_<q>, north_…: a SEND, in T, that no other on its link is in the way of.
        south_receive_<q>, north_receive_<q>, south_arrive_<l>, north_arrive_<l>, north_send_<l>, south_send_<l>: see
            :mod:`rtl.c2c.bundle`. A RECEIVE of T comes in T + 1; a word read by a SEND of T goes south in T + 1.
        powered: in T; absent in a chip of one superlane.
        e_<i>, w_<i> (word), e_present, w_present: in T, the streams that arrive at the site.
        mask_<q> (2·streams), word_<q>: in T + 2 of queue q's RECEIVE, its drive.
        absent (4): in T + 1, the operand of queue q's SEND was not there. uncorrectable (4), corrected: likewise, what
            its check bits told, with feature ``ecc``.
        drive_valid: whether any mask is not zero.
    """

    def __init__(self, config: ChipConfig, links: int):
        self.config, self.links = config, links
        self.module_name = f"c2c_tile_{links}"
        word = stream.stream_word(config)
        ports: dict[str, Member] = {f"{side}_{i}": In(word) for side in "ew" for i in range(config.streams)}
        ports |= {"e_present": In(config.streams), "w_present": In(config.streams)}
        ports |= {"powered": In(1)} if config.superlanes > 1 else {}
        for number in range(C2C_QUEUES):
            ports |= tile.instruction_ports("c2c", str(number))
            ports |= {f"mask_{number}": Out(2 * config.streams), f"word_{number}": Out(word)}
        ports |= northward_ports(C2C_QUEUES, links) | southward_ports(links)
        ports |= {"absent": Out(C2C_QUEUES), "drive_valid": Out(1)} | tile.corrected_ports(config)
        ports |= {"uncorrectable": Out(C2C_QUEUES)} if config.ecc else {}
        super().__init__(ports | tile.place_ports() | tile.host_ports(config))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for number in range(C2C_QUEUES):
            tile.move_north(m, self, str(number))
        self._powered = self.powered if self.config.superlanes > 1 else Const(1)
        self._send(m)
        buffers = [self._buffer(m, link) for link in range(self.links)]
        events = [self._receive(m, number, buffers) for number in range(C2C_QUEUES)]
        m.d.comb += self.drive_valid.eq(Cat(valid for valid, _, _ in events).any())
        if self.config.trace:
            tile.answer_signature(m, self, hashed_drives(m, self, events))
        return m

    def _send(self, m: Module) -> None:
        """Each queue's word, in T, into the path of the link that it names."""
        checks = Checks(m, self.config)
        words = [*stream.words(self, "e", self.config), *stream.words(self, "w", self.config)]
        named: list[tuple[Value, Value, Value]] = []
        for number in range(C2C_QUEUES):
            valid, instr = getattr(self, f"instr_{number}_valid"), getattr(self, f"instr_{number}")
            operand = tile.operand(instr, "SEND", "stream")
            reads = valid & self._powered
            present = stream.read_present(operand, self.e_present, self.w_present)
            index = stream.stream_index(operand, self.config.streams)
            word = stream.choose(m, f"send_{number}", reads, index, words)
            word = checks.data(f"send_{number}", reads & present, word)
            m.d.sync += self.absent[number].eq(reads & ~present)
            if self.config.ecc:
                m.d.sync += self.uncorrectable[number].eq(checks.uncorrectable[-1])
            named.append((valid, tile.operand(instr, "SEND", "link"), word))
        if self.config.ecc:
            m.d.sync += self.corrected.eq(checks.count)
        for link in range(self.links):
            own: Value = Const(0, WORD_BITS)
            sends: Value = Const(0)
            for valid, at, word in named:
                here = valid & (at == link)
                sends, own = sends | here, Mux(here, word, own)
            self._move_south(m, link, sends, own)

    def _move_south(self, m: Module, link: int, sends: Value, own: Value) -> None:
        """The two never meet: the links in the south let no SEND go that would make them."""
        passing = getattr(self, f"north_send_{link}_valid")
        data = unreset_register(m, getattr(self, f"south_send_{link}"))
        m.d.sync += getattr(self, f"south_send_{link}_valid").eq(sends | passing)
        with m.If(sends | passing):
            m.d.sync += data.eq(Mux(sends, own, getattr(self, f"north_send_{link}")))

    def _buffer(self, m: Module, link: int) -> Value:
        """This superlane's words of the vectors that came on a link; returns the one that the RECEIVE before takes."""
        arrives, arrival = getattr(self, f"south_arrive_{link}_valid"), getattr(self, f"south_arrive_{link}")
        north = unreset_register(m, getattr(self, f"north_arrive_{link}"))
        m.d.sync += getattr(self, f"north_arrive_{link}_valid").eq(arrives)
        with m.If(arrives):
            m.d.sync += north.eq(Cat((arrival.superlane - 1)[: len(arrival.superlane)], arrival.slot, arrival.data))
        memory = Memory(shape=WORD_BITS, depth=self.config.link_buffer, init=[])
        m.submodules[f"buffer_{link}"] = memory
        write, read = memory.write_port(), memory.read_port()
        slot: Value = Const(0, len(read.addr))
        takes: Value = Const(0)
        for number in range(C2C_QUEUES):
            command = getattr(self, f"south_receive_{number}")
            here = getattr(self, f"south_receive_{number}_valid") & (command.link == link)
            takes, slot = takes | here, Mux(here, command.slot[: len(read.addr)], slot)
        m.d.comb += [
            write.addr.eq(arrival.slot[: len(write.addr)]),
            write.data.eq(arrival.data),
            write.en.eq(arrives & (arrival.superlane == 0)),
            read.addr.eq(slot),
            read.en.eq(takes),
        ]
        return read.data

    def _receive(self, m: Module, number: int, buffers: list[Value]) -> tuple[Value, Value, Value]:
        """(drives now, stream operand, data) of a queue's RECEIVE, in T + 2."""
        valid, command = getattr(self, f"south_receive_{number}_valid"), getattr(self, f"south_receive_{number}")
        north = unreset_register(m, getattr(self, f"north_receive_{number}"))
        acts, taken = Signal(name=f"receive_{number}_acts"), RECEIVE(north)
        later = getattr(self, f"north_receive_{number}_valid")
        before = Signal(name=f"powered_before_{number}", init=1)
        m.d.sync += [before.eq(self._powered), later.eq(valid), acts.eq(valid & before)]
        next_ = Signal(RECEIVE, name=f"receive_{number}_north")
        m.d.comb += next_.eq(command)
        for i in range(len(command.flips)):
            m.d.comb += next_.flips[i].superlane.eq(command.flips[i].superlane - 1)
        with m.If(valid):
            m.d.sync += north.eq(next_)
        word: Value = Const(0, WORD_BITS)
        for link, buffered in enumerate(buffers):
            word = Mux(taken.link == link, buffered, word)
        for i in range(len(taken.flips)):
            # A tile further north "this superlane" is all ones.
            here = taken.flips[i].valid & taken.flips[i].superlane.all()
            word = word ^ Mux(here, 1 << taken.flips[i].bit, 0)[:WORD_BITS]
        data = Signal(WORD_BITS, name=f"receive_{number}_data")
        m.d.comb += data.eq(stream.gated(acts & taken.good, word))
        driven = coded(m, f"receive_{number}", self.config, acts, data)
        if self.config.ecc:
            driven = driven ^ Cat(Const(0, WORD_BITS), Mux(taken.good, 0, MARK))
        mask = stream.drive_mask(taken.stream, Const(1), self.config)
        m.d.comb += [
            getattr(self, f"word_{number}").eq(driven),
            getattr(self, f"mask_{number}").eq(stream.gated(acts, mask)),
        ]
        return acts, taken.stream, data
