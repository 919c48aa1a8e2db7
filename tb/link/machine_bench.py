"""cocotb: a system of chips that does what :class:`tb.link.machine.RtlMachine` asks, one request after the other.

A request is a line of JSON, the name of a method of :class:`Hosts` and its arguments; the answer is a line too. While
it waits for the next one no time passes in the simulator. Chips are called by their numbers.
"""

import json
import os
import socket
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

import cocotb
from cocotb.task import Task
from cocotb.triggers import First, Timer

from rtl.c2c.links import MEASURE, OFFSETS, TIME
from rtl.link.meter import QUARTERS
from tb import host
from tb.chip import REGISTERS
from tb.link.chips_bench import ChipOfMany, all_of, join, offsets, start_clocks
from tb.link.system import CYCLE

MEASURE_OFFSETS = 2
SILENT = 1 << 16
"""Bit of register TIME: the parent is silent."""
LATE = 32
"""Cycles by which a HAC may come later than the one before it."""
ACCESS = 4000
"""Cycles that an access of a host may take beside one for each word, before the chip counts as dead."""


@cocotb.test()
async def serve(dut: Any) -> None:
    """Answer until the other side has no more requests."""
    given = json.loads(os.environ["TSP_SYSTEM"])
    hosts = Hosts(dut, given)
    start_clocks(dut, given)
    with socket.socket(socket.AF_UNIX) as asker:
        asker.connect(os.environ["TSP_SOCKET"])
        with asker.makefile("rw") as lines:
            while line := lines.readline():
                name, arguments = json.loads(line)
                answer = await getattr(hosts, name)(**arguments)
                lines.write(json.dumps(answer) + "\n")
                lines.flush()


class Hosts:
    """The hosts of all chips, and what lets clocks and wires fail."""

    def __init__(self, dut: Any, given: Mapping[str, Any]):
        self.dut, self.given = dut, given
        self.chips = [ChipOfMany(dut, i) for i in range(len(given["ppm"]))]
        self.period = given["period"]
        self.later: list[Task[None]] = []
        self.late: dict[int, tuple[Task[None], int]] = {}
        self.plan: list[tuple[str, int, int]] = []

    async def reset(
        self, cycles: int, delays: Sequence[float], spoilt: Mapping[str, int], plan: Sequence[tuple[str, int, int]]
    ) -> None:
        """Reset all chips for so many cycles, in which wires become empty, and say what fails from then on.

        ``delays``: of each channel, in cycles. ``spoilt``: channel → its vector, see wire_model.v. ``plan``: inputs
        that rise (``cut`` of a channel, ``stop`` of a chip), which one, and how many cycles after the start of the
        root; in cycle 0 at once.
        """
        for task in [*self.later, *(task for task, _ in self.late.values())]:
            task.cancel()
        self.late = {}
        for name, count in (("stop", len(self.chips)), ("cut", len(delays))):
            for number in range(count):
                self._input(name, number).value = 0
        for chip in self.chips:
            chip.host_write.value = chip.host_read.value = 0
            chip.dut.rst.value = 1
        await Timer(cycles * CYCLE, "fs")
        for channel, delay in enumerate(delays):
            self._input("delay", channel).value = round(delay * CYCLE)
            self._input("spoilt", channel).value = spoilt.get(str(channel), 0)
        for chip in self.chips:
            chip.dut.rst.value = 0
        self.later, self.plan = [], [(name, number, at) for name, number, at in plan if at]
        for name, number, at in plan:
            if not at:
                self._input(name, number).value = 1

    async def align(
        self, parents: Sequence[int], receivers: Sequence[tuple[int, int, int]], settle: int, samples: int
    ) -> list[list[Any]]:
        """Let chips follow their parents and measure every channel into (chip, link, nominal latency).

        Returns, of each chip, whether it answers, whether its parent is silent, and link → samples and their sum.
        """
        limit = settle + (samples + 2) * self.period + ACCESS
        return [
            found or [False, True, {}]
            for found in await all_of(
                self._bounded(self._align(chip, parents, receivers, settle, samples), limit) for chip in self.chips
            )
        ]

    async def _align(
        self, chip: ChipOfMany, parents: Sequence[int], receivers: Sequence[tuple[int, int, int]], settle: int,
        samples: int,
    ) -> list[Any]:  # fmt: skip
        await chip.cycles(1)
        await join(chip, parents, receivers)
        await Timer(settle * CYCLE, "fs")
        links = [link for number, link, _ in receivers if number == chip.number]
        await chip.write([host.link(link, MEASURE) for link in links], [MEASURE_OFFSETS] * len(links))
        await Timer((samples * self.period // QUARTERS + LATE) * CYCLE, "fs")
        time, *found = await chip.read([host.link(0, TIME), *(host.link(link, OFFSETS) for link in links)])
        measured = {link: offsets(word) for link, word in zip(links, found, strict=True) if word is not None}
        return [True, bool(time is None or time & SILENT), measured]

    async def write(self, chip: int, addresses: Sequence[int], words: Sequence[int]) -> None:
        """Host writes; a chip that is dead does not mind."""
        await self._bounded(self.chips[chip].write(addresses, words), ACCESS + len(addresses))

    async def start(self, chip: int, late: int, root: bool) -> None:
        """Start a chip, so many cycles late; with the root what fails later begins to count."""
        if root:
            self.later += [cocotb.start_soon(self._raise_input(*each)) for each in self.plan]
        if late:
            self.late[chip] = cocotb.start_soon(self._start_late(chip, late)), late
        else:
            await self._bounded(self.chips[chip].start(), ACCESS)

    async def _raise_input(self, name: str, number: int, at: int) -> None:
        await Timer(at * CYCLE, "fs")
        self._input(name, number).value = 1

    async def _start_late(self, chip: int, late: int) -> None:
        await Timer(late * CYCLE, "fs")
        await self.chips[chip].start()

    async def wait(self, cycles: int) -> list[list[Any] | None]:
        """Until all chips are done, at most so many cycles; of each whether it is, and its registers."""
        return await all_of(self._bounded(self._wait(chip, cycles), cycles + ACCESS) for chip in self.chips)

    async def _wait(self, chip: ChipOfMany, cycles: int) -> list[Any] | None:
        if chip.number in self.late:
            task, late = self.late[chip.number]
            if not task.done():
                await First(task, Timer(cycles * CYCLE, "fs"))
            cycles = max(cycles - late, 1)
        done = await chip.finish(cycles)
        registers = await chip.read([host.register(number) for number in REGISTERS])
        return None if None in registers else [done, registers]

    async def read(self, chip: int, addresses: Sequence[int]) -> list[int | None] | None:
        """Host reads; None for a word that is not defined, or for all of a chip that is dead."""
        return await self._bounded(self.chips[chip].read(addresses), ACCESS + len(addresses))

    async def _bounded(self, work: Coroutine[Any, Any, Any], cycles: int) -> Any:
        """What it returns, or None after so many cycles: a chip whose clock stands still never answers."""
        task = cocotb.start_soon(work)
        await First(task, Timer(cycles * CYCLE, "fs"))
        if task.done():
            return task.result()
        task.cancel()
        return None

    def _input(self, name: str, number: int) -> Any:
        return getattr(self.dut, f"{name}_{number}")
