"""A link's two ends, joined by a wire that turns bits over and loses words, against golden/packet.py."""

import os
from typing import Any

import cocotb
import numpy as np

from golden import packet
from tb.unit.link_loop import SLOTS, LinkLoop
from tb.unit.link_model import Cycles, Expected, Vector, receive, send
from tb.unit.link_traffic import Traffic
from tb.unit.ports import config, seeded
from tb.unit.window import cycles_of, play

FULL = bool(os.environ.get("TSP_FULL"))
PACKETS = 100_000 if FULL and not str(cocotb.SIM_NAME).startswith("Icarus") else 300
"""Packets with wrong bits, at least."""
CYCLES = 1024 * (config().superlanes + 1)
"""Of a stretch of traffic."""


class Link:
    """The module under test, whose wire and pins Python sees as arrays."""

    def __init__(self, dut: Any):
        self._dut, self.superlanes = dut, config().superlanes
        self._loop = LinkLoop(self.superlanes)

    def traffic(self, rng: Any, cycles: int = CYCLES) -> Traffic:
        return Traffic(rng, self.superlanes, cycles)

    async def play(self, traffic: Traffic) -> Cycles:
        return await play(self._dut, self._loop, traffic.rows)

    async def check(self, traffic: Traffic) -> list[Vector]:
        """Every output of every cycle is what it must be, and every good vector is one that was sent, in its order;
        returns what the receiver found."""
        rows, seen = traffic.rows, await self.play(traffic)
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
async def wrong_bits(dut: Any) -> None:
    """One to six wrong bits in a packet, vectors and idle words."""
    link, wrong, round_ = Link(dut), 0, 0
    while wrong < PACKETS:
        traffic = link.traffic(seeded(f"wrong {round_}"), 16 * CYCLES if PACKETS > 1000 else CYCLES)
        traffic.fill(0.5)
        traffic.take(3)
        traffic.turn_some(0.6, 2 + round_ % 5)
        found = await link.check(traffic)
        wrong, round_ = wrong + sum(vector.status != packet.RIGHT for vector in found), round_ + 1
