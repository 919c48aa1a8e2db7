"""One ALU of the VXM in one superlane: 16 lanes of int32 (with ``vxm_float`` also fp32) between streams."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.wiring import Component, In, Member, Out

from rtl import stream, tile
from rtl.ecc import Checks, coded
from rtl.stamp import stamp
from rtl.stream import RESIDUES, WORD_BITS
from rtl.trace import EventHasher
from rtl.vxm.decode import Decoded, Source, decode, is_half, is_wide, operand_bits, sources
from rtl.vxm.float_decode import CONTROLS, float_controls, float_lines
from rtl.vxm.float_lane import HALF_BITS, FloatLanes
from rtl.vxm.lane import INT_BITS, lane, lazily
from rtl.vxm.operands import Streams, by_row, choices_of, lanes_of, read_port
from tsp.config import ChipConfig
from tsp.isa import Type


def result_bits(config: ChipConfig) -> int:
    """16 int32 numbers in one beat, as four byte planes: lane l's byte p is bits 128·p + 8·l …, with one beat."""
    return RESIDUES * WORD_BITS // config.beats


class VxmAlu(Component):
    """Reads its operands in T and computes in T + 1, where drive and result are valid. Illegal words never reach it.

    Words, results and the lanes that compute pass in beats.

    Ports beside those of every tile; R is ``vxm_rows``:
        e_<i>, w_<i> (word), e_present, w_present: in T, the streams that arrive at the site.
        previous_<r> (four byte planes), previous_valid (R): in T, results of the stage before, by row.
        result, result_valid: in T + 1, the same of this ALU, for instructions with ``to_next``.
        drive_mask (2·streams), drive_word_0 … _3: in T + 1; stream s takes word s mod 4. Words not driven are
            arbitrary.
        drive_valid: whether the mask is not zero.
        event_sum (64): sum of the hashes of this ALU's events, with feature ``trace``.
        uncorrectable, corrected: in T + 1, what the check bits of its operands told, with feature ``ecc``.
    """

    module_name = "vxm_alu"

    def __init__(self, config: ChipConfig):
        self.config = config
        word = stream.stream_word(config)
        ports: dict[str, Member] = {f"{side}_{i}": In(word) for side in "ew" for i in range(config.streams)}
        ports |= {f"previous_{row}": In(result_bits(config)) for row in range(config.vxm_rows)}
        ports |= {f"drive_word_{i}": Out(word) for i in range(RESIDUES)}
        ports |= {"e_present": In(config.streams), "w_present": In(config.streams)}
        ports |= {"previous_valid": In(config.vxm_rows), "result": Out(result_bits(config)), "result_valid": Out(1)}
        ports |= {"drive_mask": Out(2 * config.streams), "drive_valid": Out(1)}
        ports |= tile.instruction_ports("vxm") | tile.fault_ports() | tile.place_ports()
        ports |= tile.corrected_ports(config) | ({"uncorrectable": Out(1)} if config.ecc else {})
        if config.trace:
            ports["event_sum"] = Out(tile.SIGNATURE_BITS)
        super().__init__(ports)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        tile.move_north(m, self)
        decoded, raw = self._read(m)
        results, halves = self._compute(m, decoded, *raw)
        planes = self._drive(m, results, halves, raw[0])
        if self.config.trace:
            self._trace(m, planes)
        return m

    def _read(self, m: Module) -> tuple[Decoded, list[Signal]]:
        """Cycle T: the instruction is decoded, the ports' registers load, and absent operands are found."""
        east, west = ([Value.cast(word) for word in stream.words(self, side, self.config)] for side in "ew")
        streams = Streams(east, west, self.e_present, self.w_present)
        previous = [getattr(self, f"previous_{row}") for row in range(self.config.vxm_rows)]
        ports = sources(self.instr, self.config)
        checks = Checks(m, self.config)
        raw = [
            read_port(m, name, self.instr_valid, source, self._group(m, name, source, streams, checks), previous,
                      self.config.beats)
            for name, source in zip("xyz", ports, strict=True)
        ]
        if self.config.ecc:
            m.d.sync += [self.corrected.eq(checks.count), self.uncorrectable.eq(Cat(checks.uncorrectable).any())]
        lost = [source.alu & ~by_row(list(self.previous_valid), source.source) for source in ports]
        absent = Signal(reset_less=True)
        m.d.comb += [self.fault_valid.eq(self.north_valid & absent), self.fault_kind.eq(tile.OPERAND_ABSENT)]
        with m.If(self.instr_valid):
            m.d.sync += absent.eq(Cat(*lost, *(streams.absent(source) for source in ports)).any())
        more = float_lines(self.instr, ports) if self.config.vxm_float else {}
        return decode(m, self.instr_valid, self.instr, ports, more), raw

    def _group(self, m: Module, port: str, source: Source, streams: Streams, checks: Checks) -> Value:
        """The data of the four words around a port's operand, of those it uses set right."""
        if not self.config.ecc:
            return streams.group(source.source)
        reads, here = self.instr_valid & source.stream, streams.group_present(source.source)
        index = stream.stream_index(source.source, self.config.streams, RESIDUES)
        words = []
        for i in range(RESIDUES):
            choices = [*streams.eastward[i::RESIDUES], *streams.westward[i::RESIDUES]]
            word = stream.choose(m, f"{port}_{i}", reads, index, choices)
            words.append(checks.data(f"{port}_{i}", reads & source.used[i] & here[i], word))
        return Cat(words)

    def _compute(
        self, m: Module, decoded: Decoded, x_raw: Signal, y_raw: Signal, z_raw: Signal
    ) -> tuple[list[Value], list[Value]]:
        """Cycle T + 1: results in int32 or fp32, one a lane; and with ``vxm_float`` the latter in fp16."""
        immediate = operand_bits(self.north, "immediate")
        x, y = lanes_of(m, "x", decoded.x, x_raw, immediate), lanes_of(m, "y", decoded.y, y_raw, immediate)
        z = choices_of(decoded, z_raw, immediate)
        bits = self.config.vxm_mul_bits
        lanes = enumerate(zip(x, y, z, strict=True))
        integers: list[Value] = [lane(m, str(i), decoded.do, *operands, bits) for i, operands in lanes]
        if not self.config.vxm_float:
            return integers, []
        valid, controls = decoded.more["float_valid"], float_controls(decoded)
        m.submodules.float = unit = stamp(FloatLanes(len(integers)), "float")
        m.d.comb += [unit.valid.eq(valid), unit.x.eq(Cat(x)), unit.y.eq(Cat(y)), unit.z.eq(Cat(z))]
        m.d.comb += [getattr(unit, name).eq(getattr(controls, name)) for name in CONTROLS]
        numbers = [unit.result.word_select(i, len(number)) for i, number in enumerate(integers)]
        results: list[Value] = [Signal(INT_BITS, name=f"either_{i}") for i in range(len(integers))]
        for result, number, integer in zip(results, numbers, integers, strict=True):
            m.d.comb += result.eq(Mux(valid, number, integer))
        return results, [unit.half.word_select(i, HALF_BITS) for i in range(len(integers))]

    def _drive(self, m: Module, results: list[Value], halves: list[Value], anything: Value) -> list[Value]:
        """Cycle T + 1: results as byte planes, for the next stage and, in the stream's type, for a stream."""
        word = self.north
        kind = operand_bits(word, "type")
        byte = kind == Type.INT8
        half, wide = is_half(kind, self.config.vxm_float), is_wide(kind, self.config.vxm_float)
        m.d.comb += self.result_valid.eq(self.north_valid & operand_bits(word, "to_next"))
        m.d.comb += self.drive_valid.eq(self.north_valid & operand_bits(word, "to_stream"))
        m.d.comb += self.result.eq(lazily(self.north_valid, Cat(_planes(results)), anything))
        clip = Signal()
        saturate = self.drive_valid & operand_bits(word, "saturate") & ~wide
        m.d.comb += clip.eq(saturate & (kind != Type.FP16) if halves else saturate)
        low_halves = [Signal(16, name=f"low_half_{i}") for i in range(len(results))]
        for i, (low_half, number) in enumerate(zip(low_halves, results, strict=True)):
            integer = lazily(clip, _nearest(byte, number), number)
            m.d.comb += low_half.eq(Mux(kind == Type.FP16, halves[i], integer) if halves else integer)
        word_bits = 8 * len(results)
        low = Signal(2 * word_bits, name="low_planes")
        m.d.comb += low.eq(lazily(self.drive_valid, Cat(_planes(low_halves)), anything))
        whole = [self.result.word_select(plane, word_bits) for plane in range(RESIDUES)]
        planes = [low[:word_bits], low[word_bits:], *whole[2:]]
        # A narrow result starts at any stream of its alignment, so every word it may fall on carries it.
        words = [
            planes[0],
            Mux(byte, planes[0], planes[1]),
            Mux(wide, planes[2], planes[0]),
            Mux(wide, planes[3], Mux(half, planes[1], planes[0])),
        ]
        count = Cat(self.drive_valid, self.drive_valid & ~byte, *[self.drive_valid & wide] * 2)
        used = count << operand_bits(word, "stream")[:2]
        for i, whole_word in enumerate(words):
            driven = coded(m, f"drive_{i}", self.config, used[i], whole_word)
            m.d.comb += getattr(self, f"drive_word_{i}").eq(driven)
        # Without the gate the mask is undefined in a 4-state simulator until the first instruction: 0 << x is x.
        mask = stream.drive_mask(operand_bits(word, "stream"), count, self.config)
        m.d.comb += self.drive_mask.eq(Mux(self.drive_valid, mask, 0))
        return planes

    def _trace(self, m: Module, planes: list[Value]) -> None:
        m.submodules.hasher = hasher = EventHasher(RESIDUES, beat_count=self.config.beats)
        kind, operand = operand_bits(self.north, "type"), operand_bits(self.north, "stream")
        half, wide = is_half(kind, self.config.vxm_float), is_wide(kind, self.config.vxm_float)
        events = Cat(self.drive_valid, self.drive_valid & (half | wide), *[self.drive_valid & wide] * 2)
        m.d.comb += [hasher.valid.eq(events), hasher.time.eq(self.time), hasher.place.eq(self.place)]
        for i, plane in enumerate(planes):
            # The first stream is a multiple of the number of planes.
            m.d.comb += getattr(hasher, f"address_{i}").eq(operand | i)
            m.d.comb += getattr(hasher, f"data_{i}").eq(plane)
        m.d.comb += self.event_sum.eq(hasher.total)


def _planes(numbers: list[Value]) -> list[Value]:
    """Byte plane p of numbers: byte p of each, lane 0 lowest."""
    return [Cat(number[8 * p : 8 * p + 8] for number in numbers) for p in range(len(numbers[0]) // 8)]


def _nearest(byte: Value, number: Value) -> Value:
    """The nearest number of 8 or 16 bits, as 16 bits."""
    negative = number[-1]
    inside_8, inside_16 = _alike(number[7:]), _alike(number[15:])
    limit_8 = Mux(negative, Const(0x80, 16), Const(0x7F, 16))
    limit_16 = Mux(negative, Const(0x8000, 16), Const(0x7FFF, 16))
    limit = Mux(byte, limit_8, limit_16)
    return Mux(Mux(byte, inside_8, inside_16), number[:16], limit)


def _alike(bits: Value) -> Value:
    return bits.all() | ~bits.any()
