"""Accumulations that are computed in one batch although an earlier batch holds a write between them."""

import random

from stepper import Stepper

from golden.machine import run
from tsp import isa
from tsp.checker import check
from tsp.config import preset
from tsp.isa import AccMode, OperandKind
from tsp.randprog import streams
from tsp.randprog.layout import Layout, Shape
from tsp.randprog.mxm import Plane
from tsp.timing import arrival

ONCE = Shape()


def activate(layout: Layout, plane: Plane, time: int, mode: AccMode, out: bool, number: int | None) -> None:
    """One ABC at ``time`` and its ACC of row 0: of data, or of what two chained ALUs make of a number."""
    operand = isa.stream_operand(plane.inward, 0 if number is None else 1)
    if number is None:
        streams.source(layout, plane.site, [operand], time, ONCE)
    else:
        vxm, table = layout.plan.vxm_site, layout.timing
        start = time - arrival(vxm, plane.site) - table.alu_func
        first, second = layout.plan.queue("vxm.r0s0"), layout.plan.queue("vxm.r0s1")
        give = isa.instruction("CONVERT", a_kind=OperandKind.IMMEDIATE, immediate=number, to_next=1)
        take = isa.instruction("NEG", a_kind=OperandKind.ALU, to_stream=1, stream=operand)
        layout.issue(first, start - table.alu_next, ONCE, give)
        layout.issue(second, start, ONCE, take)
        layout.drive(second, operand, start, table.alu_func, ONCE)
        layout.read(plane.site, operand, time, ONCE)
    layout.issue(plane.activations, time, ONCE, isa.instruction("ABC", stream=operand))
    taken, result = time + layout.timing.abc_acc, isa.stream_operand(1 - plane.inward, 0)
    layout.issue(plane.accumulate, taken, ONCE, isa.instruction("ACC", row=0, mode=mode, out=int(out), stream=result))


def same_as_the_stepper(*steps) -> None:
    """A plane with weights, and ABCs with their ACCs: (cycle, mode, out, number) each."""
    layout = Layout(preset("tiny"), random.Random(1), 200)
    plane = Plane(layout, "e", 0)
    plane.load_all(40, 1)
    plane.install(50, ONCE)
    for time, mode, out, number in steps:
        activate(layout, plane, time, mode, out, number)
    program = layout.program()
    assert check(program).ok
    slow, fast = Stepper(program), run(program, events=True)
    columns = [fast.events[name].tolist() for name in ("time", "place", "superlane", "address")]
    events = [(*row, data.tobytes()) for *row, data in zip(*columns, fast.events["data"], strict=True)]
    assert events == sorted(slow.events)


def test_a_sum_goes_on_from_the_write_before_it() -> None:
    same_as_the_stepper(
        (60, AccMode.STORE, False, 3),
        (65, AccMode.STORE, False, None),
        (70, AccMode.ADD, True, 5),
        (75, AccMode.PEEK, True, 7),
    )


def test_a_row_is_seen_after_a_later_sum_was_computed() -> None:
    """What the PEEK adds to is computed last: the ADD behind it must leave the row that it sees."""
    same_as_the_stepper(
        (60, AccMode.STORE, False, None),
        (65, AccMode.PEEK, True, 3),
        (70, AccMode.ADD, True, None),
        (75, AccMode.PEEK, True, None),
    )
