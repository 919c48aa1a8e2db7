"""Links: which SENDs and RECEIVEs a program has, and which of them meet others of their link (docs/links.md)."""

import dataclasses

import numpy as np

from tsp.config import ChipConfig
from tsp.floorplan import floorplan
from tsp.flow import faults
from tsp.flow.issues import Ints, Issues, Specs
from tsp.flow.tables import Bools

IDLE_EVERY = 1250
"""Of so many words of a channel that follow each other at least one is idle *(published)*."""


@dataclasses.dataclass(frozen=True)
class Sends:
    """SENDs by link, time and queue: ``issue``, ``link`` (number in ``floorplan(config).links``), ``read``, the row of
    :attr:`Flow.reads` of the operand, and whether it ``goes`` out: one that meets another on its way does not."""

    issue: Ints
    link: Ints
    read: Ints
    goes: Bools


@dataclasses.dataclass(frozen=True)
class Receives:
    """RECEIVEs by link, time and queue: ``issue``, ``link`` as of :class:`Sends`, and whether it ``takes`` a vector if
    there is one: the second of a link in a cycle does not."""

    issue: Ints
    link: Ints
    takes: Bools


def link_specs() -> Specs:
    """Empty specs for :func:`sends` and :func:`receives`."""
    return Specs("link")


def sends(specs: Specs, issues: Issues, operand0: Ints, config: ChipConfig) -> Sends:
    """The table of SENDs; ``operand0``: the row of each issue's first operand."""
    issue, link = _ordered(specs, issues)
    return Sends(issue, link, operand0[issue], _going(link, issues.time[issue], config.superlanes))


def receives(specs: Specs, issues: Issues) -> Receives:
    """The table of RECEIVEs."""
    issue, link = _ordered(specs, issues)
    return Receives(issue, link, _first(link, issues.time[issue]))


def _first(link: Ints, time: Ints) -> Bools:
    """Which of rows by link, time and queue are the first of their link in their cycle."""
    return np.append(True, (np.diff(link) != 0) | (np.diff(time) != 0))[: len(link)]


def _ordered(specs: Specs, issues: Issues) -> tuple[Ints, Ints]:
    rows = specs.expand(issues)
    issue, link = rows["issue"], rows["link"]
    order = np.lexsort((issues.queue[issue], issues.time[issue], link))
    return issue[order], link[order]


def may_follow(gap: int, superlanes: int) -> bool:
    """Whether a SEND may come so many cycles after another of its link: not while that one's packet leaves, and not
    when words of the two would be on one place of the path south."""
    return gap > superlanes and (gap % 2 == 1 or gap >= 2 * superlanes)


def next_send(gap: int, superlanes: int) -> int:
    """The least number of cycles, at least ``gap``, after which a SEND may follow another of its link."""
    while not may_follow(gap, superlanes):
        gap += 1
    return gap


def _going(link: Ints, time: Ints, superlanes: int) -> Bools:
    """Which of SENDs in the order of link and time go out. Those that do not are in nobody's way."""
    gap = np.diff(time)
    # Two gaps that are legal make one that is, so neighbours are enough as long as all go.
    follows = (gap > superlanes) & ((gap % 2 == 1) | (gap >= 2 * superlanes)) | (np.diff(link) != 0)
    if follows.all():
        return np.ones(len(link), np.bool_)
    goes = np.zeros(len(link), np.bool_)
    before: dict[int, list[int]] = {}
    for row, (of, at) in enumerate(zip(link.tolist(), time.tolist(), strict=True)):
        alone = not np.any((link == of) & (time == at) & (np.arange(len(link)) != row))
        recent = [cycle for cycle in before.get(of, []) if at - cycle < 2 * superlanes]
        goes[row] = alone and all(may_follow(at - cycle, superlanes) for cycle in recent)
        if goes[row]:
            before[of] = [*recent, at]
    return goes


def link_faults(sent: Sends, received: Receives, issues: Issues) -> Ints:
    """A collision for every cycle in which a SEND does not go out, or two RECEIVEs of a link meet; of the lowest
    queue."""
    lost = ~sent.goes & _first(sent.link, issues.time[sent.issue])
    met = received.takes & ~np.append(received.takes[1:], True)[: len(received.issue)]
    issue = np.concatenate([sent.issue[lost], received.issue[met]])
    return faults.rows(faults.COLLISION, issues.time[issue], issues.queue[issue])


def number_of(queue: int, link: int, config: ChipConfig) -> int:
    """The number in ``floorplan(config).links`` of link ``link`` of a C2C queue's hemisphere."""
    return link + (config.links_w if floorplan(config).queues[queue].hemisphere == "e" else 0)
