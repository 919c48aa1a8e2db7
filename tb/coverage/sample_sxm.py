"""The bins that SXM instructions hit."""

from collections.abc import Mapping

import numpy as np

from golden.stream import Values
from tb.coverage.bins import DIRECTIONS, Bin, shift_distances
from tsp import isa
from tsp.floorplan import floorplan
from tsp.flow import Flow
from tsp.program import Program


def sample(program: Program, flow: Flow, values: Values, found: Mapping[str, set[Bin]]) -> None:
    """Add what the SXMs of a program do to ``found``."""
    queues, distances = floorplan(program.config).queues, shift_distances(program.config)
    for burst in flow.unrolled.bursts:
        queue, instruction = queues[burst.queue], burst.instruction
        mnemonic = instruction.mnemonic
        if queue.kind not in isa.SXM_KINDS or mnemonic == "IFETCH":
            continue
        out, taken = (instruction[name] >> isa.STREAM_DIRECTION_BIT for name in ("result", "source"))
        found["sxm_queue"].add((queue.name,))
        found["sxm_result"].add((mnemonic, queue.hemisphere, DIRECTIONS[out]))
        inward = DIRECTIONS[taken] == ("east" if queue.hemisphere == "e" else "west")
        found["sxm_source"].add((mnemonic, queue.hemisphere, "from MEM" if inward else "from MXM"))
        if mnemonic == "SHIFT":
            way, distance = isa.Way(instruction["way"]).name, distances.get(instruction["n"], "other")
            found["sxm_shift"].add((way, distance, "selected" if instruction["selects"] else "all"))
        elif mnemonic == "ROTATE":
            found["sxm_rotate"].add((instruction["n"],))
    _maps(flow, values, found)


def _maps(flow: Flow, values: Values, found: Mapping[str, set[Bin]]) -> None:
    row = flow.reads.rows_of(flow.issues, 1)
    for number, burst in enumerate(flow.issues.bursts):
        if burst.instruction.mnemonic == "DISTRIBUTE":
            issues = np.arange(*flow.issues.first[number : number + 2])
            named = np.unique(values.slots[values.of_read[row[issues]]])
            found["sxm_map"].update((n,) for n in named.tolist() if n in (0, 15, 16, 255))
