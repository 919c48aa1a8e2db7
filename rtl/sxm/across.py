"""The part of an SXM that crosses superlanes: PERMUTE and SHIFT, one module for a hemisphere.

Superlane k's bytes come k cycles after superlane 0's. They wait for the northernmost, are moved all at once, and leave
with the stagger they came with.
"""

from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.wiring import Component, In, Out

from rtl.stamp import stamp
from rtl.stream import WORD_BITS, gated
from rtl.sxm.bundle import CONTROL_BITS, UNITS, across_side
from tsp.config import LANES_PER_SUPERLANE as LANES
from tsp.config import ChipConfig


class SxmAcross(Component):
    """Ports: those of :mod:`rtl.sxm.bundle` for each superlane k, ``<u>_…_<k>``."""

    module_name = "sxm_across"

    def __init__(self, config: ChipConfig):
        self.config = config
        super().__init__({name: port for k in range(config.superlanes) for name, port in across_side(k).items()})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for unit in UNITS:
            self._unit(m, unit)
        return m

    def _unit(self, m: Module, unit: str) -> None:
        rows = range(self.config.superlanes)
        last = self.config.superlanes - 1
        sources, others, sends, valid, control = [], [], [], Const(0), Const(0)
        for k in rows:
            now = getattr(self, f"{unit}_valid_{k}")
            inputs = [getattr(self, f"{unit}_{name}_{k}") for name in ("source", "with", "control")]
            late, (source, other, late_control) = delayed(m, f"{unit}_{k}", now, inputs, last - k)
            # Superlane 0 always sends; bytes of one that is not powered count as zero.
            sources.append(gated(late, source) if k else source)
            others.append(other)
            sends.append(late)
            if k == 0:
                valid, control = late, late_control
        moved = Signal(len(rows) * WORD_BITS, name=f"{unit}_moved", reset_less=True)
        bad = Signal(name=f"{unit}_bad")
        source = Signal(len(moved), name=f"{unit}_whole")
        m.d.comb += source.eq(Cat(sources))
        good: Value = Const(1)
        if unit == "permute":
            result, good = self._permute(m, sends, source, others)
        else:
            m.submodules[unit] = placed = stamp(Shifter(self.config.lanes), unit)
            m.d.comb += [placed.valid.eq(valid), placed.select.eq(Cat(others)), placed.control.eq(control)]
            placed.bind("source", source)
            result = placed.moved
        done = Signal(name=f"{unit}_done")
        m.d.sync += [done.eq(valid), bad.eq(valid & ~good)]
        with m.If(valid):
            m.d.sync += moved.eq(result)
        for k in rows:
            word = moved[k * WORD_BITS : (k + 1) * WORD_BITS]
            _, (leaving,) = delayed(m, f"{unit}_out_{k}", done, [word], k)
            m.d.comb += getattr(self, f"{unit}_result_{k}").eq(leaving)
            if unit == "permute":
                late_bad, _ = delayed(m, f"{unit}_bad_{k}", bad, [], k)
                m.d.comb += getattr(self, f"bad_map_{k}").eq(late_bad)

    def _permute(
        self, m: Module, sends: Sequence[Value], source: Signal, maps: Sequence[Value]
    ) -> tuple[Value, Value]:
        """(the result, whether the map names every lane of the superlanes that send once)."""
        rows = [stamp(PermuteRow(self.config.lanes), f"row_{k}") for k in range(len(maps))]
        for k, (row, map_, valid) in enumerate(zip(rows, maps, sends, strict=True)):
            m.submodules[f"row_{k}"] = row
            row.bind("source", source)
            m.d.comb += [row.valid.eq(valid), row.low.eq(map_[:WORD_BITS]), row.high.eq(map_[WORD_BITS:])]
        named: Value = Const(0, self.config.lanes)
        for row in rows:
            named = named | row.named
        complete = [named.word_select(k, LANES).all() for k in range(len(rows))]
        good = Cat(complete[0], *(done | ~valid for done, valid in zip(complete[1:], sends[1:], strict=True)))
        return Cat(row.taken for row in rows), good.all()


def delayed(m: Module, name: str, valid: Value, values: Sequence[Value], cycles: int) -> tuple[Value, list[Value]]:
    """``valid`` and ``values`` some cycles later; the values load only when they are valid."""
    found = list(values)
    for stage in range(cycles):
        later = Signal(name=f"{name}_valid_{stage}")
        m.d.sync += later.eq(valid)
        registers = [Signal(len(v), name=f"{name}_{stage}_{i}", reset_less=True) for i, v in enumerate(found)]
        with m.If(valid):
            m.d.sync += [register.eq(value) for register, value in zip(registers, found, strict=True)]
        valid, found = later, list(registers)
    return valid, found


class PermuteRow(Component):
    """PERMUTE for the lanes of one superlane: 16 bytes of the whole vector. Combinational; all zero unless ``valid``.

    A module of its own, with everything inside an ``if``, so that a simulator computes only when there is something to
    permute, and so that it is written once.

    Ports:
        source (128·S): the vector; low, high (128): the map's two planes.
        taken (128): lane l is byte map[l], zero beyond the vector.
        named (16·S): the lanes that the map names.
    """

    module_name = "sxm_permute_row"
    structural = True

    def __init__(self, lanes: int):
        self.lanes = lanes
        ports = {"valid": In(1), "source": In(8 * lanes), "low": In(WORD_BITS), "high": In(WORD_BITS)}
        super().__init__(ports | {"taken": Out(WORD_BITS), "named": Out(lanes)})

    def elaborate(self, platform: object) -> Module:
        m, bits = Module(), (self.lanes - 1).bit_length()
        named: Value = Const(0, self.lanes)
        for lane in range(LANES):
            index = Cat(self.low.word_select(lane, 8), self.high.word_select(lane, 8))
            inside = index < self.lanes
            with m.If(self.valid & inside):
                m.d.comb += self.taken.word_select(lane, 8).eq(self.source.word_select(index[:bits], 8))
            named = named | Mux(inside, (Const(1, self.lanes) << index[:bits])[: self.lanes], 0)
        with m.If(self.valid):
            m.d.comb += self.named.eq(named)
        return m


class Shifter(Component):
    """SHIFT of a whole vector. Combinational; all zero unless ``valid``; a module of its own like :class:`PermuteRow`.

    Ports: source, select, moved (128·S); control: see :mod:`rtl.sxm.bundle`.
    """

    module_name = "sxm_shifter"
    structural = True

    def __init__(self, lanes: int):
        self.lanes = lanes
        ports = {"valid": In(1), "source": In(8 * lanes), "select": In(8 * lanes), "control": In(CONTROL_BITS)}
        super().__init__(ports | {"moved": Out(8 * lanes)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        n, down, selects = self.control[:16], self.control[16], self.control[17]
        distance = Cat(Const(0, 3), n[: self.lanes.bit_length()])
        shifted = Signal(8 * self.lanes)
        with m.If(self.valid):
            with m.If(down):
                m.d.comb += shifted.eq(self.source >> distance)
            with m.Else():
                m.d.comb += shifted.eq((self.source << distance)[: 8 * self.lanes])
            m.d.comb += self.moved.eq(shifted)
            with m.If(selects):
                chosen = (self.select.word_select(lane, 8).any() for lane in range(self.lanes))
                pairs = ((bit, *(v.word_select(i, 8) for v in (shifted, self.source))) for i, bit in enumerate(chosen))
                m.d.comb += self.moved.eq(Cat(Mux(bit, new, old) for bit, new, old in pairs))
        return m
