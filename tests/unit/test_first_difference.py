"""The search for the first difference, with a machine that is wrong in one known instruction."""

from collections.abc import Sequence

import golden.machine
from tb.first_difference import beginning, first_difference
from tb.machine import RtlResult
from tsp import isa
from tsp.config import preset
from tsp.dispatch import Burst, unroll
from tsp.flow.fetch import expand_program
from tsp.program import Program
from tsp.randprog import legal

CONFIG = preset("tiny").override(["ifetch=off"])


def answer(program: Program, want: golden.machine.Result) -> RtlResult:
    """What a chip that behaves like the golden model answers."""
    result = golden.machine.run(program)
    memory = {
        (place, word): result.words(place, [word])[0]
        for place, image in want.written.items()
        for word in image.addresses.tolist()
    }
    tiles = result.tile_signatures
    assert tiles is not None
    sums = dict(enumerate(tiles.sum(axis=1).tolist()))
    return RtlResult(True, result.cycles, None, memory, sums, tiles, 0, 0.0, 0.0, 0, 0, 0)


def broken(program: Program, queue: int, index: int) -> Program:
    """The program with one READ that reads another stream's word: its stream number differs by one."""
    queues = {q: list(words) for q, words in program.queues.items()}
    if index < len(queues.get(queue, [])):
        queues[queue][index] ^= 1 << isa.BY_MNEMONIC["READ"].field("read_stream").lo
    return Program(program.config, queues, program.memory)


def victim(program: Program) -> Burst:
    """A READ in the middle of the program."""
    reads = [b for b in unroll(dict(program.queues), CONFIG).bursts if b.instruction.mnemonic == "READ"]
    return sorted(reads, key=lambda burst: burst.start)[len(reads) // 2]


def test_names_the_instruction_that_went_wrong() -> None:
    for seed in (2, 3, 4):
        program = legal(seed, CONFIG)
        burst = victim(program)

        def run(
            programs: Sequence[Program], wants: Sequence[golden.machine.Result], burst: Burst = burst
        ) -> list[RtlResult]:
            wrong = [broken(part, burst.queue, burst.index) for part in programs]
            return [answer(part, want) for part, want in zip(wrong, wants, strict=True)]

        found = first_difference(program, run)
        assert found is not None and found.startswith(f"right up to cycle {burst.start - 1};"), f"seed {seed}: {found}"
        assert f"{program.where(burst.queue, burst.index)} in cycle {burst.start}: READ" in found, f"seed {seed}"


def test_finds_nothing_where_nothing_differs() -> None:
    def run(programs: Sequence[Program], wants: Sequence[golden.machine.Result]) -> list[RtlResult]:
        return [answer(part, want) for part, want in zip(programs, wants, strict=True)]

    assert first_difference(legal(1, CONFIG), run) is None


def test_beginnings_dispatch_exactly_what_comes_before() -> None:
    program = legal(5, CONFIG)
    whole = unroll(dict(program.queues), CONFIG)
    for end in (0, 1, 20, 50, 77, 10_000):
        part = unroll(dict(beginning(program, whole, end).queues), CONFIG)
        assert _issues(part.bursts, 10_000) == _issues(whole.bursts, end), f"end {end}"
        assert not part.mistakes, f"end {end}"


def _issues(bursts: Sequence[Burst], end: int) -> list[tuple[int, int]]:
    times = [(b.queue, b.start + i * b.interval) for b in bursts for i in range(b.count)]
    return sorted(issue for issue in times if issue[1] < end)


def test_of_a_program_that_fetches_it_says_that_it_does_not_know() -> None:
    config = preset("tiny")
    programs = (legal(seed, config) for seed in range(20))
    fetching = next(program for program in programs if expand_program(program).fetches)
    found = first_difference(fetching, lambda programs, wants: [])
    assert found is not None and "it fetches instructions" in found
