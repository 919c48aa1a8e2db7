"""Large language models by their sizes, and the graph of the part of a layer that a chip has."""

import dataclasses

import numpy as np

from tsp.compiler import decoder_sizes, floats
from tsp.compiler.decoder import decoder_layer
from tsp.compiler.graph import Graph

NODE = 8
"""Chips of a node, each with a link to each other one (published, D. Abts et al., ISCA 2022)."""


@dataclasses.dataclass(frozen=True)
class Sizes:
    """A decoder-only transformer. ``features`` of a token, ``hidden`` of the feed-forward part; ``published``: tokens a
    second for one user and how they were reached, or None."""

    layers: int
    features: int
    hidden: int
    heads: int
    kv_heads: int
    vocabulary: int
    published: tuple[int, str] | None = None

    def queries(self, across: int) -> tuple[int, ...]:
        """Query heads of each head of keys, in the chip that has most when so many share a layer. Whole heads of keys
        go round; the queries of each that is left are shared by chips that all have its keys."""
        each, (whole, rest) = self.heads // self.kv_heads, divmod(self.kv_heads, across)
        return (each,) * whole + ((-(-each // (across // rest)),) if rest else ())

    def part(self, across: int, context: int, lanes: int) -> decoder_sizes.Sizes:
        """What a chip has of a layer, for a token behind ``context`` others."""
        queries, hidden = self.queries(across), -(-self.hidden // across)
        return decoder_sizes.Sizes(
            self.features, sum(queries), len(queries), hidden, 1, context, width=lanes,
            head=self.features // self.heads, queries=queries,
        )  # fmt: skip

    def tiles(self, across: int, lanes: int) -> tuple[int, int]:
        """Blocks of weights in a chip's part of a layer, and of the head."""
        part, wide = self.part(across, 0, lanes), -(-self.features // lanes)
        # Keys, values, and for each row of queries theirs and what they are multiplied with in the end.
        heads = sum((2 + 2 * len(b.queries)) * -(-len(b.keys) * part.dim // lanes) for b in part.bundles())
        return wide * (heads + 3 * -(-part.intermediate // lanes)), wide * -(-self.logits(across) // lanes)

    def logits(self, across: int) -> int:
        """Of a chip."""
        return -(-self.vocabulary // across)

    def layer(self, across: int, context: int, lanes: int) -> Graph:
        """A chip's part of a layer, with weights that are as good as any. Its own sums stand for those of all."""
        part = self.part(across, context, lanes)
        return decoder_layer(part, decoder_sizes.Weights.random(part))

    def head(self, across: int) -> Graph:
        """The last norm, and a chip's part of the matrix that makes logits."""
        graph, rng, shape = Graph(), np.random.default_rng(1), (self.features, self.logits(across))
        x = graph.input("x", (1, self.features), "float32")
        h = floats.half(graph, floats.rms_norm(graph, x, rng.uniform(0.5, 1.5, self.features)))
        weights, scale = rng.integers(-127, 128, shape, np.int8), np.full(shape[1], 1 / 127)
        graph.output("logits", floats.byte_products(graph, [(h, weights)], scale))
        return graph


MODELS = {
    "llama2-7b": Sizes(32, 4096, 11_008, 32, 32, 32_000),
    "llama2-13b": Sizes(40, 5120, 13_824, 40, 40, 32_000),
    "llama2-70b": Sizes(80, 8192, 28_672, 64, 8, 32_000, (300, "on 568 to 576 chips")),
    "smollm2-135m": Sizes(30, 576, 1536, 9, 3, 49_152),
}
