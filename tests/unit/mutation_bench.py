"""cocotb tests of a counter for test_mutation: they look at its count, and not at ``odd``."""

import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

PERIOD_NS = 2


async def started(dut) -> None:
    Clock(dut.clk, PERIOD_NS, unit="ns").start()
    dut.rst.value, dut.en.value = 1, 0
    for _ in range(2):
        await FallingEdge(dut.clk)
    dut.rst.value = 0


@cocotb.test()
async def it_comes_to_sixteen(dut):
    await started(dut)
    dut.en.value = 1
    while not dut.sixteen.value:
        await FallingEdge(dut.clk)


@cocotb.test()
async def it_counts(dut):
    await started(dut)
    count = 0
    for _ in range(700):
        dut.en.value = enabled = random.randint(0, 1)
        await FallingEdge(dut.clk)
        count += enabled
        assert (dut.count.value, dut.sixteen.value) == (count % 256, count % 256 == 16)
