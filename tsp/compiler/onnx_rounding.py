"""From whole numbers with one scale to bytes with another, in as few operations as give every result right."""

from typing import TYPE_CHECKING, Any

import numpy as np

from tsp.compiler.graph import Tensor
from tsp.compiler.onnx_values import Array, Value

if TYPE_CHECKING:
    from tsp.compiler.onnx_import import Importer

BYTES = ("int8", "uint8")
_EXACT = 24
"""Whole numbers of so many bits are float32."""
_WIDE = 15
"""From sums of more than 24 bits, which float32 rounds, so many shifts leave what saturates anyway."""


def requantised(i: "Importer", x: Value, ratio: Array, zero: Any) -> Value:
    """Sums times ``ratio`` (float32, one or one for each feature) by ``x.count``, plus ``zero``, in its type."""
    dtype = str(np.asarray(zero).dtype)
    if dtype not in BYTES:
        raise i.refused(f"makes {dtype}; int8 and uint8 are supported")
    offset = 128 if dtype == "uint8" else 0
    moved = int(zero) - offset
    # Saturation does the relu where nothing is below the zero point.
    positive = x.positive and int(zero) > np.iinfo(dtype).min
    plus = np.zeros(1, np.int64) if x.plus is None else x.plus
    ratio = np.asarray(ratio, np.float32).reshape(-1)
    shifts = _shifts(x, ratio)
    if x.count > 1:
        tensor = _mean(i, x, plus, float(ratio[0]), moved)
    elif shifts is not None and moved % 2 == 0 and x.bound + (abs(moved) << int(shifts.max())) < 1 << 31:
        # Half to even stays so when an even number is added before the shift.
        level = np.int64(moved) << shifts
        tensor = _added(i, x.tensor, plus + level)
        if positive:
            tensor = i.graph.maximum(tensor, level.astype(np.int32)) if moved else i.graph.relu(tensor)
        tensor = i.graph.requantise(tensor, shift=shifts)
    else:
        tensor = _added(i, x.tensor, plus)
        tensor = i.graph.requantise(i.graph.relu(tensor) if positive else tensor, scale=ratio, zero=moved)
    return Value(tensor, dtype, x.shape, offset)


def _added(i: "Importer", x: Tensor, plus: Array) -> Tensor:
    return i.graph.add(x, plus.astype(np.int32)) if plus.any() else x


def _shifts(x: Value, ratio: Array) -> Array | None:
    """By how many bits to the right numbers go that are multiplied with ``ratio``; None if it is no such power of
    two, or if float32 would round the numbers first."""
    mantissa, exponent = np.frexp(ratio)
    shifts = (1 - exponent).astype(np.int64)
    most = 31 if x.bound < 1 << _EXACT else _WIDE
    return shifts if (mantissa == 0.5).all() and shifts.min() >= 0 and shifts.max() <= most else None


def shifts_between(i: "Importer", x: Value, finer: Array) -> Array:
    """By how many bits to the left the numbers of ``x`` go to be in units of a finer scale."""
    mantissa, exponent = np.frexp(np.asarray(x.scale, np.float32) / finer)
    if (mantissa != 0.5).any():
        raise i.refused("adds tensors whose scales differ by what is no power of two")
    if exponent.max() > 23:
        raise i.refused(f"adds tensors whose scales differ by 2^{exponent.max() - 1}; up to 2^22 is supported")
    return np.asarray(exponent - 1, np.int64).reshape(-1)


def _mean(i: "Importer", x: Value, plus: Array, ratio: float, moved: int) -> Tensor:
    """(Sums times a whole number, plus another) shifted: the numbers are right for every sum there can be."""
    sums = np.arange(-x.bound, x.bound + 1)
    want = np.clip(np.rint(sums * np.float64(np.float32(ratio)) / x.count) + moved, -128, 127)
    whole, fraction = (part.astype(np.float32) for part in (sums * np.float32(ratio), np.float32(ratio) / x.count))
    for rounded in (whole / np.float32(x.count), sums.astype(np.float32) * fraction):
        if not np.array_equal(np.clip(np.rint(rounded) + moved, -128, 127), want):
            raise i.refused(f"divides by {x.count} so close to a half that float32 decides; choose another scale")
    shift = 30 - int(np.ceil(np.log2(abs(ratio) * x.bound / x.count + abs(moved) + 1)))
    factor = round(ratio / x.count * 2.0**shift)
    level = moved << shift
    products = sums * factor + level
    low, rest, half = products >> shift, products & (1 << shift) - 1, 1 << shift - 1
    found = np.clip(low + ((rest > half) | (rest == half) & (low & 1 == 1)), -128, 127)
    if not np.array_equal(found, want):
        raise i.refused(f"by {x.count}: no multiplication gives every mean; choose another scale")
    tensor = i.graph.mul(x.tensor, np.int32(factor))
    return i.graph.requantise(_added(i, tensor, plus * factor + level), shift=shift)
