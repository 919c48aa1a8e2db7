"""What all benches share: the configuration and random numbers of a run, and the ports of the module under test."""

import functools
import json
import os
import random
from collections.abc import Mapping
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ReadOnly, RisingEdge, Timer

from tsp.config import ChipConfig

PERIOD_NS = 2
Values = dict[str, int]
"""Of ports, by name."""


@functools.cache
def config() -> ChipConfig:
    """The configuration of this run, from ``TSP_CONFIG``."""
    return ChipConfig.from_dict(json.loads(os.environ["TSP_CONFIG"]))


def seeded(what: str) -> random.Random:
    """Random numbers of one test: the same for the same seed of the run, whichever tests run beside it."""
    return random.Random(f"{what} {cocotb.RANDOM_SEED}")


class Ports:
    """The module under test, a cycle at a time.

    Inputs change right after the rising edge that begins a cycle; outputs are read when everything has settled.
    """

    def __init__(self, dut: Any):
        self._dut = dut
        self._beats = config().beats
        self._handles: dict[str, Any] = {}
        self._held: dict[str, int] = {}

    async def reset(self, inputs: Mapping[str, int]) -> None:
        """Start the clock, and hold reset and ``inputs`` for two cycles. Reset ends with the next :meth:`cycle`."""
        await Timer(PERIOD_NS, "ns")  # a test before may have ended where nothing can be written
        self._held = {}
        self._set({"rst": 1, "clk": 0, **inputs})
        Clock(self._dut.clk, PERIOD_NS, unit="ns", impl="gpi").start(start_high=False)
        for _ in range(2):
            await RisingEdge(self._dut.clk)

    async def cycle(self, inputs: Mapping[str, int]) -> None:
        """Begin a cycle with these inputs; the others keep their values. Outputs can be read when this returns."""
        await RisingEdge(self._dut.clk)
        self._set({"rst": 0, **inputs})
        for _ in range(self._beats - 1):
            await RisingEdge(self._dut.clk)
        await ReadOnly()

    async def hold(self, cycles: int) -> None:
        """So many more cycles with the same inputs, which nobody looks at."""
        await Timer(cycles * self._beats * PERIOD_NS + PERIOD_NS // 2, "ns")

    def __getitem__(self, name: str) -> int:
        """An output in this cycle. ValueError when it has undefined bits, which only Icarus shows."""
        return int(self._handle(name).value)

    def get(self, name: str) -> int | None:
        """An output in this cycle, None when it has undefined bits."""
        value = self._handle(name).value
        return int(value) if value.is_resolvable else None

    def _set(self, inputs: Mapping[str, int]) -> None:
        for name, value in inputs.items():
            if self._held.get(name) != value:
                self._handle(name).value = self._held[name] = value

    def _handle(self, name: str) -> Any:
        if name not in self._handles:
            self._handles[name] = getattr(self._dut, name)
        return self._handles[name]


def compare(cycle: int, want: Values, ports: Ports) -> None:
    """The scoreboard of a cycle: outputs that are not wanted may be anything."""
    for name, value in want.items():
        seen = ports[name]
        assert seen == value, f"cycle {cycle}: {name} is {seen:#x}, must be {value:#x}"
