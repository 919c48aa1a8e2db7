"""Tables of what a program does: a row per issue, per stream driven or read, per access to a word, a weight, a row.

Rows are made for a whole program at once: a loop over bursts collects *specs* (one line of numbers each), numpy expands
them to their issues.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tsp.config import ChipConfig
from tsp.dispatch import Burst
from tsp.floorplan import floorplan
from tsp.power import Power

Ints = NDArray[np.int64]


def ints(values: Sequence[int] | Sequence[Sequence[int]] | NDArray[np.generic]) -> Ints:
    """``values`` as int64."""
    return np.asarray(values, np.int64)


@dataclasses.dataclass(frozen=True)
class Issues:
    """Every single issue, burst after burst in the order the dispatcher gave them.

    Attributes:
        bursts: the dispatcher's bursts.
        first: int64 [bursts + 1], first issue of each burst.
        burst, step, time: int64 [issues], the burst of an issue, its number in the burst, its dispatch cycle.
        queue, place, site: int64 [issues], where it is dispatched; place is the slice's.
        powered: int64 [issues], how many superlanes it acts in.
    """

    bursts: Sequence[Burst]
    first: Ints
    burst: Ints
    step: Ints
    time: Ints
    queue: Ints
    place: Ints
    site: Ints
    powered: Ints

    def __len__(self) -> int:
        return len(self.burst)

    def rows_in(self, table: Ints) -> Ints:
        """int64 [issues]: the row of each issue in a table whose rows' issues are ``table``; -1 for one without."""
        rows = np.full(len(self), -1, np.int64)
        rows[table] = np.arange(len(table))
        return rows

    @classmethod
    def of(cls, bursts: Sequence[Burst], config: ChipConfig, power: Power) -> "Issues":
        """Expand bursts."""
        queues = floorplan(config).queues
        shape = ints([(b.count, b.start, b.interval, b.queue) for b in bursts]).reshape(-1, 4)
        count, start, interval, queue = shape.T
        first = np.concatenate([[0], np.cumsum(count)])
        burst = np.repeat(np.arange(len(bursts)), count)
        step = np.arange(first[-1]) - first[:-1][burst]
        place_of = ints([q.slice for q in queues])
        site_of = ints([q.site for q in queues])
        queue_of = queue[burst]
        time = start[burst] + step * interval[burst]
        place, site = place_of[queue_of], site_of[queue_of]
        return cls(bursts, first, burst, step, time, queue_of, place, site, power.at(time))


class Specs:
    """Lines of numbers, one per burst and purpose, expanded to rows: per issue, and per plane if a line has planes."""

    def __init__(self, *names: str):
        self.names = ("burst", *names)
        self.lines: list[tuple[int, ...]] = []

    def add(self, burst: int, *values: int) -> None:
        """Add a line for a burst."""
        self.lines.append((burst, *values))

    def expand(self, issues: Issues) -> dict[str, Ints]:
        """Columns of the rows: every name, ``issue``, ``plane`` (0 … ``planes`` − 1, fastest; 0 without ``planes``)."""
        columns = dict(zip(self.names, ints(self.lines).reshape(-1, len(self.names)).T, strict=True))
        start = issues.first[columns["burst"]]
        count = issues.first[columns["burst"] + 1] - start
        line = np.repeat(np.arange(len(self.lines)), count)
        issue = np.arange(len(line)) + np.repeat(start - (np.cumsum(count) - count), count)
        plane = np.zeros(len(line), np.int64)
        if "planes" in columns:
            planes = columns["planes"][line]
            line, issue = np.repeat(line, planes), np.repeat(issue, planes)
            plane = np.arange(len(line)) - np.repeat(np.cumsum(planes) - planes, planes)
        expanded = {name: column[line] for name, column in columns.items() if name not in ("burst", "planes")}
        return expanded | {"issue": issue, "plane": plane}
