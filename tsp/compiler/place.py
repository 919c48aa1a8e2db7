"""Stage 2: where blocks and weights lie in memory."""

import contextlib
import dataclasses
import functools
import operator
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tsp.compiler import stationary
from tsp.compiler.homes import Home, Part, Places, WeightsHome
from tsp.compiler.parts import ALWAYS, Life, Parts, lives, rounds, seldom, stays
from tsp.compiler.passes import Copy, Pass
from tsp.config import ChipConfig, enough
from tsp.errors import InputError
from tsp.floorplan import floorplan
from tsp.isa import GROUP16


class _Placer:
    """``maps``: blocks that choose rows of tables. ``lives``: parts whose words others may have before and after: the
    first pass that writes one and the last that needs it."""

    def __init__(self, passes: Sequence[Pass], config: ChipConfig, lives: Mapping[str, Life], maps: Collection[str]):
        self.config, self.lives = config, lives
        self.held: dict[str, list[tuple[int, int, Life]]] = defaultdict(list)
        """Slice → first and behind the last words of all that is there, and when."""
        self.order = [f"mem.{side}{number}" for side in "ew" for number in range(config.mem_slices)]
        self.groups = _weight_groups(config, self.order, passes)
        taken = {name for group in self.groups for name in group}
        rest = [name for name in self.order if name not in taken]
        self.vectors = rest if len(rest) >= GROUP16 // 2 else self.order
        self.loads = [name for name in self.order if name in taken]
        self.seldom = seldom(passes)
        self.used: dict[str, int] = defaultdict(int)
        self.tiles: dict[str, WeightsHome] = {}
        self.blocks: dict[str, list[Copy]] = defaultdict(list)
        """Of parts of blocks, by their names."""
        self.maps = maps
        self.sites: dict[str, set[str]] = {}
        """Table → the slices of its site, of which none can bring it a map."""
        self.sides: dict[str, str] = {}
        """Of blocks that are written: all parts are in one hemisphere, as a stream comes from one side."""

    def weights(self, step: Pass) -> None:
        """The tiles of a pass in a group of slices, a row of weights in each; in the hemisphere of its plane if there
        is one. Passes that run side by side get different ones, as each takes the one that holds least; and so do the
        bytes of float16."""
        if not step.tiles:
            return
        side, columns = step.plane[4:5], self.config.superlanes
        near = [group for group in self.groups if Copy(group, 0).side == side] or self.groups
        near, sides = sorted(near, key=self._end), {"", *(Copy(group, 0).side for group in near)}
        for tile in step.tiles:
            for number, (name, matrix) in enumerate(tile.parts):
                if matrix is None:
                    continue
                group, home = near[number % len(near)], self.tiles.setdefault(name, WeightsHome(name, matrix, ()))
                if any(copy.side in sides for copy in home.copies):
                    continue
                if self._end(group) + columns > self.config.mem_words:
                    group = min(self.groups, key=self._end)
                address = self._end(group)
                if not home.copies or address + columns <= self.config.mem_words // 2:
                    self._reserve(name, group, address, columns)
                    self.tiles[name] = dataclasses.replace(home, copies=(*home.copies, Copy(group, address)))

    def table(self, part: Part) -> None:
        """From address 0 on, as numbers of rows are addresses, and at one site, so that all planes take one map. Of
        the slices where nothing lies yet those nearest to the VXM; large tables there where
        more slices are, those of vectors or of weights, so that both have room."""
        planes = part.block.type.planes
        free = [run for run in self._runs(planes, self.order, "") if not any(self.used[name] for name in run)
                and int(run[0][5:]) % planes == 0]  # fmt: skip
        if not free:
            raise InputError(
                f"table {part.name} needs {planes} adjacent MEM slices for itself, from address 0 on, and other tables "
                f"have taken all of config {self.config.name}; set mem_slices higher"
            )
        inside = self.vectors if 2 * part.words <= self.config.mem_words else max(self.vectors, self.loads, key=len)
        slices = min(free, key=lambda run: (not set(run) <= set(inside), int(run[0][5:])))
        self._reserve(part.name, slices, 0, part.words)
        self.blocks[part.name].append(Copy(slices, 0))
        site = floorplan(self.config).slice(slices[0]).site
        self.sites[part.name] = {slice_.name for slice_ in floorplan(self.config).slices if slice_.site == site}

    def _end(self, names: Sequence[str]) -> int:
        """The first address that is free in all of them."""
        return max(self.used[name] for name in names)

    def part(self, part: Part, beside: Sequence[str], near: Sequence[str], must: bool) -> bool:
        """A copy, in adjacent slices that no part uses which is read or written in the same pass, and if possible none
        that is at the same time. False if there is no room; InputError if there ``must`` be."""
        block, name, first = part.block, part.name, self.blocks[part.name]
        busy = {slice_ for other in [*beside, name] for copy in self.blocks[other] for slice_ in copy.slices}
        if block.name in self.maps:
            busy |= {slice_ for other in beside for slice_ in self.sites.get(other, ())}
        soft = Counter(slice_ for other in near for copy in self.blocks[other] for slice_ in copy.slices)
        # What is written goes to all copies on one stream.
        moves = block.values is None and not block.given
        side = self.sides.get(block.name, "") if moves else ""
        sides = [copy.side for copy in first]
        found: list[tuple[str, ...]] = []
        apart = [self.loads] if name in self.seldom else []
        for among in [*apart, self.vectors, *([self.order] if must else [])]:
            runs = stationary.places(self.config, block) if block.stationary else None
            found = found or [s for s in runs or self._runs(block.type.planes, among, side) if not busy & set(s)]
        if not must:
            found = [s for s in found if self._first(s, part) + part.words <= self.config.mem_words]
        if not found and not must:
            return False
        if not found:
            raise InputError(
                f"{name} needs {block.type.planes} adjacent MEM slices that {len(beside)} other blocks leave free, but "
                f"config {self.config.name} has {self.config.mem_slices} in a hemisphere; set mem_slices higher"
            )

        # Where there is room; those of inputs near to planes of both hemispheres.
        def cost(slices: tuple[str, ...]) -> tuple[bool, int, int, int]:
            address = self._first(slices, part)
            full, crowd = address + part.words > self.config.mem_words, sum(soft[name] for name in slices)
            return full, sides.count(slices[0][4]) * block.given, crowd, address

        slices = min(found, key=cost)
        address = self._first(slices, part)
        self._reserve(name, slices, address, part.words)
        first.append(Copy(slices, address))
        self.sides.setdefault(block.name, slices[0][4])
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
                f"missing; {enough('mem_words', end)}"
            )
        for name in slices:
            self.used[name] = max(self.used[name], end)
            self.held[name].append((address, end, self.lives.get(what, ALWAYS)))

    def _first(self, slices: Sequence[str], part: Part) -> int:
        """The first address from which a part's words are free in all slices, while it is there."""
        if (life := self.lives.get(part.name)) is None:
            return self._end(slices)
        at = 0
        for first, end, (birth, death) in sorted(row for name in slices for row in self.held[name]):
            if first < at + part.words and at < end and birth <= life[1] and life[0] <= death:
                at = end
        return at


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


def place(passes: Sequence[Pass], config: ChipConfig, outputs: Collection[str] = ()) -> Places:
    """A home for everything that passes read and write; tensors named ``outputs`` in one part. Words are used twice
    only if there are too few. InputError names what does not fit, and how much is missing."""
    _fits(passes, config, outputs)
    names = {block.tensor for step in passes for block in step.blocks()}
    for whole, eager in ((outputs, True), (outputs, False), (names, True), (names, False)):
        with contextlib.suppress(InputError):
            return _placed(passes, config, whole, eager, {})
    return _placed(passes, config, names, False, lives(passes, outputs))


def _fits(passes: Sequence[Pass], config: ChipConfig, outputs: Collection[str]) -> None:
    """InputError if what stays in memory is more than it has: the whole of it, not what came last."""
    lanes, slices = config.lanes, 2 * config.mem_slices
    parts = {name for step in passes for tile in step.tiles for name, matrix in tile.parts if matrix is not None}
    blocks = {block.name: block for step in passes for block in step.blocks() if stays(block, outputs)}
    weights = lanes * len(parts)
    others = sum(block.rows * block.type.planes for block in blocks.values())
    if (missing := weights + others - slices * config.mem_words) > 0:
        raise InputError(
            f"the network does not fit: weights take {weights * lanes} bytes, inputs, outputs and constants"
            f" {others * lanes}, but config {config.name} has {slices * config.mem_words * lanes}; {missing * lanes}"
            f" bytes are missing; {enough('mem_words', -(-(weights + others) // slices))}"
        )


def _placed(
    passes: Sequence[Pass], config: ChipConfig, whole: Collection[str], eager: bool, lent: Mapping[str, Life]
) -> Places:
    """``eager``: copies of what changes before the constants, as the sums of a pass wait for a constant that is taken,
    but all its products for rows; else what must be comes first."""
    by = {view.block.name: view.by.block for step in passes for view in step.views() if view.by is not None}
    placer = _Placer(passes, config, lent, {block.name for block in by.values()})
    parts = Parts(passes, config, {*whole, *(block.tensor for block in by.values())})
    parts.merge(passes)
    beside: dict[str, dict[str, None]] = defaultdict(dict)
    near: dict[str, dict[str, None]] = defaultdict(dict)
    wanted: Counter[str] = Counter()
    before: list[str] = []
    for round_ in rounds(passes):
        wanted |= parts.wanted(round_)
        these = parts.all(round_)
        for together, of in [*((parts.together(step), beside) for step in round_), ([*before, *these], near)]:
            for name in together:
                of[name] |= dict.fromkeys(other for other in together if other != name)
        before = these
    for name in by:
        placer.table(parts.homes[name].parts[0])
    for step in passes:
        placer.weights(step)
    needed = functools.reduce(operator.or_, (parts.needed(step) for step in passes), Counter[str]())
    every = [part for home in parts.homes.values() for part in home.parts if part.name not in placer.sites]
    by_rows = sorted(every, key=lambda part: (not part.block.stationary, -part.block.rows))
    by_planes = sorted(every, key=lambda part: (not part.block.stationary, -part.block.type.planes))
    for part in by_rows if eager else by_planes:
        least = needed[part.name]
        for number in range(max(least, wanted[part.name]) if eager and part.block.values is None else least):
            placer.part(part, list(beside[part.name]), list(near[part.name]), number < least)
    for part in by_rows:
        for _ in range(len(placer.blocks[part.name]), wanted[part.name]):
            if not placer.part(part, list(beside[part.name]), list(near[part.name]), False):
                break
    homes = {
        name: Home(tuple(dataclasses.replace(part, copies=tuple(placer.blocks[part.name])) for part in home.parts))
        for name, home in parts.homes.items()
    }
    return Places(homes, placer.tiles, frozenset(lent))


def words_of(matrix: NDArray[np.int8], lanes: int) -> list[np.ndarray]:
    """For each of the sixteen slices int8 [16·S / 16, 16·S], the vectors of a tile's weights, filled up with zeros."""
    padded = np.zeros((lanes, lanes), np.int8)
    padded[: len(matrix), : matrix.shape[1]] = matrix
    return [padded[j::GROUP16] for j in range(GROUP16)]
