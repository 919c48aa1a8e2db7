"""A lane of an ALU against its specification in wide integers (docs/architecture.md, section 4, VXM)."""

from collections.abc import Callable, Mapping
from typing import Any

from amaranth.hdl import Cat, Const, Mux, Signal, Value, signed

from rtl.stream import words
from tb.formal.bench import PLAIN, Bench
from tb.formal.planted import Bug, Rtl
from tb.formal.proof import Proof
from tsp import isa
from tsp.isa import OperandKind, Type

NARROW_BITS, WIDE_BITS = 6, 17
ZEROS = WIDE_BITS - NARROW_BITS
CONFIG = PLAIN.override(["streams=16", "vxm_rows=1", "trace=false"])
LANES = 16
LOWEST, HIGHEST = -(1 << 31), (1 << 31) - 1
FIELDS = isa.BY_MNEMONIC["SELECT"]
OPERANDS = {"a": 0, "b": 4, "c": 8}
"""The stream on which each operand begins."""


def _wide(value: Value, bits: int = 70) -> Value:
    """A signed number in more bits than any result has; Amaranth's own widths grow with every operation."""
    return value.as_signed() + Const(0, signed(bits))


def _within(value: Value, saturate: Value) -> Value:
    """Into int32: the nearest number, or the low 32 bits."""
    nearest = Mux(value > HIGHEST, HIGHEST, Mux(value < LOWEST, LOWEST, value))
    return Mux(saturate, nearest, value)[:32]


def _shifted_left(a: Value, b: Value) -> Value:
    """a · 2^b; 32 places are as good as more of them: nothing is left of the low 32 bits, and int32 is left behind."""
    return _wide(a) << Mux(b > 32, 32, b)[:6]


def _rounded(a: Value, b: Value) -> Value:
    """a / 2^b, half to even; 0 from 32 places on."""
    # Fixed point with 32 bits behind the point.
    exact = (_wide(a) << 32) >> b[:5]
    floor, rest = exact >> 32, exact[:32]
    up = (rest > 1 << 31) | ((rest == 1 << 31) & floor[0])
    return Mux(b >= 32, 0, floor + up)


Spec = Callable[[Value, Value, Value], Value]
"""The exact result of int32 operands a, b, c."""
SUMS: Mapping[str, Spec] = {
    "ADD": lambda a, b, c: a + b,
    "SUB": lambda a, b, c: a - b,
    "NEG": lambda a, b, c: 0 - a,
    "ABS": lambda a, b, c: Mux(a < 0, 0 - a, a),
}
CHOICES: Mapping[str, Spec] = {
    "EQ": lambda a, b, c: a == b,
    "NE": lambda a, b, c: a != b,
    "LT": lambda a, b, c: a < b,
    "LE": lambda a, b, c: a <= b,
    "GT": lambda a, b, c: a > b,
    "GE": lambda a, b, c: a >= b,
    "MIN": lambda a, b, c: Mux(a < b, a, b),
    "MAX": lambda a, b, c: Mux(a > b, a, b),
    "RELU": lambda a, b, c: Mux(a > 0, a, 0),
    "MASK": lambda a, b, c: Mux(b == 0, 0, a),
    "SELECT": lambda a, b, c: Mux(c == 0, b, a),
}
BITS: Mapping[str, Spec] = {
    "AND": lambda a, b, c: a & b,
    "OR": lambda a, b, c: a | b,
    "XOR": lambda a, b, c: a ^ b,
    "NOT": lambda a, b, c: -1 - a,
    "CONVERT": lambda a, b, c: a,
}
LEFT: Mapping[str, Spec] = {"SHL": lambda a, b, c: _shifted_left(a, b.as_unsigned())}
RIGHT: Mapping[str, Spec] = {
    "SRA": lambda a, b, c: _rounded(a, b.as_unsigned()),
    "SRL": lambda a, b, c: Mux(b.as_unsigned() >= 32, 0, a.as_unsigned() >> b[:5]),
}
NARROW: Mapping[str, Spec] = {"MUL": lambda a, b, c: a[:NARROW_BITS].as_signed() * b[:NARROW_BITS].as_signed()}
WIDE: Mapping[str, Spec] = {"MUL": lambda a, b, c: a[:WIDE_BITS].as_signed() * b[:WIDE_BITS].as_signed()}


def lane(
    specs: Mapping[str, Spec], saturates: bool = True, mul_bits: int = 0, zeros: int = 0
) -> Callable[[Rtl], Bench]:
    """Int32 operands off streams, the result to the next stage, for any operation of ``specs``.

    Args:
        saturates: the operations have a saturating mode.
        mul_bits: ``vxm_mul_bits``.
        zeros: so many low bits of the operands are zero.
    """

    def build_with(rtl: Rtl) -> Bench:
        alu = rtl("rtl.vxm.alu").VxmAlu(CONFIG.override([f"vxm_mul_bits={mul_bits}"]))
        return Bench(lambda bench: _check_lane(bench, alu, specs, saturates, zeros))

    return build_with


def _check_lane(bench: Bench, alu: Any, specs: Mapping[str, Spec], saturates: bool, zeros: int) -> None:
    m = bench.m
    bench.place("alu", alu)
    number = bench.free(range(len(specs)), "operation")
    bench.assume(number < len(specs))
    fields: dict[str, Any] = {"type": Type.INT32, "to_next": 1, "saturate": bench.free(1, "saturate")}
    for name, stream in OPERANDS.items():
        fields |= {f"{name}_kind": OperandKind.STREAM, f"{name}_source": stream, f"{name}_type": Type.INT32}
    opcodes = [isa.BY_MNEMONIC[name].opcode for name in specs]
    opcode = Signal(8, name="opcode")
    with m.Switch(number):
        for i, code in enumerate(opcodes):
            with m.Case(i):
                m.d.comb += opcode.eq(code)
    instruct(bench, alu, opcode, fields)
    streams = words(alu, "e", CONFIG)
    operands = [Signal(signed(32), name=name) for name in OPERANDS]
    for operand, (name, first) in zip(operands, OPERANDS.items(), strict=True):
        m.d.comb += operand[zeros:].eq(bench.free(32 - zeros, f"any_{name}"))
        for plane in range(4):
            m.d.comb += Value.cast(streams[first + plane]).eq(operand[8 * plane : 8 * plane + 8])
    # As the lanes do, the specification computes in T + 1 on what was there in T.
    late = [bench.before(operand, f"was_{name}") for operand, name in zip(operands, OPERANDS, strict=True)]
    results = [Signal(32, name=f"expected_{name.lower()}") for name in specs]
    for result, spec in zip(results, specs.values(), strict=True):
        exact = spec(*late)
        saturate = bench.before(fields["saturate"], f"{result.name}_saturated")
        m.d.comb += result.eq(_within(exact, saturate) if saturates else exact[:32])
    expected = Signal(32)
    with m.Switch(bench.before(number, "was_number")):
        for i, result in enumerate(results):
            with m.Case(i):
                m.d.comb += expected.eq(result)
    got = Cat(alu.result[128 * plane : 128 * plane + 8] for plane in range(4))
    issued = bench.before(alu.instr_valid, "issued")
    bench.claim(alu.result_valid == issued)
    bench.claim(got == expected, issued)


def instruct(bench: Bench, alu: Any, opcode: Value, fields: Mapping[str, Any]) -> None:
    """At any cycle, an instruction with these fields, and zero in the others."""
    m = bench.m
    m.d.comb += [alu.instr_valid.eq(bench.free(1, "valid")), alu.instr[:8].eq(opcode)]
    for name, value in fields.items():
        field = FIELDS.field(name)
        m.d.comb += alu.instr[field.lo : field.lo + field.width].eq(value)


ONE_LANE = "lane 0, operands int32 off streams, the result to the next stage"
PROOFS = [
    Proof(
        name="alu-sums",
        block="vxm/alu",
        claim="ADD, SUB, NEG, ABS, saturating and modular",
        build=lane(SUMS),
        bug=Bug("rtl.vxm.lane", "total[-1] ^ total[-2]", "total[-2]"),
        reduced=ONE_LANE,
    ),
    Proof(
        name="alu-choices",
        block="vxm/alu",
        claim="EQ … GE, MIN, MAX, RELU, MASK, SELECT",
        build=lane(CHOICES),
        bug=Bug("rtl.vxm.lane", "less, equal = total[-1], x == y", "less, equal = total[-2], x == y"),
        reduced=ONE_LANE,
    ),
    Proof(
        name="alu-bits",
        block="vxm/alu",
        claim="AND, OR, XOR, NOT, CONVERT",
        build=lane(BITS),
        bug=Bug("rtl.vxm.lane", "Mux(do.logic_and, x & y, x | y)", "Mux(do.logic_and, x & y, x ^ y)"),
        reduced=ONE_LANE,
    ),
    Proof(
        name="alu-shl",
        block="vxm/alu",
        claim="SHL by any distance, saturating and modular",
        build=lane(LEFT),
        bug=Bug("rtl.vxm.lane", "alien.any() | (new_sign ^ sign)", "alien.any()"),
        reduced=ONE_LANE,
    ),
    Proof(
        name="alu-shr",
        block="vxm/alu",
        claim="SRA, rounded half to even, and SRL by any distance",
        build=lane(RIGHT, saturates=False),
        bug=Bug("rtl.vxm.lane", "half & (tail | odd)", "half & tail"),
        reduced=ONE_LANE,
    ),
    Proof(
        name="alu-mul-narrow",
        block="vxm/alu",
        claim="MUL of the low vxm_mul_bits bits, signed",
        build=lane(NARROW, mul_bits=NARROW_BITS),
        bug=Bug("rtl.vxm.lane", "y[:bits].as_signed()", "y[:bits]"),
        reduced=f"{ONE_LANE}; vxm_mul_bits = {NARROW_BITS}",
    ),
    Proof(
        name="alu-mul-wide",
        block="vxm/alu",
        claim="MUL whose product may leave int32, saturating and modular",
        build=lane(WIDE, mul_bits=WIDE_BITS, zeros=ZEROS),
        bug=Bug("rtl.vxm.lane", "upper.any() & ~upper.all()", "upper.any()"),
        reduced=f"{ONE_LANE}; vxm_mul_bits = {WIDE_BITS}, operands multiples of 2^{ZEROS}",
    ),
]
