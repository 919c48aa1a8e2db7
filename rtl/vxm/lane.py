"""The arithmetic of one lane: two 32-bit numbers and a bit in, one 32-bit number out, no registers.

One adder serves ADD, SUB, NEG, ABS, the compares, MIN, MAX and RELU; one rotator serves the shifts.
"""

from dataclasses import dataclass, fields

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from rtl.stream import gated
from rtl.tile import is_any

INT_BITS = 32
SHIFTS = ("SHL", "SRA", "SRL")
COMPARES = ("EQ", "NE", "LT", "LE", "GT", "GE")
SUBTRACTIONS = ("SUB", "NEG", "ABS", "MIN", "MAX", "RELU", *COMPARES)


@dataclass(frozen=True)
class Controls:
    """What all lanes do, in T + 1; every bit is 0 in cycles without an instruction."""

    saturate: Value
    subtract: Value
    """the adder gives x - y"""
    sum: Value
    """ADD, SUB, NEG: the result is the adder's"""
    abs: Value
    logic_and: Value
    logic_or: Value
    logic_xor: Value
    invert: Value
    """NOT: all ones in place of y, which is 0"""
    choose: Value
    """x where the lane's condition holds, else y"""
    by_z: Value
    """the condition is z; otherwise x < y, exchanged by ``maximum``"""
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


def controls(m: Module, valid: Value, word: Value, saturate: Value) -> Controls:
    """Decode the instruction ``word`` of a cycle in which ``valid`` says whether there is one."""
    lines = {
        "subtract": SUBTRACTIONS,
        "sum": ("ADD", "SUB", "NEG"),
        "abs": ("ABS",),
        "logic_and": ("AND",),
        "logic_or": ("OR", "CONVERT"),
        "logic_xor": ("XOR", "NOT"),
        "invert": ("NOT",),
        "choose": ("MASK", "SELECT", "MIN", "MAX", "RELU"),
        "by_z": ("MASK", "SELECT"),
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
    values = {"saturate": valid & saturate} | {name: valid & is_any(word, *ops) for name, ops in lines.items()}
    signals = {field.name: Signal(name=f"do_{field.name}") for field in fields(Controls)}
    m.d.comb += [signals[name].eq(value) for name, value in values.items()]
    return Controls(**signals)


@dataclass(frozen=True)
class Exact:
    """A result before saturation: its low 32 bits, whether the exact result lies beyond int32, and on which side."""

    low: Value
    beyond: Value
    negative: Value


def lane(m: Module, name: str, do: Controls, x: Value, y: Value, z: Value, mul_bits: int) -> Signal:
    """The lane's result in int32, by the instruction's mode.

    Args:
        name: suffix of the signals' names.
        x, y, z: see :mod:`rtl.vxm.operands`.
        mul_bits: ``vxm_mul_bits``; 0 leaves the multiplier out.
    """
    total = Signal(INT_BITS + 1, name=f"sum_{name}")
    y_or_not = y ^ (do.subtract | do.invert).replicate(INT_BITS)
    # The carry comes in through one more bit on the right, so that one adder adds and subtracts.
    extended = Cat(do.subtract, x, x[-1]) + Cat(do.subtract, y_or_not, y_or_not[-1])
    m.d.comb += total.eq(extended[1 : INT_BITS + 2])
    use_sum = do.sum | (do.abs & y[-1])
    less, equal = total[-1], x == y
    answer = do.compare & (((do.by_less & less) | (do.by_equal & equal)) ^ do.complement)
    pick_x = Mux(do.by_z, z, less ^ do.maximum)
    exacts, uses = [Exact(total, total[-1] ^ total[-2], total[-1]), _shift(m, name, do, x, y)], [use_sum, do.shift]
    if mul_bits:
        exacts.append(_multiply(m, name, do, x, y, mul_bits))
        uses.append(do.multiply)
    rest = gated(do.logic_and, x & y) | gated(do.logic_or, x | y) | gated(do.logic_xor, x ^ y_or_not)
    rest |= gated(do.choose, Mux(pick_x, x, y)) | gated(do.abs & ~y[-1], y) | answer
    beyond, negative = Signal(name=f"beyond_{name}"), Signal(name=f"negative_{name}")
    for exact, use in zip(exacts, uses, strict=True):
        rest |= gated(use, exact.low[:INT_BITS])
    m.d.comb += beyond.eq(do.saturate & _any(use & e.beyond for e, use in zip(exacts, uses, strict=True)))
    m.d.comb += negative.eq(_any(use & e.negative for e, use in zip(exacts, uses, strict=True)))
    result = Signal(INT_BITS, name=f"result_{name}")
    limit = Cat((~negative).replicate(INT_BITS - 1), negative)
    m.d.comb += result.eq(Mux(beyond, limit, rest))
    return result


def _any(bits) -> Value:
    return Cat(bits).any()


def _shift(m: Module, name: str, do: Controls, x: Value, y: Value) -> Exact:
    """Rotate right by ``distance``, then replace what came round the corner (``dropped``) by the sign or zeros."""
    distance = Signal(6, name=f"distance_{name}")
    far = y[5:].any()
    m.d.comb += distance.eq(gated(do.shift, Mux(do.left, 32 - y[:5], y[:5])[:6]))
    rotated = Signal(INT_BITS, name=f"rotated_{name}")
    m.d.comb += rotated.eq((Cat(x, x) >> distance[:5])[:INT_BITS])
    # Its high `distance` bits are ones: a right shift drops those, a left shift the others.
    high = (Const(((1 << 32) - 1) << 32, 64) >> distance)[:INT_BITS]
    round_corner = Signal(INT_BITS, name=f"round_corner_{name}")
    m.d.comb += round_corner.eq(high ^ do.left.replicate(INT_BITS))
    sign = x[-1]
    kept = (rotated & ~round_corner) | gated(do.arithmetic & sign, round_corner)
    dropped = (rotated ^ (do.left & sign).replicate(INT_BITS)) & round_corner
    # Half to even: the bit dropped last comes to the top; what was dropped before it lies below.
    half, tail = round_corner[-1] & rotated[-1], dropped[:-1].any()
    up = do.arithmetic & half & (tail | kept[0])
    low = gated(~far, (kept + up)[:INT_BITS])
    beyond = do.left & Mux(far, x.any(), dropped.any() | (kept[-1] ^ sign))
    return Exact(low, beyond, sign)


def _multiply(m: Module, name: str, do: Controls, x: Value, y: Value, bits: int) -> Exact:
    product = Signal(max(2 * bits, INT_BITS), name=f"product_{name}")
    m.d.comb += product.eq(gated(do.multiply, x[:bits].as_signed() * y[:bits].as_signed()))
    upper = product[INT_BITS - 1 :]
    return Exact(product, upper.any() & ~upper.all(), product[-1])
