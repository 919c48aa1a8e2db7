"""Division out of what the ALUs have: an estimate by RSQRT, and remainders that are exact because int32 wraps.

Everything here is exact for every operand, whatever the estimate's last bits are: a remainder a - q·b is small if q is
near a/b, so its low 32 bits are all of it.
"""

import numpy as np

from tsp.compiler.graph import Graph, Tensor

SIGN, ABSOLUTE, EXPONENT, FRACTION, HIDDEN = -(1 << 31), 0x7FFFFFFF, 0x7F800000, 0x007FFFFF, 0x00800000
"""Bits of a float32; the last is that of the leading one, which is not stored."""
ONE, FRACTION_BITS, BIAS = 0x3F800000, 23, 127
LIMIT = 300.0
"""Quotients beyond it are beyond any int8 or uint8, whatever its zero point is."""
FACTORS = 2.0**-100, 2.0**100
"""Divisors that :func:`rounded_quotient` takes."""
Array = np.ndarray


def divide_whole(g: Graph, a: Tensor, b: Tensor, floor: bool = False) -> tuple[Tensor, Tensor]:
    """Quotient and remainder of int32: rounded toward zero, or down with ``floor``. By zero they mean nothing."""
    e = g.elementwise
    over = g.convert(b, "float32")
    root = g.rsqrt(g.mul(over, over))
    inverse = g.mul(g.mul(root, root), over)
    quotient: Tensor | None = None
    rest = a
    for _ in range(2):  # the second time what the first one's 24 bits left
        part = g.convert(g.mul(g.convert(rest, "float32"), inverse), "int32")
        quotient = part if quotient is None else g.add(quotient, part)
        rest = g.sub(rest, g.mul(part, b))
    assert quotient is not None
    # Now |rest| is little more than |b| / 2. Its sign must be that of b, or of a; what has it not is one step too far.
    far = e("less", g.mul(g.convert(rest, "float32"), g.convert(b if floor else a, "float32")), np.float32(0))
    if floor:
        return g.sub(quotient, far), g.add(rest, g.mul(far, b))
    back = g.mul(far, g.minimum(g.maximum(quotient, np.int32(-1)), np.int32(1)))
    return g.sub(quotient, back), g.add(rest, g.mul(back, b))


def divide(g: Graph, a: Tensor, b: Tensor) -> Tensor:
    """a / b in float32 as IEEE 754 says: rounded once, with subnormals, infinities and NaN."""
    return Divisor(g, b).of(a)


class Divisor:
    """What several numbers are divided by."""

    def __init__(self, g: Graph, b: Tensor):
        self.graph, self.sign, self.parts = g, g.bits(b, "int32"), _Parts(g, b)
        root = g.rsqrt(self.parts.one)
        self.inverse = g.mul(root, root)
        self.root = g.rsqrt(g.bits(self.parts.bits, "float32"))

    def of(self, a: Tensor) -> Tensor:
        """The quotient of a, see :func:`divide`."""
        g, e = self.graph, self.graph.elementwise
        above, below = _Parts(g, a), self.parts
        # Of the significands' quotient, which is between 1/2 and 2, 25 bits behind the point.
        first = g.convert(g.mul(g.mul(above.one, self.inverse), np.float32(2.0**25)), "int32")
        rest = g.sub(e("shift_left", above.whole, np.int32(25)), g.mul(first, below.whole))
        scaled = g.mul(g.mul(g.convert(rest, "float32"), self.inverse), np.float32(2.0**-FRACTION_BITS))
        more = g.convert(scaled, "int32")
        rest = g.sub(rest, g.mul(more, below.whole))
        # One more bit says whether there is a rest: 2q - 1 if it is negative, 2q + 1 if it is positive.
        sticky = g.minimum(g.maximum(rest, np.int32(-1)), np.int32(1))
        exact = g.add(e("shift_left", g.add(first, more), np.int32(1)), sticky)
        value = _scaled(g, exact, g.sub(above.exponent, below.exponent))
        # Zeros, infinities and NaN go their own way.
        least, most = g.minimum(above.bits, below.bits), g.maximum(above.bits, below.bits)
        special = e("bit_or", e("equal", least, np.int32(0)), e("greater_equal", most, np.int32(EXPONENT)))
        plain = g.mul(g.mul(g.bits(above.bits, "float32"), self.root), self.root)
        found = g.select(special, g.bits(plain, "int32"), g.bits(value, "int32"))
        sign = e("bit_and", e("bit_xor", g.bits(a, "int32"), self.sign), np.int32(SIGN))
        return g.bits(e("bit_or", found, sign), "float32")


class _Parts:
    """A number's absolute value: one · 2^exponent, 1 ≤ one < 2, if it is finite and not 0.

    ``bits`` of it, and ``whole``, which is one · 2^23.
    """

    def __init__(self, g: Graph, x: Tensor):
        e = g.elementwise
        self.bits = e("bit_and", g.bits(x, "int32"), np.int32(ABSOLUTE))
        # Brought away from subnormals first: times 2^32 or 2^-32.
        small = e("less", self.bits, np.int32(ONE))
        factor = g.add(e("shift_left", small, np.int32(29)), np.int32((BIAS - 32) << FRACTION_BITS))
        moved = g.bits(g.mul(g.bits(self.bits, "float32"), g.bits(factor, "float32")), "int32")
        self.whole = e("bit_or", e("bit_and", moved, np.int32(FRACTION)), np.int32(HIDDEN))
        self.one = g.bits(e("bit_or", self.whole, np.int32(ONE)), "float32")
        places = np.int32(FRACTION_BITS)
        self.exponent = g.sub(e("shift_right", moved, places), e("shift_right", factor, places))


def _scaled(g: Graph, exact: Tensor, power: Tensor) -> Tensor:
    """exact · 2^(power - 26), 2^25 < exact < 2^27, rounded once."""
    e = g.elementwise
    # Bits below the least subnormal, 2^-149. Of fewer than three the conversion takes care, as of any number.
    lost = g.sub(g.constant(np.int32(-123)), power)
    lost = g.mul(lost, e("greater_equal", lost, np.int32(3)))
    kept = e("shift_left", e("shift_rounded", exact, lost), lost)
    powers = g.maximum(g.sub(power, np.int32(26)), np.int32(-252))
    half = e("shift_rounded", powers, np.int32(1))
    value = g.convert(kept, "float32")
    for part in (half, g.sub(powers, half)):  # 2^power itself may be no float
        biased = e("shift_left", g.add(part, np.int32(BIAS)), np.int32(FRACTION_BITS))
        value = g.mul(value, g.bits(biased, "float32"))
    return value


def rounded_quotient(g: Graph, x: Tensor, scale: Array) -> Tensor:
    """int32: the float32 quotient x / scale, rounded half to even, up to ±:data:`LIMIT`; beyond it stays beyond.

    ``scale`` is float32, one number, one for each feature or one for each element; within :data:`FACTORS` it takes a
    third of the instructions of :func:`divide`. The quotient is compared with the half h nearest to it. Rounded to
    float32 it is above h if x - scale · h > t, with t half a unit in the last place of h times scale, and h itself if
    that difference is between -t and t, for halves are even in their last place. scale · h is taken in two parts, each
    of which is exact.
    """
    if scale.min() < FACTORS[0] or scale.max() > FACTORS[1]:
        bounded = g.minimum(g.maximum(divide(g, x, g.constant(scale)), np.float32(-LIMIT)), np.float32(LIMIT))
        return g.convert(bounded, "int32")
    e = g.elementwise
    high = (scale.view(np.int32) & np.int32(-1 << 12)).view(np.float32)
    estimate = g.mul(x, (1 / scale.astype(np.float64)).astype(np.float32))
    bounded = g.minimum(g.maximum(estimate, np.float32(-LIMIT)), np.float32(LIMIT))
    below = g.convert(g.sub(bounded, np.float32(0.5)), "int32")
    half = g.add(g.convert(below, "float32"), np.float32(0.5))
    distance = g.sub(g.sub(x, g.mul(half, high)), g.mul(half, scale - high))
    # h rounds to below + 1 if below is odd, so the whole interval around it does.
    odd = e("bit_and", below, np.int32(1))
    binade = e("bit_and", g.bits(half, "int32"), np.int32(EXPONENT))
    signed = g.bits(e("bit_or", binade, e("shift_left", odd, np.int32(31))), "float32")
    bound = g.mul(signed, scale * np.float32(2.0**-24))
    at = e("bit_and", e("equal", distance, bound), odd)
    return g.add(below, e("bit_or", e("greater", distance, bound), at))
