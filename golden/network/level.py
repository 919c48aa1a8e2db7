"""What software does once HACs are aligned: it measures all links one way, finds how far each chip's HAC is ahead, and
writes the latencies that the tree needs to take that back.

Half of a round trip is not the latency down if a cable's directions differ, and what that is wrong by adds up from
chip to chip. But of chips that a cable joins both see by how much the one is ahead, less half of what the directions
differ by; and a chip has more cables than the one to its parent.
"""

import numpy as np

from golden.network.hac import EXCHANGE, PERIOD, Floats, System
from golden.network.topology import PORTS

BEGIN = 40_000
"""The cycle from which on software takes HACs to be aligned."""
SETTLE = 2_000
"""Cycles between two rounds."""
SAMPLES = 256
"""Words of each link in a round, one of an epoch."""
_SWEEPS = 100
"""Of the relaxation: for 10,440 chips what they leave is less than a thousandth of a cycle."""


class Levelling:
    """Rounds of measurements, one after the other for good; each writes the mean of what all rounds so far say."""

    def __init__(self, system: System) -> None:
        self.system, self.rounds = system, 0
        self._begin, self._words = BEGIN // EXCHANGE, 0
        self._taken = np.zeros(system.topology.ends.size)
        self._latency = np.zeros(system.child.size)

    def after(self, exchange: int) -> None:
        """What there is to do after an exchange of all chips."""
        since = exchange - self._begin
        if since < 0 or since % (PERIOD // EXCHANGE):
            return
        self._taken += self.system.one_way(exchange)
        self._words += 1
        if self._words == SAMPLES:
            self._write()
            self._begin, self._words = exchange + SETTLE // EXCHANGE, 0
            self._taken[:] = 0

    def _write(self) -> None:
        system = self.system
        off = ahead(system, self._taken / SAMPLES)
        self.rounds += 1
        self._latency += system.written - (off[system.child] - off[system.parent])
        system.write(self._latency / self.rounds)


def ahead(system: System, one_way: Floats) -> Floats:
    """[chips]: by how many cycles each HAC is ahead of the root's, from the one-way latencies of all links, in least
    squares of what the cables say. Each chip in turn is put where its neighbours say (Jacobi's relaxation)."""
    ends, peers = system.topology.ends, system.topology.peers
    there = ends >= 0
    over = np.where(there, (one_way[ends] - one_way.reshape(-1, PORTS)) / 2, 0)
    found = np.zeros(len(ends))
    for _ in range(_SWEEPS):
        said = np.where(there, found[peers] + over, 0).sum(1) / there.sum(1)
        found = (found + said) / 2
        found -= found[0]
    return found
