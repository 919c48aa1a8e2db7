"""Computed weights: where rows of fp16 lie so that LW can read them, and the WRITEs that bring a block to memory.

LW reads sixteen rows of weights at once, so row r lies in slice r mod 16 of sixteen: the WRITEs of a slice take every
sixteenth vector of a stream that all of them tap. Low and high bytes have sixteen slices each, in one hemisphere, since
the stream goes one way.
"""

import dataclasses
from collections.abc import Iterator

from tsp.compiler.passes import Block, Copy, View
from tsp.config import ChipConfig
from tsp.errors import InputError
from tsp.isa import GROUP16

SLICES = 2 * GROUP16
"""For low and high bytes."""


@dataclasses.dataclass(frozen=True)
class Write:
    """``count`` WRITEs of byte plane ``plane``, ``every`` cycles apart, the first of the vector ``after`` the first."""

    slice: str
    plane: int
    after: int
    count: int
    every: int
    address: int
    step: int

    @property
    def length(self) -> int:
        """Cycles from the first to the last."""
        return (self.count - 1) * self.every + 1


def writes(result: View, copy: Copy) -> Iterator[Write]:
    """The WRITEs of rows that arrive one a cycle."""
    for number, name in enumerate(copy.slices):
        after = 0
        for first, count, step in result.runs:
            if not result.block.stationary:
                yield Write(name, number, after, count, 1, copy.address + first, step)
            elif (row := first + (number - first) % GROUP16) < first + count:
                many = -(-(first + count - row) // GROUP16)
                address = copy.address + row // GROUP16
                yield Write(name, number // GROUP16, after + row - first, many, GROUP16, address, 1)
            after += count


def places(config: ChipConfig, block: Block) -> list[tuple[str, ...]]:
    """Slices that may hold a stationary block: the outermost, so that vectors find room inside. InputError if the chip
    has too few."""
    if config.mem_slices < SLICES:
        raise InputError(
            f"{block.name} is computed and multiplied with, so it needs {SLICES} MEM slices of a hemisphere, but config"
            f" {config.name} has {config.mem_slices}; set mem_slices={SLICES} or more"
        )
    first = config.mem_slices - SLICES
    return [tuple(f"mem.{side}{first + n}" for n in range(SLICES)) for side in "ew"]


def unwritten(block: Block, copy: Copy) -> Iterator[tuple[str, int, int]]:
    """(slice, address, words) of the rows that are never written."""
    for number, name in enumerate(copy.slices):
        for first, last in block.gaps:
            low, high = (-(-(row - number % GROUP16) // GROUP16) for row in (first, last))
            if high > low:
                yield name, copy.address + low, high - low
