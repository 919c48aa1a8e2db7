"""Aligning the HACs of all chips down a breadth-first spanning tree from chip 0, and how far they then differ."""

import dataclasses
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from golden.network.hac import EXCHANGE, Floats, Ints, System, wrapped
from golden.network.level import Levelling
from golden.network.topology import PORTS, Topology
from tsp.errors import InputError

FROM_ROOT, LINKED = 10, 6
"""Most cycles that HACs may differ: from the root's, and of chips that a cable joins."""
RECORD = 16
"""Exchanges between two records of the differences."""
ONE_WAY = 128
"""Packets of each link that are timed for its one-way latency, and as many to see how far others are from it."""
MOST_CYCLES = 10_000_000
"""Half an hour for the largest system."""


@dataclasses.dataclass(frozen=True, eq=False)
class Alignment:
    """What came of an alignment. Differences are of two counters at the same moment, in cycles, not rounded.

    Attributes:
        depth: [chips]: cables to the root.
        time: [records]: cycles.
        from_root: [records, depths]: most that a chip of each depth differs from the root.
        parents: [records]: most that a chip differs from its parent.
        linked: [records]: most that two chips differ that any cable joins.
        over: [records]: cables whose chips differ by more than LINKED.
        late, early: after the end, most cycles that a packet of any link comes later or earlier than its HAC at sending
            and the link's measured one-way latency say.
    """

    topology: Topology
    seed: int
    depth: NDArray[np.int32]
    time: Ints
    from_root: Floats
    parents: Floats
    linked: Floats
    over: Ints
    late: float
    early: float

    @cached_property
    def locked(self) -> int:
        """The cycle from which on all chips stay within FROM_ROOT of the root, and within LINKED of their parents.

        Raises InputError if they do not.
        """
        within = (self.from_root.max(1) <= FROM_ROOT) & (self.parents <= LINKED)
        first = len(within) - int(np.append(within[::-1], False).argmin())
        if first >= len(within) - 1:
            raise InputError(f"the HACs are not aligned after {self.time[-1]} cycles; give them more")
        return int(self.time[first])

    def as_dict(self) -> dict[str, Any]:
        """Figures for JSON: when they are locked, and the most they differ in the second half of the time."""
        held = self.time > max(self.locked, self.time[-1] // 2)
        return {
            "seed": self.seed,
            "cycles": int(self.time[-1]),
            "locked": self.locked,
            "from_root": float(self.from_root[held].max()),
            "from_root_by_depth": [round(float(most), 2) for most in self.from_root[held].max(0)],
            "chips_by_depth": np.bincount(self.depth).tolist(),
            "from_parent": float(self.parents[held].max()),
            "linked": float(self.linked[held].max()),
            "linked_over_limit": float(self.over[held].mean() / max(len(self.topology.cables), 1)),
            "late": self.late,
            "early": self.early,
        }


def align(
    topology: Topology, cycles: int = 400_000, seed: int = 1, progress: Callable[[int, int], None] | None = None
) -> Alignment:
    """Align all HACs to that of chip 0, from any phases, for so many cycles. The same seed gives the same numbers.

    Raises InputError for fewer cycles than a record takes, or more than MOST_CYCLES.
    """
    if not RECORD * EXCHANGE <= cycles <= MOST_CYCLES:
        raise InputError(
            f"cycles {cycles}: an alignment is watched for {RECORD * EXCHANGE}…{MOST_CYCLES}; 400000 works"
        )
    exchanges = cycles // EXCHANGE
    system = System(topology, np.random.default_rng(seed))
    levelling = Levelling(system)
    depths = int(system.depth.max()) + 1
    sides = topology.cables.T // PORTS
    records = exchanges // RECORD
    made = Alignment(
        topology, seed, system.depth, RECORD * EXCHANGE * np.arange(1, records + 1), np.zeros((records, depths)),
        np.zeros(records), np.zeros(records), np.zeros(records, np.int64), 0, 0,
    )  # fmt: skip
    for record, now in enumerate(made.time):
        for exchange in range(RECORD * record, RECORD * (record + 1)):
            system.exchange(exchange)
            levelling.after(exchange)
        hac = system.clocks.cycles(float(now)) + system.steps
        np.maximum.at(made.from_root[record], system.depth, np.abs(wrapped(hac - hac[0])))
        made.parents[record] = np.abs(wrapped(hac[system.child] - hac[system.parent])).max()
        linked = np.abs(wrapped(hac[sides[0]] - hac[sides[1]]))
        made.linked[record], made.over[record] = linked.max(), (linked > LINKED).sum()
        if progress:
            progress(record + 1, records)
    late, early = packets(system, RECORD * records)
    return dataclasses.replace(made, late=late, early=early)


def packets(system: System, begin: int) -> tuple[float, float]:
    """Measure every link's one-way latency from an exchange on; then see how much later and earlier packets come than
    that says."""
    total, late, early = np.zeros(system.topology.ends.size), -np.inf, -np.inf
    for exchange in range(begin, begin + 2 * ONE_WAY):
        system.exchange(exchange)
        taken = system.one_way(exchange)
        if exchange < begin + ONE_WAY:
            total += taken
        else:
            off = taken - total / ONE_WAY
            late, early = max(late, float(off.max(initial=0))), max(early, float(-off.min(initial=0)))
    return late, early
