"""Rules of SYNC, NOTIFY, CONFIG, DESKEW, POLL and RUNTIME_DESKEW."""

from collections.abc import Mapping, Sequence

import numpy as np

from tsp.checker.report import Writer
from tsp.dispatch import Control, Unrolled
from tsp.fetched import arrivals
from tsp.flow import NONE, Flow
from tsp.flow.state import take
from tsp.isa import WAITS
from tsp.timing import timing

DESKEWS = (*WAITS, "RUNTIME_DESKEW")


def check_barriers(unrolled: Unrolled, writer: Writer) -> None:
    """Report SYNCs that nothing releases and NOTIFYs that follow one another too closely."""
    barrier = timing(writer.config).barrier
    for mistake in unrolled.mistakes:
        if mistake.kind == "notify":
            writer.add("notify", mistake.queue, mistake.index, mistake.cycle, mistake.reason)
        elif mistake.kind == "sync":
            first = max(0, mistake.cycle - barrier + 1)
            message = f"nothing releases this SYNC; some queue must dispatch a NOTIFY in cycle {first} or later"
            writer.add("sync", mistake.queue, mistake.index, mistake.cycle, message)


def check_deskews(flow: Flow, writer: Writer) -> None:
    """Report every DESKEW, POLL or RUNTIME_DESKEW dispatched while something else is under way.

    One dispatched at T is legal when

    - every other queue with words has finished (its first cycle with nothing left is T or earlier), is parked (its SYNC
      was dispatched before T and is released after T or never), or dispatches the same instruction, with the same t, at
      T. A queue in a NOP, between two issues of a REPEAT or in an earlier DESKEW is none of these;
    - no NOTIFY dispatched at T or earlier releases after T;
    - no word of an IFETCH dispatched before T could dispatch after T only;
    - everything dispatched before T is over: results of READs, ALUs, ACCs and RECEIVEs have entered their SR at T or
      earlier, the sum of every ABC has left the array at T or earlier, and the packet of every SEND the chip;
    - no stream operand read after T was driven by something dispatched before T. A value that nobody reads any more may
      still be on its stream; words, weights and accumulator rows stay where they are.
    """
    controls: dict[int, list[Control]] = {}
    for control in flow.unrolled.controls:
        controls.setdefault(control.queue, []).append(control)
    seen: set[tuple[int, str, int]] = set()
    for control in flow.unrolled.controls:
        if control.mnemonic not in DESKEWS:
            continue
        _check_others(control, flow.unrolled.words, controls, flow, writer)
        key = (control.cycle, control.mnemonic, control.t)
        if key not in seen:
            seen.add(key)
            _check_barrier(control, flow, writer)
            _check_fetches(control, flow, writer)
            _check_flight(control, flow, writer)


def check_power(flow: Flow, writer: Writer) -> None:
    """Report every CONFIG that takes effect together with another, or while a value is under way.

    One that holds from cycle E on is legal when nothing dispatched in E or later uses what was made by something
    dispatched before E and stays nowhere: a value on a stream, an ALU's result for the next stage, the sum of an ABC.
    """
    table = timing(writer.config)
    earlier: dict[int, Control] = {}
    for control in sorted(flow.unrolled.controls, key=lambda control: (control.cycle, control.queue)):
        if control.mnemonic != "CONFIG":
            continue
        first = control.cycle + table.config
        other = earlier.setdefault(control.cycle, control)
        if other is not control:
            message = f"CONFIG in the same cycle as that of {writer.who(other.queue, other.index)}; only one queue may"
            message += " dispatch one in a cycle"
            writer.add("config", control.queue, control.index, control.cycle, message)
        elif (crossing := _last_crossing(flow, first, first)) is not None:
            source, reader, cycle = crossing
            message = f"CONFIG holds from cycle {first} on, while the value of {writer.who_issued(flow, source)} of"
            message += f" cycle {int(flow.issues.time[source])} is on its way to {writer.who_issued(flow, reader)};"
            message += f" works from cycle {cycle + 1 - table.config}"
            writer.add("config", control.queue, control.index, control.cycle, message)


def _check_others(
    deskew: Control, queues: Mapping[int, Sequence[int]], controls: dict[int, list[Control]], flow: Flow, writer: Writer
) -> None:
    for queue, words in queues.items():
        end = flow.unrolled.ends.get(queue)
        if queue == deskew.queue or not len(words) or (end is not None and end <= deskew.cycle):
            continue
        mine = controls.get(queue, [])
        if not any(_waits(control, deskew) for control in mine):
            parks = [c.cycle + 1 for c in mine if c.mnemonic == "SYNC" and c.cycle >= deskew.cycle]
            free = min([*parks, *([] if end is None else [end])], default=None)
            until = "" if free is None else f" until cycle {free}"
            message = f"{deskew.mnemonic} while {writer.queue_name(queue)} is busy{until}; every other queue must be"
            message += f" parked in a SYNC, finished, or dispatch the same {deskew.mnemonic} in the same cycle"
            writer.add("deskew", deskew.queue, deskew.index, deskew.cycle, message)
            return


def _waits(control: Control, deskew: Control) -> bool:
    if control.mnemonic == "SYNC":
        return control.cycle < deskew.cycle and (control.resume is None or control.resume > deskew.cycle)
    return (control.mnemonic, control.cycle, control.t) == (deskew.mnemonic, deskew.cycle, deskew.t)


def _check_barrier(deskew: Control, flow: Flow, writer: Writer) -> None:
    barrier = timing(writer.config).barrier
    for control in flow.unrolled.controls:
        if control.mnemonic == "NOTIFY" and control.cycle <= deskew.cycle < control.cycle + barrier:
            message = f"{deskew.mnemonic} while the NOTIFY of {writer.who(control.queue, control.index)} is under way;"
            message += f" works from cycle {control.cycle + barrier}"
            writer.add("deskew", deskew.queue, deskew.index, deskew.cycle, message)
            return


def _check_fetches(deskew: Control, flow: Flow, writer: Writer) -> None:
    for fetch in flow.unrolled.fetches:
        there = arrivals(fetch.cycle, fetch.vectors, writer.config)[-1]
        if fetch.cycle <= deskew.cycle < there:
            message = f"{deskew.mnemonic} while the words of {writer.who(fetch.queue, fetch.index)} are on their way;"
            message += f" works from cycle {there}"
            writer.add("deskew", deskew.queue, deskew.index, deskew.cycle, message)
            return


def _last_crossing(flow: Flow, before: int, after: int) -> tuple[int, int, int] | None:
    """Of the values made by issues dispatched before cycle ``before`` and used by ones dispatched in ``after`` or later
    the one used last, as (its issue, the one that uses it, cycle of the use); None without any."""
    table = flow.accumulations
    sums = take(flow.products.issue, table.product)
    source = np.concatenate([take(flow.drives.issue, flow.source), flow.chains.source, sums])
    reader = np.concatenate([flow.reads.issue, flow.chains.issue, table.issue])
    made, used = take(flow.issues.time, source), flow.issues.time[reader]
    crossing = np.flatnonzero((source != NONE) & (made < before) & (used >= after))
    if not len(crossing):
        return None
    last = crossing[np.argmax(used[crossing])]
    return int(source[last]), int(reader[last]), int(used[last])


def _check_flight(deskew: Control, flow: Flow, writer: Writer) -> None:
    table, issues, cycle = timing(writer.config), flow.issues, deskew.cycle
    sent = issues.time[flow.sends.issue] + table.send_wire + writer.config.superlanes + 1
    done = np.concatenate([flow.drives.time, issues.time[flow.products.issue] + table.abc_acc, sent])
    issue = np.concatenate([flow.drives.issue, flow.products.issue, flow.sends.issue])
    late = np.flatnonzero((issues.time[issue] < cycle) & (done > cycle))
    if len(late):
        last = late[np.argmax(done[late])]
        what = "packet" if int(issue[last]) in flow.sends.issue else "result"
        message = f"{deskew.mnemonic} before the {what} of {writer.who_issued(flow, int(issue[last]))} is out;"
        message += f" works from cycle {int(done[last])}"
        writer.add("deskew", deskew.queue, deskew.index, cycle, message)
    elif (crossing := _last_crossing(flow, cycle, cycle + 1)) is not None:
        source, reader, used = crossing
        message = f"{deskew.mnemonic} while the value of {writer.who_issued(flow, source)} is on its way to"
        message += f" {writer.who_issued(flow, reader)}; works after cycle {used}"
        writer.add("deskew", deskew.queue, deskew.index, cycle, message)
