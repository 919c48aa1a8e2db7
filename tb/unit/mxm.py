"""The MXM of one hemisphere: edge sites and planes of all superlanes, against numpy's matrix product and the golden
model's of fp16."""

import random
from typing import Any

import cocotb
import numpy as np
from numpy.typing import NDArray

from golden import floats, mxm_fp16, vxm
from tb.unit.hemisphere import hemisphere_of
from tb.unit.ports import Ports, config, seeded
from tb.unit.site import COLLISION, OPERAND_ABSENT, Row, Shown, compare, signature
from tb.unit.site_driver import SiteDriver
from tb.unit.site_model import SiteModel
from tb.unit.traffic import Traffic, payload
from tb.unit.words import legal_word, put
from tsp import isa, isa_rules
from tsp.config import ChipConfig
from tsp.floorplan import Queue, floorplan
from tsp.isa import GROUP16, AccMode, Instruction, Type, stream_name
from tsp.timing import timing

FIRST_TIME = 2**32 - 100
"""The signature counts time modulo 2^32: it wraps during a test."""
QUEUES = 3
"""Of each plane: weights, activations, accumulate."""
DRIVEN = 4
"""Byte planes of a result."""
Sums = NDArray[np.int32]


class Plane:
    """Weights ``[out, in]``, sums under way and accumulator rows of one plane; None stands for what is undefined."""

    def __init__(self, config: ChipConfig):
        self.buffer: NDArray[np.int8] | None = np.zeros((config.lanes, config.lanes), np.int8)
        self.array = self.buffer
        self.sums: dict[int, Sums | None] = {}
        """Time of the ACC that takes them → sums."""
        self.rows: dict[int, Sums | None] = {}
        self.fp32: set[int] = set()
        """Times at which the sums are bits of fp32."""

    def multiply_pair(self, due: int, other: "Plane", activations: list[NDArray[np.int8] | None]) -> None:
        """Multiply fp16 whose high bytes of weights are those of another plane."""
        self.sums[due] = None
        self.fp32.add(due)
        parts = [self.array, other.array, *activations]
        known = [part for part in parts if part is not None]
        if len(known) == len(parts):
            low, high, *vectors = (part.view(np.uint8).astype(np.uint16) for part in known)
            vector = (vectors[0] | vectors[1] << 8)[None]
            weights = mxm_fp16.Weights(np.ascontiguousarray((low | high << 8).T))
            self.sums[due] = mxm_fp16.sums(vector, weights)[0]

    def multiply(self, due: int, activations: NDArray[np.int8] | None) -> None:
        self.sums[due] = None
        if self.array is not None and activations is not None:
            exact = self.array.astype(np.int64) @ activations.astype(np.int64)
            self.sums[due] = exact.astype(np.int32)

    def install(self) -> None:
        self.array = None if self.buffer is None else self.buffer.copy()

    def load(self, column: int, vectors: list[NDArray[np.int8]] | None) -> None:
        if vectors is None:
            self.buffer = None
        elif self.buffer is not None:
            self.buffer[16 * column : 16 * column + 16] = np.stack(vectors)

    def accumulate(self, row: int, mode: AccMode, time: int) -> Sums | None:
        """The value that an ACC has for its streams."""
        old, sums = self.rows.get(row), self.sums.get(time)
        value = sums
        if mode in (AccMode.ADD, AccMode.PEEK):
            value = None if old is None or sums is None else self._added(old, sums, time in self.fp32)
        if mode in (AccMode.STORE, AccMode.ADD):
            self.rows[row] = value
        return value

    @staticmethod
    def _added(old: Sums, sums: Sums, fp32: bool) -> Sums:
        if not fp32:
            return old + sums
        return floats.operate("ADD", [old.astype(np.int64), sums.astype(np.int64)]).astype(np.int32)


class MxmModel(SiteModel):
    """An edge site: what arrives leaves the chip, and only results enter the SRs."""

    passes = False

    def __init__(self, config: ChipConfig, first_time: int, planes: int):
        super().__init__(config, first_time)
        self.planes = [Plane(config) for _ in range(planes)]

    def legal(self, row: Row, queue: int, instruction: Instruction) -> bool:
        if instruction.mnemonic == "ACC":
            plane = self.planes[queue // QUEUES]
            others = [isa.decode(word) for word in row.instructions.values()]
            taken = {operand for other in others if other is not None for operand in targets(other)}
            lost = instruction["mode"] in (AccMode.ADD, AccMode.PEEK) and plane.rows.get(instruction["row"]) is None
            return plane.sums.get(self.time) is not None and not lost and not taken & set(targets(instruction))
        if instruction.mnemonic in isa.PRODUCTS and self._shares(row, queue, instruction):
            return False
        return all(operand in row.arrivals for operand in sources(instruction))

    def _shares(self, row: Row, queue: int, instruction: Instruction) -> bool:
        """Whether an ABC uses a plane that another of this row uses too."""
        if instruction.mnemonic in isa.OF_A_PAIR:
            return queue + QUEUES in row.instructions
        lead = isa.decode(row.instructions.get(queue - QUEUES, 0))
        return lead is not None and lead.mnemonic in isa.OF_A_PAIR

    def obey(self, row: Row) -> None:
        for queue, word in row.instructions.items():
            instruction = isa.decode(word)
            assert instruction is not None
            if not all(operand in row.arrivals for operand in sources(instruction)):
                self.fault(queue, OPERAND_ABSENT)
            if instruction.mnemonic in isa.OF_A_PAIR and self._shares(row, queue, instruction):
                self.fault(queue, COLLISION)
        for number, plane in enumerate(self.planes):
            weights, activations, accumulate = (
                isa.decode(row.instructions[queue]) if queue in row.instructions else None
                for queue in range(QUEUES * number, QUEUES * number + QUEUES)
            )
            # In this order: an ABC uses the weights before an IW of its cycle, an IW the buffer before an LW.
            if activations is not None:
                due = self.time + timing(self.config).abc_acc
                if activations.mnemonic in isa.OF_A_PAIR:
                    # Plane 1 still holds what it held before this cycle.
                    plane.multiply_pair(due, self.planes[number + 1], self._vectors(row, activations))
                else:
                    plane.multiply(due, self._vectors(row, activations)[0])
            if weights is not None and weights.mnemonic in ("IW", "LW_IW"):
                plane.install()
            if weights is not None and weights.mnemonic in ("LW", "LW_IW"):
                vectors = self._vectors(row, weights)
                known = [vector for vector in vectors if vector is not None]
                plane.load(weights["supercell"], known if len(known) == len(vectors) else None)
            if accumulate is not None:
                self._accumulate(QUEUES * number + QUEUES - 1, plane, accumulate)

    def _accumulate(self, queue: int, plane: Plane, instruction: Instruction) -> None:
        if self.time not in plane.sums:
            self.fault(queue, OPERAND_ABSENT)
        value = plane.accumulate(instruction["row"], AccMode(instruction["mode"]), self.time)
        for number, operand in enumerate(targets(instruction)):
            word = None
            if value is not None:
                word = int.from_bytes(vxm.narrow(value[None], Type.INT32, False)[0, number].tobytes(), "little")
            self.drive(queue, operand, word)
            self.event(self.time + timing(self.config).acc_func, queue // QUEUES, operand, word)

    def _vectors(self, row: Row, instruction: Instruction) -> list[NDArray[np.int8] | None]:
        arrivals = [row.arrivals.get(operand) for operand in sources(instruction)]
        lanes = self.config.lanes
        return [None if a is None else np.frombuffer(a.to_bytes(lanes, "little"), np.int8) for a in arrivals]


def sources(instruction: Instruction) -> range:
    """The streams an instruction reads."""
    count = {"LW": GROUP16, "LW_IW": GROUP16, "ABC": 1, "ABC_FP16": 2}.get(instruction.mnemonic, 0)
    first = instruction["stream"] if count else 0
    return range(first, first + count)


def targets(instruction: Instruction) -> range:
    """The streams an instruction drives."""
    drives = instruction.mnemonic == "ACC" and instruction["out"]
    return range(instruction["stream"], instruction["stream"] + DRIVEN) if drives else range(0)


class HemisphereDriver(SiteDriver):
    """The ports of :class:`tb.unit.hemisphere.Hemisphere`; ``inward``: first operand of the streams that it drives."""

    def __init__(self, ports: Ports, config: ChipConfig, queues: int, place: int, inward: int):
        super().__init__(ports, config, queues, place)
        self.superlanes = config.superlanes
        self.inward = inward
        self._kept: list[dict[int, int | None]] = [{} for _ in range(self.superlanes)]
        """Of each superlane, what was last on a stream."""

    def arriving(self, operand: int, superlane: int) -> str:
        return f"in_{operand & 31}_{superlane}"

    def leaving(self, operand: int, superlane: int) -> str:
        return f"out_{operand & 31}_{superlane}"

    def presence(self, flow: str, superlane: int) -> dict[int, str]:
        first = self.inward if flow == "out" else 32 - self.inward
        return {first: f"{flow}_present_{superlane}"}

    def port(self, name: str, superlane: int) -> str:
        return f"{name}_{superlane}"

    async def reset(self) -> None:
        """What a reset meets on its way to a stream may be loaded, without presence."""
        self._kept = [{} for _ in range(self.superlanes)]
        await super().reset()

    def _look(self, superlane: int) -> Shown:
        """An empty stream keeps its register, of which the last beat can be seen."""
        shown, kept = super()._look(superlane), self._kept[superlane]
        kept |= shown.streams
        for operand, word in kept.items() if self.config.beats == 1 else ():
            seen = self.ports.get(self.leaving(operand, superlane))
            assert seen == word, f"{stream_name(operand)} changed without a drive, superlane {superlane}"
        return shown


class MxmBench:
    """Driver, model and random words for a hemisphere's MXM."""

    def __init__(self, dut: Any, name: str):
        self.config, self.rng = config(), seeded(name)
        self.place = self.rng.randrange(400)
        side = hemisphere_of(self.config)
        planes, inward = self.config.planes(side), 32 if side == "e" else 0
        every = floorplan(self.config).queues
        queues = [queue for queue in every if queue.kind.startswith("mxm") and queue.hemisphere == side]
        self.site = HemisphereDriver(Ports(dut), self.config, len(queues), self.place, inward)
        self.model = MxmModel(self.config, FIRST_TIME, planes)
        self.outward = range(32 - inward, 32 - inward + self.config.streams)
        self.traffic = Traffic(self.model, self.rng, queues, self.propose, self.outward, self.config.lanes)
        # Few rows, so that one is often used again in the next cycle.
        self.rows = [0, self.config.acc_depth - 1]
        self.installing = 1.0
        """Which share of the installs that are proposed is."""

    def propose(self, rng: random.Random, queue: Queue) -> int:
        operations = [o for o in isa_rules.operations_of(queue, self.config) if o.repeatable]
        if rng.random() >= self.installing:
            operations = [o for o in operations if o.mnemonic not in ("IW", "LW_IW")]
        operation = rng.choice(operations)
        word = legal_word(rng, queue, self.config, operation)
        if operation.mnemonic == "ACC":
            row = operation.field("row")
            word = put(word, row.lo, row.width, rng.choice(self.rows))
        return word

    def load_weights(self) -> None:
        """Fill the buffers of all planes, a supercell column a cycle, and install them."""
        for column in range(self.config.superlanes + 1):
            row = Row({}, {operand: self.rng.getrandbits(8 * self.config.lanes) for operand in self.outward})
            values = {"supercell": column, "stream": self.outward[0]} if column < self.config.superlanes else {}
            for number, queue in enumerate(self.traffic.queues):
                if queue.kind == "mxm_weights":
                    word = isa.instruction("LW" if values else "IW", **values).encode()
                    row.instructions[number] = payload(queue, word)
            self.traffic.add(row)

    def finish(self) -> None:
        """Rows in which the last sums leave the planes and everything settles."""
        for _ in range(timing(self.config).abc_acc // 4 + 1):
            self.traffic.settle()

    async def check_signatures(self) -> None:
        """The host reads the hash of all events of each plane in each superlane."""
        for number in range(len(self.model.planes) if self.config.trace else 0):
            events = [event for event in self.model.events if event.slice == number]
            for k in range(self.config.superlanes):
                found = await self.site.host(k, place=self.place + number, signature=1)
                assert found == signature(events, self.place + number, k), f"signature of plane {number}, superlane {k}"

    async def play(self) -> None:
        """Play the traffic made so far and hold what is seen against the model."""
        compare(self.traffic.want, await self.site.play(self.traffic.rows, FIRST_TIME))


@cocotb.test()
async def legal_traffic(dut):
    """Loads, installs, products and accumulations of all planes in every cycle; then the signatures."""
    bench = MxmBench(dut, "legal")
    bench.load_weights()
    bench.traffic.legal(150, density=0.9)
    bench.finish()
    assert bench.traffic.faults() == 0
    assert len(bench.model.events) > 100 * len(bench.model.planes)
    await bench.site.reset()
    await bench.play()
    await bench.check_signatures()


@cocotb.test()
async def weights_wait_in_the_buffer(dut):
    """Loads that are seldom installed, and pauses: products are of the weights from before, the loads are kept."""
    bench = MxmBench(dut, "buffer")
    bench.installing = 0.2
    bench.load_weights()
    for _ in range(25):
        bench.traffic.legal(3, density=1.0)
        bench.traffic.legal(3, density=0.3)
    bench.finish()
    await bench.site.reset()
    await bench.play()
    await bench.check_signatures()


@cocotb.test()
async def faults_pulse_for_the_lowest_queue_and_kind(dut):
    """Absent operands, ACCs without a sum and collisions of two planes."""
    bench = MxmBench(dut, "faults")
    bench.load_weights()
    for density in (0.3, 0.97):
        bench.traffic.mistaken(80, density)
    bench.finish()
    assert bench.traffic.faults() > 20
    await bench.site.reset()
    await bench.play()


@cocotb.test()
async def reset_clears_the_signature_and_sums_under_way(dut):
    """An ACC at the time of a sum from before the reset finds none."""
    bench = MxmBench(dut, "reset")
    bench.load_weights()
    bench.traffic.legal(30)
    await bench.site.reset()
    await bench.play()
    accumulate = [number for number, queue in enumerate(bench.traffic.queues) if queue.kind == "mxm_accumulate"]
    bench.model = MxmModel(bench.config, FIRST_TIME, len(bench.model.planes))
    bench.traffic = Traffic(bench.model, bench.rng, bench.traffic.queues, bench.propose, bench.outward, 0)
    for _ in range(2 * timing(bench.config).abc_acc):
        bench.traffic.add(Row({number: isa.instruction("ACC", mode=AccMode.STORE).encode() for number in accumulate}))
    bench.finish()
    await bench.site.reset()
    await bench.play()
    await bench.check_signatures()
