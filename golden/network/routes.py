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
    levels = ((1, CHIPS), (CHIPS, topology.island_chips), (topology.island_chips, topology.chips))
    size, of = next((size, of) for size, of in levels if source // of == destination // of)
    first = source - source % of
    ends = (source // size, destination // size)
    found: list[Route] = []
    for other in (chip for chip in range(first, first + of, size) if chip // size not in ends):
        for link, back in _cables(topology, source, other):
            begin = _canonical(topology, source, link // PORTS)
            end = _canonical(topology, back // PORTS, destination)
            turn = len(found)  # so that all cables get their share
            found.append((*begin[turn % len(begin)], link, *end[turn % len(end)]))
    return sorted(found, key=len)


def _canonical(topology: Topology, source: int, destination: int) -> list[Route]:
    if source == destination:
        return [()]
    found = [
        (*begin, link, *end)
        for link, back in _cables(topology, source, destination)
        for begin in _canonical(topology, source, link // PORTS)
        for end in _canonical(topology, back // PORTS, destination)
    ]
    return sorted(found, key=len)


def _cables(topology: Topology, source: int, other: int) -> list[tuple[int, int]]:
    """The cables, as their link and the link back, that join two chips, or else their nodes, or else their islands."""
    if source // CHIPS == other // CHIPS:
        first, a, b = source // CHIPS * CHIPS, source % CHIPS, other % CHIPS
        links = topology.chip_links[..., None]
    else:
        size = topology.island_chips
        first, a, b = source // size * size, source % size // CHIPS, other % size // CHIPS
        links = topology.node_links
        if source // size != other // size:
            first, a, b, links = 0, source // size, other // size, topology.island_links
    there, back = (PORTS * first + way for way in (links[a, b], links[b, a]))
    return list(zip(there.tolist(), back.tolist(), strict=True))
