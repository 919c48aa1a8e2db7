"""Tensors of an ONNX model while it is read."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from tsp.compiler.graph import Tensor
from tsp.program import NARROW

Array = NDArray[Any]
ELEMENTS: dict[int, str] = {
    TensorProto.INT8: "int8", TensorProto.UINT8: "uint8", TensorProto.INT32: "int32", TensorProto.FLOAT: "float32",
    TensorProto.FLOAT16: "float16",
    TensorProto.BOOL: "bool",
} | {getattr(TensorProto, name.upper()): name for name in NARROW}  # fmt: skip
"""Element types of inputs. All but int32 and floats are held in bytes, and uint8 less 128."""
ANY = 1 << 31
"""What an int32 can be at most."""
BYTES = ("int8", "uint8")
WHOLE = ("int8", "uint8", "int32")
"""Types of whole numbers that are computed with."""


@dataclasses.dataclass(frozen=True)
class Value:
    """A tensor of the model.

    Attributes:
        tensor: its numbers, less ``offset`` and ``plus``; rows are images' pixels, channels last, or all axes but the
            last.
        dtype, shape: as the model says.
        scale, zero: of what DequantizeLinear makes, or of sums of such: the real number is
            (number - zero) · scale / ``count``, of means; there may be one for each row.
        plus: what is still to be added to sums, a whole number for each feature; None for nothing.
        positive: of sums; what is below zero counts as zero.
        bound: the number of sums is in -bound…bound.
        addends: dequantised tensors without a common scale whose sum it is; ``tensor`` is the first of them.
        parts, source: tensors whose numbers it takes, and which of them where, in its shape; ``tensor`` is the first's.
            None is moved yet (``onnx_moves.py``), and each may have a scale of its own.
    """

    tensor: Tensor
    dtype: str
    shape: tuple[int, ...]
    offset: int = 0
    scale: Array | None = None
    zero: int = 0
    count: int | Array = 1
    plus: Array | None = None
    positive: bool = False
    bound: int = ANY
    addends: tuple["Value", ...] = ()
    parts: tuple["Value", ...] = ()
    source: Array | None = None

    @property
    def is_real(self) -> bool:
        """Its floats are computed as such."""
        return self.tensor.dtype == "float32"

    @property
    def is_mean(self) -> bool:
        """Its numbers are still to be divided."""
        return not isinstance(self.count, int) or self.count > 1

    def scaled(self, scale: Array | None, zero: int) -> "Value":
        """The same numbers with a scale, or without."""
        parts = tuple(part.scaled(scale, zero) for part in self.parts)
        return dataclasses.replace(self, scale=scale, zero=zero, parts=parts)


@dataclasses.dataclass(frozen=True)
class Constant:
    """An initializer, maybe dequantised: along an axis, if there are several scales."""

    value: Array
    scale: Array | None = None
    zero: Array | int = 0
    axis: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    @property
    def dtype(self) -> str:
        return str(self.value.dtype)


def laid(like: Value, value: Array, dtype: str) -> Array:
    """What meets a value element by element, as rows of features: one number, one row, or all. ValueError if it does
    not fit."""
    if value.size == 1:
        return value.reshape(1, 1).astype(dtype)
    whole = np.broadcast_to(value, like.shape)
    moved = np.moveaxis(whole, 1, -1) if like.tensor.image is not None else whole
    rows = moved.reshape(like.tensor.shape).astype(dtype)
    return rows[:1] if (rows == rows[:1]).all() else rows


def made(like: Value, tensor: Tensor, shape: Sequence[int]) -> Value:
    """What a node makes, in the model's type of ``like``."""
    return dataclasses.replace(like, tensor=tensor, shape=tuple(int(n) for n in shape))
