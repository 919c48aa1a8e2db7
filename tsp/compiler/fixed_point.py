"""Whole numbers that multiply like given real ones: found by trying, and right for every input there can be."""

import itertools
from collections.abc import Sequence

import numpy as np

from tsp.compiler.graph import Array

_NUDGED = 8
"""How far from its ratio a factor is looked for."""
_SHIFTS = 4
"""How many shifts are tried, the largest that fit int32."""
_BEYOND = 1 << 40
"""More than any number here."""


def fixed_point(
    numbers: Sequence[Array], ratios: Sequence[float], want: Array, floor: int
) -> tuple[tuple[int, ...], int, int] | None:
    """Factors near ``ratios``, a number to add and a shift: Σ number · factor + added, shifted to the right with halves
    to even, saturated to ``floor``…127, is ``want``. All stays within int32. None if there are none.

    Args:
        numbers: of each term, in the shape of ``want``: every combination there can be.
    """
    most = [int(np.abs(n).max()) for n in numbers]
    first = 31 - int(np.log2(sum(m * abs(r) for m, r in zip(most, ratios, strict=True)) + 1))
    for shift in range(first, max(first - _SHIFTS, 0), -1):
        found = _factors(numbers, [round(r * 2.0**shift) for r in ratios], want, floor, shift)
        if found is not None and sum(m * abs(f) for m, f in zip(most, found[0], strict=True)) + abs(found[1]) < 1 << 31:
            return *found, shift
    return None


def _factors(
    numbers: Sequence[Array], factors: Sequence[int], want: Array, floor: int, shift: int
) -> tuple[tuple[int, ...], int] | None:
    half, odd = 1 << shift - 1, want & 1
    made = sum(n * f for n, f in zip(numbers, factors, strict=True))
    least, greatest = (2 * want - 1) * half + odd - made, (2 * want + 1) * half - odd - made
    # Only what is this close to another result can be wrong after a nudge.
    slack = 2 * _NUDGED * sum(int(np.abs(n).max()) for n in numbers)
    low, high = want > floor, want < 127
    low &= least >= least.max(where=low, initial=-_BEYOND) - slack
    high &= greatest <= greatest.min(where=high, initial=_BEYOND) + slack
    nudges = itertools.product(range(-_NUDGED, _NUDGED + 1), repeat=len(factors))
    for nudge in sorted(nudges, key=lambda steps: sum(map(abs, steps))):
        above = least[low] - sum(n[low] * k for n, k in zip(numbers, nudge, strict=True))
        below = greatest[high] - sum(n[high] * k for n, k in zip(numbers, nudge, strict=True))
        added = int(above.max(initial=-_BEYOND)), int(below.min(initial=_BEYOND))
        if added[0] <= added[1]:
            return tuple(f + k for f, k in zip(factors, nudge, strict=True)), sum(added) // 2
    return None
