"""TANH, EXP and RSQRT: equal to the contract's steps in plain integers, near to MPFR, and its tables as they were."""

import os
from pathlib import Path

import numpy as np
import pytest
from float_reference import FUNCTIONS, lane, number, number_of_half, ulps
from test_float import ALL_HALVES, compute

from tsp.float_tables import INDEX_BITS, LOG2_E, segments
from tsp.isa import Type

MANTISSAS = 20_000 if os.environ.get("TSP_FULL") else 30
"""Random ones for every exponent and sign, beside the ends of every segment."""
BOUND = {"TANH": 1.42, "EXP": 0.85, "RSQRT": 1.36}
"""The largest errors in units of the last place that docs/float.md states, rounded up."""


def test_tables_are_those_of_the_document():
    rows = segments()
    assert len(rows) == 1 << INDEX_BITS
    text = Path(__file__).parents[2].joinpath("docs/float.md").read_text()
    for name, column in zip(("c0", "c1", "c2"), zip(*rows, strict=True), strict=True):
        assert f"{name} {sum(column)}" in " ".join(text.split())
    for index in (0, 1, 160):
        assert str(tuple(rows[index])).replace("-", "−") in text
    assert f"0x{LOG2_E:X}" in text
    # The widths the contract gives them.
    assert all(0 < c0 < 1 << 29 and -(1 << 23) <= c1 < 1 << 23 and -(1 << 15) <= c2 < 1 << 15 for c0, c1, c2 in rows)


def test_the_quadratics_stay_in_their_ranges():
    """What the contract says about V and p, at every offset of every segment."""
    r = np.arange(0, 1 << 20, 7)
    for index, (c0, c1, c2) in enumerate(segments()):
        p = c1 + (c2 * r >> 20)
        v = c0 + (p * r >> 20)
        low, high = (1 << 28, (1 << 29) - 1) if index < 64 else ((1 << 27) + 1, 1 << 28)
        assert low <= v.min() and v.max() <= high, f"segment {index}: {v.min()}…{v.max()}"
        assert -(1 << 23) <= p.min() and p.max() < 1 << 23


def sample(rng):
    """fp32 bits of every exponent and sign."""
    edges = np.arange(0, 1 << 23, 1 << 17)
    # The ends of segments, and where a parabola through t = 0, 15/32 and 15/16 is farthest from its function.
    places = [edges + int(t * (1 << 17)) for t in (0, 2**-17, 0.19, 0.7)] + [edges - 1]
    fractions = np.concatenate([*places, [1, 2, 3], rng.integers(0, 1 << 23, MANTISSAS)]) & (1 << 23) - 1
    exponents = np.arange(0, 512) << 23
    return (exponents[:, None] | fractions[None]).ravel()


@pytest.mark.parametrize("mnemonic", FUNCTIONS)
def test_function_follows_the_contract(mnemonic):
    bits = np.random.default_rng(9).permutation(sample(np.random.default_rng(10)))[:40_000]
    found = compute(mnemonic, [bits])
    assert found.tolist() == [lane(mnemonic, False, True, x) & 0xFFFFFFFF for x in bits.tolist()]


@pytest.mark.slow
@pytest.mark.parametrize("mnemonic", FUNCTIONS)
def test_function_is_near_mpfr(mnemonic):
    worst, total = 0.0, 0
    for bits in np.array_split(sample(np.random.default_rng(11)), max(1, MANTISSAS // 100)):
        found = compute(mnemonic, [bits])
        errors = [
            ulps(mnemonic, number(x), number(y), 24, -149) for x, y in zip(bits.tolist(), found.tolist(), strict=True)
        ]
        worst, total = max(worst, *errors), total + len(bits)
    print(f"{mnemonic}: {worst:.4f} units in the last place at most, {total} arguments")
    assert worst <= BOUND[mnemonic]


@pytest.mark.parametrize("mnemonic", FUNCTIONS)
def test_every_half_is_near_mpfr(mnemonic):
    """As fp32 within the bound, as fp16 within one unit."""
    wide = compute(mnemonic, [ALL_HALVES], of=Type.FP16).tolist()
    narrow = compute(mnemonic, [ALL_HALVES], of=Type.FP16, to=Type.FP16).tolist()
    numbers = [number_of_half(x) for x in ALL_HALVES.tolist()]
    errors = [ulps(mnemonic, x, number(y), 24, -149) for x, y in zip(numbers, wide, strict=True)]
    assert max(errors) <= BOUND[mnemonic]
    errors = [ulps(mnemonic, x, number_of_half(y), 11, -24) for x, y in zip(numbers, narrow, strict=True)]
    print(f"{mnemonic}: fp16 within {max(errors):.4f} units in the last place")
    assert max(errors) < 1


WORKED = {
    "EXP": [(0xBF800000, 0x3EBC5AB2), (0x3F000000, 0x3FD3094C), (0x41200000, 0x46AC14EE), (0xC2C80000, 0x0000001B)],
    "RSQRT": [(0x40000000, 0x3F3504F3), (0x40400000, 0x3F13CD3A), (0x41200000, 0x3EA1E89B), (1, 0x64B504F3)],
    "TANH": [(0x3F800000, 0x3F42F7D6), (0x3F000000, 0x3EEC9A9F), (0x3A83126F, 0x3A83126C), (0x40400000, 0x3F7EBBE9)],
}
WORKED["EXP"] += [(0x42B16666, 0x7F7A37FC), (0x2EDBE6FF, 0x3F800000), (0x3F800000, 0x402DF854)]
WORKED["RSQRT"] += [(0x7F61B1E6, 0x1F8852AF)]
WORKED["TANH"] += [(0x41100000, 0x3F800000), (0x39800000, 0x39800000)]


@pytest.mark.parametrize("mnemonic", WORKED)
def test_worked_values(mnemonic):
    arguments, results = zip(*WORKED[mnemonic], strict=True)
    assert compute(mnemonic, [arguments]).tolist() == list(results)
