"""Rows of constant tables, chosen by numbers that are given or computed: GATHER finds them.

A number goes to memory as a map: each superlane's first two bytes are the address of the row in the slices of the
table, which lies from address 0 on. A table of more rows than that is in parts.
"""

from functools import reduce

import numpy as np
from numpy.typing import ArrayLike

from tsp.compiler.graph import Graph
from tsp.compiler.tensor import Array, Tensor, is_map, table_of
from tsp.errors import InputError, counted


def numbers(graph: Graph, name: str, count: int, table: int) -> Tensor:
    """An input of int32 [count, 1], numbers of rows of a table that has so many, for :func:`look_up` alone. A number
    below zero counts from the end. A run with others raises InputError."""
    if table < 1:
        raise InputError(f"input {name!r} chooses from {table} rows; a table has at least one")
    return graph.input(name, (count, 1), "int32", table=table)


def look_up(graph: Graph, table: ArrayLike, which: Tensor) -> Tensor:
    """Row ``which[r]`` of a constant table [rows, features] as row r, in the table's type: [n, features].

    ``which`` is what :func:`numbers` gives, or computed int32 [n, 1]; of these one below zero counts from the end, and
    one beyond the table takes the first or the last row. InputError if it is anything else.
    """
    rows = graph.constant(table)
    if which.dtype != "int32" or which.features != 1:
        raise InputError(f"look_up by {which}: the numbers of rows must be int32 [n, 1]")
    if given := table_of(which):
        if given != rows.rows:
            raise InputError(f"look_up by {which}: it chooses from {counted(given, 'row')}, but {rows} has {rows.rows}")
    elif not is_map(which):
        which = _map(graph, which, rows.rows)
    return graph.make("look_up", (which.rows, rows.features), rows.dtype, (rows, which), None)


def _in_every_lane(graph: Graph, x: Tensor) -> Tensor:
    """int32 [n, 1]: a product does it, byte by byte, if it is not there already."""
    if x.is_column:
        return x
    e = graph.elementwise
    parts = []
    for place in range(0, 32, 8):
        octet = graph.convert(e("shift_right", x, np.int32(place)), "int8", wrap=True)
        low = e("bit_and", graph.matmul(octet, np.ones((1, 1), np.int8)), np.int32(255))
        parts.append(e("shift_left", low, np.int32(place)))
    return reduce(lambda a, b: e("bit_or", a, b), parts)


def _map(graph: Graph, which: Tensor, rows: int) -> Tensor:
    """Computed numbers, in every lane and within the table."""
    which = _in_every_lane(graph, which)
    below = graph.elementwise("shift_right", which, np.int32(31))
    return _bounded(graph, graph.add(which, graph.mul(below, np.int32(rows))), rows - 1)


def _bounded(graph: Graph, number: Tensor, most: int) -> Tensor:
    """The map of numbers; those below zero or above the most become these."""
    bounded = graph.minimum(graph.maximum(number, np.int32(0)), np.int32(most))
    return graph.make("map", bounded.shape, "int32", (bounded,), None)


def in_parts(graph: Graph, table: Array, which: Tensor, words: int) -> Tensor:
    """Rows of a table of more rows than a slice has words: of each part one is taken, and all are added up. Before and
    behind the rows of a part is one that adds nothing, which numbers beyond it choose. ``which`` is int32 [n, 1] within
    the table."""
    number = _in_every_lane(graph, which)
    is_float, dtype = table.dtype.kind == "f", str(table.dtype)
    nothing = np.full((1, table.shape[1]), -0.0 if is_float else 0, table.dtype)
    found: Tensor | None = None
    for first in range(0, len(table), words - 2):
        part = table[first : first + words - 2]
        maps = _bounded(graph, graph.add(number, np.int32(1 - first)), len(part) + 1)
        rows = graph.constant(np.concatenate([nothing, part, nothing]))
        taken = graph.make("look_up", (which.rows, table.shape[1]), dtype, (rows, maps), None)
        found = taken if found is None else graph.elementwise("add" if is_float else "bit_or", taken, found)
    assert found is not None
    return graph.convert(found, dtype)
