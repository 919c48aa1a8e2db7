"""Which port of which chip is cabled to which (D. Abts et al., ISCA 2022).

Published: a node is 8 fully connected chips with 4 more links each, a router of 32 ports; up to 33 nodes are fully
connected by these. Beyond, 9 nodes make a rack, whose nodes share half of their ports, and up to 145 racks are fully
connected by the other half. The wiring inside these rules is ours (docs/network.md).
"""

import dataclasses
from collections.abc import Callable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tsp.errors import InputError, counted

CHIPS = 8
"""Of a node (published, as are those below)."""
LOCAL = CHIPS - 1
"""Links of a chip inside its node."""
GLOBAL = 4
"""Links of a chip out of its node."""
PORTS = LOCAL + GLOBAL
NODE_PORTS = CHIPS * GLOBAL
MOST_NODES = NODE_PORTS + 1
RACK_NODES = 9
RACK_CHIPS = RACK_NODES * CHIPS
RACK_PORTS = RACK_NODES * NODE_PORTS // 2
"""Ports of a rack to other racks; as many lie inside."""
MOST_RACKS = RACK_PORTS + 1

Ints = NDArray[np.int32]


@dataclasses.dataclass(frozen=True, eq=False)
class Topology:
    """Chips and their cables.

    Chip c of node n of rack r is 8·(9·r + n) + c. A link is one direction of a cable, named by the port that sends:
    link = 11·chip + port. Port d - 1 goes to the chip d further in the node (mod 8); ports 7…10 go out of it.

    Attributes:
        islands: parts whose nodes are fully connected, all wired alike: the racks, or 1 if there are none.
        nodes: nodes of an island.
        cables: [n, 2]: both links of each cable.
        chip_links: [8, 8]: links of the first node from chip to chip, -1 on the diagonal.
        node_links: [nodes, nodes, copies]: links of the first island from node to node, -1 on the diagonal.
        island_links: [islands, islands, copies]: links from island to island, -1 on the diagonal.
    """

    islands: int
    nodes: int
    cables: Ints
    chip_links: Ints
    node_links: Ints
    island_links: Ints

    def __post_init__(self) -> None:
        links, times = np.unique(self.cables, return_counts=True)
        if (times > 1).any():
            chip, port = divmod(int(links[times > 1][0]), PORTS)
            raise InputError(f"port {port} of chip {chip} has {times[times > 1][0]} cables, a port takes one")

    @property
    def chips(self) -> int:
        return self.islands * self.island_chips

    @property
    def island_chips(self) -> int:
        return self.nodes * CHIPS

    @cached_property
    def ends(self) -> Ints:
        """[chips, ports]: the link that comes back over the same cable, -1 where there is no cable."""
        found = np.full(self.chips * PORTS, -1, np.int32)
        found[self.cables] = self.cables[:, ::-1]
        return found.reshape(self.chips, PORTS)

    @cached_property
    def peers(self) -> Ints:
        """[chips, ports]: the chip at the other end, -1 where there is no cable."""
        return np.where(self.ends < 0, -1, self.ends // PORTS).astype(np.int32)

    def __str__(self) -> str:
        nodes = counted(self.nodes * self.islands, "node")
        racks = f" in {counted(self.islands, 'rack')}" if self.islands > 1 else ""
        return f"{counted(self.chips, 'chip')}, {nodes}{racks}"


def topology(nodes: int | None = None, racks: int | None = None, seed: int = 1) -> Topology:
    """The system of so many nodes, or of so many racks, which ``seed`` wires.

    Raises InputError for none or both, and for numbers that the ports do not reach.
    """
    if (nodes is None) == (racks is None):
        raise InputError("say how large the system is: either nodes (1…33) or racks (2…145), say nodes 33")
    if racks is None:
        assert nodes is not None
        if nodes > MOST_NODES:
            near = min(max(-(-nodes // RACK_NODES), 2), MOST_RACKS)
            raise InputError(
                f"nodes {nodes}: {NODE_PORTS} ports of a node connect at most {MOST_NODES} nodes directly; nodes "
                f"{MOST_NODES} works, and so does racks {near} ({RACK_NODES * near} nodes)"
            )
        if nodes < 1:
            raise InputError(f"nodes {nodes}: a system has 1…{MOST_NODES} nodes; nodes 1 works")
        return _build(1, nodes, seed)
    if racks < 2:
        raise InputError(f"racks {racks}: a system of racks has 2…{MOST_RACKS}; for one rack's chips, nodes 9 works")
    if racks > MOST_RACKS:
        raise InputError(
            f"racks {racks}: {RACK_PORTS} ports of a rack connect at most {MOST_RACKS} racks; racks {MOST_RACKS} works"
        )
    return _build(racks, RACK_NODES, seed)


def _build(islands: int, nodes: int, seed: int) -> Topology:
    def local(chip: Ints, port: Ints) -> Ints:
        return PORTS * chip + port

    def alone(node: Ints, port: Ints) -> Ints:
        return local(CHIPS * node + port % CHIPS, LOCAL + port // CHIPS)

    def in_rack(node: Ints, port: Ints) -> Ints:
        # The second copy leaves from another chip than the first: 4 further.
        return local(CHIPS * node + (port + 4 * (port // CHIPS)) % CHIPS, LOCAL + port // CHIPS)

    def of_rack(rack: Ints, port: Ints) -> Ints:
        place = np.array([np.random.default_rng([seed, r]).permutation(RACK_PORTS) for r in range(islands)])[rack, port]
        node, turn = place % RACK_NODES, place // RACK_NODES
        return local(RACK_CHIPS * rack + CHIPS * node + turn % CHIPS, LOCAL + 2 + turn // CHIPS)

    chip_links = _complete(CHIPS, LOCAL, local)
    node_links = _complete(nodes, NODE_PORTS // 2, in_rack) if islands > 1 else _complete(nodes, NODE_PORTS, alone)
    island_links = _complete(islands, RACK_PORTS, of_rack)
    cables = [
        _cables(chip_links, CHIPS, islands * nodes),
        _cables(node_links, nodes * CHIPS, islands),
        _cables(island_links, 0, 1),
    ]
    return Topology(islands, nodes, np.concatenate(cables), chip_links[:, :, 0], node_links, island_links)


def _complete(members: int, ports: int, link: Callable[[Ints, Ints], Ints]) -> Ints:
    """[members, members, copies]: the links that connect members of ``ports`` ports fully, as often as ports allow.

    Of each copy, port d - 1 of member a goes to member a + d, so to that one's port members - d - 1.
    """
    a = np.arange(members, dtype=np.int32)[:, None, None]
    offset = (a.reshape(-1, 1) - a) % members
    copy = np.arange(ports // max(members - 1, 1) if members > 1 else 0, dtype=np.int32)
    port = offset - 1 + (members - 1) * copy
    return np.where(offset == 0, -1, link(a, np.maximum(port, 0))).astype(np.int32)


def _cables(links: Ints, chips: int, repeats: int) -> Ints:
    """[n, 2]: both links of each cable, again every so many chips."""
    upper = np.triu_indices(len(links), 1)
    once = np.stack([links[upper], links.swapaxes(0, 1)[upper]], -1).reshape(1, -1, 2)
    again = PORTS * chips * np.arange(repeats, dtype=np.int32).reshape(-1, 1, 1)
    return (once + again).reshape(-1, 2)
