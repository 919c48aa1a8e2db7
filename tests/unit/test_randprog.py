"""Random programs: the same for the same seed, dense, legal in every kind of configuration."""

import pytest

import golden.machine
from tsp.checker import check
from tsp.config import preset
from tsp.flow import NONE
from tsp.isa import BY_MNEMONIC
from tsp.randprog import MINIMUM, MISTAKES, density, deskew_count, illegal, legal

CONFIGS = [
    ("tiny", []),
    ("board", []),
    ("groqchip", []),
    ("tiny", ["superlanes=1"]),
    ("tiny", ["superlanes=3", "vxm_rows=1"]),
    ("tiny", ["vxm_rows=1", "vxm_stages=1", "streams=16"]),
    ("board", ["mem_words=2", "acc_depth=2", "queue_depth=64"]),
    ("tiny", ["mxm_planes_w=0", "mxm_planes_e=0", "mxm_fp16=off", "vxm_mul_bits=0", "vxm_float=off", "sxm=false"]),
]


@pytest.mark.parametrize(("name", "settings"), CONFIGS)
def test_is_legal(name: str, settings: list[str]) -> None:
    config = preset(name).override(settings)
    for seed in range(3):
        program = legal(seed, config)
        report = check(program)
        assert report.ok, f"seed {seed}: {report.problems[0]}"
        assert golden.machine.run(program, trace=False).fault is None, f"seed {seed}"
        assert density(program).reaches(MINIMUM), f"seed {seed}: {density(program)}"
        assert density(program).cycles == report.cycles, f"seed {seed}"


@pytest.mark.parametrize(("name", "settings"), [CONFIGS[1], CONFIGS[3], CONFIGS[4], CONFIGS[7]])
def test_illegal_programs_break_the_rule_they_say(name: str, settings: list[str]) -> None:
    config = preset(name).override(settings)
    for seed in range(len(MISTAKES)):
        program, expected = illegal(seed, config)
        rules = {problem.rule for problem in check(program).problems}
        assert expected.rule in rules, f"seed {seed}, {expected.mistake}: {rules}"
        fault = golden.machine.run(program, trace=False).fault
        assert not expected.runs or fault == expected.fault, f"seed {seed}, {expected.mistake}: {fault}"


def test_every_class_of_mistakes_has_its_turn() -> None:
    found = {illegal(seed, preset("tiny"))[1].mistake for seed in range(3 * len(MISTAKES))}
    assert found == set(MISTAKES)


def test_densities_hold_for_fifty_seeds() -> None:
    found = {seed: density(legal(seed, preset("tiny"))) for seed in range(50)}
    assert not {seed: str(got) for seed, got in found.items() if not got.reaches(MINIMUM)}


def test_equal_seeds_give_equal_programs() -> None:
    config = preset("tiny")
    assert legal(3, config) == legal(3, config)
    assert legal(3, config).queues != legal(4, config).queues


def test_every_result_reaches_an_event() -> None:
    for seed in range(10):
        flow = golden.machine.run(legal(seed, preset("tiny")), trace=False).flow
        taken = flow.accumulations.product
        assert sorted(taken.tolist()) == list(range(len(flow.products.issue))), f"seed {seed}: a sum is lost"
        used = set(flow.chains.source.tolist()) | set(flow.drives.issue.tolist())
        silent = [i for i in range(len(flow.issues)) if _is_alu(flow, i) and i not in used]
        assert NONE not in used and not silent, f"seed {seed}: results of issues {silent} are lost"


def _is_alu(flow, issue: int) -> bool:  # type: ignore[no-untyped-def]
    return flow.issues.bursts[flow.issues.burst[issue]].instruction.operation.queues == ("vxm",)


def test_a_deskew_that_is_fetched_counts() -> None:
    program = legal(758, preset("tiny"))
    assert deskew_count(program) == 1
    assert not any(word & 0xFF == BY_MNEMONIC["DESKEW"].opcode for words in program.queues.values() for word in words)
