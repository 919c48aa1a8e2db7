"""In which order to compute: the results of programs in batches, each one numpy operation.

Results that depend on each other in no way share a batch, whichever burst or queue they come from; a REPEAT whose
issues feed each other (through an ALU, the memory or a loop of several units) falls apart into levels by itself. The
chips of a system have their levels in common: what a RECEIVE brings is one above what its SEND took.
"""

import dataclasses
import heapq
from collections.abc import Iterator, Sequence
from operator import itemgetter

import numpy as np

from golden.stream import Values, kept
from tsp import isa
from tsp.flow import NONE, Flow
from tsp.flow.channels import Arrivals
from tsp.flow.issues import Ints
from tsp.flow.state import take
from tsp.isa import Instruction

ACC, RECEIVE = "ACC", "RECEIVE"


@dataclasses.dataclass(frozen=True)
class Batch:
    """Issues [n] that compute the same thing on values that are ready. ``instruction``: what they have in common; of an
    ALU's instruction the immediates may differ. For ``ACC`` ``issues`` holds rows of ``flow.accumulations``."""

    instruction: Instruction
    issues: Ints


Part = tuple[Flow, Values, Arrivals]
"""One chip of those that are computed together."""


def batches(parts: Sequence[Part]) -> Iterator[tuple[int, Batch]]:
    """What the programs of several chips compute, each batch with its chip's number, in an order that respects every
    dependency."""
    levels = enumerate(_levels(parts))
    ordered = [_batches(number, *parts[number][:2], level) for number, level in levels]
    for _, number, batch in heapq.merge(*ordered, key=itemgetter(0)):
        yield number, batch


def _batches(number: int, flow: Flow, values: Values, levels: Ints) -> Iterator[tuple[int, int, Batch]]:
    """Those of one chip by level: (level, the chip's number, batch)."""
    accumulation = flow.issues.rows_in(flow.accumulations.issue)
    group = _groups(flow)[flow.issues.burst]
    chosen = np.flatnonzero(group != NONE)
    level = levels[chosen]
    # By time within a level: ACCs of one row may come in several parts, as those of other weights do.
    plane, weights = _planes(flow, accumulation[chosen])
    order = np.lexsort((flow.issues.time[chosen], plane, group[chosen], level))
    same = (level, group[chosen], weights)
    ends = np.flatnonzero(np.any([np.diff(key[order]) != 0 for key in same], axis=0)) + 1
    for whole in np.split(chosen[order], ends):
        if not len(whole):
            continue
        instruction = flow.issues.bursts[flow.issues.burst[whole[0]]].instruction
        most = (_PRODUCT_ELEMENTS if instruction.mnemonic == ACC else _ELEMENTS) // flow.config.lanes
        for first in range(0, len(whole), most):
            part = whole[first : first + most]
            batch = Batch(instruction, accumulation[part] if instruction.mnemonic == ACC else part)
            yield int(levels[whole[0]]), number, batch


_ELEMENTS = 1 << 15
"""Most elements of an ALU's batch: its temporaries stay in the cache and need no fresh pages."""
_PRODUCT_ELEMENTS = 1 << 20
"""Most elements of a batch of products: BLAS threads start and meet once a batch."""


def _planes(flow: Flow, accumulation: Ints) -> tuple[Ints, Ints]:
    """The plane of each row of ``flow.accumulations``, and the install of its weights; NONE for NONE."""
    table = flow.accumulations
    return (
        take(flow.issues.place[table.issue], accumulation),
        take(flow.products.install, take(table.product, accumulation)),
    )


def _groups(flow: Flow) -> Ints:
    """Burst → a number equal for bursts that compute alike; NONE for those that compute nothing."""
    numbers: dict[tuple[object, ...], int] = {}
    indirect = np.zeros(len(flow.issues.bursts), np.bool_)
    indirect[flow.issues.burst[np.concatenate(_accesses(flow))]] = True
    group = np.full(len(flow.issues.bursts), NONE, np.int64)
    for index, burst in enumerate(flow.issues.bursts):
        operation, values = burst.instruction.operation, burst.instruction.values
        if operation.mnemonic == ACC:
            group[index] = numbers.setdefault((ACC,), len(numbers))
        elif indirect[index]:
            # Whatever it is: accesses of one slice go by time.
            group[index] = numbers.setdefault(("mem", burst.queue), len(numbers))
        elif _computes(operation):
            same = [value for name, value in values.items() if name not in _OF_AN_ISSUE]
            group[index] = numbers.setdefault((operation.opcode, *same), len(numbers))
    return group


_OF_AN_ISSUE = (
    *("immediate", "stream", "a_source", "b_source", "c_source", "to_next"),
    *("source", "result", "map", "select"),
)
"""Fields in which instructions of one batch may differ."""


def _computes(operation: isa.Operation) -> bool:
    """Whether an operation makes bytes of other bytes, by itself."""
    return bool(operation.arity) or operation.queues[0] in isa.SXM_KINDS or operation.mnemonic == RECEIVE


def _accesses(flow: Flow) -> tuple[Ints, Ints]:
    """Issues (that read, that write) a memory which :class:`golden.indirect.Memories` keeps."""
    read = flow.loads.issue[np.isin(flow.loads.place, flow.piecewise)]
    written = flow.stores.issue[np.isin(flow.stores.place, kept(flow))]
    scatters = flow.indirect.writes
    return (
        np.concatenate([read, flow.indirect.issue[~scatters]]),
        np.concatenate([written, flow.indirect.issue[scatters]]),
    )


def _access_edges(flow: Flow) -> tuple[Ints, Ints, Ints]:
    """(earlier, later, step) of accesses of one slice: reads share a level, writes share a level, no read shares one
    with a write."""
    reads, writes = (np.zeros(len(flow.issues), np.int64) for _ in range(2))
    read, written = _accesses(flow)
    reads[read], writes[written] = 1, 1
    issues = np.unique(np.concatenate([read, written]))
    issues = issues[np.lexsort((flow.issues.time[issues], flow.issues.place[issues]))]
    before, after = issues[:-1], issues[1:]
    same = flow.issues.place[before] == flow.issues.place[after]
    before, after = before[same], after[same]
    return before, after, (reads[before] & writes[after]) | (writes[before] & reads[after])


def _levels(parts: Sequence[Part]) -> list[Ints]:
    """For each chip: issue → length of the longest path of computed results before it.

    ACCs of one row count as one level: a batch of them is a running sum.
    """
    first = np.cumsum([0, *(len(flow.issues) for flow, _, _ in parts)])
    edges = []
    for (flow, values, arrived), at in zip(parts, first.tolist(), strict=False):
        edges.append(np.stack(_steps(flow, values)) + [[at], [at], [0]])
        rows = np.flatnonzero(arrived.send != NONE)
        sent = np.zeros(len(rows), np.int64)
        for chip in np.unique(arrived.chip[rows]).tolist():
            of_chip = arrived.chip[rows] == chip
            sent[of_chip] = first[chip] + parts[chip][0].sends.issue[arrived.send[rows[of_chip]]]
        edges.append(np.stack([sent, at + flow.receives.issue[rows], np.ones(len(rows), np.int64)]))
    time = np.concatenate([arrived.common(flow.issues.time) for flow, _, arrived in parts])
    before, after, step = np.concatenate(edges, axis=1)
    return np.split(_longest(before, after, step, time), first[1:-1])


def _steps(flow: Flow, values: Values) -> tuple[Ints, Ints, Ints]:
    """(earlier, later, step) of a chip's issues that depend on each other."""
    computes = np.zeros(len(flow.issues), np.int64)
    before, after = _edges(flow, values)
    for index, burst in enumerate(flow.issues.bursts):
        if _computes(burst.instruction.operation):
            computes[flow.issues.first[index] : flow.issues.first[index + 1]] = 1
    computes[np.concatenate(_accesses(flow))] = 1
    step = computes[after]
    table = flow.accumulations
    taken = np.flatnonzero(table.product != NONE)
    sums = flow.products.issue[table.product[taken]], table.issue[taken]
    earlier, later, apart = _access_edges(flow)
    before, after = np.concatenate([before, sums[0], earlier]), np.concatenate([after, sums[1], later])
    return before, after, np.concatenate([step, np.ones(len(taken), np.int64), apart])


def _longest(before: Ints, after: Ints, step: Ints, time: Ints) -> Ints:
    """Longest paths over edges of length ``step`` that go forward in ``time``."""
    level = np.zeros(len(time), np.int64)
    for _ in range(_SHALLOW):
        further = level.copy()
        np.maximum.at(further, after, level[before] + step)
        if np.array_equal(further, level):
            return level
        level = further
    # Deep: one by one. In the order of dispatch everything an issue depends on is final before it.
    levels = level.tolist()
    order = np.argsort(time[after], kind="stable")
    for earlier, later, add in zip(before[order].tolist(), after[order].tolist(), step[order].tolist(), strict=True):
        if levels[earlier] + add > levels[later]:
            levels[later] = levels[earlier] + add
    return np.asarray(levels, np.int64)


_SHALLOW = 8
"""Rounds of relaxation to try first: most programs are this shallow."""


def _edges(flow: Flow, values: Values) -> tuple[Ints, Ints]:
    """Pairs of issues (earlier, later), all but ABC→ACC and the accesses of a slice."""
    stored = np.zeros(len(flow.reads), np.bool_)
    stored[flow.stores.read[~np.isin(flow.stores.place, kept(flow))]] = True
    maker = values.maker[values.of_read]
    read = np.flatnonzero((maker != NONE) & ~stored)
    chain = np.flatnonzero(flow.chains.source != NONE)
    install, column = np.nonzero(flow.installs.loads != NONE)
    used = np.flatnonzero(flow.products.install != NONE)
    paired = np.flatnonzero(flow.products.partner != NONE)
    table = flow.accumulations
    row = np.flatnonzero((table.previous != NONE) & table.uses_row)
    pairs = [
        (maker[read], flow.reads.issue[read]),
        (flow.chains.source[chain], flow.chains.issue[chain]),
        (flow.reads.issue[flow.installs.loads[install, column]], flow.installs.issue[install]),
        (flow.installs.issue[flow.products.install[used]], flow.products.issue[used]),
        (flow.installs.issue[flow.products.partner[paired]], flow.products.issue[paired]),
        (table.issue[table.previous[row]], table.issue[row]),
    ]
    before, after = np.concatenate(pairs, axis=1)
    # The planes of an operand follow each other.
    new = np.append(True, (np.diff(before) != 0) | (np.diff(after) != 0))[: len(before)]
    return before[new], after[new]
