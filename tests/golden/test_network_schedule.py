"""Scheduled routes of random tensors: no slot doubled, every byte there; and mistakes that the checker must find."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.network import routes
from golden.network.check import mistakes
from golden.network.schedule import MOST_PACKETS, LinkTiming, Packet, Transfer, schedule
from golden.network.topology import PORTS, topology
from tsp.config import preset
from tsp.errors import InputError

FEW = settings(max_examples=15, deadline=None, derandomize=True)
SIZES = st.one_of(st.builds(dict, nodes=st.integers(1, 33)), st.builds(dict, racks=st.integers(2, 4)))


@st.composite
def traffic(draw):
    """A system, and tensors between random chips of it; few chips, so that links are wanted by several."""
    network = topology(**draw(SIZES))
    chips = draw(st.lists(st.integers(0, network.chips - 1), min_size=2, max_size=6, unique=True))
    pairs = st.permutations(chips).map(lambda order: order[:2])
    sizes = st.one_of(st.integers(1, 3000), st.integers(1, 20_000))
    tensors = st.builds(lambda pair, size, start: Transfer(*pair, size, start), pairs, sizes, st.integers(0, 40))
    return network, draw(st.lists(tensors, max_size=10))


@FEW
@given(traffic(), st.sampled_from([None, False, True]), st.sampled_from([1, 2, 20]))
def test_no_slot_is_doubled_and_every_byte_arrives(system, detours, superlanes):
    network, transfers = system
    config = preset("groqchip").override([f"superlanes={superlanes}"])
    found = schedule(network, transfers, LinkTiming.of(config), detours)
    assert mistakes(found) == []
    # And once more in the plainest way.
    assert len({(link, slot) for _, link, slot in found.placed}) == len(found.placed)
    ways = {}
    for packet, link, slot in found.placed:
        ways.setdefault(packet, []).append((slot, link))
    for number, transfer in enumerate(transfers):
        held = [0] * transfer.size
        for packet, (owner, offset, size) in enumerate(found.packets):
            if owner == number:
                at, ready = transfer.source, transfer.start
                for slot, link in sorted(ways[packet]):
                    assert link // PORTS == at and slot >= ready
                    at, ready = network.peers[at, link % PORTS], slot + found.timing.hop
                assert at == transfer.destination
                for byte in range(offset, offset + size):
                    held[byte] += 1
        assert held == [1] * transfer.size


def test_a_small_tensor_goes_straight_and_a_large_one_spreads():
    network = topology(nodes=1)
    straight = [schedule(network, [Transfer(0, 5, 320 * n)], detours=False) for n in range(1, 40)]
    spread = [schedule(network, [Transfer(0, 5, 320 * n)]) for n in range(1, 40)]
    pays = [n for n, (a, b) in enumerate(zip(straight, spread, strict=True), 1) if b.cycles < a.cycles]
    assert pays == list(range(pays[0], 40)) and 4500 < 320 * pays[0] < 6000
    assert all((found.hops == 1).all() for found in spread[: pays[0] - 1])
    large = schedule(network, [Transfer(0, 5, 320 * 700)])
    ways = np.unique(large.table[np.unique(large.table[:, 0], return_index=True)[1], 1])
    assert ways.size == 7 and large.slots < 700 / 7 + 2 * large.timing.hop


def test_all_to_all_in_a_node_fills_every_link():
    network = topology(nodes=1)
    transfers = [Transfer(a, b, 320 * 60) for a in range(8) for b in range(8) if a != b]
    found = schedule(network, transfers)
    assert mistakes(found) == [] and found.slots == 60 and len(found.placed) == 56 * 60


def test_detours_help_where_many_want_one_cable():
    network = topology(nodes=33)
    transfers = [Transfer(chip, 8 + chip, 3200) for chip in range(8)]
    straight, spread, either = (schedule(network, transfers, detours=each) for each in (False, True, None))
    assert spread.slots < 0.6 * straight.slots and either.placed == spread.placed
    assert mistakes(spread) == mistakes(straight) == []


def test_a_hop_takes_what_its_parts_take():
    timing = LinkTiming.of(preset("groqchip"))
    assert timing.arrival == 24 + 216 + 21 + 3 + 31
    # 3 cycles to the stream, 23 hops from one SXM to the other.
    assert timing.hop == 16 and 15 * 21 < timing.arrival + 26 <= 16 * 21
    three = schedule(topology(nodes=33), [Transfer(3, 10, 5)], timing)
    assert [slot for _, _, slot in three.placed] == [0, 16, 32] and three.cycles == 32 * 21 + timing.arrival


@pytest.fixture(scope="module")
def made():
    return schedule(topology(nodes=3), [Transfer(3, 13, 320 * 6 + 7), Transfer(2, 9, 640), Transfer(4, 5, 1)])


def changed(found, number, **fields):
    placed = list(found.placed)
    placed[number] = placed[number]._replace(**fields)
    return dataclasses.replace(found, placed=placed)


def test_planted_mistakes_are_found(made):
    assert mistakes(made) == [] and mistakes(dataclasses.replace(made, transfers=(), packets=[], placed=[])) == []
    a, b = next(
        (i, j)
        for i, x in enumerate(made.placed)
        for j, y in enumerate(made.placed)
        if i < j and x.link == y.link and x.packet != y.packet
    )
    twice = mistakes(changed(made, b, slot=made.placed[a].slot))
    assert any("are both on port" in said and f"in slot {made.placed[a].slot}" in said for said in twice)

    packet = made.placed[0].packet
    route = [i for i, placed in enumerate(made.placed) if placed.packet == packet]
    assert len(route) > 1
    last = made.placed[route[-1]]
    early = mistakes(changed(made, route[-1], slot=made.placed[route[-2]].slot + made.timing.hop - 1))
    fewer = f"fewer than {made.timing.hop}"
    assert any(said.startswith(f"packet {packet} leaves chip") and fewer in said for said in early)
    assert any(
        f"packet {packet} ends at chip" in said for said in mistakes(without(made, lambda placed: placed == last))
    )
    assert any(
        f"packet {packet} begins at chip" in said
        for said in mistakes(without(made, lambda placed: placed == made.placed[route[0]]))
    )
    elsewhere = mistakes(changed(made, route[-1], link=(last.link + PORTS) % (24 * PORTS)))
    assert any("where it did not arrive" in said for said in elsewhere)
    gone = mistakes(without(made, lambda placed: placed.packet == 3))
    assert gone == ["packet 3 is on no link"]
    begun = dataclasses.replace(
        made, transfers=(made.transfers[0], made.transfers[1]._replace(start=99), made.transfers[2])
    )
    assert any("its tensor in slot 99 or later" in said for said in mistakes(begun))


def without(found, dropped):
    return dataclasses.replace(found, placed=[placed for placed in found.placed if not dropped(placed)])


@pytest.mark.parametrize(
    "packet, said",
    [
        (Packet(0, 1600, 320), "packets hold 2240 bytes, the first 1920 in their order, must hold each of 1927 once"),
        (Packet(0, 1920, 6), "packets hold 1926 bytes, the first 1926"),
        (Packet(0, 1920, 8), "packets hold 1928 bytes, the first 1928"),
        (Packet(0, 1920, 0), "packet 6 holds 0 bytes, must hold 1…320"),
    ],
)
def test_bytes_that_are_lost_or_doubled_are_found(made, packet, said):
    assert made.packets[6] == Packet(0, 1920, 7)
    packets = [*made.packets[:6], packet, *made.packets[7:]]
    assert any(said in each for each in mistakes(dataclasses.replace(made, packets=packets)))


def test_a_packet_that_is_sent_twice_is_found(made):
    again = [placed._replace(packet=10, slot=placed.slot + 99) for placed in made.placed if placed.packet == 6]
    twice = dataclasses.replace(made, packets=[*made.packets, made.packets[6]], placed=[*made.placed, *again])
    said = "transfer 0: its packets hold 1934 bytes, the first 1927 in their order, must hold each of 1927 once"
    assert mistakes(twice) == [said]


def test_detours_use_all_cables_that_lie_side_by_side():
    network = topology(nodes=3)
    found = routes.detours(network, 0, 9)
    for way in ((0, 2), (2, 1)):
        assert set(network.node_links[way].tolist()) <= {link for route in found for link in route}


def test_what_is_not_there_is_found(made):
    port = int(np.flatnonzero(topology(nodes=20).ends.ravel() < 0)[0])
    other = schedule(topology(nodes=20), [Transfer(0, 9, 320)])
    assert mistakes(changed(other, 0, link=port)) == [
        f"packet 0: there is no cable at port {port % PORTS} of chip {port // PORTS}"
    ]
    assert mistakes(changed(made, 0, packet=99)) == ["packet 99 is placed, but there are 10 packets"]


@pytest.mark.parametrize(
    "transfer, said",
    [
        (Transfer(0, 8, 5), "chip 8: the system has chips 0…7"),
        (Transfer(-1, 7, 5), "chip -1: the system has chips 0…7"),
        (Transfer(3, 3, 5), "chip 3 sends to itself, a route goes to another; 2 is in its node"),
        (Transfer(3, 4, 0), "chip 3 sends 0 bytes to chip 4, must be 1 or more"),
        (Transfer(3, 4, 1, -1), "chip 3 starts in slot -1, the first is 0"),
        (Transfer(3, 4, 320 * MOST_PACKETS + 1), "320,000,001 bytes are 1,000,001 packets.*at most 1,000,000"),
    ],
)
def test_a_tensor_that_cannot_be_sent_is_refused(transfer, said):
    with pytest.raises(InputError, match=said):
        schedule(topology(nodes=1), [transfer])
