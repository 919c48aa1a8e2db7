"""MEM: a tile is 16-byte words behind one read and one write port; a site is a group of four tiles."""

from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component, In, Out

from rtl import beats, stream, tile
from rtl.stamp import Stamp, stamp
from rtl.trace import WRITE_EVENT, EventHasher
from tsp import isa
from tsp.config import SLICES_PER_GROUP, ChipConfig

ADDRESS_BITS = 16
"""Of the address that a GATHER or SCATTER takes from a stream."""


@dataclass(frozen=True)
class Indirect:
    """In T: whether the instruction is a GATHER, a SCATTER, either; the address, and whether there is one in memory."""

    gather: Value
    scatter: Value
    used: Value
    address: Value
    inside: Value


class MemTile(Component):
    """One slice's memory in one superlane. Obeys READ, WRITE, READ_WRITE and, with the feature ``gather``, GATHER and
    SCATTER; all accesses happen in cycle T.

    A READ of a word that is written in the same cycle (a bank conflict, or the host's business) gives the old word.

    Ports beside those of every tile:
        operand (word), operand_present: in T, the stream a WRITE or SCATTER names; used only then.
        map (16), map_present: in T (its first beat), the low bytes of the stream a GATHER or SCATTER takes its address
            from; used only then. With the feature ``gather``.
        drive_mask (2·streams), drive_word (word): in T + 1 of a READ.
        drive_valid: whether the mask is not zero. write_valid: in T of a WRITE.
    """

    module_name = "mem_tile"

    def __init__(self, config: ChipConfig):
        self.config = config
        word = stream.stream_word(config)
        super().__init__(
            tile.instruction_ports("mem")
            | tile.place_ports()
            | tile.host_ports(config)
            | tile.fault_ports()
            | {"operand": In(word), "operand_present": In(1), "write_valid": Out(1)}
            | ({"map": In(ADDRESS_BITS), "map_present": In(1)} if config.gather else {})
            | {"drive_mask": Out(2 * config.streams), "drive_word": Out(word), "drive_valid": Out(1)}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        tile.move_north(m, self)
        address_bits = (self.config.mem_words - 1).bit_length()
        read = Signal()
        write = self.write_valid
        read_address = tile.operand(self.instr, "READ", "read_address")[:address_bits]
        write_address = tile.operand(self.instr, "WRITE", "write_address")[:address_bits]
        bank_conflict = read & write & (read_address[-1] == write_address[-1])
        reads, writes = tile.is_any(self.instr, "READ", "READ_WRITE"), tile.is_any(self.instr, "WRITE", "READ_WRITE")
        absent = write & ~self.operand_present
        conditions = [(bank_conflict, tile.BANK_CONFLICT), (absent, tile.OPERAND_ABSENT)]
        if self.config.gather:
            found = self._indirect(m, address_bits)
            read_address = Mux(found.used, found.address, read_address)
            write_address = Mux(found.used, found.address, write_address)
            reads, writes = reads | found.gather, writes | (found.scatter & found.inside)
            absent = (write | found.scatter) & ~self.operand_present | found.used & ~self.map_present
            conditions = [
                (bank_conflict, tile.BANK_CONFLICT),
                (absent, tile.OPERAND_ABSENT),
                (found.used & ~found.inside, tile.GATHER_ADDRESS),
            ]
        m.d.comb += [read.eq(self.instr_valid & reads), write.eq(self.instr_valid & writes)]
        tile.pulse_fault(m, self.fault_valid, self.fault_kind, conditions)
        self._drive(m, read)
        host_read, host_signature = self._memory(m, read, read_address, write, write_address)
        signature = self._trace(m, write, write_address) if self.config.trace else Const(0, tile.SIGNATURE_BITS)
        self._answer_host(m, host_read, host_signature, signature)
        return m

    def _indirect(self, m: Module, address_bits: int) -> "Indirect":
        """Whether the instruction takes its address from a stream, and which it is."""
        gather, scatter = (self.instr_valid & tile.is_any(self.instr, name) for name in isa.INDIRECT)
        count, address = self.config.beats, Signal(ADDRESS_BITS, name="map_address")
        if count == 1:
            m.d.comb += address.eq(self.map)
        else:
            held, first = Signal(ADDRESS_BITS, name="map_held", reset_less=True), beats.beat_number(count) == 0
            m.d.comb += address.eq(Mux(first, self.map, held))
            with m.If(first):
                m.d[beats.domain(count)] += held.eq(self.map)
        inside = self.map_present & ~address[address_bits:].any()
        self._nothing = Signal(name="nothing", reset_less=True)
        with m.If(self.instr_valid):
            m.d.sync += self._nothing.eq(gather & ~inside)
        return Indirect(gather, scatter, gather | scatter, address[:address_bits], inside)

    def _memory(
        self, m: Module, read: Value, read_address: Value, write: Value, write_address: Value
    ) -> tuple[Signal, Value]:
        """The words and who may use their ports; returns whether the host reads a word, or the signature, now."""
        word = stream.stream_word(self.config)
        count = self.config.beats
        m.submodules.memory = memory = Memory(shape=word, depth=self.config.mem_words * count, init=[])
        reader = memory.read_port(domain=beats.domain(count))
        writer = memory.write_port(domain=beats.domain(count))
        beat = [] if count == 1 else [beats.beat_number(count)]
        addressed = tile.host_addressed(m, self)
        signature = self.host_signature if self.config.trace else Const(0)
        host_read = Signal()
        host_write = Signal()
        m.d.comb += host_read.eq(addressed & ~signature & ~self.host_write)
        m.d.comb += host_write.eq(addressed & ~signature & self.host_write)
        host_address = self.host_address[: len(read_address)]
        m.d.comb += [
            reader.en.eq(read | host_read),
            reader.addr.eq(Cat(*beat, Mux(host_read, host_address, read_address))),
            writer.en.eq(write | host_write),
            writer.addr.eq(Cat(*beat, Mux(host_write, host_address, write_address))),
            writer.data.eq(Mux(host_write, beats.part(count, self.host_wdata), self.operand.as_value())),
            self.drive_word.eq(self._read_word(m, reader.data.as_value())),
        ]
        return host_read, addressed & signature & ~self.host_write

    def _read_word(self, m: Module, data: Value) -> Value:
        """What was read, in T + 1; zeros from an address that the memory does not have."""
        word = beats.in_next_cycle(m, "read", self.config.beats, data)
        return Mux(self._nothing & self.drive_valid, 0, word) if self.config.gather else word

    def _drive(self, m: Module, read: Value) -> None:
        m.d.sync += [self.drive_valid.eq(read), self.drive_mask.eq(0)]
        with m.If(read):
            operand = tile.operand(self.instr, "READ", "read_stream")
            m.d.sync += self.drive_mask.eq(stream.drive_mask(operand, Const(1, 1), self.config))

    def _trace(self, m: Module, write: Value, write_address: Value) -> Value:
        """The tile's signature over its drives (hashed in T + 1) and its memory writes (hashed in T)."""
        m.submodules.hasher = hasher = EventHasher(2, (1, 0), self.config.beats)
        drive_stream = Signal(8, reset_less=True)
        with m.If(self.instr_valid):
            m.d.sync += drive_stream.eq(tile.operand(self.instr, "READ", "read_stream"))
        m.d.comb += [
            hasher.valid.eq(Cat(self.drive_valid, write)),
            hasher.time.eq(self.time),
            hasher.place.eq(self.place),
            hasher.address_0.eq(drive_stream),
            hasher.data_0.eq(self.drive_word),
            hasher.address_1.eq(WRITE_EVENT | write_address),
            hasher.data_1.eq(self.operand),
        ]
        return hasher.total

    def _answer_host(self, m: Module, host_read: Value, host_signature: Value, signature: Value) -> None:
        word_read = Signal()
        signature_read = Signal()
        m.d.sync += [word_read.eq(host_read), signature_read.eq(host_signature)]
        m.d.comb += self.host_rvalid.eq(word_read | signature_read)
        other = stream.gated(signature_read, tile.signature_part(signature, self.config))
        m.d.comb += self.host_rdata.eq(Mux(word_read, self.drive_word.as_value(), other))


class MemSite(Component):
    """The SRs around a group of four MEM slices of one superlane, and their tiles. Ports: docs/rtl.md, "Site"."""

    module_name = "mem_site"

    def __init__(self, config: ChipConfig):
        self.config = config
        super().__init__(
            stream.site_stream_ports(config)
            | tile.site_instruction_ports(["mem"] * SLICES_PER_GROUP)
            | tile.place_ports()
            | tile.host_ports(config)
            | tile.site_fault_ports()
            | {"stream_event": Out(1), "write_event": Out(1)}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        tiles = [stamp(MemTile(self.config), f"tile_{i}") for i in range(SLICES_PER_GROUP)]
        for i, mem_tile in enumerate(tiles):
            m.submodules[f"tile_{i}"] = mem_tile
            self._connect(m, mem_tile, i)
        drives = [stream.Drive(mem_tile.drive_mask, [mem_tile.drive_word], i) for i, mem_tile in enumerate(tiles)]
        faults = list(stream.site_registers(m, self, self.config, drives))
        for i, mem_tile in enumerate(tiles):
            # After the collision of the same queue, whose kind is lower.
            faults.insert(2 * i + 1, stream.Fault(mem_tile.fault_valid, Const(i, tile.QUEUE_BITS), mem_tile.fault_kind))
        tile.report_fault(m, self, faults)
        tile.host_to_tiles(m, self, tiles, self.config)
        m.d.comb += self.stream_event.eq(Cat(mem_tile.drive_valid for mem_tile in tiles).any())
        m.d.comb += self.write_event.eq(Cat(mem_tile.write_valid for mem_tile in tiles).any())
        return m

    def _connect(self, m: Module, mem_tile: Stamp, i: int) -> None:
        tile.connect_instruction(m, self, mem_tile, str(i))
        target = tile.operand(mem_tile.instr, "WRITE", "write_stream")
        words = stream.words(self, "e_in", self.config) + stream.words(self, "w_in", self.config)
        taking = ["WRITE", "READ_WRITE", *(["SCATTER"] if self.config.gather else [])]
        writes = mem_tile.instr_valid & tile.is_any(mem_tile.instr, *taking)
        index = stream.stream_index(target, self.config.streams)
        m.d.comb += [
            mem_tile.time.eq(self.time),
            mem_tile.place.eq(self.place + i),
            mem_tile.operand.eq(stream.choose(m, f"operand_{i}", writes, index, words)),
            mem_tile.operand_present.eq(stream.read_present(target, self.e_present_in, self.w_present_in)),
        ]
        if self.config.gather:
            source = tile.operand(mem_tile.instr, "GATHER", "map")
            maps = [Value.cast(word)[:ADDRESS_BITS] for word in words]
            wanted = mem_tile.instr_valid & tile.is_any(mem_tile.instr, *isa.INDIRECT)
            index = stream.stream_index(source, self.config.streams)
            m.d.comb += [
                mem_tile.map.eq(stream.choose(m, f"map_{i}", wanted, index, maps)),
                mem_tile.map_present.eq(stream.read_present(source, self.e_present_in, self.w_present_in)),
            ]
