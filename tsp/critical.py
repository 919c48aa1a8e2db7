"""The critical path of a compiled program, read from the program alone: passes that follow each other to its end."""

import dataclasses
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from tsp.dispatch import Burst
from tsp.errors import InputError
from tsp.explain import Part, explain_lines
from tsp.floorplan import floorplan
from tsp.flow.fetch import expand_program
from tsp.program import Program

Cycles = NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class Link:
    """A pass on the path. ``waited``: the fewest cycles from the WRITE of a word by the pass before to its READ: 1 is
    at once, more is a wait for planes, slices, ALUs or streams. 0 for the first."""

    part: Part
    waited: int


def critical_path(program: Program) -> list[Link]:
    """From the first pass to the one that ends last: each reads what the one before wrote, and of all that it reads,
    that is what it waited least for. InputError for a program that was not compiled."""
    parts = explain_lines(program)
    if not parts:
        raise InputError("the program has no pass")
    before = _closest(program)
    line = max(parts, key=lambda line: (parts[line].last, line))
    path = [Link(parts[line], 0)]
    # A pass ends before one that reads all it needs of it, so this ends.
    while earlier := [(gap, other) for other, gap in before[line].items() if parts[other].last < parts[line].last]:
        gap, line = min(earlier)
        path = [Link(parts[line], 0), dataclasses.replace(path[0], waited=gap), *path[1:]]
    return path


def _closest(program: Program) -> dict[int, dict[int, int]]:
    """Line of a pass → line of each whose words it reads → the fewest cycles between WRITE and READ of a word."""
    queues, found = floorplan(program.config).queues, defaultdict[int, dict[int, int]](dict)
    slices = defaultdict[int, list[Burst]](list)
    for burst in expand_program(program).bursts:
        if queues[burst.queue].kind == "mem":
            slices[burst.queue].append(burst)
    for bursts in slices.values():
        written, read = (_touched(program, bursts, half) for half in ("write", "read"))
        # One number for an address and a cycle, so that the last WRITE before a READ is the one to its left.
        keys = written[0] << 32 | written[1]
        order = np.argsort(keys)
        at = np.searchsorted(keys[order], read[0] << 32 | read[1]) - 1
        writer = order[np.maximum(at, 0)] if len(order) else np.zeros(len(at), np.int64)
        right = (at >= 0) & (written[0][writer] == read[0]) if len(order) else np.zeros(len(at), bool)
        reader, writer = np.flatnonzero(right), writer[right]
        gaps = read[1][reader] - written[1][writer]
        for (line, other), gap in _least(read[2][reader], written[2][writer], gaps):
            if line != other:
                found[line][other] = min(gap, found[line].get(other, gap))
    return found


def _least(readers: Cycles, writers: Cycles, gaps: Cycles) -> Iterator[tuple[tuple[int, int], int]]:
    """The least gap of each pair of lines."""
    pairs, numbers = np.unique(readers << 32 | writers, return_inverse=True)
    least = np.full(len(pairs), np.iinfo(np.int64).max)
    np.minimum.at(least, numbers, gaps)
    for pair, gap in zip(pairs.tolist(), least.tolist(), strict=True):
        yield (pair >> 32, pair & (1 << 32) - 1), gap


def _touched(program: Program, bursts: list[Burst], half: str) -> tuple[Cycles, Cycles, Cycles]:
    """Address, cycle and line of every word that a slice reads, or writes."""
    rows = [np.zeros((3, 0), np.int64), *_rows(program, bursts, half)]
    address, cycle, line = np.concatenate(rows, axis=1)
    return address, cycle, line


def _rows(program: Program, bursts: list[Burst], half: str) -> Iterator[Cycles]:
    for burst in bursts:
        field = f"{half}_address"
        if field not in burst.instruction.values:
            continue
        numbers = np.arange(burst.count, dtype=np.int64)
        step = burst.step_a if half == "read" else burst.step_b
        line = program.source.lines.get((burst.queue, burst.index), 0)
        cycles = burst.start + burst.interval * numbers
        yield np.stack([burst.instruction[field] + step * numbers, cycles, np.full_like(numbers, line)])


def table(path: list[Link]) -> Table:
    """A row per pass of the path, in the order of their cycles."""
    found = Table("from", "to", "waited", "what")
    for column in found.columns[:3]:
        column.justify = "right"
    for link in path:
        found.add_row(str(link.part.first), str(link.part.last), str(link.waited or ""), link.part.text)
    return found
