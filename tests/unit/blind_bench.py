"""A cocotb test that looks at nothing, for test_mutation."""

import cocotb
from cocotb.triggers import Timer


@cocotb.test()
async def looks_away(dut):
    await Timer(10, "ns")
