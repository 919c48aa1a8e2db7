"""The arithmetic of one lane: two 32-bit numbers and a bit in, one 32-bit number out, no registers.

One adder serves ADD, SUB, NEG, ABS, the compares, MIN, MAX and RELU; one rotator serves the shifts.
"""

from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from rtl.stream import gated
from rtl.vxm.decode import Controls

INT_BITS = 32


def lazily(needed: Value, value: Value, otherwise: Value) -> Value:
    """``value`` while ``needed``, else anything: ``otherwise``, which must be cheap and no constant.

    Verilator evaluates ``value`` only while ``needed``. Of a mux with a constant it makes an AND, which evaluates both.
    """
    return Mux(needed, value, otherwise[: len(value)])


def sign_extended(value: Value, width: int) -> Value:
    """``value`` as a signed number of ``width`` bits.

    Verilog has 24 times the same bit where Amaranth extends a byte to 32 bits, and Verilator does not see through that.
    """
    more = width - len(value)
    return Cat(value, Mux(value[-1], Const(-1, more), Const(0, more))) if more else value


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
    y_or_not = y ^ do.invert.replicate(INT_BITS)
    # The carry comes in through one more bit on the right, so that one adder adds and subtracts.
    extended = Cat(do.subtract, x, x[-1]) + Cat(do.subtract, y_or_not, y_or_not[-1])
    m.d.comb += total.eq(extended[1 : INT_BITS + 2])
    less, equal = total[-1], x == y
    answer = ((do.by_less & less) | (do.by_equal & equal)) ^ do.complement
    pick_x = Mux(do.by_z, z, less ^ do.maximum)
    keep_y = do.abs & ~y[-1]

    # What all lanes share comes first in every choice, so that a simulation decides it once for all of them.
    exact = Exact(Mux(keep_y, y, total[:INT_BITS]), total[-1] ^ total[-2], total[-1])
    rest = Mux(do.logic_xor, x ^ y_or_not, Mux(do.logic_and, x & y, x | y))
    rest = Mux(do.compare, answer, Mux(do.choose, Mux(pick_x, x, y), rest))
    rest = Mux(do.sum, exact.low, rest)
    units = [(do.shift, _shift(m, name, do, x, y))]
    units += [(do.multiply, _multiply(m, name, do, x, y, mul_bits))] if mul_bits else []
    for use, unit in units:
        rest = Mux(use, unit.low, rest)
        beyond, negative = Mux(use, unit.beyond, exact.beyond), Mux(use, unit.negative, exact.negative)
        exact = Exact(unit.low, beyond, negative)
    modular = Signal(INT_BITS, name=f"modular_{name}")
    result = Signal(INT_BITS, name=f"result_{name}")
    limit = Mux(exact.negative, Const(1 << 31, INT_BITS), Const((1 << 31) - 1, INT_BITS))
    m.d.comb += [modular.eq(rest), result.eq(Mux(do.saturate, Mux(exact.beyond, limit, modular), modular))]
    return result


def _shift(m: Module, name: str, do: Controls, x: Value, y: Value) -> Exact:
    """Rotate right by ``distance``, then replace what came round the corner (``dropped``) by the sign or zeros."""
    distance = Signal(6, name=f"distance_{name}")
    far = y[5:].any()
    m.d.comb += distance.eq(Mux(do.left, 32 - y[:5], y[:5]))
    rotated = Signal(INT_BITS, name=f"rotated_{name}")
    m.d.comb += rotated.eq(lazily(do.shift, (Cat(x, x) >> distance[:5])[:INT_BITS], x))
    # Its high `distance` bits are ones: a right shift drops those, a left shift the others.
    high = (Const(((1 << 32) - 1) << 32, 64) >> distance)[:INT_BITS]
    round_corner = Signal(INT_BITS, name=f"round_corner_{name}")
    m.d.comb += round_corner.eq(lazily(do.shift, high ^ do.left.replicate(INT_BITS), y))
    sign = x[-1]
    fill = do.arithmetic & sign
    kept = (rotated & ~round_corner) | (round_corner & fill.replicate(INT_BITS))
    # Half to even: the bit dropped last comes to the top; what was dropped before it lies below.
    half, tail = (rotated & round_corner)[-1], (rotated & round_corner)[:-1].any()
    odd = Mux(round_corner[0], fill, rotated[0])
    low = gated(~far, (kept + (do.arithmetic & half & (tail | odd)))[:INT_BITS])
    # A left shift must drop nothing but copies of the sign, and keep one.
    alien = (rotated ^ sign.replicate(INT_BITS)) & round_corner
    new_sign = rotated[-1] & ~round_corner[-1]
    return Exact(low, Mux(far, x.any(), alien.any() | (new_sign ^ sign)), sign)


def _multiply(m: Module, name: str, do: Controls, x: Value, y: Value, bits: int) -> Exact:
    product = Signal(2 * bits, name=f"product_{name}")
    exact = x[:bits].as_signed() * y[:bits].as_signed()
    m.d.comb += product.eq(lazily(do.multiply, exact[: 2 * bits], Cat(x, x)))
    if 2 * bits <= INT_BITS:
        return Exact(sign_extended(product, INT_BITS), Const(0), Const(0))
    upper = product[INT_BITS - 1 :]
    return Exact(product[:INT_BITS], upper.any() & ~upper.all(), product[-1])
