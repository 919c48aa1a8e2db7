"""Whether a schedule is one: found from its packets and slots alone, not as the scheduler made them."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from golden.network.schedule import Schedule
from golden.network.topology import PORTS

Table = NDArray[np.int64]


def mistakes(schedule: Schedule) -> list[str]:
    """A sentence for every rule that is broken, with the first place where it is: no link carries two packets in a
    slot; every packet goes over cables that are there, from its source to its destination, in slots that its arrival
    allows; the packets of a tensor hold each of its bytes once."""
    packet, link, slot = schedule.table[np.lexsort(schedule.table[:, [2, 0]].T)].T
    topology = schedule.topology
    unknown = (packet < 0) | (packet >= len(schedule.packets))
    if unknown.any():
        return [f"packet {packet[unknown][0]} is placed, but there are {len(schedule.packets)} packets"]
    missing = (link < 0) | (link >= topology.ends.size)
    missing[~missing] = topology.ends.ravel()[link[~missing]] < 0
    if missing.any():
        return [f"packet {packet[missing][0]}: there is no cable at {_name(int(link[missing][0]))}"]
    return [*_doubled(packet, link, slot), *_broken(schedule, packet, link, slot), *_torn(schedule)]


def _doubled(packet: Table, link: Table, slot: Table) -> Iterator[str]:
    order = np.lexsort((packet, slot, link))
    same = (np.diff(link[order]) == 0) & (np.diff(slot[order]) == 0)
    if same.any():
        at = order[np.flatnonzero(same)[0] + np.arange(2)]
        first, second = packet[at]
        yield f"packets {first} and {second} are both on {_name(int(link[at[0]]))} in slot {slot[at[0]]}"


def _broken(schedule: Schedule, packet: Table, link: Table, slot: Table) -> Iterator[str]:
    """Routes that are none. What is placed comes by packet, and in the order of its slots."""
    unplaced = np.setdiff1d(np.arange(len(schedule.packets)), packet)
    if unplaced.size:
        yield f"packet {unplaced[0]} is on no link"
    if not packet.size:
        return
    at, to = link // PORTS, schedule.topology.peers.ravel()[link]
    ways = np.array([schedule.transfers[each.transfer] for each in schedule.packets], np.int64)[packet]
    source, destination, _, start = ways.T
    goes_on = np.diff(packet) == 0
    first, last = np.append(True, ~goes_on), np.append(~goes_on, True)
    for wrong, said in [
        (first & (at != source), "begins at chip {at}, its tensor at chip {source}"),
        (last & (to != destination), "ends at chip {to}, its tensor goes to chip {destination}"),
        (slot < start, "leaves in slot {slot}, its tensor in slot {start} or later"),
        (np.append(False, goes_on & (at[1:] != to[:-1])), "leaves chip {at}, where it did not arrive"),
        (
            np.append(False, goes_on & (np.diff(slot) < schedule.timing.hop)),
            "leaves chip {at} in slot {slot}, fewer than {hop} after the slot it came in",
        ),
    ]:
        if wrong.any():
            n = int(np.flatnonzero(wrong)[0])
            facts = {
                "at": at[n], "to": to[n], "slot": slot[n], "start": start[n], "hop": schedule.timing.hop,
                "source": source[n], "destination": destination[n],
            }  # fmt: skip
            yield f"packet {packet[n]} {said.format(**facts)}"


def _torn(schedule: Schedule) -> Iterator[str]:
    held: list[list[tuple[int, int]]] = [[] for _ in schedule.transfers]
    for number, packet in enumerate(schedule.packets):
        held[packet.transfer].append((packet.offset, packet.size))
        if not 0 < packet.size <= schedule.timing.payload:
            yield f"packet {number} holds {packet.size} bytes, must hold 1…{schedule.timing.payload}"
    for number, (transfer, parts) in enumerate(zip(schedule.transfers, held, strict=True)):
        reached = 0
        for offset, size in sorted(parts):
            if offset != reached:
                break
            reached += size
        held_in_all = sum(size for _, size in parts)
        if not reached == held_in_all == transfer.size:
            yield (
                f"transfer {number}: its packets hold {held_in_all} bytes, the first {reached} in their order, "
                f"must hold each of {transfer.size} once"
            )


def _name(link: int) -> str:
    return f"port {link % PORTS} of chip {link // PORTS}"
