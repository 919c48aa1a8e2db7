"""The whole chip through its host port, against the golden model: a smoke test, clocks that drift, faults, reset."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import cocotb
import numpy as np

import golden.machine
from rtl.icu_control import START_CYCLES
from tb import host
from tb.chip import Chip
from tb.machine import host_writes
from tb.unit.ports import config, seeded
from tsp.assembler import assemble
from tsp.builder import Builder
from tsp.floorplan import floorplan
from tsp.program import Program
from tsp.timing import timing

EXAMPLE = Path(__file__).parents[2] / "programs" / "examples" / "vector_add.tsp"
MARGIN = 100
"""Clock cycles a run may take beyond what it must."""
DESKEW_NEGATIVE = 9
DONE, RUNNING, FAULT = 1, 2, 4
Drift = Sequence[tuple[int, int]]
"""(clock cycle after the start, +1 or -1): steps of the HAC."""


@dataclasses.dataclass
class Registers:
    """What the host reads after a run."""

    status: int
    cycles: int
    fault: tuple[int, int, int] | None
    hac: int
    sac: int
    delta: int


class ChipBench:
    """The chip with a host that loads programs, runs them and compares what they leave with the golden model."""

    def __init__(self, dut):  # type: ignore[no-untyped-def]
        self.chip, self.dut, self.plan = Chip(dut, config().beats), dut, floorplan(config())

    async def run(self, program: Program, drift: Drift = (), wait: int = 0) -> Registers:
        """Reset, load, run to the end while the HAC drifts; ``wait``: cycles that DESKEWs may take."""
        await self.chip.reset()
        addresses, words = host_writes(program, config())
        await self.chip.write(addresses, [low | high << 64 for low, high in words])
        await self.chip.start()
        stepping = cocotb.start_soon(self.chip.drift([cycle for cycle, _ in drift], [step for _, step in drift]))
        limit = golden.machine.run(program, trace=False).cycles + timing(config()).drain + wait + MARGIN
        assert await self.chip.finish(limit), f"not done after {limit} clock cycles"
        stepping.cancel()
        self.chip.hac_fast.value = self.chip.hac_slow.value = 0
        return await self.registers()

    async def registers(self) -> Registers:
        """The host reads all registers."""
        numbers = (host.STATUS, host.CYCLES, host.FAULT, host.COUNTERS)
        status, cycles, fault, counters = await self.read([host.register(number) for number in numbers])
        latched = (fault & 0xFFFFFFFF, fault >> 32 & 0xFF, fault >> 40 & 0xF) if status & FAULT else None
        delta = counters >> 32 & 0xFFF
        return Registers(status, cycles, latched, counters & 0xFFFF, counters >> 16 & 0xFFFF, delta)

    async def read(self, addresses: Sequence[int]) -> list[int]:
        """Words of the host port; AssertionError if one is undefined."""
        words = await self.chip.read(addresses)
        assert None not in words, f"undefined words: {words}"
        return [word for word in words if word is not None]

    async def signatures(self) -> dict[str, int]:
        """Slice → the sum of its tiles' signatures; none without the feature."""
        rows = range(config().superlanes)
        slices = self.plan.slices if config().trace else ()
        words = await self.read([host.signature(slice_.index, k) for slice_ in slices for k in rows])
        parts = [words[len(rows) * i : len(rows) * (i + 1)] for i in range(len(slices))]
        return {slice_.name: sum(part) % 2**64 for slice_, part in zip(slices, parts, strict=True)}

    async def vector(self, slice_: str, word: int) -> np.ndarray:
        """uint8 [16·S]: a word of all superlanes."""
        place = self.plan.slice(slice_).index
        words = await self.read([host.memory(place, k, word) for k in range(config().superlanes)])
        return np.frombuffer(b"".join(word.to_bytes(16, "little") for word in words), np.uint8)

    async def check(self, program: Program, seen: Registers) -> None:
        """The scoreboard: cycles, fault and, without one, events are those of the golden model."""
        want = golden.machine.run(program)
        assert seen.status == DONE | (FAULT if want.fault else 0)
        assert seen.fault == (None if want.fault is None else tuple(want.fault))
        assert seen.cycles == want.cycles, f"took {seen.cycles} cycles, predicted {want.cycles}"
        if want.fault is None:
            assert await self.signatures() == want.signature


def vector_add(barrier: bool = False) -> Builder:
    """Random bytes of mem.w0 and mem.e0, added and written to word 0 of mem.e4, from cycle 10 on."""
    rng, lanes = np.random.default_rng(seeded("add").getrandbits(32)), config().lanes
    b = Builder(config(), barrier)
    x, y = (b.place(name, slice_, rng.integers(-128, 128, (1, lanes)), address=0)
            for name, slice_ in (("x", "mem.w0"), ("y", "mem.e0")))  # fmt: skip
    z = b.space("z", "mem.e4", 1, address=0)
    east, west = (b.fetch(symbol, 4, "vxm.r0s0", at=10) for symbol in (x, y))
    b.alu("vxm.r0s0", "ADD", f"{east}:int8", f"{west}:int8", to="e8:int8", at=10)
    b.store(z, 8, "vxm.r0s0", at=10)
    return b


@dataclasses.dataclass
class Deskewed:
    """Work before and after a DESKEW and a RUNTIME_DESKEW that all busy queues dispatch, in schedule time ``deskew``
    and ``runtime``; ``lowest`` of the queues."""

    program: Program
    deskew: int
    runtime: int
    lowest: int


def deskewed(t: int, gap: int) -> Deskewed:
    """``gap``: cycles between DESKEW and RUNTIME_DESKEW ``t``, enough for a subtraction to get through."""
    b = vector_add()
    queues = ("mem.w0", "mem.e0", "vxm.r0s0", "mem.e4")
    deskew = 40 + timing(config()).drain
    runtime = deskew + gap
    for queue in queues:
        b.control(queue, "DESKEW", at=deskew)
        b.control(queue, "RUNTIME_DESKEW", at=runtime, t=t)
    for word, at in enumerate((deskew + 10, runtime + t + 10), start=1):
        for slice_, stream in (("mem.w0", "e4"), ("mem.e0", "w4")):
            b.read(slice_, 0, stream, at=b.depart(at, slice_, "vxm.r0s0"))
        b.alu("vxm.r0s0", "SUB", "e4:int8", "w4:int8", to="e8:int8", at=at)
        b.write("mem.e4", word, "e8", at=b.arrive(at, "vxm.r0s0", "mem.e4"))
    return Deskewed(b.build(), deskew, runtime, min(floorplan(config()).queue(name).index for name in queues))


def wandering(cycles: int, odds: float) -> Drift:
    """Random steps: each cycle one with probability ``odds``, as often forward as back."""
    rng = seeded(f"wander {odds}")
    return [(cycle, rng.choice((-1, 1))) for cycle in range(cycles) if rng.random() < odds]


@cocotb.test()
async def the_example_adds(dut):
    """programs/examples/vector_add.tsp, which any configuration can run."""
    bench = ChipBench(dut)
    program = assemble(EXAMPLE.read_text().replace(".config tiny", ""), config=config())
    x, y = (program.initial(bench.plan.slice(name).index, [0])[0].view(np.int8) for name in ("mem.w0", "mem.e0"))
    await bench.check(program, await bench.run(program))
    sums = np.clip(x.astype(int) + y, -128, 127)
    assert np.array_equal((await bench.vector("mem.e4", 0)).view(np.int8), sums)


@cocotb.test()
async def a_barrier_lets_all_queues_begin_together(dut):
    bench, program = ChipBench(dut), vector_add(barrier=True).build()
    seen = await bench.run(program)
    await bench.check(program, seen)
    without = golden.machine.run(vector_add().build(), trace=False)
    assert seen.cycles == without.cycles + timing(config()).barrier


@cocotb.test()
async def any_drift_takes_the_predicted_cycles(dut):
    """Schedule time hides the drift: cycles and events are the same, though the clock cycles are not."""
    bench, clocks = ChipBench(dut), set()
    case = deskewed(t=40, gap=60)
    period = config().hac_period
    fast = [(cycle, 1) for cycle in range(0, 2 * period, 16)]
    for drift in ((), fast, wandering(2 * period, 0.2)):
        seen = await bench.run(case.program, drift, wait=2 * period)
        await bench.check(case.program, seen)
        assert (seen.sac - seen.hac - seen.delta) % period == 0
        clocks.add((seen.hac, seen.delta))
    assert len(clocks) > 1, "no drift made a difference"


@cocotb.test()
async def a_negative_wait_is_a_fault(dut):
    """The HAC goes ahead between the DESKEW's epoch, whenever that begins, and the RUNTIME_DESKEW."""
    bench, period = ChipBench(dut), config().hac_period
    case = deskewed(t=3, gap=period + 60)
    ahead = [(START_CYCLES + case.deskew + period + i, 1) for i in range(5)]
    seen = await bench.run(case.program, ahead, wait=2 * period)
    assert seen.fault == (case.runtime, case.lowest, DESKEW_NEGATIVE)


@cocotb.test()
async def reset_clears_a_fault(dut):
    bench = ChipBench(dut)
    b = Builder(config())
    b.write("mem.e4", 0, "e8", at=7)
    broken = b.build()
    await bench.check(broken, await bench.run(broken))
    assert bench.dut.fault.value == 1
    await bench.chip.reset()
    seen = await bench.registers()
    assert (seen.status & (RUNNING | FAULT), seen.cycles, bench.dut.fault.value) == (0, 0, 0)
    assert not any((await bench.signatures()).values())
    program = vector_add().build()
    await bench.check(program, await bench.run(program))


@cocotb.test()
async def the_host_reads_what_it_wrote(dut):
    """Both ends of every memory, in all superlanes; a reset keeps the words."""
    bench, rng = ChipBench(dut), seeded("host")
    memories = [slice_.index for slice_ in bench.plan.slices if slice_.unit == "mem"]
    ends = (0, config().mem_words - 1)
    addresses = [host.memory(p, k, w) for p in memories for k in range(config().superlanes) for w in ends]
    words = [rng.getrandbits(128) for _ in addresses]
    await bench.chip.reset()
    await bench.chip.write(addresses, words)
    assert await bench.read(addresses) == words
    await bench.chip.reset()
    assert await bench.read(addresses) == words
