"""The ICU against ``tsp.dispatch``: the same words, the same instructions in the same cycles."""

import random

import pytest
from icu_driver import run_icu

from rtl.icu_control import DESKEW_NEGATIVE, ILLEGAL_INSTRUCTION
from tb.unit.icu_programs import barrier_programs, deskew_programs, expected, small_config

CONFIG = small_config()
WATCH = 40


def steady(cycle):
    return 1


def check(programs, run, want, seed):
    """Everything that a program without DESKEW shows, also in the cycles after its end."""
    assert [cycle.now for cycle in run.cycles] == list(range(len(run.cycles)))
    end = len(run.cycles)
    assert run.issues() == [issue for issue in want.issues if issue[0] < end], f"seed {seed}"
    faults = {cycle: queue for cycle, queue in want.illegal.items() if cycle < end - 1}
    assert run.faults(ILLEGAL_INSTRUCTION) == faults, f"seed {seed}"
    idle = [cycle.now for cycle in run.cycles if cycle.idle]
    assert idle == ([] if want.end is None else list(range(want.end, end))), f"seed {seed}"


@pytest.mark.parametrize("illegal", [0.0, 0.15])
def test_random_programs_with_barriers(illegal):
    jobs, wants = [], []
    for seed in range(6):
        programs = barrier_programs(seed, CONFIG, illegal)
        want = expected(programs, CONFIG)
        last = max([0, *(issue[0] for issue in want.issues), want.end or 0])
        jobs.append((programs, last + WATCH, steady))
        wants.append(want)
    assert sum(len(want.issues) for want in wants) > 500
    assert sum(len(want.illegal) for want in wants) > 60
    assert {want.end is None for want in wants} == {True, False}
    for seed, (job, run, want) in enumerate(zip(jobs, run_icu(CONFIG, jobs), wants, strict=True)):
        check(job[0], run, want, seed)


class Clock:
    """Schedule time and counters in every cycle, from the waits of a program; counts with unbounded numbers."""

    def __init__(self, waits, steps, period):
        self.waits, self.steps, self.period = {wait.cycle: wait for wait in waits}, steps, period
        self.hac = self.sac = self.delta = self.cycle = 0
        self.now, self.until, self.negative = None, None, {}

    def tick(self):
        """To the next cycle of the clock. ``until``: the cycle a RUNTIME_DESKEW ends in."""
        step = self.steps(self.cycle)
        epoch = (self.hac + step) // self.period > self.hac // self.period
        sampled, wait = 0, self.waits.get(self.now)
        self.hac, self.sac, self.cycle = self.hac + step, self.sac + 1, self.cycle + 1
        if wait is None:
            self.now = None if self.now is None else self.now + 1
        elif wait.t is None:
            if epoch:
                self.now += 1
                self.sac, self.delta, step = self.hac, 0, 1
        else:
            if self.until is None:
                sampled = self.delta
                if wait.t + sampled < 0:
                    self.negative[wait.cycle] = wait.queue
                self.until = self.cycle + max(wait.t + sampled, 0)
                self.sac -= sampled
            if self.cycle == self.until:
                self.now, self.until = self.now + 1 + wait.t, None
        self.delta += 1 - step - sampled


def wander(seed):
    """Random HAC additions whose drift changes sign now and then, the same for every reader."""
    rng = random.Random(seed)
    values = []
    for _ in range(60):
        fast, slow = rng.choice([(0.3, 0.0), (0.0, 0.3), (0.1, 0.1), (0.0, 0.0), (0.9, 0.0)])
        values += rng.choices([0, 1, 2], [slow, 1 - fast - slow, fast], k=100)
    return values.__getitem__


def test_random_programs_with_deskew():
    jobs, wants, waits = [], [], []
    for seed in range(5):
        programs, found = deskew_programs(seed, CONFIG, 4)
        steps = wander(seed)
        jobs.append((programs, 2500, steps))
        wants.append(expected(programs, CONFIG))
        waits.append(found)
    negatives = 0
    for seed, (job, run) in enumerate(zip(jobs, run_icu(CONFIG, jobs), strict=True)):
        want, clock = wants[seed], Clock(waits[seed], job[2], CONFIG.hac_period)
        while clock.cycle < run.first:
            clock.tick()
        clock.now = 0
        for number, cycle in enumerate(run.cycles):
            seen = (cycle.now, cycle.hac, cycle.sac, cycle.delta)
            period = CONFIG.hac_period
            assert seen == (clock.now, clock.hac % period, clock.sac % period, clock.delta), f"seed {seed}: {number}"
            clock.tick()
        assert run.issues() == want.issues, f"seed {seed}"
        assert run.faults(DESKEW_NEGATIVE) == clock.negative, f"seed {seed}"
        assert run.faults(ILLEGAL_INSTRUCTION) == want.illegal, f"seed {seed}"
        idle = next(cycle.now for cycle in run.cycles if cycle.idle)
        assert idle == want.end, f"seed {seed}"
        negatives += len(clock.negative)
    kinds = [wait.t is None for found in waits for wait in found]
    assert kinds.count(True) >= 6 and kinds.count(False) >= 15 and negatives >= 2
