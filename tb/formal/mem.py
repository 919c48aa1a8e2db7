"""A MEM tile: its bank rule, and what a READ sees."""

from typing import Any

from amaranth.hdl import Cat, Mux, Signal, Value

from tb.formal.bench import PLAIN, Bench
from tb.formal.planted import Bug, Rtl
from tb.formal.proof import Proof
from tsp import isa

CONFIG = PLAIN.override(["streams=16", "mem_words=16", "trace=false"])
BANK_CONFLICT, OPERAND_ABSENT = 2, 3
"""From the table of faults in docs/architecture.md, section 5."""


class Access:
    """A tile with free inputs, and what its instruction asks for."""

    def __init__(self, bench: Bench, rtl: Rtl):
        self.tile = tile = rtl("rtl.mem").MemTile(CONFIG)
        self.inside = bench.place("tile", tile)
        bench.drive(tile)
        by_name = {name: tile.instr[:8] == isa.BY_MNEMONIC[name].opcode for name in ("READ", "WRITE", "READ_WRITE")}
        bench.assume(~tile.instr_valid | Cat(by_name.values()).any())
        self.reads, self.writes = Signal(name="reads"), Signal(name="writes")
        bench.m.d.comb += [
            self.reads.eq(tile.instr_valid & (by_name["READ"] | by_name["READ_WRITE"])),
            self.writes.eq(tile.instr_valid & (by_name["WRITE"] | by_name["READ_WRITE"])),
        ]
        self.read_address, self.write_address = (_field(tile, name) for name in ("READ", "WRITE"))
        # Nothing else is legal.
        bench.assume((self.read_address < CONFIG.mem_words) | ~self.reads)
        bench.assume((self.write_address < CONFIG.mem_words) | ~self.writes)


def _field(tile: Any, mnemonic: str) -> Value:
    field = isa.BY_MNEMONIC[mnemonic].field(f"{mnemonic.lower()}_address")
    return tile.instr[field.lo : field.lo + field.width]


def bank_rule(rtl: Rtl) -> Bench:
    """The fault pulse of a tile."""

    def build(bench: Bench) -> None:
        access = Access(bench, rtl)
        tile, half = access.tile, CONFIG.mem_words // 2
        same = (access.read_address >= half) == (access.write_address >= half)
        conflict = access.reads & access.writes & same
        absent = access.writes & ~tile.operand_present
        conflicted, missed = bench.before(conflict, "conflicted"), bench.before(absent, "missed")
        bench.claim((tile.fault_valid & (tile.fault_kind == BANK_CONFLICT)) == conflicted)
        bench.claim((tile.fault_valid & (tile.fault_kind == OPERAND_ABSENT)) == (missed & ~conflicted))
        bench.claim(tile.fault_valid == (conflicted | missed))

    return Bench(build)


def memory(rtl: Rtl) -> Bench:
    """Follow any one word of the memory from a write of it on."""

    def build(bench: Bench) -> None:
        m, access = bench.m, Access(bench, rtl)
        tile = access.tile
        # The host's access and an instruction's meet only where the host breaks its rule (architecture, section 8).
        host = tile.host_select & (tile.host_place == tile.place)
        bench.assume(~(host & tile.instr_valid))
        bench.assume(~host | (tile.host_address < CONFIG.mem_words))
        address = bench.constant(range(CONFIG.mem_words), "address")
        known, word = Signal(), Signal(len(tile.operand.as_value()))
        writes = access.writes & (access.write_address == address)
        host_writes = host & tile.host_write & (tile.host_address == address)
        with m.If(writes | host_writes):
            m.d.sync += [known.eq(1), word.eq(Mux(writes, tile.operand.as_value(), tile.host_wdata))]

        reads = bench.before(access.reads & (access.read_address == address) & known, "reads_it")
        host_reads = bench.before(host & ~tile.host_write & (tile.host_address == address) & known, "host_reads_it")
        then = bench.before(word, "then")
        bench.claim(tile.drive_word.as_value() == then, reads)
        bench.claim(tile.drive_valid == bench.before(access.reads, "did_read"))
        bench.claim((tile.host_rdata == then) & tile.host_rvalid, host_reads)
        bench.invariant(access.inside.memory_row(m, address) == word, known)

    return Bench(build)


SIZE = f"{CONFIG.mem_words} words, {CONFIG.streams} streams"
LEGAL = "words are READ, WRITE or both and their addresses in range, as the queue sees to"
PROOFS = [
    Proof(
        name="mem-bank-rule",
        block="mem",
        claim="READ and WRITE in one word are a bank conflict if their addresses agree in the top bit, and never else",
        build=bank_rule,
        bug=Bug("rtl.mem", "(read_address[-1] == write_address[-1])", "(read_address[-2:] == write_address[-2:])"),
        reduced=SIZE,
        assumed=LEGAL,
    ),
    Proof(
        name="mem-word",
        block="mem",
        claim="a READ, or the host's, gives one cycle later the word last written in an earlier cycle, by a WRITE or "
        "the host",
        build=memory,
        bug=Bug("rtl.mem", "reader.en.eq(read | host_read)", "reader.en.eq((read & ~write) | host_read)"),
        reduced=SIZE,
        assumed=f"{LEGAL}; the host keeps off while instructions come",
    ),
]
