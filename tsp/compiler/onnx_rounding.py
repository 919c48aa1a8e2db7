"""From whole numbers with one scale to bytes with another, in as few operations as give every result right."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tsp.compiler.division import rounded_quotient
from tsp.compiler.fixed_point import fixed_point
from tsp.compiler.graph import Tensor
from tsp.compiler.onnx_operands import real
from tsp.compiler.onnx_values import Array, Value

if TYPE_CHECKING:
    from tsp.compiler.onnx_import import Importer

BYTES = ("int8", "uint8")
_EXACT = 24
"""Whole numbers of so many bits are float32."""
_WIDE = 15
"""From sums of more than 24 bits, which float32 rounds, so many shifts leave what saturates anyway."""
_PIXELS = 1 << 13
"""Of a mean, whose sums are all tried."""


def requantised(i: "Importer", x: Value, ratio: Array, zero: Any) -> Value:
    """Sums times ``ratio`` (float32, one or one for each feature), plus ``zero``, in its type."""
    moved, offset, dtype = _moved(i, zero)
    # Saturation does the relu where nothing is below the zero point.
    positive = x.positive and int(zero) > np.iinfo(dtype).min
    plus = np.zeros(1, np.int64) if x.plus is None else x.plus
    ratio = np.asarray(ratio, np.float32).reshape(-1)
    shifts = _shifts(x, ratio)
    if shifts is not None and moved % 2 == 0 and x.bound + (abs(moved) << int(shifts.max())) < 1 << 31:
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


def _moved(i: "Importer", zero: Any) -> tuple[int, int, str]:
    """Where a zero point is in int8, by how much less bytes are held, and their type."""
    dtype = str(np.asarray(zero).dtype)
    if dtype not in BYTES:
        raise i.refused(f"makes {dtype}; int8 and uint8 are supported")
    offset = 128 if dtype == "uint8" else 0
    return int(zero) - offset, offset, dtype


def _added(i: "Importer", x: Tensor, plus: Array) -> Tensor:
    return i.graph.add(x, plus.astype(np.int32)) if plus.any() else x


def _shifts(x: Value, ratio: Array) -> Array | None:
    """By how many bits to the right numbers go that are multiplied with ``ratio``; None if it is no such power of
    two, or if float32 would round the numbers first."""
    mantissa, exponent = np.frexp(ratio)
    shifts = (1 - exponent).astype(np.int64)
    most = 31 if x.bound < 1 << _EXACT else _WIDE
    return shifts if (mantissa == 0.5).all() and shifts.min() >= 0 and shifts.max() <= most else None


def shifts_between(x: Value, finer: Array) -> Array | None:
    """By how many bits to the left the numbers of ``x`` go to be in units of a finer scale; None if by none."""
    (mantissa, exponent), (step, unit) = np.frexp(np.asarray(x.scale, np.float32)), np.frexp(finer)
    return np.asarray(exponent - unit, np.int64).reshape(-1) if (mantissa == step).all() else None


def power_of_two(scale: Array) -> bool:
    """Whether every one is."""
    return bool((np.frexp(scale)[0] == 0.5).all())


def mean(i: "Importer", x: Value, scale: Any, zero: Any) -> Value:
    """Sums of ``x.count`` bytes, divided by that and quantised: exact where the scales differ by a power of two, else
    times one float32 number, as onnxruntime's QLinearAveragePool does it; or one for each row, where the edge of an
    image cuts windows."""
    moved, offset, dtype = _moved(i, zero)
    assert x.scale is not None
    if not isinstance(x.count, int):
        numbers = _added(i, x.tensor, np.zeros(1) if x.plus is None else x.plus)
        factors = (x.scale / (np.float32(scale) * x.count.astype(np.float32))).astype(np.float32)
        numbers = i.graph.relu(numbers) if x.positive else numbers
        return Value(i.graph.requantise(numbers, scale=factors, zero=moved), dtype, x.shape, offset)
    ratio = float(x.scale) / float(scale)
    if not power_of_two(np.asarray(ratio)):
        return requantised(i, x, np.asarray(x.scale / np.float32(scale * np.float32(x.count))), zero)
    if x.count > _PIXELS:
        raise i.refused(f"averages {x.count} pixels; up to {_PIXELS} are supported")
    sums, floor = np.arange(-x.bound, x.bound + 1), max(moved, -128) if x.positive else -128
    want = np.clip(np.rint(sums * ratio / x.count) + moved, floor, 127).astype(np.int64)
    found = fixed_point([sums], [ratio / x.count], want, floor)
    if found is None:
        plus = np.zeros(1) if x.plus is None else x.plus
        numbers = i.graph.convert(_added(i, x.tensor, plus), "float32")
        return _divided(i, i.graph.relu(numbers) if x.positive else numbers, x.count / ratio, zero, x.shape)
    (factor,), level, shift = found
    level += factor * (0 if x.plus is None else int(x.plus[0]))
    tensor = _multiplied(i, [x.tensor], ((factor,), level, shift), floor)
    return Value(tensor, dtype, x.shape, offset)


def bytes_quantised(i: "Importer", parts: Sequence[Value], positive: bool, scale: Any, zero: Any) -> Value:
    """One dequantised tensor, or the sum of two, quantised: for each byte or pair of bytes what DequantizeLinear, Add,
    Relu and QuantizeLinear give in float32. Where float32 rounds too many to a half, these are computed."""
    moved, offset, dtype = _moved(i, zero)
    every = np.arange(-128, 128)
    numbers = np.meshgrid(*[every] * len(parts), indexing="ij")
    steps = [np.float32(x.scale) for x in parts]
    held = zip(numbers, parts, steps, strict=True)
    reals = [(number + (x.offset - x.zero)).astype(np.float32) * step for number, x, step in held]
    exact = reals[0] if len(reals) == 1 else reals[0] + reals[1]
    floor = max(moved, -128) if positive else -128
    want = np.clip(np.rint(exact / np.float32(scale)) + moved, floor, 127).astype(np.int64)
    found = fixed_point(numbers, [float(step) / float(scale) for step in steps], want, floor)
    if found is None:
        terms = [real(i, x).tensor for x in parts]
        total = terms[0] if len(terms) == 1 else i.graph.add(terms[0], terms[1])
        return _divided(i, i.graph.relu(total) if positive else total, scale, zero, parts[0].shape)
    return Value(_multiplied(i, [x.tensor for x in parts], found, floor), dtype, parts[0].shape, offset)


def _multiplied(i: "Importer", terms: Sequence[Tensor], found: tuple[tuple[int, ...], int, int], floor: int) -> Tensor:
    """What :func:`fixed_point` found, done."""
    factors, level, shift = found
    tensor = i.graph.add(i.graph.mul(terms[0], np.int32(factors[0])), np.int32(level))
    for term, factor in zip(terms[1:], factors[1:], strict=True):
        tensor = i.graph.add(i.graph.mul(term, np.int32(factor)), tensor)
    if floor > -128:
        tensor = i.graph.maximum(tensor, np.int32(floor << shift))
    return i.graph.requantise(tensor, shift=shift)


def _divided(i: "Importer", x: Tensor, scale: Any, zero: Any, shape: tuple[int, ...]) -> Value:
    """Floats quantised by a division."""
    moved, offset, dtype = _moved(i, zero)
    quotient = rounded_quotient(i.graph, x, np.asarray(scale, np.float32))
    return Value(i.graph.convert(_added(i, quotient, np.full(1, moved)), "int8"), dtype, shape, offset)
