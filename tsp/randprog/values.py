"""Numbers worth computing with: the ends of every type, and what lies beside them."""

import random
from functools import cache

import numpy as np
from numpy.typing import NDArray

from tsp.isa import FLOAT_TYPES, INTEGER_TYPES, Type

INT_MIN, INT_MAX = -(1 << 31), (1 << 31) - 1
SHIFTS: tuple[int, ...] = (0, 1, 2, 7, 8, 15, 16, 30, 31, 32, 33, -1, INT_MIN)
ENDS: tuple[int, ...] = (0, 1, -1, INT_MIN, INT_MAX)
BYTES = (0, 1, 2, 127, 128, 129, 254, 255)


FLOAT_ENDS: dict[Type, tuple[int, ...]] = {
    # ±0, ±1, ±infinity, NaN, the least subnormal and normal number, the largest number
    Type.FP16: (0, 0x8000, 0x3C00, 0xBC00, 0x7C00, 0xFC00, 0x7E00, 0x0001, 0x0400, 0x7BFF),
    Type.FP32: (0, 1 << 31, 0x3F800000, 0xBF800000, 0x7F800000, 0xFF800000, 0x7FC00000, 1, 0x00800000, 0x7F7FFFFF),
}
"""Bits of floats at or beside every border."""
PAIRED = (0, 1, 2, 4, 5, 6, 7, 9)
"""Which of them are combined with each other: fewer, so that every combination comes."""
FLOAT_NEAR: tuple[int, ...] = (0x3F000000, 0x3FC00000, 0x4F000000, 0xCF000000, 0x477FEFFF, 0x477FF000, 0x33000001)
"""fp32 numbers where conversions round or end."""


def low(type_: Type) -> int:
    """The least number of an integer type."""
    return -(1 << (8 * type_.planes - 1))


def high(type_: Type) -> int:
    """The greatest number of an integer type."""
    return (1 << (8 * type_.planes - 1)) - 1


@cache
def boundary(type_: Type) -> tuple[int, ...]:
    """0, ±1 and the ends of every integer type that is no wider than ``type_``."""
    ends = [end for t in INTEGER_TYPES if t <= type_ for end in (low(t), high(t))]
    return (0, 1, -1, *ends)


def number(rng: random.Random, type_: Type = Type.INT32) -> int:
    """A number of a type, mostly at or near a boundary; of a floating-point type its bits."""
    kind = rng.random()
    if type_ in FLOAT_TYPES:
        return _float(rng, type_, kind)
    if kind < 0.6:
        return rng.choice(boundary(type_))
    if kind < 0.75:
        return min(max(rng.choice(boundary(type_)) + rng.randint(-2, 2), low(type_)), high(type_))
    if kind < 0.85:
        return rng.randint(0, 33)
    return rng.randint(low(type_), high(type_))


def _float(rng: random.Random, type_: Type, kind: float) -> int:
    fraction_bits, bias = (10, 15) if type_ == Type.FP16 else (23, 127)
    if kind < 0.35:
        return rng.choice(FLOAT_ENDS[type_])
    if kind < 0.45:
        return rng.choice(FLOAT_ENDS[type_]) ^ rng.randrange(4)
    if kind < 0.55 and type_ == Type.FP32:
        return rng.choice(FLOAT_NEAR) ^ rng.randrange(2)
    if kind < 0.85:  # not far from 1, so that sums and the functions' segments matter
        exponent = bias + rng.randint(-13, 5)
        return rng.randrange(2) << 8 * type_.planes - 1 | exponent << fraction_bits | rng.getrandbits(fraction_bits)
    return rng.getrandbits(8 * type_.planes)


def immediate(rng: random.Random, shift: bool, is_float: bool = False) -> int:
    """An immediate, for a shift mostly a distance that matters."""
    if is_float:
        return number(rng, Type.FP32)
    return rng.choice(SHIFTS) if shift and rng.random() < 0.8 else number(rng)


def vector(rng: random.Random, type_: Type, lanes: int) -> NDArray[np.int64]:
    """int64 [lanes] of a type."""
    return np.array([number(rng, type_) for _ in range(lanes)], np.int64)


def factors(rng: random.Random, lanes: int) -> NDArray[np.int64]:
    """int64 [lanes]: bits of fp16 numbers whose products make sums of every kind: numbers at the ends, one among zeros,
    of all magnitudes or few, with few digits so that they cancel."""
    kind = rng.random()
    if kind < 0.15:
        return vector(rng, Type.FP16, lanes)
    if kind < 0.4:
        found = drawn(rng, (0, 0x8000), lanes)
        found[rng.randrange(lanes)] = rng.choice(FLOAT_ENDS[Type.FP16])
        return found
    low_, high_ = rng.choice(((0, 30), (0, 1), (29, 30), (13, 17)))
    mask = rng.choice((0x3FF, 0x3FF, 0x300, 0))
    exponents = [rng.randint(low_, high_) for _ in range(lanes)]
    numbers = [rng.getrandbits(1) << 15 | exponent << 10 | rng.getrandbits(10) & mask for exponent in exponents]
    return np.array(numbers, np.int64)


def drawn(rng: random.Random, numbers: tuple[int, ...], lanes: int) -> NDArray[np.int64]:
    """int64 [lanes] of the given numbers."""
    return np.array(rng.choices(numbers, k=lanes), np.int64)


def plane(vectors: list[NDArray[np.int64]], number: int) -> list[NDArray[np.uint8]]:
    """Byte plane ``number`` of vectors: uint8 [lanes] each."""
    return [(vector >> (8 * number) & 0xFF).astype(np.uint8) for vector in vectors]


def byte_vector(rng: random.Random, lanes: int) -> NDArray[np.uint8]:
    """uint8 [lanes]: boundary bytes, or any bytes."""
    if rng.random() < 0.5:
        return np.array([rng.choice(BYTES) for _ in range(lanes)], np.uint8)
    return np.frombuffer(rng.randbytes(lanes), np.uint8)
