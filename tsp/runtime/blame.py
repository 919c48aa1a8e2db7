"""Who is to blame: what registers of chips say about chips and links (docs/systems.md)."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from tsp.blame import fault_text
from tsp.flow import Fault
from tsp.flow.channels import Channel
from tsp.flow.faults import KINDS, LINK_UNCORRECTABLE, LINK_UNDERRUN
from tsp.runtime.machine import Alignment, Status
from tsp.system import MOST_OFF, Port, System
from tsp.system_times import Resolved

LINK_OVERRUN, LINK_SILENT, LINK_UNEXPECTED = (
    next(kind for kind, name in KINDS.items() if name == wanted)
    for wanted in ("link_overrun", "link_silent", "link_unexpected")
)
_OF_LINKS = (LINK_UNCORRECTABLE, LINK_UNDERRUN, LINK_OVERRUN, LINK_UNEXPECTED)
_DEAD, _UNSTARTED, _WAITING, _FAULT, _WRONG = range(5)
"""What explains more comes first: a dead chip explains faults of others."""


@dataclasses.dataclass(frozen=True, order=True)
class Complaint:
    """Something that is wrong; of several the least is the cause.

    Attributes:
        rank, cycle: what comes first.
        chip: of the complaint, its number.
        text: what is wrong, as part of a sentence.
        suspects: chips that may be to blame: one, or both ends of ``link``, the sender first.
        link: the ports of the link that may be to blame, the sender's first, or none.
        realign: whether the chips' time may be lost.
    """

    rank: int
    cycle: int
    chip: int
    text: str
    suspects: tuple[str, ...]
    link: tuple[str, ...] = ()
    realign: bool = False


def of_alignment(system: System, found: Alignment) -> list[Complaint]:
    """What is wrong with an alignment, the cause first."""
    names = [chip.name for chip in system.chips]
    wrong = [
        Complaint(_DEAD, 0, number, f"chip {name} does not answer", (name,), realign=True)
        for number, name in enumerate(names)
        if name not in found.answer
    ]
    for number, parent in enumerate(system.parents):
        if parent is not None and names[number] not in found.locked:
            text = f"the HAC of chip {names[number]} does not follow that of chip {names[parent.sender]}"
            wrong.append(_of_channel(system, parent, _WAITING, system.depth[number], text))
    for channel in system.nominal:
        port = _ports(system, channel)[1]
        latency = found.latency.get(port)
        if latency is None:
            wrong.append(_of_channel(system, channel, _FAULT, 0, f"nothing good comes on link {port}"))
        elif abs(round(latency) - channel.latency) > MOST_OFF:
            text = f"the latency of link {port} is {round(latency)}, more than {MOST_OFF} from the nominal"
            wrong.append(_of_channel(system, channel, _FAULT, 0, f"{text} {channel.latency}"))
    return sorted(wrong)


def no_room(system: System, error: str) -> list[Complaint]:
    """What is wrong if programs are illegal only with the latencies that were measured: the link that is farthest from
    its nominal latency."""
    link = max(system.links, key=lambda link: link.off)
    ports = tuple(map(system.port_name, link.ends))
    there, back = link.measured
    text = f"link {' - '.join(ports)} takes {there} and {back} cycles, there and back, for which there is no room"
    ends = tuple(system.chips[port.chip].name for port in link.ends)
    return [Complaint(_FAULT, 0, link.ends[1].chip, f"{text}: {error}", ends, ports, realign=True)]


def of_run(resolved: Resolved, found: Mapping[str, Status | None]) -> list[Complaint]:
    """What is wrong with a run, the cause first: only without a complaint its result counts."""
    wrong = []
    for number, chip in enumerate(resolved.system.chips):
        status = found.get(chip.name)
        if status is None:
            wrong.append(Complaint(_DEAD, 0, number, f"chip {chip.name} does not answer", (chip.name,), realign=True))
            continue
        if status.fault is not None:
            wrong.append(_of_fault(resolved, number, status.fault))
        if not status.done:
            wrong.append(_not_done(resolved.system, number))
        elif status.fault is None and status.cycles != resolved.flows[number].cycles:
            text = f"chip {chip.name} took {status.cycles} cycles, not {resolved.flows[number].cycles} as predicted"
            wrong.append(Complaint(_WRONG, 0, number, text, (chip.name,), realign=True))
    return sorted(wrong)


def _not_done(system: System, number: int) -> Complaint:
    name, parent = system.chips[number].name, system.parents[number]
    text = f"chip {name} is not done"
    if parent is None:
        return Complaint(_WAITING, system.depth[number], number, text, (name,))
    text += f", as if no start came on link {_ports(system, parent)[1]}"
    return dataclasses.replace(_of_channel(system, parent, _WAITING, system.depth[number], text), realign=False)


def _of_fault(resolved: Resolved, number: int, fault: Fault) -> Complaint:
    system, flow = resolved.system, resolved.flows[number]
    chip = system.chips[number]
    text = f"chip {chip.name}: {fault_text(chip.program, flow, fault)}"
    realign = fault.kind not in _OF_LINKS
    if fault.kind == LINK_UNEXPECTED:
        return Complaint(_UNSTARTED, fault.cycle, number, f"{text}: it was started late", (chip.name,))
    channel = _channel_of(resolved, number, fault)
    if channel is None:
        return Complaint(_FAULT, fault.cycle, number, text, (chip.name,), realign=realign)
    sender = _ports(system, channel)[0]
    text += f", of what comes from {sender}"
    return dataclasses.replace(_of_channel(system, channel, _FAULT, fault.cycle, text), realign=realign)


def _channel_of(resolved: Resolved, number: int, fault: Fault) -> Channel | None:
    """The channel that a fault is about, or None if it is about the chip only."""
    if fault.kind == LINK_SILENT:
        return resolved.system.parents[number]
    if fault.kind not in (LINK_UNCORRECTABLE, LINK_UNDERRUN):
        return None
    flow = resolved.flows[number]
    issue = flow.receives.issue
    row = np.flatnonzero((flow.issues.time[issue] == fault.cycle) & (flow.issues.queue[issue] == fault.queue))
    into = {(channel.receiver, channel.into): channel for channel in resolved.system.channels}
    return into.get((number, int(flow.receives.link[row[0]]))) if len(row) else None


def _of_channel(system: System, channel: Channel, rank: int, cycle: int, text: str) -> Complaint:
    ends = tuple(system.chips[chip].name for chip in (channel.sender, channel.receiver))
    return Complaint(rank, cycle, channel.receiver, text, ends, _ports(system, channel), realign=True)


def _ports(system: System, channel: Channel) -> tuple[str, str]:
    """Names of what it leaves and of what it comes to."""
    sender, receiver = Port(channel.sender, channel.out), Port(channel.receiver, channel.into)
    return system.port_name(sender), system.port_name(receiver)


def suspects(attempts: Sequence[Sequence[Complaint]]) -> list[str]:
    """Chips in the order in which they are to be replaced, after attempts that all failed.

    The cause of each attempt counts: twice for a chip that it is about, once for both ends of a link. Of chips with as
    many counts the one that more complaints of all kinds are about comes first, then the sender.
    """
    causes: Counter[str] = Counter()
    every: Counter[str] = Counter()
    for complaints in attempts:
        for number, complaint in enumerate(complaints):
            weight = 2 if len(complaint.suspects) == 1 else 1
            for chip in complaint.suspects:
                every[chip] += weight
                causes[chip] += weight if number == 0 else 0
    return sorted(+causes, key=lambda chip: (-causes[chip], -every[chip]))


def suspected_link(attempts: Sequence[Sequence[Complaint]]) -> tuple[str, ...]:
    """The ports of the link that was the cause of most failed attempts, and of as many the last one's; none if that was
    no link."""
    causes = [frozenset(complaints[0].link) for complaints in attempts]
    most = max(reversed(causes), key=causes.count)
    return tuple(sorted(most))
