"""What links carry when every chip sends as much to each other one, and what bandwidth that leaves a chip."""

import numpy as np
from numpy.typing import NDArray

from golden.network.topology import CHIPS, PORTS, Topology

LINK_BYTES = 12.5e9
"""Bytes a second of a link, in each direction (published, D. Abts et al., ISCA 2022)."""

Loads = NDArray[np.float64]


def bandwidth(topology: Topology, loads: Loads) -> float:
    """Bytes a second that each chip sends to all others together, when the fullest link is full.

    ``loads`` are as from :func:`canonical` or :func:`shortest`: a pair of chips is 1.
    """
    return LINK_BYTES * (topology.chips - 1) / float(loads.max())


def canonical(topology: Topology) -> Loads:
    """[links]: pairs of chips whose canonical route takes the link; where cables lie side by side, equal parts of each.

    Copies are taken evenly even where one is a local step longer: cables between nodes are what is scarce.
    """
    islands, size = topology.islands, topology.island_chips
    loads = np.zeros(topology.chips * PORTS)
    # What goes inside each island from chip to chip: its own pairs, what leaves by each door and what comes in by it.
    flow = np.ones((islands, size, size)) - np.eye(size)
    if islands > 1:
        out = topology.island_links[~np.eye(islands, dtype=bool)]
        share = size / out.shape[-1]
        loads[out] += size * share
        doors = share * np.bincount(out.ravel() // PORTS, minlength=topology.chips).reshape(islands, size)
        flow += doors[:, None] + doors[:, :, None]
    _inside(topology, flow, loads.reshape(islands, size * PORTS))
    return loads


def _inside(topology: Topology, flow: Loads, loads: Loads) -> None:
    """Add to the loads [islands, links] what a flow [islands, chip, chip] puts on canonical routes inside islands."""
    nodes = topology.nodes
    parts = flow.reshape(-1, nodes, CHIPS, nodes, CHIPS)
    local = np.einsum("inanb->inab", parts).copy()
    for a, b in np.argwhere(~np.eye(nodes, dtype=bool)):
        here, there = topology.node_links[a, b], topology.node_links[b, a]
        between = parts[:, a, :, b] / len(here)
        loads[:, here] += between.sum((1, 2))[:, None]
        for first, last in zip(here // PORTS % CHIPS, there // PORTS % CHIPS, strict=True):
            local[:, a, :, first] += between.sum(2)
            local[:, b, last] += between.sum(1)
    a, b = np.nonzero(~np.eye(CHIPS, dtype=bool))
    links = topology.chip_links[a, b] + PORTS * CHIPS * np.arange(nodes)[:, None]
    loads[:, links] += local[:, :, a, b]


def shortest(topology: Topology) -> Loads:
    """[links]: pairs of chips whose shortest way takes the link, in equal parts of all the shortest ways of a pair.

    After U. Brandes, A faster algorithm for betweenness centrality, 2001, for all sources at once: memory grows with
    the square of the chips.
    """
    chips = topology.chips
    peers = topology.peers
    distance = np.full((chips, chips), -1)
    np.fill_diagonal(distance, 0)
    ways = np.eye(chips)
    farthest = 0
    while (distance < 0).any():
        new = np.zeros_like(ways)
        for port in range(PORTS):
            cabled = peers[:, port] >= 0
            at = peers[cabled, port]
            new[cabled] += np.where(distance[at] == farthest, ways[at], 0)
        new[distance >= 0] = 0
        farthest += 1
        distance[new > 0] = farthest
        ways += new
    loads = np.zeros((chips, PORTS))
    behind = np.zeros((chips, chips))  # pairs whose way leads on from here, [chip, source]
    for step in range(farthest, 0, -1):
        share = np.where(distance == step, (1 + behind) / ways, 0)
        for port in range(PORTS):
            cabled = peers[:, port] >= 0
            part = np.where(distance[cabled] == step - 1, ways[cabled] * share[peers[cabled, port]], 0)
            loads[cabled, port] += part.sum(1)
            behind[cabled] += part
    return loads.ravel()
