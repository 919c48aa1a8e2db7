"""Run a system of chips on the golden model, and say what became of each."""

import dataclasses
import time
from collections.abc import Sequence
from typing import Any

from rich.table import Table

from golden.machine import Result
from golden.system import run_system
from tsp.blame import fault_name, fault_text
from tsp.dump import defined, dumped_words, elements, superlanes
from tsp.errors import EXIT_DIFFERS, EXIT_MACHINE_FAULT, EXIT_RIGHT, InputError
from tsp.floorplan import floorplan
from tsp.program import Program
from tsp.run import MAX_CYCLES, Refused
from tsp.start import started
from tsp.system import System
from tsp.system_check import check_system


@dataclasses.dataclass(frozen=True)
class SystemResult:
    """What a run left behind.

    Attributes:
        system: with what was run: programs behind their preambles.
        zero: the cycle in which cycle 0 of the programs was.
        predicted: cycles of each chip computed before the run (last event + 1); ``results``: of each chip.
        dumped: (chip, what was asked for) → its elements, or the bytes of each word by name.
        seconds: wall clock.
    """

    system: System
    zero: int
    predicted: list[int]
    results: list[Result]
    dumped: dict[tuple[str, str], Any]
    seconds: float

    @property
    def faults(self) -> dict[str, str]:
        """Chip → its first fault as a sentence."""
        return {
            chip.name: fault_text(chip.program, result.flow, result.fault)
            for chip, result in zip(self.system.chips, self.results, strict=True)
            if result.fault is not None
        }

    @property
    def exit_code(self) -> int:
        """1 if cycles differ from the prediction, 3 if a chip latched a fault, otherwise 0."""
        if self.faults:
            return EXIT_MACHINE_FAULT
        return EXIT_RIGHT if [r.cycles for r in self.results] == self.predicted else EXIT_DIFFERS

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        chips = {}
        for chip, result, predicted in zip(self.system.chips, self.results, self.predicted, strict=True):
            chips[chip.name] = {
                "cycles": result.cycles,
                "predicted_cycles": predicted,
                "fault": None if result.fault is None else fault_name(result.fault, chip.config),
                "signature": {name: f"{value:016x}" for name, value in result.signature.items()},
                "dumped": {text: value for (name, text), value in self.dumped.items() if name == chip.name},
            }
        return {"on": "golden", "zero": self.zero, "chips": chips, "seconds": self.seconds}

    def table(self) -> Table:
        """A row for each chip."""
        found = Table("chip", "config", "cycles", "predicted", "sent", "received", "fault")
        for column in found.columns[2:6]:
            column.justify = "right"
        for chip, result, predicted in zip(self.system.chips, self.results, self.predicted, strict=True):
            counts = int(result.flow.sends.goes.sum()), int((result.arrived.send >= 0).sum())
            cells = (result.cycles, predicted, *counts)
            fault = "" if result.fault is None else fault_name(result.fault, chip.config)
            found.add_row(chip.name, chip.config.name, *map(str, cells), fault)
        return found


def run_checked(
    system: System, *, checked: bool = True, dump: Sequence[str] = (), max_cycles: int = MAX_CYCLES
) -> SystemResult:
    """Run a system.

    Args:
        checked: refuse what the checker refuses.
        dump: words and symbols to read back, ``CHIP:WORDS`` as of :func:`tsp.dump.dumped_words`.
        max_cycles: of any chip; more is refused.

    Raises:
        InputError: the question is wrong, the system is illegal (:class:`tsp.run.Refused`) or takes too long.
    """
    asked = [_asked(system, text) for text in dump]
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
    results = run_system(system)
    seconds = time.perf_counter() - began
    predicted = [result.flow.cycles for result in results] if not report.ok else report.cycles
    dumped = {}
    for chip, text in asked:
        dumped[system.chips[chip].name, text] = _dumped(begun.chips[chip].program, results[chip], text)
    return SystemResult(begun, zero, predicted, results, dumped, seconds)


def _asked(system: System, text: str) -> tuple[int, str]:
    name, colon, rest = text.partition(":")
    if not colon:
        close = f"{system.chips[0].name}:{text}"
        raise InputError(f"--dump {text}: of a system must begin with a chip and a colon, such as {close}")
    chip = system.chip(name)
    dumped_words(system.chips[chip].program, rest)
    return chip, rest


def _dumped(program: Program, result: Result, text: str) -> Any:
    words = dumped_words(program, text)
    known = set(words) & defined(program, result.flow, result.written, result.fault)
    held = {word: result.words(word[0], [word[1]])[0] for word in known}
    if text in program.symbols:
        return elements(program, program.symbols[text], held)
    slices = floorplan(program.config).slices
    return {f"{slices[place].name}[{at}]": superlanes(held.get((place, at))) for place, at in words}
