"""SECDED of 128-bit words (docs, "Check bits"), on arrays of words."""

from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsp.config import LANES_PER_SUPERLANE as LANES

CHECK_BITS = 9

Bytes = NDArray[np.uint8]
"""[..., 16]: lane 0 first."""
Checks = NDArray[np.uint16]
"""[...]: check bit r in bit r."""


def _columns() -> Checks:
    """Of the sets of three check bits, then of those of five, the 128 first; each group in the order of numbers."""
    groups = (sorted(sum(1 << r for r in rows) for rows in combinations(range(CHECK_BITS), size)) for size in (3, 5))
    return np.array([column for group in groups for column in group][: 8 * LANES], np.uint16)


COLUMNS = _columns()


def _byte_table() -> Checks:
    """uint16 [16, 256]: the check bits of a word with one byte that is not zero."""
    bits = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little").astype(bool)
    chosen = np.where(bits[None], COLUMNS.reshape(LANES, 1, 8), np.uint16(0))
    table: Checks = np.bitwise_xor.reduce(chosen, axis=2)
    return table


_TABLE = _byte_table()


NONE_WRONG, UNCORRECTABLE = -1, -2


def _flip_table() -> NDArray[np.int64]:
    """int64 [512]: syndrome → the wrong bit, data bits first and check bits from 128 on; NONE_WRONG, UNCORRECTABLE."""
    table = np.full(1 << CHECK_BITS, UNCORRECTABLE, np.int64)
    table[0] = NONE_WRONG
    table[COLUMNS] = np.arange(len(COLUMNS))
    table[1 << np.arange(CHECK_BITS)] = len(COLUMNS) + np.arange(CHECK_BITS)
    return table


_WRONG_BIT = _flip_table()


def encode(data: Bytes) -> Checks:
    """The check bits of words."""
    parts = _TABLE[np.arange(LANES), data]
    checks: Checks = np.bitwise_xor.reduce(parts, axis=-1)
    return checks


class Decoded(NamedTuple):
    """What a consumer makes of words: ``data`` as they should be, where one bit was wrong, and where more were (there
    ``data`` is as it came)."""

    data: Bytes
    corrected: NDArray[np.bool_]
    uncorrectable: NDArray[np.bool_]


def decode(data: Bytes, check: Checks) -> Decoded:
    """Check and correct words."""
    wrong = _WRONG_BIT[encode(data) ^ check]
    inside = (wrong >= 0) & (wrong < len(COLUMNS))
    byte, bit = np.where(inside, wrong // 8, 0), np.where(inside, wrong % 8, 0)
    flips = np.where(inside, np.uint8(1) << bit.astype(np.uint8), np.uint8(0)).astype(np.uint8)
    fixed = data ^ np.where(np.arange(LANES) == byte[..., None], flips[..., None], np.uint8(0))
    return Decoded(fixed, wrong >= 0, wrong == UNCORRECTABLE)
