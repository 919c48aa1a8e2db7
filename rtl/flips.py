"""The test port that turns over bits of words on streams (docs/architecture.md, sections 8 and 9)."""

from amaranth.hdl import Cat, Module, Signal, signed
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import Component, In, Member, Out

from rtl.ecc import CHECK_BITS, DATA_BITS
from rtl.stream import FLIP_STREAM_BITS, flip_ports
from rtl.tile import TIME_BITS
from tsp.config import ChipConfig

FLIP_DEPTH = 32
"""Flips that may wait at once."""
SUPERLANE_BITS = 6
SR_BITS = 8
LEAD = 2
"""Cycles from a flip at superlane 0's southern edge to the SR that holds the word."""


def moving_flip_ports(config: ChipConfig, flow, prefix: str) -> dict[str, Member]:  # type: ignore[no-untyped-def]
    """``<prefix>_valid``, ``_superlane``, ``_sr``, ``_stream``, ``_mask``: a flip on its way north; none without
    feature ``ecc``."""
    if not config.ecc:
        return {}
    widths = {"superlane": SUPERLANE_BITS, "sr": SR_BITS}
    widths |= {name.removeprefix("flip_"): member.shape for name, member in flip_ports(config).items()}
    return {f"{prefix}_{name}": flow(width) for name, width in widths.items()}


class FlipQueue(Component):
    """Holds flips until their time, which goes north with the stagger.

    Ports:
        mask_write, address, data: in; the bits to turn over: ``data``, and check bits ``address``.
        push, data: in; when and where, and the flip waits: bits 0–31 cycle T, 32–37 superlane, 38–43 stream operand,
            44–51 SR (the one east of site n is n). Cycles must ascend, at least two from one to the next, from 2 on;
            what comes too late is dropped.
        now: schedule time of superlane 0.
        flip_*: out, to superlane 0, in T - 2.
    """

    module_name = "flip_queue"

    def __init__(self, config: ChipConfig):
        self.config = config
        ports: dict[str, Member] = {"mask_write": In(1), "push": In(1), "address": In(CHECK_BITS)}
        ports |= {"data": In(DATA_BITS), "now": In(TIME_BITS)}
        super().__init__(ports | moving_flip_ports(config, Out, "flip"))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        mask = Signal(DATA_BITS + CHECK_BITS, name="mask", reset_less=True)
        with m.If(self.mask_write):
            m.d.sync += mask.eq(Cat(self.data, self.address))
        when = TIME_BITS + SUPERLANE_BITS + FLIP_STREAM_BITS + SR_BITS
        m.submodules.waiting = waiting = SyncFIFOBuffered(width=when + len(mask), depth=FLIP_DEPTH)
        cycle = Signal(TIME_BITS, name="cycle")
        early = Signal(signed(TIME_BITS), name="early")
        m.d.comb += [
            waiting.w_en.eq(self.push),
            waiting.w_data.eq(Cat(self.data[:when], mask)),
            Cat(cycle, self.flip_superlane, self.flip_stream, self.flip_sr, self.flip_mask).eq(waiting.r_data),
            early.eq(self.now + LEAD - cycle),
            # Schedule time may stand still: before a program begins, and in a DESKEW, when nobody reads what moves.
            self.flip_valid.eq(waiting.r_rdy & (early == 0)),
            waiting.r_en.eq(waiting.r_rdy & (early > 0)),
        ]
        return m
