"""The checker of systems: what a program does wrong only with those of other chips (docs/links.md, section 3)."""

import dataclasses
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tsp.checker import check
from tsp.errors import InputError, counted
from tsp.flow import Flow, analyse
from tsp.flow.channels import Channel, arrivals, ready_after
from tsp.flow.fetch import expand_program
from tsp.flow.issues import Ints, ints
from tsp.start import started
from tsp.system import System
from tsp.system_times import Resolved, Times
from tsp.system_waits import check_epochs, check_runtime_deskews, check_starts

_LOOK = 4096
"""Cycles that are tried at once."""


@dataclasses.dataclass(frozen=True)
class SystemReport:
    """The verdict: ``problems`` as sentences, and the predicted cycles of each chip (last event + 1), of which ``zero``
    are spent before the programs begin."""

    problems: list[str]
    cycles: list[int]
    zero: int

    @property
    def ok(self) -> bool:
        """Whether everything is legal."""
        return not self.problems

    def __str__(self) -> str:
        if self.problems:
            return "\n".join(self.problems)
        return f"legal, {duration(max(self.cycles), self.zero)}"


def duration(cycles: int, zero: int) -> str:
    """How long a system runs: until its last event, and until cycle 0 of its programs."""
    if zero and cycles <= zero:
        return f"no event behind the start of {zero} cycles"
    return f"{cycles} cycles, of which the start takes {zero}"


def flows_of(system: System) -> list[Flow]:
    """The flows of its programs."""
    found = []
    for chip in system.chips:
        defined = {place: image.addresses for place, image in chip.program.memory.items()}
        found.append(analyse(expand_program(chip.program), chip.config, defined))
    return found


def resolve_system(system: System) -> Resolved:
    """InputError for a POLL that waits for ever."""
    begun, zero = started(system)
    flows = flows_of(begun)
    names = [chip.name for chip in begun.chips]
    try:
        return Resolved(begun, zero, flows, arrivals(flows, begun.channels, names=names, zero=zero))
    except InputError as error:
        raise InputError(f"{system.name}: {error}") from None


def check_system(system: System) -> SystemReport:
    """Check every program, and all of them together. InputError as of :func:`tsp.checker.check`."""
    begun, zero = started(system)
    nothing = [0] * len(system.chips)
    # As they are written first, so that cycles are those of the source; then with what is put before them.
    for chips, told in ((system.chips, ""), (begun.chips, ", with the start that is put before the program")):
        found = [(chip.name, problem) for chip in chips for problem in check(chip.program).problems]
        if found:
            problems = [f"{system.name}: chip {name}: {problem}{told}" for name, problem in found]
            return SystemReport([*_early(system), *problems], nothing, zero)
    try:
        resolved = resolve_system(system)
    except InputError as error:
        return SystemReport([str(error)], nothing, zero)
    return SystemReport(_Checker(resolved).problems(), [flow.cycles for flow in resolved.flows], zero)


def _early(system: System) -> list[str]:
    """RECEIVEs that come too early, of programs with other mistakes: what their readers then miss is one of these."""
    try:
        checker = _Checker(resolve_system(system))
    except InputError:
        return []
    if checker.before_receives():
        return []
    return [problem for channel in checker.system.channels for problem in checker.receives(channel)]


class _Checker:
    def __init__(self, resolved: Resolved):
        self.times = Times(resolved)
        self.system, self.zero = resolved.system, resolved.zero
        self.flows, self.arrived = resolved.flows, resolved.arrived

    def problems(self) -> list[str]:
        found = self.before_receives()
        if not found:
            found += check_epochs(self.times)
            for channel in self.system.channels:
                found += self.receives(channel)
                found += self._buffer(channel)
        return found

    def before_receives(self) -> list[str]:
        """What must be right before cycles of several chips can be compared."""
        return [*check_starts(self.times), *check_runtime_deskews(self.times), *self._loose()]

    def _loose(self) -> list[str]:
        """Every SEND and RECEIVE is on a link that is joined to another; the first that is not, of each link."""
        joined = {(channel.sender, channel.out) for channel in self.system.channels}
        found = []
        for chip, flow in enumerate(self.flows):
            ports = self.times.writers[chip].plan.links
            known = [port.name for port in ports if (chip, port.index) in joined]
            for what, rows in (("SEND on", flow.sends), ("RECEIVE of", flow.receives)):
                links, first = np.unique(rows.link, return_index=True)
                for link, row in zip(links.tolist(), first.tolist(), strict=True):
                    if (chip, link) not in joined:
                        place, name = self.times.issue_place(chip, int(rows.issue[row])), self.times.names[chip]
                        close = f"chip {name} has {', '.join(known)}" if known else f"chip {name} has no links"
                        text = f"{what} link {ports[link].name}, which is not connected"
                        found.append(f"{place}: {text}; give {name}.{ports[link].name} a [[link]]; {close}")
        return found

    def receives(self, channel: Channel) -> list[str]:
        """Every RECEIVE has its vector, with the margin that clocks and jitter ask for."""
        flow, arrived = self.flows[channel.receiver], self.arrived[channel.receiver]
        sends, issue = self.times.sends(channel), self.times.receives(channel)
        common, time = self.arrived[channel.sender].common, flow.issues.time[issue]
        sender = self.times.names[channel.sender]
        if len(issue) > len(sends):
            place = self.times.issue_place(channel.receiver, int(issue[len(sends)]))
            port = self.times.writers[channel.sender].plan.links[channel.out].name
            count = counted(int(np.count_nonzero(sends >= self.zero)), "vector")
            text = f"{place}: RECEIVE of link {self.times.port(channel)} has none to take: chip {sender} sends {count}"
            return [f"{text} on link {port}; add a SEND, or take the RECEIVE away"]
        sends = sends[: len(issue)]
        ready = common(sends) + ready_after(channel, flow.config) + self.times.margin(channel, sends, time)
        early = np.flatnonzero((arrived.common(time) < ready) & ~self._polled(channel, time))
        if not len(early):
            return []
        row = int(early[0])
        works, need = self._works(channel, int(sends[row]), int(time[row]))
        return [
            f"{self.times.issue_place(channel.receiver, int(issue[row]))}: RECEIVE of link {self.times.port(channel)}"
            f" is {counted(works - int(time[row]), 'cycle')} too early for the vector that chip {sender} sends in cycle"
            f" {int(sends[row]) - self.zero}, with a margin of {need}; works from cycle {works - self.zero}"
        ]

    def _works(self, channel: Channel, sent: int, early: int) -> tuple[int, int]:
        """The first cycle from an early one on in which a RECEIVE has its vector for sure, and the margin there."""
        common, at = self.arrived[channel.receiver].common, ints([sent])
        flight = ready_after(channel, self.flows[channel.sender].config)
        ready = self.arrived[channel.sender].common(at) + flight
        works = _first(early, lambda cycle: common(cycle) >= ready + self.times.margin(channel, at, cycle))
        return works, int(self.times.margin(channel, at, ints([works]))[0])

    def _polled(self, channel: Channel, time: Ints) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        """Which RECEIVEs of a channel take a vector that a POLL has seen."""
        found = np.zeros(len(time), np.bool_)
        for wait in self.arrived[channel.receiver].waits:
            if wait.link == channel.into:
                number = int(np.count_nonzero(time < wait.cycle))
                found[number : number + 1] = True
        return found

    def _buffer(self, channel: Channel) -> list[str]:
        """The receive buffer never has more vectors than it holds, however early they come."""
        flow, arrived = self.flows[channel.receiver], self.arrived[channel.receiver]
        sends = self.times.sends(channel)
        if not len(sends):
            return []
        taken = arrived.common(flow.issues.time[self.times.receives(channel)])

        def come(sent: Ints) -> Ints:
            nominal = self.arrived[channel.sender].common(sent) + ready_after(channel, flow.config)
            return nominal - self.times.margin(channel, sent, arrived.schedule(nominal))

        held = np.arange(1, len(sends) + 1) - np.searchsorted(taken, come(sends), "left")
        full = np.flatnonzero(held > flow.config.link_buffer)
        if not len(full):
            return []
        number, room = int(full[0]), flow.config.link_buffer
        place = f"{self.system.name}: chip {self.times.names[channel.receiver]}: link {self.times.port(channel)}"
        sender, cycle = self.times.names[channel.sender], int(sends[number]) - self.zero
        text = f"{place}: the vector that chip {sender} sends in cycle {cycle} may find {room} in the receive buffer,"
        text += f" which holds {room} (link_buffer)"
        first = number - room
        if first < len(taken):
            later = _first(int(sends[number]), lambda cycle: come(cycle) > taken[first]) - int(sends[number])
            return [f"{text}; send it {counted(later, 'cycle')} later, in cycle {cycle + later}"]
        return [f"{text}; RECEIVE one before"]


def _first(cycle: int, holds: Callable[[Ints], NDArray[np.bool_]]) -> int:
    """The first cycle from one on for which something holds that does in the end."""
    while True:
        cycles = cycle + np.arange(_LOOK)
        found = np.flatnonzero(holds(cycles))
        if len(found):
            return int(cycles[found[0]])
        cycle += _LOOK
