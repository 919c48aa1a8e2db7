"""``python -m tb.digits``, behind ``make digits``: the digits classifier on the golden model and the RTL.

Each machine runs `programs.digits.program` on the 360 held-out images. Its logits must be those of plain numpy, and it
must take exactly the cycles that were predicted.
"""

import dataclasses
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from tb import command

if __name__ == "__main__":  # before imports that fail without a checkout
    with command.one_sentence():
        command.require_checkout("programs.digits")

import golden.machine
from programs.digits import model, program
from programs.digits.data import LabelledImages, held_out_set
from tb import machine, simulator
from tb.__main__ import select
from tb.benches import Options
from tsp.checker import check
from tsp.errors import EXIT_DIFFERS, EXIT_RIGHT, InputError
from tsp.program import Program
from tsp.timing import timing

MARGIN = 64
"""Clock cycles a run may take beyond what is predicted before it is given up."""


@dataclasses.dataclass(frozen=True)
class Row:
    """One machine's run.

    Attributes:
        cycles: as the machine counted them.
        logits: int32 [360, 10].
        trouble: a fault or a missing end, or empty.
        per_second: machine cycles per second of wall clock, from start to done.
    """

    cycles: int
    logits: np.ndarray
    trouble: str
    per_second: float


@dataclasses.dataclass(frozen=True)
class Digits:
    """The job and what came of it. ``rows`` maps a machine's name to its run."""

    held_out: LabelledImages
    expected: np.ndarray
    predicted: int
    rows: Mapping[str, Row]

    def differences(self) -> list[str]:
        """A sentence for everything that is not as it must be."""
        found = []
        for name, row in self.rows.items():
            wrong = np.flatnonzero((row.logits != self.expected).any(axis=1))
            if row.trouble:
                found.append(f"{name}: {row.trouble}")
            if row.cycles != self.predicted:
                found.append(f"{name}: took {row.cycles} cycles, predicted were {self.predicted}")
            if len(wrong):
                first = int(wrong[0])
                wanted, got = self.expected[first].tolist(), row.logits[first].tolist()
                found.append(f"{name}: {len(wrong)} images differ, first image {first}: {got}, numpy has {wanted}")
        return found

    def report(self) -> dict[str, Any]:
        """What ``build/reports/digits.json`` holds."""
        rows = {
            name: {
                "cycles": row.cycles,
                "logits_equal": bool(np.array_equal(row.logits, self.expected)),
                "cycles_per_second": round(row.per_second, 1),
            }
            for name, row in self.rows.items()
        }
        return {
            "images": program.IMAGES,
            "accuracy": model.accuracy(self.rows["golden"].logits, self.held_out.labels),
            "predicted_cycles": self.predicted,
            "utilisation": program.utilisation(self.predicted),
            **rows,
        }


def measure(sims: Sequence[str], waves: Path | None = None) -> Digits:
    """Run the job on the golden model and on ``sims``, recording to the folder ``waves`` if given."""
    held_out = held_out_set()
    job = program.build(held_out.images)
    report = check(job)
    if not report.ok:
        raise InputError(str(report))
    rows = {"golden": _on_golden(job)}
    for sim in sims:
        rows[sim] = _on_rtl(job, report.cycles, sim, None if waves is None else waves / f"digits-{sim}.fst")
    return Digits(held_out, model.logits(held_out.images), report.cycles, rows)


def _on_golden(job: Program) -> Row:
    began = time.perf_counter()
    found = golden.machine.run(job)
    seconds = time.perf_counter() - began
    logits = program.logits(job, lambda place, address: found.words(place, [address])[0])
    trouble = "" if found.fault is None else f"{found.fault.name} in cycle {found.fault.cycle}"
    return Row(found.cycles, logits, trouble, found.cycles / seconds)


def _on_rtl(job: Program, predicted: int, sim: str, waves: Path | None) -> Row:
    limit = predicted + timing(job.config).drain + MARGIN
    asked = machine.Job(job, limit, read=program.logits_words(job))
    (found,) = machine.run([asked], job.config, sim, waves=waves)
    trouble = "" if found.done else f"not done after {limit} clock cycles"
    if found.fault is not None:
        trouble = f"fault of kind {found.fault.kind} in cycle {found.fault.cycle} by queue {found.fault.queue}"
    undefined = np.zeros(job.config.lanes, np.uint8)
    logits = program.logits(job, lambda place, address: found.memory.get((place, address), undefined))
    return Row(found.cycles, logits, trouble, found.clocks / found.seconds)


def print_table(digits: Digits) -> None:
    """A line per machine, plain numpy first."""
    title = f"{program.IMAGES} handwritten digits on {program.CONFIG.name}: predicted {digits.predicted} cycles"
    table = Table("", "accuracy", "logits", "cycles", "per image", "MXM used", "cycles/s", title=title)
    labels = digits.held_out.labels
    table.add_row("numpy int8", f"{model.accuracy(digits.expected, labels):.2%}", "", "", "", "", "")
    for name, row in digits.rows.items():
        equal = np.array_equal(row.logits, digits.expected)
        table.add_row(
            name,
            f"{model.accuracy(row.logits, labels):.2%}",
            "[green]equal[/]" if equal else "[red]DIFFER[/]",
            str(row.cycles) if row.cycles == digits.predicted else f"[red]{row.cycles}[/]",
            f"{row.cycles / program.IMAGES:.2f}",
            f"{program.utilisation(row.cycles):.1%}" if row.cycles else "",
            f"{row.per_second:,.0f}",
        )
    Console().print(table)


def run(options: Options) -> bool:
    """The job of ``make sim``, on ``tiny`` whatever was asked for: table, report; whether all is as it must be."""
    path = command.report_path("digits")
    try:
        digits = measure(options.sims, options.waves)
    except (simulator.BuildFailed, simulator.TestsFailed) as error:
        print(f"digits: {error}", file=sys.stderr)
        return False
    print_table(digits)
    write_report(digits, path)
    differences = digits.differences()
    for difference in differences:
        print(f"digits on {difference}", file=sys.stderr)
    return not differences


def write_report(digits: Digits, path: Path) -> None:
    """Write :meth:`Digits.report` as JSON."""
    command.write_report(path, digits.report())


@click.command(cls=command.Command)
@click.option("--sim", "sims", default="", help="Simulators, separated by commas; both by default.")
@click.option("--waves", is_flag=True, help="Record waves to build/waves.")
def main(sims: str, waves: bool) -> None:
    """Classify the held-out digits. Exit code 1 when anything differs, 2 when the question is wrong."""
    with command.one_sentence():
        chosen = select("simulator", sims, simulator.SIMULATORS)
        for sim in chosen:
            simulator.tool(sim)  # before anything is generated
        folder = simulator.build_root() / "waves" if waves else None
        sys.exit(EXIT_RIGHT if run(Options(program.CONFIG, chosen, 1, folder)) else EXIT_DIFFERS)


if __name__ == "__main__":
    main(prog_name="python -m tb.digits")
