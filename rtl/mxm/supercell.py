"""A supercell: 16×16 int8 weights that stay, and the multipliers and adders that use them."""

from amaranth.hdl import Cat, Module, Signal, Value, signed
from amaranth.lib.wiring import Component, In, Out

from rtl.mxm.bundle import LOAD_BITS, SUM_BITS
from rtl.stream import WORD_BITS
from tsp.config import LANES_PER_SUPERLANE as LANES
from tsp.config import ChipConfig


class MxmSupercell(Component):
    """One supercell of a plane. Everything happens in the cycle the inputs are given; there is no flow control.

    Ports:
        load, load_data (2048): the buffer takes 16×16 weights, from input i to output j in bits 128·j + 8·i ….
        install: the array takes what the buffer holds before this cycle's ``load``.
        activate, activation (128): multiply, with what the array holds before this cycle's ``install``.
        psum_in (512), psum_out (512): one cycle after ``activate``, psum_out = psum_in + Σ_i activation_i · weight_ij
            for output j in bits 32·j …, int32 that wraps. Otherwise psum_out keeps its value.

    Weights and sums are undefined until they are loaded and computed.
    """

    module_name = "mxm_supercell"
    latency = 1
    """Cycles from ``activate`` to ``psum_out``."""

    def __init__(self, config: ChipConfig):
        self.config = config
        super().__init__(
            {
                "load": In(1),
                "load_data": In(LOAD_BITS),
                "install": In(1),
                "activate": In(1),
                "activation": In(WORD_BITS),
                "psum_in": In(SUM_BITS),
                "psum_out": Out(SUM_BITS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        buffer = [Signal(WORD_BITS, name=f"buffer_{j}", reset_less=True) for j in range(LANES)]
        with m.If(self.load):
            m.d.sync += [row.eq(self.load_data.word_select(j, WORD_BITS)) for j, row in enumerate(buffer)]
        # Weights are kept sign-extended to 32 bits: a simulator then multiplies what it loads. Synthesis removes the
        # copies of the sign.
        array = [[_weight(i, j) for i in range(LANES)] for j in range(LANES)]
        with m.If(self.install):
            m.d.sync += [weight.eq(_byte(buffer[j], i)) for j in range(LANES) for i, weight in enumerate(array[j])]
        # The names, which Verilog is sorted by, put a column's sum among its weights: were the sums side by side, g++
        # would make vectors of four columns of what Verilator writes, and take half as long again.
        psum = [Signal(32, name=f"column_{j}_psum", reset_less=True) for j in range(LANES)]
        with m.If(self.activate):
            m.d.sync += [psum[j].eq(self._sum(j, array[j])) for j in range(LANES)]
        m.d.comb += self.psum_out.eq(Cat(psum))
        return m

    def _sum(self, j: int, weights: list[Signal]) -> Value:
        # The products first: synthesis sees that their sums are narrow. Cut to 32 bits at every step: wider
        # intermediate values would make a simulator slow.
        total = (weights[0] * _byte(self.activation, 0))[:32]
        for i, weight in enumerate(weights[1:], 1):
            total = (total + (weight * _byte(self.activation, i))[:32])[:32]
        return (total + self.psum_in.word_select(j, 32))[:32]


def _weight(i: int, j: int) -> Signal:
    return Signal(signed(32), name=f"column_{j}_weight_{i}", reset_less=True)


def _byte(word: Value, i: int) -> Value:
    return word.word_select(i, 8).as_signed()
