"""The golden model's floating point: every row of the contract's corner table, and every operation against MPFR."""

import os
import re
from pathlib import Path

import float_reference as reference
import numpy as np
import pytest
from float_corners import CORNERS
from float_reference import RELATIONS, half, lane, number, number_of_half, single, whole

from golden import vxm
from tsp import isa
from tsp.isa import Type

PAIRS = 10_000_000 if os.environ.get("TSP_FULL") else 100_000
CHUNK = 100_000
BINARY = ("ADD", "SUB", "MUL", "MIN", "MAX", *RELATIONS)
INTEGERS = isa.INTEGER_TYPES
SPECIAL = [0, 1, 2, 3, 0x7FFFFE, 0x7FFFFF, 0x800000, 0x800001, 0xFFFFFF, 0x1000000, 0x3EFFFFFF, 0x3F000000, 0x3F000001]
SPECIAL += [0x3F7FFFFF, 0x3F800000, 0x3F800001, 0x3FC00000, 0x40000000, 0x4AFFFFFF, 0x4B000000, 0x4B000001, 0x4B7FFFFF]
SPECIAL += [0x4EFFFFFF, 0x4F000000, 0x4F7FFFFF, 0x4F800000, 0x5AFFFFFF, 0x5B000000, 0x73000000, 0x7EFFFFFF, 0x7F000000]
SPECIAL += [0x7F7FFFFF, 0x7F800000, 0x7F800001, 0x7FC00000, 0x7FFFFFFF, 0x477FEFFF, 0x477FF000, 0x33000000, 0x33000001]


def planes(values, type_):
    """Byte planes [1, planes, n] of integers or of the bits of floats."""
    octets = np.asarray(values, np.int64).astype("<i8").view(np.uint8).reshape(-1, 8)
    return np.ascontiguousarray(octets[:, : type_.planes].T)[None]


def compute(mnemonic, operands, of=Type.FP32, to=Type.FP32, sat=False):
    """An instruction from streams to a stream: int64 [n], floats as their unsigned bits. Conditions are int32."""
    condition = isa.CONDITIONS.get(mnemonic)
    types = [Type.INT32 if name == condition else of for name in isa.OPERAND_NAMES[: len(operands)]]
    columns = [vxm.widen(planes(column, type_), type_) for column, type_ in zip(operands, types, strict=True)]
    kind = Type.INT32 if mnemonic in isa.COMPARES else to
    of_float = int(of in isa.FLOAT_TYPES)
    instruction = isa.instruction(mnemonic, float=of_float, type=kind, to_stream=1, saturate=int(sat))
    octets = vxm.narrow(vxm.result(instruction, 32, columns), kind, sat)[0]
    total = sum(plane.astype(np.int64) << 8 * i for i, plane in enumerate(octets))
    bits = 8 * kind.planes
    return total if kind in isa.FLOAT_TYPES else total - (total >> bits - 1 << bits)


def randoms(rng, count):
    """fp32 bits: of any kind, of numbers around one, and corners."""
    bits = rng.integers(0, 2**32, count)
    near = (bits & 0x807FFFFF) | rng.integers(110, 160, count) << 23
    special = rng.choice(SPECIAL, count) | rng.integers(0, 2, count) << 31
    few = bits & 0xFF800000 | 1 << rng.integers(0, 23, count)  # significands with two bits: ties are common
    return np.choose(rng.choice(4, count, p=[0.3, 0.4, 0.15, 0.15]), [bits, near, special, few])


def test_every_row_of_the_contract_has_its_numbers():
    text = Path(__file__).parents[2].joinpath("docs/float.md").read_text()
    table = re.search(r"corners of every operation:\n\n\| case \| result \|\n\|---\|---\|\n((?:\|.*\n)*)", text)
    rows = [re.split(r"(?<!\\)\|", line)[1].strip() for line in table[1].splitlines()]
    assert rows == list(CORNERS)


@pytest.mark.parametrize("row", CORNERS)
def test_corner(row):
    for mnemonic, operands, result, *options in CORNERS[row]:
        columns = [[operand] for operand in operands[: isa.BY_MNEMONIC[mnemonic].arity]]
        found = compute(mnemonic, columns, **dict(*options))
        assert found.item() == result, f"{mnemonic} {[hex(x) for x in operands]} {options}: {found.item():#x}"


@pytest.mark.parametrize("mnemonic", BINARY)
def test_binary_operation_against_mpfr(mnemonic):
    rng = np.random.default_rng(isa.BY_MNEMONIC[mnemonic].opcode)
    pairs = np.array([(a | s, b | t) for a in SPECIAL for b in SPECIAL for s in (0, 2**31) for t in (0, 2**31)]).T
    for start in range(0, PAIRS + 1, CHUNK):
        a, b = pairs if start == 0 else (randoms(rng, CHUNK), randoms(rng, CHUNK))
        close = rng.random(len(a)) < 0.2
        b = np.where(close & (start > 0), (a ^ rng.integers(0, 8, len(a))) ^ rng.integers(0, 2, len(a)) << 31, b)
        found = compute(mnemonic, [a, b])
        want = [lane(mnemonic, False, True, *pair) & 0xFFFFFFFF for pair in zip(a.tolist(), b.tolist(), strict=True)]
        wrong = np.flatnonzero(found != want)
        assert not len(wrong), f"{mnemonic} {a[wrong[0]]:#x}, {b[wrong[0]]:#x}: {found[wrong[0]]:#x}, chunk {start}"


ALL_HALVES = np.arange(1 << 16)
EXACT_UNARY = {
    "ABS": lambda x: reference.SINGLE.abs(x),
    "NEG": lambda x: -x,
    "RELU": lambda x: reference.mpfr(0) if x <= 0 else x,
    "CONVERT": lambda x: x,
}


@pytest.mark.parametrize("mnemonic", EXACT_UNARY)
def test_every_half_through_an_exact_operation(mnemonic):
    exact = [EXACT_UNARY[mnemonic](number_of_half(bits)) for bits in ALL_HALVES.tolist()]
    found = compute(mnemonic, [ALL_HALVES], of=Type.FP16)
    assert found.tolist() == [single(value) for value in exact]
    found = compute(mnemonic, [ALL_HALVES], of=Type.FP16, to=Type.FP16)
    assert found.tolist() == [half(value) for value in exact]


@pytest.mark.parametrize("saturate", [False, True])
@pytest.mark.parametrize("type_", INTEGERS, ids=lambda type_: type_.name)
def test_every_half_to_integers(type_, saturate):
    found = compute("CONVERT", [ALL_HALVES], of=Type.FP16, to=type_, sat=saturate)
    bits = 8 * type_.planes
    for x, got in zip(ALL_HALVES.tolist(), found.tolist(), strict=True):
        want = whole(number_of_half(x), saturate)
        want = max(-(1 << bits - 1), min((1 << bits - 1) - 1, want)) if saturate else want
        assert (got - want) % (1 << bits) == 0, f"{x:#06x}: {got}, not {want}"


@pytest.mark.parametrize("saturate", [False, True])
def test_single_to_integers(saturate):
    bits = randoms(np.random.default_rng(5), PAIRS // 10)
    found = compute("CONVERT", [bits], to=Type.INT32, sat=saturate)
    assert found.tolist() == [whole(number(x), saturate) for x in bits.tolist()]


def test_single_to_half():
    bits = randoms(np.random.default_rng(6), PAIRS // 10)
    ties = (ALL_HALVES[:, None] << 13 & 0x0FFFE000 | 0x38000000) + np.array([0x0FFF, 0x1000, 0x1001])
    bits = np.concatenate([bits, ties.ravel() & 0xFFFFFFFF, np.arange(0x32F00000, 0x39000000, 0x123457 // 64)])
    found = compute("CONVERT", [bits], to=Type.FP16)
    assert found.tolist() == [half(number(x)) for x in bits.tolist()]


@pytest.mark.parametrize("to", [Type.FP16, Type.FP32], ids=lambda to: to.name)
def test_integers_to_floats(to):
    rng = np.random.default_rng(7)
    values = rng.integers(-(2**31), 2**31, PAIRS // 10) >> rng.integers(0, 31, PAIRS // 10)
    ties = np.array([(s * (2 * odd + 1) << k) for s in (1, -1) for odd in (2**23, 2**23 + 1) for k in range(6)])
    values = np.concatenate([values, ties, np.arange(-70000, 70000)])
    found = compute("CONVERT", [values], of=Type.INT32, to=to)
    rounded = single if to == Type.FP32 else half
    assert found.tolist() == [rounded(reference.mpfr(x)) for x in values.tolist()]


@pytest.mark.parametrize("mnemonic", ["MASK", "SELECT"])
def test_choice(mnemonic):
    rng = np.random.default_rng(8)
    columns = [randoms(rng, 20_000) for _ in range(isa.BY_MNEMONIC[mnemonic].arity)]
    columns[-1] = rng.choice([0, 0, 1, -1, -(2**31), 256], 20_000)
    found = compute(mnemonic, columns)
    lanes = zip(*(column.tolist() for column in columns), strict=True)
    assert found.tolist() == [lane(mnemonic, False, True, *values) & 0xFFFFFFFF for values in lanes]


def test_subnormals_flushed_by_the_machine_are_noticed(monkeypatch):
    monkeypatch.setattr(np, "float32", lambda value: np.float64(0))
    with pytest.raises(RuntimeError, match="flushes subnormal numbers"):
        vxm.floats.operate("ADD", [np.zeros(1, np.int64)] * 2)
