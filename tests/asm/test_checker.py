"""Every rule of the checker: a program that breaks it, and what is said. Lines count from the ``.config`` line."""

import re
import textwrap

import pytest

from golden.machine import run
from tsp.assembler import assemble
from tsp.checker import check
from tsp.flow import KINDS

DATA = """\
.data x: mem.w0[0] int8 = 1
.data y: mem.w1[0] int8 = 2
.data z: mem.e0[0] int8 = 3
"""


def checked(text):
    """The report on a program for ``tiny`` that has x, y and z in memory; its text begins on line 5."""
    return check(assemble(f".config tiny\n{DATA}{textwrap.dedent(text).strip()}\n", "p.tsp"))


def only(report):
    """(rule, cycle, line, message) of the one problem there is."""
    assert len(report.problems) == 1, str(report)
    problem = report.problems[0]
    line = int(re.match(r"p\.tsp:(\d+): ", problem.where)[1])
    return problem.rule, problem.cycle, line, problem.message


def test_a_legal_program_and_its_cycles():
    report = checked(
        """
        .queue mem.w0
        READ x, e4
        .queue mem.e0
        @3 WRITE 5, e4
        """
    )
    assert report.ok and report.cycles == 4 and str(report) == "legal, 4 cycles"


def test_collision_names_both_and_the_next_free_cycle():
    report = checked(
        """
        .queue mem.w0
        @410 READ x, e7
        .queue mem.w1
        @410 READ y, e7
        REPEAT 2, 1
        """
    )
    assert str(report) == (
        "p.tsp:6: mem.w0: cycle 412: stream e7 at mem.w.0 already carries the value read by mem.w1 (line 8); "
        "free from cycle 415 (dispatched in 413)"
    )


def test_a_bursts_collision_is_told_once_and_free_for_the_whole_burst():
    report = checked(
        """
        .data more: mem.w2[0] int8 = 1
        .queue mem.w0
        READ x, e7
        REPEAT 3, 2
        .queue mem.w1
        READ y, e7
        REPEAT 3, 4
        """
    )
    # e7 is taken in 2, 6, 10 and 14; four values two apart fit between them one cycle later.
    assert only(report)[1:3] == (2, 7)
    assert only(report)[3].endswith("free from cycle 3 (dispatched in 1)")


@pytest.mark.parametrize(
    ("text", "cycle", "line", "message"),
    [
        (
            ".queue mem.w0\nREAD x, e4\n.queue mem.e4\n@9 WRITE 0, e4",
            *(9, 8, "WRITE reads stream e4 at mem.e.1, but nothing arrives on it; the nearest value there is that of"),
        ),
        (".queue mem.e4\n@9 WRITE 0, e4", 9, 6, "nothing drives e4"),
        (
            ".queue mem.w0\nREAD x, e4\n.queue mem.e4\n@4 WRITE 0, w4",
            4,
            8,
            "e4 carries the value of mem.w0 (line 6) there",
        ),
        (
            ".queue mem.e0\nREAD z, e4\n.queue mem.w0\n@4 WRITE 0, e4",
            4,
            8,
            "mem.e0 (line 6) drives e4, but from this site on",
        ),
        (
            ".queue mem.w0\nREAD x, e4\n.queue vxm.r0s0\n@2 ADD e4:int16, #1 -> e0:int8",
            *(2, 8, "ADD reads stream e5 at vxm, but nothing arrives on it"),
        ),
        (
            ".queue vxm.r0s0\nADD #1, #1 -> next\n.queue vxm.r0s1\n@2 ADD r0, #1 -> e0:int8",
            *(2, 8, "it dispatches nothing then; the result of cycle 0 can be taken in cycle 1"),
        ),
        (
            ".queue vxm.r0s0\nADD #1, #1 -> e1:int8\n.queue vxm.r0s1\n@1 ADD #1, r0 -> e0:int8",
            *(1, 8, "operand b takes the result of vxm.r0s0 of cycle 0, but vxm.r0s0 (line 6) does not hand it"),
        ),
        (".queue mxm.e0.accumulate\n@9 ACC 0, store", 9, 6, "no ABC was dispatched 4 cycles earlier"),
    ],
)
def test_operand_absent(text, cycle, line, message):
    found = only(checked(text))
    assert found[:3] == ("operand_absent", cycle, line)
    assert message in found[3]


def test_sums_and_weights():
    report = checked(
        """
        .queue mem.e0
        READ z, e0
        .queue mxm.e0.activations
        @5 ABC e0
        .queue mxm.e0.accumulate
        @8 ACC 0, store
        @9 ACC 3, add
        """
    )
    assert [(p.rule, p.cycle) for p in report.problems] == [
        ("undefined_weights", 5),
        ("operand_absent", 8),
        ("undefined_row", 9),
    ]
    weights, absent, row = (problem.message for problem in report.problems)
    assert weights == "ABC before any IW: the weights are undefined; load them with LW and install them with IW"
    assert absent.endswith("the nearest sum is that of mxm.e0.activations (line 8), to be taken in cycle 9")
    assert row == "ACC add uses row 3, which no ACC has stored in before; store would work"


def test_weights_installed_too_late_or_in_part():
    late = checked(".queue mem.e0\nREAD z, e0\n.queue mxm.e0.activations\n@5 ABC e0\n.queue mxm.e0.weights\n@5 IW")
    assert only(late)[3] == "ABC before any IW: the weights are undefined; works from cycle 6"
    part = checked(".queue mem.e0\nREAD z, e0\n.queue mxm.e0.activations\n@5 ABC e0\n.queue mxm.e0.weights\n@4 IW")
    assert only(part)[0] == "undefined_weights"
    assert "mxm.e0.weights (line 10) installed in cycle 4, but no LW had loaded supercell 0 by cycle 3" in only(part)[3]


PAIRED = """
.queue mem.e0
READ z, e0
.queue mem.e1
READ 0, e1
.data mem.e1[0] int8 = 4
"""


def test_two_users_of_a_plane():
    """Both planes multiply fp16, and plane 1 int8 in the same cycle."""
    text = f"{PAIRED}.queue mxm.e0.activations\n@5 ABC e0:fp16\n.queue mxm.e1.activations\n@5 ABC e0\n@6 NOP 1"
    found = {problem.message for problem in checked(text).problems if problem.rule == "collision"}
    assert found == {
        "ABC of fp16 multiplies with both planes, but mxm.e1.activations (line 13) multiplies with mxm.e1 in this "
        "cycle; both are free in cycle 6"
    }


def test_fp16_needs_the_weights_of_both_planes():
    text = f"{PAIRED}.queue mxm.e0.activations\n@5 ABC e0:fp16\n.queue mxm.e1.weights\n@5 IW"
    report = checked(text)
    assert [problem.message for problem in report.problems] == [
        "ABC of fp16 before any IW of mxm.e0: its weights are undefined; load them with LW and install them with IW",
        "ABC of fp16 before any IW of mxm.e1: its weights are undefined; works from cycle 6",
    ]


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("e0", "e0:fp16", "ACC add adds fp32 to row 3, where mxm.e0.accumulate (line 9) left int32; store would work"),
        ("e0:fp16", "e0", "ACC add adds int32 to row 3, where mxm.e0.accumulate (line 9) left fp32; store would work"),
        ("e0:fp16", "e0:fp16", None),
    ],
)
def test_a_row_holds_sums_of_one_type(first, second, message):
    text = f".queue mxm.e0.activations\n@5 ABC {first}\nABC {second}\n"
    report = checked(f"{text}.queue mxm.e0.accumulate\n@9 ACC 3, store\nACC 3, add")
    found = [problem.message for problem in report.problems if problem.rule == "row_type"]
    assert found == ([] if message is None else [message])


def test_undefined_words():
    never = checked(".queue mem.w0\nREAD 5, e4")
    assert only(never)[:3] == ("undefined_word", 0, 6)
    late = checked(
        ".queue mem.w0\nREAD x, e4\n.queue mem.e0\n@3 READ 70, e5 & WRITE 9, e4\n@4 READ 9, e5\n@5 READ 71, e5"
    )
    assert [problem.message.split(",")[0] for problem in late.problems] == [
        "READ of word 70 of mem.e0",
        "READ of word 71 of mem.e0",
    ]
    same = checked(".queue mem.w0\nREAD x, e4\n.queue mem.e1\n@2 READ 70, e5\n@3 WRITE 70, e4")
    assert only(same)[3].endswith("mem.e1 (line 9) writes it, readable from cycle 4")


def test_bank_conflict():
    report = checked(".queue mem.w0\nREAD x, e4\n.queue mem.e0\n@3 READ z, e9 & WRITE 63, e4")
    assert only(report) == (
        *("bank_conflict", 3, 8),
        "READ of word 0 and WRITE of word 63 in one cycle are in one bank; one must be in 64…127",
    )


def test_barriers():
    report = checked(".queue mem.w0\nSYNC\n.queue mem.w1\n@50 NOTIFY\n@60 NOTIFY\n@61 SYNC\n.queue mem.w2\n@80 SYNC")
    # tiny has 11 sites, so a barrier takes 19 cycles: 50 and 60 release at 69 and 79.
    assert [(p.rule, p.cycle) for p in report.problems] == [("notify", 60), ("sync", 80)]
    assert "works from cycle 69" in report.problems[0].message
    assert report.problems[1].message.endswith("some queue must dispatch a NOTIFY in cycle 62 or later")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (".queue mem.w0\n@3 DESKEW\n.queue mem.w1\n@100 NOP 1", "mem.w1 is busy until cycle 101"),
        (".queue mem.w0\n@3 DESKEW\n.queue mem.w1\n@3 RUNTIME_DESKEW 4", "mem.w1 is busy"),
        (".queue mem.w0\n@3 RUNTIME_DESKEW 5\n.queue mem.w1\n@3 RUNTIME_DESKEW 4", "mem.w1 is busy"),
        (".queue mem.w0\n@3 RUNTIME_DESKEW 5\n.queue mem.w1\n@5 DESKEW", "mem.w1 is busy"),
        (".queue mem.w0\n@1 DESKEW\n.queue mem.w1\nREAD y, e0\nREPEAT 1, 5", "mem.w1 is busy until cycle 6"),
        (".queue mem.w0\nREAD x, e0\n@1 DESKEW", "before the result of mem.w0 (line 6) is out; works from cycle 2"),
        (
            ".queue mem.w0\nNOTIFY\n@2 DESKEW\n.queue mem.w1\nSYNC",
            "while the NOTIFY of mem.w0 (line 6) is under way; works from cycle 19",
        ),
        (
            ".queue mem.w0\nREAD x, e0\n@3 DESKEW\n.queue mem.e8\n@3 DESKEW\n@5 WRITE 0, e0",
            "while the value of mem.w0 (line 6) is on its way to mem.e8 (line 10); works after cycle 5",
        ),
    ],
)
def test_deskew(text, message):
    report = checked(text)
    assert {problem.rule for problem in report.problems} == {"deskew"}, str(report)
    assert any(message in problem.message for problem in report.problems), str(report)


@pytest.mark.parametrize(
    "text",
    [
        ".queue mem.w0\n@3 DESKEW\nREAD x, e0\nNOTIFY\n.queue mem.w1\n@2 SYNC",
        ".queue mem.w0\nREAD x, e0\n@2 DESKEW\n@3 READ x, e0",
        ".queue mem.w0\n@3 RUNTIME_DESKEW 4\n.queue mem.w1\n@3 RUNTIME_DESKEW 4\n",
        ".queue mem.w0\nNOTIFY\n@19 DESKEW\n.queue mem.w1\nSYNC\nDESKEW",
    ],
)
def test_legal_deskew(text):
    report = checked(text)
    assert report.ok, str(report)


def test_what_the_machine_faults_on_the_checker_finds_in_the_same_cycle():
    for text in (
        ".queue mem.w0\nREAD x, e7\n.queue mem.w1\nREAD y, e7",
        ".queue mem.e4\n@9 WRITE 0, e4",
        ".queue mem.w0\nREAD x, e4\n.queue mem.e0\n@3 READ z, e9 & WRITE 63, e4",
        ".queue mem.w0\nREAD x, e4\n.word 0xff",
    ):
        program = assemble(f".config tiny\n{DATA}{text}\n", "p.tsp")
        fault = run(program).fault
        assert fault is not None
        assert (KINDS[fault.kind], fault.cycle) in {(p.rule, p.cycle) for p in check(program).problems}
