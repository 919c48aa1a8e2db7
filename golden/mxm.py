"""The planes: int8 products summed in int32, those of fp16 by pairs, and accumulator rows."""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from golden import floats, mxm_fp16, sxm
from golden.stream import ZERO, Values
from tsp.config import LANES_PER_SUPERLANE, PAIR
from tsp.flow import NONE, Flow
from tsp.flow.issues import Ints
from tsp.flow.state import present, take
from tsp.flow.tables import Accumulations
from tsp.isa import AccMode

Sums = NDArray[np.int32]
_FEW = 512
"""Fewer rows than these are multiplied by one thread: two would wait for each other longer than it takes."""


class Planes:
    """Runs accumulations of a program, batch by batch."""

    def __init__(self, flow: Flow, values: Values):
        self.flow, self.values = flow, values
        table = flow.accumulations
        self.uses_row, self.writes = table.uses_row, table.writes
        self.kept = _kept(table)
        """Accumulation → its row of ``rows``, for those whose value a later one uses."""
        self.pair: tuple[tuple[int, int, int], mxm_fp16.Weights] | None = None
        """The installs of a pair used last and in how many superlanes, and the weights."""
        self.rows: Sums = np.zeros((int(self.kept.max(initial=NONE)) + 1, flow.config.lanes), np.int32)

    def run(self, batch: Ints) -> Sums:
        """Values of a batch of accumulations [n] (rows of ``flow.accumulations``, by time; the weights of all products
        came with one install): int32 [n, lanes]; of fp32 their bits.

        Everything the batch needs has been computed, except earlier values of its own rows.
        """
        fp16 = self._of_fp16(batch)
        if not fp16.any():
            return self._run_integers(batch)
        after = np.zeros((len(batch), self.flow.config.lanes), np.int32)
        for wave in self._waves(batch):
            for kind, run in ((True, self._run_floats), (False, self._run_integers)):
                some = wave[fp16[wave] == kind]
                if len(some):
                    after[some] = run(batch[some])
        return after

    def _of_fp16(self, batch: Ints) -> NDArray[np.bool_]:
        fp16 = take(self.flow.products.fp16.astype(np.int64), self.flow.accumulations.product[batch], 0)
        return np.equal(fp16, 1)

    def _waves(self, batch: Ints) -> Iterator[Ints]:
        """Positions in a batch, those first whose rows no other of the batch has yet to write, and so on: sums in fp32
        depend on their order."""
        table = self.flow.accumulations
        waiting = np.arange(len(batch))
        while len(waiting):
            needs = np.where(self.uses_row[batch[waiting]], table.previous[batch[waiting]], NONE)
            ready = ~np.isin(needs, batch[waiting])
            yield waiting[ready]
            waiting = waiting[~ready]

    def _run_floats(self, batch: Ints) -> Sums:
        """Values of accumulations of fp16 products, which do not use each other's rows."""
        table = self.flow.accumulations
        sums = self._sums_of_pairs(table.product[batch])
        old = self._old(table.previous[batch]).astype(np.int64)
        added = floats.operate("ADD", [old, sums.astype(np.int64)]).astype(np.int32)
        after = np.where(self.uses_row[batch][:, None], added, sums)
        self._keep(batch, after)
        return after

    def _run_integers(self, batch: Ints) -> Sums:
        table = self.flow.accumulations
        sums = self._sums(table.product[batch])
        uses = self.uses_row[batch]
        if not uses.any():
            after = sums
        else:
            previous = table.previous[batch]
            if np.isin(previous[uses], batch).any():
                sums, after = self._chained(batch, sums)
            else:
                after = sums + self._old(np.where(uses, previous, NONE))
        self._keep(batch, after)
        return after

    def _keep(self, batch: Ints, after: Sums) -> None:
        """Note the rows that a batch leaves, where a later one uses them."""
        rows = np.where(self.writes[batch], self.kept[batch], NONE)
        writes = present(rows)
        if writes.all():
            self.rows[_span(rows)] = after
        else:
            self.rows[rows[writes]] = after[writes]

    def _old(self, previous: Ints) -> Sums:
        """Row values that earlier batches left: int32 [n, lanes], zeros where there is none."""
        rows = take(self.kept, previous)
        there = present(rows)
        if there.all():
            return self.rows[_span(rows)]
        old = np.zeros((len(previous), self.flow.config.lanes), np.int32)
        old[there] = self.rows[rows[there]]
        return old

    def _chained(self, batch: Ints, sums: Sums) -> tuple[Sums, Sums]:
        """Sums and values when accumulations of the batch add to each other's rows: running sums a store restarts."""
        table, issues = self.flow.accumulations, self.flow.issues
        issue = table.issue[batch]
        row = issues.place[issue] * self.flow.config.acc_depth + table.row[batch]
        order = np.lexsort((issues.time[issue], row))
        mode, row, ordered = table.mode[batch][order], row[order], sums[order]
        added = np.where((mode <= AccMode.ADD)[:, None], ordered, np.int32(0))
        running = np.cumsum(added, axis=0, dtype=np.int32)
        # An earlier batch may hold the writes between two of this one: then the running sum starts from what they left.
        writer = np.maximum.accumulate(np.where(mode <= AccMode.ADD, np.arange(len(order)), NONE))
        last = np.append(NONE, writer[:-1])
        follows = present(last) & (table.previous[batch[order]] == take(batch[order], last))
        first = np.append(True, np.diff(row) != 0) | (mode == AccMode.STORE) | (self.uses_row[batch[order]] & ~follows)
        starts = np.flatnonzero(first)
        run = np.cumsum(first) - 1
        old = np.where((mode[starts] == AccMode.STORE)[:, None], 0, self._old(table.previous[batch[order]][starts]))
        value = running + (old - running[starts] + added[starts])[run]
        value = np.where((mode == AccMode.PASS)[:, None], ordered, value)
        value = np.where((mode == AccMode.PEEK)[:, None], value + ordered, value)
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        return sums, value[back]

    def _sums(self, product: Ints) -> Sums:
        """What leaves the array for the products [n] of one install; zeros for NONE."""
        install = int(take(self.flow.products.install, product)[0])
        if install == NONE:
            return np.zeros((len(product), self.flow.config.lanes), np.int32)
        vectors = self.values.taken(self.flow.products.read[product])
        vectors = sxm.powered(vectors, self.flow.issues.powered[self.flow.products.issue[product]])
        weights = self._installed(install).view(np.int8).astype(np.float32).T
        # 320 products of int8 sum to less than 2^24, so float32 sums are exact in any order.
        with _threads().limit(limits=1 if len(product) < _FEW else None, user_api="blas"):
            return (vectors.view(np.int8).astype(np.float32) @ weights).astype(np.int32)

    def _installed(self, install: int) -> NDArray[np.uint8]:
        """Bytes [outputs, inputs] in an array after an install; zeros where nothing was loaded."""
        if install == NONE:
            return np.zeros((self.flow.config.lanes, self.flow.config.lanes), np.uint8)
        loads = self.flow.installs.loads[install]
        vectors = self.values.taken(loads[:, None] + np.arange(LANES_PER_SUPERLANE))
        return np.where((loads == NONE)[:, None, None], np.uint8(ZERO), vectors).reshape(-1, self.flow.config.lanes)

    def _sums_of_pairs(self, product: Ints) -> Sums:
        """The bits of the fp32 sums of fp16 products [n]."""
        table = self.flow.products
        powered = self.flow.issues.powered[table.issue[product]]
        kinds = np.stack([table.install[product], table.partner[product], powered], axis=1)
        sums = np.zeros((len(product), self.flow.config.lanes), np.int32)
        for low, high, count in np.unique(kinds, axis=0).tolist():
            rows = np.flatnonzero((kinds == (low, high, count)).all(axis=1))
            taken = (self.values.taken(table.read[product[rows]] + plane) for plane in range(PAIR))
            vectors = _halves(*(sxm.powered(half, powered[rows]) for half in taken))
            sums[rows] = mxm_fp16.sums(vectors, self._pair_weights(low, high, count))
        return sums

    def _pair_weights(self, low: int, high: int, count: int) -> mxm_fp16.Weights:
        """[inputs, outputs]; zeros also of superlanes from ``count`` on: nothing times an infinity would be a NaN."""
        if self.pair is None or self.pair[0] != (low, high, count):
            weights = _halves(self._installed(low), self._installed(high)).T.copy()
            weights[count * LANES_PER_SUPERLANE :] = 0
            self.pair = (low, high, count), mxm_fp16.Weights(weights)
        return self.pair[1]


def _span(rows: Ints) -> slice | Ints:
    """Rows as a slice where they follow each other, which is not copied."""
    together = len(rows) and rows[-1] - rows[0] == len(rows) - 1 and (np.diff(rows) == 1).all()
    return slice(int(rows[0]), int(rows[-1]) + 1) if together else rows


@lru_cache(maxsize=1)
def _threads() -> ThreadpoolController:
    """How many threads numpy's products may use."""
    return ThreadpoolController()


def _kept(table: Accumulations) -> Ints:
    """Accumulation → a row to keep its value in, NONE for one that no other uses. One whose value is added to by one
    other only, and seen by none, leaves it its row."""
    users = np.bincount(table.previous[table.uses_row & present(table.previous)], minlength=len(table.previous))
    takes_over = table.uses_row & (take(users, table.previous) == 1) & (users > 0)
    first = np.where(takes_over, table.previous, np.arange(len(users)))
    while not np.array_equal(further := first[first], first):
        first = further
    found = np.full(len(users), NONE, np.int64)
    found[users > 0] = np.unique(first[users > 0], return_inverse=True)[1]
    return found


def _halves(low: NDArray[np.uint8], high: NDArray[np.uint8]) -> mxm_fp16.Halves:
    return np.asarray(low | high.astype(np.uint16) << 8, np.uint16)
