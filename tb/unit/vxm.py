"""The VXM site of one superlane: all ALUs, the paths between their stages, and the SRs."""

import random

import cocotb
import numpy as np

from golden import vxm
from tb.unit.ports import Ports, config, seeded
from tb.unit.registers import check_empty_streams
from tb.unit.site import OPERAND_ABSENT, Row, compare, signature
from tb.unit.site_driver import SiteDriver
from tb.unit.site_model import SiteModel
from tb.unit.traffic import Traffic, operands
from tb.unit.words import legal_word, put
from tsp import isa, isa_rules
from tsp.config import ChipConfig
from tsp.floorplan import Queue, floorplan
from tsp.isa import INTEGER_TYPES, Instruction, OperandKind, Type
from tsp.timing import timing

LANES = 16
RESIDUES = 4
"""Streams of an int32."""
SHIFTS = ("SHL", "SRA", "SRL")
CORNERS = ("MUL", "MUL", "MUL", *SHIFTS, *SHIFTS, "SELECT", "SELECT", "SELECT", "MASK", "MASK")
"""Operations that are tried more often than all others on numbers near powers of two."""
CORNER_CYCLES = 300
FIRST_TIME = 2**32 - 100
"""The signature counts time modulo 2^32: it wraps during a test."""


class VxmModel(SiteModel):
    """Arithmetic is the golden model's; here is where operands come from and where results go.

    A result with an absent operand is undefined, but it is driven and handed on all the same.
    """

    def __init__(self, config: ChipConfig, first_time: int):
        super().__init__(config, first_time)
        self._handed: dict[int, vxm.Wide | None] = {}
        """ALU → its result of the last cycle, if it was meant for the next stage."""

    def legal(self, row: Row, queue: int, instruction: Instruction) -> bool:
        others = [isa.decode(word) for word in row.instructions.values()]
        taken = {operand for other in others if other is not None for operand in targets(other)}
        if taken & set(targets(instruction)):
            return False
        return all(self._is_there(queue, instruction, name, row) for name in names(instruction))

    def obey(self, row: Row) -> None:
        handed: dict[int, vxm.Wide | None] = {}
        for queue, word in row.instructions.items():
            instruction = isa.decode(word)
            assert instruction is not None
            result = self._result(queue, instruction, row)
            if instruction["to_next"]:
                handed[queue] = result
            if instruction["to_stream"]:
                self._send(queue, instruction, result)
        self._handed = handed

    def _result(self, queue: int, instruction: Instruction, row: Row) -> vxm.Wide | None:
        if not all(self._is_there(queue, instruction, name, row) for name in names(instruction)):
            self.fault(queue, OPERAND_ABSENT)
            return None
        values = [self._value(queue, instruction, name, row) for name in names(instruction)]
        known = [value for value in values if value is not None]
        if len(known) < len(values):
            return None
        return vxm.result(instruction, self.config.vxm_mul_bits, known)

    def _send(self, queue: int, instruction: Instruction, result: vxm.Wide | None) -> None:
        kind, saturate = Type(instruction["type"]), bool(instruction["saturate"])
        for plane, operand in enumerate(targets(instruction)):
            word = None
            if result is not None:
                octets = vxm.narrow(np.broadcast_to(result, (1, LANES)), kind, saturate)[0, plane]
                word = int.from_bytes(octets.tobytes(), "little")
            self.drive(queue, operand, word)
            self.event(self.time + timing(self.config).alu_func, 0, operand, word)

    def _is_there(self, queue: int, instruction: Instruction, name: str, row: Row) -> bool:
        kind = instruction[f"{name}_kind"]
        if kind == OperandKind.STREAM:
            return all(operand in row.arrivals for operand in sources(instruction, name))
        return kind == OperandKind.IMMEDIATE or self._before(queue, instruction, name) in self._handed

    def _value(self, queue: int, instruction: Instruction, name: str, row: Row) -> vxm.Wide | None:
        """int64 [1, 16 or 1]."""
        kind = instruction[f"{name}_kind"]
        if kind == OperandKind.STREAM:
            words = [row.arrivals[operand].to_bytes(LANES, "little") for operand in sources(instruction, name)]
            planes = np.stack([np.frombuffer(word, np.uint8) for word in words])[None]
            return vxm.widen(planes, Type(instruction[f"{name}_type"]))
        if kind == OperandKind.IMMEDIATE:
            return np.array([[instruction["immediate"]]], np.int64)
        return self._handed[self._before(queue, instruction, name)]

    def _before(self, queue: int, instruction: Instruction, name: str) -> int:
        """The ALU of the stage before that an operand names; stage 0 follows the last."""
        stage = queue // self.config.vxm_rows - 1
        return stage % self.config.vxm_stages * self.config.vxm_rows + instruction[f"{name}_source"]


def names(instruction: Instruction) -> tuple[str, ...]:
    """The operands an instruction has."""
    return isa.OPERAND_NAMES[: instruction.operation.arity]


def sources(instruction: Instruction, name: str) -> range:
    """The streams an operand is read from."""
    first = instruction[f"{name}_source"]
    return range(first, first + Type(instruction[f"{name}_type"]).planes)


def targets(instruction: Instruction) -> range:
    """The streams a result is driven on."""
    first = instruction["stream"]
    return range(first, first + Type(instruction["type"]).planes if instruction["to_stream"] else first)


class VxmBench:
    """Driver, model and random words for the VXM site, somewhere on the chip."""

    def __init__(self, dut, name: str):  # type: ignore[no-untyped-def]
        self.config, self.rng = config(), seeded(name)
        self.place = self.rng.randrange(400)
        self.site = SiteDriver(Ports(dut), self.config, self.config.alus, self.place)
        self.model = VxmModel(self.config, FIRST_TIME)
        self.operations = isa_rules.operations("vxm", self.config)
        self.integer = [o for o in self.operations if o.arity and o.mnemonic not in isa.FLOAT_ONLY]
        queues = [queue for queue in floorplan(self.config).queues if queue.kind == "vxm"]
        self.traffic = Traffic(self.model, self.rng, queues, self.propose, operands(self.config), LANES)

    def propose(self, rng: random.Random, queue: Queue) -> int:
        """An ALU operation. Shifts come often and mostly by a small immediate, or their rounding would hardly show."""
        shift = rng.random() < 0.3
        operation = rng.choice([o for o in self.operations if o.arity and (not shift or o.mnemonic in SHIFTS)])
        word = legal_word(rng, queue, self.config, operation)
        if shift and rng.random() < 0.7:
            kind = operation.field("b_kind")
            word = put(word, kind.lo, kind.width, OperandKind.IMMEDIATE)
        if shift or rng.random() < 0.5:
            immediate, is_float = operation.field("immediate"), word >> operation.field("float").lo & 1
            value = rng.choice([rng.randint(0, 33), rng.randint(-3, 12)])
            number = int(np.float32(value / 8).view(np.int32)) if is_float else value
            word = put(word, immediate.lo, immediate.width, number)
        return word

    def corners(self) -> None:
        """A row in which every ALU computes with numbers near powers of two, and drives streams of its own."""
        starts = [32 * direction + stream for direction in (0, 1) for stream in range(0, 16, RESIDUES)]
        numbers, *smalls = self.rng.sample(starts, 3)
        row = Row({}, {})
        for group in starts:
            values = [self._corner(group in smalls) for _ in range(LANES)]
            planes = np.array(values, np.int64).astype(np.int32).view(np.uint8).reshape(LANES, RESIDUES).T
            row.arrivals |= {group + i: int.from_bytes(plane.tobytes(), "little") for i, plane in enumerate(planes)}
        for queue in range(self.config.alus):
            mnemonic = self.rng.choice(CORNERS) if self.rng.random() < 0.6 else self.rng.choice(self.integer).mnemonic
            arity = isa.BY_MNEMONIC[mnemonic].arity
            values = {"saturate": self.rng.getrandbits(1), "to_stream": 1, "to_next": self.rng.getrandbits(1)}
            values |= {"type": self.rng.choice(INTEGER_TYPES), "stream": 32 * (queue % 2) + RESIDUES * (queue // 2)}
            for name in isa.OPERAND_NAMES[:arity]:
                group = self.rng.choice(smalls)
                is_small = isa.CONDITIONS.get(mnemonic) == name or (mnemonic in SHIFTS and name == "b")
                if not is_small and self.rng.random() >= 0.2:
                    group = self.rng.choice([numbers, *starts])
                kind = self.rng.choice([*INTEGER_TYPES, Type.INT32, Type.INT32])
                source = group + self.rng.randrange(0, RESIDUES, kind.planes)
                values |= {f"{name}_kind": OperandKind.STREAM, f"{name}_source": source, f"{name}_type": kind}
            row.instructions[queue] = isa.instruction(mnemonic, **values).encode()
        self.traffic.add(row)

    def choose(self, first: int, bit: int) -> None:
        """A row in which every ALU chooses between two streams by a third, its condition, of those from ``first`` on.

        In lane l of a condition bit ``bit`` + l is the only one, or, from ``bit`` 8 on, there is none.
        """
        streams, alus = operands(self.config), self.config.alus
        row = Row({}, {operand: self.rng.getrandbits(8 * LANES) for operand in streams})
        for queue in range(alus):
            start = first + queue
            places = {"a": start + len(streams) // 2, "b": start + len(streams) // 2 + alus, "c": start}
            values = {"to_stream": 1, "type": Type.INT8, "stream": queue}
            for name, place in places.items():
                values |= {f"{name}_kind": OperandKind.STREAM, f"{name}_type": Type.INT8}
                values[f"{name}_source"] = streams[place % len(streams)]
            condition = bytes(1 << (bit + lane) % 8 if bit < 8 else 0 for lane in range(LANES))
            row.arrivals[values["c_source"]] = int.from_bytes(condition, "little")
            row.instructions[queue] = isa.instruction("SELECT", **values).encode()
        self.traffic.add(row)

    def _corner(self, small: bool) -> int:
        """A number near a power of two, of either sign, or any; ``small``: such as one shifts by."""
        if small:
            return self.rng.choice([0, self.rng.randint(-2, 36), *[1 << self.rng.randrange(32)] * 2])
        near = (1 << self.rng.randrange(32)) + self.rng.choice([-1, 0, 0, 1])
        return self.rng.choice([near, -near, self.rng.getrandbits(32)])

    async def check_signature(self) -> None:
        """The host reads the hash of all events, and another place does not answer."""
        if self.config.trace:
            found = await self.site.host(place=self.place, signature=1)
            assert found == signature(self.model.events, self.place), f"signature is {found}"
            assert await self.site.host(place=self.place + 1, signature=1) is None, "another place answered"

    async def play(self) -> None:
        """Play the traffic made so far and hold what is seen against the model."""
        compare(self.traffic.want, await self.site.play(self.traffic.rows, FIRST_TIME))


@cocotb.test()
async def legal_traffic(dut):
    """All operations, types and operand kinds in all ALUs; then the signature."""
    bench = VxmBench(dut, "legal")
    bench.traffic.legal(250, density=0.9)
    bench.traffic.settle()
    decoded = [isa.decode(word) for row in bench.traffic.rows for word in row.instructions.values()]
    assert bench.traffic.faults() == 0
    assert len({instruction.mnemonic for instruction in decoded}) >= 20
    assert sum(instruction["a_kind"] == OperandKind.ALU for instruction in decoded) > len(decoded) / 20
    assert not bench.config.vxm_float or sum(instruction["float"] for instruction in decoded) > len(decoded) / 20
    await bench.site.reset()
    await bench.play()
    await bench.check_signature()


@cocotb.test()
async def arithmetic_near_powers_of_two(dut):
    """Every lane sees overflow, rounding and shifts of all distances."""
    bench = VxmBench(dut, "corners")
    for _ in range(CORNER_CYCLES // bench.config.beats):
        bench.corners()
    bench.traffic.settle()
    assert bench.traffic.faults() == 0
    await bench.site.reset()
    await bench.play()
    await bench.check_signature()


@cocotb.test()
async def every_bit_of_every_stream_is_a_condition(dut):
    """By itself, and every stream is both of what is chosen from."""
    bench = VxmBench(dut, "conditions")
    for bit in range(0, 12, bench.config.beats):
        for first in range(0, len(operands(bench.config)), bench.config.alus):
            bench.choose(first, bit)
    bench.traffic.settle()
    await bench.site.reset()
    await bench.play()


@cocotb.test()
async def faults_pulse_for_the_lowest_queue_and_kind(dut):
    """Collisions and absent operands, alone and together."""
    bench = VxmBench(dut, "faults")
    for density in (0.3, 0.9):
        bench.traffic.mistaken(100, density)
    bench.traffic.settle()
    assert bench.traffic.faults() > 20
    await bench.site.reset()
    await bench.play()


@cocotb.test()
async def reset_clears_the_signature(dut):
    bench = VxmBench(dut, "reset")
    await bench.site.reset()
    bench.traffic.legal(20)
    bench.traffic.settle()
    await bench.play()
    bench.model.events.clear()
    await bench.site.reset()
    await bench.check_signature()


@cocotb.test()
async def reset_clears_what_is_under_way(dut):
    """Results, faults and hashes of the cycles just before a reset never come."""
    bench = VxmBench(dut, "under way")
    await bench.site.reset()
    for density in (0.9, 0.9, 0.5):
        bench.traffic.mistaken(12, density)
        await bench.site.play(bench.traffic.rows, FIRST_TIME)
        await bench.site.reset_under_way()
        for settle in (True, False):
            bench.model = VxmModel(bench.config, FIRST_TIME)
            bench.traffic = Traffic(
                bench.model, bench.rng, bench.traffic.queues, bench.propose, operands(bench.config), LANES
            )
            if settle:
                bench.traffic.settle()
                await bench.play()
                await bench.check_signature()


@cocotb.test()
async def an_empty_stream_keeps_its_register(dut):
    bench = VxmBench(dut, "empty")
    await check_empty_streams(bench.site, bench.rng)
