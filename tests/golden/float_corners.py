"""The corner table of ``docs/float.md``: for every row, instructions, operands and results worked out by hand.

``(mnemonic, operands, result)`` is fp32 to fp32 (or to 1 and 0); a fourth entry names other types or the mode:
``sat``, ``to`` and ``of`` (the type on either side), with fp16 and int32 numbers as their bits and values.
"""

from tsp.isa import Type

NAN, INF, ONE, TWO = 0x7FC00000, 0x7F800000, 0x3F800000, 0x40000000
MINUS_ZERO, MINUS_INF, MINUS_ONE, MINUS = 0x80000000, 0xFF800000, 0xBF800000, 0x80000000
LARGEST, LEAST_NORMAL, LEAST, ODD_NAN, SIGNALLING = 0x7F7FFFFF, 0x00800000, 1, 0xFFC12345, 0x7F800001
HALF_ULP_OF_LARGEST = 0x73000000  # 2^103
INT_MIN, INT_MAX = -(2**31), 2**31 - 1
UNARY = ("ABS", "NEG", "RELU", "TANH", "EXP", "RSQRT")
INTS = (Type.INT8, Type.INT16, Type.INT32)


def to_int(a: int, result: int, type_: Type = Type.INT32, **options: bool) -> tuple:
    return ("CONVERT", (a,), result, {"to": type_, **options})


CORNERS = {
    "ADD, SUB, MUL, MIN, MAX, ABS, NEG, RELU, TANH, EXP, RSQRT with a NaN operand": [
        *((op, (nan, ONE), NAN) for op in ("ADD", "SUB", "MUL", "MIN", "MAX") for nan in (NAN, ODD_NAN, SIGNALLING)),
        *((op, (ONE, nan), NAN) for op in ("ADD", "SUB", "MUL", "MIN", "MAX") for nan in (NAN, ODD_NAN, SIGNALLING)),
        *((op, (nan,), NAN) for op in UNARY for nan in (NAN, ODD_NAN, SIGNALLING)),
    ],
    "ADD: +∞ + −∞; SUB: ∞ − ∞ of one sign; MUL: 0 · ∞": [
        ("ADD", (INF, MINUS_INF), NAN),
        ("ADD", (MINUS_INF, INF), NAN),
        ("SUB", (INF, INF), NAN),
        ("SUB", (MINUS_INF, MINUS_INF), NAN),
        ("MUL", (0, INF), NAN),
        ("MUL", (MINUS_INF, MINUS_ZERO), NAN),
    ],
    "ADD, SUB: exact zero from x − x, or +0 + −0": [
        ("ADD", (ONE, MINUS_ONE), 0),
        ("SUB", (ONE, ONE), 0),
        ("SUB", (MINUS_ONE, MINUS_ONE), 0),
        ("SUB", (LEAST, LEAST), 0),
        ("ADD", (0, MINUS_ZERO), 0),
        ("ADD", (MINUS_ZERO, 0), 0),
        ("SUB", (MINUS_ZERO, MINUS_ZERO), 0),
    ],
    "ADD: −0 + −0; SUB: −0 − +0": [
        ("ADD", (MINUS_ZERO, MINUS_ZERO), MINUS_ZERO),
        ("SUB", (MINUS_ZERO, 0), MINUS_ZERO),
    ],
    "ADD, SUB: anything else with one infinity": [
        ("ADD", (INF, MINUS_ONE), INF),
        ("ADD", (LARGEST, MINUS_INF), MINUS_INF),
        ("ADD", (INF, INF), INF),
        ("SUB", (ONE, INF), MINUS_INF),
        ("SUB", (MINUS_INF, INF), MINUS_INF),
    ],
    "MUL: sign of zero and of infinity": [
        ("MUL", (0, MINUS_ONE), MINUS_ZERO),
        ("MUL", (MINUS_ZERO, MINUS_ONE), 0),
        ("MUL", (INF, MINUS_ONE), MINUS_INF),
        ("MUL", (MINUS_INF, MINUS_INF), INF),
    ],
    "MUL below half the least subnormal, or at it": [
        ("MUL", (LEAST, 0x3F000000), 0),
        ("MUL", (LEAST, 0xBF000000), MINUS_ZERO),
        ("MUL", (LEAST, LEAST | MINUS), MINUS_ZERO),
        ("MUL", (LEAST, 0x3F000001), LEAST),
        ("MUL", (LEAST_NORMAL, 0x3F000000), 0x00400000),
        ("MUL", (0x00000003, 0x3F000000), 0x00000002),
    ],
    "ADD, SUB, MUL beyond the largest number by half a unit or more": [
        ("ADD", (LARGEST, HALF_ULP_OF_LARGEST), INF),
        ("ADD", (LARGEST, HALF_ULP_OF_LARGEST - 1), LARGEST),
        ("SUB", (LARGEST | MINUS, HALF_ULP_OF_LARGEST), MINUS_INF),
        ("MUL", (LARGEST, TWO | MINUS), MINUS_INF),
        ("MUL", (0x7F000000, TWO), INF),
    ],
    "MIN, MAX of −0 and +0, in either order": [
        ("MIN", (0, MINUS_ZERO), MINUS_ZERO),
        ("MIN", (MINUS_ZERO, 0), MINUS_ZERO),
        ("MAX", (0, MINUS_ZERO), 0),
        ("MAX", (MINUS_ZERO, 0), 0),
        ("MIN", (MINUS_INF, LEAST), MINUS_INF),
        ("MAX", (MINUS_ONE, LEAST | MINUS), LEAST | MINUS),
    ],
    "ABS, NEG of ±0, ±∞ and of subnormals": [
        ("ABS", (MINUS_ZERO,), 0),
        ("ABS", (MINUS_INF,), INF),
        ("ABS", (LEAST | MINUS,), LEAST),
        ("NEG", (0,), MINUS_ZERO),
        ("NEG", (MINUS_ZERO,), 0),
        ("NEG", (INF,), MINUS_INF),
        ("NEG", (LEAST,), LEAST | MINUS),
    ],
    "EQ, LT, LE, GT, GE with a NaN operand": [
        (op, operands, 0)
        for op in ("EQ", "LT", "LE", "GT", "GE")
        for operands in ((NAN, ONE), (ONE, ODD_NAN), (SIGNALLING, SIGNALLING), (NAN, NAN))
    ],
    "NE with a NaN operand": [("NE", (NAN, ONE), 1), ("NE", (ONE, ODD_NAN), 1), ("NE", (NAN, NAN), 1)],
    "compares: −0 and +0": [
        (op, operands, int(op in ("EQ", "LE", "GE")))
        for op in ("EQ", "NE", "LT", "LE", "GT", "GE")
        for operands in ((0, MINUS_ZERO), (MINUS_ZERO, 0))
    ],
    "compares: infinities": [
        ("EQ", (INF, INF), 1),
        ("NE", (MINUS_INF, MINUS_INF), 0),
        ("EQ", (INF, MINUS_INF), 0),
        ("GT", (INF, LARGEST), 1),
        ("LT", (MINUS_INF, LARGEST | MINUS), 1),
        ("LT", (LEAST | MINUS, LEAST), 1),
        ("GE", (LEAST, LEAST_NORMAL), 0),
    ],
    "RELU": [
        ("RELU", (MINUS_ZERO,), 0),
        ("RELU", (MINUS_INF,), 0),
        ("RELU", (INF,), INF),
        ("RELU", (LEAST | MINUS,), 0),
        ("RELU", (LEAST,), LEAST),
    ],
    "MASK a, b": [
        ("MASK", (MINUS_ONE, 0), 0),
        ("MASK", (MINUS_ONE, 1), MINUS_ONE),
        ("MASK", (MINUS_ZERO, -1), MINUS_ZERO),
        ("MASK", (ONE, INT_MIN), ONE),
    ],
    "SELECT a, b, c": [
        ("SELECT", (ONE, TWO, 1), ONE),
        ("SELECT", (ONE, TWO, 0), TWO),
        ("SELECT", (ONE, NAN, INT_MIN), ONE),
        ("SELECT", (NAN, TWO, 0), TWO),
    ],
    "MASK, SELECT of a NaN that is taken": [
        ("MASK", (ODD_NAN, 1), NAN),
        ("SELECT", (SIGNALLING, ONE, 1), NAN),
        ("SELECT", (ONE, ODD_NAN, 0), NAN),
    ],
    "CONVERT int32 → fp32": [
        ("CONVERT", (a,), result, {"of": Type.INT32})
        for a, result in [
            (0, 0),
            (-1, MINUS_ONE),
            (2**24 + 1, 0x4B800000),
            (2**24 + 3, 0x4B800002),
            (INT_MAX, 0x4F000000),
            (INT_MIN, 0xCF000000),
        ]
    ],
    "CONVERT int32 → fp16": [
        ("CONVERT", (a,), result, {"of": Type.INT32, "to": Type.FP16})
        for a, result in [(0, 0), (2049, 0x6800), (2051, 0x6802), (65519, 0x7BFF), (65520, 0x7C00), (INT_MIN, 0xFC00)]
    ],
    "CONVERT fp32 → fp32": [
        ("CONVERT", (a,), a) for a in (MINUS_ZERO, LEAST, LEAST | MINUS, INF, MINUS_INF, ONE, LARGEST)
    ] + [("CONVERT", (ODD_NAN,), NAN)],
    "CONVERT fp32 → fp16": [
        ("CONVERT", (a,), result, {"to": Type.FP16})
        for a, result in [(ONE, 0x3C00), (0x3F801000, 0x3C00), (0x3F803000, 0x3C02), (0x477FEFFF, 0x7BFF)]
    ],
    "CONVERT fp16 → fp32": [
        ("CONVERT", (a,), result, {"of": Type.FP16})
        for a, result in [(1, 0x33800000), (0x8001, 0xB3800000), (0x7BFF, 0x477FE000), (0xFC00, MINUS_INF)]
    ],
    "CONVERT fp32 → int, in range": [
        to_int(a, result, sat=sat)
        for sat in (False, True)
        for a, result in [
            (MINUS_ZERO, 0),
            (0xBF000000, 0),
            (0x3F000000, 0),
            (0x3F000001, 1),
            (0x3FC00000, 2),
            (0x40200000, 2),
            (0xC0200000, -2),
            (LEAST, 0),
            (0x4EFFFFFF, 2147483520),
            (0xCF000000, INT_MIN),
        ]
    ],
    "CONVERT fp32 → int32, modular, beyond int32": [
        to_int(0x4F000000, INT_MIN),
        to_int(0x4F800001, 512),
        to_int(0xCF800001, -512),
        to_int(0x5A7FFFFF, -(2**30)),  # (2^24 - 1) · 2^30, just below 2^54
        to_int(0x5AFFFFFF, INT_MIN),  # (2^24 - 1) · 2^31, just below 2^55
        to_int(0x5B000000, 0),
        to_int(LARGEST, 0),
    ],
    "CONVERT fp32 → int32, saturating, beyond int32": [
        to_int(0x4F000000, INT_MAX, sat=True),
        to_int(LARGEST, INT_MAX, sat=True),
        to_int(0xCF000001, INT_MIN, sat=True),
    ],
    "CONVERT fp32 → int8 or int16": [
        to_int(0x43960000, 44, Type.INT8),
        to_int(0x43960000, 127, Type.INT8, sat=True),
        to_int(0xC3960000, -128, Type.INT8, sat=True),
        to_int(0x42FF0000, -128, Type.INT8),  # 127.5 is 128
        to_int(0x47800000, 0, Type.INT16),
        to_int(0x47800000, 32767, Type.INT16, sat=True),
        to_int(LARGEST | MINUS, -32768, Type.INT16, sat=True),
    ],
    "CONVERT +∞ or −∞ → int": [
        *(to_int(a, 0, type_) for a in (INF, MINUS_INF) for type_ in INTS),
        *(to_int(INF, 2 ** (8 * type_.planes - 1) - 1, type_, sat=True) for type_ in INTS),
        *(to_int(MINUS_INF, -(2 ** (8 * type_.planes - 1)), type_, sat=True) for type_ in INTS),
    ],
    "CONVERT NaN → int": [
        to_int(nan, 0, type_, sat=sat) for nan in (NAN, ODD_NAN, SIGNALLING) for type_ in INTS for sat in (False, True)
    ],
    "EXP of ±0": [("EXP", (0,), ONE), ("EXP", (MINUS_ZERO,), ONE), ("EXP", (LEAST,), ONE)],
    "EXP of +∞; of −∞": [("EXP", (INF,), INF), ("EXP", (MINUS_INF,), 0)],
    "EXP beyond the largest number; below half the least subnormal": [
        ("EXP", (0x42B17218,), INF),  # 88.72284
        ("EXP", (LARGEST,), INF),
        ("EXP", (0xC2CFF1B5,), 0),  # -103.9721
        ("EXP", (0xC2CFF1B4,), LEAST),
        ("EXP", (LARGEST | MINUS,), 0),
    ],
    "RSQRT of +0; of −0": [("RSQRT", (0,), INF), ("RSQRT", (MINUS_ZERO,), MINUS_INF)],
    "RSQRT of a negative number, of −∞": [
        ("RSQRT", (MINUS_ONE,), NAN),
        ("RSQRT", (LEAST | MINUS,), NAN),
        ("RSQRT", (MINUS_INF,), NAN),
    ],
    "RSQRT of +∞; of 4^k": [
        ("RSQRT", (INF,), 0),
        *(("RSQRT", (127 + 2 * k << 23,), 127 - k << 23) for k in range(-63, 64)),
    ],
    "TANH of ±0 and of every \\|x\\| < 2^−12": [
        ("TANH", (a,), a) for x in (0, LEAST, LEAST_NORMAL, 0x397FFFFF) for a in (x, x | MINUS)
    ],
    "TANH of ±∞ and of every \\|x\\| ≥ 16": [
        ("TANH", (x | sign,), ONE | sign) for x in (INF, LARGEST, 0x41800000) for sign in (0, MINUS)
    ],
    "any operation, result to fp16": [
        *(("ADD", (a, MINUS_ZERO), half, {"to": Type.FP16}) for a, half in [
            (ODD_NAN, 0x7E00),
            (MINUS_ZERO, 0x8000),
            (INF, 0x7C00),
            (0x477FF000, 0x7C00),
            (0x477FEFFF, 0x7BFF),
            (0xC77FF000, 0xFC00),
            (0x33000000, 0x0000),
            (0x33000001, 0x0001),
            (0xB3000001, 0x8001),
            (0x33C00000, 0x0002),
            (0x387FE000, 0x0400),
            (LEAST, 0x0000),
        ]),
        ("EXP", (0x41200000,), 0x7561, {"to": Type.FP16}),
        ("TANH", (ONE,), 0x3A18, {"to": Type.FP16}),
    ],
}  # fmt: skip
