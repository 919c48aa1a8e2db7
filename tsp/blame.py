"""Faults in words: which queue, which word and which source line a latched fault comes from."""

from collections.abc import Mapping

from tsp.config import ChipConfig
from tsp.dispatch import Control, Mistake
from tsp.floorplan import floorplan
from tsp.flow import KINDS, Fault, Flow
from tsp.flow.faults import COLLISION, PERMUTE_MAP
from tsp.isa import SXM_KINDS
from tsp.program import Program
from tsp.timing import timing


def queue_name(queue: int, config: ChipConfig) -> str:
    """``mem.e4``; "no queue" for a fault that none causes."""
    queues = floorplan(config).queues
    return queues[queue].name if queue < len(queues) else "no queue"


def fault_name(fault: Fault | None, config: ChipConfig) -> str:
    """``bank_conflict in cycle 12 by mem.e4``, or "no fault"."""
    if fault is None:
        return "no fault"
    kind = KINDS.get(fault.kind, f"kind {fault.kind}")
    return f"{kind} in cycle {fault.cycle} by {queue_name(fault.queue, config)}"


def fault_text(program: Program, flow: Flow, fault: Fault | None) -> str:
    """``cycle 12: mem.e4: operand absent (add.tsp:21: WRITE z, e8)``."""
    if fault is None:
        return ""
    kind = KINDS.get(fault.kind, f"kind {fault.kind}").replace("_", " ")
    text = f"cycle {fault.cycle}: {queue_name(fault.queue, program.config)}: {kind}"
    index = _word_at(flow, fault)
    if index is None:
        return text
    line = program.source.lines.get((fault.queue, index))
    written = " ".join(program.source.text.get(line, "").split()) if line is not None else ""
    where = program.where(fault.queue, index)
    return f"{text} ({where}: {written})" if written else f"{text} ({where})"


def _word_at(flow: Flow, fault: Fault) -> int | None:
    """The word in the fault's queue that caused it, or None."""
    queues = floorplan(flow.config).queues
    if fault.queue >= len(queues):
        return None
    for mistake in flow.unrolled.mistakes:
        # Words of two IFETCHes meet in the cycle of the second.
        if fault.kind == COLLISION and mistake.kind == "path" and (mistake.cycle, mistake.queue) == fault[:2]:
            return mistake.index
    kind = queues[fault.queue].kind
    late = _result_latency(kind, flow.config) if fault.kind in (COLLISION, PERMUTE_MAP) else 0
    # On their link SENDs and RECEIVEs collide at once.
    for latency in dict.fromkeys((late, 0) if kind == "c2c" else (late,)):
        if (index := _dispatched_in(flow, fault.queue, fault.cycle - latency)) is not None:
            return index
    return None


def _dispatched_in(flow: Flow, queue: int, issued: int) -> int | None:
    """The word that a queue dispatches in a cycle."""
    others: list[Mistake | Control] = [*flow.unrolled.mistakes, *flow.unrolled.controls]
    for place in others:
        if place.queue == queue and place.cycle == issued:
            return place.index
    for burst in flow.unrolled.bursts:
        number, rest = divmod(issued - burst.start, burst.interval)
        if burst.queue == queue and rest == 0 and 0 <= number < burst.count:
            return burst.index
    return None


def _result_latency(kind: str, config: ChipConfig) -> int:
    table = timing(config)
    # Two ABCs collide in the arrays, not on a stream.
    latencies: Mapping[str, int] = {"mem": table.read_func, "vxm": table.alu_func, "mxm_activations": table.abc_skew}
    latencies = {**latencies, "c2c": table.receive_func}
    return table.sxm_result(kind) if kind in SXM_KINDS else latencies.get(kind, table.acc_func)
