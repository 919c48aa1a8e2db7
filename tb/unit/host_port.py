"""The host port alone: accesses, answers, events and faults in every cycle, programs from start to done, counts."""

import random
from typing import Any

import cocotb

from tb import host
from tb.unit.host_port_model import LATENCY, MOST, HostPortModel, check_bits
from tb.unit.ports import Ports, Values, compare, config, seeded

CYCLES = 4000
PHASE = 100
"""Cycles of one density of events."""
RESET = 0.01
"""Probability of a reset in a cycle."""
WIDTHS = {"host_address": 32, "host_wdata": 128, "now": 32, "hac": 16, "sac": 16, "delta": 12, "fault_time": 32}
WIDTHS |= {"fault_queue": 8, "fault_kind": 4, "answer_data": 128}
"""Of inputs that are random in every cycle."""


class HostPortBench:
    """The port with random neighbours, compared with the model in every cycle.

    Attributes:
        density: of accesses, answers and events. work: probability that something is not idle.
    """

    def __init__(self, dut: Any, rng: random.Random) -> None:
        self.ports, self.rng, self.model = Ports(dut), rng, HostPortModel(config())
        self.density, self.work = 0.0, 0.0
        self._want: Values = {}

    async def start(self) -> None:
        """Reset, with random inputs."""
        await self.ports.reset(self.inputs() | {"rst": 1})
        self._want = self.model.reset()

    async def cycle(self, **inputs: int) -> None:
        """Random inputs but for these, then the scoreboard."""
        given = self.inputs() | inputs
        await self.ports.cycle(given)
        if given["rst"] and config().beats > 1:
            self._want = self.model.reset()  # from the second clock of this cycle on
        compare(self.model.cycle, self._want, self.ports)
        self._want = self.model.step(given)

    async def hold(self, cycles: int, **inputs: int) -> None:
        """Many cycles of the same inputs, of which the model sees the first."""
        await self.cycle(**inputs)
        await self.ports.hold(cycles - 1)
        self._want = {}

    def inputs(self) -> Values:
        """Random ones. A register and an answer are never due at once, and no fault comes before its time."""
        found = {name: self.rng.getrandbits(width) for name, width in WIDTHS.items()} | {"rst": 0}
        access = self.rng.choice(("host_write", "host_read")) if self._comes() else ""
        found |= {name: int(name == access) for name in ("host_write", "host_read")}
        if self.rng.random() < 0.5:
            found["host_address"] &= (1 << 28) - 1  # registers
        found |= {"stream_event": self._comes(), "write_event": self._comes()}
        found["idle"] = int(self.rng.random() >= self.work)
        found["fault_valid"] = int(self.rng.random() < 0.1 and self._comes() and self.model.time is not None)
        found["answer_valid"] = int(self._comes() and not self.model.register_is_next())
        if config().ecc:
            found["answer_data"] = self.answer(self.rng.choice((0, 1, 1, 2)))
            found["corrected"] = self._comes() * self.rng.getrandbits(self.rng.choice((2, 16)))
        return found

    def answer(self, wrong: int) -> int:
        """A random word with its check bits, some bits wrong, mostly to be corrected by the port."""
        word = self.rng.getrandbits(128)
        word |= check_bits(word) << 128
        for bit in self.rng.sample(range(137), wrong):
            word ^= 1 << bit
        return word | (self.rng.random() < 0.75) << 137

    def _comes(self) -> int:
        return int(self.rng.random() < self.density)


async def started(dut: Any, name: str) -> HostPortBench:
    bench = HostPortBench(dut, seeded(name))
    await bench.start()
    return bench


@cocotb.test()
async def accesses_answers_and_events_in_every_cycle(dut):
    """All regions and registers, while programs start, work now and then, and end; with resets at any time."""
    bench = await started(dut, "all")
    for cycle in range(CYCLES):
        if cycle % PHASE == 0:
            bench.density = bench.rng.choice((0.1, 0.5, 0.9))
            bench.work = bench.rng.choice((0.0, 1 / bench.model.drain, 1 / bench.model.drain, 0.5))
        await bench.cycle(rst=int(bench.rng.random() < RESET))


@cocotb.test()
async def a_program_is_done_when_all_was_idle_for_the_drain_time(dut):
    """Work comes after so many idle cycles, up to one too many; all the while the host looks and writes."""
    bench = await started(dut, "drain")
    bench.density, drain = 0.5, bench.model.drain
    for pause in (0, 1, drain - 1, drain, *bench.rng.sample(range(2, drain - 1), 6)):
        while bench.model.running or bench.model.started:
            await bench.cycle(host_write=0)
        await bench.cycle(host_write=1, host_read=0, host_address=host.register(host.CONTROL), host_wdata=host.START)
        for _ in range(1 + pause):
            await bench.cycle()
        await bench.cycle(idle=0)
        for _ in range(drain + 3):
            await bench.cycle()


@cocotb.test()
async def reset_drops_what_is_under_way(dut):
    """Reads of registers, accesses and a start of the last cycles."""
    bench = await started(dut, "reset")
    for _ in range(8):
        bench.density = 1.0
        for _ in range(LATENCY):
            await bench.cycle()
        bench.density = 0.0
        await bench.cycle(rst=1)
        for _ in range(LATENCY + 1):
            await bench.cycle()


@cocotb.test()
async def counters_of_words_stop_at_their_most(dut):
    """Words corrected by the units and for the host, then those of the host that are uncorrectable."""
    if not config().ecc:
        return
    bench = await started(dut, "most")
    look = {"host_write": 0, "host_address": host.register(host.CORRECTED)}
    long = MOST[1] - 4 * LATENCY
    for wrong, corrected in ((1, 0xFFFF), (2, 0)):
        answer = bench.answer(wrong) | 1 << 137
        given = {"corrected": corrected, "answer_valid": 1, "answer_data": answer}
        before = bench.model.corrected
        await bench.hold(long, host_read=0, host_write=0, **given)
        counts = [corrected * long, (wrong == 1) * long, (wrong == 2) * long]
        bench.model.corrected = [min(old + new, most) for old, new, most in zip(before, counts, MOST, strict=True)]
        for cycle in range(8 * LATENCY):
            given["answer_valid"] = int(not bench.model.register_is_next())
            await bench.cycle(**look, **given, host_read=cycle % 2)
        for _ in range(LATENCY):
            await bench.cycle()
    await bench.cycle(rst=1)
    await bench.cycle()
