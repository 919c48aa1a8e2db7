"""The ICU against ``tsp.dispatch``: the same words, the same instructions in the same cycles."""

import pytest
from icu_driver import run_icu
from icu_programs import barrier_programs, expected, small_config

from rtl.icu_control import ILLEGAL_INSTRUCTION

CONFIG = small_config()
WATCH = 40


def steady(cycle):
    return 1


def check(programs, run, want, seed):
    """Everything that a program without DESKEW shows."""
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
    for seed in range(12):
        programs = barrier_programs(seed, CONFIG, illegal)
        want = expected(programs, CONFIG)
        last = max([0, *(issue[0] for issue in want.issues), want.end or 0])
        jobs.append((programs, last + WATCH, steady))
        wants.append(want)
    assert sum(len(want.issues) for want in wants) > 1000
    assert sum(len(want.illegal) for want in wants) > 100
    assert {want.end is None for want in wants} == {True, False}
    for seed, (job, run, want) in enumerate(zip(jobs, run_icu(CONFIG, jobs), wants, strict=True)):
        check(job[0], run, want, seed)
