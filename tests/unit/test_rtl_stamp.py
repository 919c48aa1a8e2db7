"""Stamping: one module per name, placed by instances, refused where it would read as zeros."""

import gc

import pytest
from amaranth.hdl import Module
from amaranth.lib.wiring import Component, In, Out
from amaranth.sim import Simulator

from rtl import stamp, verilog


class Inverter(Component):
    module_name = "inverter"

    def __init__(self, width: int):
        self.width = width
        super().__init__({"a": In(width), "y": Out(width)})

    def elaborate(self, platform):
        m = Module()
        m.d.sync += self.y.eq(~self.a)
        return m


class Forgetful(Inverter):
    def __init__(self, width: int, colour: str):
        super().__init__(width)


class Pair(Component):
    """Two inverters in a row."""

    structural = True

    def __init__(self, first: Component, second: Component):
        self.parts = (first, second)
        super().__init__({"a": In(8), "y": Out(8)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.one = one = stamp.stamp(self.parts[0], "one")
        m.submodules.two = two = stamp.stamp(self.parts[1], "two")
        m.d.comb += [one.a.eq(self.a), two.a.eq(one.y), self.y.eq(two.y)]
        return m


def test_a_module_is_written_once_and_placed_twice():
    texts = verilog.modules(Pair(Inverter(8), Inverter(8)), "pair")
    assert sorted(texts) == ["inverter", "pair"]
    assert texts["inverter"].count("endmodule") == 1
    assert texts["pair"].count("inverter one (") == 1
    assert texts["pair"].count("inverter two (") == 1
    assert ".clk(clk)" in texts["pair"] and ".rst(rst)" in texts["pair"]


def test_modules_of_one_name_must_be_equal():
    with pytest.raises(RuntimeError, match=r"two different modules are called inverter.*'width': 8.*'width': 4"):
        verilog.modules(Pair(Inverter(8), Inverter(4)), "pair")


def test_parameters_must_be_kept():
    with pytest.raises(TypeError, match="Forgetful does not keep its parameter 'colour'"):
        verilog.modules(Pair(Forgetful(8, "red"), Forgetful(8, "red")), "pair")


@pytest.mark.filterwarnings("ignore:.*created but never used")
def test_simulation_in_amaranth_is_refused():
    with pytest.raises(RuntimeError, match="inverter is stamped, and amaranth.sim would read zeros"):
        Simulator(Pair(Inverter(8), Inverter(8)))
    gc.collect()  # what was not used warns when it is collected: here, not in another test


def test_inlined_stamps_can_be_simulated():
    seen = []

    async def bench(ctx):
        ctx.set(dut.a, 0x5A)
        await ctx.tick().repeat(2)
        seen.append(ctx.get(dut.y))

    dut = Pair(Inverter(8), Inverter(8))
    with stamp.inlined():
        simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert seen == [0x5A]
