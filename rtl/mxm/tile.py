"""The tile of one plane in one superlane: decodes, feeds the plane row, accumulates what comes back."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component, In, Member, Out

from rtl import beats, stream, tile
from rtl.ecc import Checks, coded
from rtl.mxm import fp16_plane
from rtl.mxm.bundle import SUM_BITS, tile_side
from rtl.mxm.fp16_sum import Adds
from rtl.stamp import stamp
from rtl.trace import EventHasher
from tsp import isa
from tsp.config import LANES_PER_SUPERLANE as LANES
from tsp.config import ChipConfig

KINDS = ("weights", "activations", "accumulate")
"""The three queues of a plane, in queue order; also the prefixes of their ports."""
RESULT_PLANES = 4


def powered_ports(config: ChipConfig) -> dict[str, Member]:
    """``powered``: in T of an ABC, whether this superlane is. If not, it adds nothing to the sums that pass it. Absent
    in a chip of one superlane. Other instructions do not come to a superlane that is not powered."""
    return {"powered": In(1)} if config.superlanes > 1 else {}


class MxmTile(Component):
    """Obeys LW, IW, LW_IW, ABC and ACC. The two operands are read in T, the bundle and the drive are valid in T + 1.

    Ports beside those of every tile (instruction ports have the prefixes of :data:`KINDS`):
        weights (16 words), weights_present: in T of an LW, its sixteen streams, the lowest first, all present.
        activations (word), activations_present: in T of an ABC, its stream; of fp16 the low bytes, both streams there.
        activations_high (word): of a tile that ``leads``, in T of an ABC of fp16, the high bytes.
        powered: see :func:`powered_ports`. Both words of activations are zero without.
        load … activation, sum, sum_valid: to and from the plane row, see :mod:`rtl.mxm.bundle`.
        drive_mask (streams): the streams driven, all of the one direction an edge site drives; zero without a drive.
        drive_word_0 … _3: byte planes 0 … 3 of the sixteen int32 results, lane l in bits 8·l …. In T + 1.
        drive_valid: whether the mask is not zero.
        fault_valid (3): operand absent, of weights, activations and accumulate; in T + 1.
        pair_activate, pair_adds, pair_activation, pair_sum, pair_sum_valid: of plane 0 of a pair, see
            :mod:`rtl.mxm.fp16_plane`.
        uncorrectable (2), corrected: in T + 1, what the check bits of the two operands told, with feature ``ecc``.
    """

    def __init__(self, config: ChipConfig, leads: bool = False):
        self.config = config
        self.leads = leads
        self.module_name = "mxm_tile_fp16" if leads else "mxm_tile"
        word_bits = stream.stream_word(config).size
        ports = {"weights": In(LANES * word_bits), "weights_present": In(1)}
        ports |= {"activations": In(word_bits), "activations_present": In(1)}
        ports |= {"activations_high": In(word_bits)} | fp16_plane.tile_side() if leads else {}
        ports |= tile.corrected_ports(config) | ({"uncorrectable": Out(2)} if config.ecc else {})
        ports |= powered_ports(config)
        for kind in KINDS:
            ports |= tile.instruction_ports(f"mxm_{kind}", kind)
        ports |= {f"drive_word_{i}": Out(stream.stream_word(config)) for i in range(stream.RESIDUES)}
        super().__init__(
            ports
            | tile_side()
            | tile.place_ports()
            | tile.host_ports(config)
            | {"drive_mask": Out(config.streams), "drive_valid": Out(1), "fault_valid": Out(len(KINDS))}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for kind in KINDS:
            tile.move_north(m, self, kind)
        self._weights(m, weights := Checks(m, self.config))
        self._activations(m, activations := Checks(m, self.config))
        if self.config.ecc:
            wrong = Cat(Cat(checks.uncorrectable).any() for checks in (weights, activations))
            m.d.sync += [self.corrected.eq(weights.count + activations.count), self.uncorrectable.eq(wrong)]
        self._accumulate(m)
        if self.config.trace:
            tile.answer_signature(m, self, self._trace(m))
        return m

    def _weights(self, m: Module, checks: Checks) -> None:
        valid, instr = self.instr_weights_valid, self.instr_weights
        load = Signal()
        m.d.comb += load.eq(valid & tile.is_any(instr, "LW", "LW_IW"))
        m.d.sync += self.load.eq(load)
        m.d.sync += self.install.eq(valid & tile.is_any(instr, "IW", "LW_IW"))
        m.d.sync += self.fault_valid[0].eq(load & ~self.weights_present)
        index = stream.unreset_register(m, self.load_index)
        data = stream.unreset_register(m, self.load_data)
        count, word_bits = self.config.beats, len(self.weights) // LANES
        words = (self.weights.word_select(j, word_bits) for j in range(LANES))
        there = load & self.weights_present
        words = (checks.data(f"weights_{j}", there, word) for j, word in enumerate(words))
        weights = Cat(beats.whole(m, f"weights_{j}", count, word) for j, word in enumerate(words))
        with m.If(load):
            m.d.sync += [index.eq(tile.operand(instr, "LW", "supercell")), data.eq(weights)]

    def _activations(self, m: Module, checks: Checks) -> None:
        # The queue has one instruction, ABC; in a pair's plane 0 that of fp16 too.
        valid = self.instr_activations_valid
        reads = valid & self.powered if self.config.superlanes > 1 else valid
        if self.leads:
            self._activations_of_pair(m, checks, reads)
            m.d.sync += self.activate.eq(valid & ~tile.is_any(self.instr_activations, "ABC_FP16"))
        else:
            m.d.sync += self.activate.eq(valid)
        m.d.sync += self.fault_valid[1].eq(reads & ~self.activations_present)
        activation = stream.unreset_register(m, self.activation)
        data = checks.data("activations", reads & self.activations_present, self.activations)
        vector = beats.whole(m, "activations", self.config.beats, data)
        with m.If(valid):
            m.d.sync += activation.eq(vector)

    def _activations_of_pair(self, m: Module, checks: Checks, reads: Value) -> None:
        """ABC of fp16: the low bytes are those of an ABC, the high ones go to the pair's array alone."""
        of_pair = Signal()
        m.d.comb += of_pair.eq(self.instr_activations_valid & tile.is_any(self.instr_activations, "ABC_FP16"))
        m.d.sync += self.pair_activate.eq(of_pair)
        high = stream.unreset_register(m, self.pair_activation)
        data = checks.data("activations_high", of_pair & reads & self.activations_present, self.activations_high)
        vector = beats.whole(m, "activations_high", self.config.beats, data)
        adds = stream.unreset_register(m, self.pair_adds)
        with m.If(of_pair):
            m.d.sync += [high.eq(vector), adds.eq(reads)]

    def _accumulate(self, m: Module) -> None:
        """The row is read in T; in T + 1 the sum is there, the value is driven and the row written."""
        valid, instr = self.instr_accumulate_valid, self.instr_accumulate
        row_bits = (self.config.acc_depth - 1).bit_length()
        row = tile.operand(instr, "ACC", "row")[:row_bits]
        accumulating = Signal()
        written_row = Signal(row_bits, reset_less=True)
        mode = Signal(isa.AccMode, reset_less=True)
        m.d.sync += accumulating.eq(valid)
        with m.If(valid):
            m.d.sync += [written_row.eq(row), mode.eq(tile.operand(instr, "ACC", "mode"))]
        m.submodules.rows = rows = Memory(shape=SUM_BITS, depth=self.config.acc_depth, init=[])
        reader = rows.read_port()
        writer = rows.write_port()
        result = Signal(SUM_BITS)
        adds = (mode == isa.AccMode.ADD) | (mode == isa.AccMode.PEEK)
        stored = self._forward(m, valid, row, reader.data, writer)
        value = _add_elements(stream.gated(adds, stored), self.sum)
        present = self.sum_valid
        if self.leads:
            value = Mux(self.pair_sum_valid, self._of_pair(m, accumulating & adds, adds, stored), value)
            present = self.sum_valid | self.pair_sum_valid
        m.d.comb += [
            reader.en.eq(valid),
            reader.addr.eq(row),
            result.eq(stream.gated(accumulating, value)),
            writer.en.eq(accumulating & ((mode == isa.AccMode.STORE) | (mode == isa.AccMode.ADD))),
            writer.addr.eq(written_row),
            writer.data.eq(result),
            self.fault_valid[2].eq(accumulating & ~present),
        ]
        for plane in range(RESULT_PLANES):
            octets = [result[32 * lane + 8 * plane : 32 * lane + 8 * plane + 8] for lane in range(LANES)]
            word = coded(m, f"drive_{plane}", self.config, self.drive_valid, beats.part(self.config.beats, Cat(octets)))
            m.d.comb += getattr(self, f"drive_word_{plane}").eq(word)
        self._drive(m, valid & tile.operand(instr, "ACC", "out"), tile.operand(instr, "ACC", "stream"))

    def _of_pair(self, m: Module, adding: Value, adds: Value, stored: Value) -> Value:
        """The value of an ACC that takes fp32 sums."""
        m.submodules.adds = unit = stamp(Adds(), "adds")
        m.d.comb += [unit.valid.eq(adding & self.pair_sum_valid), unit.x.eq(stored), unit.y.eq(self.pair_sum)]
        return Mux(adds, unit.result, self.pair_sum)

    def _forward(self, m: Module, valid: Value, row: Value, read: Value, writer: Any) -> Value:
        """The row that was read, or what was written to it in the cycle it was read in, by the ACC just before."""
        forward = Signal()
        forwarded = Signal(SUM_BITS, reset_less=True)
        same = writer.en & (writer.addr == row)
        with m.If(valid):
            m.d.sync += forward.eq(same)
            with m.If(same):
                m.d.sync += forwarded.eq(writer.data)
        return Mux(forward, forwarded, read)

    def _drive(self, m: Module, drives: Value, operand: Value) -> None:
        m.d.sync += [self.drive_valid.eq(drives), self.drive_mask.eq(0)]
        with m.If(drives):
            index = operand[: (self.config.streams - 1).bit_length()]
            m.d.sync += self.drive_mask.eq(Const((1 << RESULT_PLANES) - 1, RESULT_PLANES) << index)

    def _trace(self, m: Module) -> Value:
        """The tile's signature over its drives, which are hashed in T + 1."""
        m.submodules.hasher = hasher = EventHasher(RESULT_PLANES, beat_count=self.config.beats)
        first = Signal(8, reset_less=True)
        with m.If(self.instr_accumulate_valid):
            m.d.sync += first.eq(tile.operand(self.instr_accumulate, "ACC", "stream"))
        m.d.comb += [
            hasher.valid.eq(self.drive_valid.replicate(RESULT_PLANES)),
            hasher.time.eq(self.time),
            hasher.place.eq(self.place),
        ]
        for plane in range(RESULT_PLANES):
            # A group of four begins at a multiple of four, so the stream's number is its low bits.
            m.d.comb += getattr(hasher, f"address_{plane}").eq(Cat(Const(plane, 2), first[2:]))
            m.d.comb += getattr(hasher, f"data_{plane}").eq(getattr(self, f"drive_word_{plane}"))
        return hasher.total


def _add_elements(a: Value, b: Value) -> Value:
    """Sixteen int32 sums, each modulo 2^32."""
    return Cat((a.word_select(i, 32) + b.word_select(i, 32))[:32] for i in range(LANES))
