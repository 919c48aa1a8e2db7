"""IFETCH in the dispatcher, the checker and the assembler: what arrives when, and every mistake."""

import pytest

from golden.machine import run
from tsp.assembler import AssemblyError, assemble
from tsp.checker import check
from tsp.config import preset
from tsp.errors import InputError
from tsp.floorplan import floorplan
from tsp.flow.fetch import expand_program
from tsp.timing import timing

TINY = preset("tiny")
HEAD = ".config tiny\n"
# The pair passes mem.w4 in cycles 4 and 5, and its words can dispatch from cycle 9 on, one a cycle.
PAIR = """
.space prog: mem.e0[20], 2
.data x: mem.w4 int8 = [1], [2], [3]
.queue mem.e0
        READ prog, w0
        REPEAT 1, 1, 1
.queue mem.w4
@4      IFETCH w0, 2
"""


def legal(text):
    program = assemble(HEAD + text)
    report = check(program)
    assert report.ok, str(report)
    result = run(program)
    assert result.fault is None and result.cycles == report.cycles
    return program


def problems(text):
    return [f"{problem.rule} {problem.cycle} {problem.message}" for problem in check(assemble(HEAD + text)).problems]


def issued(program, queue="mem.w4"):
    """(cycle, mnemonic) of everything a queue issues, fetched or not."""
    index = floorplan(program.config).queue(queue).index
    unrolled = expand_program(program)
    return sorted((b.start, b.instruction.mnemonic) for b in unrolled.bursts if b.queue == index)


def test_words_of_a_pair_arrive_one_a_cycle():
    first = 4 + timing(TINY).ifetch_dispatch
    program = legal(PAIR + f".fetched prog\n@{first} READ x, e5\nREAD x + 1, e5\nREAD x + 2, e5\nREAD x, e6\n")
    assert issued(program) == [(4, "IFETCH"), *((first + i, "READ") for i in range(4))]


def test_a_word_lies_in_the_superlane_that_the_order_gives_it():
    program = legal(PAIR + ".fetched prog\n@9 READ 1, e5\nREAD 2, e5\nREAD 0, e5\nNOP 1\n")
    place = next(p for p in program.memory if 20 in program.memory[p].addresses)
    a, b = program.memory[place].words[-2:]
    assert [int.from_bytes(v[16 * k : 16 * k + 16].tobytes(), "little") for k in (0, 1) for v in (a, b)] == [
        0x0500_0000_0110, 0x0500_0000_0210, 0x0500_0000_0010, 0x101
    ]  # fmt: skip
    assert not any(len(words) > 4 for words in program.queues.values())


def test_what_is_missing_to_a_pair_are_nops():
    assert issued(legal(PAIR + ".fetched prog\n@9 READ x, e5\n"))[-1] == (9, "READ")


def test_a_repeat_may_be_fetched():
    program = legal(PAIR + ".fetched prog\n@9 READ x, e5\nREPEAT 2, 3, 1\n")
    reads = [b.count for b in expand_program(program).bursts if b.instruction.mnemonic == "READ"]
    assert sorted(reads) == [2, 3]


@pytest.mark.parametrize("early", [1, 2, 3])
def test_a_queue_runs_dry(early):
    text = PAIR + f".fetched prog\n@{9 - early} READ x, e5\n"
    found = problems(text)
    assert found[0].startswith(f"run_dry {9 - early} the queue has run dry: the word that IFETCH brings can dispatch")
    assert f"from cycle {9} on" in found[0]
    result = run(assemble(HEAD + text))
    assert (result.fault.name, result.fault.cycle) == ("run_dry", 9 - early)


def test_nothing_arrives():
    found = problems(PAIR.replace("REPEAT 1", "NOP 1;") + ".fetched prog\n@9 READ x, e5\n")
    assert found[0].startswith("operand_absent 5 IFETCH reads stream w0 at mem.w.1")


def test_three_vectors_are_too_many_for_two_superlanes():
    sentence = "IFETCH: n is 3, must be 1…2, as with 2 superlanes a third vector's words would meet the first's; try 2"
    with pytest.raises(AssemblyError, match=sentence):
        assemble(HEAD + PAIR.replace("IFETCH w0, 2", "IFETCH w0, 3"))
    assert sentence in "".join(problems(PAIR.replace("IFETCH w0, 2", ".word 0x200000000305")))


def test_words_of_two_fetches_of_a_site_meet():
    other = PAIR.replace("prog: mem.e0[20], 2", "prog: mem.e0[20], 4").replace("REPEAT 1, 1, 1", "REPEAT 3, 1, 1")
    other += "NOP 30\n.queue mem.w5\n@6      IFETCH w0, 2\nNOP 30\n"
    found = [text for text in problems(other) if "collision" in text]
    assert found[0].startswith("collision 6 IFETCH reads a vector in cycle 6, and its words meet those of mem.w4 of")
    assert found[0].endswith("works from cycle 8")


def test_two_queues_of_a_site_fetch_at_once():
    found = problems(PAIR + "NOP 30\n.queue mem.w6\n@5      IFETCH w0, 1\nNOP 30\n")
    assert "collision 5 IFETCH reads a vector in cycle 5" in "".join(found)


def test_a_queue_without_room():
    text = PAIR + "NOP 1\n" * 14 + ".fetched prog\nREAD x, e5\n"
    program = assemble(".config tiny queue_depth=16\n" + text)
    assert "IFETCH of 4 words into a queue with room for 2" in str(check(program))
    fault = run(program).fault
    assert (fault.name, fault.cycle) == ("illegal_instruction", 4)


@pytest.mark.parametrize("wait", [0, 500])
def test_words_that_the_program_makes_itself(wait):
    text = PAIR + f"NOP 9\n.queue mem.w6\n@4 WRITE 9, w0\n@{8 + wait} READ 9, w1\n"
    text += f".queue mem.w8\n@{10 + wait} IFETCH w1, 1\nNOP 9\n"
    with pytest.raises(InputError, match=f"p.tsp:15: mem.w8: cycle {10 + wait}: IFETCH takes a vector off w1 that the"):
        check(assemble(HEAD + text, "p.tsp"))


def test_without_the_feature():
    with pytest.raises(AssemblyError, match="IFETCH needs ifetch, but config tiny has ifetch=False"):
        assemble(".config tiny ifetch=off\n" + PAIR)


@pytest.mark.parametrize(("after", "message"), [
    (".fetched prg\nREAD x, e5", "p.tsp:10:10: 'prg' names no words of memory; did you mean 'prog'?"),
    (".fetched x\nREAD x, e5", "p.tsp:10:10: the words of mem.w4 after .fetched x: 'x' holds data already;"),
    (".fetched prog\nREAD x, e5\n.queue mem.w6\n.fetched prog\nNOP 1", "'prog' already holds words after another"),
    (".fetched prog\n" + "READ x, e5\n" * 5, "they take 4 vectors of int8, but 'prog' has 2 vectors of int8"),
    (".space one: mem.e1, 1\n.fetched one\n" + "READ x, e5\n" * 3, "but 'one' has 1 vector of int8; change its .space"),
])  # fmt: skip
def test_mistakes_of_the_directive(after, message):
    with pytest.raises(AssemblyError) as caught:
        assemble(HEAD + PAIR + after, "p.tsp")
    assert message in str(caught.value)
