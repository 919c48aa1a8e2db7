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
    """All chips' clocks and the steps of their HACs: HAC = cycles + steps, low byte.

    Words leave and are read at edges of clocks. So a HAC that is sent is a whole number, the moment at which a word is
    read is one at which its receiver's HAC is, and all that is rounded is when it is read.

    Attributes:
        depth: [chips]: cables to the root, chip 0.
        child, parent, down: [chips - 1]: each chip of the tree but the root, its parent, and the link from there.
        whole, fraction: [chips - 1]: what software takes for the latency down and has written, in cycles and 32nds;
            ``written``: together, in cycles.
    """

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
        self.write(self._round_trips(up))
        self.steps = np.zeros(topology.chips, np.int64)
        self.history = np.zeros((_HISTORY, topology.chips), np.int64)
        self.sum = self.fraction.copy()
        self.summed = np.zeros(self.child.size, np.int64)

    def jitter(self, *shape: int) -> Floats:
        return np.clip(self.random.normal(0, SIGMA, shape), -JITTER, JITTER)

    def _edge(self, time: Floats, of: Ints) -> Floats:
        """The next edges of chips' clocks."""
        cycles = self.clocks.cycles(time, of)
        found: Floats = time + np.ceil(cycles) - cycles
        return found

    def _round_trips(self, up: Ints) -> Floats:
        """Half of the round trip by the parents' own counters, a mean. A reflection leaves in the cycle in which its
        probe was read."""
        sent = self._edge(self.random.uniform(0, 1e6, (PROBES, self.child.size)), self.parent)
        there = self._edge(sent + self.latency[self.down] + self.jitter(*sent.shape), self.child)
        back = self._edge(there + self.latency[up] + self.jitter(*sent.shape), self.parent)
        count = np.round(self.clocks.cycles(back, self.parent) - self.clocks.cycles(sent, self.parent))
        found: Floats = count.mean(0) / 2
        return found

    def write(self, latency: Floats) -> None:
        """Write latencies down, as whole cycles and 32nds: a sum of as many samples begins with the fraction."""
        written = np.round(latency * SAMPLES)
        self.whole = np.floor(written / SAMPLES + 0.5)
        self.fraction = written - SAMPLES * self.whole

    @property
    def written(self) -> Floats:
        found: Floats = self.whole + self.fraction / SAMPLES
        return found

    def _hac(self, time: Floats, of: Ints) -> Floats:
        """HACs of chips, not wrapped, at times of the last exchanges."""
        exchange = ((time - self.turn[of]) // EXCHANGE).astype(np.int64)
        found: Floats = np.floor(self.clocks.cycles(time, of)) + self.history[exchange % _HISTORY, of]
        return found

    def apart(self, exchange: int, links: Ints) -> Floats:
        """Own HACs less those that came, of a word of each link that is read in an exchange. Not wrapped."""
        source, to = links // PORTS, self.topology.peers.ravel()[links].astype(np.int64)
        now = self._edge(EXCHANGE * exchange + self.turn[to], to)
        own = np.round(self.clocks.cycles(now, to)) + self.history[exchange % _HISTORY, to]
        found: Floats = own - self._hac(now - self.latency[links] - self.jitter(links.size), source)
        return found

    def one_way(self, exchange: int) -> Floats:
        """[links]: own HAC at arrival less HAC at sending, of a word of each link; 0 where there is no cable."""
        links = np.flatnonzero(self.topology.ends.ravel() >= 0)
        found = np.zeros(self.topology.ends.size)
        found[links] = LATENCY + wrapped(self.apart(exchange, links) - LATENCY)
        return found

    def exchange(self, number: int) -> None:
        """Every chip but the root samples its parent's HAC once, and steps its own as it must."""
        self.history[number % _HISTORY] = self.steps
        error = wrapped(self.whole - self.apart(number, self.down))
        far = np.abs(error) > PERIOD // 4
        near = np.abs(error) <= JITTER + 2
        self.sum = np.where(near, self.sum + error, self.fraction)
        self.summed = np.where(near, self.summed + 1, 0)
        full = self.summed == SAMPLES
        fine = np.where(full & (np.abs(self.sum) > SAMPLES // 2), np.sign(self.sum), 0)
        self.sum[full], self.summed[full] = self.fraction[full], 0
        step = np.where(far, 1, np.where(near, fine, np.sign(error)))
        self.steps[self.child] += step.astype(np.int64)
        self.history[number % _HISTORY] = self.steps
