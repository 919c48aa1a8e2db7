"""The whole ICU: random programs dispatch what :mod:`tsp.dispatch` says, in the cycles it says."""

import cocotb

from tb.unit.icu_driver import IcuDriver
from tb.unit.icu_programs import barrier_programs, expected
from tb.unit.icu_record import Run, check_steady
from tb.unit.ports import config, seeded
from tb.unit.schedule_clock import steady

PROGRAMS = 3
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


@cocotb.test()
async def programs_with_barriers(dut):
    """The only illegal instructions are those of REPEATs that leave their range."""
    bench = IcuBench(dut, "barriers", illegal=0.0)
    for _ in range(PROGRAMS):
        await bench.play()
    assert bench.issued > 100


@cocotb.test()
async def illegal_words_take_a_cycle_and_the_lowest_queue_reports(dut):
    bench = IcuBench(dut, "illegal", illegal=0.15)
    for _ in range(PROGRAMS):
        await bench.play()
    assert bench.issued > 50 and bench.faults > 10


@cocotb.test()
async def nothing_happens_without_a_program(dut):
    run = await IcuDriver(dut, config()).run({}, WATCH, steady)
    assert all(cycle.idle and not cycle.issued and cycle.fault is None for cycle in run.cycles)
