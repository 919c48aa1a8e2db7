"""The timeline for the terminal: a row a queue, a letter an operation, and how busy each unit is."""

import numpy as np
from rich.console import Group
from rich.table import Table
from rich.text import Text

from tsp.errors import counted
from tsp.floorplan import floorplan
from tsp.flow.issues import Ints
from tsp.timeline.kinds import KINDS
from tsp.timeline.model import Timeline

_IDLE, _WAITING = ".", "-"
_TICK = 10
_LEAST = 10
"""Columns there are at least, however narrow the terminal is."""


def render(timeline: Timeline, name: str, width: int) -> Group:
    """What ``tsp timeline`` prints, for a terminal of ``width`` characters. ``name``: of the program."""
    names = {queue: floorplan(timeline.config).queues[queue].name for queue in timeline.bars}
    margin = max(map(len, names.values()), default=0) + 1
    per, columns = _scale(timeline.span, max(width - margin, _LEAST))
    lines = [_title(timeline, name, per), _axis(margin, per, columns)]
    for queue, letters in _rows(timeline, per, columns).items():
        line = Text(names[queue].ljust(margin), no_wrap=True, overflow="crop")
        for kind in letters:
            line.append(_IDLE if kind == -1 else _WAITING if kind == -2 else KINDS[kind].letter, _style(int(kind)))
        lines.append(line)
    fault = [Text(f"not legal: {timeline.fault}")] if timeline.fault else []
    return Group(*lines, _legend(timeline), *fault, Text(), _table(timeline))


def _scale(span: int, room: int) -> tuple[int, int]:
    """(cycles a column, columns)."""
    per = -(-span // room)
    return per, -(-span // per)


def _style(kind: int) -> str:
    return "dim" if kind < 0 else KINDS[kind].colour


def _title(timeline: Timeline, name: str, per: int) -> Text:
    queues, issues = counted(len(timeline.bars), "queue"), counted(timeline.issues, "instruction")
    text = f"{name}: {counted(timeline.cycles, 'cycle')}, {issues} in {queues}; a column is {counted(per, 'cycle')}"
    return Text(text)


def _axis(margin: int, per: int, columns: int) -> Text:
    """The cycle that every tenth column begins with; one without room for its number is left out."""
    line = " " * margin
    for column in range(0, columns, _TICK):
        label = f"{column * per}"
        if len(line) <= margin + column and column + len(label) <= columns:
            line = line.ljust(margin + column) + label + " "
    return Text(line.rstrip(), "dim", no_wrap=True, overflow="crop")


def _rows(timeline: Timeline, per: int, columns: int) -> dict[int, Ints]:
    """Queue → int64 [columns], the kind issued most in each, -1 where nothing is, -2 where the queue waits."""
    rows = {}
    order = np.argsort(timeline.queue, kind="stable")
    ends = np.searchsorted(timeline.queue[order], [*timeline.bars], "right")
    first = 0
    for (queue, bars), end in zip(timeline.bars.items(), ends.tolist(), strict=True):
        mine = order[first:end]
        first = end
        cell = timeline.time[mine] // per * len(KINDS) + timeline.kind[mine]
        counts = np.bincount(cell, minlength=columns * len(KINDS)).reshape(columns, len(KINDS))
        for bar in bars:
            counts[bar.start // per, bar.kind] += bool(bar.reason)
        row = np.full(columns, -1, np.int64)
        for bar in bars:
            if bar.wait:
                row[bar.end // per : (bar.end + bar.wait - 1) // per + 1] = -2
        rows[queue] = np.where(counts.any(axis=1), counts.argmax(axis=1), row)
    return rows


def _legend(timeline: Timeline) -> Text:
    used = sorted({bar.kind for bars in timeline.bars.values() for bar in bars})
    legend = Text()
    for kind in used:
        legend.append(KINDS[kind].letter, KINDS[kind].colour)
        legend.append(f" {KINDS[kind].name}   ")
    if any(bar.wait for bars in timeline.bars.values() for bar in bars):
        legend.append(f"{_WAITING} waiting", "dim")
    legend.rstrip()
    return legend


def _table(timeline: Timeline) -> Table:
    table = Table(title="busy", title_justify="left")
    table.add_column("unit", style="bold")
    for column in ("queues", "queue-cycles", "busy", "share"):
        table.add_column(column, justify="right")
    for use in timeline.uses:
        share = f"{100 * use.share(timeline.span):.1f} %"
        table.add_row(use.unit, f"{use.queues}", f"{use.queues * timeline.span:,}", f"{use.busy:,}", share)
    return table
