"""The routes that packets may take from chip to chip: canonical ones, and detours by a third."""

from golden.network.topology import CHIPS, PORTS, Topology
from tsp.errors import InputError

Route = tuple[int, ...]
"""Links, in their order."""


def canonical(topology: Topology, source: int, destination: int) -> list[Route]:
    """The canonical routes (see :mod:`golden.network.hops`), one for each choice among cables that lie side by side,
    shortest first. InputError for a chip that is not there, and for two that are one."""
    for chip in (source, destination):
        if not 0 <= chip < topology.chips:
            raise InputError(f"chip {chip}: the system has chips 0…{topology.chips - 1}")
    if source == destination:
        raise InputError(f"chip {source} sends to itself, a route goes to another; {source ^ 1} is in its node")
    return _canonical(topology, source, destination)


def detours(topology: Topology, source: int, destination: int) -> list[Route]:
    """Routes that are longer and share no cable between nodes or islands with the canonical ones: in a node by each
    other of its chips, in an island by each other of its nodes, else by each other island. Shortest first."""
    size = topology.island_chips
    if source // CHIPS == destination // CHIPS:
        node = source - source % CHIPS
        by = [chip for chip in range(node, node + CHIPS) if chip not in (source, destination)]
    elif source // size == destination // size:
        island = source - source % size
        here, there = (chip % size // CHIPS for chip in (source, destination))
        links = [topology.node_links[node, here] for node in range(topology.nodes) if node not in (here, there)]
        by = [island + int(link) // PORTS for copies in links for link in copies]
    else:
        here, there = source // size, destination // size
        links = [topology.island_links[other, here] for other in range(topology.islands) if other not in (here, there)]
        by = [int(copies[0]) // PORTS for copies in links]
    found = []
    for turn, chip in enumerate(by):
        onward = _canonical(topology, chip, destination)
        found.append(_canonical(topology, source, chip)[0] + onward[turn % len(onward)])
    return sorted(found, key=len)


def _canonical(topology: Topology, source: int, destination: int) -> list[Route]:
    size = topology.island_chips
    if source == destination:
        return [()]
    if source // CHIPS == destination // CHIPS:
        node = source // CHIPS
        return [(PORTS * CHIPS * node + int(topology.chip_links[source % CHIPS, destination % CHIPS]),)]
    here, there = source // size, destination // size
    if here == there:
        first = PORTS * size * here
        a, b = source % size // CHIPS, destination % size // CHIPS
        cables = zip(first + topology.node_links[a, b], first + topology.node_links[b, a], strict=True)
    else:
        cables = zip(topology.island_links[here, there], topology.island_links[there, here], strict=True)
    found = []
    for link, back in cables:
        for begin in _canonical(topology, source, int(link) // PORTS):
            for end in _canonical(topology, int(back) // PORTS, destination):
                found.append((*begin, int(link), *end))
    return sorted(found, key=len)
