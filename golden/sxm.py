"""The SXM: bytes moved between lanes and between streams."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tsp.config import LANES_PER_SUPERLANE
from tsp.isa import Instruction, Way

Bytes = NDArray[np.uint8]
"""[n, streams, lanes]"""


def operate(instruction: Instruction, operands: list[Bytes]) -> Bytes:
    """Results uint8 [n, streams, lanes] of an SXM instruction; ``operands`` [n, streams, lanes] in its order."""
    return _OPERATIONS[instruction.mnemonic](instruction, *operands)


def powered(vectors: NDArray[np.uint8], count: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Vectors [n, …, lanes] of which superlanes from ``count`` [n] on are not powered: their bytes count as zero."""
    lanes = vectors.shape[-1]
    most = count * LANES_PER_SUPERLANE
    if (most == lanes).all():
        return vectors
    off = np.arange(lanes) >= most.reshape(-1, *[1] * (vectors.ndim - 1))
    return np.where(off, np.uint8(0), vectors)


def permutes(map_: Bytes, count: NDArray[np.int64] | None = None) -> NDArray[np.bool_]:
    """Which maps [n, 2, lanes] of PERMUTE name every lane of the first ``count`` [n] superlanes once in these; of all
    superlanes by default."""
    every, named = np.arange(map_.shape[-1]), _numbers(map_)
    if count is not None:
        # Lanes that are off count as if they named themselves.
        named = np.where(every < count[:, None] * LANES_PER_SUPERLANE, named, every)
    good: NDArray[np.bool_] = (np.sort(named, axis=1) == every).all(axis=1)
    return good


def _numbers(map_: Bytes) -> NDArray[np.int64]:
    """int64 [n, lanes]: little-endian 16-bit lane numbers."""
    return map_[:, 0].astype(np.int64) | map_[:, 1].astype(np.int64) << 8


def _permute(instruction: Instruction, source: Bytes, map_: Bytes) -> Bytes:
    wanted, lanes = _numbers(map_), source.shape[-1]
    taken = np.take_along_axis(source[:, 0], np.minimum(wanted, lanes - 1), axis=1)
    return np.where(wanted < lanes, taken, np.uint8(0))[:, None]


def _distribute(instruction: Instruction, source: Bytes, map_: Bytes) -> Bytes:
    n, _, lanes = source.shape
    tiles = (n, lanes // LANES_PER_SUPERLANE, LANES_PER_SUPERLANE)
    wanted = map_.reshape(tiles).astype(np.int64)
    taken = np.take_along_axis(source.reshape(tiles), wanted % LANES_PER_SUPERLANE, axis=2)
    return np.where(wanted < LANES_PER_SUPERLANE, taken, np.uint8(0)).reshape(n, 1, lanes)


def _transpose(instruction: Instruction, source: Bytes) -> Bytes:
    n, streams, lanes = source.shape
    tiles = source.reshape(n, streams, lanes // LANES_PER_SUPERLANE, LANES_PER_SUPERLANE)
    return np.ascontiguousarray(tiles.transpose(0, 3, 2, 1)).reshape(source.shape)


def _shift(instruction: Instruction, source: Bytes, select: Bytes | None = None) -> Bytes:
    moved, n, lanes = np.zeros_like(source), instruction["n"], source.shape[-1]
    if n < lanes:
        if instruction["way"] == Way.UP:
            moved[..., n:] = source[..., : lanes - n]
        else:
            moved[..., : lanes - n] = source[..., n:]
    return moved if select is None else np.where(select != 0, moved, source)


def _rotate(instruction: Instruction, source: Bytes) -> Bytes:
    n, streams, lanes = source.shape
    tiles = source.reshape(n, streams, lanes // LANES_PER_SUPERLANE, LANES_PER_SUPERLANE)
    rotated = [np.roll(tiles, -by, axis=3) for by in range(streams)]
    return np.stack(rotated, axis=2).reshape(n, streams * streams, lanes)


_OPERATIONS: dict[str, Callable[..., Bytes]] = {
    "PERMUTE": _permute,
    "DISTRIBUTE": _distribute,
    "TRANSPOSE": _transpose,
    "SHIFT": _shift,
    "ROTATE": _rotate,
}
