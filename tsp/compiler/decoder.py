"""A decoder layer of the Llama family as a graph: RMSNorm, attention with grouped heads and rotary positions, and a
gated MLP.

Weights are whole numbers of 8 bits and a factor for each output, by which an ALU multiplies the sums. Heads of keys lie
side by side in the lanes, one as often as there is room for several of its queries. A query meets its own head because
it is zero in the lanes of the others; of what it takes of all values, only the lanes of its own head are kept.
"""

import functools
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from tsp.compiler import floats
from tsp.compiler.decoder_sizes import MATRICES, Array, Bundle, Quantised, Sizes, Weights
from tsp.compiler.graph import Graph, Tensor

HIDDEN_SCORE = -30000.0
"""Added to the score of a key that a query must not see; exp of it is 0."""


def decoder_layer(sizes: Sizes, weights: Weights) -> Graph:
    """The graph of a layer. InputError for sizes that make none.

    Inputs: ``x`` float32 [tokens, hidden]; with a cache for each bundle b of heads ``k_cache.b`` float16 [cache,
    heads·dim], with positions already, and ``v_cache.b`` float16 [heads·dim, cache + tokens], zero for the tokens.
    Outputs: ``y`` float32 [tokens, hidden], ``k.b`` float16 [tokens, heads·dim] and ``v.b`` float16 [heads·dim, cache +
    tokens - tail], what the next tokens take; of v only the last blocks, which change.
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
    n, bundles = sizes.tokens, sizes.bundles()
    # All that the tokens are multiplied with comes first: none of it waits for the rest.
    made = [_projected(graph, sizes, weights, h, bundle) for bundle in bundles]
    scores, owned = [], []
    for b, (bundle, projected) in enumerate(zip(bundles, made, strict=True)):
        heads, rows = len(bundle.keys), len(bundle.queries) * n
        turned = floats.half(graph, _rotary(graph, sizes, floats.take_rows(graph, projected, range(rows + n))))
        keys = _keys(graph, sizes, floats.take_rows(graph, turned, range(rows, rows + n)), b)
        # All queries for each head of keys, with zeros in the lanes of the others.
        owned.append(graph.constant(np.kron(np.eye(heads), np.ones((rows, sizes.dim))), "float16"))
        every = graph.mul(floats.take_rows(graph, turned, [*range(rows)] * heads), owned[-1])
        found = floats.products(graph, [(floats.half(graph, every), keys)])
        late = np.arange(sizes.keys) > sizes.cache + np.arange(n)[:, None]
        mask = np.tile(np.where(late, HIDDEN_SCORE, 0.0).astype(np.float16), (len(bundle.queries) * heads, 1))
        found = graph.mul(found, np.float32(1 / np.sqrt(sizes.dim)))
        scores.append(graph.add(found, mask) if n > 1 else found)
    every = scores[0] if len(scores) == 1 else floats.concat_rows(graph, scores)
    # Their words are in the way of what the scores are made of, so these come first.
    values = [_values(graph, sizes, floats.take_rows(graph, projected, range(projected.rows - n, projected.rows)), b)
              for b, projected in enumerate(made)]  # fmt: skip
    shares = floats.half(graph, floats.softmax(graph, every, sizes.width))
    pairs: list[tuple[Tensor, ArrayLike]] = []
    first = 0
    for bundle, lanes, of_bundle in zip(bundles, owned, values, strict=True):
        part = floats.take_rows(graph, shares, range(first, first + lanes.rows))
        first += lanes.rows
        blocks: list[tuple[Tensor, floats.Factor]] = [
            (floats.columns(graph, part, at, block.features), block) for at, block in of_bundle
        ]
        taken = floats.half(graph, graph.mul(floats.products(graph, blocks), lanes))
        rows = len(bundle.queries) * n
        groups = [floats.take_rows(graph, taken, range(r, r + rows)) for r in range(0, lanes.rows, rows)]
        mixed = floats.half(graph, functools.reduce(graph.add, groups))
        for j, row in enumerate(bundle.queries):
            of_row = floats.take_rows(graph, mixed, range(j * n, (j + 1) * n))
            pairs.append((of_row, weights.matrices["o"].whole[_features(sizes, row)]))
    return floats.byte_products(graph, pairs, weights.matrices["o"].scale)


def _features(sizes: Sizes, heads: tuple[int, ...]) -> Array:
    return np.concatenate([np.arange(head * sizes.dim, (head + 1) * sizes.dim) for head in heads])


def _projected(graph: Graph, sizes: Sizes, weights: Weights, h: Tensor, bundle: Bundle) -> Tensor:
    """Rows of query heads side by side, each for all tokens; below them the heads of keys, and of values: float16."""
    heads = [*(("q", row) for row in bundle.queries), ("k", bundle.keys), ("v", bundle.keys)]
    matrices = [weights.matrices[name].columns(_features(sizes, of)) for name, of in heads]
    return floats.concat_rows(graph, [floats.half(graph, _times(graph, h, matrix)) for matrix in matrices])


def _times(graph: Graph, x: Tensor, matrix: Quantised) -> Tensor:
    return floats.byte_products(graph, [(x, matrix.whole)], matrix.scale)


def _keys(graph: Graph, sizes: Sizes, new: Tensor, b: int) -> Tensor:
    """Keys of the cache and of the tokens, stationary [keys, heads·dim]."""
    graph.output(f"k.{b}", new)
    cache = graph.input(f"k_cache.{b}", (sizes.cache, new.features), "float16") if sizes.cache else None
    parts = [(0, cache)] if cache is not None else []
    return floats.stationary(graph, sizes.keys, [*parts, (sizes.cache, new)])


def _values(graph: Graph, sizes: Sizes, value: Tensor, b: int) -> list[tuple[int, Tensor]]:
    """Values, stationary [heads·dim, keys] in parts, each from a key on: whole blocks of the cache, and the rest."""
    keys = sizes.keys - sizes.tail
    there = floats.stationary(graph, keys, [(sizes.cache - sizes.tail, value)])
    # A product with the unit matrix: tokens' values become columns where they belong.
    unit = floats.shared(graph, f"unit.{value.features}", np.eye(value.features, dtype=np.float16))
    found = floats.products(graph, [(unit, there)])
    parts = []
    if sizes.cache:
        cache = graph.input(f"v_cache.{b}", (value.features, sizes.keys), "float16")
        found = graph.add(found, floats.columns(graph, cache, sizes.tail, keys))
        parts += [(0, floats.columns(graph, cache, 0, sizes.tail))] if sizes.tail else []
    parts.append((sizes.tail, floats.half(graph, found)))
    graph.output(f"v.{b}", parts[-1][1])
    return [(first, floats.stationary(graph, part.rows, [(0, part)])) for first, part in parts]


def _rotary(graph: Graph, sizes: Sizes, x: Tensor) -> Tensor:
    """Heads side by side in float16, each turned by the tokens' positions (J. Su et al., RoFormer, 2021; halves of a
    head turn together, as in Llama). The signs of what a feature turns with are in the sines."""
    cos, sin, partner = rotary(sizes, x.features // sizes.dim)
    moves = floats.shared(graph, f"partners.{x.features}", np.eye(x.features, dtype=np.float16)[:, partner])
    tables = [np.tile(table, (x.rows // sizes.tokens, 1)).astype(np.float32) for table in (cos, sin)]
    turned = graph.mul(floats.products(graph, [(x, moves)]), tables[1])
    return graph.add(turned, graph.mul(x, tables[0]))


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
    opened = floats.silu(graph, _times(graph, h, gate))
    wide = graph.mul(_times(graph, h, up), opened)
    return _times(graph, floats.half(graph, wide), down)


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
        # A head that lies there several times is the same each time.
        held = [head for bundle in sizes.bundles() for head in bundle.keys]
        lanes = _features(sizes, tuple(held.index(head) for head in range(sizes.kv_heads)))
        caches = range(len(sizes.bundles()))
        old = [np.concatenate([np.asarray(values[f"k_cache.{b}"], np.float32) for b in caches], 1),
               np.concatenate([np.asarray(values[f"v_cache.{b}"], np.float32).T for b in caches], 1)]  # fmt: skip
        k, v = np.concatenate([old[0][:, lanes], k]), np.concatenate([old[1][: sizes.cache, lanes], v])
    mixed = np.zeros_like(q)
    heads_of_keys = np.repeat(np.arange(sizes.kv_heads), sizes.shared)
    for head in range(sizes.heads):
        own, of = (slice(n * sizes.dim, (n + 1) * sizes.dim) for n in (head, heads_of_keys[head]))
        score = q[:, own] @ k[:, of].T / np.float32(np.sqrt(sizes.dim))
        score[np.arange(sizes.keys) > sizes.cache + np.arange(sizes.tokens)[:, None]] = -np.inf
        share = np.exp(score - score.max(1, keepdims=True))
        mixed[:, own] = share / share.sum(1, keepdims=True) @ v[:, of]
    middle = x + mixed @ matrices["o"]
    h = norm(middle, weights.mlp_norm)
    gate = h @ matrices["gate"]
    wide = gate / (1 + np.exp(-gate)) * (h @ matrices["up"])
    return {"y": middle + wide @ matrices["down"]}
