"""One ALU of the VXM in one superlane: 16 lanes of int32 arithmetic between streams."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib.wiring import Component, In, Member, Out

from rtl import stream, tile
from rtl.stream import RESIDUES, WORD_BITS, gated
from rtl.trace import EventHasher
from rtl.vxm.lane import controls, lane
from rtl.vxm.operands import Streams, by_row, choices_of, lanes_of, nonzero_bytes, operand_bits, read_port, sources
from tsp.config import LANES_PER_SUPERLANE, ChipConfig
from tsp.isa import INTEGER_TYPES, Type

RESULT_BITS = RESIDUES * WORD_BITS
"""16 int32 numbers as four byte planes: lane l's byte p is bits 128·p + 8·l …"""


class VxmAlu(Component):
    """Reads its operands in T and computes in T + 1, where drive and result are valid. Illegal words never reach it.

    Ports beside those of every tile; R is ``vxm_rows``:
        e_<i>, w_<i> (word), e_present, w_present: in T, the streams that arrive at the site.
        previous_<r> (512 bits, four byte planes), previous_valid (R): in T, results of the stage before, by row.
        result (512), result_valid: in T + 1, the same of this ALU, for instructions with ``to_next``.
        drive_mask (2·streams), drive_word_0 … _3: in T + 1; stream s takes word s mod 4. Words not driven are
            arbitrary.
        drive_valid: whether the mask is not zero.
        event_sum (64): sum of the hashes of this ALU's events, with feature ``trace``.
    """

    module_name = "vxm_alu"

    def __init__(self, config: ChipConfig):
        self.config = config
        word = stream.stream_word(config)
        ports: dict[str, Member] = {f"{side}_{i}": In(word) for side in "ew" for i in range(config.streams)}
        ports |= {f"previous_{row}": In(RESULT_BITS) for row in range(config.vxm_rows)}
        ports |= {f"drive_word_{i}": Out(word) for i in range(RESIDUES)}
        ports |= {"e_present": In(config.streams), "w_present": In(config.streams)}
        ports |= {"previous_valid": In(config.vxm_rows), "result": Out(RESULT_BITS), "result_valid": Out(1)}
        ports |= {"drive_mask": Out(2 * config.streams), "drive_valid": Out(1)}
        ports |= tile.instruction_ports("vxm") | tile.fault_ports() | tile.place_ports()
        if config.trace:
            ports["event_sum"] = Out(tile.SIGNATURE_BITS)
        super().__init__(ports)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        tile.move_north(m, self)
        raw = self._read(m)
        results = self._compute(m, *raw)
        planes = self._drive(m, results)
        if self.config.trace:
            self._trace(m, planes)
        return m

    def _read(self, m: Module) -> list[Signal]:
        """Cycle T: the ports' registers load, and absent operands are found."""
        east, west = ([Value.cast(word) for word in stream.words(self, side, self.config)] for side in "ew")
        streams = Streams(east, west, self.e_present, self.w_present)
        previous = [getattr(self, f"previous_{row}") for row in range(self.config.vxm_rows)]
        x, y, z = sources(self.instr)
        x_words, y_words, z_words = (
            streams.group(m, name, source, self.instr_valid) for name, source in (("x", x), ("y", y), ("z", z))
        )
        nonzero = [nonzero_bytes(result) for result in previous]
        raw = [
            read_port(m, "x", self.instr_valid, x, Cat(x_words), previous),
            read_port(m, "y", self.instr_valid, y, Cat(y_words), previous),
            read_port(m, "z", self.instr_valid, z, Cat(nonzero_bytes(word) for word in z_words), nonzero),
        ]
        lost = [source.alu & ~by_row(list(self.previous_valid), source.source) for source in (x, y, z)]
        absent = Cat(*lost, *(streams.absent(source) for source in (x, y, z))).any()
        condition = (gated(self.instr_valid, absent), tile.OPERAND_ABSENT)
        tile.pulse_fault(m, self.fault_valid, self.fault_kind, [condition])
        return raw

    def _compute(self, m: Module, x_raw: Signal, y_raw: Signal, z_raw: Signal) -> list[Signal]:
        """Cycle T + 1: 16 results in int32."""
        word, valid = self.north, self.north_valid
        immediate = operand_bits(word, "immediate")
        x_source, y_source, z_source = (source.when(valid) for source in sources(word))
        do = controls(m, valid, word, operand_bits(word, "saturate"))
        x, y = lanes_of(m, "x", x_source, x_raw, immediate), lanes_of(m, "y", y_source, y_raw, immediate)
        z = choices_of(z_source, z_raw, immediate)
        bits = self.config.vxm_mul_bits
        return [lane(m, str(i), do, x[i], y[i], z[i], bits) for i in range(LANES_PER_SUPERLANE)]

    def _drive(self, m: Module, results: list[Signal]) -> list[Signal]:
        """Cycle T + 1: results as byte planes, for the next stage and, in the stream's type, for a stream."""
        word = self.north
        kind = operand_bits(word, "type")
        int8, int16, int32 = (kind == t for t in INTEGER_TYPES)
        m.d.comb += self.result_valid.eq(self.north_valid & operand_bits(word, "to_next"))
        m.d.comb += self.result.eq(gated(self.result_valid, Cat(_planes(results))))
        m.d.comb += self.drive_valid.eq(self.north_valid & operand_bits(word, "to_stream"))
        saturate = self.drive_valid & operand_bits(word, "saturate")
        typed = [_narrow(m, i, saturate & int8, saturate & int16, result) for i, result in enumerate(results)]
        planes = [Signal(WORD_BITS, name=f"plane_{i}") for i in range(RESIDUES)]
        for plane, value in zip(planes, _planes(typed), strict=True):
            m.d.comb += plane.eq(gated(self.drive_valid, value))
        # A narrow result starts at any stream of its alignment, so every word it may fall on carries it.
        m.d.comb += [
            self.drive_word_0.eq(planes[0]),
            self.drive_word_1.eq(Mux(int8, planes[0], planes[1])),
            self.drive_word_2.eq(Mux(int32, planes[2], planes[0])),
            self.drive_word_3.eq(Mux(int32, planes[3], Mux(int16, planes[1], planes[0]))),
        ]
        operand = operand_bits(word, "stream")
        masks = [stream.drive_mask(operand, t.planes, self.config) for t in INTEGER_TYPES]
        mask = Mux(int32, masks[2], Mux(int16, masks[1], masks[0]))
        m.d.comb += self.drive_mask.eq(gated(self.drive_valid, mask))
        return planes

    def _trace(self, m: Module, planes: list[Signal]) -> None:
        m.submodules.hasher = hasher = EventHasher(RESIDUES)
        kind, operand = operand_bits(self.north, "type"), operand_bits(self.north, "stream")
        wide, half = kind == Type.INT32, kind == Type.INT16
        events = Cat(self.drive_valid, self.drive_valid & (half | wide), *[self.drive_valid & wide] * 2)
        m.d.comb += [hasher.valid.eq(events), hasher.time.eq(self.time), hasher.place.eq(self.place)]
        for i, plane in enumerate(planes):
            # The first stream is a multiple of the number of planes.
            m.d.comb += getattr(hasher, f"address_{i}").eq(operand | i)
            m.d.comb += getattr(hasher, f"data_{i}").eq(plane)
        m.d.comb += self.event_sum.eq(hasher.total)


def _planes(numbers: list[Value]) -> list[Value]:
    """Byte plane p of 16 numbers: byte p of each, lane 0 lowest."""
    return [Cat(number[8 * p : 8 * p + 8] for number in numbers) for p in range(RESIDUES)]


def _narrow(m: Module, lane: int, to_int8: Value, to_int16: Value, number: Value) -> Value:
    """``number``, of which the low byte (``to_int8``) or two (``to_int16``) are made the nearest of that type."""
    above_8, above_16, negative = number[7:], number[15:], number[-1]
    cut_8, cut_16 = Signal(name=f"cut_8_{lane}"), Signal(name=f"cut_16_{lane}")
    m.d.comb += cut_8.eq(to_int8 & above_8.any() & ~above_8.all())
    m.d.comb += cut_16.eq(to_int16 & above_16.any() & ~above_16.all())
    magnitude, sign = (~negative).replicate(7), negative
    low = Mux(cut_8, Cat(magnitude, sign), Mux(cut_16, (~negative).replicate(8), number[:8]))
    return Cat(low, Mux(cut_16, Cat(magnitude, sign), number[8:16]), number[16:])
