"""A cocotb test that passes, for test_sim_command.py."""

import json
import os

import cocotb
from cocotb.triggers import Timer


@cocotb.test()
async def knows_its_config(dut):
    dut.en.value = 0
    await Timer(1, "ns")
    assert json.loads(os.environ["TSP_CONFIG"])["superlanes"] == 2
