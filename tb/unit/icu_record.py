"""What a run of the ICU shows, and the scoreboard that holds it against :mod:`tb.unit.icu_programs`."""

import dataclasses

from tb.unit.icu_programs import Expected, Issue
from tb.unit.schedule_clock import ScheduleClock
from tsp import isa

COLLISION, RUN_DRY, ILLEGAL_INSTRUCTION, DESKEW_NEGATIVE, DRIFT_SATURATED = 1, 4, 5, 9, 10
IDLE_CYCLES = 8
"""A run is over after so many idle cycles; it would be wrong to dispatch or fault later, which these show."""


@dataclasses.dataclass
class Cycle:
    """What is visible in one cycle of the clock.

    ``issued``: queue → payload. ``fault``: queue and kind of the pulse, which belongs to the cycle before. ``asked``:
    queue and stream operand of the vectors that IFETCHes ask for. ``power``: None in a chip of one superlane.
    """

    now: int
    issued: dict[int, int]
    fault: tuple[int, int] | None
    idle: int
    hac: int
    sac: int
    delta: int
    asked: list[tuple[int, int]] = dataclasses.field(default_factory=list)
    power: int | None = None


@dataclasses.dataclass
class Run:
    """One program: the cycles from its cycle 0 on, and the number of cycles from reset to there."""

    first: int
    cycles: list[Cycle]

    def issues(self) -> list[Issue]:
        """Dispatches in schedule time."""
        found = []
        for cycle in self.cycles:
            for queue, payload in cycle.issued.items():
                instruction = isa.decode(payload)
                assert instruction is not None, f"cycle {cycle.now}: queue {queue} issued {payload:#x}"
                found.append((cycle.now, queue, instruction.mnemonic, tuple(sorted(instruction.values.items()))))
        return sorted(found)

    def faults(self, kind: int) -> dict[int, int]:
        """Cycle → queue of the fault pulses of a kind."""
        pairs = zip(self.cycles, self.cycles[1:], strict=False)
        return {before.now: after.fault[0] for before, after in pairs if after.fault and after.fault[1] == kind}


def check_steady(run: Run, want: Expected) -> None:
    """Everything that a program without DESKEW shows, also in the cycles after its end."""
    assert [cycle.now for cycle in run.cycles] == list(range(len(run.cycles))), "schedule time stood still"
    end = len(run.cycles)
    check_issues(run, [issue for issue in want.issues if issue[0] < end])
    check_payloads(run, {place: word for place, word in want.payloads.items() if place[0] < end})
    faults = {cycle: queue for cycle, queue in want.illegal.items() if cycle < end - 1}
    check_faults(run, ILLEGAL_INSTRUCTION, faults)
    idle = [cycle.now for cycle in run.cycles if cycle.idle]
    assert idle == ([] if want.end is None else list(range(want.end, end))), f"idle in {idle}, must be from {want.end}"


def check_drifting(run: Run, want: Expected, clock: ScheduleClock) -> None:
    """Everything that a legal program with DESKEWs shows while the HAC drifts, and the counters in every cycle."""
    while clock.cycle < run.first:
        clock.tick()
    clock.begin()
    for number, cycle in enumerate(run.cycles):
        seen, must = (cycle.now, cycle.hac, cycle.sac, cycle.delta), clock.shown()
        assert seen == must, f"cycle {number}: (now, HAC, SAC, delta) are {seen}, must be {must}"
        clock.tick()
    check_issues(run, want.issues)
    check_faults(run, DESKEW_NEGATIVE, clock.negative)
    check_faults(run, ILLEGAL_INSTRUCTION, want.illegal)
    idle = next((cycle.now for cycle in run.cycles if cycle.idle), None)
    assert idle == want.end, f"idle from {idle}, must be from {want.end}"


def check_issues(run: Run, want: list[Issue]) -> None:
    """The same instructions in the same cycles; the first difference is told."""
    seen = run.issues()
    for ours, theirs in zip(want, seen, strict=False):
        assert ours == theirs, f"issued {theirs}, must be {ours}"
    assert len(seen) == len(want), f"{len(seen)} instructions were issued, must be {len(want)}"


def check_payloads(run: Run, want: dict[tuple[int, int], tuple[int, int]]) -> None:
    """Every bit of an instruction that is known, also those that it does not name."""
    seen = {(cycle.now, queue): payload for cycle in run.cycles for queue, payload in cycle.issued.items()}
    for place, (word, known) in want.items():
        found = seen[place] & known
        assert found == word, f"(cycle, queue) {place}: issued {found:#x}, must be {word:#x}, of bits {known:#x}"


def check_faults(run: Run, kind: int, want: dict[int, int]) -> None:
    """The faults of a kind by their cycle, with the queue that is blamed."""
    seen = run.faults(kind)
    assert seen == want, f"faults of kind {kind} (cycle: queue) are {seen}, must be {want}"
