"""How an ALU's operands get from the streams, or from the stage before, to its lanes.

In cycle T each port (:mod:`rtl.vxm.decode`) takes the raw byte planes of its operand into registers: the four streams
around it, or an ALU's result. In T + 1 they are aligned and extended to int32.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Mux, Signal, Value

from rtl import beats
from rtl.stream import RESIDUES, gated, read_word, select
from rtl.vxm.decode import Decoded, Port, Source
from rtl.vxm.lane import INT_BITS, sign_extended
from tsp import isa


@dataclass(frozen=True)
class Streams:
    """Words and presence bits of both directions, as an ALU sees them in T."""

    eastward: Sequence[Value]
    westward: Sequence[Value]
    present_eastward: Value
    present_westward: Value

    def group(self, operand: Value) -> Value:
        """The four words around ``operand``, as one number; use it once."""
        return Cat(read_word(operand, self.eastward, self.westward, RESIDUES, plane) for plane in range(RESIDUES))

    def group_present(self, operand: Value) -> Value:
        """Which of the four streams around ``operand`` hold a value."""
        side = Mux(operand[isa.STREAM_DIRECTION_BIT], self.present_westward, self.present_eastward)
        return side.word_select(operand[2 : isa.STREAM_INDEX_BITS], RESIDUES)

    def absent(self, source: Source) -> Value:
        """Whether a stream that ``source`` reads holds no value."""
        return source.stream & (source.used & ~self.group_present(source.source)).any()


def by_row(values: Sequence[Value], row: Value) -> Value:
    """``values[row]``, also when their number is no power of two."""
    spare = (1 << (len(values) - 1).bit_length()) - len(values)
    return select([*values, *[values[-1]] * spare], row)


def read_port(
    m: Module, name: str, valid: Value, source: Source, words: Value, results: Sequence[Value], count: int = 1
) -> Value:
    """The register of a port; it loads in T when the instruction reads a stream (``words``) or one of ``results``.

    Args:
        count: ``beats`` of the configuration.
    """
    raw = Signal(len(words), name=f"{name}_raw", reset_less=True)
    with m.If(valid & (source.stream | source.alu)):
        m.d[beats.domain(count)] += raw.eq(Mux(source.stream, words, by_row(results, source.source)))
    return beats.in_next_cycle(m, raw.name, count, raw)


def byte_planes(raw: Value) -> list[Value]:
    """The four words of a port's register."""
    return [raw.word_select(plane, len(raw) // RESIDUES) for plane in range(RESIDUES)]


def lanes_of(m: Module, name: str, port: Port, raw: Value, immediate: Value) -> list[Signal]:
    """The port's numbers in T + 1, one a lane."""
    planes = byte_planes(raw)
    low, high = Signal(len(planes[0]), name=f"{name}_low"), Signal(len(planes[0]), name=f"{name}_high")
    constant = Signal(INT_BITS, name=f"{name}_constant")
    m.d.comb += [
        low.eq(select(planes, port.align)),
        high.eq(Mux(port.align[1], planes[3], planes[1])),
        constant.eq(gated(port.immediate, immediate)),
    ]
    lanes = [Signal(INT_BITS, name=f"{name}_{lane}") for lane in range(len(planes[0]) // 8)]
    for i, lane in enumerate(lanes):
        at = slice(8 * i, 8 * i + 8)
        byte, half = sign_extended(low[at], INT_BITS), sign_extended(Cat(low[at], high[at]), INT_BITS)
        narrow = Mux(port.half, half, Mux(port.byte, byte, constant))
        m.d.comb += lane.eq(Mux(port.wide, Cat(plane[at] for plane in planes), narrow))
    return lanes


def choices_of(decoded: Decoded, raw: Value, immediate: Value) -> list[Value]:
    """Port z in T + 1, one bit per lane: the operand is not zero. Use each once."""
    planes = byte_planes(raw)
    constant = decoded.z_immediate & immediate.any()
    found = []
    for i in range(0, len(planes[0]), 8):
        bytes_ = (used & plane[i : i + 8].any() for used, plane in zip(decoded.z_used, planes, strict=True))
        found.append(constant | Cat(bytes_).any())
    return found
