"""A system of golden chips of which some fail: what the runtime sees of each failure is what docs/links.md says."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from golden.machine import Job, Result, run_all
from tsp.dump import Word
from tsp.flow import NO_QUEUE, Fault
from tsp.flow.channels import NEVER, Channel, ready_after
from tsp.flow.faults import KINDS
from tsp.program import Program
from tsp.runtime.failures import Failure
from tsp.runtime.machine import Alignment, Status
from tsp.system import Port, System

SILENT_EPOCHS = 16
"""Epochs without a good HAC after which a chip says that its parent is silent."""
_KIND = {name: kind for kind, name in KINDS.items()}


def _ports(system: System) -> dict[str, tuple[Channel, str]]:
    """Port → the channel into it, as long as it was measured, in numbers of the system, and the port that it comes
    from."""
    found = {}
    for channel in system.channels:
        sender, receiver = Port(channel.sender, channel.out), Port(channel.receiver, channel.into)
        found[system.port_name(receiver)] = channel, system.port_name(sender)
    return found


class FailingMachine:
    """A :class:`tsp.runtime.machine.Machine` of golden chips: those of ``system``, spares too, with failures.

    ``attempt`` counts from 1, and calls of :meth:`flush`; ``started`` are the chips as they were started.
    """

    def __init__(self, system: System, failures: Sequence[Failure] = ()):
        self.failures, self.attempt = tuple(failures), 1
        self._used = system
        self._loaded: dict[str, Program] = {}
        self.started: list[str] = []
        self._results: dict[str, Result] = {}

    def align(self, system: System) -> Alignment:
        """See :class:`tsp.runtime.machine.Machine`. Whatever begins behind cycle 0 comes after the alignment."""
        self._used = system
        names = [chip.name for chip in system.chips]
        answer = frozenset(name for name in names if self._since("chip", name) > 0)
        channels = self._channels()
        good = {port: self._hacs(port, channel) > 0 for port, channel in channels.items()}
        locked = {system.root} if names[system.root] in answer else set()
        into = {(channel.receiver, channel.into): port for port, channel in channels.items()}
        for chip in sorted(range(len(names)), key=lambda chip: system.depth[chip]):
            parent = system.parents[chip]
            if parent is not None and parent.sender in locked and good[into[chip, parent.into]]:
                locked.add(chip)
        ends = {port: {channel.sender, channel.receiver} for port, channel in channels.items()}
        latency = {p: float(c.latency) if good[p] and ends[p] <= locked else None for p, c in channels.items()}
        return Alignment(answer, frozenset(names[chip] for chip in locked), latency)

    def load(self, chip: str, program: Program) -> None:
        """See :class:`tsp.runtime.machine.Machine`."""
        self._loaded[chip] = program

    def start(self, chip: str) -> None:
        """See :class:`tsp.runtime.machine.Machine`."""
        self.started.append(chip)

    def wait(self, cycles: int) -> dict[str, Status | None]:
        """See :class:`tsp.runtime.machine.Machine`."""
        system = self._used
        jobs = []
        for chip in system.chips:
            program = self._loaded[chip.name] if chip.name in self.started else Program(chip.config)
            jobs.append(Job(program.queues, chip.config, program.memory))
        channels = self._channels()
        bad = {(channels[f.place].receiver, channels[f.place].into, f.at) for f in self._active("bits", channels)}
        numbers = {chip.name: number for number, chip in enumerate(system.chips)}
        late = {numbers[f.place]: f.at for f in self._active("late", numbers)}
        results = run_all(jobs, [*channels.values()], bad=bad, trace=False, late=late, endless=True)
        self._results = {chip.name: result for chip, result in zip(system.chips, results, strict=True)}
        return {
            chip.name: None if self._since("chip", chip.name) < cycles else self._status(number, late, cycles)
            for number, chip in enumerate(system.chips)
        }

    def words(self, chip: str, words: Iterable[Word]) -> Mapping[Word, NDArray[np.uint8]]:
        """See :class:`tsp.runtime.machine.Machine`."""
        result = self._results[chip]
        there = {(place, int(a)) for place, image in result.memory.items() for a in image.addresses}
        return {word: result.words(word[0], [word[1]])[0] for word in words if word in there}

    def flush(self) -> None:
        """See :class:`tsp.runtime.machine.Machine`."""
        self.attempt += 1
        self.started, self._loaded, self._results = [], {}, {}

    def _active(self, what: str, places: Iterable[str]) -> list[Failure]:
        return [f for f in self.failures if f.what == what and f.active(self.attempt) and f.place in places]

    def _since(self, what: str, *places: str) -> int:
        """The cycle of this attempt from which on something has failed, or NEVER."""
        return min([failure.since(self.attempt) for failure in self._active(what, places)], default=NEVER)

    def _channels(self) -> dict[str, Channel]:
        """Receiving port → its channel as it really is; what a dead chip or link would send does not come."""
        found = {}
        names = [chip.name for chip in self._used.chips]
        for port, (channel, sender) in _ports(self._used).items():
            until = min(self._since("link", port, sender), self._since("chip", names[channel.sender]))
            more = sum(failure.at for failure in self._active("slow", [port]))
            found[port] = dataclasses.replace(channel, latency=channel.latency + more, until=until)
        return found

    def _hacs(self, port: str, channel: Channel) -> int:
        """The cycle from which on no good HAC is sent on a channel; 0 too if its receiver stands still at once."""
        until = min(channel.until, self._since("hac", port))
        return 0 if self._since("chip", self._used.chips[channel.receiver].name) == 0 else until

    def _status(self, number: int, late: Mapping[int, int], limit: int) -> Status:
        """The registers of a chip that answers."""
        result = self._results[self._used.chips[number].name]
        arrived, ends = result.arrived, result.flow.unrolled.ends
        # Of a chip that waits in a POLL for ever nothing is true that comes behind it.
        stuck = np.flatnonzero(arrived.offset[1:] >= NEVER // 2)
        until = int(arrived.released[stuck[0]]) if len(stuck) else NEVER
        end = max([result.cycles, *ends.values()])
        last = int(arrived.common(np.asarray([end]))[0])
        faults = [fault for fault in result.faults if fault.cycle < until]
        faults += self._silent(number, min(last, limit)) + self._unexpected(number, late)
        done = self._used.chips[number].name in self.started and not len(stuck) and last <= limit
        return Status(done, result.cycles, min(faults, default=None))

    def _silent(self, number: int, last: int) -> list[Fault]:
        """The fault of a chip whose parent was silent for too long before the last cycle of common time."""
        parent = self._used.parents[number]
        if parent is None:
            return []
        config = self._used.chips[number].config
        port = self._used.port_name(Port(number, parent.into))
        channel = self._channels()[port]
        cycle = self._hacs(port, channel) + channel.latency + SILENT_EPOCHS * config.hac_period
        if cycle >= last:
            return []
        arrived = self._results[self._used.chips[number].name].arrived
        return [Fault(int(arrived.schedule(np.asarray(cycle))), NO_QUEUE, _KIND["link_silent"])]

    def _unexpected(self, number: int, late: Mapping[int, int]) -> list[Fault]:
        """The fault of a chip that a vector reaches before it is started."""
        chips = self._used.chips
        for channel in self._channels().values():
            if channel.receiver == number and late.get(number):
                other = self._results[chips[channel.sender].name]
                sends = other.flow.sends
                rows = (sends.link == channel.out) & sends.goes
                sent = other.arrived.common(other.flow.issues.time[sends.issue[rows]])
                ready = sent[sent < channel.until] + ready_after(channel, chips[number].config)
                if np.any(ready < late[number]):
                    return [Fault(0, NO_QUEUE, _KIND["link_unexpected"])]
        return []
