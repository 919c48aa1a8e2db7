"""The edge site of a hemisphere in one superlane: the SRs it drives and the tiles of its planes."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.wiring import Component, In, Out

from rtl import stream, tile
from rtl.mxm import fp16_plane
from rtl.mxm.bundle import FROM_ROW, TO_ROW, tile_side
from rtl.mxm.tile import KINDS, MxmTile, powered_ports
from rtl.stamp import Stamp, stamp
from tsp.config import PAIR, ChipConfig
from tsp.isa import GROUP16


class MxmSite(Component):
    """An edge of the chip; one module serves both hemispheres. Queue 3·p + n is that of kind n of plane p.

    It reads the streams that arrive (``in``) and drives those that leave towards the middle of the chip (``out``). The
    machine refuses MXM instructions with a stream of the other direction, so the direction is not looked at here.

    Ports: docs/rtl.md, "Site", ``powered`` (:func:`rtl.mxm.tile.powered_ports`), and for each plane p ``plane_<p>_`` +
    the names of :mod:`rtl.mxm.bundle`.
    """

    def __init__(self, config: ChipConfig, planes: int):
        self.config = config
        self.planes = planes
        ports = stream.edge_stream_ports(config)
        ports |= tile.site_instruction_ports([f"mxm_{kind}" for _ in range(planes) for kind in KINDS])
        ports |= tile.place_ports() | tile.host_ports(config) | tile.site_fault_ports() | {"stream_event": Out(1)}
        ports |= tile.corrected_ports(config) | powered_ports(config)
        for plane in range(planes):
            ports |= tile_side(f"plane_{plane}_")
        self.pair = config.mxm_fp16 and planes == PAIR
        super().__init__(ports | (fp16_plane.tile_side() if self.pair else {}))

    @property
    def module_name(self) -> str:
        """One module for each number of planes."""
        return f"mxm_site_{self.planes}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        tiles = [stamp(MxmTile(self.config, self.pair and not p), f"tile_{p}") for p in range(self.planes)]
        for p, mxm_tile in enumerate(tiles):
            m.submodules[f"tile_{p}"] = mxm_tile
            self._connect(m, mxm_tile, p)
            self._read_streams(m, mxm_tile, f"activations_{p}")
        drives = [stream.Drive(t.drive_mask, _words(t), _queue(p, "accumulate")) for p, t in enumerate(tiles)]
        if drives:
            words = stream.words(self, "out", self.config)
            flips = stream.flips_of(self, self.config)
            if flips is not None:
                # Of either direction: an edge drives one.
                either = flips.streams[: self.config.streams] | flips.streams[self.config.streams :]
                flips = stream.Flips(either, flips.bits)
            stream.hop(m, None, Const(0, self.config.streams), words, self.out_present, drives, 0, flips)
        faults = list(stream.collisions(m, drives))
        if self.pair:
            faults.append(self._connect_pair(m, tiles))
        faults += [_absent(mxm_tile, p, kind) for p, mxm_tile in enumerate(tiles) for kind in KINDS]
        if self.config.ecc:
            kind = Const(tile.ECC_UNCORRECTABLE, tile.KIND_BITS)
            for p, mxm_tile in enumerate(tiles):
                queues = [Const(_queue(p, name), tile.QUEUE_BITS) for name in KINDS[:2]]
                faults += [stream.Fault(mxm_tile.uncorrectable[n], queue, kind) for n, queue in enumerate(queues)]
            tile.sum_corrected(m, self, tiles)
        tile.report_fault(m, self, sorted(faults, key=lambda fault: (fault.queue.value, fault.kind.value)))
        tile.host_to_tiles(m, self, tiles, self.config)
        m.d.comb += self.stream_event.eq(Cat(mxm_tile.drive_valid for mxm_tile in tiles).any())
        return m

    def _connect(self, m: Module, mxm_tile: Stamp, p: int) -> None:
        for kind in KINDS:
            tile.connect_instruction(m, self, mxm_tile, str(_queue(p, kind)), kind)
        m.d.comb += [mxm_tile.time.eq(self.time), mxm_tile.place.eq(self.place + p)]
        m.d.comb += [getattr(mxm_tile, name).eq(getattr(self, name)) for name in powered_ports(self.config)]
        m.d.comb += [getattr(self, f"plane_{p}_{name}").eq(getattr(mxm_tile, name)) for name in TO_ROW]
        m.d.comb += [getattr(mxm_tile, name).eq(getattr(self, f"plane_{p}_{name}")) for name in FROM_ROW]

    def _connect_pair(self, m: Module, tiles: list[Stamp]) -> stream.Fault:
        """The array of fp16, and the fault of an ABC of plane 1 while both planes multiply."""
        lead, other = tiles
        of_pair = self._multiplies(lead) & tile.is_any(lead.instr_activations, "ABC_FP16")
        shared = Signal()
        m.d.sync += shared.eq(of_pair & other.instr_activations_valid)
        words = stream.words(self, "in", self.config)[1::PAIR]
        index = tile.operand(lead.instr_activations, "ABC_FP16", "stream")[1 : (self.config.streams - 1).bit_length()]
        m.d.comb += lead.activations_high.eq(stream.choose(m, "activations_high", of_pair, index, words))
        for name, member in fp16_plane.tile_side().items():
            inner, outer = getattr(lead, name), getattr(self, name)
            m.d.comb += inner.eq(outer) if member.flow == In else outer.eq(inner)
        return stream.Fault(
            shared, Const(_queue(0, "activations"), tile.QUEUE_BITS), Const(stream.COLLISION, tile.KIND_BITS)
        )

    def _read_streams(self, m: Module, mxm_tile: Stamp, name: str) -> None:
        words = stream.words(self, "in", self.config)
        loads = mxm_tile.instr_weights_valid & tile.is_any(mxm_tile.instr_weights, "LW", "LW_IW")
        group = tile.operand(mxm_tile.instr_weights, "LW", "stream")[GROUP16.bit_length() - 1 :]
        columns = [stream.gated(loads, stream.select(words[j::GROUP16], group)) for j in range(GROUP16)]
        index = tile.operand(mxm_tile.instr_activations, "ABC", "stream")[: (self.config.streams - 1).bit_length()]
        m.d.comb += [
            mxm_tile.weights.eq(Cat(columns)),
            mxm_tile.weights_present.eq(self._present(group, GROUP16)),
            mxm_tile.activations.eq(stream.choose(m, name, self._multiplies(mxm_tile), index, words)),
            mxm_tile.activations_present.eq(self._activations_present(mxm_tile, index)),
        ]

    def _multiplies(self, mxm_tile: Stamp) -> Value:
        valid: Value = mxm_tile.instr_activations_valid
        return valid & self.powered if self.config.superlanes > 1 else valid

    def _activations_present(self, mxm_tile: Stamp, index: Value) -> object:
        if not hasattr(mxm_tile, "activations_high"):
            return self._present(index, 1)
        of_pair = tile.is_any(mxm_tile.instr_activations, "ABC_FP16")
        return Mux(of_pair, self._present(index[1:], PAIR), self._present(index, 1))

    def _present(self, group: object, size: int) -> object:
        """Whether all streams of group number ``group`` hold a value; it may have more bits than there are groups."""
        groups = [self.in_present[g * size : (g + 1) * size].all() for g in range(self.config.streams // size)]
        return stream.select(groups, group)


def _queue(plane: int, kind: str) -> int:
    return len(KINDS) * plane + KINDS.index(kind)


def _absent(mxm_tile: Stamp, plane: int, kind: str) -> stream.Fault:
    queue = Const(_queue(plane, kind), tile.QUEUE_BITS)
    return stream.Fault(mxm_tile.fault_valid[KINDS.index(kind)], queue, Const(tile.OPERAND_ABSENT, tile.KIND_BITS))


def _words(mxm_tile: Stamp) -> list[object]:
    return [getattr(mxm_tile, f"drive_word_{i}") for i in range(stream.RESIDUES)]
