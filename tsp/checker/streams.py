"""Rules of streams: one driver at a time, and nothing read that nobody drove."""

import numpy as np

from tsp import isa
from tsp.checker.report import Writer, burst_of, first_of_burst
from tsp.flow import NONE, Flow

_SEARCH = 1024
"""How many cycles ahead a free one is looked for."""


def check_collisions(flow: Flow, writer: Writer) -> None:
    """Report two values driven on one stream at one site in one cycle, once per pair of bursts."""
    later, first = flow.collided
    issues, drives = flow.issues, flow.drives
    pairs = np.stack([issues.burst[drives.issue[later]], issues.burst[drives.issue[first]]], axis=1)
    order = np.argsort(drives.time[later], kind="stable")
    _, chosen = np.unique(pairs[order], axis=0, return_index=True) if len(order) else (None, order)
    for number in order[np.sort(chosen)].tolist():
        row, other = int(later[number]), int(first[number])
        cycle, issue = int(drives.time[row]), int(drives.issue[row])
        site = writer.plan.sites[abs(int(drives.position[row]))].name
        message = f"stream {isa.stream_name(int(drives.stream[row]))} at {site} already carries the value"
        message += f" {_verb(flow, int(drives.issue[other]))} {writer.who_issued(flow, int(drives.issue[other]))}"
        shift = _free(flow, issue)
        if shift is not None:
            dispatched = int(issues.time[issue]) + shift
            message += f"; free from cycle {cycle + shift} (dispatched in {dispatched})"
        writer.add_issue("collision", flow, issue, cycle, message)


def _verb(flow: Flow, issue: int) -> str:
    return "read by" if "READ" in burst_of(flow, issue).instruction.mnemonic else "made by"


def _free(flow: Flow, issue: int) -> int | None:
    """The fewest cycles after which the whole burst of an issue collides with nothing."""
    drives = flow.drives
    mine = flow.issues.burst[drives.issue] == flow.issues.burst[issue]
    lane = (np.abs(drives.position) << 8) + drives.stream
    key = (drives.time << 16) + lane
    others = np.unique(key[~mine & np.isin(lane, lane[mine])])
    for shift in range(1, _SEARCH):
        if not np.isin(key[mine] + (shift << 16), others).any():
            return shift
    return None


def check_absent(flow: Flow, writer: Writer) -> None:
    """Report reads of streams on which nothing arrives, once per burst and operand."""
    reads = flow.reads
    absent = np.flatnonzero(flow.source == NONE)
    key = flow.issues.burst[reads.issue[absent]] * len(isa.OPERAND_NAMES) + reads.operand[absent]
    _, first = np.unique(key, return_index=True)
    for row in absent[first].tolist():
        issue = int(reads.issue[row])
        site = writer.plan.sites[abs(int(reads.position[row]))].name
        instruction = burst_of(flow, issue).instruction
        name = isa.stream_name(int(reads.stream[row]))
        message = f"{instruction.operation.called} reads stream {name} at {site}, but nothing arrives on it;"
        message += f" {_hint(flow, row, writer)}"
        writer.add_issue("operand_absent", flow, issue, int(reads.time[row]), message)


def _hint(flow: Flow, row: int, writer: Writer) -> str:
    """The value that the reader may have meant."""
    drives, reads = flow.drives, flow.reads
    stream, position, time = int(reads.stream[row]), int(reads.position[row]), int(reads.time[row])
    name = isa.stream_name(stream)
    same = np.flatnonzero(drives.stream == stream)
    upstream = same[drives.position[same] < position]
    if len(upstream):
        passes = drives.time[upstream] + position - drives.position[upstream] - 1
        best = int(np.argmin(np.abs(passes - time)))
        source = writer.who_issued(flow, int(drives.issue[upstream[best]]))
        return f"the nearest value there is that of {source}, to be read in cycle {int(passes[best])}"
    turned = stream ^ 1 << isa.STREAM_DIRECTION_BIT
    other = np.flatnonzero((drives.stream == turned) & (drives.position + time - drives.time + 1 == -position))
    if len(other):
        source = writer.who_issued(flow, int(drives.issue[other[0]]))
        return f"{isa.stream_name(turned)} carries the value of {source} there"
    if len(same):
        source = writer.who_issued(flow, int(drives.issue[same[0]]))
        return f"{source} drives {name}, but from this site on or downstream of it"
    return f"nothing drives {name}"


def check_chains(flow: Flow, writer: Writer) -> None:
    """Report ALU results that are not there when the next stage takes them."""
    chains, issues = flow.chains, flow.issues
    absent = np.flatnonzero(chains.source == NONE)
    for row in absent[first_of_burst(flow, chains.issue[absent])].tolist():
        issue, alu = int(chains.issue[row]), int(chains.alu[row])
        cycle = int(issues.time[issue])
        named = next(q for q in writer.plan.queues if q.kind == "vxm" and q.number == alu)
        message = f"operand {isa.OPERAND_NAMES[int(chains.operand[row])]} takes the result of {named.name} of cycle"
        message += f" {cycle - 1}, but"
        of_alu = np.flatnonzero(issues.queue == named.index)
        gives = [n for n, b in enumerate(issues.bursts) if b.queue == named.index and b.instruction["to_next"]]
        giving = of_alu[np.isin(issues.burst[of_alu], gives)]
        now = of_alu[issues.time[of_alu] == cycle - 1]
        if len(now):
            message += f" {writer.who_issued(flow, int(now[0]))} does not hand it to the next stage"
        else:
            message += " it dispatches nothing then"
        if len(giving):
            times = issues.time[giving]
            nearest = int(times[np.argmin(np.abs(times - (cycle - 1)))])
            message += f"; the result of cycle {nearest} can be taken in cycle {nearest + 1}"
        writer.add_issue("operand_absent", flow, issue, cycle, message)
