"""How fast large language models would run on many chips: a decoder layer's schedule, and links that are assumed.

A layer's seven matrices are split over the chips of a group (M. Shoeybi et al., Megatron-LM, 2019): the outputs of q,
k, v, gate and up, the inputs of o and down, whose sums meet in an all-reduce. Groups follow each other as layers do.
What one chip does is compiled and counted; what goes between chips is arithmetic on published figures.
"""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsp.compiler import compile
from tsp.compiler.graph import Graph
from tsp.compiler.progress import Progress
from tsp.config import ChipConfig
from tsp.errors import InputError, counted, nearest
from tsp.isa import GROUP16

CLOCK = 900e6
"""Cycles a second (published)."""
LINK_BYTES = 12.5e9
"""Bytes a second that a link carries in each direction (published, D. Abts et al., ISCA 2022)."""
LINK_CYCLES = 216
"""Mean latency of a link (published there)."""
NODE = 8
"""Chips of a node, each with a link to each other one (published there)."""


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

    def layer(self, across: int) -> dict[str, tuple[int, int]]:
        """Matrix → (inputs, outputs) of the part that a chip has when so many share a layer."""
        keys = self.features // self.heads * self.kv_heads
        whole, part, key, hidden = self.features, *(-(-n // across) for n in (self.features, keys, self.hidden))
        return {
            "q": (whole, part), "k": (whole, key), "v": (whole, key), "o": (part, whole),
            "gate": (whole, hidden), "up": (whole, hidden), "down": (hidden, whole),
        }  # fmt: skip

    def head(self, across: int) -> dict[str, tuple[int, int]]:
        """The same of the matrix that makes logits."""
        return {"head": (self.features, -(-self.vocabulary // across))}


MODELS = {
    "llama2-7b": Sizes(32, 4096, 11_008, 32, 32, 32_000),
    "llama2-13b": Sizes(40, 5120, 13_824, 40, 40, 32_000),
    "llama2-70b": Sizes(80, 8192, 28_672, 64, 8, 32_000, (300, "on 568 to 576 chips")),
    "smollm2-135m": Sizes(30, 576, 1536, 9, 3, 49_152),
}


@dataclasses.dataclass(frozen=True)
class Split:
    """``across`` chips share every layer of their group; a group has one or more of the layers and the head, in their
    order. ``tiles``: blocks of weights in a chip of each group."""

    across: int
    tiles: tuple[int, ...]

    @property
    def chips(self) -> int:
        return self.across * len(self.tiles)


@dataclasses.dataclass(frozen=True)
class Estimate:
    """Cycles of a token, and what they consist of.

    Attributes:
        layer, head: cycles of a chip's part of a layer and of the head, scheduled.
        reduce, hop: cycles of an all-reduce, two in each layer, and from group to group; assumed.
        weights, memory: bytes a chip holds at most, and has.
    """

    model: str
    config: str
    chips: int
    split: Split
    layers: int
    layer: int
    head: int
    reduce: int
    hop: int
    weights: int
    memory: int

    @property
    def scheduled(self) -> int:
        """Cycles of a token that are those of schedules."""
        return self.layers * self.layer + self.head

    @property
    def assumed(self) -> int:
        """Cycles of a token on links."""
        return 2 * self.layers * self.reduce + (len(self.split.tiles) - 1) * self.hop

    @property
    def cycles(self) -> int:
        return self.scheduled + self.assumed

    @property
    def tokens_per_second(self) -> float:
        """For one user: the next token begins when the last is there."""
        return CLOCK / self.cycles

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        found = {name: value for name, value in vars(self).items() if name != "split"}
        published = MODELS[self.model].published
        return found | {
            "chips_a_layer": self.split.across, "groups": len(self.split.tiles), "chips_used": self.split.chips,
            "scheduled": self.scheduled, "assumed": self.assumed, "cycles": self.cycles, "clock_hz": CLOCK,
            "tokens_per_second": self.tokens_per_second, "published": published[0] if published else None,
            "is_scheduled": list(SCHEDULED), "is_assumed": list(ASSUMED), "is_left_out": list(LEFT_OUT),
        }  # fmt: skip


SCHEDULED = (
    "a chip's part of one layer's seven matrices and of the head: int8, batch 1, every cycle by the compiler and the "
    "checker, fetching the program too; the result of q stands for that of attention, the product of gate and up for "
    "SwiGLU",
)
ASSUMED = (
    f"a link between each two chips of a group, {LINK_BYTES / 1e9} GB/s in each direction and {LINK_CYCLES} cycles "
    "long; not all groups of 3, 5, 6 or 7 chips lie in a node of 8, so some ways are longer",
    "an all-reduce scatters int32 parts and gathers int8 sums, each chip to each other at once; adding them up is free",
    "every layer takes what one takes, and is scheduled alone",
)
LEFT_OUT = (
    "attention (scores, softmax, values, its cache), norms, rotary positions, residuals, SiLU; fp16, which takes twice "
    "the weights; embedding, sampling, the host",
)


def estimate(name: str, chips: int, config: ChipConfig, progress: Progress | None = None) -> Estimate:
    """A token's cycles. InputError for a model that is not known, or one that the chips do not hold."""
    if name not in MODELS:
        raise InputError(f"unknown model '{name}'{nearest(name, MODELS)}")
    if config.mxm_planes_w + config.mxm_planes_e == 0:
        raise InputError(f"config {config.name} has no MXM plane to multiply with")
    sizes = MODELS[name]
    split = choose(name, sizes, chips, config)
    layer = _cycles(layer_graph(sizes, split.across), config, progress)
    head = _cycles(_head(sizes, split.across), config, progress)
    memory = 2 * config.mem_slices * config.mem_words * config.lanes
    weights = max(split.tiles) * config.lanes**2
    reduce, hop = all_reduce(sizes.features, split.across, config), _hop(sizes.features, split.across, config)
    return Estimate(
        name, config.name, chips, split, sizes.layers, layer, head, reduce, hop, weights, memory
    )  # fmt: skip


def choose(name: str, sizes: Sizes, chips: int, config: ChipConfig) -> Split:
    """How to split a model: of what the chips hold the fastest, if weights took all that streams carry."""
    every = [split for across in range(1, NODE + 1) if (split := _packed(sizes, across, config)) is not None]
    if not every:
        raise InputError(f"a layer of {name} does not fit {NODE} chips of config {config.name}; set mem_words higher")
    fitting = [split for split in every if split.chips <= chips]
    if fitting:
        return min(fitting, key=lambda split: _least_cycles(sizes, split, config))
    least = min(split.chips for split in every)
    room = _room(config) * config.lanes**2
    raise InputError(
        f"{name} does not fit {counted(chips, 'chip')} of config {config.name}: its weights take {least} with {room:,} "
        f"bytes for them in each, so {(least - chips) * room:,} bytes are missing; the least is --chips {least}"
    )


def all_reduce(features: int, across: int, config: ChipConfig) -> int:
    """Cycles until all chips that share a layer have the sum of what each has: int32 parts go to the chip that adds
    them up, int8 results to all."""
    return 0 if across == 1 else _exchange(features, across, 4, config) + _exchange(features, across, 1, config)


def _hop(features: int, across: int, config: ChipConfig) -> int:
    """Cycles from a group to the next: each chip sends the part of the features that it has added up."""
    return _exchange(features, across, 1, config)


def _exchange(features: int, across: int, planes: int, config: ChipConfig) -> int:
    """Cycles of a link for a chip's part of the features."""
    vectors = -(-features // across // config.lanes) * planes
    return LINK_CYCLES + int(np.ceil(vectors * config.lanes / (LINK_BYTES / CLOCK)))


def _room(config: ChipConfig) -> int:
    """Tiles that a chip holds: groups of sixteen slices, which an LW reads at once; what is over is for vectors."""
    return 2 * config.mem_slices // GROUP16 * (config.mem_words // config.superlanes)


def _tiles(parts: dict[str, tuple[int, int]], config: ChipConfig) -> int:
    return sum(-(-inputs // config.lanes) * -(-outputs // config.lanes) for inputs, outputs in parts.values())


def _packed(sizes: Sizes, across: int, config: ChipConfig) -> Split | None:
    """Layers and head in as few groups as hold them; None where one alone does not fit."""
    groups = [0]
    for stage in [*[_tiles(sizes.layer(across), config)] * sizes.layers, _tiles(sizes.head(across), config)]:
        if stage > _room(config):
            return None
        if groups[-1] + stage > _room(config):
            groups.append(0)
        groups[-1] += stage
    return Split(across, tuple(groups))


def _least_cycles(sizes: Sizes, split: Split, config: ChipConfig) -> int:
    """Of a token: tiles come over all streams, and nothing else takes time but links."""
    loads = sum(split.tiles) * config.lanes // (2 * config.streams)
    reduces = 2 * sizes.layers * all_reduce(sizes.features, split.across, config)
    return loads + reduces + (len(split.tiles) - 1) * _hop(sizes.features, split.across, config)


def _weights(parts: dict[str, tuple[int, int]]) -> dict[str, NDArray[np.int8]]:
    """Any, but no two tiles alike, which would be loaded once."""
    rng = np.random.default_rng(1)
    return {name: rng.integers(-128, 128, shape, dtype=np.int8) for name, shape in parts.items()}


def layer_graph(sizes: Sizes, across: int) -> Graph:
    """A chip's part of a layer with every matrix in its order; see :data:`SCHEDULED`."""
    graph = Graph()
    part = _weights(sizes.layer(across))
    x = graph.input("x", (1, sizes.features))
    q, k, v = (graph.requantise(graph.matmul(x, part[name]), shift=7) for name in "qkv")
    graph.output("k", k)
    graph.output("v", v)
    summed = graph.requantise(graph.matmul(q, part["o"]), shift=7)
    gate, up = (graph.requantise(graph.matmul(summed, part[name]), shift=7) for name in ("gate", "up"))
    graph.output("y", graph.matmul(graph.requantise(graph.mul(gate, up), shift=7), part["down"]))
    return graph


def _head(sizes: Sizes, across: int) -> Graph:
    graph = Graph()
    weights = _weights(sizes.head(across))["head"]
    graph.output("logits", graph.matmul(graph.input("x", (1, sizes.features)), weights))
    return graph


def _cycles(graph: Graph, config: ChipConfig, progress: Progress | None) -> int:
    """Of a compiled graph, by the checker."""
    from tsp.checker import check

    report = check(compile(graph, config, progress=progress).program)
    if not report.ok:
        raise InputError(f"the compiler made an illegal program, please report it: {report.problems[0]}")
    return report.cycles
