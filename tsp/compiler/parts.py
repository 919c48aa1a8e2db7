"""Blocks in parts, and which of them passes read and write at the same time."""

import functools
import itertools
import operator
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence

from tsp.compiler.homes import Home, Part
from tsp.compiler.passes import Block, Pass, View
from tsp.config import ChipConfig

Life = tuple[int, int]
"""Numbers of the first and the last pass that write or read."""
ALWAYS = (-1, 1 << 30)
FEW_TILES = 1
"""Of a pass whose sums come in half of its cycles at least."""
SLICES = 12
"""For all copies of all parts of a block, about."""


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


class Parts:
    """Blocks in parts, and which of them passes read and write at the same time."""

    def __init__(self, passes: Sequence[Pass], config: ChipConfig, whole: Collection[str]):
        """``whole``: names of tensors that may not be in parts."""
        self.config = config
        written: dict[str, list[tuple[int, int]]] = defaultdict(list)
        self.homes: dict[str, Home] = {}
        for step in passes:
            first = step.result.runs[0][0]
            written[step.result.block.name].append((first, first + step.count))
        for block in dict.fromkeys(block for step in passes for block in step.blocks()):
            edges = sorted(written[block.name])
            split = len(edges) > 1 and not block.stationary and block.tensor not in whole and block.type.planes == 1
            split = split and all(a[1] == b[0] for a, b in itertools.pairwise(edges)) and edges[0][0] == 0
            rows = edges if split and edges[-1][1] == block.rows else [(0, block.rows)]
            self.homes[block.name] = Home(tuple(Part(block, first, last - first) for first, last in rows))

    def merge(self, passes: Sequence[Pass]) -> None:
        """Make two of the parts of a block of which many copies are wanted: there are not that many slices."""
        wanted = functools.reduce(operator.or_, map(self.wanted, rounds(passes)), Counter[str]())
        for name, home in self.homes.items():
            most, count = max(wanted[part.name] for part in home.parts), len(home.parts)
            if count > 2 and count * most > SLICES:
                block, middle = home.parts[0].block, home.parts[count // 2].first
                self.homes[name] = Home((Part(block, 0, middle), Part(block, middle, block.rows - middle)))

    def of(self, view: View) -> list[str]:
        """Names of the parts that a view reads or writes."""
        return list(dict.fromkeys(part.name for part, *_ in self.homes[view.block.name].pieces(view.runs)))

    def together(self, step: Pass) -> list[str]:
        """What a pass reads or writes at the same time: with the last of its tiles."""
        views = [*(tile.view for tile in step.tiles[-1:]), *step.views(), step.result]
        return [name for view in views for name in self.of(view)]

    def all(self, round_: Sequence[Pass]) -> list[str]:
        """All that passes read or write."""
        views = [view for s in round_ for view in [*(tile.view for tile in s.tiles), *s.views(), s.result]]
        sources = [tile.source.name for s in round_ for tile in s.tiles if tile.source is not None]
        return list(dict.fromkeys([*(name for view in views for name in self.of(view)), *sources]))

    def wanted(self, round_: Sequence[Pass]) -> Counter[str]:
        """Part → how many of its vectors are read in a cycle if the passes of a round go in step."""
        found: Counter[str] = Counter()
        for number in range(max(len(step.tiles) for step in round_)):
            views = [step.tiles[number].view for step in round_ if number < len(step.tiles)]
            found |= Counter(name for view in views for name in self.of(view))
        # Few rows of an input should not cross the loads of the other hemisphere, which bound them.
        few = [(step, tile.view) for step in round_ if step.count <= self.config.lanes // 8 for tile in step.tiles]
        found |= Counter(name for name, _ in {(v.block.name, step.plane[4]) for step, v in few if v.block.given})
        return found | Counter(name for step in round_ for view in step.views() for name in self.of(view))

    def needed(self, step: Pass) -> Counter[str]:
        """Part → how many copies a pass cannot do without: it reads so many of its vectors in a cycle."""
        views = [*step.views(), *(tile.view for tile in step.tiles[-1:])]
        return Counter(name for view in views for name in self.of(view)) | Counter(self.all([step]))


def seldom(passes: Sequence[Pass]) -> set[str]:
    """Constants of passes that load weights seldom, and mostly wait for their constants: they may lie with weights."""
    names: dict[bool, set[str]] = {False: set(), True: set()}
    for step in passes:
        names[1 <= len(step.tiles) <= FEW_TILES] |= {v.block.name for v in step.views() if v.block.values is not None}
    return names[True] - names[False]


def stays(block: Block, outputs: Collection[str]) -> bool:
    """Whether it is in memory from the start to the end: what is given, constant, an output (of these tensors), or has
    words that are there from the start (padding)."""
    held = block.values is not None or block.given or block.stationary or bool(block.fills)
    return held or block.tensor in outputs


def lives(passes: Sequence[Pass], outputs: Collection[str]) -> dict[str, Life]:
    """Block → when it is in memory, of those that passes write whole and read, and that do not stay."""
    found: dict[str, Life] = {}
    for number, step in enumerate(passes):
        for block in step.blocks():
            if not stays(block, outputs):
                found[block.name] = found.get(block.name, (number, number))[0], number
    return found
