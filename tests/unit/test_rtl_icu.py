"""The ICU against ``tsp.dispatch``: the same words, the same instructions in the same cycles."""

import random

import pytest
from icu_driver import run_icu

from tb.unit.icu_programs import barrier_programs, deskew_programs, expected, small_config
from tb.unit.icu_record import check_drifting, check_steady
from tb.unit.schedule_clock import ScheduleClock, steady, wandering

CONFIG = small_config()
WATCH = 40


@pytest.mark.parametrize("illegal", [0.0, 0.15])
def test_random_programs_with_barriers(illegal):
    jobs, wants = [], []
    made = ((programs, expected(programs, CONFIG)) for programs in (
        barrier_programs(seed, CONFIG, illegal) for seed in range(40)
    ))  # fmt: skip
    left = {True: 4, False: 2}  # programs still wanted that never end, and that do
    for programs, want in made:
        if not any(left.values()):
            break
        if not left[want.end is None]:
            continue
        left[want.end is None] -= 1
        last = max([0, *(issue[0] for issue in want.issues), want.end or 0])
        jobs.append((programs, last + WATCH, steady))
        wants.append(want)
    assert sum(len(want.issues) for want in wants) > 500
    assert sum(len(want.illegal) for want in wants) > 60
    assert not any(left.values())
    for number, (run, want) in enumerate(zip(run_icu(CONFIG, jobs), wants, strict=True)):
        print(f"program {number}")
        check_steady(run, want)


def test_random_programs_with_deskew():
    jobs, wants, waits = [], [], []
    for seed in range(5):
        programs, found = deskew_programs(seed, CONFIG, 4)
        steps = wandering(random.Random(seed))
        jobs.append((programs, 2500, steps))
        wants.append(expected(programs, CONFIG))
        waits.append(found)
    negatives = 0
    for seed, (job, run) in enumerate(zip(jobs, run_icu(CONFIG, jobs), strict=True)):
        clock = ScheduleClock(waits[seed], job[2], CONFIG.hac_period)
        print(f"seed {seed}")
        check_drifting(run, wants[seed], clock)
        negatives += len(clock.negative)
    kinds = [wait.t is None for found in waits for wait in found]
    assert kinds.count(True) >= 6 and kinds.count(False) >= 15 and negatives >= 2
