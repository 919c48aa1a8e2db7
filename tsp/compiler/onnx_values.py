"""Tensors of an ONNX model while it is read."""

import dataclasses
from typing import Any

from numpy.typing import NDArray

from tsp.compiler.graph import Tensor

Array = NDArray[Any]


@dataclasses.dataclass(frozen=True)
class Value:
    """A tensor of the model.

    Attributes:
        tensor: its numbers, less ``offset`` and ``plus``; rows are images' pixels, channels last, or all axes but the
            last.
        dtype, shape: as the model says.
        scale, zero: of what DequantizeLinear makes, or of sums of such: the real number is
            (number - zero) · scale / ``count``.
        plus: what is still to be added to sums, a whole number for each feature; None for nothing.
        positive: of sums; what is below zero counts as zero.
        bound: the number of sums is in -bound…bound.
    """

    tensor: Tensor
    dtype: str
    shape: tuple[int, ...]
    offset: int = 0
    scale: Array | None = None
    zero: int = 0
    count: int = 1
    plus: Array | None = None
    positive: bool = False
    bound: int = 1 << 31


@dataclasses.dataclass(frozen=True)
class Constant:
    """An initializer, maybe dequantised."""

    value: Array
    scale: Array | None = None
    zero: Array | int = 0
