"""Large language models by their sizes, and the graph of the part of a layer that a chip has."""

import dataclasses
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tsp.compiler import decoder
from tsp.compiler.graph import Graph
from tsp.config import ChipConfig

NODE = 8
"""Chips of a node, each with a link to each other one (published, D. Abts et al., ISCA 2022)."""
Shapes = dict[str, tuple[int, int]]
"""Matrix → (inputs, outputs)."""


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

    @property
    def head_features(self) -> int:
        return self.features // self.heads

    def layer(self, across: int) -> Shapes:
        """Of the part that a chip has when so many share a layer."""
        keys = self.head_features * self.kv_heads
        whole, part, key, hidden = self.features, *(-(-n // across) for n in (self.features, keys, self.hidden))
        return {
            "q": (whole, part), "k": (whole, key), "v": (whole, key), "o": (part, whole),
            "gate": (whole, hidden), "up": (whole, hidden), "down": (hidden, whole),
        }  # fmt: skip

    def head(self, across: int) -> Shapes:
        """The same of the matrix that makes logits."""
        return {"head": (self.features, -(-self.vocabulary // across))}


MODELS = {
    "llama2-7b": Sizes(32, 4096, 11_008, 32, 32, 32_000),
    "llama2-13b": Sizes(40, 5120, 13_824, 40, 40, 32_000),
    "llama2-70b": Sizes(80, 8192, 28_672, 64, 8, 32_000, (300, "on 568 to 576 chips")),
    "smollm2-135m": Sizes(30, 576, 1536, 9, 3, 49_152),
}


@dataclasses.dataclass(frozen=True)
class Matrices:
    """A layer as its seven matrices in int8, and nothing between them but that they wait for each other."""

    sizes: Sizes

    width = 1
    """Bytes of an activation."""
    instead = ""
    """What else may fit."""
    scheduled = (
        "a chip's part of one layer's seven matrices and of the head: int8, batch 1, every cycle by the compiler and "
        "the checker, fetching the program too; the result of q stands for that of attention, the product of gate and "
        "up for SwiGLU"
    )
    left_out = (
        "attention (scores, softmax, values, its cache), norms, rotary positions, residuals, SiLU; fp16, which takes "
        "twice the weights; embedding, sampling, the host"
    )

    def splits(self) -> Iterator[int]:
        """How many chips may share a layer."""
        yield from range(1, NODE + 1)

    def tiles(self, across: int, config: ChipConfig) -> tuple[int, int]:
        """Blocks of weights in a chip's part of a layer, and of the head."""
        return _tiles(self.sizes.layer(across), config), _tiles(self.sizes.head(across), config)

    def layer(self, across: int, config: ChipConfig) -> Graph:
        graph, part = Graph(), _weights(self.sizes.layer(across))
        x = graph.input("x", (1, self.sizes.features))
        q, k, v = (graph.requantise(graph.matmul(x, part[name]), shift=7) for name in "qkv")
        graph.output("k", k)
        graph.output("v", v)
        summed = graph.requantise(graph.matmul(q, part["o"]), shift=7)
        gate, up = (graph.requantise(graph.matmul(summed, part[name]), shift=7) for name in ("gate", "up"))
        graph.output("y", graph.matmul(graph.requantise(graph.mul(gate, up), shift=7), part["down"]))
        return graph

    def head(self, across: int) -> Graph:
        graph, weights = Graph(), _weights(self.sizes.head(across))["head"]
        graph.output("logits", graph.matmul(graph.input("x", (1, self.sizes.features)), weights))
        return graph


@dataclasses.dataclass(frozen=True)
class Decoder(Matrices):
    """A whole layer in fp16, for a token that has ``context`` others before it."""

    context: int

    width = 2
    instead = ", or leave out --context: then its matrices are int8"
    scheduled = (
        "a chip's part of one whole decoder layer (norms, rotary positions, attention to the context, SwiGLU) and of "
        "the head: fp16, batch 1, every cycle by the compiler and the checker, fetching the program too"
    )
    left_out = "embedding, the last norm, sampling, the host"

    def splits(self) -> Iterator[int]:
        """Heads are not cut, nor those of keys copied."""
        yield from (n for n in range(1, NODE + 1) if self.sizes.heads % n == self.sizes.kv_heads % n == 0)

    def tiles(self, across: int, config: ChipConfig) -> tuple[int, int]:
        """Both halves of the weights; of q and k the features that they turn with are products of their own."""
        layer = self.sizes.layer(across)
        turned = {name: layer[name] for name in "qk"}
        return 2 * (_tiles(layer, config) + _tiles(turned, config)), 2 * _tiles(self.sizes.head(across), config)

    def layer(self, across: int, config: ChipConfig) -> Graph:
        of, hidden = self.sizes, self.sizes.layer(across)["gate"][1]
        sizes = decoder.Sizes(
            of.features, of.heads // across, of.kv_heads // across, hidden, 1, self.context, width=config.lanes,
            head=of.head_features,
        )  # fmt: skip
        return decoder.decoder_layer(sizes, decoder.Weights.random(sizes))

    def head(self, across: int) -> Graph:
        graph, weights = Graph(), _weights(self.sizes.head(across))["head"].astype(np.float16)
        graph.output("logits", graph.matmul(graph.input("x", (1, self.sizes.features), "float16"), weights))
        return graph


def _tiles(parts: Shapes, config: ChipConfig) -> int:
    return sum(-(-inputs // config.lanes) * -(-outputs // config.lanes) for inputs, outputs in parts.values())


def _weights(parts: Shapes) -> dict[str, NDArray[np.int8]]:
    """Any, but no two tiles alike, which would be loaded once."""
    rng = np.random.default_rng(1)
    return {name: rng.integers(-128, 128, shape, dtype=np.int8) for name, shape in parts.items()}
