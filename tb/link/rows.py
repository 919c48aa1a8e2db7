"""The rows of ``make align``: systems, their clocks and wires, and what must be true of each run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tb.link import claims, rules
from tb.link.scenario import CROSSING, WIRE, Scenario
from tb.link.system import Topology, chain, full, star, tree

SEGMENT = 25_000
NOMINAL = WIRE + 2.6
"""Of even wires, and what the elastic buffer takes in the mean."""
MILLION = 1_000_000
UNEVEN = 8
"""Cycles that a link is slower in one direction than the nominal one, and faster in the other."""
LASTING = 128
"""Words for which a delay stays that four samples of a sum see alike."""
Found = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """Runs, each on all ``sims``, and what must hold of each: ``holds`` gives sentences about what does not."""

    name: str
    scenarios: Sequence[Scenario]
    holds: Callable[[Scenario, Found], list[str]]
    sims: Sequence[str] = ("verilator",)


def corners(chips: int, sign: int = 1) -> list[float]:
    """Clocks at the ends of ±100 ppm, by turns, and one in the middle."""
    return [sign * (100, -100, 0)[chip % 3] for chip in range(chips)]


def whole(topology: Topology, ppm: Sequence[float], **changed: Any) -> Scenario:
    """Alignment, measurement of L_eff, and programs for as long as two resynchronisations."""
    depth = max(topology.depth(chip) for chip in range(topology.chips))
    stall = rules.stall(2 * depth, 100, SEGMENT)
    late = [53 * chip % rules.PERIOD for chip in range(topology.chips)]
    latency = [NOMINAL] * len(topology.links)
    scenario = Scenario(topology, ppm, wander=6, late=late, latency=latency, settle=claims.LOCKED, offsets=True,
                        run=2 * SEGMENT, segment=SEGMENT, stall=stall)  # fmt: skip
    return replace(scenario, **changed)


def leaning(topology: Topology, *signs: int) -> list[float]:
    """Wires of links that are slower downwards, upwards (-1) or in no direction (0), by turns."""
    return [WIRE + way * signs[k % len(signs)] * UNEVEN for k in range(len(topology.links)) for way in (1, -1)]


def systems(topology: Topology, *signs: int, **changed: Any) -> list[Scenario]:
    """Root fast, on even wires, for a million cycles if not less; root slow, on wires that lean."""
    chips = topology.chips
    return [
        whole(topology, corners(chips), **{"run": MILLION} | changed),
        whole(topology, corners(chips, -1), delays=leaning(topology, *signs), seed=2, **changed),
    ]


def node() -> Scenario:
    """All eight chips of a node, as short as it can be: a thousand cycles take more than a second."""
    return whole(full(8), corners(8), delays=leaning(full(8), 1, -1, 0), settle=25, run=SEGMENT + 5_000)


def from_error(first: int, ppm: float) -> Scenario:
    """Seven children whose HACs are behind by ``first`` cycles and up to six more."""
    star7 = star(7)
    return Scenario(star7, [ppm, *[-ppm] * 7], latency=[NOMINAL] * 7, settle=18,
                    late=[0, *[256 + first + i for i in range(7)]])  # fmt: skip


def starts(topology: Topology, latencies: Sequence[Sequence[int]], **changed: Any) -> Scenario:
    """Starts on wires of different lengths, of which each is nearly as long as before: HACs stay aligned."""
    first = latencies[0]
    delays = [latency - CROSSING for latency in first for _ in range(2)]
    scenario = Scenario(topology, corners(topology.chips), latency=first, delays=delays, settle=18, starts=latencies)
    return replace(scenario, **changed)


def around(latency: int) -> list[list[int]]:
    return [[latency + apart] for apart in range(-2, 3)]


TWO, DEEP = full(2), tree([0, 0, 1, 2, 3, 5, 6])
FAST, SLOW = [100, -100], [-100, 100]
UPWARDS = leaning(TWO, -1)
ROWS = [
    Row("two chips, on Verilator and Icarus", [whole(TWO, FAST)], claims.aligned, ("verilator", "icarus")),
    Row("two chips, even and slower downwards", systems(TWO, 1, latency=()), claims.aligned),
    Row("two chips, slower upwards", [whole(TWO, ppm, delays=UPWARDS) for ppm in (FAST, SLOW)], claims.aligned),
    Row("four chips, all joined", systems(full(4), 1, -1, 0, latency=()), claims.aligned),
    Row("eight chips, all joined", [node()], claims.aligned),
    Row("a chain of depth 5", systems(chain(6), 1), claims.aligned),
    Row("a tree of depth 5", systems(DEEP, -1, 1, run=2 * SEGMENT), claims.aligned),
    Row(
        "two chips, delays that last",
        [whole(TWO, ppm, jitter_words=LASTING, run=MILLION) for ppm in (FAST, SLOW)],
        claims.steady,
    ),
    Row("no longer aligned", [whole(TWO, FAST, free=True, run=run) for run in (50_000, 150_000)], claims.free),
    Row("margins less 12", [whole(TWO, FAST, run=400_000, forced=16)], claims.tight),
    Row("any first error", [from_error(e, ppm) for ppm in (100, -100) for e in range(-128, 128, 7)], claims.locks),
    Row(
        "10,000 resynchronisations, and steps",
        [whole(TWO, ppm, offsets=False, run=1_300_000, segment=100, stall=30, forced=64) for ppm in (FAST, SLOW)],
        claims.keeps,
    ),
    Row("starts, L = 16 ... 600", [starts(TWO, [[n] for n in range(16, 601)])], claims.starts),
    Row(
        "starts without jitter, L = 4 ... 32",
        [starts(TWO, [[n] for n in range(4, 33)], jitter_words=0)],
        claims.starts,
    ),
    Row(
        "starts near P/2, on Verilator and Icarus",
        [starts(TWO, around(latency)) for latency in (116, 128, 256, 384)],
        claims.starts,
        ("verilator", "icarus"),
    ),
    Row("starts down a tree of depth 5", [starts(DEEP, [[100, 100, 17, 600, 219, 128, 384]] * 5)], claims.starts),
]  # fmt: skip
