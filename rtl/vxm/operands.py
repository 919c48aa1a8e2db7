"""Where an ALU's operands come from.

The arithmetic has three ports. x and y are 32-bit numbers; z is one bit a lane, "not zero". An instruction's operands
a, b and c go to those ports so that one subtractor and one choice serve many operations:

=====================  ====  ====  ====
operation              x     y     z
=====================  ====  ====  ====
NEG, ABS               0     a
NOT, RELU, CONVERT     a     0
MASK                   a     0     b
SELECT                 a     b     c
the rest               a     b
=====================  ====  ====  ====

In cycle T each port takes the raw byte planes of its operand into registers: the four streams around it, or an ALU's
result. In T + 1 they are aligned and extended to int32.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from rtl.stream import RESIDUES, WORD_BITS, choose, gated, select, stream_index
from rtl.tile import is_any
from tsp import isa
from tsp.config import LANES_PER_SUPERLANE
from tsp.isa import OperandKind, Type

NEGATIONS = ("NEG", "ABS")
CHOICES = ("MASK", "SELECT")
_FIELDS = isa.BY_MNEMONIC["SELECT"]
"""Has the fields of every other operation, at the same bits."""


@dataclass(frozen=True)
class Source:
    """What one port of the arithmetic reads: all fields are values of the cycle of the word they come from."""

    stream: Value
    immediate: Value
    alu: Value
    source: Value
    """The 8-bit stream operand, or the row of the ALU."""
    type: Value

    def when(self, valid: Value) -> "Source":
        """The same, reading nothing unless ``valid``."""
        kinds = (valid & kind for kind in (self.stream, self.immediate, self.alu))
        return Source(*kinds, self.source, self.type)

    @property
    def used(self) -> Value:
        """Which of the four streams around ``source`` hold the operand; all four for an ALU's result."""
        wide, half = self.type == Type.INT32, self.type == Type.INT16
        used = Cat(Const(1, 1), wide | half, wide, wide) << self.source[:2]
        return Mux(self.alu, Const(0b1111, RESIDUES), used[:RESIDUES])


def operand_bits(word: Value, name: str) -> Value:
    """The bits of a field of an ALU instruction, such as ``a_kind`` or ``to_stream``."""
    field = _FIELDS.field(name)
    return word[field.lo : field.lo + field.width]


def _operand(word: Value, name: str) -> list[Value]:
    return [operand_bits(word, f"{name}_{part}") for part in ("kind", "source", "type")]


def _source(used: Value, kind: Value, source: Value, type_: Value) -> Source:
    stream, immediate, alu = (used & (kind == k) for k in (OperandKind.STREAM, OperandKind.IMMEDIATE, OperandKind.ALU))
    return Source(stream, immediate, alu, source, type_)


def sources(word: Value) -> tuple[Source, Source, Source]:
    """What x, y and z read for an instruction word; fields an operation does not have are ignored."""
    a, b, c = (_operand(word, name) for name in isa.OPERAND_NAMES)
    negation, mask, choice = is_any(word, *NEGATIONS), is_any(word, "MASK"), is_any(word, *CHOICES)
    two = tuple(op.mnemonic for op in isa.ALU_OPERATIONS if op.arity > 1 and op.mnemonic != "MASK")
    y = [Mux(negation, of_a, of_b) for of_a, of_b in zip(a, b, strict=True)]
    z = [Mux(mask, of_b, of_c) for of_b, of_c in zip(b, c, strict=True)]
    return _source(~negation, *a), _source(is_any(word, *two, *NEGATIONS), *y), _source(choice, *z)


@dataclass(frozen=True)
class Streams:
    """Words and presence bits of both directions, as an ALU sees them in T."""

    eastward: Sequence[Value]
    westward: Sequence[Value]
    present_eastward: Value
    present_westward: Value

    def group(self, m: Module, name: str, source: Source, valid: Value) -> list[Value]:
        """The four words around the stream that ``source`` reads; zero unless it reads one and ``valid``."""
        index = stream_index(source.source, len(self.eastward), RESIDUES)
        words = [*self.eastward, *self.westward]
        reads = valid & source.stream
        return [choose(m, f"{name}_{plane}", reads, index, words[plane::RESIDUES]) for plane in range(RESIDUES)]

    def absent(self, source: Source) -> Value:
        """Whether a stream that ``source`` reads holds no value."""
        side = Mux(source.source[isa.STREAM_DIRECTION_BIT], self.present_westward, self.present_eastward)
        group = side.word_select(source.source[2 : isa.STREAM_INDEX_BITS], RESIDUES)
        return source.stream & (source.used & ~group).any()


def nonzero_bytes(word: Value) -> Value:
    """One bit per byte."""
    return Cat(word[i : i + 8].any() for i in range(0, len(word), 8))


def by_row(values: Sequence[Value], row: Value) -> Value:
    """``values[row]``, also when their number is no power of two."""
    spare = (1 << (len(values) - 1).bit_length()) - len(values)
    return select([*values, *[values[-1]] * spare], row)


def read_port(m: Module, name: str, valid: Value, source: Source, words: Value, results: Sequence[Value]) -> Signal:
    """The register of a port; it loads in T when the instruction reads a stream (``words``) or one of ``results``."""
    raw = Signal(len(words), name=f"{name}_raw", reset_less=True)
    with m.If(valid & (source.stream | source.alu)):
        m.d.sync += raw.eq(Mux(source.stream, words, by_row(results, source.source)))
    return raw


def lanes_of(m: Module, name: str, source: Source, raw: Value, immediate: Value) -> list[Signal]:
    """The port's 16 numbers in T + 1: its registers aligned by ``source`` (of that cycle) and extended to 32 bits."""
    planes = [raw[i : i + WORD_BITS] for i in range(0, len(raw), WORD_BITS)]
    low, high = Signal(WORD_BITS, name=f"{name}_low"), Signal(WORD_BITS, name=f"{name}_high")
    align = source.source[:2]
    wide, half = source.alu | (source.stream & (source.type == Type.INT32)), source.type == Type.INT16
    m.d.comb += low.eq(gated(source.stream, select(planes, align)))
    m.d.comb += high.eq(gated(source.stream & half, Mux(align[1], planes[3], planes[1])))
    lanes = [Signal(32, name=f"{name}_{lane}") for lane in range(LANES_PER_SUPERLANE)]
    for i, lane in enumerate(lanes):
        at = slice(8 * i, 8 * i + 8)
        whole = Cat(plane[at] for plane in planes)
        with m.If(wide):
            m.d.comb += lane.eq(whole)
        with m.Elif(source.stream & half):
            m.d.comb += lane.eq(Cat(low[at], high[at]).as_signed())
        with m.Elif(source.stream):
            m.d.comb += lane.eq(low[at].as_signed())
        with m.Elif(source.immediate):
            m.d.comb += lane.eq(immediate)
    return lanes


def choices_of(source: Source, raw: Value, immediate: Value) -> Value:
    """Port z in T + 1, one bit per lane: the operand is not zero."""
    planes = [raw[i : i + LANES_PER_SUPERLANE] for i in range(0, len(raw), LANES_PER_SUPERLANE)]
    merged: Value = Const(0, LANES_PER_SUPERLANE)
    for used, plane in zip(source.used, planes, strict=True):
        merged = merged | gated((source.stream | source.alu) & used, plane)
    return Mux(source.immediate, immediate.any().replicate(LANES_PER_SUPERLANE), merged)
