"""The golden model: what a program does to a chip, exact in every bit and cycle.

It works on whole vectors in architectural time (the stagger changes nothing there), and on dependencies instead of
cycles: :mod:`tsp.flow` says where each operand comes from, :mod:`golden.order` in which order to compute. The HAC
does not drift here; schedule time makes the result hold for any clocks.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from golden import mem, sxm, vxm
from golden.flips import Errors, decoded_words, follow
from golden.indirect import Memories, addresses, bad_addresses
from golden.mxm import Planes
from golden.order import ACC, RECEIVE, Batch, batches
from golden.stream import ZERO, Values
from golden.trace import Trace
from tsp.config import ChipConfig
from tsp.flips import Flip
from tsp.floorplan import floorplan
from tsp.flow import NONE, Fault, Flow, analyse
from tsp.flow.collect import sxm_shape
from tsp.flow.faults import PERMUTE_MAP
from tsp.flow.fetch import expand
from tsp.isa import OPERAND_NAMES, SXM_ACROSS, OperandKind, Type
from tsp.memory_map import typed
from tsp.program import Image, Program, Symbol
from tsp.timing import timing


@dataclasses.dataclass(frozen=True)
class Result:
    """What a run leaves behind.

    Attributes:
        cycles: the cycle of the last event plus one.
        faults: every fault, the first first; events before its cycle are defined, later ones are not.
        written: place of a MEM slice → the words that were written, as the host reads them at the end.
        initial: the image before the start, as the host reads it.
        errors: what flips did to it.
        tile_signatures: uint64 [slices, S], or None without ``trace``.
        events: rows of :data:`golden.trace.EVENT` by time, place, superlane and address, or None unless asked for.
        flow: the resolved program.
    """

    cycles: int
    faults: list[Fault]
    written: dict[int, Image]
    initial: Mapping[int, Image]
    tile_signatures: NDArray[np.uint64] | None
    events: NDArray[np.void] | None
    flow: Flow
    errors: Errors

    @property
    def corrected(self) -> int:
        """Words that units corrected, each time one was read."""
        return self.errors.corrected

    def at_host(self, words: Sequence[tuple[int, int]]) -> tuple[int, int]:
        """(corrected, uncorrectable): how many the host finds when it reads words (place, address) at the end."""
        found = [self.errors.left[word].counts for word in words if word in self.errors.left]
        return sum(corrected for corrected, _ in found), sum(lost for _, lost in found)

    @property
    def fault(self) -> Fault | None:
        """The fault the machine latches."""
        return self.faults[0] if self.faults else None

    @property
    def signature(self) -> dict[str, int]:
        """Slice name → the sum of its tiles' signatures modulo 2^64; empty without ``trace``."""
        if self.tile_signatures is None:
            return {}
        sums = self.tile_signatures.sum(axis=1, dtype=np.uint64).tolist()
        return {slice_.name: sums[slice_.index] for slice_ in floorplan(self.flow.config).slices}

    @property
    def memory(self) -> dict[int, Image]:
        """Place → every word that is defined at the end."""
        return mem.merged(self.initial, self.written)

    def values(self, symbol: Symbol) -> NDArray[Any]:
        """[count, lanes]: a symbol's vectors at the end, in its type: int64, or float16 and float32."""
        return typed(Program(self.flow.config, memory=self.memory), symbol)

    def words(self, place: int, addresses: Sequence[int]) -> NDArray[np.uint8]:
        """uint8 [n, lanes]: words of a slice at the end; undefined ones read as zero."""
        asked = np.asarray(addresses, np.int64)
        words = np.zeros((len(asked), self.flow.config.lanes), np.uint8)
        for images in (self.initial, self.written):
            if place in images:
                images[place].put(words, asked)
        return words


def run(
    program: Program | Mapping[int, Sequence[int]],
    config: ChipConfig | None = None,
    memory: Mapping[int, Image] | None = None,
    *,
    trace: bool = True,
    events: bool = False,
    flips: Sequence[Flip] = (),
) -> Result:
    """Run a program, legal or not.

    Args:
        program: a :class:`Program`, or queue index → 128-bit words together with ``config`` and ``memory``.
        config: the chip; by default the program's.
        memory: place → words defined at the start; by default the program's.
        trace: compute signatures (if the configuration has the feature).
        events: list every event.
        flips: bits turned over, see :mod:`tsp.flips`; what they ask for is taken to be right.
    """
    if isinstance(program, Program):
        queues: dict[int, Sequence[int]] = dict(program.queues)
        config = config or program.config
        memory = program.memory if memory is None else memory
    else:
        queues, memory = dict(program), memory or {}
    if config is None:
        raise ValueError("queues without a Program need a config")
    defined = {place: image.addresses for place, image in memory.items()}
    flow = analyse(expand(queues, config, memory), config, defined)
    values, memories = _flipped(flow, memory, flips) if flips else compute(flow, memory)
    errors = values.errors
    faults = sorted([*flow.faults, *errors.faults, *_bad_maps(flow, values), *bad_addresses(flow, values)])
    record = Trace(flow, values)
    signatures = record.signatures(len(floorplan(config).slices)) if trace and config.trace else None
    written = mem.written_words(flow, values.slots, values.of_read) | memories.written()
    initial, written = (decoded_words(image, errors.left) for image in (memory, written))
    listed = record.events() if events else None
    return Result(record.cycles, faults, written, initial, signatures, listed, flow, errors)


def _flipped(flow: Flow, memory: Mapping[int, Image], flips: Sequence[Flip]) -> tuple[Values, Memories]:
    """:func:`compute` with the effects of flips. They depend on the addresses of GATHERs and SCATTERs, and these on
    the values: what comes first in time is right after the first round, and so on until nothing changes."""
    where = None
    while True:
        values, memories = compute(flow, memory, follow(flow, flips, where))
        found = addresses(flow, values, np.arange(len(flow.indirect.issue)))
        if where is not None and np.array_equal(found, where) or not len(found):
            return values, memories
        where = found


def compute(flow: Flow, memory: Mapping[int, Image], errors: Errors | None = None) -> tuple[Values, Memories]:
    """Every vector of a resolved program, and the memories that GATHER and SCATTER access as they are at the end.

    ``errors``: what flips do to the words that are read.
    """
    values = Values(flow, memory, follow(flow, ()) if errors is None else errors)
    memories = Memories(flow, values, memory)
    planes, alus = Planes(flow, values), _Alus(flow, values)
    drive = flow.drives.rows_of(flow.issues, 0)
    for batch in batches(flow, values):
        if batch.instruction.mnemonic == ACC:
            table = flow.accumulations
            sums = planes.run(batch.issues)
            driven = np.flatnonzero(table.out[batch.issues])
            sums = sums if len(driven) == len(sums) else sums[driven]
            _fill(values, drive[table.issue[batch.issues[driven]]], vxm.narrow(sums, Type.INT32, False))
        elif batch.instruction.operation.queues == ("mem",):
            memories.run(batch.issues)
        elif batch.instruction.mnemonic == RECEIVE:
            pass  # nothing comes over a link of a chip that is alone
        elif not batch.instruction.operation.arity:
            operands = [values.taken(rows) for rows in _operands(flow, batch)]
            if batch.instruction.operation.queues[0] in SXM_ACROSS:
                operands[0] = sxm.powered(operands[0], flow.issues.powered[batch.issues])
            _fill(values, drive[batch.issues], sxm.operate(batch.instruction, operands))
        else:
            result = alus.run(batch)
            if batch.instruction["to_stream"]:
                kind, saturate = Type(batch.instruction["type"]), bool(batch.instruction["saturate"])
                _fill(values, drive[batch.issues], vxm.narrow(result, kind, saturate))
    return values, memories


def _fill(values: Values, drive: NDArray[np.int64], planes: NDArray[np.uint8]) -> None:
    """Store byte planes [n, planes, lanes] in the slots of drives [n] (rows of plane 0)."""
    slot = values.of_drive[drive]
    for plane in range(planes.shape[1]):
        values.slots[slot + plane] = planes[:, plane]


def _operands(flow: Flow, batch: Batch) -> list[NDArray[np.int64]]:
    """Rows of ``flow.reads`` [n, streams] of every stream operand of an SXM's batch."""
    reads = sxm_shape(batch.instruction)[0]
    rows = (flow.reads.rows_of(flow.issues, operand)[batch.issues] for operand in range(len(reads)))
    return [row[:, None] + np.arange(count) for row, (_, count) in zip(rows, reads, strict=True)]


def _bad_maps(flow: Flow, values: Values) -> list[Fault]:
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
