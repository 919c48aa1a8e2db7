"""Topologies of many chips: cables, hops and loads against plain searches, and the published figures."""

import dataclasses
import itertools
from collections import Counter, deque

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from golden.network import hops, load, routes
from golden.network.topology import PORTS, topology
from tsp.errors import InputError

SIZES = st.one_of(
    st.builds(dict, nodes=st.integers(1, 33)), st.builds(dict, racks=st.integers(2, 6), seed=st.integers(0, 99))
)
FEW = settings(max_examples=12, deadline=None, derandomize=True)


def searched(network, source):
    """Steps from a chip by a plain search over the cables' own ends."""
    neighbours = {}
    for a, b in (network.cables // PORTS).tolist():
        neighbours.setdefault(a, []).append(b)
        neighbours.setdefault(b, []).append(a)
    steps, queue = {source: 0}, deque([source])
    while queue:
        chip = queue.popleft()
        for other in neighbours[chip]:
            if other not in steps:
                steps[other] = steps[chip] + 1
                queue.append(other)
    return steps


@FEW
@given(SIZES)
@example({"nodes": 33})
@example({"racks": 145})
def test_every_port_has_at_most_one_cable_and_every_cable_two_directions(size):
    network = topology(**size)
    assert np.unique(network.cables).size == network.cables.size
    link = network.ends.ravel()
    cabled = np.flatnonzero(link >= 0)
    assert cabled.size == network.cables.size and (link[link[cabled]] == cabled).all()
    assert (network.peers.ravel()[cabled] != cabled // PORTS).all()
    local = np.sort(network.peers[:, :7] % 8, axis=1)
    assert all((np.delete(np.arange(8), chip % 8) == local[chip]).all() for chip in range(0, network.chips, 29))


def ends(network):
    """Both ends of each cable out of a node: (chip, port of the chip)."""
    found = np.stack(np.divmod(network.cables, PORTS), -1).tolist()
    return [(tuple(a), tuple(b)) for a, b in found if a[1] >= 7]


@pytest.mark.parametrize("nodes", [2, 9, 20, 33])
def test_nodes_are_wired_as_the_contract_says(nodes):
    expected = set()
    for a, d, copy in itertools.product(range(nodes), range(1, nodes), range(32 // (nodes - 1))):
        here, there = (copy * (nodes - 1) + port for port in (d - 1, nodes - d - 1))
        b = (a + d) % nodes
        expected.add(frozenset({(8 * a + here % 8, 7 + here // 8), (8 * b + there % 8, 7 + there // 8)}))
    assert {frozenset(cable) for cable in ends(topology(nodes=nodes))} == expected


def test_racks_are_wired_as_the_contract_says():
    racks = 4
    inside, between = set(), {}
    for (a, p), (b, q) in ends(topology(racks=racks)):
        if p < 9:
            assert p == q and a // 72 == b // 72
            inside.add((p, a, b) if (b // 8 - a // 8) % 9 < 5 else (p, b, a))
        else:
            between.setdefault(frozenset({a // 72, b // 72}), []).append((a, b))
    for rack, a, d in itertools.product(range(racks), range(9), range(1, 5)):
        here, there = 72 * rack + 8 * a, 72 * rack + 8 * ((a + d) % 9)
        assert (7, here + (d - 1) % 8, there + (8 - d) % 8) in inside
        assert (8, here + (d + 3) % 8, there + (4 - d) % 8) in inside
    assert len(inside) == racks * 9 * 4 * 2
    assert len(between) == 6 and all(len(cables) == 144 // 3 for cables in between.values())


def test_a_seed_wires_the_racks():
    first, again, other = (topology(racks=3, seed=seed).cables for seed in (4, 4, 5))
    assert (first == again).all() and (first != other).any()


@FEW
@given(SIZES, st.data())
def test_every_pair_is_reached_in_as_many_hops_as_a_search_needs(size, data):
    network = topology(**size)
    source = data.draw(st.integers(0, network.chips - 1))
    steps = searched(network, source)
    assert len(steps) == network.chips
    assert hops.from_chip(network, source).tolist() == [steps[chip] for chip in range(network.chips)]
    rows = np.concatenate(list(hops.canonical_rows(network)))
    assert (rows[source] >= hops.from_chip(network, source)).all()
    for chip in data.draw(st.lists(st.integers(0, network.chips - 1).filter(lambda c: c != source), max_size=5)):
        found = routes.canonical(network, source, chip)
        assert rows[source, chip] == len(found[0]) == min(map(len, found))


def test_all_pairs_at_once_are_all_searches():
    network = topology(racks=2)
    counts = Counter(steps for chip in range(network.chips) for steps in searched(network, chip).values())
    assert hops.shortest(network).tolist() == [counts[n] for n in range(len(counts))]


def test_33_nodes_have_diameter_3():
    network = topology(nodes=33)
    chips, nodes = hops.canonical(network)
    for found in (hops.shortest(network), chips):
        assert len(found) == 3 + 1 and found.sum() == 264**2
    assert nodes.tolist() == [0, 33 * 32]
    assert (np.bincount(network.cables.ravel() // PORTS) == PORTS).all()


def test_145_racks_are_7_hops_wide_and_5_from_node_to_node():
    network = topology(racks=145)
    assert network.chips == 10_440 and (network.peers >= 0).all()
    chips, nodes = hops.canonical(network)
    assert len(chips) == 7 + 1 and chips.sum() == 10_440**2
    assert len(nodes) == 5 + 1 and nodes.sum() == 1305 * 1304
    assert hops.shortest(network).sum() == 10_440**2


@pytest.mark.parametrize("size, published", [({"nodes": 33}, 50.6e9), ({"racks": 145}, 14.11e9)])
def test_the_bandwidth_of_a_chip_is_the_published_one(size, published):
    network = topology(**size)
    assert load.bandwidth(network, load.canonical(network)) == pytest.approx(published, rel=0.002)


def test_shortest_ways_leave_less_bandwidth():
    network = topology(nodes=33)
    assert load.bandwidth(network, load.shortest(network)) == pytest.approx(34.6e9, rel=0.002)


@pytest.mark.parametrize("size", [{"nodes": 1}, {"nodes": 4}, {"racks": 2}])
def test_loads_are_those_of_all_routes(size):
    network = topology(**size)
    # One cable between racks, as in the largest system: with more, routes are not all equally often taken.
    network = dataclasses.replace(network, island_links=network.island_links[..., 4:5])
    loads = np.zeros(network.ends.size)
    for source, destination in itertools.permutations(range(network.chips), 2):
        found = routes.canonical(network, source, destination)
        for route in found:
            loads[list(route)] += 1 / len(found)
    assert np.allclose(loads, load.canonical(network))


def test_shortest_loads_carry_every_pair_over_its_distance():
    network = topology(racks=2)
    counts = hops.shortest(network)
    assert load.shortest(network).sum() == pytest.approx((counts * np.arange(len(counts))).sum())


def test_a_port_with_two_cables_is_found():
    network = topology(nodes=3)
    cables = network.cables.copy()
    cables[5, 1] = cables[40, 0]
    chip, port = divmod(int(cables[40, 0]), PORTS)
    with pytest.raises(InputError, match=f"^port {port} of chip {chip} has 2 cables, a port takes one$"):
        dataclasses.replace(network, cables=cables)


@pytest.mark.parametrize(
    "size, said",
    [
        ({}, "say nodes 33"),
        ({"nodes": 2, "racks": 2}, "either nodes"),
        ({"nodes": 0}, "nodes 1 works"),
        ({"nodes": 34}, r"at most 33 nodes.*nodes 33 works, and so does racks 4 \(36 nodes\)"),
        ({"racks": 1}, "nodes 9 works"),
        ({"racks": 146}, "at most 145 racks.*racks 145 works"),
    ],
)
def test_a_size_that_ports_do_not_reach_is_refused(size, said):
    with pytest.raises(InputError, match=said):
        topology(**size)
