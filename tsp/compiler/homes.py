"""Where blocks and weights lie in memory: what placing makes, and scheduling reads."""

import dataclasses
import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tsp.compiler.passes import Block, Copy, Runs, rows_of


@dataclasses.dataclass(frozen=True)
class Part:
    """``rows`` rows of a block from ``first`` on: row r is at ``address`` + r - ``first`` of each copy, what pads the
    block is behind them. Passes that run side by side read different copies."""

    block: Block
    first: int
    rows: int
    copies: tuple[Copy, ...] = ()

    @property
    def name(self) -> str:
        whole = self.rows == self.block.rows
        return self.block.name if whole else f"{self.block.name}.rows{self.first}"

    @property
    def words(self) -> int:
        """How many it takes of each of its slices."""
        return self.block.words if self.rows == self.block.rows else self.rows + len(self.block.fills)

    def __str__(self) -> str:
        where = [f"{' '.join(copy.slices)} [{copy.address}…{copy.address + self.words - 1}]" for copy in self.copies]
        return f"{self.name}: {', '.join(where)}"


@dataclasses.dataclass(frozen=True)
class Home:
    """Where a block lies. What several passes write may lie in parts, each in slices of its own: a slice takes one
    vector a cycle, and while it does it gives none."""

    parts: tuple[Part, ...]

    @property
    def copies(self) -> tuple[Copy, ...]:
        """Of a block in one part."""
        return self.parts[0].copies

    def pieces(self, runs: Runs) -> Iterator[tuple[Part, int, NDArray[np.int64]]]:
        """(part, how many rows of the view come before, rows counted from its first) of rows of the block, as few as
        there can be: padding is behind every part."""
        rows, block = rows_of(runs), self.parts[0].block
        number = np.searchsorted([part.first for part in self.parts], rows, side="right") - 1
        pads = rows >= block.rows
        if pads.any() and not pads.all():
            # Padding comes from the part of the row before it, or of the first row.
            last = np.maximum.accumulate(np.where(pads, -1, np.arange(len(rows))))
            number = number[np.where(last < 0, np.argmin(pads), last)]
        elif pads.any():
            number[:] = 0
        edges = [0, *(np.flatnonzero(np.diff(number)) + 1).tolist(), len(rows)]
        for start, end in itertools.pairwise(edges):
            part = self.parts[int(number[start])]
            local = np.where(pads, rows - block.rows + part.rows, rows - part.first)
            yield part, start, local[start:end]

    def __str__(self) -> str:
        return "\n".join(map(str, self.parts))


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
    """Names of blocks and tiles → where they lie. ``lent``: blocks whose words others have before or after them."""

    blocks: dict[str, Home]
    tiles: dict[str, WeightsHome]
    lent: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return "\n".join(map(str, [*self.blocks.values(), *self.tiles.values()]))
