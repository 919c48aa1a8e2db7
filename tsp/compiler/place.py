"""Stage 2: where blocks and weights lie in memory."""

import dataclasses
import functools
import operator
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from tsp.compiler import stationary
from tsp.compiler.passes import Block, Copy, Pass
from tsp.config import ChipConfig
from tsp.errors import InputError
from tsp.floorplan import floorplan
from tsp.isa import GROUP16


@dataclasses.dataclass(frozen=True)
class Home:
    """Where a block lies: row r at ``address`` + r of each copy. Passes that run side by side read different ones."""

    block: Block
    copies: tuple[Copy, ...]

    def __str__(self) -> str:
        words = self.block.words
        where = [f"{' '.join(copy.slices)} [{copy.address}…{copy.address + words - 1}]" for copy in self.copies]
        return f"{self.block.name}: {', '.join(where)}"


@dataclasses.dataclass(frozen=True)
class WeightsHome:
    """A tile's words, or those of its low or high bytes: row 16·sc + j of the matrix is at ``address`` + sc of
    ``slices[j]`` of each copy."""

    name: str
    matrix: NDArray[np.int8] = dataclasses.field(compare=False)
    copies: tuple[Copy, ...]

    def near(self, side: str) -> Copy:
        """The copy in a hemisphere, or the first."""
        return next((copy for copy in self.copies if copy.side == side), self.copies[0])

    def __str__(self) -> str:
        where = [f"{copy.slices[0]}…{copy.slices[-1]} [{copy.address}]" for copy in self.copies]
        return f"{self.name}: {', '.join(where)}"


@dataclasses.dataclass(frozen=True)
class Places:
    """Names of blocks and tiles → where they lie."""

    blocks: dict[str, Home]
    tiles: dict[str, WeightsHome]

    def __str__(self) -> str:
        return "\n".join(map(str, [*self.blocks.values(), *self.tiles.values()]))


class _Placer:
    def __init__(self, passes: Sequence[Pass], config: ChipConfig):
        self.config = config
        self.order = [f"mem.{side}{number}" for side in "ew" for number in range(config.mem_slices)]
        self.groups = _weight_groups(config, self.order, passes)
        taken = {name for group in self.groups for name in group}
        rest = [name for name in self.order if name not in taken]
        self.vectors = rest if len(rest) >= GROUP16 // 2 else self.order
        self.used: dict[str, int] = defaultdict(int)
        self.tiles: dict[str, WeightsHome] = {}
        self.blocks: dict[str, list[Copy]] = defaultdict(list)

    def weights(self, step: Pass) -> None:
        """The tiles of a pass in a group of slices, a row of weights in each; in the hemisphere of its plane if there
        is one. Passes that run side by side get different ones, as each takes the one that holds least; and so do the
        bytes of float16."""
        if not step.tiles:
            return
        side, columns = step.plane[4:5], self.config.superlanes
        near = [group for group in self.groups if Copy(group, 0).side == side] or self.groups
        near = sorted(near, key=self._end)
        for tile in step.tiles:
            for number, (name, matrix) in enumerate(tile.parts()):
                group, home = near[number % len(near)], self.tiles.setdefault(name, WeightsHome(name, matrix, ()))
                if any(copy.side in (side, "") for copy in home.copies):
                    continue
                if self._end(group) + columns > self.config.mem_words:
                    group = min(self.groups, key=self._end)
                address = self._end(group)
                if not home.copies or address + columns <= self.config.mem_words // 2:
                    self._reserve(name, group, address, columns)
                    self.tiles[name] = dataclasses.replace(home, copies=(*home.copies, Copy(group, address)))

    def _end(self, names: Sequence[str]) -> int:
        """The first address that is free in all of them."""
        return max(self.used[name] for name in names)

    def block(self, block: Block, beside: Sequence[str], near: Sequence[str], must: bool) -> bool:
        """A copy, in adjacent slices that no block uses which is read or written in the same pass, and if possible none
        that is at the same time. False if there is no room; InputError if there ``must`` be."""
        first = self.blocks[block.name]
        busy = {name for other in [*beside, block.name] for copy in self.blocks[other] for name in copy.slices}
        soft = Counter(name for other in near for copy in self.blocks[other] for name in copy.slices)
        # What is written goes to all copies on one stream.
        moves = block.values is None and not block.given
        side = first[0].side if first and moves else ""
        sides = [copy.side for copy in first]
        found: list[tuple[str, ...]] = []
        for among in (self.vectors, self.order)[: 2 if must else 1]:
            runs = stationary.places(self.config, block) if block.stationary else None
            found = found or [s for s in runs or self._runs(block.type.planes, among, side) if not busy & set(s)]
        if not must:
            found = [s for s in found if self._end(s) + block.words <= self.config.mem_words]
        if not found and not must:
            return False
        if not found:
            raise InputError(
                f"{block.name} needs {block.type.planes} adjacent MEM slices that {len(beside)} other blocks leave "
                f"free, but config {self.config.name} has {self.config.mem_slices} in a hemisphere; set mem_slices "
                "higher"
            )
        # Those of inputs are near to planes of both hemispheres.
        slices = min(found, key=lambda s: (sides.count(s[0][4]) * block.given, sum(soft[n] for n in s), self._end(s)))
        address = self._end(slices)
        self._reserve(block.name, slices, address, block.words)
        first.append(Copy(slices, address))
        return True

    def _runs(self, planes: int, among: Sequence[str], side: str) -> Iterator[tuple[str, ...]]:
        plan = floorplan(self.config)
        free = set(among)
        for name in among:
            first = plan.slice(name)
            run = tuple(f"mem.{first.hemisphere}{first.number + plane}" for plane in range(planes))
            if free >= set(run) and side in ("", first.hemisphere):
                yield run

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


def _weight_groups(config: ChipConfig, order: Sequence[str], passes: Sequence[Pass]) -> list[tuple[str, ...]]:
    """Sixteen slices each, which an LW reads at once beside what it multiplies: vectors lie elsewhere if there is room.
    In each hemisphere the outermost, as near to the planes as can be: one group, or one for each plane if most tiles
    meet so few rows that loads bound them, or are float16, which has two bytes."""
    planes = {"w": config.mxm_planes_w, "e": config.mxm_planes_e}
    few = sum(len(step.tiles) if step.count <= 2 * config.superlanes else -len(step.tiles) for step in passes)
    wanted = max(planes.values()) if few > 0 or any(step.is_fp16 for step in passes) else 1
    per_side = min(wanted, (config.mem_slices - GROUP16 // 2) // GROUP16)
    if per_side < 1:
        shares = min(sum(planes.values()), max(1, len(order) // GROUP16 - 1))
        return [tuple(order[GROUP16 * g : GROUP16 * (g + 1)]) for g in range(shares)]
    last = config.mem_slices - GROUP16 * per_side
    firsts = [(side, last + GROUP16 * g) for g in range(per_side) for side in "ew" if planes[side]]
    return [tuple(f"mem.{side}{first + j}" for j in range(GROUP16)) for side, first in firsts]


def rounds(passes: Sequence[Pass]) -> Iterator[list[Pass]]:
    """Passes of one layer on different planes: they may run at the same time."""
    found: list[Pass] = []
    for step in passes:
        if found and (step.layer != found[0].layer or not step.plane or step.plane in [p.plane for p in found]):
            yield found
            found = []
        found.append(step)
    if found:
        yield found


def _wanted(round_: Sequence[Pass], lanes: int) -> Counter[str]:
    """Block → how many of its vectors are read in a cycle if the passes of a round go in step."""
    found: Counter[str] = Counter()
    for number in range(max(len(step.tiles) for step in round_)):
        found |= Counter(step.tiles[number].view.block.name for step in round_ if number < len(step.tiles))
    # Few rows of an input should not cross the loads of the other hemisphere, which bound them.
    few = [(step, tile.view.block) for step in round_ if step.count <= lanes // 8 for tile in step.tiles]
    found |= Counter(name for name, _ in {(block.name, step.plane[4]) for step, block in few if block.given})
    return found | Counter(view.block.name for step in round_ for view in step.views())


def _needed(step: Pass) -> Counter[str]:
    """Block → how many copies a pass cannot do without: it reads so many of its vectors in a cycle."""
    views = [*step.views(), *(tile.view for tile in step.tiles[-1:])]
    return Counter(view.block.name for view in views) | Counter(block.name for block in step.blocks())


def place(passes: Sequence[Pass], config: ChipConfig) -> Places:
    """A home for everything that passes read and write. InputError names what does not fit, and how much is missing."""
    try:
        return _placed(passes, config, True)
    except InputError:
        return _placed(passes, config, False)


def _placed(passes: Sequence[Pass], config: ChipConfig, eager: bool) -> Places:
    """``eager``: copies of what changes before the constants, as the sums of a pass wait for a constant that is taken,
    but all its products for rows; else what must be comes first."""
    placer = _Placer(passes, config)
    blocks: dict[str, Block] = {}
    beside: dict[str, dict[str, None]] = defaultdict(dict)
    near: dict[str, dict[str, None]] = defaultdict(dict)
    wanted: Counter[str] = Counter()
    before: list[Block] = []
    for round_ in rounds(passes):
        wanted |= _wanted(round_, config.lanes)
        these = _all(round_)
        for together, of in [*((step.together(), beside) for step in round_), ([*before, *these], near)]:
            for block in together:
                of[block.name] |= dict.fromkeys(other.name for other in together if other.name != block.name)
        blocks |= {block.name: block for step in round_ for block in step.blocks()}
        before = these
    for step in passes:
        placer.weights(step)
    needed = functools.reduce(operator.or_, (_needed(step) for step in passes), Counter[str]())
    by_rows = sorted(blocks.values(), key=lambda block: (not block.stationary, -block.rows))
    by_planes = sorted(blocks.values(), key=lambda block: (not block.stationary, -block.type.planes))
    for block in by_rows if eager else by_planes:
        least = needed[block.name]
        for number in range(max(least, wanted[block.name]) if eager and block.values is None else least):
            placer.block(block, list(beside[block.name]), list(near[block.name]), number < least)
    for block in by_rows:
        for _ in range(len(placer.blocks[block.name]), wanted[block.name]):
            if not placer.block(block, list(beside[block.name]), list(near[block.name]), False):
                break
    return Places({name: Home(block, tuple(placer.blocks[name])) for name, block in blocks.items()}, placer.tiles)


def _all(round_: Sequence[Pass]) -> list[Block]:
    return list(dict.fromkeys(block for step in round_ for block in step.blocks()))


def words_of(matrix: NDArray[np.int8], lanes: int) -> list[np.ndarray]:
    """For each of the sixteen slices int8 [16·S / 16, 16·S], the vectors of a tile's weights, filled up with zeros."""
    padded = np.zeros((lanes, lanes), np.int8)
    padded[: len(matrix), : matrix.shape[1]] = matrix
    return [padded[j::GROUP16] for j in range(GROUP16)]
