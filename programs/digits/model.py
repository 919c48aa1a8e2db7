"""The digits classifier in plain numpy integers: what the machine must reproduce bit for bit.

    acc1   = W1 x + b1                                       int32
    h      = saturate_int8(shift_right(relu(acc1), shift1))  int8, rounding half to even
    logits = W2 h + b2                                       int32

This file needs numpy only, and shares nothing with the golden model: it is an independent reading.
"""

import io
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

INPUTS = 64
HIDDEN = 32
OUTPUTS = 10
WEIGHTS_FILE = Path(__file__).with_name("weights.npz")

_LAYOUT: dict[str, tuple[type[np.signedinteger], tuple[int, ...]]] = {
    "w1": (np.int8, (HIDDEN, INPUTS)),
    "b1": (np.int32, (HIDDEN,)),
    "shift1": (np.int32, ()),
    "w2": (np.int8, (OUTPUTS, HIDDEN)),
    "b2": (np.int32, (OUTPUTS,)),
}
_INT32_MAX = 2**31 - 1
# What pathlib, zipfile, zlib and numpy raise for a missing, damaged or foreign file (found by flipping every byte).
_UNREADABLE = (OSError, EOFError, ValueError, KeyError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error)


class WeightsError(ValueError):
    """The weights cannot be used; the message says which array breaks which rule."""


@dataclass(frozen=True)
class Weights:
    """Quantised weights; no int8 input can make a sum of either layer leave int32.

    Attributes:
        w1: int8 [32, 64], `[out, in]`.
        b1: int32 [32], in units of layer 1's sums.
        shift1: right shift that takes layer 1's sums to int8, 0..31 bits.
        w2: int8 [10, 32], `[out, in]`.
        b2: int32 [10], in units of layer 2's sums.

    Raises:
        WeightsError: an array has the wrong type, shape or range.
    """

    w1: NDArray[np.int8]
    b1: NDArray[np.int32]
    shift1: int
    w2: NDArray[np.int8]
    b2: NDArray[np.int32]

    def __post_init__(self) -> None:
        for name, value in self.arrays().items():
            dtype, shape = _LAYOUT[name]
            if value.dtype != dtype or value.shape != shape:
                found = f"{value.dtype} {list(value.shape)}"
                raise WeightsError(f"{name} is {found}, expected {np.dtype(dtype)} {list(shape)}")
        if not 0 <= self.shift1 <= 31:
            raise WeightsError(f"shift1 is {self.shift1}, expected 0..31")
        for weights, bias, name in ((self.w1, self.b1, "w1, b1"), (self.w2, self.b2, "w2, b2")):
            largest = 128 * np.abs(weights.astype(np.int64)).sum(axis=1) + np.abs(bias.astype(np.int64))
            if largest.max() > _INT32_MAX:
                row = int(largest.argmax())
                raise WeightsError(f"{name} row {row} can sum to {largest[row]}, more than int32 holds ({_INT32_MAX})")

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """The arrays by the names they have in the weight file; `shift1` is an int32 scalar there."""
        return {"w1": self.w1, "b1": self.b1, "shift1": np.asarray(self.shift1, np.int32), "w2": self.w2, "b2": self.b2}


def load_weights(path: Path = WEIGHTS_FILE) -> Weights:
    """Read a weight file written by `programs.digits.train`.

    Raises:
        WeightsError: the file is missing, damaged or foreign, or an array has the wrong type, shape or range.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
            arrays = {name.removesuffix(".npy"): _read_array(archive, name) for name in archive.namelist()}
    except _UNREADABLE as error:
        raise WeightsError(f"{path} is not a readable weight file: {error}") from error
    if sorted(arrays) != sorted(_LAYOUT):
        raise WeightsError(f"{path} holds {sorted(arrays)}, expected {sorted(_LAYOUT)}")
    shift = arrays.pop("shift1")
    if shift.dtype != np.int32 or shift.shape != ():
        raise WeightsError(f"{path}: shift1 is {shift.dtype} {list(shift.shape)}, expected int32 []")
    try:
        return Weights(shift1=int(shift), **arrays)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error


def _read_array(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    with archive.open(name) as file:
        return np.asarray(np.lib.format.read_array(file, allow_pickle=False))


def shift_right_half_even(values: NDArray[np.int32], shift: int) -> NDArray[np.int32]:
    """Divide by 2**shift, rounding to the nearest integer and ties to the even one.

    Args:
        values: int32, any shape.
        shift: bits, 0..31.

    Returns:
        int32, the shape of `values`.

    Raises:
        ValueError: `shift` is out of range.
    """
    if not 0 <= shift <= 31:
        raise ValueError(f"shift is {shift}, expected 0..31")
    wide = values.astype(np.int64)
    quotient = wide >> shift  # towards minus infinity, so the remainder is never negative
    twice_remainder = (wide - (quotient << shift)) * 2
    one = 1 << shift
    up = (twice_remainder > one) | ((twice_remainder == one) & (quotient & 1 == 1))
    rounded: NDArray[np.int32] = (quotient + up).astype(np.int32)
    return rounded


def requantise(sums: NDArray[np.int32], shift: int) -> NDArray[np.int8]:
    """Scale int32 sums by 2**-shift, rounding half to even, and saturate them to int8 (-128..127).

    Raises:
        ValueError: `shift` is not 0..31.
    """
    return np.clip(shift_right_half_even(sums, shift), -128, 127).astype(np.int8)


def hidden_sums(images: NDArray[np.int8], weights: Weights) -> NDArray[np.int32]:
    """Layer 1's sums before relu: int8 [N, 64] -> int32 [N, 32].

    Raises:
        ValueError: `images` is not int8 [N, 64].
    """
    if images.dtype != np.int8 or images.ndim != 2 or images.shape[1] != INPUTS:
        raise ValueError(f"images are {images.dtype} {list(images.shape)}, expected int8 [N, {INPUTS}]")
    return images.astype(np.int32) @ weights.w1.astype(np.int32).T + weights.b1


def logits(images: NDArray[np.int8], weights: Weights | None = None) -> NDArray[np.int32]:
    """The whole network, exactly: int8 [N, 64] -> int32 [N, 10].

    Args:
        images: int8 [N, 64].
        weights: the stored ones (`load_weights`) if not given.

    Raises:
        ValueError: `images` is not int8 [N, 64].
        WeightsError: the stored weights cannot be used.
    """
    if weights is None:
        weights = load_weights()
    hidden = requantise(np.maximum(hidden_sums(images, weights), 0), weights.shift1)
    return hidden.astype(np.int32) @ weights.w2.astype(np.int32).T + weights.b2


def predictions(scores: NDArray[np.int32]) -> NDArray[np.int64]:
    """The digit of the largest logit, the smaller digit in a tie: int32 [N, 10] -> int64 [N]."""
    best: NDArray[np.int64] = scores.argmax(axis=1).astype(np.int64)
    return best


def accuracy(scores: NDArray[np.int32], labels: NDArray[np.int64]) -> float:
    """The share 0..1 of images whose largest logit is their label; `scores` int32 [N, 10], `labels` int64 [N]."""
    return float(np.mean(predictions(scores) == labels))
