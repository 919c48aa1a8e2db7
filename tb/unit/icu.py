"""The whole ICU: random programs dispatch what :mod:`tsp.dispatch` says, in the cycles it says."""

from collections import Counter

import cocotb

from tb.unit.icu_driver import IcuDriver
from tb.unit.icu_fetch import (
    WATCHED,
    Memory,
    all_queues,
    check_whole,
    fetch_programs,
    first_fault,
    mistaken_programs,
)
from tb.unit.icu_programs import Writer, barrier_programs, expected, faulty_programs, long_programs
from tb.unit.icu_record import COLLISION, ILLEGAL_INSTRUCTION, RUN_DRY, Run, check_steady
from tb.unit.ports import config, seeded
from tb.unit.schedule_clock import steady
from tb.unit.words import broken_words
from tsp.floorplan import Queue
from tsp.flow.fetch import expand_program
from tsp.randprog import deskew_count, legal

PROGRAMS = 3
ROUNDS, WORDS = 5, 30
"""Of words that may be illegal, for every kind of queue."""
FETCHES = 80
"""Programs at least that fetch words and may be wrong, as many for each queue."""
WATCH = 30
"""Cycles to watch beyond the last thing that must happen."""


class IcuBench:
    """Driver and random programs of all queues with barriers among them; ``illegal`` is the share of wrong words."""

    def __init__(self, dut, name: str, illegal: float):  # type: ignore[no-untyped-def]
        self.icu, self.rng, self.illegal = IcuDriver(dut, config()), seeded(name), illegal
        self.issued = self.faults = 0
        self.ends: set[bool] = set()

    async def play(self) -> Run:
        """Run a program and hold what is seen against the dispatcher."""
        programs = barrier_programs(self.rng.getrandbits(32), config(), self.illegal)
        want = expected(programs, config())
        last = max([0, *(issue[0] for issue in want.issues), want.end or 0])
        run = await self.icu.run(programs, last + WATCH, steady)
        check_steady(run, want)
        self.issued += len(want.issues)
        self.faults += len(want.illegal)
        return run


def kinds_of(icu: IcuDriver) -> list[Queue]:
    """A queue of each kind; only the MXM's rules know a hemisphere."""
    kinds = {(queue.kind, queue.kind.startswith("mxm") and queue.hemisphere): queue for queue in icu.queues}
    return list(kinds.values())


@cocotb.test()
async def programs_with_barriers(dut):
    """The only illegal instructions are those of REPEATs that leave their range."""
    bench = IcuBench(dut, "barriers", illegal=0.0)
    for _ in range(PROGRAMS):
        await bench.play()
    assert bench.issued > 100


@cocotb.test()
async def long_waits_and_intervals(dut):
    """Of thousands of cycles; that they are exact up to the longest is proved (docs/verification.md)."""
    programs = long_programs(seeded("long"), config())
    want = expected(programs, config())
    assert want.end is not None
    check_steady(await IcuDriver(dut, config()).run(programs, want.end + WATCH, steady), want)


@cocotb.test()
async def illegal_words_take_a_cycle_and_the_lowest_queue_reports(dut):
    bench = IcuBench(dut, "illegal", illegal=0.15)
    for _ in range(PROGRAMS):
        await bench.play()
    assert bench.issued > 50 and bench.faults > 10


@cocotb.test()
async def every_kind_of_queue_refuses_what_is_illegal(dut):
    """A queue at a time, so that each of its faults is seen."""
    icu, rng = IcuDriver(dut, config()), seeded("kinds")
    kinds = kinds_of(icu)
    # An ALU has many more instructions than the others.
    alu = next(queue for queue in kinds if queue.kind == "vxm")
    for queue in [*kinds, alu, alu, alu] * ROUNDS:
        programs = {queue.index: Writer(rng, queue, config()).doubtful(WORDS)}
        want = expected(programs, config())
        check_steady(await icu.run(programs, 2 * WORDS + WATCH, steady), want)
        assert want.illegal


@cocotb.test()
async def every_rule_makes_a_word_illegal(dut):
    icu, rng = IcuDriver(dut, config()), seeded("rules")
    for queue in kinds_of(icu):
        words = broken_words(rng, queue, config())
        for first in range(0, len(words), config().queue_depth):
            programs = {queue.index: words[first : first + config().queue_depth]}
            want = expected(programs, config())
            assert len(want.illegal) == len(programs[queue.index])
            check_steady(await icu.run(programs, len(want.illegal) + WATCH, steady), want)


@cocotb.test()
async def the_lowest_of_many_queues_reports(dut):
    programs = faulty_programs(seeded("lowest"), config())
    want = expected(programs, config())
    assert sorted(want.illegal.values()) == sorted(programs)
    check_steady(await IcuDriver(dut, config()).run(programs, len(programs) + WATCH, steady), want)


@cocotb.test()
async def nothing_happens_without_a_program(dut):
    run = await IcuDriver(dut, config()).run({}, WATCH, steady)
    assert all(cycle.idle and not cycle.issued and cycle.fault is None for cycle in run.cycles)


@cocotb.test()
async def whole_programs(dut):
    """Random programs of the chip: IFETCH, CONFIG, DESKEW and RUNTIME_DESKEW among all the others."""
    icu, rng = IcuDriver(dut, config()), seeded("whole")
    for _ in range(PROGRAMS):
        program = legal(rng.getrandbits(32), config())
        programs = {queue: list(words) for queue, words in program.queues.items()}
        unrolled = expand_program(program)
        last = max(unrolled.ends.values())
        waits = deskew_count(program) * config().hac_period
        run = await icu.run(programs, last + waits + WATCH, steady, Memory(unrolled, programs, config()))
        check_whole(run, unrolled, config())
        assert next(cycle.now for cycle in run.cycles if cycle.idle) == last


@cocotb.test()
async def fetches_up_to_their_first_mistake(dut):
    """Too many words, too early or too late for what follows, two at once, without power; some without a mistake."""
    if not config().ifetch:
        return
    icu, rng, kinds = IcuDriver(dut, config()), seeded("fetches"), Counter[int]()
    queues = all_queues(config())
    for lead in queues * -(-FETCHES // len(queues)):
        programs, unrolled = fetch_programs(rng, config(), lead)
        fault = first_fault(unrolled)
        last = fault[0] + WATCHED if fault else max(unrolled.ends.values()) + WATCH
        run = await icu.run(programs, last, steady, Memory(unrolled, programs, config()))
        check_whole(run, unrolled, config())
        kinds[fault[2] if fault else 0] += 1
    assert kinds[0] > FETCHES // 10 and all(kinds[kind] for kind in (RUN_DRY, ILLEGAL_INSTRUCTION)), kinds
    assert kinds[COLLISION], kinds


@cocotb.test()
async def every_queue_runs_dry_and_meets_another(dut):
    """The first fault, of whichever queue, is told."""
    if not config().ifetch:
        return
    icu = IcuDriver(dut, config())
    for programs, unrolled in mistaken_programs(seeded("mistaken"), config()):
        fault = first_fault(unrolled)
        last = fault[0] + WATCHED if fault else WATCH
        check_whole(await icu.run(programs, last, steady, Memory(unrolled, programs, config())), unrolled, config())
