"""The signature of a tile: a sum of hashes over its events, as docs/architecture.md section 7 says."""

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib.wiring import Component, In, Member, Out

from rtl import beats
from rtl.stream import WORD_BITS, gated
from rtl.tile import PLACE_BITS, SIGNATURE_BITS, TIME_BITS

MULTIPLIER_A = 0x9E3779B97F4A7C15
MULTIPLIER_B = 0xBF58476D1CE4E5B9
MULTIPLIER_C = 0x94D049BB133111EB
WRITE_EVENT = 0x8000
"""Added to a word's address in the address of its memory event."""

SIGNATURE_DELAY = 4
"""Cycles from an event at the inputs to its hash in the signature."""


class EventHasher(Component):
    """Adds the hashes of up to ``events`` events a cycle to a signature.

    Every stage is registered, and loads only when an event passes it: a hash that runs freely doubles the time of a
    simulation. Needs no stamp: put it into a tile as a plain submodule.

    Args:
        events: how many events one cycle can bring.
        offsets: for each of them, its time minus ``time`` in the cycle it is at the inputs: 1 for a drive, whose words
            are valid in the cycle before they are in the SR, 0 for a memory write. 1 for all by default.
        beat_count: ``beats`` of the configuration.

    Ports:
        valid (events): event i happens.
        address_<i> (16), data_<i> (128 / beats): its address and data, used while ``valid[i]``.
        time (32), place (16): of this cycle and this slice.
        total (64): sum of all hashes so far; an event is in it :data:`SIGNATURE_DELAY` cycles later.
    """

    def __init__(self, events: int = 1, offsets: Sequence[int] | None = None, beat_count: int = 1):
        self.events = events
        self.beat_count = beat_count
        self.offsets = tuple(offsets) if offsets is not None else (1,) * events
        if len(self.offsets) != events:
            raise ValueError(f"{events} events need as many offsets, not {len(self.offsets)}")
        ports: dict[str, Member] = {"valid": In(events), "time": In(TIME_BITS), "place": In(PLACE_BITS)}
        for i in range(events):
            ports |= {f"address_{i}": In(16), f"data_{i}": In(WORD_BITS // beat_count)}
        super().__init__(ports | {"total": Out(SIGNATURE_BITS)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        finished = [self._pipeline(m, i, offset) for i, offset in enumerate(self.offsets)]
        total: Value = self.total
        for valid, mixed in finished:
            # Gated, so that a simulator mixes only what happened; with one event the If below is the gate.
            term = gated(valid, mixed) if self.events > 1 else mixed
            total = (total + term)[:SIGNATURE_BITS]
        with m.If(Cat(valid for valid, _ in finished).any()):
            m.d.sync += self.total.eq(total)
        return m

    def _pipeline(self, m: Module, i: int, offset: int) -> tuple[Signal, Value]:
        """(valid, hash) of event i, three cycles after the inputs."""
        valid = [self.valid[i], *(Signal(name=f"valid_{i}_{stage}") for stage in (1, 2, 3))]
        a, b, c = (Signal(SIGNATURE_BITS, name=f"{name}_{i}", reset_less=True) for name in "abc")
        d0, d1, d1_late = (Signal(64, name=f"{name}_{i}", reset_less=True) for name in ("d0", "d1", "d1_late"))
        data = beats.whole(m, f"data_{i}", self.beat_count, getattr(self, f"data_{i}"))
        time = (self.time + Const(offset % (1 << TIME_BITS), TIME_BITS))[:TIME_BITS]
        key = Cat(time, getattr(self, f"address_{i}"), self.place)
        for earlier, later in zip(valid, valid[1:], strict=False):
            m.d.sync += later.eq(earlier)
        with m.If(valid[0]):
            m.d.sync += [_product(a, key, MULTIPLIER_A), d0.eq(data[:64]), d1.eq(data[64:])]
        with m.If(valid[1]):
            m.d.sync += [_product(b, (a ^ (a >> 32)) + d0, MULTIPLIER_B), d1_late.eq(d1)]
        with m.If(valid[2]):
            m.d.sync += _product(c, (b ^ (b >> 29)) + d1_late, MULTIPLIER_C)
        return valid[3], c ^ (c >> 32)


def hashed_drives(m: Module, tile: Any, events: Sequence[tuple[Value, Value, Value]]) -> Value:
    """The signature of a tile with ``time`` and ``place``: each event's (drives now, stream operand, data)."""
    m.submodules.hasher = hasher = EventHasher(len(events))
    m.d.comb += [
        hasher.valid.eq(Cat(valid for valid, _, _ in events)),
        hasher.time.eq(tile.time),
        hasher.place.eq(tile.place),
    ]
    for i, (_, address, word) in enumerate(events):
        m.d.comb += [getattr(hasher, f"address_{i}").eq(address), getattr(hasher, f"data_{i}").eq(word)]
    return hasher.total


def _product(target: Signal, value: Value, multiplier: int):  # type: ignore[no-untyped-def]
    # Both operands are cut to 64 bits: the product modulo 2^64 is one machine instruction in a simulator.
    return target.eq(value[:SIGNATURE_BITS] * Const(multiplier, SIGNATURE_BITS))
