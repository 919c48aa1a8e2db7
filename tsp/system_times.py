"""When the chips of a system do what, and how sure that is (docs/links.md, section 3).

Times are schedule time; ``zero`` is that in which cycle 0 of the chips' own programs is, behind the preambles of
:mod:`tsp.start`, and messages count from there.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from tsp.checker.report import Writer
from tsp.dispatch import Control
from tsp.flow import Flow
from tsp.flow.channels import Arrivals, Channel
from tsp.flow.issues import Ints, ints
from tsp.system import INTERVAL, System


@dataclasses.dataclass(frozen=True)
class Resolved:
    """A system whose chips' programs begin with their preambles, and what they do."""

    system: System
    zero: int
    flows: list[Flow]
    arrived: list[Arrivals]


class Times:
    """Times of a :class:`Resolved` system, and how messages name them."""

    def __init__(self, resolved: Resolved):
        self.system, self.zero = resolved.system, resolved.zero
        self.flows, self.arrived = resolved.flows, resolved.arrived
        self.writers = [Writer(chip.config, chip.program.source) for chip in self.system.chips]
        self.names = [chip.name for chip in self.system.chips]
        self.into = {(channel.receiver, channel.into): channel for channel in self.system.channels}
        self.resyncs = [_resyncs(flow) for flow in self.flows]
        self._resets = [
            ints(sorted([0, *arrived.released.tolist(), *(control.cycle for control in controls)]))
            for arrived, controls in zip(self.arrived, self.resyncs, strict=True)
        ]

    def since(self, chip: int, cycle: Ints) -> Ints:
        """Cycles for which the clock of a chip has drifted: since its last DESKEW, POLL or RUNTIME_DESKEW."""
        resets = self._resets[chip]
        return cycle - resets[np.searchsorted(resets, cycle, "right") - 1]

    def margin(self, channel: Channel, sent: Ints, taken: Ints) -> Ints:
        """H of vectors sent in cycles of the sender's schedule time and expected in those of the receiver's. A clock
        that was brought in line meanwhile was off when it sent."""
        cycles = np.maximum(self.since(channel.sender, sent), self.since(channel.receiver, taken))
        return self.system.margin(channel, cycles)

    def steps(self, chip: int, cycles: int) -> int:
        """The most by which the HAC of a chip may be off its schedule time after so many cycles: a step in each
        interval, and no more than clocks and HACs come apart. That of the root is not stepped."""
        if chip == self.system.root or not cycles:
            return 0
        return min(cycles // INTERVAL + 1, self.system.drift(cycles) + 2 * self.system.apart(self.system.root, chip))

    def sends(self, channel: Channel) -> Ints:
        """The cycles of the SENDs of a channel that go out, in the sender's schedule time."""
        flow = self.flows[channel.sender]
        rows = np.flatnonzero((flow.sends.link == channel.out) & flow.sends.goes)
        return flow.issues.time[flow.sends.issue[rows]]

    def receives(self, channel: Channel) -> Ints:
        """The issues of the RECEIVEs of a channel that take a vector if there is one."""
        table = self.flows[channel.receiver].receives
        return table.issue[np.flatnonzero((table.link == channel.into) & table.takes)]

    def port(self, channel: Channel) -> str:
        """The name of the link that a channel comes on, on its chip."""
        return self.writers[channel.receiver].plan.links[channel.into].name

    def place(self, chip: int, queue: int, index: int, cycle: int) -> str:
        """Where a word stands, and its cycle."""
        where = self.writers[chip].where(queue, index)
        return f"{self.system.name}: chip {self.names[chip]}: {where}: cycle {cycle - self.zero}"

    def issue_place(self, chip: int, issue: int) -> str:
        """The same of an issue of :attr:`Flow.issues`."""
        issues = self.flows[chip].issues
        burst = issues.bursts[int(issues.burst[issue])]
        return self.place(chip, burst.queue, burst.index, int(issues.time[issue]))


def _resyncs(flow: Flow) -> Sequence[Control]:
    """RUNTIME_DESKEWs by time, one a cycle."""
    found = {c.cycle: c for c in flow.unrolled.controls if c.mnemonic == "RUNTIME_DESKEW"}
    return [found[cycle] for cycle in sorted(found)]
