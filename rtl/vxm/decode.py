"""What an ALU instruction asks for: where its operands come from, and what every lane does.

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
"""

from dataclasses import dataclass, fields

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from rtl.stream import RESIDUES
from rtl.tile import is_any
from tsp import isa, isa_rules
from tsp.config import ChipConfig
from tsp.isa import OperandKind, Type

NEGATIONS = ("NEG", "ABS")
CHOICES = ("MASK", "SELECT")
SHIFTS = ("SHL", "SRA", "SRL")
COMPARES = ("EQ", "NE", "LT", "LE", "GT", "GE")
SUBTRACTIONS = ("SUB", "NEG", "ABS", "MIN", "MAX", "RELU", *COMPARES)
_FIELDS = isa.BY_MNEMONIC["SELECT"]
"""Has the fields of every other operation, at the same bits."""


def operand_bits(word: Value, name: str) -> Value:
    """The bits of a field of an ALU instruction, such as ``a_kind`` or ``to_stream``."""
    field = _FIELDS.field(name)
    return word[field.lo : field.lo + field.width]


@dataclass(frozen=True)
class Source:
    """What one port of the arithmetic reads, in T; at most one of ``stream``, ``immediate`` and ``alu`` holds."""

    stream: Value
    immediate: Value
    alu: Value
    source: Value
    """The 8-bit stream operand, or the row of the ALU."""
    type: Value
    floats: bool
    """``vxm_float`` of the configuration"""

    @property
    def wide(self) -> Value:
        """Whether the type takes four streams."""
        return is_wide(self.type, self.floats)

    @property
    def half(self) -> Value:
        """Whether it takes two."""
        return is_half(self.type, self.floats)

    @property
    def used(self) -> Value:
        """Which of the four streams around ``source`` hold the operand; all four for an ALU's result."""
        wide, half = self.wide, self.half
        used = Cat(Const(1, 1), wide | half, wide, wide) << self.source[:2]
        return Mux(self.alu, Const(0b1111, RESIDUES), used[:RESIDUES])


def is_wide(kind: Value, floats: bool) -> Value:
    """Whether a type takes four streams."""
    return (kind == Type.INT32) | (kind == Type.FP32) if floats else kind == Type.INT32


def is_half(kind: Value, floats: bool) -> Value:
    """Whether a type takes two streams."""
    return (kind == Type.INT16) | (kind == Type.FP16) if floats else kind == Type.INT16


def sources(word: Value, config: ChipConfig) -> tuple[Source, Source, Source]:
    """What x, y and z read for an instruction word; fields an operation does not have are ignored."""
    a, b, c = (_operand(word, name) for name in isa.OPERAND_NAMES)
    negation, mask, choice = is_any(word, *NEGATIONS), is_any(word, "MASK"), is_any(word, *CHOICES)
    operations = isa_rules.operations("vxm", config)
    no_y = tuple(op.mnemonic for op in operations if op.arity == 1 and op.mnemonic not in NEGATIONS)
    y = [Mux(negation, of_a, of_b) for of_a, of_b in zip(a, b, strict=True)]
    z = [Mux(mask, of_b, of_c) for of_b, of_c in zip(b, c, strict=True)]
    used = (~negation, ~is_any(word, *no_y, "MASK"), choice)
    x_port, y_port, z_port = (
        _source(use, *operand, floats=config.vxm_float) for use, operand in zip(used, (a, y, z), strict=True)
    )
    return x_port, y_port, z_port


def _operand(word: Value, name: str) -> list[Value]:
    return [operand_bits(word, f"{name}_{part}") for part in ("kind", "source", "type")]


def _source(used: Value, kind: Value, source: Value, type_: Value, floats: bool) -> Source:
    stream, immediate, alu = (used & (kind == k) for k in (OperandKind.STREAM, OperandKind.IMMEDIATE, OperandKind.ALU))
    return Source(stream, immediate, alu, source, type_, floats)


@dataclass(frozen=True)
class Port:
    """How port x or y makes numbers of what it loaded in T; in T + 1."""

    wide: Value
    """four byte planes as they are: an int32 or fp32 stream, or an ALU's result"""
    half: Value
    byte: Value
    immediate: Value
    align: Value
    """where among its four streams the operand begins"""


@dataclass(frozen=True)
class Controls:
    """What all lanes do, in T + 1. Without an instruction every bit is 0."""

    saturate: Value
    """the operation can leave int32, and shall not"""
    subtract: Value
    """the adder gives x - y"""
    invert: Value
    """y is complemented: to subtract it, or for NOT, whose y is 0"""
    sum: Value
    """the result is the adder's"""
    abs: Value
    """only where y is negative, else it is y"""
    logic_and: Value
    logic_xor: Value
    """without both: OR"""
    choose: Value
    """x where the lane's condition holds, else y"""
    by_z: Value
    """the condition is z; otherwise x < y, negated by ``maximum``"""
    maximum: Value
    shift: Value
    left: Value
    arithmetic: Value
    multiply: Value
    compare: Value
    by_less: Value
    """x < y counts"""
    by_equal: Value
    """x = y counts"""
    complement: Value
    """the comparison is the opposite"""


OPERATIONS_OF = {
    "subtract": SUBTRACTIONS,
    "invert": (*SUBTRACTIONS, "NOT"),
    "sum": ("ADD", "SUB", "NEG", "ABS"),
    "abs": ("ABS",),
    "logic_and": ("AND",),
    "logic_xor": ("XOR", "NOT"),
    "choose": ("MASK", "SELECT", "MIN", "MAX", "RELU"),
    "by_z": CHOICES,
    "maximum": ("MAX", "RELU"),
    "shift": SHIFTS,
    "left": ("SHL",),
    "arithmetic": ("SRA",),
    "multiply": ("MUL",),
    "compare": COMPARES,
    "by_less": ("LT", "LE", "GT", "GE"),
    "by_equal": ("EQ", "NE", "LE", "GT"),
    "complement": ("NE", "GT", "GE"),
}
"""Operations that set each control."""
SATURATING = ("ADD", "SUB", "NEG", "ABS", "SHL", "MUL")


@dataclass(frozen=True)
class Decoded:
    """An instruction's controls in T + 1."""

    do: Controls
    x: Port
    y: Port
    z_immediate: Value
    z_used: Value
    """which of the four streams around the operand hold it"""
    more: dict[str, Signal]


def decode(
    m: Module, valid: Value, word: Value, ports: tuple[Source, Source, Source], more: dict[str, Value]
) -> Decoded:
    """Decode ``word`` into a register in T, so that a simulation decodes only when there is an instruction.

    Args:
        more: lines of the word that shall be registered too.
    """
    lines = {f"do_{name}": is_any(word, *operations) for name, operations in OPERATIONS_OF.items()}
    lines["do_saturate"] = operand_bits(word, "saturate") & is_any(word, *SATURATING)
    for name, port in zip("xyz", ports, strict=True):
        lines[f"{name}_wide"] = port.alu | (port.stream & port.wide)
        lines[f"{name}_half"] = port.stream & port.half
        lines[f"{name}_byte"] = port.stream & (port.type == Type.INT8)
        lines[f"{name}_immediate"] = port.immediate
        lines[f"{name}_align"] = port.source[:2]
    z = ports[2]
    lines["z_used"] = Mux(z.stream | z.alu, z.used, Const(0, RESIDUES))
    lines |= more
    signals = _register(m, valid, lines)
    x, y = (Port(**{f.name: signals[f"{name}_{f.name}"] for f in fields(Port)}) for name in "xy")
    do = Controls(**{f.name: signals[f"do_{f.name}"] for f in fields(Controls)})
    return Decoded(do, x, y, signals["z_immediate"], signals["z_used"], {name: signals[name] for name in more})


def _register(m: Module, valid: Value, lines: dict[str, Value]) -> dict[str, Signal]:
    """The lines, registered under ``valid``, and all zero when it was low."""
    values = Cat(lines.values())
    register = Signal(len(values), name="decoded", reset_less=True)
    was_valid = Signal(name="decoded_valid")
    m.d.sync += was_valid.eq(valid)
    with m.If(valid):
        m.d.sync += register.eq(values)
    signals = {name: Signal(len(value), name=name) for name, value in lines.items()}
    m.d.comb += Cat(signals.values()).eq(register & was_valid.replicate(len(register)))
    return signals
