"""Equal lanes written as calls of a Verilog function (rtl/lanes.py)."""

import re

import pytest
from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib.wiring import Component, In, Out

from rtl import verilog

TABLE = [7 * i % 256 for i in range(64)]


class Lane(Component):
    """A bit that depends on another bit of one signal, a shared control, and a table."""

    module_name = "step_lane"

    def __init__(self) -> None:
        super().__init__({"up": In(1), "a": In(6), "sum": Out(8), "carry": Out(1)})

    def elaborate(self, platform):
        m = Module()
        table = sum(value << 8 * i for i, value in enumerate(TABLE))
        entry, ripple = Signal(8), Signal(3)
        m.d.comb += [entry.eq(Const(table, 512).word_select(self.a, 8))]
        m.d.comb += ripple.eq(Cat(self.a[0] ^ self.up, ripple[0] & self.a[1], ripple[1] | self.a[2]))
        m.d.comb += Cat(self.sum, self.carry).eq(entry + ripple)
        return m


class Steps(Component):
    module_name = "steps"
    lane = Lane

    def __init__(self, count: int = 3):
        self.count = count
        super().__init__({"valid": In(1), "up": In(1), "a": In(6 * count), "sum": Out(8 * count), "carry": Out(count)})


class ClockedLane(Lane):
    def elaborate(self, platform):
        m = Module()
        m.d.sync += self.sum.eq(self.a)
        return m


class ClockedSteps(Steps):
    lane = ClockedLane


def test_every_lane_is_a_call_under_the_condition():
    text = verilog.modules(Steps(), "steps")["steps"]
    calls = re.findall(r"^      (\w+) = lane\((.*?)\);$", text, re.MULTILINE)
    assert calls == [(f"lane_{i}", f"up, a[{6 * i + 5}:{6 * i}]") for i in range(3)]
    assert "assign sum = { lane_2[7:0], lane_1[7:0], lane_0[7:0] };" in text
    assert "assign carry = { lane_2[8:8], lane_1[8:8], lane_0[8:8] };" in text
    condition = text.index("    if (valid) begin")
    assert all(match.start() > condition for match in re.finditer(r"= lane\(", text))
    assert text.count("no_inline_task") == 1


def test_statements_stand_after_what_they_need():
    text = verilog.modules(Steps(), "steps")["steps"]
    written: set[str] = set()
    inside = re.search(r"    begin\n(.*?)    end\n  endfunction", text, re.DOTALL)
    assert inside
    for line in inside[1].splitlines():
        target, value = line.strip().rstrip(";").split(" = ", 1)
        locals_ = set(re.findall(r"\b(?:_\d+_|entry|sum|carry)\b", value))
        assert locals_ <= written, line
        written |= set(re.findall(r"\b[a-z_0-9]+\b", target))


def test_a_table_is_a_constant_with_room_behind_it():
    text = verilog.modules(Steps(), "steps")["steps"]
    size, value = re.search(r"`TABLE \[\d+:0\] table_0 = (\d+)'h([0-9a-f]+);", text).groups()
    assert int(size) >= 512 + 8
    assert [int(value, 16) >> 8 * i & 0xFF for i in range(64)] == TABLE
    assert re.search(r"= table_0\[.* \+: 8\];", text)


def test_a_lane_with_a_register_is_refused():
    with pytest.raises(RuntimeError, match="module steps: its lanes must be assignments only, not '"):
        verilog.modules(ClockedSteps(), "steps")
