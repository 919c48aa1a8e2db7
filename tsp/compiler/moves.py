"""Numbers of tensors in other rows and lanes.

Rows are read in another order. Lanes go through the MXM, whose weights of 0 and 1 move bytes and float16 as they are;
the sum of such products puts several pieces into one row.
"""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tsp.compiler import floats
from tsp.compiler.tensor import Array, Tensor
from tsp.errors import InputError, counted

if TYPE_CHECKING:
    from tsp.compiler.graph import Graph

Numbers = NDArray[np.int64]
FEW = 16
"""Products that move lanes: up to so many rather than a transposition, which takes float16."""
MOST = 1 << 12
"""Such products, at most."""
MOST_NUMBERS = 1 << 24
"""Of what is moved, and of the weights that move it."""
Image = tuple[int, int, int] | None


@dataclasses.dataclass(frozen=True, eq=False)
class Pick:
    """From ``rows`` of a part, one for each row that is made, the numbers of lanes ``taken`` to lanes ``put``."""

    part: int
    rows: Numbers
    taken: Numbers
    put: Numbers


@dataclasses.dataclass(frozen=True, eq=False)
class Group:
    """Rows of the result that are made alike: as the sum of picks. Or ``crossed``: row r is the column ``taken[r]`` of
    the rows ``rows`` of one part."""

    rows: Numbers
    picks: tuple[Pick, ...]
    crossed: bool = False


def numbers_of(parts: Sequence[Tensor]) -> list[Numbers]:
    """What names the numbers of parts: they are counted row by row, part after part. InputError for too many."""
    if (total := sum(part.rows * part.features for part in parts)) > MOST_NUMBERS:
        raise InputError(f"moves {total} numbers of {', '.join(map(str, parts))}; at most {MOST_NUMBERS} can be moved")
    ends = np.cumsum([0, *(part.rows * part.features for part in parts)])
    return [np.arange(end - part.rows * part.features, end).reshape(part.shape)
            for part, end in zip(parts, ends[1:], strict=True)]  # fmt: skip


def groups(parts: Sequence[Tensor], source: Numbers) -> list[Group]:
    """How to make [rows, features] of the numbers ``source`` of parts. InputError if it takes too many products."""
    starts = np.cumsum([0, *(part.rows * part.features for part in parts)])
    part = np.searchsorted(starts, source, side="right") - 1
    row, lane = np.divmod(source - starts[part], np.array([part.features for part in parts])[part])
    key = np.concatenate([_firsts(row * len(parts) + part), part, lane], axis=1)
    found = [_group(rows, part, row, lane) for rows in _alike(key)]
    crossed = [group for group in found if _crosses(group, lane)]
    if sum(len(group.picks) for group in crossed) > FEW:
        rest = [group for group in found if group not in crossed]
        rows = np.sort(np.concatenate([group.rows for group in crossed]))
        lines = np.concatenate([part[rows], row[rows]], axis=1)
        for at in _alike(lines):
            one = rows[at]
            pick = Pick(int(part[one[0], 0]), row[one[0]], lane[one, 0], np.arange(source.shape[1]))
            rest.append(Group(one, (pick,), True))
        found = sorted(rest, key=lambda group: int(group.rows[0]))
    count = products(parts, found)
    size = sum(parts[pick.part].features * source.shape[1] for group in found for pick in group.picks)
    if count > MOST or size > MOST_NUMBERS:
        names = ", ".join(map(str, parts))
        raise InputError(
            f"moves numbers of {names} to other lanes, which takes {counted(count, 'product')} and {size} weights;"
            f" at most {MOST} and {MOST_NUMBERS} are supported"
        )
    return found


def products(parts: Sequence[Tensor], found: Sequence[Group]) -> int:
    """How many products move lanes."""
    return sum(0 if straight(parts, group) else len(group.picks) for group in found)


def straight(parts: Sequence[Tensor], group: Group) -> bool:
    """Whether a group is made of whole rows, so that nothing is moved."""
    first, lanes = group.picks[0], np.arange(parts[group.picks[0].part].features)
    whole = not group.crossed and len(group.picks) == 1 and len(first.put) == len(lanes)
    return whole and bool((first.taken == lanes).all() and (first.put == lanes).all())


def _firsts(rows: Numbers) -> Numbers:
    """For each lane the first one that takes the same row."""
    order = np.argsort(rows, axis=1, kind="stable")
    ordered = np.take_along_axis(rows, order, 1)
    new = np.ones(rows.shape, bool)
    new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    at = np.maximum.accumulate(np.where(new, np.arange(rows.shape[1]), 0), axis=1)
    found = np.empty_like(order)
    np.put_along_axis(found, order, np.take_along_axis(order, at, 1), 1)
    return found


def _alike(key: Numbers) -> list[Numbers]:
    """Numbers of equal rows, in the order of the first of each."""
    if (key == key[:1]).all():
        return [np.arange(len(key))]
    _, first, which = np.unique(key.astype(np.int32), axis=0, return_index=True, return_inverse=True)
    return [np.flatnonzero(which.reshape(-1) == n) for n in np.argsort(first)]


def _group(rows: Numbers, part: Numbers, row: Numbers, lane: Numbers) -> Group:
    parts, lanes = part[rows[0]], lane[rows[0]]
    firsts = _firsts(row[rows[:1]] * (int(part.max()) + 1) + part[rows[:1]])[0]
    picks = []
    for first in np.unique(firsts):
        put = np.flatnonzero(firsts == first)
        picks.append(Pick(int(parts[first]), row[rows, first], lanes[put], put))
    return Group(rows, tuple(picks))


def _crosses(group: Group, lane: Numbers) -> bool:
    """Whether its rows are columns of a part."""
    alone = len({pick.part for pick in group.picks}) == 1 and len(group.picks) > 1
    return alone and bool((lane[group.rows[0]] == lane[group.rows[0], 0]).all())


class _Arranging:
    def __init__(self, graph: "Graph", parts: Sequence[Tensor], features: int):
        self.graph, self.parts, self.features = graph, parts, features
        self.dtype = parts[0].dtype
        self.octets: dict[tuple[str, int], Tensor] = {}

    def piece(self, group: Group, image: Image) -> Tensor:
        """The rows of a group, in a type that is still to be converted."""
        if straight(self.parts, group):
            part, rows = self.parts[group.picks[0].part], group.picks[0].rows
            return part if np.array_equal(rows, np.arange(part.rows)) else self.graph.take(part, rows.tolist())
        if self.dtype in ("int8", "float16"):
            return self._sums(self.parts, group, image)
        g, found = self.graph, None
        for place in range(0, 32, 8):
            sums = self._sums([self._octet(part, place) for part in self.parts], group, image)
            whole = g.convert(sums, "int32") if group.crossed else sums
            low = g.elementwise("bit_and", whole, np.int32(255))
            part = g.elementwise("shift_left", low, np.int32(place))
            found = part if found is None else g.elementwise("bit_or", found, part)
        assert found is not None
        return g.bits(found, "float32") if self.dtype == "float32" else found

    def _octet(self, part: Tensor, place: int) -> Tensor:
        if (part.name, place) not in self.octets:
            word = self.graph.bits(part, "int32") if part.dtype == "float32" else part
            moved = self.graph.elementwise("shift_right", word, np.int32(place))
            self.octets[part.name, place] = self.graph.convert(moved, "int8", wrap=True)
        return self.octets[part.name, place]

    def _sums(self, parts: Sequence[Tensor], group: Group, image: Image) -> Tensor:
        if group.crossed:
            (pick,) = group.picks
            part = parts[pick.part]
            half = floats.half(self.graph, self._rows(part, pick.rows))
            unit = self.graph.constant(np.eye(part.features, dtype=np.float16)[pick.taken])
            return floats.matmul_transposed(self.graph, unit, half)
        pairs: list[tuple[Tensor, Array]] = []
        for pick in group.picks:
            part = parts[pick.part]
            weights = np.zeros((part.features, self.features), part.dtype)
            weights[pick.taken, pick.put] = 1
            pairs.append((self._rows(part, pick.rows), weights))
        return self.graph.products(pairs, image)

    def _rows(self, part: Tensor, rows: Numbers) -> Tensor:
        return part if np.array_equal(rows, np.arange(part.rows)) else self.graph.take(part, rows.tolist())


def arranged(
    graph: "Graph", parts: Sequence[Tensor], source: Numbers, image: Image = None, found: list[Group] | None = None
) -> Tensor:
    """A tensor of the type of its parts, which must be alike: in row r and lane l the number ``source[r, l]`` of those
    that :func:`numbers_of` names. Rows that go as they are do not move; others take products, of 32 bits four each;
    rows that become columns are transposed as float16. ``image``: what its rows are the pixels of. ``found``: its
    groups, if they are known. InputError for parts of different types, and for what takes too many products."""
    if len({part.dtype for part in parts}) > 1:
        raise InputError(f"moves {' and '.join(map(str, parts))}, whose types differ; convert them")
    found = groups(parts, source) if found is None else found
    arranging, dtype = _Arranging(graph, parts, source.shape[1]), parts[0].dtype
    if len(found) == 1:
        whole = arranging.piece(found[0], image)
    else:
        pieces = [graph.written(arranging.piece(group, None), dtype) for group in found]
        order = np.concatenate([group.rows for group in found])
        offsets = np.cumsum([0, *(len(group.rows) for group in found)]).tolist()[:-1]
        inverse, ordered = np.argsort(order), bool((np.diff(order) > 0).all())
        attributes = {"offsets": tuple(offsets), "stationary": False}
        stacked = graph.make("concat", source.shape, dtype, tuple(pieces), image if ordered else None, **attributes)
        whole = stacked if ordered else graph.take(stacked, inverse.tolist())
    if whole.dtype == dtype and image is None:
        return whole if whole.image is None else dataclasses.replace(whole, image=None)
    if whole.dtype == dtype and (known := graph.tensors[whole.name]).image == image:
        return known
    return graph.written(whole, dtype, image)
