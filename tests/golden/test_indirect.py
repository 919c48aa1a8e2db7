"""GATHER and SCATTER in the golden model: the example of docs/architecture.md, their order in time, bad addresses."""

import numpy as np
import pytest

from golden.machine import run
from tsp.assembler import assemble
from tsp.builder import Builder
from tsp.checker import check
from tsp.config import preset
from tsp.disassembler import disassemble
from tsp.floorplan import floorplan
from tsp.flow.faults import GATHER_ADDRESS, OPERAND_ABSENT

TINY = preset("tiny")
MAP, DATA, TABLE, OUT = "mem.e0", "mem.e1", "mem.e4", "mem.e8"


def named(*addresses):
    """A map vector: an address a superlane, and bytes that do not matter."""
    return b"".join(address.to_bytes(2, "little") + bytes([0xEE] * 14) for address in addresses)


def words(*vectors):
    return np.array([np.frombuffer(vector, np.int8) for vector in vectors])


def vector(value):
    return bytes([value] * 16 + [value + 100] * 16)


class Made:
    """A table of vectors 0, 1, 2 …, and maps that pass it on e0 from cycle ``at`` of the table's slice on."""

    at = 20

    def __init__(self, *maps, size=8):
        self.b = Builder(TINY)
        self.b.place("table", TABLE, words(*(vector(i) for i in range(size))), address=0)
        self.b.place("maps", MAP, words(*maps), address=0)
        self.out = self.b.space("out", OUT, 4, address=0)
        self.b.read(MAP, 0, "e0", at=self.b.depart(self.at, MAP, TABLE), count=len(maps))

    def gather(self, count=1, offset=0):
        self.b.gather(TABLE, "e1", "e0", at=self.at + offset, count=count)
        start = self.b.arrive(self.at + offset, TABLE, OUT)
        self.b.write(OUT, offset, "e1", at=start, count=count)

    def scatter(self, *values, offset=0):
        self.b.place("data", DATA, words(*values), address=0)
        self.b.read(DATA, 0, "e2", at=self.b.depart(self.at + offset, DATA, TABLE), count=len(values))
        self.b.scatter(TABLE, "e2", "e0", at=self.at + offset, count=len(values))

    def run(self):
        program = self.b.build()
        self.report, self.result = check(program), run(program)
        assert self.result.cycles == self.report.cycles
        return self.result

    def words(self, slice_, *addresses):
        place = floorplan(TINY).slice(slice_).index
        return [word.tobytes() for word in self.result.words(place, addresses)]


def test_a_gather_takes_a_word_of_its_own_in_each_superlane():
    made = Made(named(5, 2), named(0, 7))
    made.gather(count=2)
    assert made.run().fault is None and str(made.report).startswith("legal")
    assert made.words(OUT, 0, 1) == [vector(5)[:16] + vector(2)[16:], vector(0)[:16] + vector(7)[16:]]


def test_a_scatter_writes_a_word_of_its_own_in_each_superlane():
    made = Made(named(5, 2), named(5, 7))
    made.scatter(vector(50), vector(60))
    assert made.run().fault is None and str(made.report).startswith("legal")
    assert made.words(TABLE, 2, 5, 7, 0) == [
        vector(2)[:16] + vector(50)[16:], vector(60)[:16] + vector(5)[16:], vector(7)[:16] + vector(60)[16:], vector(0)
    ]  # fmt: skip


def test_a_gather_sees_the_scatters_of_earlier_cycles_only():
    made = Made(named(5, 5), named(5, 5), named(5, 5))
    made.scatter(vector(50))
    made.gather(offset=1)
    made.b.read(TABLE, 5, "e3", at=made.at + 3)
    made.b.write(OUT, 2, "e3", at=made.b.arrive(made.at + 3, TABLE, OUT))
    made.b.read(TABLE, 5, "e4", at=made.at - 1)
    made.b.write(OUT, 3, "e4", at=made.b.arrive(made.at - 1, TABLE, OUT))
    assert made.run().fault is None
    assert made.words(OUT, 1, 2, 3) == [vector(50), vector(50), vector(5)]


def test_a_gather_sees_a_write_of_the_cycle_before():
    made = Made(named(5, 4))
    made.b.place("data", DATA, words(vector(50)), address=0)
    made.b.read(DATA, 0, "e2", at=made.b.depart(made.at - 1, DATA, TABLE))
    made.b.write(TABLE, 5, "e2", at=made.at - 1)
    made.gather()
    made.run()
    assert made.words(OUT, 0) == [vector(50)[:16] + vector(4)[16:]]


@pytest.mark.parametrize("superlane", [0, 1])
@pytest.mark.parametrize("address", [TINY.mem_words, 0x8000, 0xFFFF])
def test_an_address_beyond_the_memory(superlane, address):
    addresses = [1, 1]
    addresses[superlane] = address
    made = Made(named(*addresses))
    made.gather()
    fault = made.run().fault
    assert (fault.kind, fault.cycle, fault.name) == (GATHER_ADDRESS, made.at, "gather_address")
    assert made.words(OUT, 0)[0][16 * superlane :][:16] == bytes(16)
    (problem,) = made.report.problems
    assert (problem.rule, problem.cycle) == ("gather_address", made.at)
    assert f"the map of GATHER names word {address} in superlane {superlane}; words are 0…127" in problem.message


def test_a_scatter_beyond_the_memory_writes_nothing():
    made = Made(named(200, 3))
    made.scatter(vector(50))
    assert made.run().fault.kind == GATHER_ADDRESS
    assert made.words(TABLE, 3, 200 % 128) == [vector(3)[:16] + vector(50)[16:], bytes(32)]


def test_a_map_nobody_brings():
    made = Made(named(1, 1))
    made.b.gather(TABLE, "e1", "e9", at=made.at)
    assert made.run().fault[1:] == (floorplan(TINY).queue(TABLE).index, OPERAND_ABSENT)
    assert "GATHER reads stream e9" in str(made.report.problems[0])


def test_words_that_nothing_defines():
    made = Made(named(3, 9))
    made.gather()
    made.run()
    assert "GATHER of word 9 of mem.e4 in superlane 1, which no data defines" in str(made.report.problems[0])


def test_assembly_round_trip():
    text = ".queue mem.e4\n@9 GATHER e1, w3\nSCATTER w2, e31\nREPEAT 3, 2\n"
    program = assemble(text, config=TINY)
    (queue,) = program.queues
    assert [word & 0xFF for word in program.queues[queue]] == [0x01, 0x13, 0x14, 0x02]
    assert program.queues[queue][1] >> 40 & 0xFF == 1 and program.queues[queue][1] >> 56 & 0xFF == 0x23
    assert "GATHER e1, w3" in disassemble(program) and "SCATTER w2, e31" in disassemble(program)
