"""From a program to rows of bursts, who is busy when, and what it comes to for each unit."""

import dataclasses

import numpy as np

from tsp import isa
from tsp.blame import fault_text
from tsp.config import ChipConfig
from tsp.dispatch import Unrolled
from tsp.floorplan import Queue, floorplan
from tsp.flow import Flow, analyse
from tsp.flow.fetch import expand_program
from tsp.flow.issues import Ints, ints
from tsp.program import Program
from tsp.timeline.kinds import KINDS, NUMBERS, number_of

UNITS = {"mem": "MEM", "vxm": "VXM", "mxm": "MXM", "sxm": "SXM", "c2c": "C2C"}
ICU = "ICU"


@dataclasses.dataclass(frozen=True)
class Bar:
    """``count`` issues of one word of a queue: in the cycles ``start``, ``start + interval``, …

    Attributes:
        index: the word in its queue.
        kind: row of :data:`tsp.timeline.kinds.KINDS`.
        instruction: as of the first issue; None for a word that is none.
        step_a, step_b: what a REPEAT adds to the address operands each time.
        wait: cycles the queue stands still after the last issue: a SYNC that waits for its NOTIFY, a DESKEW.
        reason: why the machine skips the word, which then is no issue but the cycle it costs.
    """

    queue: int
    index: int
    start: int
    count: int
    interval: int
    kind: int
    instruction: isa.Instruction | None
    step_a: int = 0
    step_b: int = 0
    wait: int = 0
    reason: str = ""

    @property
    def end(self) -> int:
        """Cycle after the last issue."""
        return self.start + (self.count - 1) * self.interval + 1


@dataclasses.dataclass(frozen=True)
class Use:
    """How busy a unit is: its queues, and in how many queue-cycles one of its instructions is issued.

    The ICU has all queues, and is busy with whatever is issued in any, its own instructions among them.
    """

    unit: str
    queues: int
    busy: int

    def share(self, span: int) -> float:
        """Busy queue-cycles of all, 0 … 1."""
        return self.busy / max(self.queues * span, 1)


@dataclasses.dataclass(frozen=True)
class Timeline:
    """A program in time.

    Attributes:
        cycles: as the checker predicts: last event + 1.
        span: cycles shown; more than ``cycles`` if something is issued later that no event follows.
        bars: queue → its bars by time, for every queue that does anything; those of a queue never overlap.
        uses: in the order MEM, VXM, MXM, SXM, C2C, as far as there are queues, and the ICU.
        time, queue, kind: int64 [issues], every single issue.
        fault: the first fault of the machine in a sentence, or empty.
    """

    program: Program
    flow: Flow
    cycles: int
    span: int
    bars: dict[int, list[Bar]]
    uses: list[Use]
    time: Ints
    queue: Ints
    kind: Ints
    fault: str

    @property
    def config(self) -> ChipConfig:
        """The program's."""
        return self.program.config

    @property
    def issues(self) -> int:
        """How many instructions are issued, REPEATs counted out."""
        return len(self.time)

    def busy(self, bin_cycles: int) -> dict[str, Ints]:
        """Unit → int64 [bins], busy queue-cycles in each bin of so many cycles; the last bin may be cut short."""
        bins = -(-self.span // bin_cycles)
        unit_of = ints([_unit_number(queue) for queue in floorplan(self.config).queues])
        control = np.asarray([kind.control for kind in KINDS])[self.kind]
        found: dict[str, Ints] = {}
        for use in self.uses:
            chosen = np.full(len(self.time), True)
            if use.unit != ICU:
                chosen = (unit_of[self.queue] == list(UNITS.values()).index(use.unit)) & ~control
            found[use.unit] = np.bincount(self.time[chosen] // bin_cycles, minlength=bins)
        return found


def unit_of(queue: Queue) -> str:
    """``MEM`` and the like."""
    return UNITS[queue.kind.split("_")[0]]


def _unit_number(queue: Queue) -> int:
    return list(UNITS.values()).index(unit_of(queue))


def timeline(program: Program) -> Timeline:
    """Unroll a program and count. Mistakes of the program are shown as they happen; InputError only for one that cannot
    be followed."""
    unrolled = expand_program(program)
    defined = {place: image.addresses for place, image in program.memory.items()}
    flow = analyse(unrolled, program.config, defined)
    span = max(flow.cycles, *_ends(unrolled), 1)
    bars = _bars(program, unrolled, span)
    flat = [bar for row in bars.values() for bar in row if not bar.reason]
    shape = ints([(bar.start, bar.count, bar.interval, bar.queue, bar.kind) for bar in flat]).reshape(-1, 5)
    start, count, interval, queue, kind = shape.T
    step = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
    time = np.repeat(start, count) + step * np.repeat(interval, count)
    fault = fault_text(program, flow, flow.faults[0] if flow.faults else None)
    plan = floorplan(program.config).queues
    units = [*dict.fromkeys(sorted(map(unit_of, plan), key=list(UNITS.values()).index))]
    uses = [Use(unit, sum(unit_of(q) == unit for q in plan), 0) for unit in units] + [Use(ICU, len(plan), 0)]
    found = Timeline(
        program, flow, flow.cycles, span, bars, uses, time, np.repeat(queue, count), np.repeat(kind, count), fault
    )
    totals = found.busy(span)
    return dataclasses.replace(found, uses=[dataclasses.replace(u, busy=int(totals[u.unit].sum())) for u in uses])


def _ends(unrolled: Unrolled) -> list[int]:
    """The cycles after which something is over."""
    controls = [max(c.cycle + 1, c.resume or 0) for c in unrolled.controls]
    return [0, *(burst.end for burst in unrolled.bursts), *controls, *(m.cycle + 1 for m in unrolled.mistakes)]


def _bars(program: Program, unrolled: Unrolled, span: int) -> dict[int, list[Bar]]:
    rows: dict[int, list[Bar]] = {}
    taken: set[tuple[int, int]] = set()
    for b in unrolled.bursts:
        kind = number_of(b.instruction)
        bar = Bar(b.queue, b.index, b.start, b.count, b.interval, kind, b.instruction, b.step_a, b.step_b)
        rows.setdefault(b.queue, []).append(bar)
        taken.add((b.queue, b.index))
    for c in unrolled.controls:
        instruction = isa.decode(unrolled.words[c.queue][c.index])
        assert instruction is not None
        wait = (span if c.resume is None else c.resume) - c.cycle - 1
        bar = Bar(c.queue, c.index, c.cycle, 1, 1, number_of(instruction), instruction, wait=max(wait, 0))
        rows.setdefault(c.queue, []).append(bar)
    for m in unrolled.mistakes:
        # The others are issued all the same, so they have their bar.
        if m.kind in ("illegal", "step") and (m.queue, m.index) not in taken:
            word = isa.decode(unrolled.words[m.queue][m.index])
            bar = Bar(m.queue, m.index, m.cycle, 1, 1, NUMBERS["illegal"], word, reason=m.reason or "no instruction")
            rows.setdefault(m.queue, []).append(bar)
    return {queue: sorted(bars, key=lambda bar: bar.start) for queue, bars in sorted(rows.items())}
