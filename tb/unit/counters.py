"""HAC, SAC and δ, and the DESKEW instructions that live on them, in the whole ICU while the HAC drifts."""

from itertools import pairwise

import cocotb

from tb.unit.icu_driver import IcuDriver
from tb.unit.icu_programs import Programs, Wait, deskew_programs, expected
from tb.unit.icu_record import DRIFT_SATURATED, check_drifting, check_faults
from tb.unit.ports import config, seeded
from tb.unit.schedule_clock import ScheduleClock, Steps, steady, wandering
from tsp.floorplan import floorplan
from tsp.isa import instruction

PHASES = 3
LONGEST = 8000
"""Cycles after which a run is given up."""
DELTA_MIN, DELTA_MAX = -2048, 2047
NO_QUEUE = 255


async def deskews(  # type: ignore[no-untyped-def]
    dut, steps: Steps, seed: int, phases: int = PHASES, kind: str = ""
) -> ScheduleClock:
    """Run a program with DESKEWs under a drift; dispatches, schedule time and counters are what they must be."""
    programs, waits = deskew_programs(seed, config(), phases, kind)
    clock = ScheduleClock(waits, steps, config().hac_period)
    run = await IcuDriver(dut, config()).run(programs, LONGEST, steps)
    check_drifting(run, expected(programs, config()), clock)
    return clock


@cocotb.test()
async def deskews_without_drift(dut):
    clock = await deskews(dut, steady, seeded("steady").getrandbits(32))
    assert not clock.negative


@cocotb.test()
async def deskews_with_drift(dut):
    """The same program under two drifts: it dispatches the same instructions at the same schedule times."""
    rng = seeded("drift")
    seed = rng.getrandbits(32)
    for _ in range(2):
        await deskews(dut, wandering(rng), seed)


@cocotb.test()
async def every_kind_of_queue_deskews(dut):
    rng = seeded("kinds")
    for kind in sorted({queue.kind for queue in floorplan(config()).queues}):
        await deskews(dut, wandering(rng), rng.getrandbits(32), phases=1, kind=kind)


def fast(cycle: int) -> int:
    """A HAC that is as fast as can be."""
    return 2


def fast_at_first(cycle: int) -> int:
    """And one that is so until its first epoch is nearly over."""
    return 2 if cycle < config().hac_period // 2 - 8 else 1


@cocotb.test()
async def every_queue_deskews_alone(dut):
    """And then waits with a RUNTIME_DESKEW for no cycles, or, every other queue, for less."""
    icu = IcuDriver(dut, config())
    words = [instruction("DESKEW"), instruction("NOP", n=2), instruction("RUNTIME_DESKEW", t=0)]
    for queue in range(len(icu.queues)):
        steps = (fast_at_first, fast)[queue % 2]
        programs: Programs = {queue: [word.encode() for word in words]}
        clock = ScheduleClock([Wait(0, queue, None), Wait(3, queue, 0)], steps, config().hac_period)
        check_drifting(await icu.run(programs, LONGEST, steps), expected(programs, config()), clock)
        assert bool(clock.negative) == (steps is fast)


async def saturate(dut, step: int, limit: int) -> None:  # type: ignore[no-untyped-def]
    """Step the HAC the same way in every cycle: δ goes to its limit and stays, with a fault for each lost step."""
    nop = instruction("NOP", n=abs(limit) + 10).encode()
    run = await IcuDriver(dut, config()).run({0: [nop]}, LONGEST, lambda cycle: step)
    at_limit = abs(limit) - run.first
    assert [cycle.delta for cycle in run.cycles[at_limit - 1 :][:3]] == [limit - (1 if limit > 0 else -1), limit, limit]
    assert {cycle.delta for cycle in run.cycles[at_limit:]} == {limit}
    lost = [cycle.now for cycle in run.cycles[at_limit:-1]]
    check_faults(run, DRIFT_SATURATED, dict.fromkeys(lost, NO_QUEUE))


@cocotb.test()
async def a_slow_hac_saturates_delta(dut):
    await saturate(dut, 0, DELTA_MAX)


@cocotb.test()
async def a_fast_hac_saturates_delta(dut):
    await saturate(dut, 2, DELTA_MIN)


@cocotb.test()
async def a_deskew_takes_the_step_that_would_be_lost(dut):
    """δ is at its limit until the DESKEW ends: in its last cycle no step is lost."""
    words = [instruction("NOP", n=abs(DELTA_MIN) + 10), instruction("DESKEW")]
    run = await IcuDriver(dut, config()).run({0: [word.encode() for word in words]}, LONGEST, fast)
    deltas = [cycle.delta for cycle in run.cycles]
    after = next(number for number, pair in enumerate(pairwise(deltas), 1) if pair == (DELTA_MIN, 0))
    # A pulse belongs to the cycle before.
    assert run.cycles[after - 1].fault == (NO_QUEUE, DRIFT_SATURATED)
    assert run.cycles[after].fault is None
