"""The critical path of a compiled program, read from the program alone: passes that follow each other to its end."""

import dataclasses
from collections import defaultdict

import numpy as np
from rich.table import Table

from tsp.errors import InputError
from tsp.explain import Part, explain_lines
from tsp.flow.analysis import moves, refuse_too_many
from tsp.flow.collect import Collector
from tsp.flow.fetch import expand_program
from tsp.flow.issues import ints
from tsp.flow.state import NONE
from tsp.program import Program


@dataclasses.dataclass(frozen=True)
class Link:
    """A pass on the path. ``waited``: the fewest cycles from the WRITE of a word by the pass before to its READ: 1 is
    at once, more is a wait for planes, slices, ALUs or streams. 0 for the first."""

    part: Part
    waited: int


def critical_path(program: Program) -> list[Link]:
    """From the first pass to the one that ends last: each reads what the one before wrote, and of all that it reads,
    that is what it waited least for. InputError for a program that was not compiled, or is too long."""
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
    unrolled = expand_program(program)
    refuse_too_many(unrolled)
    defined = {place: image.addresses for place, image in program.memory.items()}
    flow = moves(unrolled, Collector(unrolled.bursts, program.config), program.config, defined)
    line_of = ints([program.source.lines.get((burst.queue, burst.index), 0) for burst in unrolled.bursts])
    seen = flow.loads.store != NONE
    read, written = flow.loads.issue[seen], flow.stores.issue[flow.loads.store[seen]]
    lines, gaps = line_of[flow.issues.burst], flow.issues.time[read] - flow.issues.time[written]
    pairs, numbers = np.unique(np.stack([lines[read], lines[written]]), axis=1, return_inverse=True)
    least = np.full(pairs.shape[1], np.iinfo(np.int64).max)
    np.minimum.at(least, numbers, gaps)
    found = defaultdict[int, dict[int, int]](dict)
    for reader, writer, gap in zip(*pairs.tolist(), least.tolist(), strict=True):
        found[reader][writer] = gap
    return found


def table(path: list[Link]) -> Table:
    """A row per pass of the path, in the order of their cycles."""
    found = Table("from", "to", "waited", "what")
    for column in found.columns[:3]:
        column.justify = "right"
    for link in path:
        found.add_row(str(link.part.first), str(link.part.last), str(link.waited or ""), link.part.text)
    return found
