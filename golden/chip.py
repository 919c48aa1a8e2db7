"""One chip of those that are computed together: its values, and what runs a batch of its instructions."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from golden import link, sxm, vxm
from golden.flips import follow
from golden.indirect import Memories, addresses
from golden.mxm import Planes
from golden.order import ACC, RECEIVE, Batch
from golden.stream import ZERO, Values
from tsp.flips import Flip
from tsp.flow import NONE, Fault, Flow
from tsp.flow.channels import Arrivals
from tsp.flow.collect import sxm_shape
from tsp.flow.faults import PERMUTE_MAP
from tsp.isa import OPERAND_NAMES, SXM_ACROSS, OperandKind, Type
from tsp.program import Image
from tsp.timing import timing


class Chip:
    """A resolved program with its memory, and what comes over its links.

    Attributes:
        values, memories: every vector, and the memories that GATHER and SCATTER access, as the batches run so far leave
            them.
    """

    def __init__(self, flow: Flow, memory: Mapping[int, Image], arrived: Arrivals, flips: Sequence[Flip] = ()):
        self.flow, self.memory, self.arrived, self._flips = flow, memory, arrived, flips
        self._drive = flow.drives.rows_of(flow.issues, 0)
        self._receive = flow.issues.rows_in(flow.receives.issue)
        self._marked = link.marked(flow, arrived, self._drive)
        self._where: NDArray[np.int64] | None = None
        self.begin()

    def begin(self) -> None:
        """Make ready to compute, from the first batch on."""
        flow = self.flow
        self.values = Values(flow, self.memory, follow(flow, self._flips, self._where, self._marked))
        self.memories = Memories(flow, self.values, self.memory)
        self._planes, self._alus = Planes(flow, self.values), _Alus(flow, self.values)

    def settled(self) -> bool:
        """After the last batch: whether what wrong bits do is known. It depends on the addresses of GATHERs and
        SCATTERs, and these on the values: what comes first in time is right after the first round, and so on until
        nothing changes."""
        before, self._where = self._where, None
        if not (self._flips or self._marked) or not len(self.flow.indirect.issue):
            return True
        self._where = addresses(self.flow, self.values, np.arange(len(self.flow.indirect.issue)))
        return before is not None and np.array_equal(before, self._where)

    def run(self, batch: Batch, chips: Sequence["Chip"]) -> None:
        """Compute a batch whose operands are there; ``chips``: all, by the numbers that ``arrived`` has."""
        instruction, flow, values = batch.instruction, self.flow, self.values
        if instruction.mnemonic == ACC:
            table = flow.accumulations
            sums = self._planes.run(batch.issues)
            driven = np.flatnonzero(table.out[batch.issues])
            sums = sums if len(driven) == len(sums) else sums[driven]
            self._fill(table.issue[batch.issues[driven]], vxm.narrow(sums, Type.INT32, False))
        elif instruction.operation.queues == ("mem",):
            self.memories.run(batch.issues)
        elif instruction.mnemonic == RECEIVE:
            self._receives(batch.issues, chips)
        elif not instruction.operation.arity:
            operands = [values.taken(rows) for rows in self._operands(batch)]
            if instruction.operation.queues[0] in SXM_ACROSS:
                operands[0] = sxm.powered(operands[0], flow.issues.powered[batch.issues])
            self._fill(batch.issues, sxm.operate(instruction, operands))
        else:
            result = self._alus.run(batch)
            if instruction["to_stream"]:
                kind, saturate = Type(instruction["type"]), bool(instruction["saturate"])
                self._fill(batch.issues, vxm.narrow(result, kind, saturate))

    def _receives(self, issues: NDArray[np.int64], chips: Sequence["Chip"]) -> None:
        """What the RECEIVEs of issues [n] bring; what they do not is zero."""
        row = self._receive[issues]
        row = row[(self.arrived.send[row] != NONE) & ~self.arrived.bad[row]]
        for number in np.unique(self.arrived.chip[row]).tolist():
            rows = row[self.arrived.chip[row] == number]
            vectors = link.sent(chips[number].flow, chips[number].values, self.arrived.send[rows])
            self._fill(self.flow.receives.issue[rows], vectors[:, None])

    def _fill(self, issues: NDArray[np.int64], planes: NDArray[np.uint8]) -> None:
        """Store the byte planes [n, planes, lanes] that issues [n] drive."""
        slot = self.values.of_drive[self._drive[issues]]
        for plane in range(planes.shape[1]):
            self.values.slots[slot + plane] = planes[:, plane]

    def _operands(self, batch: Batch) -> list[NDArray[np.int64]]:
        """Rows of ``flow.reads`` [n, streams] of every stream operand of an SXM's batch."""
        reads = sxm_shape(batch.instruction)[0]
        rows = (self.flow.reads.rows_of(self.flow.issues, operand)[batch.issues] for operand in range(len(reads)))
        return [row[:, None] + np.arange(count) for row, (_, count) in zip(rows, reads, strict=True)]


def bad_maps(flow: Flow, values: Values) -> list[Fault]:
    """A fault for every PERMUTE whose map does not name each powered lane once."""
    found = []
    row = flow.reads.rows_of(flow.issues, 1)
    for number, burst in enumerate(flow.issues.bursts):
        if burst.instruction.mnemonic == "PERMUTE":
            issues = np.arange(*flow.issues.first[number : number + 2])
            good = sxm.permutes(values.taken(row[issues][:, None] + np.arange(2)), flow.issues.powered[issues])
            cycles = flow.issues.time[issues[~good]] + timing(flow.config).sxm_across_func
            found += [Fault(cycle, burst.queue, PERMUTE_MAP) for cycle in cycles.tolist()]
    return found


class _Alus:
    """Runs ALU issues of a program, batch by batch, and keeps what is handed to the next stage."""

    def __init__(self, flow: Flow, values: Values):
        self.flow, self.values = flow, values
        self.read = [flow.reads.rows_of(flow.issues, operand) for operand in range(len(OPERAND_NAMES))]
        self.source = np.full((len(OPERAND_NAMES), len(flow.issues)), NONE, np.int64)
        self.source[flow.chains.operand, flow.chains.issue] = flow.chains.source
        handed = np.unique(flow.chains.source[flow.chains.source != NONE])
        self.row = np.full(len(flow.issues), NONE, np.int64)
        self.row[handed] = np.arange(len(handed))
        self.handed = np.zeros((len(handed), flow.config.lanes), np.int32)
        self.immediate = np.array(
            [burst.instruction.values.get("immediate", 0) for burst in flow.issues.bursts], np.int64
        )

    def run(self, batch: Batch) -> vxm.Wide:
        """Results [n, lanes], int32 values."""
        ins = batch.instruction
        operands = [self._operand(batch, i, name) for i, name in enumerate(OPERAND_NAMES[: ins.operation.arity])]
        result = vxm.result(ins, self.flow.config.vxm_mul_bits, operands)
        result = np.broadcast_to(result, (len(batch.issues), self.flow.config.lanes))
        row = self.row[batch.issues]
        self.handed[row[row != NONE]] = result[row != NONE]
        return result

    def _operand(self, batch: Batch, number: int, name: str) -> vxm.Wide:
        kind = batch.instruction[f"{name}_kind"]
        if kind == OperandKind.STREAM:
            type_ = Type(batch.instruction[f"{name}_type"])
            rows = self.read[number][batch.issues][:, None] + np.arange(type_.planes)
            return vxm.widen(self.values.taken(rows), type_)
        if kind == OperandKind.IMMEDIATE:
            return self.immediate[self.flow.issues.burst[batch.issues]][:, None]
        source = self.source[number][batch.issues]
        absent = (source == NONE)[:, None]
        handed = self.handed[self.row[source]] if len(self.handed) else np.int32(ZERO)
        return np.where(absent, 0, handed).astype(np.int64)
