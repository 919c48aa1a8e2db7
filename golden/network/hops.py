"""How many links lie between each two chips: on shortest ways, and on canonical routes.

A canonical route takes the direct cable between two nodes of an island, and between islands one that joins them: local,
node, local, or local, node, local, island, local, node, local, each local step only where it is needed. That is one
global hop, and a way that needs no search.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from golden.network.topology import CHIPS, PORTS, Topology

Counts = NDArray[np.int64]


def shortest(topology: Topology) -> Counts:
    """Ordered pairs of chips by the least number of links between them, from 0 on, by breadth-first search from all
    chips at once. Chips that cannot be reached are in no count."""
    chips = topology.chips
    # A row of bits a chip: those that reach it. What its neighbours had in the last step it has in this one.
    reached = np.zeros((chips, -(-chips // 64)), np.uint64)
    every = np.arange(chips)
    reached[every, every // 64] = np.uint64(1) << (every % 64).astype(np.uint64)
    neighbours = np.where(topology.peers < 0, every[:, None], topology.peers)
    within = [chips]
    while True:
        wider = reached.copy()
        for port in range(PORTS):
            wider |= reached[neighbours[:, port]]
        pairs = int(np.bitwise_count(wider).sum(dtype=np.int64))
        if pairs == within[-1]:
            return np.diff(within, prepend=0)
        within.append(pairs)
        reached = wider


def from_chip(topology: Topology, chip: int) -> NDArray[np.int32]:
    """[chips]: the least number of links from one chip, -1 where there is no way."""
    found = np.full(topology.chips, -1, np.int32)
    found[chip] = 0
    edge = np.array([chip])
    while edge.size:
        steps = found[edge[0]] + 1
        reached = np.unique(topology.peers[edge])
        edge = reached[(reached >= 0) & (found[reached] < 0)]
        found[edge] = steps
    return found


def canonical(topology: Topology) -> tuple[Counts, Counts]:
    """Ordered pairs by the number of links of their shortest canonical route, from 0 on: of chips, and of different
    nodes, whose route begins and ends at the chips of its nodes that suit it best."""
    chips, nodes = np.zeros(8, np.int64), np.zeros(8, np.int64)
    for found in canonical_rows(topology):
        chips += np.bincount(found.ravel(), minlength=8)
        best = found.reshape(topology.nodes, CHIPS, -1, CHIPS).min((1, 3))
        nodes += np.bincount(best.ravel(), minlength=8)
    nodes[0] = 0
    return np.trim_zeros(chips, "b"), np.trim_zeros(nodes, "b")


def canonical_rows(topology: Topology) -> Iterator[NDArray[np.uint8]]:
    """For each island [its chips, all chips]: links of the shortest canonical route."""
    inside = _inside(topology)
    size = topology.island_chips
    # [island, chip, island, copy]: from each chip to the cable that leaves for the other island.
    doors = topology.island_links // PORTS % size
    out = inside[:, doors].swapaxes(0, 1)
    for island in range(topology.islands):
        rows = np.empty((size, topology.islands, size), np.uint8)
        for other in range(topology.islands):
            if other == island:
                rows[:, other] = inside
            else:
                legs = out[island, :, None, other] + 1 + out[other, None, :, island]
                rows[:, other] = legs.min(-1)
        yield rows.reshape(size, -1)


def _inside(topology: Topology) -> NDArray[np.uint8]:
    """[chips, chips] of an island: links of the shortest canonical route."""
    size = topology.island_chips
    chip = np.arange(size)
    found: NDArray[np.uint8] = (chip[:, None] != chip).astype(np.uint8)
    here = topology.node_links // PORTS
    there = here.swapaxes(0, 1)
    for a, b in np.argwhere(~np.eye(topology.nodes, dtype=bool)):
        mine, other = chip[CHIPS * a : CHIPS * (a + 1)], chip[CHIPS * b : CHIPS * (b + 1)]
        first = (mine[:, None] != here[a, b]).astype(np.uint8)
        last = (other[:, None] != there[a, b]).astype(np.uint8)
        found[np.ix_(mine, other)] = (first[:, None] + 1 + last[None]).min(-1)
    return found
