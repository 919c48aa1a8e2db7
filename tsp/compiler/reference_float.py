"""What the float operations of a graph mean in numpy."""

from collections.abc import Sequence

import numpy as np

from tsp.compiler.graph import Array

_CUT = 2.0**4
"""fp16 numbers are cut at 2^-4 into two parts of 20 bits, so that float64 sums of products of parts are exact."""


def product(x: Array, weights: Array) -> Array:
    """float32 [n, m]: float16 [n, k ≤ 320] times float16 [k, m], the exact sums rounded once, as the MXM does."""
    (high, low), (weights_high, weights_low) = _parts(x), _parts(weights)
    large, lost = _two_sum(high @ weights_high, high @ weights_low + low @ weights_high)
    # What is lost is below 2^-11 and a multiple of 2^-28, so this is exact as well.
    large, lost = _two_sum(large, lost + low @ weights_low)
    # Rounded to odd in float64, a number rounds to float32 as if at once (S. Boldo, G. Melquiond, 2008).
    even = (large.view(np.int64) & 1) == 0
    odd = np.where((lost != 0) & even, np.nextafter(large, np.where(lost > 0, np.inf, -np.inf)), large)
    with np.errstate(all="ignore"):
        naive = x.astype(np.float64) @ weights.astype(np.float64)
        return np.where(np.isfinite(naive), odd + 0.0, naive).astype(np.float32)


def products(pairs: Sequence[tuple[Array, Array]], lanes: int) -> Array:
    """The products of all pairs, added up in float32: of each ``lanes`` features a sum, in their order. Weights of a
    block that are all zero are left out: not even NaN times them is NaN."""
    total = None
    for x, weights in pairs:
        for first in range(0, x.shape[1], lanes):
            block = weights[first : first + lanes]
            found = product(x[:, first : first + lanes], block)
            for column in range(0, weights.shape[1], lanes):
                if not block[:, column : column + lanes].any():
                    found[:, column : column + lanes] = 0
            with np.errstate(all="ignore"):
                total = found if total is None else total + found
    assert total is not None
    return total


def stacked(pieces: Sequence[Array], offsets: Sequence[int], shape: tuple[int, int]) -> Array:
    """Pieces from the rows ``offsets`` on, zeros between."""
    found = np.zeros(shape, pieces[0].dtype)
    for piece, offset in zip(pieces, offsets, strict=True):
        found[offset : offset + len(piece)] = piece
    return found


def widened(x: Array, features: int) -> Array:
    """With zeros behind."""
    return np.pad(x, ((0, 0), (0, features - x.shape[1])))


def kept(x: Array, first: int, last: int) -> Array:
    """float16; features ``first`` … ``last`` - 1 as they are, zeros elsewhere."""
    found = np.zeros(x.shape, np.float16)
    with np.errstate(over="ignore"):
        found[:, first:last] = x[:, first:last].astype(np.float16)
    return found


def _parts(x: Array) -> tuple[Array, Array]:
    number = x.astype(np.float64)
    number = np.where(np.isfinite(number), number, 0.0)
    high = np.trunc(number * _CUT) / _CUT
    return high, number - high


def _two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """The rounded sum and what rounding lost (D. Knuth, The Art of Computer Programming, volume 2)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)
