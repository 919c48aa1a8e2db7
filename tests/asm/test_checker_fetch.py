"""The checker on programs that come from memory: words that nobody fetches, and one sentence for one mistake."""

from pathlib import Path

import golden.machine
from tsp import blame
from tsp.assembler import assemble
from tsp.checker import check
from tsp.program import Program

PROGRAM = """\
.config tiny
.data x: mem.w4 int8 = [1], [2], [3]
.space prog: mem.e0, {vectors}
.queue mem.e0
{read}  READ prog, w0
        REPEAT 1, 1, 1
.queue mem.w4
@4      {fetch}
.fetched prog
@9      READ x, e5
"""


def problems(fetch: str = "IFETCH w0, 2", read: str = "", vectors: int = 2, more: str = "") -> list[str]:
    return [str(problem) for problem in check(assemble(PROGRAM.format_map(locals()) + more, "p.tsp")).problems]


def test_words_that_are_fetched_are_legal() -> None:
    assert problems() == []


def test_words_that_no_ifetch_brings() -> None:
    lost = "mem.w4: no IFETCH brings this word and those after it; one before it must take more vectors"
    assert problems(fetch="NOP 2") == [f"p.tsp:10: {lost}"]
    more = "        NOP 1\n" * 3 + "        READ x, e6\n"
    assert problems(vectors=4, more=more) == [f"p.tsp:14: {lost}"]


def test_mistakes_of_fetched_words_have_their_lines(tmp_path: Path) -> None:
    text = PROGRAM.format(fetch="IFETCH w0, 2", read="", vectors=2) + f".word {1 << 99 | 0x101:#x}"
    program = assemble(text, "p.tsp")
    program.save(tmp_path / "p.npz")
    sentence = "p.tsp:11: mem.w4: NOP has reserved bit 99 set; bits outside its fields must be 0"
    for one in (program, Program.load(tmp_path / "p.npz")):
        assert str(check(one)) == sentence


def test_an_ifetch_that_gets_nothing_is_one_mistake() -> None:
    (late,) = problems(read="@1")
    assert late.startswith("p.tsp:8: mem.w4: cycle 4: IFETCH reads stream w0 at mem.w.1, but nothing arrives on it")


def test_words_of_zeros_are_illegal_where_nothing_else_is_wrong() -> None:
    text = ".config tiny\n.data p: mem.e0 int8 = [0], [0]\n.queue mem.e0\nREAD p, w0\nREPEAT 1, 1, 1\n"
    text += ".queue mem.w4\n@4 IFETCH w0, 2\nNOP 3\n"
    assert {problem.rule for problem in check(assemble(text)).problems} == {"illegal_instruction"}
    elsewhere = check(assemble(text + ".queue mem.e4\nREAD 0, e9\n")).problems
    assert {problem.rule for problem in elsewhere} == {"illegal_instruction", "undefined_word"}


def test_a_collision_of_fetched_words_is_blamed_on_the_second_ifetch() -> None:
    text = ".config tiny\n.data p: mem.e0 int8 = [1, 1]\n.queue mem.e0\nREAD p, w0\nREPEAT 200, 1, 0\n"
    program = assemble(text + ".queue mem.w4\n@5 IFETCH w0, 2\nNOP 1\nIFETCH w0, 2\nNOP 9\n", "p.tsp")
    result = golden.machine.run(program)
    found = blame.fault_text(program, result.flow, result.fault)
    assert found == "cycle 8: mem.w4: collision (p.tsp:9: IFETCH w0, 2)"
