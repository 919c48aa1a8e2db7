"""Integer operations of the VXM, a lane at a time, with numbers of any size."""

from fractions import Fraction

INT_MIN, INT_MAX = -(2**31), 2**31 - 1


def to_signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def clamp(value: int, bits: int) -> int:
    return max(-(1 << bits - 1), min((1 << bits - 1) - 1, value))


def alu(mnemonic: str, saturate: bool, m: int, a: int, b: int = 0, c: int = 0) -> int:
    """One lane of one operation: the int32 result."""
    amount = b & 0xFFFFFFFF
    exact = {
        "ADD": lambda: a + b,
        "SUB": lambda: a - b,
        "MUL": lambda: to_signed(a, m) * to_signed(b, m),
        "MIN": lambda: min(a, b),
        "MAX": lambda: max(a, b),
        "ABS": lambda: abs(a),
        "NEG": lambda: -a,
        "AND": lambda: a & b,
        "OR": lambda: a | b,
        "XOR": lambda: a ^ b,
        "NOT": lambda: ~a,
        "SHL": lambda: a << min(amount, 64),
        "SRA": lambda: round(Fraction(a, 1 << min(amount, 64))),
        "SRL": lambda: to_signed((a & 0xFFFFFFFF) >> min(amount, 64), 32),
        "EQ": lambda: int(a == b),
        "NE": lambda: int(a != b),
        "LT": lambda: int(a < b),
        "LE": lambda: int(a <= b),
        "GT": lambda: int(a > b),
        "GE": lambda: int(a >= b),
        "MASK": lambda: a if b else 0,
        "SELECT": lambda: a if c else b,
        "CONVERT": lambda: a,
        "RELU": lambda: max(a, 0),
    }[mnemonic]()
    return clamp(exact, 32) if saturate else to_signed(exact, 32)
