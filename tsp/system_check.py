"""The checker of systems: what a program does wrong only together with those of other chips (docs/links.md, section 3).

Times in messages are schedule time; ``zero`` is that in which cycle 0 of the chips' own programs is, behind the
preambles of :mod:`tsp.start`, and messages count from there.
"""

import dataclasses

import numpy as np

from tsp.checker import check
from tsp.checker.report import Writer
from tsp.dispatch import Control
from tsp.errors import InputError, counted
from tsp.flow import Flow, analyse
from tsp.flow.channels import Arrivals, Channel, arrivals, ready_after
from tsp.flow.fetch import expand_program
from tsp.flow.issues import Ints
from tsp.start import started
from tsp.system import System


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


@dataclasses.dataclass(frozen=True)
class Resolved:
    """A system whose chips' programs begin with their preambles, and what they do."""

    system: System
    zero: int
    flows: list[Flow]
    arrived: list[Arrivals]


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
        self.system, self.zero = resolved.system, resolved.zero
        self.flows, self.arrived = resolved.flows, resolved.arrived
        self.writers = [Writer(chip.config, chip.program.source) for chip in self.system.chips]
        self.farthest = max((self.system.apart(self.system.root, chip) for chip in range(len(self.flows))), default=0)
        self.resyncs = [self._resyncs(flow) for flow in self.flows]

    def problems(self) -> list[str]:
        found = self.before_receives()
        if not found:
            for channel in self.system.channels:
                found += self.receives(channel)
                found += self._buffer(channel)
        return found

    def before_receives(self) -> list[str]:
        """What must be right before cycles of several chips can be compared."""
        return [*self._starts(), *self._runtime_deskews(), *self._loose()]

    def _resyncs(self, flow: Flow) -> list[Control]:
        """RUNTIME_DESKEWs by time, one a cycle."""
        found = {c.cycle: c for c in flow.unrolled.controls if c.mnemonic == "RUNTIME_DESKEW"}
        return [found[cycle] for cycle in sorted(found)]

    def _place(self, chip: int, queue: int, index: int, cycle: int) -> str:
        where = self.writers[chip].where(queue, index)
        return f"{self.system.name}: chip {self.system.chips[chip].name}: {where}: cycle {cycle - self.zero}"

    def _issue_place(self, chip: int, issue: int) -> str:
        burst = self.flows[chip].issues.bursts[int(self.flows[chip].issues.burst[issue])]
        return self._place(chip, burst.queue, burst.index, int(self.flows[chip].issues.time[issue]))

    def _starts(self) -> list[str]:
        """All chips' schedule time must be common behind their last DESKEW or POLL."""
        root, names = self.arrived[self.system.root], [chip.name for chip in self.system.chips]
        rule = "its preamble must take as many cycles of schedule time and end in the same epoch, such as that of"
        rule += " preamble = true"
        if self.system.preamble:
            rule = "where a program waits once more, those of all other chips DESKEW or POLL in the same cycle"
        found = []
        for chip, arrived in enumerate(self.arrived):
            if len(self.system.chips) > 1 and not len(arrived.released) and len(self.flows[chip].issues):
                found.append(
                    f"{self.system.name}: chip {names[chip]}: nothing makes its schedule time that of the others; begin"
                    " with DESKEW or POLL, or leave the start to the system (preamble = true)"
                )
            elif int(arrived.offset[-1]) != int(root.offset[-1]):
                late = int(arrived.offset[-1] - root.offset[-1])
                found.append(
                    f"{self.system.name}: chip {names[chip]}: behind its last DESKEW or POLL it is {abs(late)} cycles"
                    f" {'behind' if late > 0 else 'before'} chip {names[self.system.root]}; {rule}"
                )
        return found

    def _runtime_deskews(self) -> list[str]:
        """All chips resynchronise together, and wait long enough."""
        found, root = [], self.system.root
        names = [chip.name for chip in self.system.chips]
        for chip, mine in enumerate(self.resyncs):
            theirs = self.resyncs[root]
            at, want = [(c.cycle, c.t) for c in mine], [(c.cycle, c.t) for c in theirs]
            if at != want:
                differ = (n for n, (a, b) in enumerate(zip(at, want, strict=False)) if a != b)
                first = next(differ, min(len(at), len(want)))
                own = mine[first] if first < len(mine) else None
                other = theirs[first] if first < len(theirs) else None
                says = "none" if own is None else f"RUNTIME_DESKEW {own.t} in cycle {own.cycle - self.zero}"
                needs = "none" if other is None else f"RUNTIME_DESKEW {other.t} in cycle {other.cycle - self.zero}"
                found.append(
                    f"{self.system.name}: chip {names[chip]}: has {says} where chip {names[root]} has {needs}; all"
                    " chips dispatch the same one in the same cycle"
                )
        if found:
            return found
        before = self._zero_of(root)
        for control in self.resyncs[root]:
            drift = self.system.drift(control.cycle - before)
            least = drift + self.farthest + 2
            if control.t < least:
                place = self._place(root, control.queue, control.index, control.cycle)
                found.append(
                    f"{place}: RUNTIME_DESKEW {control.t} may be too short: in {control.cycle - before} cycles clocks"
                    f" come {counted(drift, 'cycle')} apart, and HACs {self.farthest}; t must be at least {least}"
                )
            before = control.cycle
        return found

    def _loose(self) -> list[str]:
        """Every SEND and RECEIVE is on a link that is joined to another; the first that is not, of each link."""
        joined = {(channel.sender, channel.out) for channel in self.system.channels}
        found = []
        for chip, flow in enumerate(self.flows):
            ports = self.writers[chip].plan.links
            known = [port.name for port in ports if (chip, port.index) in joined]
            for what, rows in (("SEND on", flow.sends), ("RECEIVE of", flow.receives)):
                links, first = np.unique(rows.link, return_index=True)
                for link, row in zip(links.tolist(), first.tolist(), strict=True):
                    if (chip, link) not in joined:
                        place, name = self._issue_place(chip, int(rows.issue[row])), self.system.chips[chip].name
                        close = f"chip {name} has {', '.join(known)}" if known else f"chip {name} has no links"
                        text = f"{what} link {ports[link].name}, which is not connected"
                        found.append(f"{place}: {text}; give {name}.{ports[link].name} a [[link]]; {close}")
        return found

    def _zero_of(self, chip: int) -> int:
        """The schedule time from which on clocks drift: of the last DESKEW's release."""
        released = self.arrived[chip].released
        return int(released[-1]) if len(released) else 0

    def margin(self, channel: Channel, cycle: Ints) -> Ints:
        """H for RECEIVEs dispatched in cycles of schedule time behind the start."""
        since = np.asarray([self._zero_of(channel.receiver), *(c.cycle for c in self.resyncs[channel.receiver])])
        last = since[np.maximum(np.searchsorted(since, cycle, "right") - 1, 0)]
        return self.system.margin(channel, np.maximum(cycle - last, 0))

    def receives(self, channel: Channel) -> list[str]:
        """Every RECEIVE has its vector, with the margin that clocks and jitter ask for."""
        flow, arrived = self.flows[channel.receiver], self.arrived[channel.receiver]
        rows = np.flatnonzero((flow.receives.link == channel.into) & flow.receives.takes)
        sends = self._sent(channel)
        issue = flow.receives.issue[rows]
        time = flow.issues.time[issue]
        if len(rows) > len(sends):
            place = self._issue_place(channel.receiver, int(issue[len(sends)]))
            sender = self.system.chips[channel.sender].name
            port = self.writers[channel.sender].plan.links[channel.out].name
            begun = self.arrived[channel.sender].common(np.asarray([self.zero]))
            count = counted(int(np.count_nonzero(sends >= begun)), "vector")
            text = f"{place}: RECEIVE of link {self._port(channel)} has none to take: chip {sender} sends {count} on"
            return [f"{text} link {port}; add a SEND, or take the RECEIVE away"]
        ready = sends[: len(rows)] + ready_after(channel, flow.config) + self.margin(channel, time)
        early = np.flatnonzero((arrived.common(time) < ready) & ~self._polled(channel, time))
        if not len(early):
            return []
        row = int(early[0])
        works = int(time[row] + ready[row] - arrived.common(time[row : row + 1])[0])
        need = int(self.margin(channel, time[row : row + 1])[0])
        sender, sent = self.system.chips[channel.sender].name, self._sent_in(channel, row) - self.zero
        return [
            f"{self._issue_place(channel.receiver, int(issue[row]))}: RECEIVE of link {self._port(channel)} is"
            f" {counted(works - int(time[row]), 'cycle')} too early for the vector that chip {sender} sends in cycle"
            f" {sent}, with a margin of {need}; works from cycle {works - self.zero}"
        ]

    def _sent_in(self, channel: Channel, row: int) -> int:
        flow = self.flows[channel.sender]
        rows = np.flatnonzero((flow.sends.link == channel.out) & flow.sends.goes)
        return int(flow.issues.time[flow.sends.issue[rows[row]]])

    def _port(self, channel: Channel) -> str:
        return self.writers[channel.receiver].plan.links[channel.into].name

    def _sent(self, channel: Channel) -> Ints:
        """Common times of the SENDs of a channel."""
        flow = self.flows[channel.sender]
        rows = np.flatnonzero((flow.sends.link == channel.out) & flow.sends.goes)
        return self.arrived[channel.sender].common(flow.issues.time[flow.sends.issue[rows]])

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
        sends = self._sent(channel)
        if not len(sends):
            return []
        rows = np.flatnonzero((flow.receives.link == channel.into) & flow.receives.takes)
        taken = arrived.common(flow.issues.time[flow.receives.issue[rows]])
        latest = taken[np.minimum(np.arange(len(sends)), len(taken) - 1)] if len(taken) else sends
        come = sends + ready_after(channel, flow.config) - self.margin(channel, latest - int(arrived.offset[-1]))
        held = np.arange(1, len(sends) + 1) - np.searchsorted(taken, come, "left")
        full = np.flatnonzero(held > flow.config.link_buffer)
        if not len(full):
            return []
        number, room = int(full[0]), flow.config.link_buffer
        place = f"{self.system.name}: chip {self.system.chips[channel.receiver].name}: link {self._port(channel)}"
        sender, cycle = self.system.chips[channel.sender].name, self._sent_in(channel, number) - self.zero
        text = f"{place}: the vector that chip {sender} sends in cycle {cycle} may find {room} in the receive buffer,"
        text += f" which holds {room} (link_buffer)"
        first = number - room
        if first < len(taken):
            later = int(taken[first] - come[number]) + 1
            return [f"{text}; send it {counted(later, 'cycle')} later, in cycle {cycle + later}"]
        return [f"{text}; RECEIVE one before"]
