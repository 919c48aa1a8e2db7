"""The bins that MXM instructions hit."""

from collections import defaultdict
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from golden.stream import Values
from tb.coverage import sample_fp16
from tb.coverage.bins import INT8_ENDS, WEIGHT_OPERATIONS, Bin
from tsp import isa
from tsp.floorplan import floorplan
from tsp.flow import Flow
from tsp.isa import AccMode
from tsp.program import Program
from tsp.timing import timing


def sample(program: Program, flow: Flow, values: Values, found: Mapping[str, set[Bin]]) -> None:
    """Add what the MXM planes of a program do to ``found``."""
    plan = floorplan(program.config)
    for burst in flow.unrolled.bursts:
        queue, instruction = plan.queues[burst.queue], burst.instruction
        if not queue.kind.startswith("mxm"):
            continue
        plane = plan.slices[queue.slice].name
        stream = instruction.values.get("stream", 0) & (1 << isa.STREAM_INDEX_BITS) - 1
        if instruction.mnemonic in ("LW", "LW_IW"):
            found["mxm_group"].add((plane, stream // isa.GROUP16))
            for i in range(burst.count):
                supercell = instruction["supercell"] + i * burst.step_a
                found["mxm_load"].add((plane, instruction.mnemonic, supercell))
        elif instruction.mnemonic == "ABC":
            found["mxm_activation"].add((plane, stream))
        elif instruction.mnemonic in isa.OF_A_PAIR:
            found["fp16_activation"].add((f"mxm.{queue.hemisphere}", stream))
        elif instruction.mnemonic == "ACC":
            out = "driven" if instruction["out"] else "silent"
            found["mxm_acc"].add((plane, AccMode(instruction["mode"]).name, out))
    last = {0: "first", program.config.acc_depth - 1: "last"}
    sample_fp16.sample(flow, values, found)
    table = flow.accumulations
    for issue, row in zip(table.issue.tolist(), table.row.tolist(), strict=True):
        if row in last:
            found["mxm_row"].add((plan.slices[int(flow.issues.place[issue])].name, last[row]))
    _overlaps(program, flow, found)
    _products(program, flow, values, found)


def _overlaps(program: Program, flow: Flow, found: Mapping[str, set[Bin]]) -> None:
    """Weights loaded or installed while a plane computes."""
    plan, latency = floorplan(program.config), timing(program.config).abc_acc
    multiplied: dict[int, set[int]] = defaultdict(set)
    for issue in flow.products.issue.tolist():
        multiplied[int(flow.issues.place[issue])].add(int(flow.issues.time[issue]))
    for burst in flow.unrolled.bursts:
        queue = plan.queues[burst.queue]
        if queue.kind != "mxm_weights" or burst.instruction.mnemonic not in WEIGHT_OPERATIONS:
            continue
        for time in range(burst.start, burst.end, burst.interval):
            name = (plan.slices[queue.slice].name, burst.instruction.mnemonic)
            if time in multiplied[queue.slice]:
                found["mxm_overlap"].add((*name, "with ABC"))
            if any(t in multiplied[queue.slice] for t in range(time - latency + 1, time)):
                found["mxm_overlap"].add((*name, "between ABC and ACC"))


def _products(program: Program, flow: Flow, values: Values, found: Mapping[str, set[Bin]]) -> None:
    """Pairs of weight and activation that are multiplied as int8."""
    bytes_ = np.flatnonzero(~flow.products.fp16)
    if not len(bytes_):
        return
    weights = np.stack([_present(flow, values, row) for row in range(len(flow.installs.issue))])
    activations = values.slots[values.of_read[flow.products.read[bytes_]]].view(np.int8)
    for activation in INT8_ENDS:
        hit = (activations == activation)[:, None, :] & weights[flow.products.install[bytes_]]
        for j in np.flatnonzero(hit.any(axis=(0, 2))).tolist():
            found["mxm_value"].add((INT8_ENDS[j], activation))


def _present(flow: Flow, values: Values, install: int) -> NDArray[np.bool_]:
    """bool [values, lanes]: which of the interesting weights some output has at an input, after an install."""
    rows = flow.installs.loads[install][:, None] + np.arange(isa.GROUP16)
    vectors = values.slots[values.of_read[rows.ravel()]].view(np.int8)
    return np.stack([(vectors == value).any(axis=0) for value in INT8_ENDS])
