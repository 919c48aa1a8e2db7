"""Integer arithmetic of the ALU: every corner of the contract's table, and every operation against plain numbers."""

import numpy as np
import pytest
from plain_alu import INT_MAX, INT_MIN, alu

from golden.vxm import narrow, operate, widen
from tsp.isa import ALU_OPERATIONS, FLOAT_ONLY, Type

INTEGER_OPERATIONS = [operation for operation in ALU_OPERATIONS if operation.mnemonic not in FLOAT_ONLY]

CORNERS = [INT_MIN, INT_MIN + 1, -65536, -32769, -129, -128, -3, -2, -1, 0, 1, 2, 3, 5, 31, 32, 33, 63, 64, 127, 128]
CORNERS += [255, 32767, 32768, 65535, 0x40000000, INT_MAX - 1, INT_MAX]

# operation, saturating, operands, result
TABLE = [
    ("ADD", False, (INT_MAX, 1), INT_MIN),
    ("ADD", True, (INT_MAX, 1), INT_MAX),
    ("SUB", False, (INT_MIN, 1), INT_MAX),
    ("SUB", True, (INT_MIN, 1), INT_MIN),
    ("MUL", False, (0x10000, 0x10000), 0),
    ("MUL", True, (0x10000, -0x10000), INT_MIN),
    ("MUL", True, (INT_MIN, INT_MIN), INT_MAX),
    ("ABS", False, (INT_MIN,), INT_MIN),
    ("ABS", True, (INT_MIN,), INT_MAX),
    ("NEG", False, (INT_MIN,), INT_MIN),
    ("NEG", True, (INT_MIN,), INT_MAX),
    ("MIN", False, (-1, 0), -1),
    ("MAX", True, (-1, 0), 0),
    ("LT", True, (-1, 0), 1),
    ("GE", False, (-1, 0), 0),
    ("SHL", False, (1, 31), INT_MIN),
    ("SHL", True, (1, 31), INT_MAX),
    ("SHL", False, (3, 32), 0),
    ("SHL", True, (3, 32), INT_MAX),
    ("SHL", True, (-3, 99), INT_MIN),
    ("SHL", True, (-1, 31), INT_MIN),
    ("SHL", True, (0, -1), 0),
    ("SHL", False, (1, -1), 0),
    ("SRA", False, (3, 1), 2),
    ("SRA", False, (1, 1), 0),
    ("SRA", False, (-1, 1), 0),
    ("SRA", False, (-3, 1), -2),
    ("SRA", False, (5, 1), 2),
    ("SRA", True, (7, 2), 2),
    ("SRA", False, (INT_MIN, 32), 0),
    ("SRA", False, (INT_MIN, 31), -1),
    ("SRA", False, (INT_MAX, 31), 1),
    ("SRA", False, (INT_MIN, 0), INT_MIN),
    ("SRA", False, (123, -5), 0),
    ("SRL", False, (-1, 0), -1),
    ("SRL", True, (-1, 0), -1),
    ("SRL", False, (-1, 1), INT_MAX),
    ("SRL", True, (-1, 31), 1),
    ("SRL", False, (-1, 32), 0),
    ("SRL", False, (-1, -1), 0),
    ("MASK", False, (7, 0), 0),
    ("MASK", False, (7, -1), 7),
    ("SELECT", False, (7, 8, 1), 7),
    ("SELECT", True, (7, 8, 0), 8),
    ("CONVERT", True, (-7,), -7),
    ("RELU", False, (-7,), 0),
    ("RELU", False, (7,), 7),
]


@pytest.mark.parametrize(("mnemonic", "saturate", "operands", "expected"), TABLE)
def test_corner(mnemonic, saturate, operands, expected):
    arrays = [np.array([[x]], np.int64) for x in operands]
    assert operate(mnemonic, saturate, 32, arrays).item() == expected


@pytest.mark.parametrize("operation", INTEGER_OPERATIONS, ids=lambda operation: operation.mnemonic)
def test_operation_equals_plain_numbers(operation):
    rng = np.random.default_rng(operation.opcode)
    pairs = [(a, b) for a in CORNERS for b in CORNERS]
    columns = [np.array([a for a, _ in pairs]), np.array([b for _, b in pairs]), rng.choice([0, 1, -5], len(pairs))]
    wild = rng.integers(INT_MIN, INT_MAX + 1, (3, 300)) >> rng.integers(0, 31, (3, 300))
    columns = [np.concatenate(both) for both in zip(columns, wild, strict=True)][: operation.arity]
    for saturate in (False, True):
        for bits in (32, 8, 9, 1) if operation.mnemonic == "MUL" else (32,):
            result = operate(operation.mnemonic, saturate, bits, [column[None] for column in columns])
            lanes = zip(*(column.tolist() for column in columns), strict=True)
            assert result[0].tolist() == [alu(operation.mnemonic, saturate, bits, *lane) for lane in lanes]


@pytest.mark.parametrize(
    ("kind", "saturate", "value", "planes"),
    [
        (Type.INT8, False, 300, [44]),
        (Type.INT8, True, 300, [127]),
        (Type.INT8, True, -129, [128]),
        (Type.INT16, False, 0x12345, [0x45, 0x23]),
        (Type.INT16, True, 0x12345, [0xFF, 0x7F]),
        (Type.INT16, True, INT_MIN, [0x00, 0x80]),
        (Type.INT32, True, -2, [0xFE, 0xFF, 0xFF, 0xFF]),
    ],
)
def test_narrow(kind, saturate, value, planes):
    assert narrow(np.array([[value]], np.int64), kind, saturate)[0, :, 0].tolist() == planes


def test_widen_extends_the_sign_and_is_undone_by_narrow():
    for kind in (Type.INT8, Type.INT16, Type.INT32):
        bits = 8 * kind.planes
        values = np.array([[0, 1, -1, -(1 << bits - 1), (1 << bits - 1) - 1]], np.int64)
        assert np.array_equal(widen(narrow(values, kind, False)), values)
