"""Run an inference over a system of chips until the answer is right, or it is clear that it will not be.

The runtime aligns and measures the system, has it scheduled for what was measured, loads and starts it, waits, and
judges: a result counts only if every chip is done after the predicted cycles and none has a fault. Else it flushes and
replays; after so many replays it goes round the link that is to blame, if the programs can do without it, or a spare
takes the place of the chip that is most likely to blame, and all begins anew (docs/systems.md).
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tsp.dump import dumped_words, of_chip, shown
from tsp.errors import EXIT_MACHINE_FAULT, InputError, counted
from tsp.runtime.blame import Complaint, no_room, of_alignment, of_run, suspected_link, suspects
from tsp.runtime.log import Step, table
from tsp.runtime.machine import Alignment, Machine, Status
from tsp.spares import placed, places
from tsp.system import System
from tsp.system_check import check_system, resolve_system
from tsp.system_times import Resolved
from tsp.timing import timing

__all__ = ["Alignment", "Failed", "Machine", "Outcome", "Schedule", "Status", "Step", "most_attempts", "run", "table"]

RETRIES = 2
"""Replays before a link is left out or a chip is replaced, if nothing else is said."""
MOST_CYCLES = 1_000_000
_NO_SPARE = "there is no spare ([[chip]] with spare = true)"
_SLACK = 64
"""Cycles that starting and noticing the end may take."""

Schedule = Callable[[System], System]
"""Gives the chips of a system the programs of their places, for the latencies that were measured. InputError if it
cannot: then this choice of chips is not tried."""


class Failed(InputError):
    """The machine gave no right result. ``log``: what was done."""

    exit_code = EXIT_MACHINE_FAULT

    def __init__(self, message: str, log: Sequence[Step]):
        super().__init__(message)
        self.log = tuple(log)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """A right result.

    Attributes:
        system: what ran last: programs behind their preambles, on chips in the order of the places.
        zero: the cycle in which cycle 0 of the programs was.
        chips: place → the chip that stood there.
        cycles: place → cycles of its chip.
        attempts: how many there were, the last one with them.
        dumped: (place, what was asked for) → its elements, or the bytes of each word by name.
        log: what was done.
    """

    system: System
    zero: int
    chips: Mapping[str, str]
    cycles: Mapping[str, int]
    attempts: int
    dumped: Mapping[tuple[str, str], Any]
    log: tuple[Step, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        chips = {}
        for place, chip in self.chips.items():
            dumped = {text: value for (name, text), value in self.dumped.items() if name == place}
            chips[place] = {"chip": chip, "cycles": self.cycles[place], "dumped": dumped}
        log = [step.as_dict() for step in self.log]
        return {"zero": self.zero, "attempts": self.attempts, "chips": chips, "log": log}


def most_attempts(system: System, retries: int) -> int:
    """How many attempts there may be: the first and its replays, and as many with each spare and without each link."""
    return (retries + 1) * (1 + sum(chip.spare for chip in system.chips) + len(system.links))


def run(
    system: System, machine: Machine, schedule: Schedule, *, retries: int = RETRIES, dump: Sequence[str] = (),
    max_cycles: int = MOST_CYCLES,
) -> Outcome:  # fmt: skip
    """Run until there is a right result.

    Args:
        system: all chips of the machine, with spares; the programs of the others are what ``schedule`` may use.
        machine: it.
        schedule: see :data:`Schedule`.
        retries: replays before a link is left out or a chip is replaced.
        dump: words and symbols to read back, ``PLACE:WORDS`` as of :func:`tsp.dump.dumped_words`.
        max_cycles: of any chip; more is refused.

    Raises:
        Failed: there is no right result after all replays, round dead links and with all spares that fit.
        InputError: the question is wrong, or the system is illegal or too long with the latencies that it says.
    """
    return _Runtime(system, machine, schedule, retries, dump, max_cycles).run()


class _Runtime:
    def __init__(
        self, system: System, machine: Machine, schedule: Schedule, retries: int, dump: Sequence[str], max_cycles: int
    ):
        self.home, self.machine, self.schedule = system, machine, schedule
        self.retries, self.max_cycles = retries, max_cycles
        self.places = places(system)
        self.asked = [of_chip(system, text, self.places) for text in dump]
        self.names = list(self.places)
        self.spares = [chip.name for chip in system.chips if chip.spare]
        self.dead: tuple[str, ...] = ()
        self.log: list[Step] = []
        self.attempt = 0

    def run(self) -> Outcome:
        bare = placed(self.home, self.names)
        while True:
            found = self.attempts(bare)
            if isinstance(found, Outcome):
                return found
            bare = self.replace(found)

    def attempts(self, bare: System) -> Outcome | list[list[Complaint]]:
        """Try these chips; the result, or what was wrong with each attempt."""
        ready: Resolved | None = None
        failed: list[list[Complaint]] = []
        for _ in range(self.retries + 1):
            self.attempt += 1
            wrong: list[Complaint] = []
            if ready is None:
                wrong, measured = self.align(bare)
                if not wrong:
                    ready, wrong = self.as_measured(measured, bare)
            if ready is not None:
                wrong, status = self.once(ready)
                if not wrong:
                    return self.outcome(ready, status)
            failed.append(wrong)
            self.machine.flush()
            if any(complaint.realign for complaint in wrong):
                ready = None
        return failed

    def align(self, bare: System) -> tuple[list[Complaint], System]:
        """Align and measure; what is wrong, and the system with what was measured."""
        found = self.machine.align(bare)
        wrong = of_alignment(bare, found)
        if wrong:
            self.note("align", False, wrong[0].text)
            return wrong, bare
        links = []
        for link in bare.links:
            # The channel there comes to the second end.
            there, back = (found.latency[bare.port_name(end)] for end in link.ends[::-1])
            assert there is not None and back is not None
            links.append(dataclasses.replace(link, measured=(round(there), round(back))))
        text = f"{counted(len(bare.chips), 'chip')}, {counted(len(links), 'link')}"
        off = counted(max((link.off for link in links), default=0), "cycle")
        self.note("align", True, f"{text}, at most {off} from the nominal latency")
        return [], dataclasses.replace(bare, links=tuple(links))

    def as_measured(self, system: System, bare: System) -> tuple[Resolved | None, list[Complaint]]:
        """The system with its programs, or what is wrong if they have no room for what was measured. InputError if
        what was measured is not why, as they are illegal with the latencies of ``bare`` too."""
        try:
            return self.resolved(system), []
        except InputError as error:
            self.resolved(bare)
            wrong = no_room(system, str(error))
        self.note("schedule", False, wrong[0].text)
        return None, wrong

    def resolved(self, system: System) -> Resolved:
        """The system with its programs. InputError if it is illegal or too long."""
        scheduled = self.schedule(system)
        report = check_system(scheduled)
        if not report.ok:
            raise InputError(report.problems[0])
        if max(report.cycles) > self.max_cycles:
            raise InputError(
                f"{system.name}: a chip takes {max(report.cycles)} cycles, more than the {self.max_cycles} allowed; see"
                " --max-cycles"
            )
        found = resolve_system(scheduled)
        for place, text in self.asked:
            dumped_words(found.system.chips[place].program, text)
        return found

    def once(self, ready: Resolved) -> tuple[list[Complaint], Mapping[str, Status | None]]:
        """Load, start, wait: what is wrong, and the registers."""
        system = ready.system
        for chip in system.chips:
            self.machine.load(chip.name, chip.program)
        # Children first: a start vector that finds no one is a fault.
        for number in sorted(range(len(system.chips)), key=lambda number: -system.depth[number]):
            self.machine.start(system.chips[number].name)
        status = self.machine.wait(_limit(ready))
        wrong = of_run(ready, status)
        cycles = max(flow.cycles for flow in ready.flows)
        self.note("run", not wrong, wrong[0].text if wrong else f"every chip is done without a fault, {cycles} cycles")
        return wrong, status

    def outcome(self, ready: Resolved, status: Mapping[str, Status | None]) -> Outcome:
        dumped = {}
        for place, text in self.asked:
            chip = ready.system.chips[place]
            held = self.machine.words(chip.name, dumped_words(chip.program, text))
            dumped[self.places[place], text] = shown(chip.program, text, held)
        chips = dict(zip(self.places, self.names, strict=True))
        cycles = {place: found.cycles for place, chip in chips.items() if (found := status[chip]) is not None}
        return Outcome(ready.system, ready.zero, chips, cycles, self.attempt, dumped, tuple(self.log))

    def replace(self, failed: list[list[Complaint]]) -> System:
        """What to try next: the same chips without the link that is to blame, if its ends are joined otherwise and no
        program needs it; or a spare, if one fits, in the place of the chip that is most likely to blame."""
        cause, refused = failed[-1][0], []
        if link := suspected_link(failed):
            name = " - ".join(link)
            bare, why = self.fits(self.names, (*self.dead, *link), f"link {name} cannot be left out")
            if bare is not None:
                self.dead += link
                self.note("detour", True, f"link {name} is left out: {cause.text}")
                return bare
            refused.append(why)
        for chip in suspects(failed):
            for spare in self.spares:
                names = [spare if name == chip else name for name in self.names]
                bare, why = self.fits(names, self.dead, f"spare {spare} cannot take the place of chip {chip}")
                if bare is not None:
                    self.names = names
                    self.spares.remove(spare)
                    self.note("replace", True, f"spare {spare} takes the place of chip {chip}: {cause.text}")
                    return bare
                refused.append(why)
        # Of many that do not fit one is enough; the first is of the most suspected.
        raise Failed(self.sentence(failed, refused[:2]), self.log)

    def fits(self, names: Sequence[str], dead: tuple[str, ...], cannot: str) -> tuple[System | None, str]:
        """The system of these chips without the links of dead ports, or why there is none."""
        try:
            bare = placed(self.home, names, dead)
            self.resolved(bare)
        except InputError as error:
            return None, f"{cannot} ({error})"
        return bare, ""

    def sentence(self, failed: list[list[Complaint]], refused: Sequence[str]) -> str:
        """Why there is no result, who is to blame, and what was tried."""
        cause = failed[-1][0]
        often = sum(1 for wrong in failed if (wrong[0].text, wrong[0].link) == (cause.text, cause.link))
        who = f"link {' - '.join(cause.link)}" if cause.link else f"chip {cause.suspects[0]}"
        used = [f"with spare {chip} in the place of {place}" for place, chip in self.changed()]
        used += [f"without port {port}" for port in self.dead[::2]]
        tried = f" {' and '.join(used)}" if used else ""
        lacking = "" if self.spares else "no spare is left" if self.changed() else _NO_SPARE
        rest = "; ".join([*refused, lacking] if lacking else refused)
        return (
            f"{self.home.name}: no right result in {counted(self.attempt, 'attempt')}; {cause.text} ({often} of the"
            f" last {len(failed)}{tried}); suspected is {who}; {rest}"
        )

    def changed(self) -> list[tuple[str, str]]:
        return [(p, chip) for p, chip in zip(self.places, self.names, strict=True) if p != chip]

    def note(self, what: str, ok: bool, text: str) -> None:
        self.log.append(Step(self.attempt, what, ok, text))


def _limit(ready: Resolved) -> int:
    """Cycles in which all chips are done if nothing is wrong, counted by any clock from the start of the root on."""
    ends = []
    for flow, arrived in zip(ready.flows, ready.arrived, strict=True):
        end = max([flow.cycles, *flow.unrolled.ends.values()])
        ends.append(end + int(arrived.offset[-1]) + 2 * flow.config.hac_period + timing(flow.config).drain)
    return max(ends) + ready.system.drift(max(ends)) + _SLACK
