"""The SXM of one hemisphere: sites of all superlanes and what crosses them, against the golden model's operations."""

import random
from typing import Any

import cocotb
import numpy as np
from numpy.typing import NDArray

from golden import sxm
from tb.unit.ports import Ports, config, seeded
from tb.unit.registers import check_empty_streams
from tb.unit.site import OPERAND_ABSENT, Row, compare, signature
from tb.unit.site_driver import SiteDriver
from tb.unit.site_model import SiteModel
from tb.unit.traffic import Traffic, operands, payload
from tb.unit.words import legal_word, put
from tsp import isa, isa_rules
from tsp.config import ChipConfig
from tsp.floorplan import Queue, floorplan
from tsp.flow.collect import sxm_shape
from tsp.isa import Instruction
from tsp.timing import timing

FIRST_TIME = 2**32 - 100
"""The signature counts time modulo 2^32: it wraps during a test."""
PERMUTE_MAP = 7
MAPS = (2, 36)
"""Pairs of streams, one of each direction, that mostly bring the map of a PERMUTE."""
Vectors = NDArray[np.uint8]


class SxmModel(SiteModel):
    """Bytes are moved by the golden model; here is what is read when, and what is driven where."""

    def __init__(self, config: ChipConfig, first_time: int, queues: list[Queue]):
        super().__init__(config, first_time)
        self.queues = queues
        self._later: dict[int, list[tuple[int, int, int | None]]] = {}
        """Cycle of the drive → (queue, stream, vector)."""

    def legal(self, row: Row, queue: int, instruction: Instruction) -> bool:
        sources = self._operands(row, instruction)
        if any(source is None for source in sources):
            return False
        if instruction.mnemonic == "PERMUTE" and not sxm.permutes(sources[1])[0]:
            return False
        due = self._due(queue)
        taken = {operand for _, operand, _ in self._later.get(due, ())}
        for other, word in row.instructions.items():
            decoded = isa.decode(word)
            assert decoded is not None
            taken |= set(targets(decoded)) if self._due(other) == due else set()
        return not taken & set(targets(instruction))

    def obey(self, row: Row) -> None:
        for queue, word in row.instructions.items():
            instruction = isa.decode(word)
            assert instruction is not None
            due, vectors = self._due(queue), self._move(queue, instruction, row)
            for operand, vector in zip(targets(instruction), vectors, strict=True):
                self._later.setdefault(due, []).append((queue, operand, vector))
        for queue, operand, vector in sorted(self._later.pop(self.time, ()), key=lambda drive: drive[:2]):
            self.drive(queue, operand, vector)
            self.event(self.time + timing(self.config).sxm_func, 0, operand, vector)

    def _due(self, queue: int) -> int:
        """When an instruction of this cycle drives, as if it were one that stays in its superlane."""
        return self.time + timing(self.config).sxm_result(self.queues[queue].kind) - timing(self.config).sxm_func

    def _move(self, queue: int, instruction: Instruction, row: Row) -> list[int | None]:
        """The vectors an instruction drives; None for what a fault leaves undefined."""
        sources = self._operands(row, instruction)
        known = [source for source in sources if source is not None]
        if instruction.mnemonic == "PERMUTE" and sources[1] is not None and not sxm.permutes(sources[1])[0]:
            self.fault(queue, PERMUTE_MAP, self.time + timing(self.config).sxm_across_func)
        if len(known) < len(sources):
            self.fault(queue, OPERAND_ABSENT)
            return [None for _ in targets(instruction)]
        return [int.from_bytes(vector.tobytes(), "little") for vector in sxm.operate(instruction, known)[0]]

    def _operands(self, row: Row, instruction: Instruction) -> list[Vectors | None]:
        """Those of an instruction, None where a stream is empty."""
        found: list[Vectors | None] = []
        for first, count in sxm_shape(instruction)[0]:
            vectors = [row.arrivals.get(operand) for operand in range(first, first + count)]
            words = [v.to_bytes(self.config.lanes, "little") for v in vectors if v is not None]
            rows = [np.frombuffer(word, np.uint8) for word in words]
            found.append(np.stack(rows)[None] if len(rows) == count else None)
        return found


def targets(instruction: Instruction) -> range:
    """The streams an instruction drives."""
    return range(instruction["result"], instruction["result"] + sxm_shape(instruction)[1])


class SxmDriver(SiteDriver):
    """The ports of :class:`tb.unit.hemisphere.SxmColumn`."""

    def __init__(self, ports: Ports, config: ChipConfig, queues: int, place: int):
        super().__init__(ports, config, queues, place)
        self.superlanes = config.superlanes

    def arriving(self, operand: int, superlane: int) -> str:
        return f"{super().arriving(operand, superlane)}_{superlane}"

    def leaving(self, operand: int, superlane: int) -> str:
        return f"{super().leaving(operand, superlane)}_{superlane}"

    def presence(self, flow: str, superlane: int) -> dict[int, str]:
        return {first: f"{name}_{superlane}" for first, name in super().presence(flow, superlane).items()}

    def port(self, name: str, superlane: int) -> str:
        return f"{name}_{superlane}"


class SxmTraffic(Traffic):
    """Some of the vectors that arrive are the map of a PERMUTE; ``full``: most streams bring one, or TRANSPOSE would
    hardly ever find its sixteen."""

    full = True

    def foreseen(self, row: Row, word: int) -> bool:
        """Not for a PERMUTE without a map: whether that is also a wrong map is left open."""
        instruction = isa.decode(word)
        assert instruction is not None
        first = instruction.values.get("map", 0)
        return instruction.mnemonic != "PERMUTE" or {first, first + 1} <= row.arrivals.keys()

    def _row(self, density: float) -> Row:
        row = super()._row(0.98 if self.full else density)
        for first in MAPS:
            if self.rng.random() < density:
                map_ = self.rng.sample(range(self.lanes), self.lanes)
                if self.rng.random() < 0.3:  # nearly the vector as it is, so that most of a wrong map is right
                    map_ = list(range(self.lanes))
                for plane in range(2):
                    octets = bytes(number >> 8 * plane & 0xFF for number in map_)
                    row.arrivals[first + plane] = int.from_bytes(octets, "little")
        return row


class SxmBench:
    """Driver, model and random words for a hemisphere's SXM."""

    def __init__(self, dut: Any, name: str):
        self.config, self.rng = config(), seeded(name)
        self.place = self.rng.randrange(400)
        every = floorplan(self.config).queues
        queues = [queue for queue in every if queue.kind in isa.SXM_KINDS and queue.hemisphere == "e"]
        self.site = SxmDriver(Ports(dut), self.config, len(queues), self.place)
        self.model = SxmModel(self.config, FIRST_TIME, queues)
        self.traffic = SxmTraffic(
            self.model, self.rng, queues, self.propose, operands(self.config), self.config.lanes
        )

    def propose(self, rng: random.Random, queue: Queue) -> int:
        """A legal word; distances and maps that are worth it come often."""
        (operation,) = (o for o in isa_rules.operations(queue.kind, self.config) if o.repeatable)
        word = legal_word(rng, queue, self.config, operation)
        if operation.mnemonic == "SHIFT":
            n = operation.field("n")
            lanes = self.config.lanes
            word = put(word, n.lo, n.width, rng.choice([0, 1, 15, 16, lanes, rng.randrange(lanes)]))
        if operation.mnemonic == "PERMUTE" and rng.random() < 0.9:
            map_ = operation.field("map")
            word = put(word, map_.lo, map_.width, rng.choice(MAPS))
        return word

    def permute(self, map_: list[int]) -> None:
        """A PERMUTE alone in its row."""
        octets = (bytes(number >> 8 * plane & 0xFF for number in map_) for plane in range(2))
        row = Row(arrivals={1: self.rng.getrandbits(8 * self.config.lanes)})
        row.arrivals |= {MAPS[0] + plane: int.from_bytes(word, "little") for plane, word in enumerate(octets)}
        row.instructions[0] = isa.instruction("PERMUTE", source=1, map=MAPS[0], result=5).encode()
        self.traffic.add(row)

    def finish(self) -> None:
        """Rows in which everything settles that crosses superlanes."""
        for _ in range(timing(self.config).sxm_across_func // 4 + 1):
            self.traffic.settle()

    async def check_signatures(self) -> None:
        """The host reads the hash of all events in each superlane, and another place does not answer."""
        for k in range(self.config.superlanes if self.config.trace else 0):
            found = await self.site.host(k, place=self.place, signature=1)
            assert found == signature(self.model.events, self.place, k), f"signature of superlane {k} is {found}"
            assert await self.site.host(k, place=self.place + 1, signature=1) is None, "another place answered"

    async def play(self) -> None:
        """Play the traffic made so far and hold what is seen against the model."""
        compare(self.traffic.want, await self.site.play(self.traffic.rows, FIRST_TIME))


@cocotb.test()
async def legal_traffic(dut):
    """All operations in all queues, in every cycle; then the signatures."""
    bench = SxmBench(dut, "legal")
    for density in (0.9, 0.15, 0.3):  # in a row with few instructions there is room for one with sixteen results
        bench.traffic.legal(80, density)
    bench.finish()
    decoded = [isa.decode(word) for row in bench.traffic.rows for word in row.instructions.values()]
    assert bench.traffic.faults() == 0
    for mnemonic in ("PERMUTE", "DISTRIBUTE", "TRANSPOSE", "SHIFT", "ROTATE"):
        assert sum(instruction.mnemonic == mnemonic for instruction in decoded) > 10, mnemonic
    await bench.site.reset()
    await bench.play()
    await bench.check_signatures()


@cocotb.test()
async def faults_pulse_for_the_lowest_queue_and_kind(dut):
    """Collisions, absent operands and maps that are none, alone and together."""
    bench = SxmBench(dut, "faults")
    bench.traffic.full = False
    for density in (0.1, 0.3, 0.9):
        bench.traffic.mistaken(80, density)
    bench.finish()
    assert bench.traffic.faults() > 60
    await bench.site.reset()
    await bench.play()


@cocotb.test()
async def maps_that_are_wrong_in_one_lane(dut):
    """Every lane of a map in turn names what another names too, or a lane that is not there by one bit."""
    bench = SxmBench(dut, "maps")
    lanes = bench.config.lanes
    for lane in range(lanes):
        map_ = bench.rng.sample(range(lanes), lanes)
        bench.permute(map_)
        for place in (lane, map_.index(lane)):  # every place of a map once, and every lane that nobody names
            bench.permute([*map_[:place], map_[place - 1], *map_[place + 1 :]])
        for bit in range((lanes - 1).bit_length(), 16):
            bench.permute([*map_[:lane], map_[lane] | 1 << bit, *map_[lane + 1 :]])
    bench.finish()
    assert bench.traffic.faults() == lanes * (18 - (lanes - 1).bit_length())
    await bench.site.reset()
    await bench.play()


@cocotb.test()
async def any_bit_selects_what_is_shifted(dut):
    """In both queues, by every distance within a superlane; a byte of zeros selects the lane as it was."""
    bench = SxmBench(dut, "select")
    lanes, shifts = bench.config.lanes, [n for n, q in enumerate(bench.traffic.queues) if q.kind == "sxm_shift"]
    for n in range(18):
        row = Row()
        for number, queue in enumerate(shifts):
            octets = bytes(0 if lane % 9 == 8 else 1 << (lane + n + number) % 8 for lane in range(lanes))
            source, select = 2 + 4 * number, 3 + 4 * number
            row.arrivals |= {source: bench.rng.getrandbits(8 * lanes), select: int.from_bytes(octets, "little")}
            word = isa.instruction("SHIFT", source=source, select=select, selects=1, n=n, way=n % 2, result=4 + number)
            row.instructions[queue] = payload(bench.traffic.queues[queue], word.encode())
        bench.traffic.add(row)
    bench.finish()
    assert bench.traffic.faults() == 0
    await bench.site.reset()
    await bench.play()


@cocotb.test()
async def a_permute_that_lacks_a_stream_is_a_fault(dut):
    """Its source, or either half of its map. What else comes of it, later, is left open."""
    bench = SxmBench(dut, "lacking")
    word = isa.instruction("PERMUTE", source=1, map=MAPS[0], result=5).encode()
    needed = (1, MAPS[0], MAPS[0] + 1)
    for lacking in (None, *needed):
        await bench.site.reset()
        row = Row({0: word}, {operand: bench.rng.getrandbits(128) for operand in needed if operand != lacking})
        for shown in await bench.site.play([row, Row()], FIRST_TIME):
            assert shown[1].fault == (None if lacking is None else (0, OPERAND_ABSENT)), f"without stream {lacking}"


@cocotb.test()
async def reset_clears_the_signature_and_what_is_under_way(dut):
    bench = SxmBench(dut, "reset")
    bench.traffic.legal(30)
    await bench.site.reset()
    await bench.play()
    bench.model = SxmModel(bench.config, FIRST_TIME, bench.model.queues)
    bench.traffic = SxmTraffic(bench.model, bench.rng, bench.traffic.queues, bench.propose, [], bench.config.lanes)
    bench.finish()
    await bench.site.reset()
    await bench.play()
    await bench.check_signatures()


@cocotb.test()
async def an_empty_stream_keeps_its_register(dut):
    bench = SxmBench(dut, "empty")
    await check_empty_streams(bench.site, bench.rng)
