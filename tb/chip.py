"""cocotb side: drives the chip's host port. ``Chip`` is the driver, ``jobs`` the test that works through a job file.

Jobs and results are ``.npz`` files (see :mod:`tb.machine`, which writes and reads them), so that one simulator process
runs many programs and this file knows nothing about programs.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles, FallingEdge, First, RisingEdge, Timer
from cocotb.utils import get_sim_time

from tb import host
from tb.clock import start_clock

PERIOD_NS = 2
REGISTERS = (host.STATUS, host.CYCLES, host.FAULT, host.COUNTERS, host.CORRECTED)
READ_LIMIT = 1000
"""Schedule cycles a read may take: far more than two superlane crossings."""


class Chip:
    """The chip under test: reset, host writes and reads, run to completion. Inputs change after rising edges."""

    def __init__(self, dut, beats: int = 1):  # type: ignore[no-untyped-def]
        self.dut, self.clk, self.beats = dut, dut.clk, beats
        for name in ("host_write", "host_read", "host_address", "host_wdata", "hac_fast", "hac_slow"):
            setattr(self, name, getattr(dut, name))
            getattr(self, name).value = 0
        dut.rst.value = 1
        start_clock(dut, PERIOD_NS)

    async def reset(self) -> None:
        """Some cycles of reset: queues empty, faults, signatures, presence and counters cleared; memories stay."""
        self.dut.rst.value = 1
        await self.cycles(3)
        self.dut.rst.value = 0
        await self.cycles(1)

    async def cycles(self, count: int) -> None:
        """Wait for schedule cycles, each ``beats`` clocks long; the first begins where reset ends."""
        await ClockCycles(self.clk, count * self.beats)

    async def write(self, addresses: Sequence[int], words: Sequence[int]) -> None:
        """One write a cycle."""
        self.host_write.value = 1
        for address, word in zip(addresses, words, strict=True):
            self.host_address.value = address
            self.host_wdata.value = word
            await self.cycles(1)
        self.host_write.value = 0

    async def read(self, addresses: Sequence[int]) -> list[int | None]:
        """One read a cycle, in ascending order of superlanes (the order in which answers cannot meet).

        None for a word with undefined bits, which Icarus shows where nothing was ever written.
        """
        order = sorted(range(len(addresses)), key=lambda i: host.superlane(addresses[i]))
        words: list[int | None] = []
        sent = waited = 0
        while len(words) < len(order):
            self.host_read.value = int(sent < len(order))
            if sent < len(order):
                self.host_address.value = addresses[order[sent]]
                sent += 1
            await self.cycles(1)
            waited += 1
            assert waited < len(order) + READ_LIMIT, f"{len(words)} of {len(order)} reads were answered"
            if self.dut.host_rvalid.value:
                word = self.dut.host_rdata.value
                words.append(int(word) if word.is_resolvable else None)
        self.host_read.value = 0
        answer: list[int | None] = [None] * len(order)
        for position, word in zip(order, words, strict=True):
            answer[position] = word
        return answer

    async def start(self) -> None:
        """Start the program; returns when the chip says that it runs."""
        await self.write([host.register(host.CONTROL)], [host.START])
        if not self.dut.running.value:
            await First(RisingEdge(self.dut.running), Timer(100 * self.beats * PERIOD_NS, unit="ns"))
        assert self.dut.running.value, "the chip did not start"

    async def finish(self, max_cycles: int) -> bool:
        """Wait until the program is done, at most ``max_cycles``; whether it is."""
        # To the middle of the clock before the last edge: whoever goes on begins at that edge, with a cycle.
        limit = Timer(max_cycles * self.beats * PERIOD_NS - PERIOD_NS // 2, unit="ns")
        await First(FallingEdge(self.dut.running), limit)
        if self.dut.running.value:
            await RisingEdge(self.clk)
        return not self.dut.running.value

    async def drift(self, cycles: Sequence[int], steps: Sequence[int]) -> None:
        """Step the HAC by ``steps`` (+1 or -1) in the given schedule cycles after now."""
        now = 0
        for cycle, step in zip(cycles, steps, strict=True):
            if cycle > now:
                await self.cycles(cycle - now)
            self.hac_fast.value, self.hac_slow.value = int(step > 0), int(step < 0)
            await self.cycles(1)
            self.hac_fast.value = self.hac_slow.value = 0
            now = cycle + 1


@cocotb.test()
async def jobs(dut) -> None:  # type: ignore[no-untyped-def]
    """Work through the job file ``TSP_JOBS`` and leave what was read in ``TSP_RESULTS``."""
    with np.load(os.environ["TSP_JOBS"], allow_pickle=False) as archive:
        job = {name: archive[name] for name in archive.files}
    chip = Chip(dut, int(job["beats"]))
    rows: list[Row] = []
    for number in range(len(job["max_cycles"])):
        rows.append(await _one(chip, job, number))
        save(rows)


@dataclass(frozen=True)
class Row:
    """What was read after a job."""

    done: bool
    clocks: int
    seconds: float
    cpu_seconds: float
    registers: list[int]
    words: list[int | None]


async def _one(chip: Chip, job: dict[str, np.ndarray], number: int) -> Row:
    def part(name: str) -> list:  # type: ignore[type-arg]
        low, high = job[f"{name.split('_')[0]}_bounds"][number : number + 2]
        return job[name][low:high].tolist()

    await chip.reset()
    await chip.write(part("write_addresses"), [low | high << 64 for low, high in part("write_words")])
    await chip.start()
    drift = cocotb.start_soon(chip.drift(part("drift_cycles"), part("drift_steps")))
    began, began_cpu, began_ns = time.perf_counter(), time.process_time(), get_sim_time("ns")
    done = await chip.finish(int(job["max_cycles"][number]))
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - began_cpu
    clocks = (get_sim_time("ns") - began_ns) / PERIOD_NS / chip.beats
    drift.cancel()
    chip.hac_fast.value = chip.hac_slow.value = 0
    registers, asked = [host.register(n) for n in REGISTERS], part("read_addresses")
    # A chip that still runs does not answer for its memory.
    words = await chip.read(registers + (asked if done else [])) + ([] if done else [None] * len(asked))
    answers, words = words[: len(REGISTERS)], words[len(REGISTERS) :]
    # Again, now that the host has read what it may have had to correct.
    answers[-1:] = await chip.read([host.register(host.CORRECTED)])
    assert None not in answers, f"a register has undefined bits: {answers}"
    return Row(done, round(clocks), seconds, cpu_seconds, answers, words)


def save(rows: list[Row], **more: np.ndarray) -> None:
    """After every job, so that a simulator that dies leaves the results before; ``more`` beside them."""
    words = [(word & (1 << 64) - 1, word >> 64) for row in rows for word in (w or 0 for w in row.words)]
    np.savez(
        os.environ["TSP_RESULTS"],
        done=np.array([row.done for row in rows]),
        clocks=np.array([row.clocks for row in rows], dtype=np.int64),
        seconds=np.array([row.seconds for row in rows]),
        cpu_seconds=np.array([row.cpu_seconds for row in rows]),
        registers=np.array([row.registers for row in rows], dtype=np.uint64),
        words=np.array(words, dtype=np.uint64).reshape(-1, 2),
        known=np.array([word is not None for row in rows for word in row.words], dtype=bool),
        **more,
    )
