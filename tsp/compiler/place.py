"""Stage 2: where blocks and weights lie in memory."""

import dataclasses
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from tsp.compiler.passes import Block, Pass, Tile
from tsp.config import ChipConfig
from tsp.errors import InputError
from tsp.floorplan import floorplan
from tsp.isa import GROUP16


@dataclasses.dataclass(frozen=True)
class Home:
    """A block's words: byte plane p is at ``address`` + row of ``slices[p]``."""

    block: Block
    slices: tuple[str, ...]
    address: int

    def __str__(self) -> str:
        return f"{self.block.name}: {' '.join(self.slices)} [{self.address}…{self.address + self.block.words - 1}]"


@dataclasses.dataclass(frozen=True)
class WeightsHome:
    """A tile's words: row 16·sc + j of its weights is at ``address`` + sc of ``slices[j]``."""

    tile: Tile
    slices: tuple[str, ...]
    address: int

    def __str__(self) -> str:
        return f"{self.tile.name}: {self.slices[0]}…{self.slices[-1]} [{self.address}]"


@dataclasses.dataclass(frozen=True)
class Places:
    """Names of blocks and tiles → where they lie."""

    blocks: dict[str, Home]
    tiles: dict[str, WeightsHome]

    def __str__(self) -> str:
        return "\n".join(map(str, [*self.blocks.values(), *self.tiles.values()]))


class _Placer:
    def __init__(self, config: ChipConfig):
        self.config = config
        names = [[f"mem.{side}{number}" for number in range(config.mem_slices)] for side in "ew"]
        self.order = [*names[0], *names[1]]
        groups = len(self.order) // GROUP16
        # Weights are read sixteen slices at a time beside what they multiply: vectors lie elsewhere if there is room.
        planes = config.mxm_planes_w + config.mxm_planes_e
        shares = min(planes, max(1, groups - 1))
        self.groups = [tuple(self.order[GROUP16 * g : GROUP16 * (g + 1)]) for g in range(shares)]
        taken = {name for group in self.groups for name in group}
        rest = [name for name in self.order if name not in taken]
        self.vectors = rest if len(rest) >= GROUP16 // 2 else self.order
        self.used: dict[str, int] = defaultdict(int)
        self.tiles: dict[str, WeightsHome] = {}
        self.blocks: dict[str, Home] = {}

    def weights(self, tile: Tile, number: int) -> None:
        """In a group of slices, a row of weights in each: for passes that run side by side in different ones."""
        columns = self.config.superlanes
        group = self.groups[number % len(self.groups)]
        address = max(self.used[name] for name in group)
        self._reserve(tile.name, group, address, columns)
        self.tiles[tile.name] = WeightsHome(tile, group, address)

    def block(self, block: Block, beside: Sequence[Block]) -> None:
        """In adjacent slices that none of the blocks uses which are read or written at the same time."""
        busy = {name for other in beside if other.name in self.blocks for name in self.blocks[other.name].slices}
        planes = block.type.planes
        found: list[tuple[str, ...]] = []
        for among in (self.vectors, self.order):
            found = found or [slices for slices in self._runs(planes, among) if not busy & set(slices)]
        if not found:
            raise InputError(
                f"{block.name} needs {planes} adjacent MEM slices that {len(beside)} other blocks leave free, but "
                f"config {self.config.name} has {self.config.mem_slices} in a hemisphere; set mem_slices higher"
            )
        slices = min(found, key=lambda names: max(self.used[name] for name in names))
        address = max(self.used[name] for name in slices)
        self._reserve(block.name, slices, address, block.words)
        self.blocks[block.name] = Home(block, slices, address)

    def _runs(self, planes: int, among: Sequence[str]) -> list[tuple[str, ...]]:
        plan = floorplan(self.config)
        free = set(among)
        runs = []
        for name in among:
            first = plan.slice(name)
            run = tuple(f"mem.{first.hemisphere}{first.number + plane}" for plane in range(planes))
            if free >= set(run):
                runs.append(run)
        return runs

    def _reserve(self, what: str, slices: Sequence[str], address: int, words: int) -> None:
        end = address + words
        if end > self.config.mem_words:
            missing = (end - self.config.mem_words) * len(slices) * self.config.lanes
            raise InputError(
                f"{what} does not fit: it takes {words} words in each of {len(slices)} MEM slices "
                f"({slices[0]}…{slices[-1]}), which have {self.config.mem_words - address} left; {missing} bytes are "
                f"missing; set mem_words={end}"
            )
        for name in slices:
            self.used[name] = end


def place(passes: Sequence[Pass], config: ChipConfig) -> Places:
    """A home for everything that passes read and write. InputError names what does not fit, and how much is missing."""
    placer = _Placer(config)
    beside: dict[str, dict[str, Block]] = defaultdict(dict)
    blocks: dict[str, Block] = {}
    for step in passes:
        blocks |= {block.name: block for block in step.blocks() if block.name not in blocks}
        together = step.together()
        for block in together:
            beside[block.name] |= {other.name: other for other in together if other.name != block.name}
    for number, step in enumerate(passes):
        for tile in step.tiles:
            if tile.name not in placer.tiles:
                placer.weights(tile, number)
    for name, block in sorted(blocks.items(), key=lambda item: -item[1].type.planes):
        placer.block(block, list(beside[name].values()))
    return Places({name: placer.blocks[name] for name in blocks}, placer.tiles)


def words_of(home: WeightsHome, lanes: int) -> list[np.ndarray]:
    """For each of the sixteen slices int8 [16·S / 16, 16·S], the vectors of a tile's weights, filled up with zeros."""
    weights = home.tile.weights
    padded = np.zeros((lanes, lanes), np.int8)
    padded[: len(weights), : weights.shape[1]] = weights
    return [padded[j::GROUP16] for j in range(GROUP16)]
