"""The instruction set: opcodes, operand kinds and field layouts, written once.

Assembler, disassembler, checker, golden decode, RTL decoders and ``docs/isa.md`` derive from the tables below. A word
has 128 bits; bit 0 is the least significant. Bits that no field of an operation names are zero. Mnemonics are those of
D. Abts et al., ISCA 2020; the layouts are ours.
"""

import dataclasses
import enum
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Literal

WORD_BITS = 128
GROUP16 = 16
STREAM_INDEX_BITS = 5
STREAM_DIRECTION_BIT = 5

FieldKind = Literal[
    "count",
    "number",
    "signed",
    "stream",
    "mem_address",
    "acc_row",
    "supercell",
    "flag",
    "mode",
    "way",
    "lanes",
    "rotation",
    "powered",
    "link",
    "type",
    "kind",
    "source",
    "immediate",
]


class Type(enum.IntEnum):
    """Element types of a VXM operand or result."""

    INT8 = 0
    INT16 = 1
    INT32 = 2
    FP16 = 3
    FP32 = 4

    @property
    def planes(self) -> int:
        """Streams (byte planes) one vector of this type takes."""
        return (1, 2, 4, 2, 4)[self]


INTEGER_TYPES = (Type.INT8, Type.INT16, Type.INT32)
FLOAT_TYPES = (Type.FP16, Type.FP32)


class OperandKind(enum.IntEnum):
    """Where an ALU operand comes from."""

    NONE = 0
    STREAM = 1
    IMMEDIATE = 2
    ALU = 3


class AccMode(enum.IntEnum):
    """What ACC does with the sum that leaves the array."""

    STORE = 0
    """row := sum; the value is the sum"""
    ADD = 1
    """row := row + sum; the value is the new row"""
    PASS = 2
    """the row is kept; the value is the sum"""
    PEEK = 3
    """the row is kept; the value is row + sum"""


ROTATIONS = (3, 4)
"""The n of ROTATE: the first and the last."""


class Way(enum.IntEnum):
    """Where SHIFT moves bytes: to higher lanes (north) or to lower ones."""

    UP = 0
    DOWN = 1


@dataclasses.dataclass(frozen=True)
class Field:
    """Bits ``lo … lo + width - 1`` of a word. ``group``: streams of a stream operand (its index is a multiple)."""

    name: str
    lo: int
    width: int
    kind: FieldKind
    group: int = 1


@dataclasses.dataclass(frozen=True)
class Operation:
    """One opcode: its mnemonic, the queue kinds that take it, its fields, and for the VXM its number of operands."""

    opcode: int
    mnemonic: str
    queues: tuple[str, ...]
    fields: tuple[Field, ...]
    summary: str
    repeatable: bool = False
    arity: int = 0

    @property
    def called(self) -> str:
        """How messages call it."""
        return "ABC of fp16" if self.mnemonic == "ABC_FP16" else self.mnemonic

    def field(self, name: str) -> Field:
        """The field of that name; KeyError otherwise."""
        return next(field for field in self.fields if field.name == name)


OPCODE = Field("opcode", 0, 8, "number")
ADDRESS_A = (8, 16)
ADDRESS_B = (24, 16)
"""Bit ranges that REPEAT's two steps are added to: MEM READ address, ACC row, LW supercell; MEM WRITE address."""

PRODUCTS = ("ABC", "ABC_FP16")
"""Instructions that multiply a vector in the MXM; those of OF_A_PAIR with both planes of a hemisphere."""
OF_A_PAIR = ("ABC_FP16",)
INDIRECT = ("GATHER", "SCATTER")
"""Instructions whose addresses come off a stream: in bytes 0 and 1 of each superlane's word, the low byte first."""
SXM_ACROSS = ("sxm_permute", "sxm_shift")
"""Queue kinds of the SXM whose instructions move bytes across superlanes."""
SXM_KINDS = ("sxm_permute", "sxm_distribute", "sxm_transpose", "sxm_shift", "sxm_rotate")
SLICE_KINDS = ("mem", "vxm", "mxm_weights", "mxm_activations", "mxm_accumulate", *SXM_KINDS)
"""Queue kinds of the units that compute within the chip: their queues take IFETCH."""
QUEUE_KINDS = (*SLICE_KINDS, "c2c")

_T = Field("t", 8, 16, "number")
_POWER = (Field("p", 8, 16, "powered"),)
_READ = (Field("read_address", *ADDRESS_A, "mem_address"), Field("read_stream", 40, 8, "stream"))
_WRITE = (Field("write_address", *ADDRESS_B, "mem_address"), Field("write_stream", 48, 8, "stream"))
_MAP = Field("map", 56, 8, "stream")
_LW = (Field("supercell", *ADDRESS_A, "supercell"), Field("stream", 40, 8, "stream", GROUP16))
_ACC = (
    Field("row", *ADDRESS_A, "acc_row"),
    Field("stream", 40, 8, "stream", 4),
    Field("mode", 48, 2, "mode"),
    Field("out", 50, 1, "flag"),
)
_SOURCE, _RESULT = Field("source", 40, 8, "stream"), Field("result", 48, 8, "stream")
_SHIFT = (
    _SOURCE,
    _RESULT,
    Field("select", 56, 8, "stream"),
    Field("way", 64, 1, "way"),
    Field("selects", 65, 1, "flag"),
    Field("n", 72, 16, "lanes"),
)
_TRANSPOSE = (Field("source", 40, 8, "stream", GROUP16), Field("result", 48, 8, "stream", GROUP16))
_ROTATE = (
    Field("source", 40, 8, "stream", 4),
    Field("result", 48, 8, "stream", GROUP16),
    Field("n", 56, 3, "rotation"),
)
_LINK = Field("link", 8, 8, "link")
_TRANSFER = (_LINK, Field("stream", 40, 8, "stream"))
_FETCH = (Field("stream", 40, 8, "stream"), Field("n", 8, 16, "count"))
_REPEAT = (
    Field("n", 8, 16, "count"),
    Field("d", 24, 16, "count"),
    Field("step_a", 40, 16, "signed"),
    Field("step_b", 56, 16, "signed"),
)
_ALU_RESULT = (
    Field("immediate", 8, 32, "immediate"),
    Field("stream", 40, 8, "stream"),
    Field("type", 48, 3, "type"),
    Field("to_stream", 51, 1, "flag"),
    Field("to_next", 52, 1, "flag"),
    Field("saturate", 53, 1, "flag"),
    Field("float", 54, 1, "flag"),
)
OPERAND_NAMES = ("a", "b", "c")
_ALU_OPERANDS = tuple(
    (
        Field(f"{name}_source", 56 + 16 * i, 8, "source"),
        Field(f"{name}_type", 64 + 16 * i, 3, "type"),
        Field(f"{name}_kind", 67 + 16 * i, 2, "kind"),
    )
    for i, name in enumerate(OPERAND_NAMES)
)


def _alu(opcode: int, mnemonic: str, arity: int, summary: str) -> Operation:
    fields = _ALU_RESULT + tuple(field for operand in _ALU_OPERANDS[:arity] for field in operand)
    return Operation(opcode, mnemonic, ("vxm",), fields, summary, repeatable=True, arity=arity)


OPERATIONS = (
    Operation(0x01, "NOP", QUEUE_KINDS, (Field("n", 8, 16, "count"),), "take n cycles"),
    Operation(0x02, "REPEAT", QUEUE_KINDS, _REPEAT, "issue the instruction before n more times, d cycles apart"),
    Operation(0x03, "SYNC", QUEUE_KINDS, (), "park the queue until a NOTIFY releases it"),
    Operation(0x04, "NOTIFY", QUEUE_KINDS, (), "release every parked queue, one barrier later"),
    Operation(0x05, "IFETCH", SLICE_KINDS, _FETCH, "n vectors off a stream, one a cycle, as words of this queue"),
    Operation(0x06, "CONFIG", QUEUE_KINDS, _POWER, "power the first p superlanes"),
    Operation(0x07, "DESKEW", QUEUE_KINDS, (), "go on in the first cycle of the next HAC epoch"),
    Operation(0x08, "RUNTIME_DESKEW", QUEUE_KINDS, (_T,), "stall t + δ cycles, δ = SAC - HAC, and clear δ"),
    Operation(0x10, "READ", ("mem",), _READ, "memory word to stream", True),
    Operation(0x11, "WRITE", ("mem",), _WRITE, "stream to memory word", True),
    Operation(0x12, "READ_WRITE", ("mem",), _READ + _WRITE, "both in one cycle, in different banks", True),
    Operation(0x13, "GATHER", ("mem",), (_READ[1], _MAP), "the word that each superlane's map names to stream", True),
    Operation(0x14, "SCATTER", ("mem",), (_WRITE[1], _MAP), "stream to the word that each superlane's map names", True),
    _alu(0x20, "ADD", 2, "a + b"),
    _alu(0x21, "SUB", 2, "a - b"),
    _alu(0x22, "MUL", 2, "a · b, each operand's low vxm_mul_bits bits, signed"),
    _alu(0x23, "MIN", 2, "the smaller of a and b"),
    _alu(0x24, "MAX", 2, "the larger of a and b"),
    _alu(0x25, "ABS", 1, "|a|"),
    _alu(0x26, "NEG", 1, "-a"),
    _alu(0x27, "AND", 2, "bitwise and"),
    _alu(0x28, "OR", 2, "bitwise or"),
    _alu(0x29, "XOR", 2, "bitwise exclusive or"),
    _alu(0x2A, "NOT", 1, "bitwise complement"),
    _alu(0x2B, "SHL", 2, "a · 2^b"),
    _alu(0x2C, "SRA", 2, "a / 2^b, rounded half to even"),
    _alu(0x2D, "SRL", 2, "a shifted right by b, zeros shifted in"),
    _alu(0x2E, "EQ", 2, "1 if a = b, else 0"),
    _alu(0x2F, "NE", 2, "1 if a ≠ b, else 0"),
    _alu(0x30, "LT", 2, "1 if a < b, else 0"),
    _alu(0x31, "LE", 2, "1 if a ≤ b, else 0"),
    _alu(0x32, "GT", 2, "1 if a > b, else 0"),
    _alu(0x33, "GE", 2, "1 if a ≥ b, else 0"),
    _alu(0x34, "MASK", 2, "a if b ≠ 0, else 0"),
    _alu(0x35, "SELECT", 3, "a if c ≠ 0, else b"),
    _alu(0x36, "CONVERT", 1, "a, in the type of the result"),
    _alu(0x37, "RELU", 1, "a if a > 0, else 0"),
    _alu(0x38, "TANH", 1, "hyperbolic tangent of a"),
    _alu(0x39, "EXP", 1, "e to the power a"),
    _alu(0x3A, "RSQRT", 1, "1 / √a"),
    Operation(
        0x40, "PERMUTE", ("sxm_permute",), (_SOURCE, _RESULT, Field("map", 56, 8, "stream", 2)),
        "byte map[l] of the vector to lane l, for any lanes", True,
    ),
    Operation(
        0x41, "DISTRIBUTE", ("sxm_distribute",), (_SOURCE, _RESULT, Field("map", 56, 8, "stream")),
        "byte map[l] of the superlane to lane l, zero from 16 on", True,
    ),
    Operation(0x42, "TRANSPOSE", ("sxm_transpose",), _TRANSPOSE, "lane l of stream j to lane j of stream l", True),
    Operation(0x43, "SHIFT", ("sxm_shift",), _SHIFT, "bytes n lanes up or down, zeros shifted in", True),
    Operation(0x44, "ROTATE", ("sxm_rotate",), _ROTATE, "n streams, each rotated by 0 … n - 1 lanes", True),
    Operation(0x60, "LW", ("mxm_weights",), _LW, "sixteen vectors into a supercell column of the weight buffer", True),
    Operation(0x61, "IW", ("mxm_weights",), (), "weight buffer into the array", True),
    Operation(0x62, "LW_IW", ("mxm_weights",), _LW, "both in one cycle; the old buffer is installed", True),
    Operation(0x64, "ABC", ("mxm_activations",), (Field("stream", 40, 8, "stream"),), "one activation vector", True),
    Operation(
        0x65, "ABC_FP16", ("mxm_activations",), (Field("stream", 40, 8, "stream", 2),),
        "one vector of fp16, for both planes", True,
    ),
    Operation(0x68, "ACC", ("mxm_accumulate",), _ACC, "take the sum that leaves the array", True),
    Operation(0x70, "SEND", ("c2c",), _TRANSFER, "a vector off a stream to a link", True),
    Operation(0x71, "RECEIVE", ("c2c",), _TRANSFER, "the oldest vector that came over a link to a stream", True),
    Operation(0x72, "POLL", ("c2c",), (_LINK,), "go on in the first cycle of an epoch, once a good vector has come"),
)
BY_OPCODE = {operation.opcode: operation for operation in OPERATIONS}
BY_MNEMONIC = {operation.mnemonic: operation for operation in OPERATIONS}
ALU_OPERATIONS = tuple(operation for operation in OPERATIONS if operation.queues == ("vxm",))
FLOAT_ONLY = ("TANH", "EXP", "RSQRT")
"""ALU operations that compute in fp32 only; those of INTEGER_ONLY in int32 only, the others in either."""
INTEGER_ONLY = ("AND", "OR", "XOR", "NOT", "SHL", "SRA", "SRL")
COMPARES = ("EQ", "NE", "LT", "LE", "GT", "GE")
"""ALU operations whose result is an int32 whatever they compute in."""
CONDITIONS = {"MASK": "b", "SELECT": "c"}
"""ALU operations with a condition, and which operand that is: always an integer."""

TRANSFERS = ("SEND", "RECEIVE")
"""Instructions that move a vector between a stream and a link; together with POLL those of the feature ``c2c``."""
WAITS = ("DESKEW", "POLL")
"""Control instructions that wait for the beginning of an epoch, and set δ to 0."""

PAYLOAD_BITS = {
    "mem": 64,
    "vxm": 101,
    "mxm_weights": 48,
    "mxm_activations": 48,
    "mxm_accumulate": 51,
    "sxm_permute": 64,
    "sxm_distribute": 64,
    "sxm_transpose": 56,
    "sxm_shift": 88,
    "sxm_rotate": 59,
    "c2c": 48,
}
"""Low bits of a word that a slice of that queue kind needs: what moves north with the instruction."""


@dataclasses.dataclass(frozen=True)
class Instruction:
    """A decoded word: an operation and the values of its fields (signed fields and immediates as signed numbers)."""

    operation: Operation
    values: Mapping[str, int]

    @property
    def mnemonic(self) -> str:
        """The operation's mnemonic."""
        return self.operation.mnemonic

    def __getitem__(self, name: str) -> int:
        return self.values[name]

    def encode(self) -> int:
        """The 128-bit word. Values must fit their fields (ValueError)."""
        word = self.operation.opcode
        for field in self.operation.fields:
            value = self.values.get(field.name, 0)
            low = -(1 << (field.width - 1)) if field.kind in ("signed", "immediate") else 0
            if not low <= value < 1 << field.width:
                raise ValueError(f"{self.mnemonic}: {field.name} {value} does not fit {field.width} bits")
            word |= (value & ((1 << field.width) - 1)) << field.lo
        return word

    def with_steps(self, step_a: int, step_b: int) -> "Instruction":
        """This instruction with REPEAT's steps added to its address operands (which may leave their range)."""
        values = dict(self.values)
        for field in self.operation.fields:
            step = {ADDRESS_A: step_a, ADDRESS_B: step_b}.get((field.lo, field.width), 0)
            if step and self.operation.queues != ("vxm",):
                values[field.name] += step
        return Instruction(self.operation, values)


def instruction(mnemonic: str, **values: int) -> Instruction:
    """An instruction with the given field values; fields not given are 0. KeyError on an unknown name."""
    operation = BY_MNEMONIC[mnemonic]
    names = {field.name for field in operation.fields}
    if unknown := set(values) - names:
        raise KeyError(f"{mnemonic} has no field {', '.join(sorted(unknown))}")
    return Instruction(operation, {field.name: values.get(field.name, 0) for field in operation.fields})


@lru_cache(maxsize=1 << 15)
def decode(word: int) -> Instruction | None:
    """The instruction a word holds, or None when its opcode is none. Bits outside the fields are ignored.

    Callers share the instruction: its values cannot be changed, copied deeply or pickled.
    """
    operation = BY_OPCODE.get(word & 0xFF)
    if operation is None:
        return None
    values = {}
    for field in operation.fields:
        value = (word >> field.lo) & ((1 << field.width) - 1)
        if field.kind in ("signed", "immediate") and value >> (field.width - 1):
            value -= 1 << field.width
        values[field.name] = value
    return Instruction(operation, MappingProxyType(values))


def stream_operand(direction: int, index: int) -> int:
    """The 8-bit stream operand of eastward (0) or westward (1) stream ``index``."""
    return direction << STREAM_DIRECTION_BIT | index


def stream_name(operand: int) -> str:
    """``e7`` or ``w12`` for a stream operand."""
    return f"{'ew'[operand >> STREAM_DIRECTION_BIT & 1]}{operand & (1 << STREAM_INDEX_BITS) - 1}"
