"""fp16 products of a pair of planes: summed exactly, rounded once to fp32 (docs/architecture.md, section 4).

A finite fp16 number is a whole number of 2^-24 below 2^40. It is cut into two signed parts of 20 bits, so that sums of
320 products of parts stay below 2^50 and a float64 product of matrices is exact in any order of additions.
"""

import numpy as np
from numpy.typing import NDArray

from golden.floats import INFINITY, NAN, SIGN

Halves = NDArray[np.uint16]
Floats = NDArray[np.float64]
PART = 20
UNIT = -48
"""Products are multiples of 2^UNIT."""
_SPLIT = 2 * PART


class Weights:
    """A matrix [inputs, outputs] of fp16 numbers, ready to be multiplied with many vectors."""

    def __init__(self, bits: Halves):
        self.numbers = _numbers(bits)
        self.parts = _parts(self.numbers)


def sums(vectors: Halves, weights: Weights) -> NDArray[np.int32]:
    """The bits of the fp32 sums [n, outputs] of vectors [n, inputs] and a matrix, every NaN the canonical one."""
    numbers = _numbers(vectors)
    low, high = _parts(numbers)
    weights_low, weights_high = weights.parts
    mixed = low @ weights_high + high @ weights_low
    bits = _rounded(low @ weights_low, mixed, high @ weights_high)
    if np.isfinite(numbers).all() and np.isfinite(weights.numbers).all():
        return bits
    with np.errstate(invalid="ignore"):
        return _with_specials(bits, numbers, weights.numbers)


def _numbers(bits: Halves) -> Floats:
    return bits.view(np.float16).astype(np.float64)


def _parts(numbers: Floats) -> tuple[Floats, Floats]:
    """The lower and the upper part of finite numbers, zero for others, both whole and of the number's sign."""
    whole = np.where(np.isfinite(numbers), numbers, 0.0) * 2.0**24
    high = np.trunc(whole * 2.0**-PART)
    return whole - high * 2.0**PART, high


def _rounded(low: Floats, mixed: Floats, high: Floats) -> NDArray[np.int32]:
    """The bits of the fp32 nearest to (low + mixed·2^20 + high·2^40)·2^UNIT, half to even; the three are whole."""
    low_, mixed_, high_ = (part.astype(np.int64) for part in (low, mixed, high))
    # The sum as above·2^40 + below with 0 ≤ below < 2^40: both exact in float64.
    below = low_ + ((mixed_ & (1 << PART) - 1) << PART)
    above = high_ + (mixed_ >> PART) + (below >> _SPLIT)
    large, small = above.astype(np.float64) * 2.0**_SPLIT, (below & (1 << _SPLIT) - 1).astype(np.float64)
    total = large + small
    lost = small - (total - large)
    # Rounded to odd: an inexact total becomes the neighbour with an odd last bit, so that rounding again is right.
    total_bits = total.view(np.int64)
    outward = np.where((lost > 0) == (total > 0), 1, -1)
    odd = np.where((lost != 0) & (total_bits & 1 == 0), total_bits + outward, total_bits).view(np.float64)
    # Adding +0 makes the only zero positive.
    bits: NDArray[np.int32] = (odd * 2.0**UNIT + 0.0).astype(np.float32).view(np.int32)
    return bits


def _with_specials(bits: NDArray[np.int32], vectors: Floats, weights: Floats) -> NDArray[np.int32]:
    """The sums in which infinities and NaNs among the factors take the place of what is finite."""

    def where(numbers: Floats, sign: int) -> NDArray[np.bool_]:
        return numbers > 0 if sign > 0 else numbers < 0

    def met(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which sums have a product of an a and a b."""
        return a.astype(np.float64) @ b.astype(np.float64) > 0

    anything = np.ones_like
    nan = met(np.isnan(vectors), anything(weights, np.bool_)) | met(anything(vectors, np.bool_), np.isnan(weights))
    nan |= met(np.isinf(vectors), weights == 0) | met(vectors == 0, np.isinf(weights))
    of_sign = []
    for sign in (1, -1):
        found = np.zeros(bits.shape, np.bool_)
        for own in (1, -1):
            found |= met(vectors == own * np.inf, where(weights, own * sign))
            found |= met(where(vectors, own * sign), weights == own * np.inf)
        of_sign.append(found)
    plus, minus = of_sign
    unsigned = np.where(minus, INFINITY | SIGN, np.where(plus, INFINITY, bits.view(np.uint32)))
    unsigned = np.where(nan | plus & minus, NAN, unsigned)
    return unsigned.astype(np.uint32).view(np.int32)
