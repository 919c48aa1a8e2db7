"""Streams: who drives what where, and which drive a reader sees.

A value keeps its *diagonal* while it hops: position − time is constant, positions counted in the direction of flow. A
diagonal of a stream can hold several values, as downstream drivers overwrite; a reader sees the nearest upstream one.
"""

import dataclasses

import numpy as np

from tsp.flow.issues import Ints, Issues, Specs
from tsp.flow.state import latest
from tsp.isa import STREAM_DIRECTION_BIT


@dataclasses.dataclass(frozen=True)
class Streams:
    """Drives or reads of streams, one row per stream: a group operand has a row per plane, one after the other.

    Attributes:
        issue: the issue that drives or reads.
        operand: which operand of it (0, 1, 2 for an ALU's a, b, c; otherwise 0).
        plane: stream within the group.
        stream: 6-bit stream operand (index, direction in bit 5).
        time: drives: cycle the value is in the SR (dispatch + func); reads: cycle of the read (dispatch + skew).
        position: site, counted in the direction of flow (negative for westward streams).
    """

    issue: Ints
    operand: Ints
    plane: Ints
    stream: Ints
    time: Ints
    position: Ints

    def __len__(self) -> int:
        return len(self.issue)

    @classmethod
    def of(cls, specs: Specs, issues: Issues) -> "Streams":
        """Rows of specs ``stream planes latency operand``."""
        rows = specs.expand(issues)
        stream = rows["stream"] + rows["plane"]
        site = issues.site[rows["issue"]]
        position = np.where(stream >> STREAM_DIRECTION_BIT, -site, site)
        time = issues.time[rows["issue"]] + rows["latency"]
        return cls(rows["issue"], rows["operand"], rows["plane"], stream, time, position)

    def rows_of(self, issues: Issues, operand: int) -> Ints:
        """int64 [issues]: the row of plane 0 of that operand of an issue, or NONE."""
        rows = np.full(len(issues), -1, np.int64)
        chosen = np.flatnonzero((self.plane == 0) & (self.operand == operand))
        rows[self.issue[chosen]] = chosen
        return rows


def stream_specs() -> Specs:
    """Empty specs for :meth:`Streams.of`."""
    return Specs("stream", "planes", "latency", "operand")


def resolve(drives: Streams, reads: Streams) -> Ints:
    """The drive each read sees (index into drives), or NONE.

    ``T_read = T_drive + |b − a| − 1``, so the diagonal is ``time − position`` less 1 for a drive, and a reader at b
    sees the drive of that diagonal with the greatest position below b.
    """
    diagonals = np.concatenate([drives.time - drives.position - 1, reads.time - reads.position])
    low = int(diagonals.min(initial=0))
    span = int(diagonals.max(initial=0)) - low + 1
    group = np.concatenate([drives.stream, reads.stream]) * span + (diagonals - low)
    n = len(drives)
    return latest(group[:n], drives.position, group[n:], reads.position - 1)


def collisions(drives: Streams, issues: Issues) -> tuple[Ints, Ints]:
    """Drives of one stream at one site in one cycle, as pairs: (every drive but the first, the first).

    First is the drive of the lowest queue.
    """
    none = np.zeros(0, np.int64)
    if not len(drives):
        return none, none
    place = (drives.time << 16) + (np.abs(drives.position) << 8) + drives.stream
    order = np.lexsort((issues.queue[drives.issue], place))
    same = np.diff(place[order]) == 0
    if not same.any():
        return none, none
    starts = np.flatnonzero(np.concatenate([[True], ~same]))
    run = np.cumsum(np.concatenate([[1], ~same])) - 1
    later = np.flatnonzero(np.concatenate([[False], same]))
    return order[later], order[starts[run[later]]]
