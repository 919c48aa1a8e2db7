"""Many cycles of a module's ports at a time: played from one wide input, and recorded on one wide output.

A simulator calls Python once a window instead of once a cycle, and a bench has its inputs and outputs as arrays.
"""

from typing import Any

import numpy as np
from amaranth.hdl import Value
from amaranth.lib.wiring import Component
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge, Timer
from numpy.typing import NDArray

from rtl.stamp import ports_of
from tb.unit.ports import PERIOD_NS

CYCLES = 64
"""Of a window."""


def cycles_of(component: Component, inputs: bool) -> np.dtype[Any]:
    """What one cycle of a component's inputs or outputs looks like: a field of whole bytes for each port."""
    fields = []
    for name, (value, is_input) in ports_of(component).items():
        if is_input == inputs:
            size = -(-len(Value.cast(value)) // 8)
            fields.append((name, {1: "u1", 2: "<u2"}.get(size, f"({size},)u1")))
    return np.dtype(fields)


def window(component: Component) -> str:
    """The Verilog of module ``window_<module>``, which holds one ``inner``; written as yosys does, for tb/mutation.

    Ports: stimuli: in, :data:`CYCLES` cycles of inputs, the first one lowest; they are played in the window after the
    one in whose last cycle they are there. seen: out, a register: the cycles of outputs in the window before this one.
    """
    connections, place = [".clk(clk)", ".rst(rst)"], {True: 0, False: 0}
    for name, (value, is_input) in ports_of(component).items():
        width, wires = len(Value.cast(value)), "playing" if is_input else "now"
        connections.append(f".{name}({wires}[{place[is_input]} +: {width}])")
        place[is_input] += width + -width % 8
    return _WINDOW.format(
        name=component.module_name,
        connections=",\n    ".join(connections),
        **{"cycles": CYCLES, "bits": CYCLES.bit_length() - 1, "width_in": place[True], "width_out": place[False]},
    )


_WINDOW = """\
module window_{name}(clk, rst, stimuli, seen);
  input clk, rst;
  input [{cycles}*{width_in}-1:0] stimuli;
  output reg [{cycles}*{width_out}-1:0] seen;
  reg [{bits}-1:0] cycle;
  reg [{cycles}*{width_in}-1:0] playing;
  reg [{cycles}*{width_out}-1:0] recorded;
  wire [{width_out}-1:0] now;
  wire [{cycles}*{width_out}-1:0] recording = {{now, recorded[{cycles}*{width_out}-1:{width_out}]}};
  {name} inner (
    {connections}
  );
  always @(posedge clk) begin
    cycle <= rst ? 0 : cycle + 1;
    recorded <= recording;
    if (rst) playing <= 0;
    else if (&cycle) playing <= stimuli;
    else playing <= playing >> {width_in};
    if (&cycle) seen <= recording;
  end
endmodule
"""


async def play(dut: Any, component: Component, stimuli: NDArray[Any]) -> NDArray[Any]:
    """The outputs of a component, the module in the window ``dut``: in the window after reset, in which all inputs are
    zero, and in the cycles after it, in which they are ``stimuli``.

    Undefined bits read as ones. The clock stops with the last of the windows that the stimuli take.
    """
    windows = -(-len(stimuli) // CYCLES)
    padded = np.zeros(windows * CYCLES, stimuli.dtype)
    padded[: len(stimuli)] = stimuli
    outputs, seen = cycles_of(component, False), []
    await Timer(PERIOD_NS, "ns")
    dut.rst.value, dut.clk.value, dut.stimuli.value = 1, 0, 0
    clock = Clock(dut.clk, PERIOD_NS, unit="ns", impl="gpi")
    clock.start(start_high=False)
    for _ in range(2):
        await RisingEdge(dut.clk)
    dut.rst.value = 0
    await Timer(PERIOD_NS // 2, "ns")
    for window in range(windows + 1):
        if window < windows:
            dut.stimuli.value = int.from_bytes(padded[CYCLES * window :][:CYCLES].tobytes(), "little")
        await Timer(CYCLES * PERIOD_NS, "ns")
        bits = str(dut.seen.value).lower().replace("x", "1").replace("z", "0")  # between the ports
        seen.append(int(bits, 2).to_bytes(CYCLES * outputs.itemsize, "little"))
    clock.stop()
    return np.frombuffer(b"".join(seen), outputs)[: CYCLES + len(stimuli)]
