"""Floating point lane by lane: IEEE 754 by MPFR, the functions by the steps of ``docs/float.md`` in plain integers.

Numbers are the 32 (or 16) bits of their format. ``ulps`` measures against MPFR with 120 bits.
"""

import struct

import gmpy2
from gmpy2 import mpfr

from tsp.float_tables import segments

SINGLE, HALF = gmpy2.ieee(32), gmpy2.ieee(16)
EXACT = gmpy2.context(precision=200, emin=-100000, emax=100000)
NAN, NAN_HALF = 0x7FC00000, 0x7E00
INT_MIN, INT_MAX = -(2**31), 2**31 - 1
IEEE = {"ADD": SINGLE.add, "SUB": SINGLE.sub, "MUL": SINGLE.mul}
RELATIONS = {
    "EQ": lambda a, b: a == b,
    "NE": lambda a, b: a != b,
    "LT": lambda a, b: a < b,
    "LE": lambda a, b: a <= b,
    "GT": lambda a, b: a > b,
    "GE": lambda a, b: a >= b,
}
FUNCTIONS = {
    "EXP": EXACT.exp,
    "TANH": EXACT.tanh,
    # MPFR has +∞ for -0 where IEEE 754 has -∞.
    "RSQRT": lambda x: EXACT.rec_sqrt(x) if x else EXACT.div(1, x),
}


def number(bits: int) -> mpfr:
    """The number of 32 bits, exact."""
    return mpfr(struct.unpack("<f", struct.pack("<I", bits & 0xFFFFFFFF))[0])


def number_of_half(bits: int) -> mpfr:
    return mpfr(struct.unpack("<e", struct.pack("<H", bits))[0])


def signed(bits: int) -> int:
    """32 bits as a signed number."""
    return bits - (bits >> 31 << 32)


def of_half(bits: int) -> int:
    """fp16 as fp32."""
    return single(number_of_half(bits & 0xFFFF))


def of_integer(value: int) -> int:
    """CONVERT of an int32 to fp32, signed."""
    return signed(single(mpfr(value)))


def single(value: mpfr) -> int:
    """The bits of an exact number rounded once to fp32."""
    rounded = SINGLE.plus(value)
    return NAN if gmpy2.is_nan(rounded) else struct.unpack("<I", struct.pack("<f", float(rounded)))[0]


def half(value: mpfr) -> int:
    """The bits of a number rounded once to fp16."""
    rounded = HALF.plus(value)
    return NAN_HALF if gmpy2.is_nan(rounded) else struct.unpack("<H", struct.pack("<e", float(rounded)))[0]


def whole(value: mpfr, saturate: bool) -> int:
    """CONVERT to int32."""
    if gmpy2.is_nan(value):
        return 0
    if gmpy2.is_infinite(value):
        return 0 if not saturate else INT_MAX if value > 0 else INT_MIN
    exact = round(gmpy2.mpq(value))
    if saturate:
        return max(INT_MIN, min(INT_MAX, int(exact)))
    return (int(exact) - INT_MIN) % 2**32 + INT_MIN


def lane(mnemonic: str, saturate: bool, to_float: bool, a: int, b: int = 0, c: int = 0) -> int:
    """One lane of an operation with ``float`` = 1: 32 bits, signed. ``to_float``: the type of CONVERT's result."""
    x, y = number(a), number(b)
    if mnemonic in RELATIONS:
        return int(RELATIONS[mnemonic](x, y))
    if mnemonic == "CONVERT" and not to_float:
        return whole(x, saturate)
    if mnemonic in IEEE:
        bits = single(IEEE[mnemonic](x, y))
    elif mnemonic == "RELU":
        bits = extreme("MAX", x, mpfr(0))
    elif mnemonic in ("MIN", "MAX"):
        bits = extreme(mnemonic, x, y)
    elif mnemonic in FUNCTIONS:
        bits = {"EXP": exp, "TANH": tanh, "RSQRT": rsqrt}[mnemonic](a & 0xFFFFFFFF)
    else:
        chosen = {
            "ABS": a & 0x7FFFFFFF,
            "NEG": a ^ 0x80000000,
            "MASK": a if b else 0,
            "SELECT": a if c else b,
            "CONVERT": a,
        }[mnemonic]
        bits = single(number(chosen))
    return signed(bits)


def extreme(mnemonic: str, x: mpfr, y: mpfr) -> int:
    if gmpy2.is_nan(x) or gmpy2.is_nan(y):
        return NAN
    return single((gmpy2.minnum if mnemonic == "MIN" else gmpy2.maxnum)(x, y))


def scaled(sign: int, m: int, exponent: int) -> int:
    """round(sign, m, exponent) of the contract."""
    value = EXACT.mul_2exp(mpfr(m, 64), exponent) if exponent > 0 else EXACT.div_2exp(mpfr(m, 64), -exponent)
    return single(-value if sign else value)


def quadratic(index: int, r: int) -> int:
    c0, c1, c2 = segments()[index]
    return c0 + (c1 + (c2 * r >> 20)) * r // 2**20


def parts(x: int) -> tuple[int, int, int]:
    """Sign, e and m."""
    field = x >> 23 & 255
    return x >> 31, field - 127 if field else -126, x % 2**23 + (2**23 if field else 0)


def exp(x: int) -> int:
    sign, e, m = parts(x)
    if e >= 7:
        return NAN if gmpy2.is_nan(number(x)) else 0 if sign else 0x7F800000
    t = m * 0x171547653 >> (29 - e)
    t = -t if sign else t
    f = t % 2**26
    return scaled(0, quadratic(f // 2**20, f % 2**20), t // 2**26 - 28)


def rsqrt(x: int) -> int:
    sign, e, m = parts(x)
    if m == 0 and e == -126:
        return 0xFF800000 if sign else 0x7F800000
    if sign or gmpy2.is_nan(number(x)):
        return NAN
    if e == 128:
        return 0
    while m < 2**23:
        m, e = 2 * m, e - 1
    fraction = m - 2**23
    index = (128 if e % 2 else 64) + fraction // 2**17
    return scaled(0, quadratic(index, fraction % 2**17 * 8), -28 - e // 2)


def tanh(x: int) -> int:
    sign, e, m = parts(x)
    if gmpy2.is_nan(number(x)):
        return NAN
    if e < -12:
        return x
    if e >= 4:
        return 0xBF800000 if sign else 0x3F800000
    if e >= 0:
        fraction = m - 2**23
        return scaled(sign, quadratic(256 + 64 * e + fraction // 2**17, fraction % 2**17 * 8), -28)
    near = m * 2 ** (e + 3) if e >= -3 else m // 2 ** (-3 - e)
    return scaled(sign, m * quadratic(192 + near // 2**20, near % 2**20), e - 51)


def ulps(mnemonic: str, argument: mpfr, found: mpfr, digits: int, least: int) -> float:
    """How many units in the last place of the exact result's binade a result is off, of a format with ``digits`` bits
    and subnormals of 2^least. NaN and infinities that are right are 0 off; an infinity counts as the number after the
    largest."""
    exact = FUNCTIONS[mnemonic](argument)
    if not gmpy2.is_finite(exact) or gmpy2.is_nan(found):
        same = gmpy2.is_nan(exact) and gmpy2.is_nan(found)
        return 0.0 if same or exact == found else float("inf")
    top = EXACT.mul_2exp(mpfr(1), 3 - least - digits)
    if gmpy2.is_infinite(found):
        if EXACT.abs(exact) >= top:
            return 0.0
        found = top
    binade = gmpy2.get_exp(exact) if exact else least
    unit = EXACT.exp2(max(binade - digits, least))
    return float(EXACT.abs(EXACT.div(EXACT.sub(exact, found), unit)))
