"""The HACs of many chips: clocks that differ, links that are late, and the rule by which a child steps towards its
parent (docs/architecture.md; D. Abts et al., ISCA 2022, section 3). All chips are stepped together."""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from golden.network.hops import from_chip
from golden.network.topology import PORTS, Topology

PERIOD = 256
"""P: of the HAC, in cycles (published)."""
EXCHANGE = 32
"""Cycles between two samples."""
SAMPLES = 32
"""N: samples that are summed for a fine step."""
JITTER = 9
"""J: most cycles that a packet is earlier or later than the latency."""
SIGMA = 2.8
"""Standard deviation of the jitter (published)."""
PPM = 100
"""Most that a clock is off."""
WANDER_PPM, WANDER_CYCLES = 10, 5_000_000
"""How much of that comes and goes, and the shortest time in which."""
LATENCY, SPREAD = 216, 8
"""Mean latency of a cable (published), and most that one differs from it."""
ASYMMETRY = 1
"""Most cycles that one direction of a cable is longer than the other."""
PROBES = 256
"""Round trips that a parent averages."""
_HISTORY = 16
"""Exchanges of which steps are remembered; a packet is under way for fewer."""

ONE_WAY = 128
"""Packets of each link that are timed for its one-way latency, and as many to see how far others are from it."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclasses.dataclass(frozen=True, eq=False)
class Clocks:
    """Cycle counters of chips: cycle(t) = phase + t·(1 + rate) + what the wander has added; t in nominal cycles."""

    phase: Floats
    rate: Floats
    depth: Floats
    speed: Floats
    angle: Floats

    def cycles(self, time: Floats | float, of: Ints | slice = slice(None)) -> Floats:
        """Cycles that each chip has counted at its time."""
        wander = self.depth[of] * (np.cos(self.angle[of]) - np.cos(self.speed[of] * time + self.angle[of]))
        found: Floats = self.phase[of] + time * (1 + self.rate[of]) + wander
        return found


def clocks(chips: int, random: np.random.Generator) -> Clocks:
    """Clocks within PPM of the nominal rate at all times."""
    steady, wander = (PPM - WANDER_PPM) * 1e-6, WANDER_PPM * 1e-6
    speed = 2 * np.pi / (WANDER_CYCLES * random.uniform(1, 10, chips))
    return Clocks(
        random.uniform(0, PERIOD, chips),
        random.uniform(-steady, steady, chips),
        random.uniform(0, wander, chips) / speed,
        speed,
        random.uniform(0, 2 * np.pi, chips),
    )


def wrapped(cycles: Floats) -> Floats:
    """A difference of HACs, in -P/2 … P/2 - 1."""
    found: Floats = (cycles + PERIOD // 2) % PERIOD - PERIOD // 2
    return found


class System:
    """All chips' clocks and the steps of their HACs: HAC = cycles + steps, low byte."""

    def __init__(self, topology: Topology, random: np.random.Generator) -> None:
        self.topology, self.random = topology, random
        self.depth = from_chip(topology, 0)
        self.child = np.flatnonzero(self.depth > 0)
        peers = topology.peers[self.child]
        port = ((peers >= 0) & (self.depth[peers] == self.depth[self.child, None] - 1)).argmax(1)
        up = PORTS * self.child + port
        self.down = topology.ends.ravel()[up]
        self.parent = self.down // PORTS
        self.clocks = clocks(topology.chips, random)
        self.turn = random.uniform(0, EXCHANGE, topology.chips)  # when in each exchange a chip samples
        self.latency = np.zeros(topology.ends.size)
        mean = random.uniform(LATENCY - SPREAD, LATENCY + SPREAD, len(topology.cables))
        skew = random.uniform(-ASYMMETRY, ASYMMETRY, len(topology.cables)) / 2
        self.latency[topology.cables] = np.stack([mean + skew, mean - skew], 1)
        self.measured = self._round_trips(up)
        self.steps = np.zeros(topology.chips, np.int64)
        self.history = np.zeros((_HISTORY, topology.chips), np.int64)
        self.sum = np.zeros(self.child.size)
        self.summed = np.zeros(self.child.size, np.int64)

    def jitter(self, *shape: int) -> Floats:
        return np.clip(self.random.normal(0, SIGMA, shape), -JITTER, JITTER)

    def _round_trips(self, up: Ints) -> Floats:
        """What parents take for the latency down: half of the round trip by their own counters, in 32nds of a cycle."""
        sent = self.random.uniform(0, 1e6, (PROBES, self.child.size))
        back = sent + self.latency[self.down] + self.latency[up] + self.jitter(*sent.shape) + self.jitter(*sent.shape)
        count = np.floor(self.clocks.cycles(back, self.parent)) - np.floor(self.clocks.cycles(sent, self.parent))
        found: Floats = np.round(count.mean(0) / 2 * SAMPLES) / SAMPLES
        return found

    def hac(self, time: Floats, of: Ints) -> Floats:
        """HACs of chips, not wrapped, at times of the last exchanges."""
        exchange = ((time - self.turn[of]) // EXCHANGE).astype(np.int64)
        found: Floats = np.floor(self.clocks.cycles(time, of)) + self.history[exchange % _HISTORY, of]
        return found

    def exchange(self, number: int) -> None:
        """Every chip but the root samples its parent's HAC once, and steps its own as it must."""
        child, now = self.child, EXCHANGE * number + self.turn[self.child]
        self.history[number % _HISTORY] = self.steps
        sent = now - self.latency[self.down] - self.jitter(child.size)
        error = wrapped(self.hac(sent, self.parent) + self.measured - self.hac(now, child))
        far = np.abs(error) > PERIOD // 4
        near = np.abs(error) <= JITTER + 2
        self.sum = np.where(near, self.sum + error, 0)
        self.summed = np.where(near, self.summed + 1, 0)
        full = self.summed == SAMPLES
        fine = np.where(full & (np.abs(self.sum) > SAMPLES // 2), np.sign(self.sum), 0)
        self.sum[full], self.summed[full] = 0, 0
        step = np.where(far, 1, np.where(near, fine, np.sign(error)))
        self.steps[child] += step.astype(np.int64)
        self.history[number % _HISTORY] = self.steps

    def one_way(self, number: int) -> tuple[float, float]:
        """Measure every link's one-way latency, HAC at arrival less HAC at sending, in exchanges from ``number`` on;
        then see how much later and earlier packets come than that says."""
        link = np.flatnonzero(self.topology.ends.ravel() >= 0)
        source, to = link // PORTS, self.topology.peers.ravel()[link].astype(np.int64)
        total, late, early = np.zeros(link.size), -np.inf, -np.inf
        for exchange in range(number, number + 2 * ONE_WAY):
            self.exchange(exchange)
            now = EXCHANGE * exchange + self.turn[to]
            sent = now - self.latency[link] - self.jitter(link.size)
            taken = LATENCY + wrapped(self.hac(now, to) - self.hac(sent, source) - LATENCY)
            if exchange < number + ONE_WAY:
                total += taken
            else:
                off = taken - total / ONE_WAY
                late, early = max(late, float(off.max(initial=0))), max(early, float(-off.min(initial=0)))
        return late, early
