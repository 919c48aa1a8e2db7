"""cocotb: a system of chips works through one job each (:mod:`tb.link.chips`)."""

import json
import os
from collections.abc import Sequence
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import Combine, FallingEdge, First, Timer

from rtl.c2c.links import BUFFER, LATENCY, MEASURE, OFFSETS, TIME
from rtl.link.meter import QUARTERS, SAMPLES
from tb import host
from tb.chip import REGISTERS, Chip, Row, save
from tb.link.chips import CLOCK_INPUTS, COMMON_INPUTS, HOST_INPUTS
from tb.link.system import CYCLE, PACKET

MEASURED = QUARTERS * SAMPLES
"""Words of a measurement of L_eff."""


class Ports:
    """The ports of chip ``number`` by the names they have on the chip itself."""

    def __init__(self, dut: Any, number: int):
        self._dut, self._number = dut, number

    def __getattr__(self, name: str) -> Any:
        port = getattr(self._dut, f"{name}_{self._number}")
        setattr(self, name, port)
        return port


class ChipOfMany(Chip):
    """A chip whose clock the system makes."""

    def __init__(self, dut: Any, number: int):
        self.number, self.beats = number, 1
        self.dut = ports = Ports(dut, number)
        self.clk = ports.clk
        for name in HOST_INPUTS:
            setattr(self, name, getattr(ports, name))
            getattr(self, name).value = 0
        ports.rst.value = 1

    async def finish(self, max_cycles: int) -> bool:
        """Wait until the program is done, at most ``max_cycles``; whether it is."""
        if self.dut.running.value:
            await First(FallingEdge(self.dut.running), Timer(max_cycles * CYCLE, "fs"))
        await self.cycles(1)
        return not self.dut.running.value


@cocotb.test()
async def jobs(dut) -> None:  # type: ignore[no-untyped-def]
    """Work through the job file ``TSP_JOBS``, chip i the i-th job, and leave what was read in ``TSP_RESULTS``."""
    given = json.loads(os.environ["TSP_SYSTEM"])
    with np.load(os.environ["TSP_JOBS"], allow_pickle=False) as archive:
        job = {name: archive[name] for name in archive.files}
    chips = [ChipOfMany(dut, i) for i in range(len(given["ppm"]))]
    start_clocks(dut, given)
    await all_of(_reset(chip, late) for chip, late in zip(chips, given["late"], strict=True))
    if given["measure"]:
        await _check_registers(chips, given["receivers"])
    await all_of(join(chip, given["parents"], given["receivers"]) for chip in chips)
    if given["cut"]:
        await Timer(given["cut"] * CYCLE, "fs")
        for c in range(len(given["delays"])):
            getattr(dut, f"cut_{c}").value = 1
    await Timer(given["settle"] * CYCLE, "fs")
    l_eff = await _measure(chips, given) if given["measure"] else []
    await all_of(chip.write(*_part(job, "write", chip.number)) for chip in chips)
    for chip in reversed(chips):
        await chip.start()
    limits = job["max_cycles"].tolist()
    done = await all_of(chip.finish(limit) for chip, limit in zip(chips, limits, strict=True))
    if given["linger"]:
        await Timer(given["linger"] * CYCLE, "fs")
    rows = await all_of(_read(chip, job, ok) for chip, ok in zip(chips, done, strict=True))
    save(rows, l_eff=np.array(l_eff), slack=np.array(await _slack(chips, given)))


async def all_of(coroutines: Any) -> list[Any]:
    """What they return, when all have."""
    tasks = [cocotb.start_soon(coroutine) for coroutine in coroutines]
    await Combine(*tasks)
    return [task.result() for task in tasks]


def start_clocks(dut: Any, given: dict[str, Any]) -> None:
    """Give every input of the system its value, and let all clocks run."""
    for name in COMMON_INPUTS:
        getattr(dut, name).value = 0
    dut.wander.value, dut.wander_edges.value = given["wander"], 1000
    dut.flipped.value, dut.flips.value = round(given["flipped"] * (1 << 32)), given["flips"]
    if given["jitter"]:
        dut.jitter_limit.value, dut.jitter_words.value = given["jitter"] * CYCLE, PACKET
    for i, ppm in enumerate(given["ppm"]):
        values = {"half": round(CYCLE / 2 / (1 + ppm * 1e-6)), "phase": 100_000 + 123_457 * (i + given["seed"]) % CYCLE}
        values |= {"stop": 0}
        for name in CLOCK_INPUTS:
            getattr(dut, f"{name}_{i}").value = values.get(name, 1)
    for c, delay in enumerate(given["delays"]):
        getattr(dut, f"delay_{c}").value = round(delay * CYCLE)
        getattr(dut, f"seed_{c}").value = given["seed"] * 65537 + 7919 * (c + 1)
        getattr(dut, f"cut_{c}").value = getattr(dut, f"spoilt_{c}").value = 0
    dut.run.value = 1


async def _reset(chip: ChipOfMany, late: int) -> None:
    if late:
        await Timer(late * CYCLE, "fs")
    await chip.reset()


async def _check_registers(chips: list[ChipOfMany], receivers: Sequence[tuple[int, int, int]]) -> None:
    """What is written as the latency of a link, with a fraction, is what is read."""
    for number, link, latency in receivers:
        for word in (latency & 0xFFFF | 0x15 << 16, 0x1FFFFF):
            await chips[number].write([host.link(link, LATENCY)], [word])
            assert await chips[number].read([host.link(link, LATENCY)]) == [word]


async def join(chip: ChipOfMany, parents: Sequence[int], receivers: Sequence[tuple[int, int, int]]) -> None:
    """Tell a chip the latencies of its links, of (chip, link, latency), and whom to follow: a link of it, or -1."""
    mine = [(link, latency) for number, link, latency in receivers if number == chip.number]
    await chip.write([host.link(link, LATENCY) for link, _ in mine], [latency & 0xFFFF for _, latency in mine])
    parent = parents[chip.number]
    if parent >= 0:
        await chip.write([host.link(0, TIME)], [1 | parent << 8])


async def _measure(chips: list[ChipOfMany], given: dict[str, Any]) -> list[float]:
    """L_eff of every channel, measured by its receiver."""
    found = []
    for chip, link, _ in given["receivers"]:
        await chips[chip].write([host.link(link, MEASURE)], [2])
    for chip, link, latency in given["receivers"]:
        count, total = 0, 0
        while count < MEASURED:
            await chips[chip].cycles(2000)
            (word,) = await chips[chip].read([host.link(link, OFFSETS)])
            assert word is not None
            count, total = offsets(word)
        found.append(latency - total / MEASURED)
    return found


def offsets(word: int) -> tuple[int, int]:
    """Register OFFSETS: samples so far, and their sum."""
    total = word >> 32 & 0xFFFFFFFF
    return word & 0xFFFFFFFF, total - (total >> 31 << 32)


async def _slack(chips: list[ChipOfMany], given: dict[str, Any]) -> list[int]:
    """Of every channel, the fewest cycles that a vector waited for its RECEIVE."""
    found = []
    for chip, link, _ in given["receivers"]:
        (word,) = await chips[chip].read([host.link(link, BUFFER)])
        assert word is not None
        found.append(word >> 16 & 0xFFFF)
    return found


def _part(job: dict[str, np.ndarray], name: str, number: int) -> tuple[list[int], list[int]]:
    low, high = job[f"{name}_bounds"][number : number + 2]
    words = job["write_words"][low:high].tolist() if name == "write" else []
    return job[f"{name}_addresses"][low:high].tolist(), [a | b << 64 for a, b in words]


async def _read(chip: ChipOfMany, job: dict[str, np.ndarray], done: bool) -> Row:
    registers = [host.register(n) for n in REGISTERS]
    asked, _ = _part(job, "read", chip.number)
    words = await chip.read(registers + (asked if done else [])) + ([] if done else [None] * len(asked))
    answers = [word for word in words[: len(registers)] if word is not None]
    assert len(answers) == len(registers), f"a register has undefined bits: {words[: len(registers)]}"
    return Row(done, 0, 0.0, 0.0, answers, words[len(registers) :])
