"""How fast large language models would run on many chips: the schedules of a decoder layer and of exchanges.

Layers are split over the chips of a group (M. Shoeybi et al., Megatron-LM, 2019): heads and features of the
feed-forward part; sums of o and down meet in an all-reduce. Groups follow each other as layers do. What one chip does
is compiled and counted, and so is what goes between chips, each for itself.
"""

import dataclasses
from collections.abc import Iterable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsp import collectives
from tsp.collectives import Collective
from tsp.compiler import compile
from tsp.compiler.graph import Graph
from tsp.compiler.progress import Progress
from tsp.config import ChipConfig
from tsp.errors import InputError, counted, nearest
from tsp.estimate_models import MODELS, NODE, Sizes
from tsp.isa import GROUP16
from tsp.node import Node
from tsp.system_check import check_system

CLOCK = 900e6
"""Cycles a second (published)."""
SCHEDULED = (
    "the chip with most of a whole decoder layer (norms, rotary positions, attention to the context, SwiGLU), and of "
    "the last norm and the head: weights int8, activations fp16, batch 1, every cycle by the compiler and the checker, "
    "fetching the program too",
    "an all-reduce: sums in parts of 4 bytes go to the chips that add them up, activations in fp16 to all, each chip "
    "to each other at once, on links that take 216 cycles; and the same activations to the next group",
)
ASSUMED = (
    "an exchange begins when the layer's sums are there, and adding fp32 up takes as long as bytes",
    "a link between each two chips of a group, and from each to one of the next; not all groups of 3, 5, 6 or 7 chips "
    "lie in a node of 8, so some ways are longer",
    "every layer takes what one takes, and is scheduled alone, with keys and values of the context in memory",
)
LEFT_OUT = ("embedding, sampling, the host",)


@dataclasses.dataclass(frozen=True)
class Split:
    """``across`` chips share every layer of their group; a group has one or more of the layers and the head, in their
    order. ``held``: bytes in a chip of each group."""

    across: int
    held: tuple[int, ...]

    @property
    def chips(self) -> int:
        return self.across * len(self.held)


@dataclasses.dataclass(frozen=True)
class Links:
    """What goes between the chips that share layers of so many features.

    Attributes:
        config: of all chips.
        across: how many share a layer.
    """

    features: int
    across: int
    config: ChipConfig

    @property
    def vectors(self) -> int:
        """Of a byte for each feature of a chip's part."""
        part = -(-self.features // self.across)
        return -(-part // self.config.lanes)

    @cached_property
    def reduce(self) -> int:
        """Cycles of an all-reduce."""
        if self.across == 1:
            return 0
        node = Node(self.config, self.across)
        scattered = collectives.reduce_scatter(node, self._bytes(self.across, self.across * 4 * self.vectors))
        return _cycles(scattered) + _cycles(collectives.all_gather(node, self._bytes(self.across, 2 * self.vectors)))

    @cached_property
    def hop(self) -> int:
        """Cycles from a group to the next."""
        return _cycles(collectives.broadcast(Node(self.config, 2), 0, self._bytes(2 * self.vectors)))

    def _bytes(self, *shape: int) -> NDArray[np.int8]:
        return np.zeros((*shape, self.config.lanes), np.int8)


@dataclasses.dataclass(frozen=True)
class Estimate:
    """Cycles of a token, and what they consist of.

    Attributes:
        context: tokens before it.
        layer, head: cycles of a chip's part of a layer and of the head.
        reduce, hop: cycles of an all-reduce, two in each layer, and from group to group.
        memory: bytes of a chip.
    """

    model: str
    sizes: Sizes
    config: str
    chips: int
    context: int
    split: Split
    layer: int
    head: int
    reduce: int
    hop: int
    memory: int

    @property
    def computing(self) -> int:
        """Cycles of a token in chips."""
        return self.sizes.layers * self.layer + self.head

    @property
    def linking(self) -> int:
        """Cycles of a token between chips."""
        return 2 * self.sizes.layers * self.reduce + (len(self.split.held) - 1) * self.hop

    @property
    def cycles(self) -> int:
        return self.computing + self.linking

    @property
    def tokens_per_second(self) -> float:
        """For one user: the next token begins when the last is there."""
        return CLOCK / self.cycles

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        found = {name: value for name, value in vars(self).items() if name not in ("split", "sizes")}
        published = self.sizes.published
        return found | {
            "layers": self.sizes.layers, "chips_a_layer": self.split.across, "groups": len(self.split.held),
            "chips_used": self.split.chips, "held": max(self.split.held), "computing": self.computing,
            "linking": self.linking, "cycles": self.cycles, "clock_hz": CLOCK,
            "tokens_per_second": self.tokens_per_second, "published": published[0] if published else None,
            "is_scheduled": list(SCHEDULED), "is_assumed": list(ASSUMED), "is_left_out": list(LEFT_OUT),
        }  # fmt: skip


def estimate(name: str, chips: int, config: ChipConfig, context: int = 0, progress: Progress | None = None) -> Estimate:
    """A token's cycles, with ``context`` tokens before it. InputError for a model that is not known, or one that the
    chips do not hold."""
    if name not in MODELS:
        raise InputError(f"unknown model '{name}'{nearest(name, MODELS)}")
    if config.mxm_planes_w + config.mxm_planes_e == 0:
        raise InputError(f"config {config.name} has no MXM plane to multiply with")
    sizes = MODELS[name]
    across = choose(name, chips, config).across
    layer, layer_bytes = _compiled(sizes.layer(across, context, config.lanes), config, progress)
    head, head_bytes = _compiled(sizes.head(across), config, progress)
    # What is held beside weights is known only now: activations, the cache, words of the program.
    split = _fitting(name, [_packed(sizes, across, layer_bytes, head_bytes, config)], chips, config)[0]
    memory, links = 2 * config.mem_slices * config.mem_words * config.lanes, Links(sizes.features, across, config)
    return Estimate(name, sizes, config.name, chips, context, split, layer, head, links.reduce, links.hop, memory)


def choose(name: str, chips: int, config: ChipConfig) -> Split:
    """How to split a model: of what the chips hold the fastest, if weights took all the time that their loads take."""
    every, sizes = [], MODELS[name]
    for across in range(1, NODE + 1):
        layer, head = sizes.tiles(across, config.lanes)
        every.append(_packed(sizes, across, layer * config.lanes**2, head * config.lanes**2, config))
    return min(_fitting(name, every, chips, config), key=lambda split: _least_cycles(sizes, split, config))


def _fitting(name: str, splits: Iterable[Split | None], chips: int, config: ChipConfig) -> list[Split]:
    """Those that so many chips hold; InputError if there is none."""
    every = [split for split in splits if split is not None]
    if not every:
        raise InputError(
            f"a layer of {name} does not fit the {NODE} chips of a node of config {config.name}; set mem_words higher"
        )
    least = min(split.chips for split in every)
    if least > chips:
        room = _room(config)
        raise InputError(
            f"{name} does not fit {counted(chips, 'chip')} of config {config.name}: its weights take {least} with "
            f"{room:,} bytes for them in each, so {(least - chips) * room:,} bytes are missing; the least is --chips "
            f"{least}"
        )
    return [split for split in every if split.chips <= chips]


def _room(config: ChipConfig) -> int:
    """Bytes for tiles of weights: in groups of sixteen slices, which an LW reads at once; one group less than there can
    be, and what is over, are for vectors."""
    return (2 * config.mem_slices // GROUP16 - 1) * (config.mem_words // config.superlanes) * config.lanes**2


def _packed(sizes: Sizes, across: int, layer: int, head: int, config: ChipConfig) -> Split | None:
    """Layers and head, of so many bytes, in as few groups as hold them; None where one alone does not fit."""
    groups = [0]
    for stage in [*[layer] * sizes.layers, head]:
        if stage > _room(config):
            return None
        if groups[-1] + stage > _room(config):
            groups.append(0)
        groups[-1] += stage
    return Split(across, tuple(groups))


def _least_cycles(sizes: Sizes, split: Split, config: ChipConfig) -> int:
    """Of a token: weights come over a group of sixteen streams in each hemisphere, and nothing else takes time but
    links."""
    links = Links(sizes.features, split.across, config)
    loads = sum(split.held) // (2 * GROUP16 * config.lanes)
    return loads + 2 * sizes.layers * links.reduce + (len(split.held) - 1) * links.hop


def _compiled(graph: Graph, config: ChipConfig, progress: Progress | None) -> tuple[int, int]:
    """(cycles by the checker, bytes of memory) of a graph."""
    from tsp.checker import check

    program = compile(graph, config, progress=progress).program
    report = check(program)
    if not report.ok:
        raise InputError(f"the compiler made an illegal program, please report it: {report.problems[0]}")
    words = sum(symbol.count * symbol.type.planes for symbol in program.symbols.values())
    return report.cycles, words * config.lanes


def _cycles(collective: Collective) -> int:
    """From the start of the programs on."""
    report = check_system(collective.system)
    if not report.ok:
        raise InputError(f"an exchange is illegal, please report it: {report.problems[0]}")
    return max(report.cycles) - report.zero
