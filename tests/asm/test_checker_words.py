"""The checker's rules of single words and of whole queues, on words that no assembler would write."""

import pytest

from tsp import isa
from tsp.checker import Report, check
from tsp.config import preset
from tsp.errors import InputError
from tsp.floorplan import floorplan
from tsp.program import Program


def words(config_name: str, queue: str, *items: isa.Instruction | int, **settings: int) -> Report:
    """The report on a program of encoded words in one queue."""
    config = preset(config_name).override([f"{name}={value}" for name, value in settings.items()])
    encoded = [item if isinstance(item, int) else item.encode() for item in items]
    return check(Program(config, {floorplan(config).queue(queue).index: encoded}))


ADD = isa.instruction("ADD", a_kind=2, b_kind=2, to_stream=1)


@pytest.mark.parametrize(
    ("queue", "item", "message"),
    [
        ("mem.e0", 0xFF, "opcode 0xff is no instruction"),
        ("mem.e0", ADD, "ADD is no instruction of a mem queue; it takes NOP, REPEAT,"),
        ("mem.e0", isa.instruction("REPEAT", n=1, d=1), "REPEAT must follow an instruction that can repeat"),
        ("mem.e0", isa.instruction("NOP", n=0), "NOP: n is 0, must be 1…65535; try 1"),
        ("mem.e0", isa.instruction("WRITE", write_address=128), "write_address is 128, must be 0…127; try 127"),
        (
            "mxm.e0.activations",
            isa.instruction("ABC", stream=32 + 3),
            "stream is w3, but mxm.e0.activations reads eastward",
        ),
        ("mxm.w0.activations", isa.instruction("ABC", stream=3), "stream is e3, but mxm.w0.activations reads westward"),
        ("mxm.e0.accumulate", isa.instruction("ACC", stream=4, out=1), "drives westward (w…) streams only"),
        (
            "mxm.e0.accumulate",
            isa.instruction("ACC", stream=32 + 6, out=1),
            "stream is w6, but a group of 4 begins at a multiple of 4; try w4",
        ),
        ("mxm.e0.weights", isa.instruction("LW", stream=8), "a group of 16 begins at a multiple of 16; try e0"),
        ("mxm.e0.weights", isa.instruction("LW", supercell=2), "supercell is 2, must be 0…1; try 1"),
        ("vxm.r0s0", isa.instruction("NOT", to_stream=1), "operand a comes from nowhere"),
        ("vxm.r0s0", isa.instruction("NOT", a_kind=3, a_source=2, to_stream=1), "a_source is 2, must be 0…1; try 1"),
        (
            "vxm.r0s0",
            isa.instruction("NOT", a_kind=2, to_stream=1, type=4),
            "type is 4, must be 0…2 (int8, int16, int32)",
        ),
        ("vxm.r0s0", isa.instruction("NOT", a_kind=2, to_stream=1, type=1, stream=7), "try e6"),
    ],
)
def test_illegal_words(queue, item, message):
    report = words("tiny", queue, item)
    assert [problem.rule for problem in report.problems] == ["illegal_instruction"], str(report)
    assert message in report.problems[0].message
    assert report.problems[0].where == f"{queue} word 0"


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (
            isa.instruction("EXP", a_kind=2, to_next=1, float=1),
            "EXP needs vxm_float, which config tiny does not have",
        ),
        (
            isa.instruction("ABS", a_kind=2, to_next=1, float=1),
            "float is 1, but config tiny has vxm_float=",
        ),
        (
            isa.instruction("CONVERT", a_kind=2, to_next=1, type=4),
            "type is 4, must be 0…2 (int8, int16, int",
        ),
    ],
)
def test_floating_point_without_the_feature(item, message):
    report = words("tiny", "vxm.r0s0", item, vxm_float=False)
    assert [problem.rule for problem in report.problems] == ["illegal_instruction"], str(report)
    assert message in report.problems[0].message


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (isa.instruction("EXP", a_kind=2, to_next=1), "EXP: it computes in fp32 only, so float must be 1"),
        (
            isa.instruction("XOR", a_kind=2, b_kind=2, to_next=1, float=1),
            "XOR: it computes in int32 only, so float must",
        ),
        (
            isa.instruction("ABS", a_kind=2, to_stream=1, float=1, type=2),
            "type is 2, must be 3…4 (fp16, fp32) when float is 1",
        ),
        (
            isa.instruction("ABS", a_kind=1, a_type=3, to_next=1),
            "a_type is 3, must be 0…2 (int8, int16, int32) when fl",
        ),
        (
            isa.instruction("MASK", a_kind=1, a_type=4, b_kind=1, b_type=4, to_next=1, float=1),
            "b_type is 4, must be 0…2 (int8, int16, int32)",
        ),
        (
            isa.instruction("LT", a_kind=2, b_kind=2, float=1, type=4, to_stream=1),
            "type is 4, must be 0…2 (int8, int16, int32)",
        ),
        (
            isa.instruction("CONVERT", a_kind=2, type=5, to_next=1),
            "type is 5, must be 0…4 (int8, int16, int32, fp16, fp",
        ),
        (isa.instruction("NEG", a_kind=1, a_type=3, a_source=1, float=1, to_next=1), "a group of 2 begins at a multi"),
    ],
)
def test_illegal_floating_point(item, message):
    report = words("tiny", "vxm.r0s0", item, vxm_float=True)
    assert [problem.rule for problem in report.problems] == ["illegal_instruction"], str(report)
    assert message in report.problems[0].message


def test_streams_of_a_smaller_chip():
    report = words("tiny", "mem.e0", isa.instruction("WRITE", write_stream=31), streams=16)
    assert "write_stream is e31, but streams are e0…e15; try e15" in report.problems[0].message


def test_a_chip_without_multipliers():
    report = words(
        "tiny", "vxm.r0s0", isa.instruction("MUL", a_kind=2, b_kind=2, to_stream=1), vxm_mul_bits=0, vxm_float=0
    )
    assert [problem.message for problem in report.problems] == [
        "MUL needs vxm_mul_bits, which config tiny does not have"
    ]


def test_repeat_out_of_range():
    report = words("tiny", "vxm.r0s0", ADD, isa.instruction("REPEAT", n=3, d=1, step_a=1))
    assert [problem.rule for problem in report.problems] == ["ignored_step"]
    read = isa.instruction("READ", read_address=126)
    report = words("tiny", "mem.e0", read, isa.instruction("REPEAT", n=5, d=3, step_a=1))
    rules = {problem.rule: problem for problem in report.problems}
    assert set(rules) == {"illegal_instruction", "undefined_word"}
    assert rules["illegal_instruction"].cycle == 6
    assert rules["illegal_instruction"].message.endswith("; n = 1 is the most that fits")


@pytest.mark.parametrize(
    ("queue", "item", "rule", "message"),
    [
        ("vxm.r0s0", isa.instruction("ADD", a_kind=2, b_kind=2), "no_result", "the result of ADD goes nowhere"),
        ("mem.e0", isa.instruction("NOP", n=1).encode() | 1 << 99, "reserved_bits", "NOP has reserved bit 99 set"),
    ],
)
def test_pointless_words(queue, item, rule, message):
    report = words("tiny", queue, item)
    assert [problem.rule for problem in report.problems] == [rule]
    assert message in report.problems[0].message


@pytest.mark.parametrize("mode", [isa.AccMode.PASS, isa.AccMode.PEEK])
def test_pass_and_peek_need_a_stream(mode):
    report = words("tiny", "mxm.e0.accumulate", isa.instruction("ACC", mode=int(mode)))
    assert any(problem.rule == "no_result" and mode.name.lower() in problem.message for problem in report.problems)


def test_a_program_larger_than_its_queue():
    report = words("tiny", "mem.e0", *[isa.instruction("NOP", n=1)] * 20, queue_depth=16)
    assert [(p.rule, p.message) for p in report.problems] == [
        ("queue_depth", "the queue has 20 words but holds 16 (queue_depth); 4 too many")
    ]


def test_a_queue_that_does_not_exist():
    report = check(Program(preset("board"), {500: [0]}))
    assert [problem.rule for problem in report.problems] == ["unknown_queue"]


def test_a_program_too_long_to_analyse():
    turn = [isa.instruction("WRITE").encode(), isa.instruction("REPEAT", n=65535, d=1).encode()]
    with pytest.raises(InputError, match="at most 8388608 can be analysed"):
        check(Program(preset("tiny"), {27: turn * 200}))
