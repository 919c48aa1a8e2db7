"""cocotb tests of the counter in test_simulator.py, which runs them one at a time: two of them must fail."""

import os

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import Timer

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
