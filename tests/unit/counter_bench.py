"""cocotb tests of the counter in test_simulator.py, which runs them one at a time: two of them must fail."""

import os
import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge, First, ReadOnly, RisingEdge, Timer, ValueChange
from cocotb.utils import get_sim_time

import tb.clock

PERIOD = 10  # ns


async def count_for(dut, cycles):
    """Hold reset over the first rising edge, which is at time 0, then count for so many cycles."""
    dut.rst.value = 1
    dut.en.value = 1
    Clock(dut.clk, PERIOD, "ns", impl="gpi").start()
    await Timer(PERIOD // 2, "ns")
    dut.rst.value = 0
    await Timer(cycles * PERIOD, "ns")


@cocotb.test()
async def counts_once_a_cycle(dut):
    await count_for(dut, 1000)
    assert dut.count.value.to_unsigned() == 1000


@cocotb.test()
async def sees_seed_and_environment(dut):
    assert os.environ["COCOTB_RANDOM_SEED"] == "7"
    assert os.environ["FRUIT"] == "pear"


@cocotb.test()
async def must_fail(dut):
    await count_for(dut, 3)
    assert dut.count.value.to_unsigned() == 4, "this counter counts three"


@cocotb.test()
async def never_ends(dut):
    await count_for(dut, 10**9)


@cocotb.test()
async def reaches_inside(dut):
    await count_for(dut, 5)
    assert dut.inner.hidden.value.to_unsigned() == 5


@cocotb.test()
async def is_blind_inside(dut):
    assert not hasattr(dut, "inner")


@cocotb.test()
async def counts_without_a_clock_of_cocotb(dut):
    tb.clock.Clock = None
    dut.rst.value = 1
    dut.en.value = 1
    tb.clock.start_clock(dut, PERIOD)
    await Timer(PERIOD // 2, "ns")
    dut.rst.value = 0
    await Timer(1000 * PERIOD, "ns")
    assert dut.count.value.to_unsigned() == 1000
    assert get_sim_time("ns") == 1000 * PERIOD + PERIOD // 2


@cocotb.test()
async def finds_the_clock_stopped(dut):
    """After a test that left it running."""
    clk, count = dut.clk.value, dut.count.value
    await Timer(10 * PERIOD, "ns")
    assert (dut.clk.value, dut.count.value) == (clk, count)


@cocotb.test()
async def sees_the_same_under_both_clocks(dut):
    ours = await witness(dut, lambda: tb.clock.start_clock(dut, PERIOD))
    theirs = await witness(dut, lambda: Clock(dut.clk, PERIOD, "ns", impl="gpi").start())
    assert ours == theirs


async def witness(dut, start):
    """(ns since the clock's start, clk, count) at every edge, before it and after, and at times between and on edges.

    ``en`` changes by chance at all of them: whether an edge takes the value before or after shows in the count.
    """
    rng, seen = random.Random(1), []
    dut.clk.value = 0
    await Timer(PERIOD, "ns")
    began = get_sim_time("ns")
    dut.rst.value = dut.en.value = 1
    clock = start()

    def look():
        seen.append((get_sim_time("ns") - began, int(dut.clk.value), int(dut.count.value)))

    waits = [
        lambda: RisingEdge(dut.clk),
        lambda: FallingEdge(dut.clk),
        lambda: ClockCycles(dut.clk, rng.randrange(1, 4)),
        lambda: Timer(rng.randrange(1, 2 * PERIOD), "ns"),
        lambda: Timer(PERIOD - (get_sim_time("ns") - began) % PERIOD, "ns"),
        lambda: First(ValueChange(dut.count), Timer(3 * PERIOD, "ns")),
    ]
    await RisingEdge(dut.clk)
    assert get_sim_time("ns") == began
    await ClockCycles(dut.clk, 2)
    for _ in range(300):
        await rng.choice(waits)()
        look()
        dut.rst.value = 0
        dut.en.value = rng.randrange(2)
        if rng.randrange(2):
            await ReadOnly()
            look()
    clock.cancel()
    await Timer(PERIOD, "ns")
    return seen
