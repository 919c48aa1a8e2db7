"""The timeline as a Chrome trace, which ui.perfetto.dev and chrome://tracing show: one cycle is one microsecond.

Format: "Trace Event Format" of the Chromium project, the JSON object form.
"""

import json
from collections.abc import Iterator
from typing import Any

from tsp.disassembler import address_names, spell
from tsp.errors import InputError
from tsp.floorplan import floorplan
from tsp.timeline.kinds import KINDS
from tsp.timeline.model import Bar, Timeline, unit_of

MOST_EVENTS = 1_000_000
"""More than this no viewer shows."""
_MOST_SAMPLES = 4096
Event = dict[str, Any]


def trace(timeline: Timeline, name: str) -> bytes:
    """The trace file of a program called ``name``.

    A process is a unit and a thread a queue. A slice is one issue, or all issues of a REPEAT that issues in every
    cycle; its ``args`` say how many. InputError for more than :data:`MOST_EVENTS`.
    """
    count = sum(1 if bar.interval == 1 else bar.count for bars in timeline.bars.values() for bar in bars)
    if count > MOST_EVENTS:
        raise InputError(f"--perfetto: the program has {count} slices, at most {MOST_EVENTS} can be shown; use --html")
    events = [*_tracks(timeline), *_slices(timeline), *_counters(timeline)]
    document = {"displayTimeUnit": "ns", "otherData": {"program": name, "cycle": "1 us"}, "traceEvents": events}
    return json.dumps(document, separators=(",", ":")).encode()


def _processes(timeline: Timeline) -> dict[str, int]:
    """Unit → its process number."""
    return {use.unit: number for number, use in enumerate(timeline.uses, 1)}


def _tracks(timeline: Timeline) -> Iterator[Event]:
    processes, queues = _processes(timeline), floorplan(timeline.config).queues
    for unit, pid in processes.items():
        yield {"ph": "M", "pid": pid, "tid": 0, "name": "process_name", "args": {"name": unit}}
        yield {"ph": "M", "pid": pid, "tid": 0, "name": "process_sort_index", "args": {"sort_index": pid}}
    for queue in timeline.bars:
        track = {"ph": "M", "pid": processes[unit_of(queues[queue])], "tid": queue + 1}
        yield track | {"name": "thread_name", "args": {"name": queues[queue].name}}
        yield track | {"name": "thread_sort_index", "args": {"sort_index": queue}}


def _slices(timeline: Timeline) -> Iterator[Event]:
    processes, queues = _processes(timeline), floorplan(timeline.config).queues
    names = address_names(timeline.program)
    for queue, bars in timeline.bars.items():
        track = {"ph": "X", "pid": processes[unit_of(queues[queue])], "tid": queue + 1}
        for bar in bars:
            where = timeline.program.where(bar.queue, bar.index)
            text = spell(bar.instruction, queues[queue], names) if bar.instruction else ""
            args = {"instruction": text, "where": where} | ({"skipped": bar.reason} if bar.reason else {})
            event = track | {"cat": KINDS[bar.kind].name, "name": _name(bar)}
            if bar.interval == 1:
                yield event | {"ts": bar.start, "dur": bar.count, "args": args | {"issues": bar.count}}
            else:
                for i in range(bar.count):
                    when = {"ts": bar.start + i * bar.interval, "dur": 1}
                    yield event | when | {"args": args | {"issue": i, "issues": 1}}
            if bar.wait:
                waiting = {"name": "waiting", "cat": "waiting", "ts": bar.end, "dur": bar.wait}
                yield track | waiting | {"args": {"instruction": text, "where": where, "issues": 0}}


def _name(bar: Bar) -> str:
    """What is written into the slice: the mnemonic, or why there is none."""
    return bar.instruction.operation.called if bar.instruction and not bar.reason else KINDS[bar.kind].name


def _counters(timeline: Timeline) -> Iterator[Event]:
    """Percent of a unit's queues that are busy, where it changes."""
    cycles = -(-timeline.span // _MOST_SAMPLES)
    busy = timeline.busy(cycles)
    for use in timeline.uses:
        event = {"ph": "C", "pid": _processes(timeline)[use.unit], "name": f"{use.unit} busy %"}
        last = None
        for number, count in enumerate(busy[use.unit].tolist()):
            length = min(cycles, timeline.span - number * cycles)
            share = round(100 * count / max(use.queues * length, 1), 2)
            if share != last:
                yield event | {"ts": number * cycles, "args": {"busy": share}}
            last = share
        yield event | {"ts": timeline.span, "args": {"busy": 0}}
