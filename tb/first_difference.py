"""Where a program first differs on the RTL: its beginnings are run, to find the shortest that differs.

A machine is causal, so the beginning of a program that leaves out everything from cycle T on differs if and only if
something before T went wrong. The signatures of its tiles say in which slice and superlane.
"""

import dataclasses
from collections.abc import Callable, Sequence

import golden.machine
from tb.compare import Difference, compare, event_text, signature_places, worst
from tb.machine import RtlResult
from tsp import isa
from tsp.dispatch import Unrolled
from tsp.flow.fetch import expand_program
from tsp.program import Program

PARTS = 12
"""Beginnings tried at once, in one simulator process."""

Run = Callable[[Sequence[Program], Sequence[golden.machine.Result]], Sequence[RtlResult]]
"""Runs programs on the RTL; what the golden model makes of them says what to read back."""


def beginning(program: Program, unrolled: Unrolled, end: int) -> Program:
    """The program without what it dispatches in cycle ``end`` and later."""
    queues: dict[int, list[int]] = {}
    last: dict[int, tuple[int, int | None]] = {}
    for burst in unrolled.bursts:
        issues = len(range(burst.start, min(end, burst.end), burst.interval))
        if issues and burst.index >= last.get(burst.queue, (-1, None))[0]:
            last[burst.queue] = (burst.index, None if issues == burst.count else issues - 1)
    for control in unrolled.controls:
        # A trailing SYNC or DESKEW would wait for nothing.
        kept = control.mnemonic in ("NOTIFY", "CONFIG") and control.cycle < end
        if kept and control.index >= last.get(control.queue, (-1,))[0]:
            last[control.queue] = (control.index, None)
    for queue, (index, repeats) in last.items():
        words = list(program.queues[queue])
        repeated = index + 1 < len(words) and words[index + 1] & 0xFF == isa.BY_MNEMONIC["REPEAT"].opcode
        queues[queue] = words[: index + 1]
        if repeated and repeats is None:
            queues[queue].append(words[index + 1])
        elif repeats:
            repeat = isa.decode(words[index + 1])
            assert repeat is not None
            queues[queue].append(dataclasses.replace(repeat, values={**repeat.values, "n": repeats}).encode())
    return dataclasses.replace(program, queues=queues).validate()


def first_difference(program: Program, run: Run) -> str | None:
    """What goes wrong first, in words; None if the program runs as the golden model says.

    Args:
        program: a legal program.
        run: runs programs on the RTL.
    """
    unrolled = expand_program(program)
    low, high = 0, 1 + max((burst.end for burst in unrolled.bursts), default=0)
    found: tuple[golden.machine.Result, list[Difference], RtlResult] | None = None
    while high - low > 1:
        step = max(1, (high - low + PARTS - 1) // PARTS)
        ends = [*range(low + step, high, step), high]
        programs = [beginning(program, unrolled, end) for end in ends]
        wants = [golden.machine.run(part) for part in programs]
        for end, want, got in zip(ends, wants, run(programs, wants), strict=True):
            differences = compare(want, got, program.config)
            if differences:
                high, found = end, (want, differences, got)
                break
            low = end
        else:
            return None
    return None if found is None else _explain(program, high - 1, *found)


def _explain(
    program: Program, cycle: int, want: golden.machine.Result, differences: list[Difference], got: RtlResult
) -> str:
    lines = [f"right up to cycle {cycle - 1}; then, without anything dispatched after cycle {cycle}:"]
    lines += worst(differences, 2)
    places = {place for place, _ in signature_places(want, got)} or set(want.written)
    flow = want.flow
    for row in flow.issues.time.argsort(kind="stable").tolist():
        if int(flow.issues.time[row]) == cycle and int(flow.issues.place[row]) in places:
            lines.append(event_text(program, want, row))
    return "\n    ".join(lines)
