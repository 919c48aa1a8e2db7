"""A link's two ends, joined by a wire that turns bits over and loses words, against golden/packet.py."""

import os
from typing import Any

import cocotb
import numpy as np

from golden import packet
from tb.unit.link_loop import SLOTS, LinkLoop
from tb.unit.link_model import COUNTER_MOST, Cycles, Expected, Vector, receive, send
from tb.unit.link_traffic import Traffic
from tb.unit.ports import config, seeded
from tb.unit.window import CYCLES as CYCLES_OF_WINDOW
from tb.unit.window import cycles_of, play

FULL = bool(os.environ.get("TSP_FULL"))
ICARUS = str(cocotb.SIM_NAME).startswith("Icarus")
PACKETS = 100_000 if FULL and not ICARUS else 50 if ICARUS else 300
"""Packets with wrong bits, at least."""
CYCLES = (80 if ICARUS else 1024) * (config().superlanes + 1)
"""Of a stretch of traffic."""


class Link:
    """The module under test. ``seen``: its outputs in the last traffic."""

    def __init__(self, dut: Any):
        self._dut, self.superlanes = dut, config().superlanes
        self._loop = LinkLoop(self.superlanes)

    def traffic(self, rng: Any, cycles: int = CYCLES) -> Traffic:
        return Traffic(rng, self.superlanes, cycles)

    async def check(self, traffic: Traffic) -> list[Vector]:
        """Every output of every cycle is what it must be, and every good vector is one that was sent, in its order;
        returns what the receiver found."""
        rows = traffic.rows
        seen = await self.play(traffic)
        want = Expected(cycles_of(self._loop, False), len(rows))
        sent = send(rows, self.superlanes, want)
        words = np.where(rows["replace"][:, None], 0, seen["tx"]) ^ rows["error"]
        found = receive(rows, words, self.superlanes, SLOTS, want)
        want.compare(seen)
        put = rows["replace"].any()
        for vector in found:
            begin = int(vector.cycles[0])
            assert put or not vector.good or np.array_equal(vector.data, sent[begin]), f"cycle {begin}: wrong, and good"
        self.check_taken(seen, found)
        return found

    async def play(self, traffic: Traffic) -> Cycles:
        """The outputs in traffic. After reset, before it, only idle words are sent, and nothing comes."""
        seen = await play(self._dut, self._loop, traffic.rows)
        quiet = np.zeros(CYCLES_OF_WINDOW, traffic.rows.dtype)
        want = Expected(seen.dtype, len(quiet))
        send(quiet, self.superlanes, want)
        want.rows["slack"] = COUNTER_MOST
        want.compare(seen[: len(quiet)])
        self.seen = seen[len(quiet) :]
        return self.seen

    def check_taken(self, seen: Cycles, found: list[Vector]) -> None:
        """What waits in the slots, with the flips of its RECEIVE, is what was found."""
        slots = np.zeros((SLOTS, self.superlanes, 16), np.uint8)
        left = iter(vector for vector in found if not vector.dropped)
        for row in seen[(seen["north_valid"] | seen["taken_valid"]) == 1]:
            if row["taken_valid"]:
                vector, taken = next(left), slots[row["taken_slot"]].copy()
                for flip in (int(row["taken_flip_0"]), int(row["taken_flip_1"])):
                    if flip & 1:
                        taken[flip >> 1 & 31, flip >> 9] ^= 1 << (flip >> 6 & 7)
                assert not row["taken_good"] or np.array_equal(taken.ravel(), vector.data)
            if row["north_valid"]:
                slots[row["north_slot"], row["north_superlane"]] = row["north_word"]


@cocotb.test()
async def vectors_without_errors(dut: Any) -> None:
    """Close together and apart, with probes and reflections between; every one comes good."""
    link = Link(dut)
    for share in (0, 0.5, 1):
        traffic = link.traffic(seeded(f"right {share}"))
        traffic.fill(share)
        traffic.take(2)
        traffic.probe(0.3)
        found = await link.check(traffic)
        assert len(found) == len(traffic.headers) and all(vector.good for vector in found)


@cocotb.test()
async def shares_of_a_full_link(dut: Any) -> None:
    """SENDs as close together as they may be: of the bytes on the pins those are the vectors' that follow them, and
    eight before and eight behind each are its header and its trailer; the rest is idle words."""
    link, traffics = Link(dut), []
    for vector in (0x00, 0xFF):
        traffic = link.traffic(seeded("shares"))
        traffic.fill(1)
        traffic.take(0)
        traffic.rows["word"] = vector
        await link.check(traffic)
        traffics.append(link.seen["tx"].copy())
    packets, size = len(traffic.headers), 16 * link.superlanes
    first, last = traffic.headers[0], traffic.headers[-1]
    pins = slice(first, last + link.superlanes + 1)
    varies = (traffics[0] ^ traffics[1])[pins].reshape(-1) == 0xFF
    idle = 16 * sum(first < cycle < last for cycle in traffic.idle())
    vectors = sum(varies[16 * (header - first) + 8 :][:size].sum() for header in traffic.headers)
    assert vectors == size * packets, f"{vectors} of {size * packets} bytes"
    assert vectors + (8 + 8) * packets + idle == len(varies), "headers and trailers take more than eight bytes each"


@cocotb.test()
async def wrong_bits(dut: Any) -> None:
    """One to six wrong bits in a packet, vectors and idle words; some idle words are missing, counters are cleared."""
    link, wrong, round_ = Link(dut), 0, 0
    while wrong < PACKETS:
        rng = seeded(f"wrong {round_}")
        traffic = link.traffic(rng, 128 * CYCLES if PACKETS > CYCLES else CYCLES)
        traffic.fill(0.5)
        traffic.take(3)
        traffic.turn_some(0.6 if round_ else 1, 1 + round_ % 6)
        traffic.lose([cycle for cycle in traffic.idle() if rng.random() < 0.1])
        traffic.rows["clear"][[rng.randrange(CYCLES) for _ in range(8)]] = 1
        found = await link.check(traffic)
        wrong, round_ = wrong + sum(vector.status != packet.RIGHT for vector in found), round_ + 1


@cocotb.test()
async def wrong_check_bits(dut: Any) -> None:
    """Up to four wrong bits in the check bits and the zero byte: the vector is intact, but not always mended."""
    link = Link(dut)
    traffic = link.traffic(seeded("checks"))
    traffic.fill(0.8)
    traffic.take(3)
    traffic.turn_some(0.9, 4, last=32)
    found = await link.check(traffic)
    assert {vector.status for vector in found} == {packet.RIGHT, packet.CORRECTED, packet.UNCORRECTABLE}


@cocotb.test()
async def corrected_packets_change_no_timing(dut: Any) -> None:
    """The same traffic with and without a wrong bit in every vector packet."""
    link, seen = Link(dut), []
    for wrong in (0, 1):
        traffic = link.traffic(seeded("timing"))
        traffic.fill(0.8)
        traffic.take(2)
        traffic.turn_some(wrong, 1)
        found = await link.check(traffic)
        seen.append(link.seen)
        assert all(vector.good for vector in found)
        corrected = sum(vector.status == packet.CORRECTED for vector in found)
        assert corrected > 0.9 * len(found) if wrong else corrected == 0
    for name in ("tx", "north_valid", "taken_valid", "ready_good", "overrun", "occupancy", "slack"):
        assert np.array_equal(seen[0][name], seen[1][name]), f"{name} differs"


@cocotb.test()
async def types_at_the_limit_of_the_majority(dut: Any) -> None:
    """A vector's type with three zeros is a vector's, with four an idle word's; and the other way round."""
    link = Link(dut)
    for wrong in range(9):
        traffic = link.traffic(seeded(f"type {wrong}"), 128 + link.superlanes)
        silent = np.zeros(16 * link.superlanes, np.uint8)  # no word of it looks like a header of a vector
        traffic.send(8, silent)
        header, idle = traffic.send(49, silent), 110
        bits = traffic.rng.sample(range(8), wrong)
        for bit in bits:
            traffic.turn(header, bit)
            traffic.turn(idle, bit)
        found = await link.check(traffic)
        begins = [int(vector.cycles[0]) for vector in found]
        assert begins == [traffic.headers[0], *[header] * (wrong <= 3), *[idle] * (wrong >= 5)], f"{wrong}: {begins}"
        good = wrong <= 2 and len({bit % 2 for bit in bits}) == wrong  # one of each code at most
        assert [vector.good for vector in found] == [True, *[good] * (wrong <= 3), *[False] * (wrong >= 5)]


@cocotb.test()
async def lost_words_and_noise(dut: Any) -> None:
    """Framing is lost with a word or in noise, and found again with the idle words after; a gap of numbers is one bad
    vector."""
    link = Link(dut)
    for round_ in range(2 if ICARUS else 8):
        traffic = link.traffic(rng := seeded(f"lost {round_}"))
        traffic.fill(0.2)
        traffic.take(3)
        lost = rng.sample(traffic.headers[:-9], len(traffic.headers) // 8)
        traffic.lose([header + rng.randint(0, link.superlanes) for header in lost])
        start = rng.choice(traffic.headers[:-9])
        traffic.put(start, np.frombuffer(rng.randbytes(16 * 5 * link.superlanes), np.uint8).reshape(-1, 16))
        found = await link.check(traffic)
        assert all(vector.good for vector in found[-3:])
        assert not all(vector.good for vector in found)


@cocotb.test()
async def numbers_that_are_not_the_next(dut: Any) -> None:
    """Packets doubled, left out, and past 65,535; their words with cycles between."""
    link = Link(dut)
    numbers = [0, 1, 1, 2, 5, 6, 6, 7, 65534, 65535, 0, 1]
    good = [1, 1, 0, 1, 0, 1, 0, 1, 0, 1, 1, 1]
    traffic, after, vectors = link.traffic(rng := seeded("numbers"), 60 + 12 * (3 * link.superlanes + 9)), 50, []
    for number in numbers:
        vectors.append(np.frombuffer(rng.randbytes(16 * link.superlanes), np.uint8))
        words = packet.encode(vectors[-1][None], packet.Headers(0, number, 0, 0))[0]
        after = traffic.put(after, words, rng.randint(0, 2)) + rng.randint(0, 5)
        traffic.rows["take"][after + 5] = 1
    found = await link.check(traffic)
    assert [vector.sequence for vector in found] == numbers
    assert [vector.good for vector in found] == good


@cocotb.test()
async def flushes(dut: Any) -> None:
    """Numbers begin anew at the end that is flushed; what waits is forgotten."""
    link = Link(dut)
    for sender, receiver in ((1, 1), (1, 0), (0, 1)):
        apart = 4 * link.superlanes + 8
        traffic = link.traffic(seeded("flush"), 8 * apart)
        for i in range(6):
            traffic.send(8 + apart * i)
        quiet = 8 + apart * 3 - 2
        traffic.rows["flush"][quiet], traffic.rows["forget"][quiet] = sender, receiver
        traffic.rows["take"][quiet - 1 : quiet + 2] = 1  # three wait: one is taken before, one as they are forgotten
        traffic.take(0)
        found = await link.check(traffic)
        assert [vector.good for vector in found] == [True] * 3 + [sender == receiver, True, True]


@cocotb.test()
async def resets_with_packets_under_way(dut: Any) -> None:
    """Vectors close together, good ones and bad, up to the cycle of the reset; nothing of them is left after it."""
    link = Link(dut)
    for round_ in range(4 if ICARUS else 12):
        traffic = link.traffic(seeded(f"reset {round_}"), 2 * CYCLES_OF_WINDOW + 8 * link.superlanes + 16)
        traffic.fill(1)
        traffic.take(3)
        traffic.probe(0.3)
        traffic.turn_some(0.3, 3)
        traffic.rows = traffic.rows[: 2 * CYCLES_OF_WINDOW]
        await link.play(traffic)
    await link.check(link.traffic(seeded("after resets"), CYCLES_OF_WINDOW))


@cocotb.test()
async def vectors_without_room_are_dropped(dut: Any) -> None:
    """RECEIVEs that come late, and RECEIVEs of nothing."""
    link = Link(dut)
    traffic = link.traffic(seeded("room"))
    traffic.fill(0.5)
    traffic.take(60 * link.superlanes)
    found = await link.check(traffic)
    assert 0.1 < sum(vector.dropped for vector in found) / len(found) < 0.9
