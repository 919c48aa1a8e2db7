"""Run a system of chips on the golden model or its RTL, and say what became of each."""

import contextlib
import dataclasses
import time
from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from golden.machine import Result
from golden.system import run_system
from tsp.blame import fault_name, fault_text
from tsp.dump import Memory, Word, defined, dumped_words, of_chip, shown
from tsp.errors import EXIT_DIFFERS, EXIT_MACHINE_FAULT, EXIT_RIGHT, InputError, nearest
from tsp.floorplan import floorplan
from tsp.flow import Fault
from tsp.run import BACKENDS, MAX_CYCLES, Refused, SimulatorFailed, clock_limit
from tsp.start import started
from tsp.system import System
from tsp.system_check import check_system

_START_EPOCHS = 64
"""Epochs after which every chip has been started, for how long RTL may take."""


@dataclasses.dataclass(frozen=True)
class ChipResult:
    """What became of a chip: its cycles (last event + 1), first fault, signatures, and whether it finished."""

    cycles: int
    fault: Fault | None
    signature: dict[str, int]
    done: bool = True


@dataclasses.dataclass(frozen=True)
class SystemResult:
    """What a run left behind.

    Attributes:
        system: with what was run: programs behind their preambles.
        on: one of :data:`tsp.run.BACKENDS`.
        zero: the cycle in which cycle 0 of the programs was.
        predicted: cycles of each chip computed before the run.
        expected: the golden model's results; ``results``: those of the machine that was asked for.
        dumped: (chip, what was asked for) → its elements, or the bytes of each word by name.
        seconds: wall clock.
    """

    system: System
    on: str
    zero: int
    predicted: list[int]
    expected: list[Result]
    results: list[ChipResult]
    dumped: dict[tuple[str, str], Any]
    seconds: float

    @property
    def faults(self) -> dict[str, str]:
        """Chip → its first fault as a sentence."""
        return {
            chip.name: fault_text(chip.program, expected.flow, result.fault)
            for chip, expected, result in zip(self.system.chips, self.expected, self.results, strict=True)
            if result.fault is not None
        }

    @property
    def differing(self) -> list[str]:
        """Chips that did not finish, or whose cycles or events are not those foretold."""
        rows = zip(self.system.chips, self.results, self.predicted, self.expected, strict=True)
        return [
            chip.name
            for chip, result, cycles, expected in rows
            if not result.done or result.cycles != cycles or result.signature != expected.signature
        ]

    @property
    def exit_code(self) -> int:
        """3 if a chip latched a fault, 1 if anything differs from the prediction, otherwise 0."""
        if self.faults:
            return EXIT_MACHINE_FAULT
        return EXIT_DIFFERS if self.differing else EXIT_RIGHT

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        chips = {}
        for chip, result, predicted in zip(self.system.chips, self.results, self.predicted, strict=True):
            chips[chip.name] = {
                "cycles": result.cycles,
                "predicted_cycles": predicted,
                "done": result.done,
                "fault": None if result.fault is None else fault_name(result.fault, chip.config),
                "signature": {name: f"{value:016x}" for name, value in result.signature.items()},
                "dumped": {text: value for (name, text), value in self.dumped.items() if name == chip.name},
            }
        return {"on": self.on, "zero": self.zero, "chips": chips, "seconds": self.seconds}

    def table(self) -> Table:
        """A row for each chip."""
        found = Table("chip", "config", "cycles", "predicted", "sent", "received", "fault")
        for column in found.columns[2:6]:
            column.justify = "right"
        rows = zip(self.system.chips, self.results, self.predicted, self.expected, strict=True)
        for chip, result, predicted, expected in rows:
            counts = int(expected.flow.sends.goes.sum()), int((expected.arrived.send >= 0).sum())
            cells = (result.cycles, predicted, *counts)
            fault = "" if result.fault is None else fault_name(result.fault, chip.config)
            found.add_row(chip.name, chip.config.name, *map(str, cells), fault)
        return found


def run_checked(
    system: System, *, on: str = "golden", checked: bool = True, dump: Sequence[str] = (), max_cycles: int = MAX_CYCLES
) -> SystemResult:
    """Run a system.

    Args:
        on: one of :data:`tsp.run.BACKENDS`.
        checked: refuse what the checker refuses.
        dump: words and symbols to read back, ``CHIP:WORDS`` as of :func:`tsp.dump.dumped_words`.
        max_cycles: of any chip; more is refused.

    Raises:
        InputError: the question is wrong, the system is illegal (:class:`tsp.run.Refused`) or takes too long, or a
            simulator is missing or broke off (:class:`tsp.run.SimulatorFailed`).
    """
    if on not in BACKENDS:
        raise InputError(f"unknown machine '{on}'{nearest(on, BACKENDS)}")
    asked = [of_chip(system, text) for text in dump]
    for chip, words_of in asked:
        dumped_words(system.chips[chip].program, words_of, system.chips[chip].name)
    report = check_system(system)
    if checked and not report.ok:
        raise Refused(str(report))
    if max(report.cycles) > max_cycles:
        raise InputError(
            f"{system.name}: a chip takes {max(report.cycles)} cycles, more than the {max_cycles} allowed; see"
            " --max-cycles"
        )
    begun, zero = started(system)
    began = time.perf_counter()
    expected = run_system(system)
    predicted = [result.flow.cycles for result in expected] if not report.ok else report.cycles
    words = [_known(begun, expected, chip, text) for chip, text in asked]
    if on == "golden":
        results = [ChipResult(found.cycles, found.fault, found.signature) for found in expected]
        held = [
            {word: expected[chip].words(word[0], [word[1]])[0] for word in known}
            for (chip, _), known in zip(asked, words, strict=True)
        ]
    else:
        wanted: list[set[Word]] = [set() for _ in system.chips]
        for (chip, _), known in zip(asked, words, strict=True):
            wanted[chip] |= known
        results, memories = _on_rtl(begun, expected, on, wanted)
        held = [{word: memories[chip][word] for word in known & memories[chip].keys()}
                for (chip, _), known in zip(asked, words, strict=True)]  # fmt: skip
    seconds = time.perf_counter() - began
    dumped = {
        (system.chips[chip].name, text): shown(begun.chips[chip].program, text, found)
        for (chip, text), found in zip(asked, held, strict=True)
    }
    return SystemResult(begun, on, zero, predicted, expected, results, dumped, seconds)


def worst_clocks(system: System) -> list[int]:
    """How far the clock of each chip is from nominal, in ppm: by turns as far as they may be."""
    return [system.ppm * (1, -1)[number % 2] for number in range(len(system.chips))]


@contextlib.contextmanager
def simulating(system: System, on: str) -> Iterator[None]:
    """Say what takes so long, and turn failures of the simulator into :class:`tsp.run.SimulatorFailed`."""
    from tb import simulator

    simulator.tool(on)
    waiting = f"building the RTL of {len(system.chips)} chips for {on} (minutes, once), aligning and running them"
    try:
        with Console(stderr=True).status(waiting):
            yield
    except (simulator.BuildFailed, simulator.TestsFailed) as error:
        raise SimulatorFailed(f"{on}: {error}") from error


def _on_rtl(
    begun: System, expected: list[Result], on: str, wanted: list[set[Word]]
) -> tuple[list[ChipResult], list[Memory]]:
    """Run it with clocks and jitter as bad as they may be."""
    from tb.link import chips
    from tb.machine import Job

    jobs = [
        Job(chip.program, clock_limit(result.flow) + _START_EPOCHS * chip.config.hac_period, read=sorted(words))
        for chip, result, words in zip(begun.chips, expected, wanted, strict=True)
    ]
    with simulating(begun, on):
        found = chips.run(begun.wired, jobs, chips.Wires(ppm=worst_clocks(begun)), on).chips
    slices = floorplan(begun.chips[0].config).slices
    results = []
    for chip in found:
        fault = None if chip.fault is None else Fault(chip.fault.cycle, chip.fault.queue, chip.fault.kind)
        signature = {slices[place].name: value for place, value in chip.signatures.items()}
        results.append(ChipResult(chip.cycles, fault, signature, chip.done))
    return results, [chip.memory for chip in found]


def _known(begun: System, expected: list[Result], chip: int, text: str) -> set[Word]:
    """The words asked for that are defined after the run."""
    program, result = begun.chips[chip].program, expected[chip]
    return set(dumped_words(program, text)) & defined(program, result.flow, result.written, result.fault)
