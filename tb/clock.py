"""cocotb side: the clock of the module under test, toggled without calling Python."""

import ctypes

import cocotb
from cocotb.clock import Clock
from cocotb.handle import HierarchyObject
from cocotb.task import Task
from cocotb.triggers import Event
from cocotb.utils import get_sim_steps


def start_clock(dut: HierarchyObject, period_ns: int) -> Task[None]:
    """Drive ``dut.clk`` until the test ends or the task returned is cancelled; ``dut`` is the top module, the first
    rising edge is now.

    Verilator's main program does it (``cocotb_main.cpp``), as a clock of cocotb's costs several microseconds a cycle.
    Edges, and what is read and written at them, are those of ``Clock(dut.clk, ..., impl="gpi").start()``, which drives
    the clock in other simulators.
    """
    if not cocotb.SIM_NAME.startswith("Verilator"):
        return Clock(dut.clk, period_ns, unit="ns", impl="gpi").start()
    main = ctypes.PyDLL(None)
    main.clock_start.argtypes, main.clock_start.restype = [ctypes.c_uint64], ctypes.c_bool
    if not main.clock_start(get_sim_steps(period_ns, "ns") // 2):
        raise ValueError(f"no clock of {period_ns} ns for {dut._name}: has it a port clk?")

    async def until_cancelled() -> None:
        try:
            await Event().wait()
        finally:
            main.clock_stop()

    return cocotb.start_soon(until_cancelled())
