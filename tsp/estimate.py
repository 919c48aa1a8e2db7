"""How fast large language models would run on many chips: a decoder layer's schedule, and links that are assumed.

A layer's seven matrices are split over the chips of a group (M. Shoeybi et al., Megatron-LM, 2019): the outputs of q,
k, v, gate and up, the inputs of o and down, whose sums meet in an all-reduce. Groups follow each other as layers do.
What one chip does is compiled and counted; what goes between chips is arithmetic on published figures.
"""

import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np

from tsp.compiler import compile
from tsp.compiler.graph import Graph
from tsp.compiler.progress import Progress
from tsp.config import ChipConfig
from tsp.errors import InputError, counted, nearest
from tsp.estimate_models import MODELS, NODE, Decoder, Matrices
from tsp.isa import GROUP16

CLOCK = 900e6
"""Cycles a second (published)."""
LINK_BYTES = 12.5e9
"""Bytes a second that a link carries in each direction (published, D. Abts et al., ISCA 2022)."""
LINK_CYCLES = 216
"""Mean latency of a link (published there)."""
ASSUMED = (
    f"a link between each two chips of a group, {LINK_BYTES / 1e9} GB/s in each direction and {LINK_CYCLES} cycles "
    "long; not all groups of 3, 5, 6 or 7 chips lie in a node of 8, so some ways are longer",
    "an all-reduce scatters parts of 4 bytes and gathers their sums in int8 or fp16, each chip to each other at once; "
    "adding them up is free",
    "every layer takes what one takes, and is scheduled alone",
)


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
class Estimate:
    """Cycles of a token, and what they consist of.

    Attributes:
        work: what is scheduled.
        layer, head: cycles of a chip's part of a layer and of the head, scheduled.
        reduce, hop: cycles of an all-reduce, two in each layer, and from group to group; assumed.
        memory: bytes of a chip.
    """

    model: str
    work: Matrices
    config: str
    chips: int
    split: Split
    layer: int
    head: int
    reduce: int
    hop: int
    memory: int

    @property
    def layers(self) -> int:
        return self.work.sizes.layers

    @property
    def scheduled(self) -> int:
        """Cycles of a token that are those of schedules."""
        return self.layers * self.layer + self.head

    @property
    def assumed(self) -> int:
        """Cycles of a token on links."""
        return 2 * self.layers * self.reduce + (len(self.split.held) - 1) * self.hop

    @property
    def cycles(self) -> int:
        return self.scheduled + self.assumed

    @property
    def tokens_per_second(self) -> float:
        """For one user: the next token begins when the last is there."""
        return CLOCK / self.cycles

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        found = {name: value for name, value in vars(self).items() if name not in ("split", "work")}
        published = self.work.sizes.published
        return found | {
            "context": getattr(self.work, "context", None), "layers": self.layers,
            "chips_a_layer": self.split.across, "groups": len(self.split.held), "chips_used": self.split.chips,
            "held": max(self.split.held), "scheduled": self.scheduled, "assumed": self.assumed, "cycles": self.cycles,
            "clock_hz": CLOCK, "tokens_per_second": self.tokens_per_second,
            "published": published[0] if published else None, "is_scheduled": [self.work.scheduled],
            "is_assumed": list(ASSUMED), "is_left_out": [self.work.left_out],
        }  # fmt: skip


def estimate(
    name: str, chips: int, config: ChipConfig, context: int | None = None, progress: Progress | None = None
) -> Estimate:
    """A token's cycles: of whole layers in fp16 with ``context`` tokens before it, or of int8 matrices if that is None.
    InputError for a model that is not known, or one that the chips do not hold."""
    if name not in MODELS:
        raise InputError(f"unknown model '{name}'{nearest(name, MODELS)}")
    if config.mxm_planes_w + config.mxm_planes_e == 0:
        raise InputError(f"config {config.name} has no MXM plane to multiply with")
    sizes = MODELS[name]
    work = Matrices(sizes) if context is None else Decoder(sizes, context)
    across = choose(name, work, chips, config).across
    layer, layer_bytes = _compiled(work.layer(across, config), config, progress)
    head, head_bytes = _compiled(work.head(across), config, progress)
    # What is held beside weights is known only now: activations, the cache, words of the program.
    split = _fitting(name, work, [_packed(work, across, layer_bytes, head_bytes, config)], chips, config)[0]
    memory = 2 * config.mem_slices * config.mem_words * config.lanes
    links = all_reduce(work, across, config), hop(work, across, config)
    return Estimate(name, work, config.name, chips, split, layer, head, *links, memory)


def choose(name: str, work: Matrices, chips: int, config: ChipConfig) -> Split:
    """How to split a model: of what the chips hold the fastest, if weights took all that streams carry."""
    every = []
    for across in work.splits():
        layer, head = work.tiles(across, config)
        every.append(_packed(work, across, layer * config.lanes**2, head * config.lanes**2, config))
    return min(_fitting(name, work, every, chips, config), key=lambda split: _least_cycles(work, split, config))


def _fitting(name: str, work: Matrices, splits: Iterable[Split | None], chips: int, config: ChipConfig) -> list[Split]:
    """Those that so many chips hold; InputError if there is none."""
    every = [split for split in splits if split is not None]
    if not every:
        raise InputError(
            f"a layer of {name} does not fit the {NODE} chips of a node of config {config.name}; set mem_words higher"
            f"{work.instead}"
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


def all_reduce(work: Matrices, across: int, config: ChipConfig) -> int:
    """Cycles until all chips that share a layer have the sum of what each has: parts of 4 bytes a feature go to the
    chip that adds them up, and activations to all."""
    return 0 if across == 1 else _exchange(work, across, 4, config) + hop(work, across, config)


def hop(work: Matrices, across: int, config: ChipConfig) -> int:
    """Cycles from a group to the next: each chip sends the part of the activations that it has added up."""
    return _exchange(work, across, work.width, config)


def _exchange(work: Matrices, across: int, width: int, config: ChipConfig) -> int:
    """Cycles of a link for a chip's part of the features, of so many bytes each."""
    vectors = -(-work.sizes.features // across // config.lanes) * width
    return LINK_CYCLES + int(np.ceil(vectors * config.lanes / (LINK_BYTES / CLOCK)))


def _room(config: ChipConfig) -> int:
    """Bytes for tiles of weights: in groups of sixteen slices, which an LW reads at once; what is over is for
    vectors."""
    return 2 * config.mem_slices // GROUP16 * (config.mem_words // config.superlanes) * config.lanes**2


def _packed(work: Matrices, across: int, layer: int, head: int, config: ChipConfig) -> Split | None:
    """Layers and head, of so many bytes, in as few groups as hold them; None where one alone does not fit."""
    groups = [0]
    for stage in [*[layer] * work.sizes.layers, head]:
        if stage > _room(config):
            return None
        if groups[-1] + stage > _room(config):
            groups.append(0)
        groups[-1] += stage
    return Split(across, tuple(groups))


def _least_cycles(work: Matrices, split: Split, config: ChipConfig) -> int:
    """Of a token: weights come over all streams, and nothing else takes time but links."""
    loads = sum(split.held) // (2 * config.streams * config.lanes)
    reduces = 2 * work.sizes.layers * all_reduce(work, split.across, config)
    return loads + reduces + (len(split.held) - 1) * hop(work, split.across, config)


def _compiled(graph: Graph, config: ChipConfig, progress: Progress | None) -> tuple[int, int]:
    """(cycles by the checker, bytes of memory) of a graph."""
    from tsp.checker import check

    program = compile(graph, config, progress=progress).program
    report = check(program)
    if not report.ok:
        raise InputError(f"the compiler made an illegal program, please report it: {report.problems[0]}")
    words = sum(symbol.count * symbol.type.planes for symbol in program.symbols.values())
    return report.cycles, words * config.lanes
