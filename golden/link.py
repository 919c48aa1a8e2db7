"""Links: what a SEND takes, and RECEIVEs that bring nothing good (docs/links.md)."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from golden import sxm
from golden.flips import Wrong
from golden.stream import Values
from tsp.flips import DATA_BITS
from tsp.flow import NONE, Fault, Flow
from tsp.flow.channels import Arrivals
from tsp.flow.faults import LINK_UNCORRECTABLE, LINK_UNDERRUN
from tsp.flow.issues import Ints

MARK = 0b11 << DATA_BITS
"""The wrong bits of a word that a RECEIVE drives when it has no good vector: check bits 0 and 1, which is more than can
be corrected."""


def sent(flow: Flow, values: Values, rows: Ints) -> NDArray[np.uint8]:
    """uint8 [n, lanes]: the vectors that rows of ``flow.sends`` take, zero in superlanes that are not powered."""
    return sxm.powered(values.taken(flow.sends.read[rows]), flow.issues.powered[flow.sends.issue[rows]])


def faults(flow: Flow, arrived: Arrivals) -> list[Fault]:
    """One for every RECEIVE that has nothing to take, or takes a vector that could not be corrected."""
    nothing = (arrived.send == NONE) & flow.receives.takes
    found = []
    for kind, rows in ((LINK_UNDERRUN, nothing), (LINK_UNCORRECTABLE, arrived.bad)):
        issues = flow.receives.issue[rows]
        times, queues = flow.issues.time[issues].tolist(), flow.issues.queue[issues].tolist()
        found += [Fault(cycle, queue, kind) for cycle, queue in zip(times, queues, strict=True)]
    return found


def marked(flow: Flow, arrived: Arrivals, drive: Ints) -> Mapping[int, Wrong]:
    """Row of ``flow.drives`` → wrong bits of what RECEIVEs drive that have no good vector; ``drive``: the row of each
    issue. Nothing without check bits."""
    if not flow.config.ecc:
        return {}
    rows = np.flatnonzero((arrived.send == NONE) | arrived.bad)
    return {
        int(drive[issue]): dict.fromkeys(range(int(flow.issues.powered[issue])), MARK)
        for issue in flow.receives.issue[rows].tolist()
    }
