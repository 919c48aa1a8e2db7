"""A plane: (16·S)×(16·S) weights as S rows of S supercells, one row beside each superlane.

Sums move north with the stagger. A second stagger of two cycles runs along each row, so supercell (k, j) acts k + 2·j
cycles after supercell (0, 0). A sum that leaves the top row turns round and moves south, a row a cycle; row k keeps the
sums of supercell column k.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib.wiring import Component, In, Member, Out

from rtl.mxm.bundle import FROM_ROW, INDEX_BITS, SUM_BITS, TO_ROW, plane_side
from rtl.mxm.supercell import MxmSupercell
from rtl.stamp import Stamp, stamp
from tsp.config import ChipConfig

Bundle = dict[str, Signal]
USES = {"load": ("load_index", "load_data"), "install": (), "activate": ("activation",)}
"""Flags of a plane's bundle, and the values that each says are used."""


class MxmPlaneRow(Component):
    """The supercells of one plane in one superlane.

    Ports (i, j in 0 … S - 1):
        load … activation, sum, sum_valid: to and from the tile, see :mod:`rtl.mxm.bundle`.
        psum_in_<j>, psum_out_<j> (512): sums of supercell j from the row south and to the row north.
        psum_valid (S): bit j says that psum_out_<j> is new.
        south_in_<i> (512), south_in_valid (S): S slots of sums moving south, from the row north or, in the top row, its
            own psum_out.
        south_out_<i> (512), south_out_valid (S): the slots a cycle later, each one slot up; the last one is this row's
            own sum. Slot 0 is always empty.
    """

    module_name = "mxm_plane_row"

    def __init__(self, config: ChipConfig):
        self.config = config
        super().__init__(plane_side() | sum_ports(config.superlanes, SUM_BITS))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bundle = {name: getattr(self, name) for name in TO_ROW}
        for j in range(self.config.superlanes):
            self._place_supercell(m, j, bundle)
            m.d.sync += self.psum_valid[j].eq(bundle["activate"])
            if j + 1 < self.config.superlanes:
                bundle = hop(m, f"hop_{j}", bundle | beyond(bundle), TO_ROW, USES)
        taken, taken_valid = move_south(m, self, self.config.superlanes)
        m.d.comb += [self.sum.eq(taken), self.sum_valid.eq(taken_valid)]
        return m

    def _place_supercell(self, m: Module, j: int, bundle: Bundle) -> None:
        supercell = stamp(MxmSupercell(self.config), f"supercell_{j}")
        m.submodules[f"supercell_{j}"] = supercell
        m.d.comb += supercell.load.eq(bundle["load"] & (bundle["load_index"] == 0))
        for name in ("load_data", "install", "activate", "activation"):
            supercell.bind(name, bundle[name])
        supercell.bind("psum_in", getattr(self, f"psum_in_{j}"))
        m.d.comb += getattr(self, f"psum_out_{j}").eq(supercell.psum_out)


def sum_ports(count: int, bits: int) -> dict[str, Member]:
    """The ports of a row of ``count`` cells for sums: north of ``bits`` bits, and south."""
    ports: dict[str, Member] = {}
    for j in range(count):
        ports |= {f"psum_in_{j}": In(bits), f"psum_out_{j}": Out(bits), f"south_in_{j}": In(SUM_BITS)}
    ports |= {f"south_out_{i}": Out(SUM_BITS) for i in range(1, count)}
    return ports | {"psum_valid": Out(count), "south_in_valid": In(count), "south_out_valid": Out(count)}


def beyond(bundle: Bundle, prefix: str = "") -> dict[str, Value]:
    """What a cell sends on along its row of a load: the index counts down on its way east, 0 is "me"."""
    load, index = bundle[f"{prefix}load"], bundle[f"{prefix}load_index"]
    return {f"{prefix}load": load & (index != 0), f"{prefix}load_index": (index - 1)[:INDEX_BITS]}


def hop(
    m: Module, name: str, bundle: Mapping[str, Value], widths: Mapping[str, int], uses: Mapping[str, Sequence[str]]
) -> Bundle:
    """The bundle two cycles later, with registers ``<name>_a_*`` and ``<name>_b_*``.

    ``uses``: flag → the values that it says are used; others are not loaded.
    """
    for half in "ab":
        registers = {
            key: Signal(width, name=f"{name}_{half}_{key}", reset_less=key not in uses) for key, width in widths.items()
        }
        for flag, values in uses.items():
            m.d.sync += registers[flag].eq(bundle[flag])
            with m.If(bundle[flag]):
                m.d.sync += [registers[value].eq(bundle[value]) for value in values]
        bundle = registers
    return registers


def move_south(m: Module, row: Any, count: int) -> tuple[Value, Value]:
    """The south path of a row: the sums that are its own and whether they are there."""
    valid = Signal(count, name="slot_valid")
    slots = [Signal(SUM_BITS, name=f"slot_{i}", reset_less=True) for i in range(count)]
    m.d.sync += valid.eq(row.south_in_valid)
    for i, slot in enumerate(slots):
        with m.If(row.south_in_valid[i]):
            m.d.sync += slot.eq(getattr(row, f"south_in_{i}"))
    m.d.comb += [getattr(row, f"south_out_{i + 1}").eq(slot) for i, slot in enumerate(slots[:-1])]
    m.d.comb += row.south_out_valid.eq(Cat(Const(0, 1), valid[:-1]))
    return slots[-1], valid[-1]


def chain(rows: list[Stamp], count: int) -> None:
    """Sums of ``count`` supercells north from row to row, and back south."""
    for south, north in zip(rows, rows[1:], strict=False):
        for j in range(count):
            north.bind(f"psum_in_{j}", getattr(south, f"psum_out_{j}"))
        for i in range(1, count):
            south.bind(f"south_in_{i}", getattr(north, f"south_out_{i}"))
        south.bind("south_in_valid", north.south_out_valid)


def join(rows: list[Stamp], count: int, turn: Callable[[int, Value], Value]) -> None:
    """:func:`chain`, with sums that turn round at the top. What enters the bottom row is zero.

    ``turn``: what goes into the south path of what comes out of the top row's supercell j.
    """
    chain(rows, count)
    top = rows[-1]
    for j in range(count):
        top.bind(f"south_in_{j}", turn(j, getattr(top, f"psum_out_{j}")))
    top.bind("south_in_valid", top.psum_valid)


class MxmPlane(Component):
    """A whole plane. Ports: those of :mod:`rtl.mxm.bundle` for each row k, with ``_<k>`` behind the name."""

    module_name = "mxm_plane"
    structural = True

    def __init__(self, config: ChipConfig):
        self.config = config
        super().__init__({name: port for k in range(config.superlanes) for name, port in plane_side(f"_{k}").items()})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        rows = [stamp(MxmPlaneRow(self.config), f"row_{k}") for k in range(self.config.superlanes)]
        for k, row in enumerate(rows):
            m.submodules[f"row_{k}"] = row
            for name in TO_ROW:
                row.bind(name, getattr(self, f"{name}_{k}"))
            m.d.comb += [getattr(self, f"{name}_{k}").eq(getattr(row, name)) for name in FROM_ROW]
        join(rows, self.config.superlanes, lambda j, psum: psum)
        return m
