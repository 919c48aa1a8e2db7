"""What multiplies fp16 for a pair of planes: a third array beside the two, of the same rows and the same stagger.

It sees what the tiles send the planes and keeps the weights of both, so that a cell has both bytes of a weight side by
side and the planes stay as they are without it. Sums that leave the top row are rounded there, on their way into the
south path, and move south as fp32.
"""

from collections.abc import Mapping

from amaranth.hdl import Module, Mux, Shape, Signal, Value
from amaranth.lib.wiring import Component, In, Member, Out

from rtl.float.number import FP32
from rtl.mxm.bundle import INDEX_BITS, LOAD_BITS, SUM_BITS
from rtl.mxm.fp16_sum import Dots, Rounds, sum_bits
from rtl.mxm.plane import Bundle, beyond, chain, hop, join, move_south, sum_ports
from rtl.stamp import stamp
from rtl.stream import WORD_BITS
from tsp.config import LANES_PER_SUPERLANE as LANES
from tsp.config import PAIR, ChipConfig

assert SUM_BITS == LANES * FP32.bits
LOADS = {"load": 1, "load_index": INDEX_BITS, "load_data": LOAD_BITS, "install": 1}
"""Ports of a plane's bundle that the third array sees too."""
PAIR_TO_ROW = {
    **{f"plane_{p}_{name}": width for p in range(PAIR) for name, width in LOADS.items()},
    "plane_0_activation": WORD_BITS,
    "pair_activate": 1,
    "pair_adds": 1,
    "pair_activation": WORD_BITS,
}
"""What a row sees: of both planes the weights, of plane 0 the low bytes of activations, and of its own when to
multiply, whether its products count (if not, sums pass it) and the high bytes. All valid in T + 1, as in
:mod:`rtl.mxm.bundle`."""
USES = {
    **{f"plane_{p}_load": (f"plane_{p}_load_index", f"plane_{p}_load_data") for p in range(PAIR)},
    "pair_activate": ("pair_adds", "plane_0_activation", "pair_activation"),
    **{f"plane_{p}_install": () for p in range(PAIR)},
}
"""Flags among these, and the values that each says are used."""
INPUT_BITS = 65_000
"""Amaranth allows a module 65,536 bits of inputs."""
PAIR_FROM_ROW = {"pair_sum": SUM_BITS, "pair_sum_valid": 1}


def tile_side() -> dict[str, Member]:
    """The ports of a tile (or a site) that are the third array's own."""
    ports: dict[str, Member] = {n: Out(width) for n, width in PAIR_TO_ROW.items() if n.startswith("pair_")}
    return ports | {name: In(width) for name, width in PAIR_FROM_ROW.items()}


def array_side(suffix: str = "") -> dict[str, Member]:
    """The ports of a row to its superlane; each name is its name above + ``suffix``."""
    ports: dict[str, Member] = {f"{name}{suffix}": In(width) for name, width in PAIR_TO_ROW.items()}
    return ports | {f"{name}{suffix}": Out(width) for name, width in PAIR_FROM_ROW.items()}


class MxmFp16Cell(Component):
    """The fp16 weights and products of one supercell. Everything happens in the cycle the inputs are given.

    Ports:
        load_<p>, load_data_<p>, install_<p>: those of plane p's supercell; plane 0 has the low bytes of the weights.
        activate, activation_low, activation_high (128): multiply, with what the arrays hold before this cycle's
            installs.
        adds: with ``activate``, whether the products count. Activations of zero would not do: times an infinite weight
            they are NaN.
        psum_in, psum_out: one cycle after ``activate`` the sums with this cell's products (:mod:`rtl.mxm.fp16_sum`),
            or without them, output j's at j times their width. Otherwise psum_out keeps its value.
    """

    module_name = "mxm_fp16_cell"
    latency = 1
    """Cycles from ``activate`` to ``psum_out``."""

    def __init__(self, config: ChipConfig):
        self.config = config
        bits = LANES * sum_bits(config.superlanes)
        ports: dict[str, Member] = {"activate": In(1), "adds": In(1), "psum_in": In(bits), "psum_out": Out(bits)}
        ports |= {f"activation_{half}": In(WORD_BITS) for half in ("low", "high")}
        for p in range(PAIR):
            ports |= {f"load_{p}": In(1), f"load_data_{p}": In(LOAD_BITS), f"install_{p}": In(1)}
        super().__init__(ports)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.dots = dots = stamp(Dots(self.config.superlanes), "dots")
        arrays = []
        for p in range(PAIR):
            buffer = Signal(LOAD_BITS, name=f"buffer_{p}", reset_less=True)
            array = Signal(LOAD_BITS, name=f"array_{p}", reset_less=True)
            with m.If(getattr(self, f"load_{p}")):
                m.d.sync += buffer.eq(getattr(self, f"load_data_{p}"))
            with m.If(getattr(self, f"install_{p}")):
                m.d.sync += array.eq(buffer)
            arrays.append(array)
        psum = Signal(len(self.psum_out), reset_less=True)
        with m.If(self.activate):
            m.d.sync += psum.eq(Mux(self.adds, dots.psum_out, self.psum_in))
        m.d.comb += [
            dots.valid.eq(self.activate & self.adds),
            dots.weights_low.eq(arrays[0]),
            dots.weights_high.eq(arrays[1]),
            dots.activations_low.eq(self.activation_low),
            dots.activations_high.eq(self.activation_high),
            dots.psum_in.eq(self.psum_in),
            self.psum_out.eq(psum),
        ]
        return m


class MxmFp16Row(Component):
    """The cells of one superlane. Ports as those of :class:`rtl.mxm.plane.MxmPlaneRow`: the bundle is that of
    :data:`PAIR_TO_ROW`, sums are wide going north (psum) and fp32 going south."""

    module_name = "mxm_fp16_row"

    def __init__(self, config: ChipConfig):
        self.config = config
        count = config.superlanes
        super().__init__(array_side() | sum_ports(count, LANES * sum_bits(count)))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bundle: Bundle = {name: getattr(self, name) for name in PAIR_TO_ROW}
        for j in range(self.config.superlanes):
            self._place_cell(m, j, bundle)
            m.d.sync += self.psum_valid[j].eq(bundle["pair_activate"])
            if j + 1 < self.config.superlanes:
                onward = bundle | beyond(bundle, "plane_0_") | beyond(bundle, "plane_1_")
                bundle = hop(m, f"hop_{j}", onward, PAIR_TO_ROW, USES)
        taken, taken_valid = move_south(m, self, self.config.superlanes)
        m.d.comb += [self.pair_sum.eq(taken), self.pair_sum_valid.eq(taken_valid)]
        return m

    def _place_cell(self, m: Module, j: int, bundle: Bundle) -> None:
        cell = stamp(MxmFp16Cell(self.config), f"cell_{j}")
        m.submodules[f"cell_{j}"] = cell
        for p in range(PAIR):
            mine = bundle[f"plane_{p}_load_index"] == 0
            m.d.comb += getattr(cell, f"load_{p}").eq(bundle[f"plane_{p}_load"] & mine)
            cell.bind(f"load_data_{p}", bundle[f"plane_{p}_load_data"])
            cell.bind(f"install_{p}", bundle[f"plane_{p}_install"])
        cell.bind("activate", bundle["pair_activate"])
        cell.bind("adds", bundle["pair_adds"])
        cell.bind("activation_low", bundle["plane_0_activation"])
        cell.bind("activation_high", bundle["pair_activation"])
        cell.bind("psum_in", getattr(self, f"psum_in_{j}"))
        m.d.comb += getattr(self, f"psum_out_{j}").eq(cell.psum_out)


class MxmFp16Rows(Component):
    """Some neighbouring rows. Ports: those of :func:`array_side` for each row k from the southernmost, with ``_<k>``
    behind the name, and for sums those of a row: at the bottom psum_in and south_out, at the top psum_out and south_in.

    A largest chip's rows have wires of a million bits between them. Most of them are here, where they are elaborated
    once, and not as often as there are such groups.
    """

    module_name = "mxm_fp16_rows"
    structural = True

    def __init__(self, config: ChipConfig):
        self.config = config
        self.count = rows_together(config)
        ports = {name: port for k in range(self.count) for name, port in array_side(f"_{k}").items()}
        super().__init__(ports | sum_ports(config.superlanes, LANES * sum_bits(config.superlanes)))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        rows = [stamp(MxmFp16Row(self.config), f"row_{k}") for k in range(self.count)]
        for k, row in enumerate(rows):
            m.submodules[f"row_{k}"] = row
            for name in PAIR_TO_ROW:
                row.bind(name, getattr(self, f"{name}_{k}"))
            m.d.comb += [getattr(self, f"{name}_{k}").eq(getattr(row, name)) for name in PAIR_FROM_ROW]
        cells, bottom, top = range(self.config.superlanes), rows[0], rows[-1]
        m.d.comb += [getattr(self, f"psum_out_{j}").eq(getattr(top, f"psum_out_{j}")) for j in cells]
        m.d.comb += [getattr(self, f"south_out_{i}").eq(getattr(bottom, f"south_out_{i}")) for i in cells[1:]]
        m.d.comb += [self.psum_valid.eq(top.psum_valid), self.south_out_valid.eq(bottom.south_out_valid)]
        for j in cells:
            bottom.bind(f"psum_in_{j}", getattr(self, f"psum_in_{j}"))
            top.bind(f"south_in_{j}", getattr(self, f"south_in_{j}"))
        top.bind("south_in_valid", self.south_in_valid)
        chain(rows, len(cells))
        return m


def rows_together(config: ChipConfig) -> int:
    """How many rows a :class:`MxmFp16Rows` has: as many as its inputs may be, and that go into S."""
    sums = sum_ports(config.superlanes, LANES * sum_bits(config.superlanes))
    most = (INPUT_BITS - _inputs(sums)) // _inputs(array_side())
    return max(count for count in range(1, most + 1) if config.superlanes % count == 0)


def _inputs(ports: Mapping[str, Member]) -> int:
    return sum(Shape.cast(port.shape).width for port in ports.values() if port.flow == In)


class MxmFp16Plane(Component):
    """The whole array. Ports: those of :func:`array_side` for each row k, with ``_<k>`` behind the name.

    It is elaborated where it stands, not stamped: on the largest chip a module with all its ports would have more bits
    of inputs than Amaranth allows. ``reset`` is that of its rows, by default that of the place.
    """

    def __init__(self, config: ChipConfig, reset: Signal | None = None):
        self.config = config
        self.reset = reset
        super().__init__({name: port for k in range(config.superlanes) for name, port in array_side(f"_{k}").items()})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        together, count = rows_together(self.config), self.config.superlanes
        groups = []
        for first in range(0, count, together):
            name = f"rows_{first}"
            m.submodules[name] = group = stamp(MxmFp16Rows(self.config), name, self.reset)
            groups.append(group)
            for k in range(together):
                for name in PAIR_TO_ROW:
                    group.bind(f"{name}_{k}", getattr(self, f"{name}_{first + k}"))
                for name in PAIR_FROM_ROW:
                    m.d.comb += getattr(self, f"{name}_{first + k}").eq(getattr(group, f"{name}_{k}"))

        def turn(j: int, psum: Value) -> Value:
            m.submodules[f"rounds_{j}"] = rounds = stamp(Rounds(count), f"rounds_{j}", self.reset)
            rounds.bind("valid", groups[-1].psum_valid[j])
            rounds.bind("psum", psum)
            rounded: Value = rounds.result
            return rounded

        join(groups, count, turn)
        return m
