"""The floating point of an ALU: its 16 lanes against the golden model, operation by operation.

What a control stands for is written down here once more; that instructions set the right ones, the bench of the VXM
site tests.
"""

import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import Timer
from numpy.typing import NDArray

from golden import floats
from tb.unit.ports import seeded

LANES = 16
VECTORS = 100_000 if os.environ.get("TSP_FULL") else 1_000
"""Random operands of each operation on Verilator; on Icarus the corners only, and a handful."""
Bits = NDArray[np.int64]
Model = Callable[[Bits, Bits, Bits], Bits]

CORNERS = (
    *(0x00000000, 0x00000001, 0x007FFFFF, 0x00800000, 0x00800001, 0x00FFFFFF, 0x01000000, 0x33000000, 0x33000001),
    *(0x32FFFFFF, 0x33800000, 0x387FC000, 0x387FE000, 0x38800000, 0x397FFFFF, 0x39800000, 0x39800001, 0x3EFFFFFF),
    *(0x3F000000, 0x3F000001, 0x3F7FFFFF, 0x3F800000, 0x3F800001, 0x3FC00000, 0x40000000, 0x40200000, 0x40800000),
    *(0x417FFFFF, 0x41800000, 0x42B17217, 0x42B17218, 0x42CFF1B5, 0x42FFFFFF, 0x43000000, 0x477FE000, 0x477FEFFF),
    *(0x477FF000, 0x4AFFFFFF, 0x4B000001, 0x4B7FFFFF, 0x4B800001, 0x4EFFFFFF, 0x4F000000, 0x4F7FFFFF, 0x4F800000),
    *(0x5B000001, 0x5B7FFFFF, 0x5B800000, 0x7E800000, 0x7F000000, 0x7F7FFFFF, 0x7F800000, 0x7F800001, 0x7FC00000),
)
"""fp32 numbers where something begins or ends: subnormals, fp16, whole numbers, int32, each function's range, NaNs."""
HALF_CORNERS = (0x0000, 0x0001, 0x03FF, 0x0400, 0x0401, 0x3BFF, 0x3C00, 0x3C01, 0x7BFF, 0x7C00, 0x7C01, 0x7E00, 0x7FFF)
INTEGER_CORNERS = (0, 1, 2, 0xFFFFFF, 0x1000001, 0x1000003, 0x7FFFFFBF, 0x7FFFFFC0, 0x7FFFFFFF, 65519, 65520)


@dataclass(frozen=True)
class Case:
    """An operation: the controls that are set, and what the golden model makes of x, y and the condition z."""

    controls: tuple[str, ...]
    model: Model
    operands: str = "numbers"
    """x and y are fp32 ``numbers``, or ``halves``; or x is one of the ``integers``."""
    y_is_zero: bool = False
    unary: bool = False


def _golden(mnemonic: str, *used: int) -> Model:
    return lambda *xyz: floats.operate(mnemonic, [xyz[i] for i in used])


CASES = {
    "ADD": Case(("add",), _golden("ADD", 0, 1)),
    "SUB": Case(("add", "subtract"), _golden("SUB", 0, 1)),
    "MUL": Case(("multiply",), _golden("MUL", 0, 1)),
    "MIN": Case(("choose", "by_order"), _golden("MIN", 0, 1)),
    "MAX": Case(("choose", "by_order", "maximum"), _golden("MAX", 0, 1)),
    "ABS": Case(("choose", "absolute"), _golden("ABS", 1), unary=True),
    "NEG": Case(("choose", "negate"), _golden("NEG", 1), unary=True),
    "RELU": Case(("choose", "by_order", "maximum"), _golden("RELU", 0), y_is_zero=True, unary=True),
    "MASK": Case(("choose", "by_z"), _golden("MASK", 0, 2), y_is_zero=True),
    "SELECT": Case(("choose", "by_z"), _golden("SELECT", 0, 1, 2)),
    "EQ": Case(("compare", "by_equal"), _golden("EQ", 0, 1)),
    "NE": Case(("compare", "by_equal", "complement"), _golden("NE", 0, 1)),
    "LT": Case(("compare", "by_less"), _golden("LT", 0, 1)),
    "LE": Case(("compare", "by_less", "by_equal"), _golden("LE", 0, 1)),
    "GT": Case(("compare", "by_less", "by_equal", "complement"), _golden("GT", 0, 1)),
    "GE": Case(("compare", "by_less", "complement"), _golden("GE", 0, 1)),
    "TANH": Case(("tanh",), _golden("TANH", 0), unary=True),
    "EXP": Case(("exp",), _golden("EXP", 0), unary=True),
    "RSQRT": Case(("rsqrt",), _golden("RSQRT", 0), unary=True),
    "CONVERT": Case(("choose", "take_x"), lambda x, y, z: floats.canonical(x), unary=True),
    "CONVERT from int32": Case(("from_integer",), lambda x, y, z: floats.of_integer(x), "integers", unary=True),
    "CONVERT to int32": Case(("to_integer",), lambda x, y, z: floats.to_integer(x, False), unary=True),
    "CONVERT to int32, saturating": Case(
        ("to_integer", "saturate"), lambda x, y, z: floats.to_integer(x, True), unary=True
    ),
    "ADD of fp16": Case(("add", "x_half", "y_half"), _golden("ADD", 0, 1), "halves"),
    "MUL of fp16": Case(("multiply", "x_half", "y_half"), _golden("MUL", 0, 1), "halves"),
    "EXP of fp16": Case(("exp", "x_half"), _golden("EXP", 0), "halves", unary=True),
    "CONVERT of fp16": Case(("choose", "take_x", "x_half"), lambda x, y, z: floats.canonical(x), "halves", unary=True),
}


def corners(case: Case) -> list[tuple[int, int]]:
    """Every pair of corners with every pair of signs; of a unary operation's, each corner twice."""
    values, bits = {
        "numbers": (CORNERS, 32),
        "halves": (HALF_CORNERS, 16),
        "integers": (INTEGER_CORNERS, 32),
    }[case.operands]
    signed = [value ^ flip for value in values for flip in (0, 1 << (bits - 1))]
    if case.operands == "integers":
        signed += [-value & 0xFFFFFFFF for value in values]
    if case.unary:
        return [(value, value) for value in signed] * 2
    return [(a, b) for a in signed for b in signed]


def number(rng: random.Random, operands: str) -> int:
    """A number of any size, with many zeros or ones in a row here and there."""
    bits, fraction = (16, 10) if operands == "halves" else (32, 23)
    if operands == "integers":
        return rng.getrandbits(rng.randint(1, 32)) * rng.choice([1, -1]) & 0xFFFFFFFF
    run = (1 << rng.randint(0, fraction)) - 1
    tail = rng.choice([rng.getrandbits(fraction), run, run ^ ((1 << fraction) - 1), 1 << rng.randrange(fraction)])
    bias = (1 << (bits - fraction - 2)) - 1
    exponent = rng.choice([rng.getrandbits(bits - 1 - fraction), bias + rng.randint(-4, 4), bias + rng.randint(-14, 8)])
    return rng.getrandbits(1) << (bits - 1) | (exponent << fraction | tail) & ((1 << (bits - 1)) - 1)


def pair(rng: random.Random, operands: str) -> tuple[int, int]:
    """Two numbers; often of about the same size, so that a sum cancels."""
    a = number(rng, operands)
    if rng.random() < 0.6:
        return a, number(rng, operands)
    sign, step = (0x8000, 1 << 10) if operands == "halves" else (0x80000000, 1 << 23)
    return a, (a + rng.randint(-2, 2) * step + rng.randint(-3, 3)) % (2 * sign) ^ rng.choice([0, sign])


def on_icarus() -> bool:
    """Which simulator this is."""
    return str(cocotb.SIM_NAME).startswith("Icarus")


class Lanes:
    """The module under test: all its lanes do the same thing at once."""

    def __init__(self, dut: Any, name: str):
        self._dut, self.rng = dut, seeded(name)
        self._controls = sorted({control for case in CASES.values() for control in case.controls})

    async def check(self, name: str, pairs: list[tuple[int, int]]) -> None:
        """Hold an operation on these operands against the golden model."""
        case = CASES[name]
        for control in self._controls:
            getattr(self._dut, control).value = control in case.controls
        self._dut.valid.value = 1
        pairs = pairs + pairs[: -len(pairs) % LANES]
        assert len(pairs) % LANES == 0, "too few pairs"
        conditions = [self.rng.getrandbits(1) for _ in pairs]
        results, halves = [], []
        for start in range(0, len(pairs), LANES):
            found = await self._evaluate(case, pairs[start : start + LANES], conditions[start : start + LANES])
            results.append(found[0])
            halves.append(found[1])
        x, y = (np.array(column, np.uint32) for column in zip(*pairs, strict=True))
        self._compare(name, x, y, np.array(conditions), np.concatenate(results), np.concatenate(halves))

    async def _evaluate(self, case: Case, pairs: list[tuple[int, int]], conditions: list[int]) -> tuple[Any, Any]:
        x, y = (np.array(column, np.uint32) for column in zip(*pairs, strict=True))
        self._dut.x.value = int.from_bytes(x.tobytes(), "little")
        self._dut.y.value = 0 if case.y_is_zero else int.from_bytes(y.tobytes(), "little")
        self._dut.z.value = sum(bit << i for i, bit in enumerate(conditions))
        await Timer(1, "ns")
        result = int(self._dut.result.value).to_bytes(4 * LANES, "little")
        half = int(self._dut.half.value).to_bytes(2 * LANES, "little")
        return np.frombuffer(result, np.int32).astype(np.int64), np.frombuffer(half, np.uint16)

    def _compare(self, name: str, x: Any, y: Any, z: Any, results: Bits, halves: Any) -> None:
        case = CASES[name]
        if case.operands == "halves":
            a, b = (floats.widen_half(value.astype(np.uint16)) for value in (x, y))
        else:
            a, b = (value.view(np.int32).astype(np.int64) for value in (x, y))
        want = case.model(a, b, z.astype(np.int64))
        wrong = np.flatnonzero(results != want)
        assert not len(wrong), (
            f"{name} of {x[wrong[0]]:#x}, {y[wrong[0]]:#x}, {z[wrong[0]]} is {results[wrong[0]] & 0xFFFFFFFF:#x}, "
            f"must be {want[wrong[0]] & 0xFFFFFFFF:#x}; {len(wrong)} of {len(want)} are wrong"
        )
        if "compare" in case.controls or "to_integer" in case.controls:
            return
        narrow = floats.narrow_half(want)
        wrong = np.flatnonzero(halves != narrow)
        assert not len(wrong), (
            f"{want[wrong[0]] & 0xFFFFFFFF:#x} ({name}) in fp16 is {halves[wrong[0]]:#x}, must be {narrow[wrong[0]]:#x}"
        )


@cocotb.test()
async def corner_cases(dut: Any) -> None:
    """Every operation on every pair of corners; on Icarus, which takes long for them, on every few pairs."""
    lanes = Lanes(dut, "corners")
    few = 7 if on_icarus() else 1
    for name, case in CASES.items():
        pairs = corners(case)
        await lanes.check(name, pairs if case.unary else pairs[::few])


@cocotb.test()
async def random_numbers(dut: Any) -> None:
    """Every operation on random numbers."""
    lanes = Lanes(dut, "random")
    count = 2 * LANES if on_icarus() else VECTORS
    for name, case in CASES.items():
        await lanes.check(name, [pair(lanes.rng, case.operands) for _ in range(count)])


@cocotb.test()
async def without_an_instruction_everything_is_zero(dut: Any) -> None:
    """Whatever the operands are."""
    lanes = Lanes(dut, "nothing")
    await lanes.check("ADD", [(0x3F800000, 0x3F800000)] * LANES)
    dut.valid.value = 0
    await Timer(1, "ns")
    assert (int(dut.result.value), int(dut.half.value)) == (0, 0)
