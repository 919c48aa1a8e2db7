"""cocotb: one run of a system of timekeepers; what it found stands in ``found.json`` of the run's folder."""

import json
import os
import time as processor
from pathlib import Path
from typing import Any

import cocotb
from cocotb.triggers import Timer

from rtl.link.meter import HELD, QUARTERS
from tb.link import rules, system
from tb.link.scenario import CONFIG, CROSSING
from tb.link.system import CYCLE, Topology
from tsp.files import write_atomic

JITTER = 8.5
"""Most of a packet's jitter on the wire, in cycles, see wire_model.v; in the elastic buffer it becomes ±9."""


class Chips:
    """The system's ports, by name and chip or channel."""

    def __init__(self, dut: Any, topology: Topology):
        self.dut, self.topology = dut, topology
        self._counts = dict.fromkeys(system.PER_CHIP, topology.chips)
        self._counts |= dict.fromkeys(system.PER_CHANNEL, len(topology.channels))
        self._widths = system.PER_CHIP | system.PER_CHANNEL

    def set(self, **values: Any) -> None:
        """Give an input a value: one for the whole system or for every chip or channel, or a list."""
        for name, value in values.items():
            if name in self._counts:
                width, count = self._widths[name], self._counts[name]
                value = [value] * count if isinstance(value, int) else value
                value = sum((each & (1 << width) - 1) << i * width for i, each in enumerate(value))
            getattr(self.dut, name).value = value

    def get(self, name: str) -> list[int]:
        """An output of every chip or channel."""
        width, packed = self._widths[name], int(getattr(self.dut, name).value)
        found = [packed >> i * width & (1 << width) - 1 for i in range(self._counts[name])]
        return [each - (each >> width - 1 << width) for each in found] if name in system.SIGNED else found

    async def wait(self, cycles: float) -> None:
        await Timer(round(cycles * CYCLE), "fs")

    async def pulse(self, name: str) -> None:
        """Two cycles of the root's clock at least, so that every clock sees it."""
        self.set(**{name: 1})
        await self.wait(2.999)
        self.set(**{name: 0})

    def phases(self) -> list[dict[str, float]]:
        """Every chip's HAC less the root's at the same time, since ``clear``, in cycles."""
        columns = [self.get(f"phase_{name}") for name in ("count", "sum", "least", "most")]
        return [
            {"mean": total / count / 1000, "least": least / 1000, "most": most / 1000}
            for count, total, least, most in zip(*columns, strict=True)
        ]

    def truths(self) -> list[dict[str, float]]:
        """Of every channel, since ``clear``: cycles of time on the way; and the ``lead``, schedule time at
        arrival less that at sending."""
        got = {name: self.get(name) for name in system.CHANNEL_OUTPUTS}
        return [
            {
                "transit": got["transit_sum"][c] / max(1, got["count"][c]) / CYCLE,
                "transit_least": got["transit_least"][c] / CYCLE,
                "transit_most": got["transit_most"][c] / CYCLE,
                "lead_words": got["lead_count"][c],
                "lead_least": got["lead_least"][c],
                "lead_most": got["lead_most"][c],
            }
            for c in range(len(self.topology.channels))
        ]


@cocotb.test()
async def time(dut):
    given = json.loads(os.environ["TSP_SCENARIO"])
    topology = Topology(given["topology"]["name"], tuple(map(tuple, given["topology"]["links"])))
    chips, found = Chips(dut, topology), {}
    start_clocks(chips, given)
    await release(chips, given["late"])
    found["latency"] = given["latency"] or await latencies(chips, given["samples"])
    written = [rules.in_register(latency) for latency in found["latency"] for _ in range(2)]
    chips.set(latency=[whole for whole, _ in written], fraction=[fraction for _, fraction in written])
    await align(chips, given, found)
    if given["offsets"]:
        await chips.pulse("clear")
        found["l_eff"] = await offsets(chips, [whole for whole, _ in written], given["samples"])
        found["phases"], found["truths"] = chips.phases(), chips.truths()
    if given["starts"]:
        await starts(chips, given, found)
    if given["run"]:
        await programs(chips, given, found)
    found["silent"] = chips.get("silent")
    found["seconds"] = round(processor.process_time(), 1)
    write_atomic(Path("found.json").absolute(), json.dumps(found).encode())


def start_clocks(chips: Chips, given: dict[str, Any]) -> None:
    lasts = given["jitter_words"]
    chips.set(clear=0, measure_trips=0, measure_offsets=0, start=0, segment=given["segment"], stall=given["stall"])
    chips.set(forced=0, flipped=0, flips=given["flips"], rst=1, child=0, parent=0, latency=0, cut=0)
    chips.set(fraction=0, polls=0, send_at=rules.NEVER)
    chips.set(jitter_limit=round(JITTER * CYCLE) * bool(lasts), jitter_words=lasts)
    chips.set(delay=[round(cycles * CYCLE) for cycles in given["delays"]])
    chips.set(seed=[given["seed"] * 65537 + 7919 * (c + 1) for c in range(len(given["delays"]))])
    chips.set(half=[round(CYCLE / 2 / (1 + ppm * 1e-6)) for ppm in given["ppm"]])
    chips.set(phase=[100_000 + 123_457 * (i + given["seed"]) % CYCLE for i in range(chips.topology.chips)])
    # Not all by the same: the difference of two clocks is what counts.
    chips.set(wander_edges=[given["wander_edges"] + 137 * i for i in range(chips.topology.chips)])
    chips.set(wander=given["wander"], run=1)


async def release(chips: Chips, late: list[int]) -> None:
    """Resets end, each after so many cycles more."""
    await chips.wait(16)
    waited = 0
    for cycles in sorted(set(late)):
        await chips.wait(cycles - waited or 1)
        waited = cycles
        chips.set(rst=[int(other > cycles) for other in late])


async def latencies(chips: Chips, samples: int) -> list[float]:
    """Nominal L of every link, half of its mean round trip, to the nearest 32nd, as the chip nearer to the root
    measured it."""
    await chips.wait(1000)
    await chips.pulse("measure_trips")
    while min(chips.get("trips")) < samples:
        await chips.wait(2000)
    return [round((total / samples - HELD) * 16) / 32 for total in chips.get("trips_sum")[1::2]]


async def align(chips: Chips, given: dict[str, Any], found: dict[str, Any]) -> None:
    """Children follow their parents, or not. ``history`` has HACs less the root's, in every thousand cycles."""
    parents = chips.topology.parents()
    ports = [0 if k is None else chips.topology.links_of(chip).index(k) for chip, k in enumerate(parents)]
    chips.set(parent=ports, child=[int(given["aligned"] and link is not None) for link in parents])
    chips.set(flipped=round(given["flipped"] * (1 << 32)))
    if given["cut"]:
        await chips.wait(1000)
        chips.set(cut=1)
        await chips.wait(given["cut"])
        chips.set(cut=0)
    found["history"] = []
    for _ in range(given["settle"]):
        await chips.pulse("clear")
        await chips.wait(997)
        found["history"].append(chips.phases())
    chips.set(flipped=0)


async def offsets(chips: Chips, latency: list[int], samples: int) -> list[float]:
    """L_eff of every channel, as its receiver measured it in so many epochs; ``latency``: L of each in whole cycles."""
    await chips.pulse("measure_offsets")
    while min(chips.get("offsets")) < QUARTERS * samples:
        await chips.wait(1000)
    return [latency[c] - total / (QUARTERS * samples) for c, total in enumerate(chips.get("offsets_sum"))]


async def starts(chips: Chips, given: dict[str, Any], found: dict[str, Any]) -> None:
    """Programs begin as vectors from their parents come, again and again, while wires become longer."""
    chips.set(polls=[int(link is not None) for link in chips.topology.parents()])
    found["starts"] = []
    for latency in given["starts"]:
        channels = [cycles for cycles in latency for _ in range(2)]
        chips.set(latency=channels, delay=[(cycles - CROSSING) * CYCLE for cycles in channels])
        chips.set(send_at=rules.waits(chips.topology, latency, CONFIG.superlanes))
        await begin(chips)
        for _ in range(16 * chips.topology.chips):
            await chips.wait(rules.PERIOD)
            if all(chips.get("running")):
                break
        found["starts"].append({name: chips.get(name) for name in ("running", "first_total", "total", "slips")})


async def begin(chips: Chips) -> None:
    """In the middle of an epoch."""
    while not 100 < chips.get("hac")[0] < 140:
        await chips.wait(20)
    await chips.pulse("start")


async def programs(chips: Chips, given: dict[str, Any], found: dict[str, Any]) -> None:
    """All programs start in the same epoch, or as they did before."""
    if given["free"]:
        chips.set(child=0)
    await chips.pulse("clear")
    chips.set(forced=given["forced"])
    await begin(chips)
    await chips.wait(given["run"])
    found["ran"] = {name: chips.get(name) for name in ("running", "now", "resyncs", "slips")}
    found["ran"]["steps"] = [[packed >> 32 * k & 0xFFFFFFFF for k in range(5)] for packed in chips.get("steps")]
    found["ran"] |= {"phases": chips.phases(), "truths": chips.truths()}
