"""What crosses the links of a system: the common time of its chips, and which RECEIVE takes the vector of which SEND.

All chips' HACs are taken to be equal, so one time holds for all: *common time*, in cycles, with an epoch beginning in
every multiple of P. A chip's schedule time 0 is common time 0; a DESKEW or POLL makes it stand still until an epoch
begins (docs/links.md, section 3).
"""

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np

from tsp.config import ChipConfig
from tsp.errors import InputError, counted
from tsp.floorplan import floorplan
from tsp.flow.analysis import Flow
from tsp.flow.issues import Ints, ints
from tsp.flow.links import number_of
from tsp.flow.state import NONE
from tsp.flow.tables import Bools
from tsp.isa import WAITS
from tsp.timing import timing

NEVER = 1 << 40
"""The common time of what does not happen: of the release of a POLL that waits for ever, and of all behind it."""


@dataclasses.dataclass(frozen=True)
class Channel:
    """One direction of a link: from link ``out`` of chip ``sender`` to link ``into`` of chip ``receiver``, numbers in
    the list of chips and in their ``floorplan(config).links``. ``latency``: L in cycles. What is sent from common time
    ``until`` on does not come."""

    sender: int
    out: int
    receiver: int
    into: int
    latency: int
    until: int = NEVER


@dataclasses.dataclass(frozen=True)
class Wait:
    """A DESKEW or POLL of a chip: dispatched in schedule time ``cycle``; ``link`` is that of a POLL, else NONE.
    ``queue``, ``index``: the word."""

    cycle: int
    link: int
    queue: int
    index: int


@dataclasses.dataclass(frozen=True)
class Arrivals:
    """What comes over the links of one chip, and when things are.

    Attributes:
        waits: its DESKEWs and POLLs by time, one a cycle.
        released: int64 [waits], the schedule time in which the queue goes on.
        offset: int64 [waits + 1], common time − schedule time before the first wait is over, and after each.
        chip, send: int64 [receives], the chip and the row of its ``flow.sends`` of the vector that a row of
            ``flow.receives`` takes; NONE if there is none.
        bad: bool [receives], whether that vector could not be corrected.
    """

    waits: Sequence[Wait]
    released: Ints
    offset: Ints
    chip: Ints
    send: Ints
    bad: Bools

    def common(self, cycle: Ints) -> Ints:
        """Common times of cycles of schedule time."""
        return cycle + self.offset[np.searchsorted(self.released, cycle, "right")]

    def schedule(self, common: Ints) -> Ints:
        """Cycles of schedule time in common times; while a wait lasts, as if it were not there."""
        return common - self.offset[np.searchsorted(self.released + self.offset[1:], common, "right")]


Bad = Collection[tuple[int, int, int]]
"""Vectors that come uncorrectable: (receiving chip, its link, how many came on it before)."""


Cables = Mapping[tuple[int, int], Channel]
"""(receiving chip, its link) → channel."""


def ready_after(channel: Channel, config: ChipConfig) -> int:
    """Cycles from a SEND to the first RECEIVE that sees its vector; ``config`` of either end."""
    table = timing(config)
    return table.send_wire + channel.latency + config.superlanes + 1 + table.receive_ready


def arrivals(
    flows: Sequence[Flow], channels: Sequence[Channel], bad: Bad = (), names: Sequence[str] = (),
    late: Mapping[int, int] | None = None, endless: bool = False, zero: int = 0,
) -> list[Arrivals]:  # fmt: skip
    """What comes where, for every chip.

    Args:
        flows: of the chips' programs.
        channels: of all links, both directions; a link that is in none is not connected.
        bad: vectors that come with more wrong bits than can be corrected.
        names: of the chips, for messages; by default their numbers.
        late: chip → the common time in which it is started; 0 for the others.
        endless: a POLL that waits for ever is released in NEVER.
        zero: the schedule time that cycles in messages count from.

    Raises InputError for a POLL that waits for ever, unless ``endless``.
    """
    begin = late or {}
    chips = [_Chip(n, flow, name, begin.get(n, 0)) for n, (flow, name) in enumerate(_named(flows, names))]
    into = {(channel.receiver, channel.into): channel for channel in channels}
    while waiting := [chip for chip in chips if chip.waiting is not None]:
        # What a chip that waits still has to send comes after the first of these ends, so that one is certain.
        ends = [chip.end(chips, into, bad) for chip in waiting]
        if min(ends) >= NEVER and not endless:
            raise InputError(waiting[0].stuck(into, chips, bad, zero))
        for chip, end in zip(waiting, ends, strict=True):
            if end == min(ends):
                chip.release(end)
    return [chip.arrivals(chips, into, bad) for chip in chips]


def _named(flows: Sequence[Flow], names: Sequence[str]) -> Iterator[tuple[Flow, str]]:
    return zip(flows, names or [str(number) for number in range(len(flows))], strict=True)


class _Chip:
    """One chip: its waits, those so far resolved, and its SENDs and RECEIVEs by link."""

    def __init__(self, number: int, flow: Flow, name: str, begin: int):
        self.number, self.flow, self.name = number, flow, name
        self.waits = waits(flow)
        self.released: list[int] = []
        self.offset = [begin]
        of_link = range(len(floorplan(flow.config).links))
        self.sends = [np.flatnonzero((flow.sends.link == link) & flow.sends.goes) for link in of_link]
        self.receives = [np.flatnonzero((flow.receives.link == link) & flow.receives.takes) for link in of_link]

    @property
    def waiting(self) -> Wait | None:
        """The first wait that is not resolved."""
        return self.waits[len(self.released)] if len(self.released) < len(self.waits) else None

    def common(self, cycle: Ints) -> Ints:
        return cycle + ints(self.offset)[np.searchsorted(ints(self.released), cycle, "right")]

    def coming(self, link: int, chips: Sequence["_Chip"], into: Cables) -> tuple[Ints, Ints]:
        """What comes on a link, as far as it can be said yet: rows of the sender's ``flow.sends``, and the common times
        from which on RECEIVEs see these vectors."""
        channel = into.get((self.number, link))
        if channel is None:
            return ints([]), ints([])
        sender = chips[channel.sender]
        rows = sender.sends[channel.out]
        cycles = sender.flow.issues.time[sender.flow.sends.issue[rows]]
        known = cycles <= (NEVER if sender.waiting is None else sender.waiting.cycle)
        times = sender.common(cycles[known])
        comes = times < channel.until
        return rows[known][comes], times[comes] + ready_after(channel, self.flow.config)

    def asked(self, link: int) -> Ints:
        """The common times of the RECEIVEs of a link; those behind a wait that is not over count as if it were."""
        return self.common(self.flow.issues.time[self.flow.receives.issue[self.receives[link]]])

    def end(self, chips: Sequence["_Chip"], into: Cables, bad: Bad) -> int:
        """The common time in which the first wait that is not resolved ends if no more vectors come than can be said
        yet; NEVER if it does not."""
        wait, period = self.waiting, self.flow.config.hac_period
        assert wait is not None
        least = _epoch(wait.cycle + self.offset[-1] + 1, period)
        if wait.link == NONE:
            return least
        number, (_, ready) = self.oldest(wait, chips, into), self.coming(wait.link, chips, into)
        if number >= len(ready) or (self.number, wait.link, number) in bad:
            return NEVER
        return max(least, _epoch(int(ready[number]) + 1, period))

    def oldest(self, wait: Wait, chips: Sequence["_Chip"], into: Cables) -> int:
        """Which vector of its link a POLL waits for: how many RECEIVEs have taken before the end of its epoch."""
        cycles = self.flow.issues.time[self.flow.receives.issue[self.receives[wait.link]]]
        asked = self.asked(wait.link)[cycles <= wait.cycle]
        last = _epoch(wait.cycle + self.offset[-1] + 1, self.flow.config.hac_period) - 1
        _, ready = self.coming(wait.link, chips, into)
        return int(np.count_nonzero(_taken(ready, asked[asked < last]) != NONE))

    def release(self, end: int) -> None:
        """Go on behind the first wait that is not resolved in common time ``end``."""
        assert self.waiting is not None
        self.released.append(self.waiting.cycle + timing(self.flow.config).deskew)
        self.offset.append(end - self.released[-1])

    def stuck(self, into: Cables, chips: Sequence["_Chip"], bad: Bad, zero: int) -> str:
        """Why the POLL that the chip waits in waits for ever."""
        wait = self.waiting
        assert wait is not None
        plan = floorplan(self.flow.config)
        place = f"chip {self.name}: {plan.queues[wait.queue].name}: cycle {wait.cycle - zero}: POLL of link"
        place += f" {plan.links[wait.link].name} waits for ever:"
        channel, number = into.get((self.number, wait.link)), self.oldest(wait, chips, into)
        if channel is None:
            return f"{place} the link is not connected; give the chip's link in a system file (tsp run --system)"
        if (self.number, wait.link, number) in bad:
            return f"{place} vector {number} on it came with too many wrong bits; start the system again"
        other = chips[channel.sender]
        port = floorplan(other.flow.config).links[channel.out].name
        if number >= len(other.sends[channel.out]):
            sent = len(other.sends[channel.out])
            needs = counted(number + 1, "vector")
            return f"{place} it needs {needs}, but chip {other.name} sends {sent} on link {port}; add a SEND"
        first = other.waiting
        assert first is not None
        reason = f"its own POLL of cycle {first.cycle - zero}, which waits too; SEND it before"
        return f"{place} chip {other.name} sends that vector after {reason}"

    def arrivals(self, chips: Sequence["_Chip"], into: Cables, bad: Bad) -> Arrivals:
        """When everything is resolved: who takes what."""
        chip, send = (np.full(len(self.flow.receives.issue), NONE, np.int64) for _ in range(2))
        for link, rows in enumerate(self.receives):
            sent, ready = self.coming(link, chips, into)
            taken = _taken(ready, self.asked(link))
            got = taken != NONE
            if got.any():
                chip[rows[got]], send[rows[got]] = into[self.number, link].sender, sent[taken[got]]
        return Arrivals(self.waits, ints(self.released), ints(self.offset), chip, send, self._bad(chip != NONE, bad))

    def _bad(self, took: Bools, bad: Bad) -> Bools:
        found = np.zeros(len(took), np.bool_)
        for chip, link, number in bad:
            if chip == self.number:
                rows = self.receives[link][took[self.receives[link]]]
                found[rows[number : number + 1]] = True
        return found


def _epoch(time: int, period: int) -> int:
    """The first common time from ``time`` on in which an epoch begins."""
    return -(-time // period) * period


def _taken(ready: Ints, asked: Ints) -> Ints:
    """For each RECEIVE, in common time, the vector that it takes, ready in ascending times: the oldest that is there,
    or NONE."""
    number = np.arange(len(asked))
    if len(asked) <= len(ready) and np.all(ready[: len(asked)] <= asked):
        return number
    found, oldest = np.full(len(asked), NONE, np.int64), 0
    for row, cycle in enumerate(asked.tolist()):
        if oldest < len(ready) and ready[oldest] <= cycle:
            found[row], oldest = oldest, oldest + 1
    return found


def waits(flow: Flow) -> list[Wait]:
    """The DESKEWs and POLLs of a program by time, one a cycle: a POLL before a DESKEW, the lowest queue's first."""
    found: dict[int, Wait] = {}
    chosen = [control for control in flow.unrolled.controls if control.mnemonic in WAITS]
    for c in sorted(chosen, key=lambda c: (c.cycle, c.mnemonic == "DESKEW", c.queue)):
        link = number_of(c.queue, c.link, flow.config) if c.mnemonic == "POLL" else NONE
        found.setdefault(c.cycle, Wait(c.cycle, link, c.queue, c.index))
    return list(found.values())
