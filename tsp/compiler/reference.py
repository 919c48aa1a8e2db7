"""What each operation of a graph means in numpy."""

from collections.abc import Callable

import numpy as np

from tsp.compiler import reference_float
from tsp.compiler.graph import INTEGERS, Array, Rows, Tensor, wide
from tsp.compiler.tensor import least
from tsp.tensors import check_numbers


def _saturated(wide: Array, dtype: str) -> Array:
    limits = np.iinfo(dtype)
    return np.clip(wide, limits.min, limits.max).astype(dtype)


def _converted(x: Array, dtype: str) -> Array:
    if dtype not in INTEGERS:
        with np.errstate(over="ignore"):
            return x.astype(dtype)
    if x.dtype.kind == "f":
        return _saturated(np.rint(np.nan_to_num(x.astype(np.float64), posinf=np.inf, neginf=-np.inf)), dtype)
    return _saturated(x.astype(np.int64), dtype)


def _shifted(x: Array, shift: Array) -> Array:
    wide, one = x.astype(np.int64), np.int64(1)
    low, rest = wide >> shift, wide & (one << shift) - 1
    half = (one << shift) >> 1
    up = (rest > half) | ((rest == half) & (low & 1 == 1)) & (shift > 0)
    return _saturated(low + up, "int8")


def _moved(x: Array, distance: Array, shift: Callable[..., Array]) -> Array:
    """Bits moved any distance, zeros behind them."""
    moved = shift(x.view(np.uint32), np.minimum(distance, 31).astype(np.uint32))
    return np.where(distance < 32, moved, 0).astype(np.uint32).view(np.int32)


_NUMPY: dict[str, Callable[..., Array]] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "minimum": np.minimum, "maximum": np.maximum,
    "relu": lambda x: np.maximum(x, np.zeros((), x.dtype)),
    "bit_and": np.bitwise_and, "bit_or": np.bitwise_or, "bit_xor": np.bitwise_xor,
    "shift_left": lambda x, n: _moved(x, n, np.left_shift), "shift_right": lambda x, n: _moved(x, n, np.right_shift),
    "shift_rounded": lambda x, n: np.rint(np.ldexp(x.astype(float), -np.minimum(n.view(np.uint32), 64).astype(int))),
    "equal": np.equal, "not_equal": np.not_equal, "less": np.less, "less_equal": np.less_equal,
    "greater": np.greater, "greater_equal": np.greater_equal,
    "select": lambda a, b, c: np.asarray(np.where(c != 0, a, b)),
    "exp": np.exp, "tanh": np.tanh, "rsqrt": lambda x: 1 / np.sqrt(x.astype(np.float64)),
}  # fmt: skip


def _taken(x: Array, rows: Rows, fill: float) -> Array:
    return x if rows is None else np.vstack([x, np.full((1, x.shape[1]), fill, x.dtype)])[np.asarray(rows)]


def _products(x: Tensor, inputs: list[Array]) -> Array:
    """Sums over all taps, modulo 2^32: taps of one tensor share a matrix, or each has a tensor and a matrix of its own.
    float64 holds sums of bytes' products exactly, and is multiplied fast."""
    taps, features = x.attribute("taps"), inputs[0].shape[1]
    weights = inputs[1::2]
    if len(inputs) == 2:
        weights = [inputs[1][tap * features : (tap + 1) * features] for tap in range(len(taps))]
    values = inputs[::2] * (len(taps) if len(inputs) == 2 else 1)
    exact = sum(
        _taken(value, rows, x.attribute("fill")).astype(np.float64) @ part.astype(np.float64)
        for value, rows, part in zip(values, taps, weights, strict=True)
    )
    return np.asarray(exact).astype(np.int64).astype(np.int32)


def _float_products(x: Tensor, inputs: list[Array], lanes: int) -> Array:
    factors = [w if y.value is not None else w.T for y, w in zip(x.inputs[1::2], inputs[1::2], strict=True)]
    return reference_float.products(list(zip(inputs[::2], factors, strict=True)), lanes)


def evaluate(x: Tensor, inputs: list[Array], lanes: int) -> Array:
    """A tensor from its operands, on a chip of so many lanes."""
    if x.op == "matmul" and x.dtype == "float32":
        return _float_products(x, inputs, lanes)
    if x.op == "matmul":
        return _products(x, inputs)
    if x.op == "concat":
        return reference_float.stacked(inputs, x.attribute("offsets"), x.shape)
    if x.op == "keep":
        return reference_float.kept(inputs[0], x.attribute("first"), x.attribute("last"))
    if x.op == "sum_pool":
        parts = [_taken(inputs[0], rows, x.attribute("fill")) for rows in x.attribute("taps")]
        return np.asarray(np.sum(parts, axis=0, dtype=np.int32))
    if x.op == "columns":
        first = x.attribute("first")
        return reference_float.widened(inputs[0][:, first : first + x.features], x.features)
    if x.op == "rows":
        return _taken(inputs[0], x.attribute("rows"), x.attribute("fill"))
    if x.op == "look_up":
        check_numbers(inputs[1], len(inputs[0]), str(x.inputs[1]))
        return inputs[0][inputs[1][:, 0]]
    if x.op == "map":
        return inputs[0]
    if x.op == "max_pool":
        taps, _ = x.attribute("windows").rows(x.inputs[0], x.attribute("size"))
        return np.asarray(np.max([_taken(inputs[0], rows, least(x.dtype)) for rows in taps], axis=0))
    if x.op == "convert":
        return _converted(inputs[0], x.dtype)
    if x.op == "wrap":
        return inputs[0].astype(x.dtype)
    if x.op == "bits":
        return np.ascontiguousarray(inputs[0]).view(x.dtype)
    if x.op == "shift":
        return _shifted(inputs[0], inputs[1].astype(np.int64))
    if x.op == "add_saturated":
        return _saturated(inputs[0].astype(np.int64) + inputs[1], x.dtype)
    with np.errstate(all="ignore"):
        found = _NUMPY[x.op](*(value.astype(wide(y.dtype)) for value, y in zip(inputs, x.inputs, strict=True)))
    return np.asarray(found, x.dtype)
