"""The figures of a system of chips, for tables and JSON."""

from typing import Any

import numpy as np

from golden.network import hops, load
from golden.network.check import mistakes
from golden.network.schedule import Schedule
from golden.network.topology import PORTS, Topology
from tsp.errors import EXIT_DIFFERS, InputError

MOST_SPREAD = 1000
"""Chips whose shortest ways are all followed: a table of all pairs, some times over."""


class Wrong(InputError):
    """The checker found a mistake in what the scheduler made. No fault of the input."""

    exit_code = EXIT_DIFFERS


def size(topology: Topology) -> dict[str, Any]:
    """Chips, nodes, racks (0 if there are none) and cables."""
    racks = topology.islands if topology.islands > 1 else 0
    nodes = topology.islands * topology.nodes
    return {"chips": topology.chips, "nodes": nodes, "racks": racks, "cables": len(topology.cables)}


def hop_counts(topology: Topology) -> dict[str, Any]:
    """Ordered pairs by the links between them, from 0 on."""
    canonical, nodes = hops.canonical(topology)
    found = {"shortest": hops.shortest(topology), "canonical": canonical, "nodes": nodes}
    return size(topology) | {name: counts.tolist() for name, counts in found.items()}


def bandwidths(topology: Topology) -> dict[str, Any]:
    """Bytes a second that each chip can send to all others together, and pairs of chips on the fullest link of each
    kind; ``shortest`` is None for more than MOST_SPREAD chips."""
    spread = load.shortest(topology) if topology.chips <= MOST_SPREAD else None
    return size(topology) | {
        "link": load.LINK_BYTES,
        "canonical": _loaded(topology, load.canonical(topology)),
        "shortest": _loaded(topology, spread) if spread is not None else None,
    }


def _loaded(topology: Topology, loads: load.Loads) -> dict[str, Any]:
    outside = np.zeros(topology.ends.size, bool)
    outside[topology.island_links[topology.island_links >= 0]] = True
    local = topology.peers // 8 == np.arange(topology.chips)[:, None] // 8
    kinds = {"local": local.ravel(), "node": ~local.ravel() & ~outside, "rack": outside}
    fullest = {kind: float(loads[where].max(initial=0)) for kind, where in kinds.items()}
    return {"bytes_per_second": load.bandwidth(topology, loads), "fullest": fullest}


def routed(schedule: Schedule) -> dict[str, Any]:
    """What a schedule takes and uses. Raises Wrong if the checker finds a mistake in it."""
    if found := mistakes(schedule):
        raise Wrong(f"the scheduler made a wrong schedule, please report it: {found[0]}")
    links, times = np.unique(schedule.table[:, 1], return_counts=True)
    return size(schedule.topology) | {
        "transfers": len(schedule.transfers),
        "bytes": sum(transfer.size for transfer in schedule.transfers),
        "packets": len(schedule.packets),
        "packets_by_hops": np.bincount(schedule.hops).tolist(),
        "links": int(links.size),
        "fullest": int(times.max(initial=0)),
        "slots": schedule.slots,
        "cycles": schedule.cycles,
        "hop_slots": schedule.timing.hop,
        "slot_cycles": schedule.timing.slot,
    }


def placed(schedule: Schedule) -> dict[str, Any]:
    """Every packet, and its chip, port and slot on each link of its route."""
    rows = [(packet, *divmod(link, PORTS), slot) for packet, link, slot in schedule.placed]
    return {
        "packets": [packet._asdict() for packet in schedule.packets],
        "transfers": [transfer._asdict() for transfer in schedule.transfers],
        "slots": [dict(zip(("packet", "chip", "port", "slot"), map(int, row), strict=True)) for row in rows],
    }
