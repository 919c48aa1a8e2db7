"""The elastic buffer between clocks that differ, in steps of a thousandth of a cycle."""

import os
import random

import pytest
from amaranth.sim import Simulator

from rtl.link.elastic import DEPTH, ElasticBuffer

CYCLE = 10_000
"""Units of time in a cycle of the chip."""
FULL = os.environ.get("TSP_FULL") == "1"
SUPERLANES = 4
VECTOR, PAYLOAD_LIKE_IDLE = 0xFF, 0x00


def packets(rng, count, idle):
    """Words as (type, number): packets of random kinds; payloads look like idle words half of the time."""
    words, number = [], 0
    while len(words) < count:
        if rng.random() < idle:
            words.append((0x00, 0))
            continue
        words.append((VECTOR, number))
        words += [(rng.choice((VECTOR, PAYLOAD_LIKE_IDLE)), number) for _ in range(SUPERLANES)]
        number += 1
    # Idle words for the reset to end in, and for the last vector to cross.
    return [(0x00, 0)] * 16 + words + [(0x00, 0)] * 16


def transfer(words, received_cycle, wrong_type_bits=lambda: 0):
    """What comes out, a list of (cycle, type, number), when a word comes every ``received_cycle`` units.

    Types arrive with bits wrong in them; what they were meant to be is in the word's other bytes.
    """
    dut, seen = ElasticBuffer(SUPERLANES), []

    async def sender(ctx):
        for kind, number in words:
            ctx.set(dut.received_word, kind ^ wrong_type_bits() | kind << 8 | number << 16)
            await ctx.delay(received_cycle / 2 * 1e-9)
            ctx.set(dut.received_clk, 1)
            await ctx.delay(received_cycle / 2 * 1e-9)
            ctx.set(dut.received_clk, 0)

    async def receiver(ctx):
        cycle = 0
        while True:
            _, _, valid, word = await ctx.tick().sample(dut.valid, dut.word)
            if valid:
                seen.append((cycle, word >> 8 & 0xFF, word >> 16))
            cycle += 1

    simulator = Simulator(dut)
    simulator.add_clock(CYCLE * 1e-9, phase=0.3 * CYCLE * 1e-9)
    simulator.add_testbench(sender)
    simulator.add_testbench(receiver, background=True)
    simulator.run()
    return seen


def check(words, seen):
    """Every vector came whole, in consecutive cycles, once, in order. Returns how many idle words came."""
    vectors = [number for kind, number in words if kind == VECTOR]
    expected = sorted(set(vectors))
    idle, place, came = 0, 0, []
    while place < len(seen):
        cycle, kind, number = seen[place]
        if kind != VECTOR:
            idle, place = idle + 1, place + 1
            continue
        packet = seen[place : place + SUPERLANES + 1]
        assert [word[0] for word in packet] == list(range(cycle, cycle + SUPERLANES + 1)), "a gap in a packet"
        assert {word[2] for word in packet} == {number}
        came.append(number)
        place += SUPERLANES + 1
    assert came == expected, "a vector was lost or came twice"
    return idle


@pytest.mark.parametrize(("per_mille", "idle"), [(-20, 0.2), (-20, 0.9), (0, 0.2), (20, 0.2), (20, 0.9)])
def test_vectors_come_whole_whatever_the_clocks(per_mille, idle):
    rng = random.Random(per_mille)
    # Of such short packets enough are idle for clocks that differ by 2 %.
    words = packets(rng, 2000 if FULL else 300, idle)

    def one_wrong():
        return 0 if rng.random() < 0.8 else 1 << rng.randrange(8)

    seen = transfer(words, CYCLE + CYCLE * per_mille // 1000, one_wrong)
    came = check(words, seen)
    sent = len(words) - (max(number for _, number in words) + 1) * (SUPERLANES + 1)
    surplus = max(0, -len(words) * per_mille // 1000)
    assert sent - surplus - 20 <= came <= sent - surplus * 3 // 4, "idle words are only dropped when there are too many"


def test_words_wait_no_longer_than_the_buffer_is_half_full():
    words = [(0, n) for n in range(300)]
    seen = transfer(words, CYCLE * 99 // 100)
    waits = [cycle - number * 0.99 for cycle, _, number in seen[100:]]
    assert max(waits) - min(waits) < 3 and max(waits) < DEPTH // 2 + 3
    assert len(seen) < 300


def test_what_comes_too_late_leaves_gaps_between_packets_only():
    words = packets(random.Random(1), 300, 0.1)
    seen = transfer(words, CYCLE * 102 // 100)
    check(words, seen)
    cycles = [cycle for cycle, _, _ in seen]
    assert cycles[-1] - cycles[0] + 1 > len(cycles)
