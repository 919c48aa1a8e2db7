"""Floating point in gates against numpy, which follows IEEE 754; the functions are in the bench ``vxm_float``."""

import random

import numpy as np
import pytest
from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator

from rtl.float import FP16, FP32, Format, add_exact, multiply_exact, rounded, unpack
from rtl.float.compare import compare
from rtl.float.convert import from_integer, narrowed, to_integer, widened

COUNT = 1200
TYPES = {FP16: (np.uint16, np.float16), FP32: (np.uint32, np.float32)}


def number(rng: random.Random, form: Format) -> int:
    """A number; often with an exponent or a fraction at an end of its range."""
    ends = [0, 1, form.top - 1, form.top, form.bias + rng.randrange(-3, 4), rng.randrange(form.top + 1)]
    ones = (1 << form.fraction_bits) - 1
    fractions = [rng.getrandbits(form.fraction_bits), 0, 1, ones, ones ^ rng.randrange(8)]
    return rng.getrandbits(1) << (form.bits - 1) | rng.choice(ends) << form.fraction_bits | rng.choice(fractions)


def pairs(form: Format) -> list[tuple[int, int]]:
    rng = random.Random(f"{form}")
    found = []
    for _ in range(COUNT):
        a, b = number(rng, form), number(rng, form)
        if rng.random() < 0.3:
            b = a ^ rng.randrange(16) ^ rng.getrandbits(1) << (form.bits - 1)
        found.append((a, b))
    return found


def simulate(m: Module, inputs: list[Signal], rows: list[tuple[int, ...]], outputs: list) -> list[list[int]]:
    """The outputs for each row of inputs, of combinational logic."""
    seen = []

    async def process(ctx):
        for row in rows:
            for signal, value in zip(inputs, row, strict=True):
                ctx.set(signal, value)
            seen.append([ctx.get(output) for output in outputs])

    simulator = Simulator(m)
    simulator.add_testbench(process)
    simulator.run()
    return seen


def bits_of(form: Format, numbers: np.ndarray) -> list[int]:
    """With the canonical NaN for every NaN."""
    bits, floats = TYPES[form]
    return np.where(np.isnan(numbers), np.array(form.nan, bits), numbers.astype(floats).view(bits)).tolist()


@pytest.mark.parametrize("form", TYPES, ids=["fp16", "fp32"])
def test_sums_products_and_comparisons(form):
    m, a, b = Module(), Signal(form.bits), Signal(form.bits)
    x, y = unpack(m, "x", form, a), unpack(m, "y", form, b)
    order = compare(m, "order", a, x, b, y)
    results = [
        rounded(m, "s", form, add_exact(m, "sum", form, x, y)),
        rounded(m, "p", form, multiply_exact(m, "product", form, x, y)),
        order.less,
        order.equal,
        order.unordered,
    ]
    rows = pairs(form)
    total, product, less, equal, unordered = zip(*simulate(m, [a, b], rows, results), strict=True)
    bits, floats = TYPES[form]
    u, v = (np.array(column, bits).view(floats) for column in zip(*rows, strict=True))
    with np.errstate(all="ignore"):
        assert list(total) == bits_of(form, u + v)
        assert list(product) == bits_of(form, u * v)
        assert list(less) == (u < v).tolist()
        assert list(equal) == (u == v).tolist()
        assert list(unordered) == (np.isnan(u) | np.isnan(v)).tolist()


def test_fp16_becomes_fp32_and_back():
    m, half, wide = Module(), Signal(16), Signal(32)
    up = widened(m, "up", unpack(m, "half", FP16, half), FP16, FP32)
    down = narrowed(m, "down", unpack(m, "wide", FP32, wide), FP32, FP16)
    rng = random.Random(5)
    rows = [(number(rng, FP16), number(rng, FP32)) for _ in range(COUNT)]
    # Around fp16's range, and exactly between two numbers of it.
    rows += [(i, (0x33000000 + (i << 20)) % 2**32) for i in range(0x200)]
    rows += [(i, 0x38000000 + (i << 12) + rng.randrange(-1, 2)) for i in range(0x200)]
    found_up, found_down = zip(*simulate(m, [half, wide], rows, [up, down]), strict=True)
    halves = np.array([row[0] for row in rows], np.uint16).view(np.float16)
    wides = np.array([row[1] for row in rows], np.uint32).view(np.float32)
    with np.errstate(all="ignore"):
        assert list(found_up) == bits_of(FP32, halves.astype(np.float32))
        assert list(found_down) == bits_of(FP16, wides.astype(np.float16))


def test_integers_become_fp32_and_back():
    m, integer, bits = Module(), Signal(32), Signal(32)
    number_of = rounded(m, "number", FP32, from_integer(m, "integer", FP32, integer))
    whole = to_integer(m, "whole", FP32, unpack(m, "x", FP32, bits), 32)
    rng = random.Random(6)
    rows = [(rng.getrandbits(rng.randint(1, 32)), number(rng, FP32)) for _ in range(COUNT)]
    rows += [(-rng.getrandbits(20) % 2**32, rng.randrange(0x3E000000, 0x5C000000)) for _ in range(COUNT)]
    numbers, lows, beyonds = zip(*simulate(m, [integer, bits], rows, [number_of, whole.low, whole.beyond]), strict=True)
    integers = np.array([row[0] for row in rows], np.uint32).view(np.int32)
    assert list(numbers) == bits_of(FP32, integers.astype(np.float32))
    for (_, row), low, beyond in zip(rows, lows, beyonds, strict=True):
        value = np.array(row, np.uint32).view(np.float32).item()
        if np.isfinite(value):
            assert low == round(value) % 2**32, hex(row)  # Python rounds half to even
            assert beyond == (abs(value) >= 2**31), hex(row)
        else:
            assert (low, beyond) == (0, 1)
