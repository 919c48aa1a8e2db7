"""Random programs on the golden model and the RTL, in both simulators: legal ones and illegal ones.

``TSP_FULL=1`` runs more seeds. Every failure names its seed; ``python -m tb.regress --seed N --seeds 1`` runs it again.
"""

import dataclasses
import os

import numpy as np
import pytest

import golden.machine
from tb import machine, regress
from tb.compare import compare, fault_text
from tb.coverage import Model, samples
from tb.small import in_beats, small
from tsp.checker import check
from tsp.config import ChipConfig, preset
from tsp.floorplan import floorplan
from tsp.program import Image
from tsp.randprog import MINIMUM, MISTAKES

FULL = bool(os.environ.get("TSP_FULL"))
SEEDS = range(1, 1001 if FULL else 301)
TURNS = 10 if FULL else 3
"""Illegal programs of each class."""
CONFIG = preset("tiny")
SMALL = small()
BEATS = in_beats()


@pytest.fixture(scope="module")
def cases() -> list[regress.Case]:
    return [regress.prepare(seed, CONFIG) for seed in SEEDS]


@pytest.fixture(scope="module")
def mistakes() -> list[regress.IllegalCase]:
    return [regress.prepare_illegal(seed, CONFIG) for seed in range(TURNS * len(MISTAKES))]


def test_golden_model_runs_what_the_checker_accepts(cases: list[regress.Case]) -> None:
    assert not {case.seed: case.trouble for case in cases if case.trouble}
    assert not {case.seed: str(case.density) for case in cases if not case.density.reaches(MINIMUM)}


def test_some_programs_multiply_fp16(cases: list[regress.Case]) -> None:
    """One in fifteen at least, and one while one superlane alone is powered: Verilator runs them below."""
    found = [case.golden.flow for case in cases if case.golden.flow.products.fp16.any()]
    assert len(found) >= len(SEEDS) // 15
    powered = [flow.issues.powered[flow.products.issue][flow.products.fp16] for flow in found]
    assert any((superlanes == 1).any() for superlanes in powered)


@pytest.mark.slow
def test_a_difference_is_noticed(cases: list[regress.Case]) -> None:
    """One bit of one initial word differs on the RTL: a signature and the first event to differ must show it."""
    case = cases[0]
    place, image = next(iter(case.program.memory.items()))
    words = image.words ^ np.uint8(1)
    other = dataclasses.replace(case.program, memory=case.program.memory | {place: Image(image.addresses, words)})
    row = regress.Row("verilator")
    regress.run_cases([dataclasses.replace(case, program=other)], CONFIG, "verilator", row)
    assert f"signature of {floorplan(CONFIG).slices[place].name}" in row.failed[case.seed]
    assert f"--seed {case.seed} " in row.failed[case.seed]


@pytest.mark.slow
def test_a_program_that_ends_too_late_is_told_and_the_next_one_runs(cases: list[regress.Case]) -> None:
    late, other = (regress.job(case.program, case.golden, case.drift) for case in cases[:2])
    jobs = [dataclasses.replace(late, max_cycles=late.max_cycles // 4), other]
    found = machine.run_on(machine.build(CONFIG, "verilator"), jobs, CONFIG)
    assert not found[0].done and not found[0].memory and not found[0].signatures
    assert "not done" in str(compare(cases[0].golden, found[0], CONFIG)[0])
    assert not compare(cases[1].golden, found[1], CONFIG)


@pytest.mark.slow
@pytest.mark.parametrize("sim", ["verilator", "icarus"] if FULL else ["verilator"])
def test_rtl_does_what_the_golden_model_does(sim: str, cases: list[regress.Case]) -> None:
    chosen = regress.shares(cases, ["verilator", "icarus"])[sim]
    assert len(chosen) == (len(SEEDS) if sim == "verilator" else len(SEEDS) // 10)
    row = regress.Row(sim)
    regress.run_cases(chosen, CONFIG, sim, row)
    assert row.seeds == len(chosen) and not row.failed, "\n".join(row.failed.values())


@pytest.mark.slow
def test_a_small_chip_in_icarus_does_what_the_golden_model_does() -> None:
    """Every kind of unit, in both hemispheres."""
    cases = [regress.prepare(seed, SMALL) for seed in SEEDS[: len(SEEDS) // (10 if FULL else 20)]]
    assert len(cases) >= 15 and not {case.seed: case.trouble for case in cases if case.trouble}
    assert not {case.seed: str(case.density) for case in cases if not case.density.reaches(MINIMUM)}
    row = regress.Row("icarus")
    regress.run_cases(cases, SMALL, "icarus", row)
    assert row.seeds == len(cases) and not row.failed, "\n".join(row.failed.values())


@pytest.mark.slow
def test_words_that_pass_in_beats_are_those_of_the_golden_model() -> None:
    cases = [regress.prepare(seed, BEATS) for seed in SEEDS[: len(SEEDS) // 20]]
    assert not {case.seed: case.trouble for case in cases if case.trouble}
    for sim, chosen in regress.shares(cases, ["verilator", "icarus"]).items():
        row = regress.Row(sim)
        regress.run_cases(chosen, BEATS, sim, row)
        assert row.seeds == len(chosen) and not row.failed, "\n".join(row.failed.values())


@pytest.mark.slow
def test_faults_are_latched_where_words_pass_in_beats() -> None:
    cases = [regress.prepare_illegal(seed, BEATS) for seed in range(len(MISTAKES))]
    _latches(BEATS, "verilator", [case for case in cases if case.expected.runs])


def test_every_bin_is_covered(cases: list[regress.Case]) -> None:
    model = Model(CONFIG)
    for case in cases:
        model.sample(samples(case.program, case.golden))
    report = model.report()
    assert not model.unknown
    assert report.functional == 100, {group: bins for group, bins in report.uncovered.items() if bins}


def test_checker_refuses_illegal_programs(mistakes: list[regress.IllegalCase]) -> None:
    for case in mistakes:
        rules = {problem.rule for problem in check(case.program).problems}
        assert case.expected.rule in rules, f"illegal seed {case.seed}, {case.expected.mistake}: found {rules}"


def test_golden_model_latches_the_fault(mistakes: list[regress.IllegalCase]) -> None:
    for case in mistakes:
        if case.expected.runs:
            fault = golden.machine.run(case.program, trace=False).fault
            found = None if fault is None else tuple(fault)
            assert found == case.expected.fault, f"illegal seed {case.seed}, {case.expected.mistake}"


@pytest.mark.slow
def test_rtl_latches_the_fault(mistakes: list[regress.IllegalCase]) -> None:
    _latches(CONFIG, "verilator", [case for case in mistakes if case.expected.runs])


@pytest.mark.slow
def test_a_small_chip_in_icarus_latches_the_fault() -> None:
    cases = [regress.prepare_illegal(seed, SMALL) for seed in range(len(MISTAKES))]
    _latches(SMALL, "icarus", [case for case in cases if case.expected.runs][:: 1 if FULL else 2])


def _latches(config: ChipConfig, sim: str, chosen: list[regress.IllegalCase]) -> None:
    made = machine.build(config, sim)
    results = regress.run_jobs(made, [case.job() for case in chosen], config)
    wrong = []
    for case, result in zip(chosen, results, strict=True):
        fault = result.fault
        found = None if fault is None else (fault.cycle, fault.queue, fault.kind)
        if found != case.expected.fault or result.done != case.expected.ends:
            want = None if case.expected.fault is None else machine.Fault(*case.expected.fault)
            wrong.append(
                f"illegal seed {case.seed}, {case.expected.mistake}: expected {fault_text(want, config)}, "
                f"the RTL latched {fault_text(fault, config)}, done: {result.done}"
            )
    assert not wrong, "\n".join(wrong)
