"""The checker's rules of CONFIG: what may not be under way, and what must be there in every powered superlane."""

import numpy as np
import pytest
from test_checker import checked, only

from tsp.builder import Builder
from tsp.checker import check
from tsp.config import preset
from tsp.timing import timing

TINY = preset("tiny")


def test_two_at_once():
    report = checked(".queue mem.w0\n@3 CONFIG 1\n.queue mem.w1\n@3 CONFIG 1")
    assert only(report) == (
        *("config", 3, 6),
        "CONFIG in the same cycle as that of mem.w1 (line 8); only one queue may dispatch one in a cycle",
    )
    assert checked(".queue mem.w0\n@3 CONFIG 1\n.queue mem.w1\n@4 CONFIG 1").ok


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("at", range(1, 9))
def test_a_value_on_a_stream(at, p):
    report = checked(f".queue mem.w0\n@3 READ x, e0\n.queue mem.e8\n@8 WRITE 0, e0\n.queue mem.w1\n@{at} CONFIG {p}")
    # It holds from two cycles later on; a READ and a WRITE on the same side of that are not in its way.
    if 3 < at + 2 <= 8:
        assert only(report) == (
            *("config", at, 10),
            f"CONFIG holds from cycle {at + 2} on, while the value of mem.w0 (line 6) of cycle 3 is on its way to"
            " mem.e8 (line 8); works from cycle 7",
        )
    else:
        assert report.ok, str(report)


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_result_on_its_way_to_the_next_stage(at):
    chain = ".queue vxm.r0s0\n@3 NOT #1 -> next\n.queue vxm.r0s1\n@4 NOT r0 -> w0:int8\n"
    report = checked(f"{chain}.queue mem.w1\n@{at} CONFIG 1")
    assert {p.rule for p in report.problems} == ({"config"} if at == 2 else set()), str(report)


def test_a_sum_in_the_array():
    text = ".queue mem.w0\nREAD x, e0\n.queue mxm.e0.activations\n@10 ABC e0\n.queue mxm.e0.accumulate\n"
    taken = 10 + timing(TINY).abc_acc
    text += f"@{taken} ACC 0, store\n.queue mem.w1\n"
    found = {at: {p.rule for p in checked(f"{text}@{at} CONFIG 1").problems} for at in (8, 9, taken - 2, taken - 1)}
    # The ABC has no weights, and no value on its stream, whenever the CONFIG comes.
    others = {"undefined_weights", "operand_absent"}
    assert found == {8: others, 9: others | {"config"}, taken - 2: others | {"config"}, taken - 1: others}


def test_a_word_written_in_parts():
    part = ".queue mem.w0\nCONFIG 1\n@2 READ x, e4\n.queue mem.e0\n@5 WRITE {0}, e4\n.queue mem.w1\n@20 CONFIG {1}\n"
    part += ".queue mem.e0\n@22 READ {0}, e9"
    assert checked(part.format("z", 2)).ok
    assert checked(part.format(70, 1)).ok
    problem = only(checked(part.format(70, 2)))
    assert problem[:2] == ("undefined_word", 22)
    assert problem[3].startswith("READ of word 70 of mem.e0 in 2 superlanes, but mem.e0 (line 9) has written it in 1")
    whole = part.replace("CONFIG 1\n@2 READ x, e4", "READ x, e4\n@9 CONFIG 1\n@11 READ x, e4")
    assert checked(whole.replace("@5 WRITE {0}, e4", "@3 WRITE {0}, e4\n@14 WRITE {0}, e4").format(70, 2)).ok


@pytest.mark.parametrize("at, message", [
    (39, ""),
    (31, "ABC of fp16 in 2 superlanes, but its weights in mxm.e1 were loaded or installed with 1 powered"),
    (30, "ABC of fp16 in 2 superlanes, but its weights in mxm.e0 were loaded or installed with 1 powered"),
    (33, "ABC of fp16 in 2 superlanes, but its weights in mxm.e1 were loaded or installed with 1 powered"),
    (60, "is on its way to mxm.e0.accumulate"),
])  # fmt: skip
def test_fp16_products(at, message):
    """One superlane is powered two cycles after ``at``: in cycles of an LW, of IWs, of none, of an ABC and later."""
    b = Builder(TINY)
    for n, load in enumerate((30, 33)):
        slices = [f"mem.{h}{i}" for h in "we" for i in range(4, 12)]
        w = b.place_weights(f"w{n}", slices, np.ones((32, 32), int))
        b.load_weights(f"mxm.e{n}", w, 16, at=load)
        b.iw(f"mxm.e{n}", 37 if at > 33 else load + 2)
    stream = b.fetch(b.place("x", "mem.w0", [[1] * 32], "fp16"), 0, "mxm.e0.activations", at=60)
    b.acc("mxm.e0", 0, "store", at=b.abc("mxm.e0", f"{stream}:fp16", at=60))
    b.power("mem.w1", 1, at=at)
    b.power("mem.w1", 2, at=at + 1 if at < 60 else 80)
    report = check(b.build())
    found = [str(p) for p in report.problems if p.rule != "config" or at == 60]
    assert message in str(report) if message else report.ok, str(report)
    assert len(found) == bool(message), str(report)


def product(*configs, mode="store"):
    """A plane of ``tiny`` loaded in cycles 30 and 31, installed in 32, and multiplied from cycle 60 on, with CONFIGs
    (cycle, p)."""
    b = Builder(TINY)
    w = b.place_weights("w", [f"mem.{h}{i}" for h in "we" for i in range(4, 12)], np.ones((32, 32), int))
    x = b.place("x", "mem.w0", [[1] * 32])
    b.iw("mxm.e0", b.load_weights("mxm.e0", w, 16, at=30))
    for at, p in configs:
        b.power("mem.w1", p, at=at)
    for at in (60, 80) if mode == "add" else (60,):
        stream = b.fetch(x, 0, "mxm.e0.activations", at=at)
        b.acc("mxm.e0", 0, "store" if at == 60 else mode, at=b.abc("mxm.e0", stream, at=at))
    return check(b.build())


@pytest.mark.parametrize("configs, message", [
    ([], ""),
    ([(5, 1)], ""),
    ([(38, 1)], ""),
    ([(5, 1), (38, 2)], "ABC in 2 superlanes, but its weights were loaded or installed with 1 powered"),
    ([(29, 1), (38, 2)], "ABC in 2 superlanes, but its weights were loaded or installed with 1 powered"),
    ([(30, 1), (38, 2)], "ABC in 2 superlanes, but its weights were loaded or installed with 1 powered"),
    ([(31, 1), (38, 2)], ""),
])  # fmt: skip
def test_weights_of_fewer_superlanes(configs, message):
    report = product(*configs)
    if message:
        assert [problem.rule for problem in report.problems if problem.rule != "config"] == ["undefined_weights"]
        assert message in str(report)
    else:
        assert report.ok, str(report)


@pytest.mark.parametrize("configs, ok", [([], True), ([(70, 1)], True), ([(40, 1)], True), ([(40, 1), (70, 2)], False)])
def test_rows_of_fewer_superlanes(configs, ok):
    report = product(*configs, mode="add")
    assert report.ok == ok, str(report)
    if not ok:
        assert [problem.rule for problem in report.problems] == ["undefined_row"]
        assert "ACC uses row 0 in 2 superlanes, but mxm.e0.accumulate" in str(report)
        assert "has stored in it in 1 only" in str(report)
