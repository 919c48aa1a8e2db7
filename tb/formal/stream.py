"""The stream registers of a site: a hop of every value and its presence, drives, collisions."""

from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib.wiring import Component

from rtl import stream
from tb.formal.bench import PLAIN, Bench
from tb.formal.planted import Bug, Rtl
from tb.formal.proof import Proof
from tsp.config import ChipConfig

CONFIG = PLAIN.override(["streams=16"])
DRIVES = 3
COLLISION = 1
"""From the table of faults in docs/architecture.md, section 5."""


class Site(Component):
    """Registers of both directions and three slices: one with four words, as an ALU has, and two with one, as MEM's."""

    def __init__(self, config: ChipConfig, registers: Any):
        self.config, self._registers = config, registers
        super().__init__(stream.site_stream_ports(config))
        self.masks = [Signal(2 * config.streams, name=f"mask_{i}") for i in range(DRIVES)]
        self.words = [
            [Signal(stream.WORD_BITS, name=f"word_{i}_{residue}") for residue in range(4 if i == 0 else 1)]
            for i in range(DRIVES)
        ]
        self.faults: list[stream.Fault] = []

    def elaborate(self, platform: object) -> Module:
        m = Module()
        slices = enumerate(zip(self.masks, self.words, strict=True))
        drives = [stream.Drive(mask, words, 2 * i) for i, (mask, words) in slices]
        self.faults = self._registers(m, self, self.config, drives)
        return m


def site(rtl: Rtl) -> Bench:
    """Follow any one stream of either direction."""

    def build(bench: Bench) -> None:
        m, unit = bench.m, Site(CONFIG, rtl("rtl.stream").site_registers)
        bench.place("site", unit)
        bench.drive(unit)
        for signal in [*unit.masks, *(word for words in unit.words for word in words)]:
            m.d.comb += signal.eq(bench.free(len(signal), f"any_{signal.name}"))
        followed = bench.constant(range(2 * CONFIG.streams), "followed")
        for side, first in (("e", 0), ("w", CONFIG.streams)):
            for i in range(CONFIG.streams):
                _follow(bench, unit, side, i, first + i, followed)
        _collisions(bench, unit)

    return Bench(build)


def _follow(bench: Bench, unit: Site, side: str, i: int, bit: int, followed: Value) -> None:
    arrives, there = Value.cast(getattr(unit, f"{side}_in_{i}")), getattr(unit, f"{side}_present_in")[i]
    leaves, present = Value.cast(getattr(unit, f"{side}_out_{i}")), getattr(unit, f"{side}_present_out")[i]
    word, there_next = arrives, there
    for mask, words in reversed(list(zip(unit.masks, unit.words, strict=True))):
        word = Mux(mask[bit], words[i % len(words)], word)
        there_next = there_next | mask[bit]
    name = f"{side}{i}"
    was_there = bench.before(there_next, f"there_{name}")
    was = bench.before(word, f"was_{name}")
    bench.claim(present == was_there, followed == bit)
    # Where nothing is present, nobody looks.
    bench.claim(leaves == was, (followed == bit) & was_there)


def _collisions(bench: Bench, unit: Site) -> None:
    """A pulse for each drive that shares a stream with another, two cycles later, and no other."""
    for i, (mask, fault) in enumerate(zip(unit.masks, unit.faults, strict=True)):
        others: Value = Const(0)
        for j, other in enumerate(unit.masks):
            others = others | other if j != i else others
        one = bench.before((mask & others).any(), f"shares_{i}")
        bench.claim(fault.valid == bench.before(one, f"collides_{i}"))
        bench.claim((fault.queue == 2 * i) & (fault.kind == COLLISION))


PROOFS = [
    Proof(
        name="stream-hop",
        block="stream",
        claim="a value and its presence move on by one register a cycle; what a slice drives takes their place; a "
        "slice collides, two cycles later, exactly when it shares a stream with another",
        build=site,
        bug=Bug("rtl.stream", "load.eq(_any_of(masks, count)", "load.eq(_any_of(masks[1:], count)"),
        depth=2,
        reduced=f"{CONFIG.streams} streams a direction, {DRIVES} slices",
    ),
]
