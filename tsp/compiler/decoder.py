"""A decoder layer of the Llama family as a graph: RMSNorm, attention with grouped heads and rotary positions, and a
gated MLP.

Weights are whole numbers of 8 bits, which float16 holds exactly, and a factor for each output, by which an ALU
multiplies the sums. Heads of keys lie side by side in the lanes. A query meets its own head because it is zero in the
lanes of the others; of what it takes of all values, only the lanes of its own head are kept.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tsp.compiler import floats
from tsp.compiler.graph import Graph, Tensor
from tsp.errors import InputError

Array = NDArray[Any]
HIDDEN_SCORE = -30000.0
"""Added to the score of a key that a query must not see; exp of it is 0."""
MATRICES = ("q", "k", "v", "o", "gate", "up", "down")


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

    @property
    def dim(self) -> int:
        """Features of a head."""
        return self.hidden // self.heads if self.head is None else self.head

    @property
    def keys(self) -> int:
        """Tokens that are attended to."""
        return self.cache + self.tokens

    @property
    def repeats(self) -> int:
        """Query heads for each head of keys."""
        return self.heads // self.kv_heads

    def bundles(self) -> list[range]:
        """Heads of keys that lie side by side."""
        together = max(1, self.width // self.dim)
        return [range(n, min(n + together, self.kv_heads)) for n in range(0, self.kv_heads, together)]

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
        if not whole or self.heads % self.kv_heads or self.dim % 2:
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
    def half(self) -> NDArray[np.float16]:
        return self.whole.astype(np.float16)

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
        """Normally distributed, so that features keep their magnitude."""
        rng = np.random.default_rng(seed)
        matrices = {n: Quantised.of(rng.normal(size=s) / np.sqrt(s[0])) for n, s in sizes.shapes().items()}
        norms = [rng.uniform(0.5, 1.5, sizes.hidden).astype(np.float32) for _ in range(2)]
        return cls(matrices, *norms)


def decoder_layer(sizes: Sizes, weights: Weights) -> Graph:
    """The graph of a layer. InputError for sizes that make none.

    Inputs: ``x`` float32 [tokens, hidden]; with a cache for each bundle b of heads ``k_cache.b`` float16 [cache,
    heads·dim], with positions already, and ``v_cache.b`` float16 [heads·dim, cache + tokens], zero for the tokens.
    Outputs: ``y`` float32 [tokens, hidden], ``k.b`` float16 [tokens, heads·dim] and ``v.b`` float16 [heads·dim, cache +
    tokens], what the next tokens take.
    """
    sizes.validate()
    graph = Graph()
    x = graph.input("x", (sizes.tokens, sizes.hidden), "float32")
    h = floats.half(graph, _norm(graph, sizes, x, weights.attention_norm))
    middle = graph.add(_attention(graph, sizes, weights, h), x)
    h = floats.half(graph, _norm(graph, sizes, middle, weights.mlp_norm))
    graph.output("y", graph.add(_mlp(graph, weights, h), middle))
    return graph


def _norm(graph: Graph, sizes: Sizes, x: Tensor, gain: Array) -> Tensor:
    return floats.rms_norm(graph, x, gain, sizes.epsilon, sizes.norm_scale)


def _attention(graph: Graph, sizes: Sizes, weights: Weights, h: Tensor) -> Tensor:
    n, dim, repeats = sizes.tokens, sizes.dim, sizes.repeats
    # Tokens as weights: rows of the values' matrix times them are the values of all tokens, a feature in each row.
    tokens = floats.stationary(graph, sizes.keys, [(sizes.cache, h)])
    scores, values, owned = [], [], []
    for b, bundle in enumerate(sizes.bundles()):
        queries = floats.concat_rows(graph, [_queries(graph, sizes, weights, h, bundle, j) for j in range(repeats)])
        keys = floats.stationary(graph, sizes.keys, _keys(graph, sizes, weights, h, b, bundle))
        values.append(_values(graph, sizes, weights, tokens, b, bundle))
        # All queries for each head of keys, with zeros in the lanes of the others.
        own = np.kron(np.eye(len(bundle)), np.ones((repeats * n, dim)))
        owned.append(graph.constant(own, "float16"))
        every = floats.take_rows(graph, queries, [*range(repeats * n)] * len(bundle))
        found = floats.products(graph, [(floats.half(graph, graph.mul(every, owned[-1])), keys)])
        late = np.arange(sizes.keys) > sizes.cache + np.arange(n)[:, None]
        mask = np.tile(np.where(late, HIDDEN_SCORE, 0.0).astype(np.float16), (repeats * len(bundle), 1))
        scores.append(graph.add(found, mask) if n > 1 else found)
    every = scores[0] if len(scores) == 1 else floats.concat_rows(graph, scores)
    shares = floats.half(graph, floats.softmax(graph, every, sizes.width))
    pairs: list[tuple[Tensor, floats.Factor]] = []
    row = 0
    for bundle, value, lanes in zip(sizes.bundles(), values, owned, strict=True):
        part = floats.take_rows(graph, shares, range(row, row + lanes.rows))
        row += lanes.rows
        taken = floats.half(graph, graph.mul(floats.products(graph, [(part, value)]), lanes))
        groups = [floats.take_rows(graph, taken, range(r, r + repeats * n)) for r in range(0, lanes.rows, repeats * n)]
        mixed = floats.half(graph, functools.reduce(graph.add, groups))
        for j in range(repeats):
            heads = _features(sizes, [head * repeats + j for head in bundle])
            pairs.append((floats.take_rows(graph, mixed, range(j * n, (j + 1) * n)), weights.matrices["o"].half[heads]))
    return graph.mul(floats.products(graph, pairs), weights.matrices["o"].scale)


def _features(sizes: Sizes, heads: list[int]) -> Array:
    return np.concatenate([np.arange(head * sizes.dim, (head + 1) * sizes.dim) for head in heads])


def _queries(graph: Graph, sizes: Sizes, weights: Weights, h: Tensor, bundle: range, j: int) -> Tensor:
    """Query head j of each head of keys, float16 [tokens, heads·dim]."""
    matrix = weights.matrices["q"].columns(_features(sizes, [head * sizes.repeats + j for head in bundle]))
    return floats.half(graph, _rotary(graph, sizes, h, matrix, 1 / np.sqrt(sizes.dim)))


def _keys(
    graph: Graph, sizes: Sizes, weights: Weights, h: Tensor, b: int, bundle: range
) -> list[tuple[int, Tensor]]:
    """Keys of the cache and of the tokens, each from a row on."""
    matrix = weights.matrices["k"].columns(_features(sizes, list(bundle)))
    new = floats.half(graph, _rotary(graph, sizes, h, matrix, 1.0))
    graph.output(f"k.{b}", new)
    if not sizes.cache:
        return [(0, new)]
    return [(0, graph.input(f"k_cache.{b}", (sizes.cache, new.features), "float16")), (sizes.cache, new)]


def _values(graph: Graph, sizes: Sizes, weights: Weights, tokens: Tensor, b: int, bundle: range) -> Tensor:
    """Values, float16 [heads·dim, cache + tokens], stationary."""
    matrix = weights.matrices["v"].columns(_features(sizes, list(bundle)))
    found = graph.mul(
        floats.products(graph, [(graph.constant(np.ascontiguousarray(matrix.half.T)), tokens)]),
        np.repeat(matrix.scale[:, None], sizes.keys, 1),
    )
    if sizes.cache:
        found = graph.add(found, graph.input(f"v_cache.{b}", found.shape, "float16"))
    value = floats.half(graph, found)
    graph.output(f"v.{b}", value)
    return floats.stationary(graph, value.rows, [(0, value)])


def _rotary(graph: Graph, sizes: Sizes, h: Tensor, matrix: Quantised, factor: float) -> Tensor:
    """h times a matrix, and each head turned by the tokens' positions (J. Su et al., RoFormer, 2021; halves of a head
    turn together, as in Llama). What a feature turns with is another output of the same matrix, so it is another
    product, whose signs are in the table of sines."""
    cos, sin, partner = rotary(sizes, matrix.scale.size // sizes.dim)
    other = matrix.columns(partner)
    turned = graph.mul(graph.matmul(h, other.half), (sin * other.scale * factor).astype(np.float32))
    straight = graph.mul(graph.matmul(h, matrix.half), (cos * matrix.scale * factor).astype(np.float32))
    return graph.add(straight, turned)


def rotary(sizes: Sizes, heads: int) -> tuple[Array, Array, Array]:
    """Cosines and signed sines [tokens, heads·dim], and with which feature each turns."""
    half = sizes.dim // 2
    speed = sizes.theta ** (-np.arange(half) / half)
    angle = (sizes.cache + np.arange(sizes.tokens))[:, None] * speed
    cos, sin = np.cos(angle), np.sin(angle)
    partner = np.concatenate([np.arange(half, sizes.dim), np.arange(half)])
    features = (np.arange(heads)[:, None] * sizes.dim + partner).reshape(-1)
    return np.tile(cos, 2 * heads), np.tile(np.concatenate([-sin, sin], 1), heads), features


def _mlp(graph: Graph, weights: Weights, h: Tensor) -> Tensor:
    gate, up, down = (weights.matrices[name] for name in ("gate", "up", "down"))
    opened = graph.mul(graph.matmul(h, gate.half), gate.scale)
    share = floats.sigmoid(graph, opened)
    wide = graph.mul(graph.mul(graph.mul(graph.matmul(h, up.half), up.scale), opened), share)
    return graph.mul(graph.matmul(floats.half(graph, wide), down.half), down.scale)


def meaning(sizes: Sizes, weights: Weights, values: Mapping[str, ArrayLike]) -> dict[str, Array]:
    """What a layer means, in numpy's float32 with the same whole-number weights and the usual formulas."""
    x = np.asarray(values["x"], np.float32)
    matrices = {name: weights.matrices[name].numbers for name in MATRICES}

    def norm(x: Array, gain: Array) -> Array:
        return np.asarray(x / np.sqrt((x * x).mean(1, keepdims=True) + np.float32(sizes.epsilon)) * gain)

    def turned(x: Array) -> Array:
        cos, sin, partner = rotary(sizes, x.shape[1] // sizes.dim)
        return np.asarray(x * cos.astype(np.float32) + x[:, partner] * sin.astype(np.float32))

    h = norm(x, weights.attention_norm)
    q, k, v = turned(h @ matrices["q"]), turned(h @ matrices["k"]), h @ matrices["v"]
    if sizes.cache:
        caches = range(len(sizes.bundles()))
        old = [np.concatenate([np.asarray(values[f"k_cache.{b}"], np.float32) for b in caches], 1),
               np.concatenate([np.asarray(values[f"v_cache.{b}"], np.float32).T for b in caches], 1)]  # fmt: skip
        k, v = np.concatenate([old[0], k]), np.concatenate([old[1][: sizes.cache], v])
    mixed = np.zeros_like(q)
    for head in range(sizes.heads):
        own, of = (slice(n * sizes.dim, (n + 1) * sizes.dim) for n in (head, head // sizes.repeats))
        score = q[:, own] @ k[:, of].T / np.float32(np.sqrt(sizes.dim))
        score[np.arange(sizes.keys) > sizes.cache + np.arange(sizes.tokens)[:, None]] = -np.inf
        share = np.exp(score - score.max(1, keepdims=True))
        mixed[:, own] = share / share.sum(1, keepdims=True) @ v[:, of]
    middle = x + mixed @ matrices["o"]
    h = norm(middle, weights.mlp_norm)
    gate = h @ matrices["gate"]
    wide = gate / (1 + np.exp(-gate)) * (h @ matrices["up"])
    return {"y": middle + wide @ matrices["down"]}
