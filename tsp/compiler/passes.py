"""Passes and what they are made of."""

import dataclasses
import functools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tsp.builder import byte_planes
from tsp.compiler.graph import Array
from tsp.isa import GROUP16, Type

TYPES = {"int8": Type.INT8, "int16": Type.INT16, "int32": Type.INT32, "float16": Type.FP16, "float32": Type.FP32}


@dataclasses.dataclass(frozen=True)
class Block:
    """Up to 16·S features of a tensor: a vector for each row, and more for rows that a view takes from nowhere.

    Attributes:
        values: of a constant, [rows, features].
        given: it is of an input.
        fills: what the vectors behind the last row hold.
        stationary: rows lie as LW reads them (``stationary.py``).
        gaps: of a stationary block the rows, first and behind the last, that are zero.
    """

    tensor: str
    index: int
    rows: int
    type: Type
    values: Array | None = dataclasses.field(default=None, compare=False)
    given: bool = False
    fills: tuple[float, ...] = ()
    stationary: bool = False
    gaps: tuple[tuple[int, int], ...] = ()

    @property
    def name(self) -> str:
        return f"{self.tensor}.{self.index}"

    @property
    def words(self) -> int:
        """How many it takes of each of its slices."""
        if self.stationary:
            return max(self.rows, *(last for _, last in self.gaps), 0) // GROUP16
        return self.rows + len(self.fills)


@dataclasses.dataclass(frozen=True)
class Copy:
    """Words of a block, or of a tile's weights: part p, a byte plane or every sixteenth row, is in ``slices[p]``. Of a
    stationary block row 16·n + j is at ``address`` + n of ``slices[j]``, and of ``slices[16 + j]`` its high bytes."""

    slices: tuple[str, ...]
    address: int

    @property
    def side(self) -> str:
        """Its hemisphere, if it has only one."""
        return self.slices[0][4] if len({name[4] for name in self.slices}) == 1 else ""


ZEROS, NOTHING = "zeros", np.zeros((1, 1), np.int8)
"""A part of a tile that is zero: its name, and the least that is filled up to it."""
Runs = tuple[tuple[int, int, int], ...]
"""Rows in the order in which they are read or written: first row, how many, step."""


@dataclasses.dataclass(frozen=True)
class View:
    """Rows of a block; ``by``: chosen by the maps that these rows are, instead of by ``runs``."""

    block: Block
    runs: Runs
    by: "View | None" = None

    def __str__(self) -> str:
        return f"{self.block.name} by {self.by.block.name}" if self.by is not None else self.block.name


@dataclasses.dataclass(frozen=True)
class Tile:
    """Weights int8 or float16 [out ≤ 16·S, in ≤ 16·S] and the rows they multiply.

    Attributes:
        weights: constant ones.
        source: computed ones: a stationary block, whose rows from ``first`` on are the outputs.
    """

    name: str
    weights: Array | None = dataclasses.field(compare=False)
    view: View
    source: Block | None = None
    first: int = 0

    @functools.cached_property
    def parts(self) -> list[tuple[str, NDArray[np.int8] | None]]:
        """What the planes hold that multiply it, with names: of int8 all hold the same, of float16 two planes a byte
        each. Zeros are the same in all tiles. Computed weights are not known."""
        if self.weights is None:
            return [(f"{self.name}.{part}", None) for part in ("low", "high")]
        if self.weights.dtype == np.int8:
            return [(self.name, self.weights)]
        octets = zip(("low", "high"), byte_planes(self.weights), strict=True)
        return [(f"{self.name}.{part}", octet) if octet.any() else (ZEROS, NOTHING) for part, octet in octets]


SHOWN = 3
"""Tiles of a pass that are written out."""
PREVIOUS = "previous"
"""Operand: what the step before made."""
SUMS = "sums"
"""Operand: the sums of the MXM. Steps before the one that takes them prepare what is added to them."""
Operand = View | int | float | str


@dataclasses.dataclass(frozen=True)
class Step:
    """An instruction of the VXM. ``is_float``: its result is fp32, else int32; ``from_float``: so is what it takes."""

    mnemonic: str
    operands: tuple[Operand, ...]
    is_float: bool
    from_float: bool

    def takes_float(self, number: int) -> bool:
        """Whether an operand is fp32; the condition of MASK and SELECT is an integer."""
        return self.from_float and not (self.mnemonic in ("MASK", "SELECT") and number == len(self.operands) - 1)

    def __str__(self) -> str:
        return f"{self.mnemonic}({', '.join(map(str, self.operands))})"


@dataclasses.dataclass(frozen=True)
class Pass:
    """``count`` rows of ``result``, one a cycle. Without tiles the first step reads blocks.

    Attributes:
        layer: passes of one may run at the same time.
        plane: of the MXM, which multiplies the tiles.
    """

    name: str
    count: int
    tiles: tuple[Tile, ...]
    steps: tuple[Step, ...]
    result: View
    layer: int
    plane: str

    @property
    def is_fp16(self) -> bool:
        """Whether it multiplies fp16, on both planes of a hemisphere."""
        return bool(self.tiles) and self.tiles[0].view.block.type == Type.FP16

    @property
    def entry(self) -> int:
        """The step that takes the sums of the MXM."""
        return next((j for j, step in enumerate(self.steps) if SUMS in step.operands), 0)

    @property
    def instructions(self) -> int:
        """Most words that a queue needs to read its rows once."""
        views = [*(tile.view for tile in self.tiles), *self.views()]
        return max((instructions(view.runs) for view in views), default=0)

    def views(self) -> list[View]:
        """Those its steps read, each once for a step, with their maps."""
        read = [(j, o) for j, step in enumerate(self.steps) for o in step.operands if isinstance(o, View)]
        read += [(j, view.by) for j, view in read if view.by is not None]
        return [view for _, view in dict.fromkeys(read)]

    def blocks(self) -> Iterator[Block]:
        """All that it reads or writes, but the weights."""
        views = [*(tile.view for tile in self.tiles), *self.views(), self.result]
        sources = [tile.source for tile in self.tiles if tile.source is not None]
        yield from dict.fromkeys([*(view.block for view in views), *sources])

    def together(self) -> list[Block]:
        """Those it reads or writes at the same time: with the last of its tiles."""
        views = [*(tile.view for tile in self.tiles[-1:]), *self.views(), self.result]
        return list(dict.fromkeys(view.block for view in views))

    def __str__(self) -> str:
        first = self.result.runs[0][0]
        tiles = [f"{tile.view.block.name} × {tile.name}" for tile in self.tiles]
        if len(tiles) > SHOWN:
            tiles = [*tiles[: SHOWN - 1], f"… {len(tiles)} tiles"]
        made = " → ".join([*([" + ".join(tiles)] if tiles else []), *map(str, self.steps)])
        return f"{self.result.block.name} rows {first}…{first + self.count - 1}: {made}"


def runs_of(rows: NDArray[np.int64]) -> Runs:
    """Rows as runs with few instructions: each goes on as long as the step stays the same. Two rows alone take no fewer
    than one and one, of which the second may begin a longer run."""
    found: list[tuple[int, int, int]] = []
    at = 0
    steps = np.diff(rows)
    while at < len(rows):
        if at == len(rows) - 1:
            found.append((int(rows[at]), 1, 0))
            break
        other = np.flatnonzero(steps[at:] != steps[at])
        count = int(other[0]) + 1 if len(other) else len(rows) - at
        count = 1 if count == 2 else count
        found.append((int(rows[at]), count, int(steps[at]) if count > 1 else 0))
        at += count
    return tuple(found)


def instructions(runs: Runs) -> int:
    """How many instruction words they take: an instruction, and a REPEAT for more than one row."""
    return sum(1 + (count > 1) for _, count, _ in runs)


def rows_of(runs: Runs) -> NDArray[np.int64]:
    """Every row of runs."""
    return np.concatenate([first + step * np.arange(count) for first, count, step in runs])
