"""A MEM site: four tiles of memory and the SRs beside them, in one superlane."""

import random
from collections.abc import Sequence

import cocotb

from tb.unit.ports import Ports, config, seeded
from tb.unit.registers import check_empty_streams
from tb.unit.site import BANK_CONFLICT, GATHER_ADDRESS, OPERAND_ABSENT, Row, compare, signature
from tb.unit.site_driver import SiteDriver
from tb.unit.site_model import SiteModel
from tb.unit.traffic import Traffic, operands, payload
from tb.unit.words import legal_word, put
from tsp import isa, isa_rules
from tsp.config import SLICES_PER_GROUP, ChipConfig
from tsp.floorplan import Queue, floorplan
from tsp.isa import Instruction
from tsp.timing import timing

LANES = 16
WRITE_EVENT = 0x8000
FIRST_TIME = 2**32 - 100
"""The signature counts time modulo 2^32: it wraps during a test."""


class MemModel(SiteModel):
    """Words are what was written last in an earlier cycle; None where a fault left them undefined."""

    def __init__(self, config: ChipConfig, first_time: int):
        super().__init__(config, first_time)
        self.memory: list[dict[int, int | None]] = [{} for _ in range(SLICES_PER_GROUP)]

    def legal(self, row: Row, queue: int, instruction: Instruction) -> bool:
        others = [isa.decode(word) for word in row.instructions.values()]
        if reads(instruction):
            taken = [other["read_stream"] for other in others if other is not None and reads(other)]
            if instruction["read_stream"] in taken or self._word(queue, instruction, row) is None:
                return False
        if writes(instruction) and instruction["write_stream"] not in row.arrivals:
            return False
        if instruction.mnemonic in isa.INDIRECT and self._named(instruction, row) is None:
            return False
        return not self._conflicts(instruction)

    def _named(self, instruction: Instruction, row: Row) -> int | None:
        """The address on the stream of an instruction's map; None if there is none, or none of this memory."""
        word = row.arrivals.get(instruction["map"])
        return None if word is None or word % 2**16 >= self.config.mem_words else word % 2**16

    def _word(self, queue: int, instruction: Instruction, row: Row) -> int | None:
        """What an instruction reads from memory; zeros where its map names nothing."""
        if instruction.mnemonic in isa.INDIRECT:
            address = self._named(instruction, row)
            return 0 if address is None else self.memory[queue].get(address)
        return self.memory[queue].get(instruction["read_address"])

    def obey(self, row: Row) -> None:
        for queue, word in row.instructions.items():
            instruction = isa.decode(word)
            assert instruction is not None
            conflict = self._conflicts(instruction)
            if conflict:
                self.fault(queue, BANK_CONFLICT)
            if instruction.mnemonic in isa.INDIRECT:
                self._check_map(queue, instruction, row)
            if reads(instruction):
                old = None if conflict else self._word(queue, instruction, row)
                self.drive(queue, instruction["read_stream"], old)
                self.event(self.time + timing(self.config).read_func, queue, instruction["read_stream"], old)
            if writes(instruction):
                self._write(queue, instruction, row)

    def _check_map(self, queue: int, instruction: Instruction, row: Row) -> None:
        if instruction["map"] not in row.arrivals:
            self.fault(queue, OPERAND_ABSENT)
        elif self._named(instruction, row) is None:
            self.fault(queue, GATHER_ADDRESS)

    def _write(self, queue: int, instruction: Instruction, row: Row) -> None:
        new = row.arrivals.get(instruction["write_stream"])
        if new is None:
            self.fault(queue, OPERAND_ABSENT)
        if instruction.mnemonic in isa.INDIRECT:
            address = self._named(instruction, row)
            if address is None:
                return
        else:
            address = instruction["write_address"]
        self.memory[queue][address] = new
        self.event(self.time, queue, WRITE_EVENT + address, new)
        self.wrote = True

    def _conflicts(self, instruction: Instruction) -> bool:
        if instruction.mnemonic != "READ_WRITE":
            return False
        half = self.config.mem_words // 2
        return instruction["read_address"] // half == instruction["write_address"] // half


def reads(instruction: Instruction) -> bool:
    return instruction.mnemonic in ("READ", "READ_WRITE", "GATHER")


def writes(instruction: Instruction) -> bool:
    return instruction.mnemonic in ("WRITE", "READ_WRITE", "SCATTER")


class MemTraffic(Traffic):
    """Many of the vectors that arrive name one of these words, a few a word beyond the memory."""

    names: Sequence[int] = ()

    def _row(self, density: float) -> Row:
        row = super()._row(density)
        for operand, word in row.arrivals.items():
            if self.rng.random() < 0.7:
                row.arrivals[operand] = word >> 16 << 16 | self.rng.choice(self.names)
        return row


class MemBench:
    """Driver, model and random words for one MEM site somewhere on the chip."""

    def __init__(self, dut, name: str):  # type: ignore[no-untyped-def]
        self.config, self.rng = config(), seeded(name)
        self.place = self.rng.randrange(400)
        self.site = SiteDriver(Ports(dut), self.config, SLICES_PER_GROUP, self.place, writes=True)
        self.model = MemModel(self.config, FIRST_TIME)
        queues = [queue for queue in floorplan(self.config).queues if queue.kind == "mem"][:SLICES_PER_GROUP]
        self.traffic = MemTraffic(self.model, self.rng, queues, self.propose, operands(self.config), LANES)
        half, last = self.config.mem_words // 2, self.config.mem_words - 1
        # Few words, so that they are read soon after they were written; the bounds of both banks are among them.
        self.addresses = sorted({0, half - 1, half, last, *(self.rng.randrange(last) for _ in range(4))})
        self.traffic.names = self.addresses

    def propose(self, rng: random.Random, queue: Queue) -> int:
        """An access, if it names an address, of the chosen ones."""
        accesses = [operation for operation in isa_rules.operations("mem", self.config) if operation.repeatable]
        operation = rng.choice(accesses)
        word = legal_word(rng, queue, self.config, operation)
        for field in operation.fields:
            if field.kind == "mem_address":
                word = put(word, field.lo, field.width, rng.choice(self.addresses))
        return word

    def name_words(self) -> None:
        """GATHERs by every bit of a map alone, off every stream: those of the memory's addresses and those beyond."""
        streams = operands(self.config)
        for bit in range(16):
            maps = self.rng.sample(streams, len(streams))
            for first in range(0, len(maps), SLICES_PER_GROUP):
                own = maps[first : first + SLICES_PER_GROUP]
                words = (self.rng.getrandbits(8 * LANES) >> 16 << 16 | 1 << bit for _ in own)
                row = Row(arrivals=dict(zip(own, words, strict=True)))
                for queue, (map_, target) in enumerate(zip(own, self.rng.sample(streams, len(own)), strict=True)):
                    instruction = isa.instruction("GATHER", read_stream=target, map=map_)
                    row.instructions[queue] = payload(self.traffic.queues[queue], instruction.encode())
                self.traffic.add(row)

    def begin_again(self) -> None:
        """As after a reset; words that may have been written by mistake are not looked at."""
        self.model = MemModel(self.config, FIRST_TIME)
        self.traffic = Traffic(
            self.model, self.rng, self.traffic.queues, self.propose, operands(self.config), LANES
        )

    async def fill_memory(self) -> None:
        """The host writes the chosen addresses of all four slices."""
        for slice_, memory in enumerate(self.model.memory):
            for address in self.addresses:
                memory[address] = word = self.rng.getrandbits(8 * LANES)
                answer = await self.site.host(place=self.place + slice_, write=1, address=address, wdata=word)
                assert answer is None, "a write was answered"

    async def check_memory(self) -> None:
        """The host reads what the model says."""
        for slice_, memory in enumerate(self.model.memory):
            for address, word in memory.items():
                found = await self.site.host(place=self.place + slice_, address=address)
                assert found == word, f"slice {slice_} word {address} is {found}, must be {word}"

    async def check_signatures(self) -> None:
        """The host reads the hash of all events of each slice."""
        for slice_ in range(SLICES_PER_GROUP if self.config.trace else 0):
            found = await self.site.host(place=self.place + slice_, signature=1)
            events = [event for event in self.model.events if event.slice == slice_]
            assert found == signature(events, self.place + slice_), f"signature of slice {slice_}"

    async def play(self) -> None:
        """Play the traffic made so far and hold what is seen against the model."""
        compare(self.traffic.want, await self.site.play(self.traffic.rows, FIRST_TIME))


@cocotb.test()
async def the_host_reads_what_it_wrote(dut):
    bench = MemBench(dut, "host")
    await bench.site.reset()
    await bench.fill_memory()
    await bench.check_memory()
    assert await bench.site.host(place=bench.place + SLICES_PER_GROUP, address=0) is None, "another place answered"


@cocotb.test()
async def legal_traffic(dut):
    """Reads, writes and streams that pass, in every cycle; then memory and signatures."""
    bench = MemBench(dut, "legal")
    await bench.site.reset()
    await bench.fill_memory()
    bench.traffic.legal(200)
    bench.traffic.legal(200, density=0.1)  # most drives alone, so that each must be an event by itself
    bench.traffic.settle()
    assert bench.traffic.issued() > 400 and bench.traffic.faults() == 0
    await bench.play()
    await bench.check_memory()
    await bench.check_signatures()


@cocotb.test()
async def every_bit_of_a_map_names_a_word(dut):
    bench = MemBench(dut, "maps")
    if not bench.config.gather:
        return
    bench.addresses = [0, *(1 << bit for bit in range(bench.config.mem_words.bit_length() - 1))]
    await bench.site.reset()
    await bench.fill_memory()
    bench.name_words()
    bench.traffic.settle()
    await bench.play()


@cocotb.test()
async def faults_pulse_for_the_lowest_queue_and_kind(dut):
    """Collisions, bank conflicts and absent operands, alone and together."""
    bench = MemBench(dut, "faults")
    await bench.site.reset()
    await bench.fill_memory()
    for density in (0.1, 0.3, 0.9):
        bench.traffic.mistaken(100, density)
    bench.traffic.settle()
    assert bench.traffic.faults() > 60
    await bench.play()


@cocotb.test()
async def reset_keeps_words_and_clears_the_signature(dut):
    bench = MemBench(dut, "reset")
    await bench.site.reset()
    await bench.fill_memory()
    bench.traffic.legal(20)
    bench.traffic.settle()
    await bench.play()
    bench.model.events.clear()
    await bench.site.reset()
    await bench.check_memory()
    await bench.check_signatures()


@cocotb.test()
async def reset_clears_what_is_under_way(dut):
    """Drives, faults and hashes of the cycles just before a reset never come."""
    bench = MemBench(dut, "under way")
    await bench.site.reset()
    await bench.fill_memory()
    for density in (0.9, 0.9, 0.5):
        bench.traffic.mistaken(12, density)
        await bench.site.play(bench.traffic.rows, FIRST_TIME)
        await bench.site.reset_under_way()
        bench.begin_again()
        bench.traffic.settle()
        await bench.play()
        await bench.check_signatures()
        bench.begin_again()


@cocotb.test()
async def an_empty_stream_keeps_its_register(dut):
    bench = MemBench(dut, "empty")
    await check_empty_streams(bench.site, bench.rng)
