"""A decoder layer by its sizes, and its weights."""

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tsp.errors import InputError

Array = NDArray[Any]
MATRICES = ("q", "k", "v", "o", "gate", "up", "down")


@dataclasses.dataclass(frozen=True)
class Bundle:
    """Heads of ``keys`` that lie side by side, and rows of query heads that meet them, one for each of the former."""

    keys: tuple[int, ...]
    queries: tuple[tuple[int, ...], ...]


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Of a layer. ``tokens`` are computed at once, after ``cache`` tokens whose keys and values are given.

    Attributes:
        hidden, intermediate: features of a token, and of the MLP.
        heads, kv_heads: query heads, and heads of keys and values; the former a multiple of the latter.
        theta: base of the rotary positions.
        epsilon: of the norms.
        norm_scale: numbers times this are squared for the norms; see :func:`tsp.compiler.floats.rms_norm`.
        width: lanes of the chip; as many heads as fit lie side by side.
        head: features of a head; by default those of a token are all of the heads'. More or less where this is a part
            of a layer that several chips share.
        queries: how many query heads each head of keys has, where they have not as many each.
    """

    hidden: int
    heads: int
    kv_heads: int
    intermediate: int
    tokens: int
    cache: int = 0
    theta: float = 10000.0
    epsilon: float = 1e-5
    norm_scale: float = 1.0
    width: int = 320
    head: int | None = None
    queries: tuple[int, ...] | None = None

    @property
    def dim(self) -> int:
        """Features of a head."""
        return self.hidden // self.heads if self.head is None else self.head

    @property
    def keys(self) -> int:
        """Tokens that are attended to."""
        return self.cache + self.tokens

    @property
    def tail(self) -> int:
        """The first key of the blocks of 16·S in which the tokens are."""
        return self.cache // self.width * self.width

    @property
    def shared(self) -> tuple[int, ...]:
        """Query heads of each head of keys, in order."""
        return self.queries or (self.heads // self.kv_heads,) * self.kv_heads

    def bundles(self) -> list[Bundle]:
        """Heads of keys that have as many queries, as many side by side as the lanes hold."""
        room, found = max(1, self.width // self.dim), []
        first = np.cumsum([0, *self.shared]).tolist()
        for count, group in itertools.groupby(range(self.kv_heads), key=lambda head: self.shared[head]):
            alike = list(group)
            for these in (alike[n : n + room] for n in range(0, len(alike), room)):
                copies = max(n for n in range(1, room // len(these) + 1) if count % n == 0)
                rows = count // copies
                begins = [first[head] + n * rows for head in these for n in range(copies)]
                keys = tuple(head for head in these for _ in range(copies))
                found.append(Bundle(keys, tuple(tuple(begin + row for begin in begins) for row in range(rows))))
        return found

    def shapes(self) -> dict[str, tuple[int, int]]:
        """[inputs, outputs] of every matrix."""
        wide, narrow = self.heads * self.dim, self.kv_heads * self.dim
        return {
            "q": (self.hidden, wide), "k": (self.hidden, narrow), "v": (self.hidden, narrow),
            "o": (wide, self.hidden), "gate": (self.hidden, self.intermediate),
            "up": (self.hidden, self.intermediate), "down": (self.intermediate, self.hidden),
        }  # fmt: skip

    def validate(self) -> None:
        """InputError for sizes that make no layer."""
        if min(self.hidden, self.heads, self.kv_heads, self.intermediate, self.tokens, self.cache + 1) < 1:
            raise InputError(f"{self}: every size must be at least 1, the cache at least 0")
        whole = self.head is not None or self.hidden % self.heads == 0
        uneven = self.heads % self.kv_heads if self.queries is None else self.heads - sum(self.queries)
        if not whole or uneven or self.dim % 2 or len(self.shared) != self.kv_heads:
            raise InputError(
                f"{self.heads} heads of {self.hidden} features and {self.kv_heads} of keys: heads must divide the"
                " features into even parts, and those of keys the heads"
            )


@dataclasses.dataclass(frozen=True)
class Quantised:
    """A matrix int8 [inputs, outputs], of which output j counts ``scale[j]`` times."""

    whole: NDArray[np.int8]
    scale: NDArray[np.float32]

    @classmethod
    def of(cls, matrix: ArrayLike) -> "Quantised":
        """The nearest, with the largest weight of each output as 127."""
        number = np.asarray(matrix, np.float64)
        scale = np.maximum(np.abs(number).max(0), 1e-30) / 127
        return cls(np.rint(number / scale).astype(np.int8), scale.astype(np.float32))

    def columns(self, chosen: Array) -> "Quantised":
        """Some outputs, in any order."""
        return Quantised(self.whole[:, chosen], self.scale[chosen])

    @property
    def numbers(self) -> NDArray[np.float32]:
        """What it stands for."""
        return self.whole * self.scale


@dataclasses.dataclass(frozen=True)
class Weights:
    """Matrices by the names of :data:`MATRICES`, and the factors of the norms before attention and MLP."""

    matrices: Mapping[str, Quantised]
    attention_norm: NDArray[np.float32]
    mlp_norm: NDArray[np.float32]

    @classmethod
    def random(cls, sizes: Sizes, seed: int = 0) -> "Weights":
        """So that features keep their magnitude."""
        rng = np.random.default_rng(seed)
        matrices = {}
        for name, shape in sizes.shapes().items():
            whole = rng.integers(-127, 128, shape, np.int8)
            scale = np.full(shape[1], np.sqrt(3 / shape[0]) / 127, np.float32)
            matrices[name] = Quantised(whole, scale)
        norms = [rng.uniform(0.5, 1.5, sizes.hidden).astype(np.float32) for _ in range(2)]
        return cls(matrices, *norms)
