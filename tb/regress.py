"""``python -m tb.regress``, behind ``make regress``: random legal programs on golden model and RTL.

For every seed: the program is generated, the checker must find it legal, the golden model runs it without a fault, and
the RTL must leave the same words, signatures and cycle count. Icarus, fifty times slower, takes a tenth of the seeds.
"""

import dataclasses
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

import golden.machine
from tb import machine, simulator
from tb.command import AT_LEAST_ONE, Command, one_sentence, report_path, write_report
from tb.compare import Difference, compare, worst
from tb.coverage import Model, samples
from tb.first_difference import first_difference
from tb.machine import Job
from tsp.checker import check
from tsp.config import ChipConfig, preset
from tsp.errors import EXIT_DIFFERS
from tsp.flow.fetch import expand_program
from tsp.program import Program
from tsp.randprog import Density, Expectation, density, deskew_count, drift, illegal, legal
from tsp.timing import timing

BATCH = {"verilator": 100, "icarus": 20}
"""Programs per simulator process, at most: what a crash costs, against the cost of a start."""
ICARUS_EVERY = 10
MARGIN = 64
"""Clock cycles a run may take beyond what is predicted, before it counts as never ending."""


@dataclasses.dataclass(frozen=True)
class Case:
    """A random program and what must come of it. ``trouble``: why it is not worth running, or empty."""

    seed: int
    program: Program
    density: Density
    golden: golden.machine.Result
    drift: Sequence[tuple[int, int]]
    trouble: str


@dataclasses.dataclass
class Row:
    """One simulator's share of a regression: ``failed`` maps a seed to what differed."""

    sim: str
    seeds: int = 0
    failed: dict[int, str] = dataclasses.field(default_factory=dict)
    cycles: int = 0
    build_seconds: float = 0.0
    run_seconds: float = 0.0


def prepare(seed: int, config: ChipConfig) -> Case:
    """Generate, check and run a seed's program on the golden model."""
    program = legal(seed, config)
    report, result = check(program), golden.machine.run(program)
    steps = drift(seed, max(result.cycles, 1))
    trouble = ""
    if not report.ok:
        trouble = f"the checker refuses it: {report.problems[0]}"
    elif result.fault is not None:
        trouble = f"the golden model faults: {result.fault.name} in cycle {result.fault.cycle}"
    elif not report.cycles == result.cycles:
        trouble = f"the checker predicts {report.cycles} cycles, the golden model takes {result.cycles}"
    return Case(seed, program, density(program), result, steps, trouble)


@dataclasses.dataclass(frozen=True)
class IllegalCase:
    """A random illegal program and what must come of it."""

    seed: int
    program: Program
    expected: Expectation

    def job(self) -> Job:
        """What the simulator does for it: run until everything that can end has ended."""
        config = self.program.config
        ends = expand_program(self.program).ends
        return Job(self.program, max(ends.values(), default=0) + timing(config).drain + MARGIN)


def prepare_illegal(seed: int, config: ChipConfig) -> IllegalCase:
    """Generate a seed's illegal program."""
    return IllegalCase(seed, *illegal(seed, config))


def job(program: Program, result: golden.machine.Result, steps: Sequence[tuple[int, int]] = ()) -> Job:
    """What the simulator does for a legal program: it reads back every word that the golden model wrote."""
    config = program.config
    words = [(place, word) for place, image in result.written.items() for word in image.addresses.tolist()]
    wait = deskew_count(program) * (2 * config.hac_period + MARGIN)
    end = max(expand_program(program).ends.values(), default=0)
    return Job(program, max(result.cycles, end) + timing(config).drain + wait + MARGIN, words, steps)


def run_cases(
    cases: Sequence[Case], config: ChipConfig, sim: str, row: Row,
    progress: Callable[[int], object] = lambda done: None,
) -> None:  # fmt: skip
    """Run cases on a simulator in batches and note what differs."""
    made = machine.build(config, sim)
    row.build_seconds = made.seconds
    jobs = [job(case.program, case.golden, case.drift) for case in cases]
    started = time.perf_counter()
    for case, result in zip(cases, run_jobs(made, jobs, config), strict=True):
        row.seeds += 1
        row.cycles += result.clocks
        row.run_seconds = time.perf_counter() - started
        differences = compare(case.golden, result, config)
        if differences:
            row.failed[case.seed] = explain(case, differences, made, first=not row.failed)
        progress(row.seeds)


def run_jobs(made: simulator.Build, jobs: Sequence[Job], config: ChipConfig) -> Iterator[machine.RtlResult]:
    """Run jobs in batches, a simulator process for each and as many at once as there are processors."""
    workers = os.cpu_count() or 1
    size = min(BATCH[made.sim], max(1, -(-len(jobs) // workers)))
    batches = [jobs[first : first + size] for first in range(0, len(jobs), size)]
    with ThreadPoolExecutor(workers) as pool:
        for results in pool.map(lambda batch: machine.run_on(made, batch, config), batches):
            yield from results


def explain(case: Case, differences: Sequence[Difference], made: simulator.Build, first: bool) -> str:
    """What differs, for the first program to differ also where it begins, and how to see it again."""
    config = case.program.config

    def run(programs: Sequence[Program], wants: Sequence[golden.machine.Result]) -> Sequence[machine.RtlResult]:
        jobs = [job(program, want, case.drift) for program, want in zip(programs, wants, strict=True)]
        return machine.run_on(made, jobs, config)

    lines = worst(differences)
    if first:
        lines.append(first_difference(case.program, run) or "no beginning of the program differs")
    lines.append(f"again: python -m tb.regress --seeds 1 --seed {case.seed} --sim {made.sim} {_options(config)}")
    return "\n    ".join(lines)


def _options(config: ChipConfig) -> str:
    """The command line options that ask for a configuration."""
    usual = preset(config.name).as_dict()
    changed = {name: value for name, value in config.as_dict().items() if value != usual[name]}
    return " ".join([f"--config {config.name}", *(f"--set {name}={value}" for name, value in changed.items())])


def shares(cases: Sequence[Case], sims: Sequence[str]) -> dict[str, list[Case]]:
    """Which cases each simulator runs: all that are worth it, on Icarus beside Verilator one of ten."""
    sound = [case for case in cases if not case.trouble]
    return {sim: one_of_ten(sound) if sim == "icarus" and len(sims) > 1 else sound for sim in sims}


def one_of_ten(cases: Sequence[Case]) -> list[Case]:
    """Of ten cases the one that is quickest to load; every other time of those with a DESKEW, if there are any."""
    chosen = []
    for first in range(0, len(cases), ICARUS_EVERY):
        ten = cases[first : first + ICARUS_EVERY]
        waiting = [case for case in ten if deskew_count(case.program)]
        odd = first // ICARUS_EVERY % 2
        chosen.append(min(waiting if odd and waiting else ten, key=_load))
    return chosen


def _load(case: Case) -> int:
    """Words that the host writes before a program starts."""
    images = sum(len(image.addresses) for image in case.program.memory.values())
    return sum(map(len, case.program.queues.values())) + images * case.program.config.superlanes


def regress(
    seeds: Sequence[int], config: ChipConfig, sims: Sequence[str], progress: Progress, model: Model | None = None
) -> dict[str, Any]:
    """Run a regression; its report. ``model``: notes what the programs cover."""
    task = progress.add_task("golden", total=len(seeds))
    cases = []
    for seed in seeds:
        cases.append(prepare(seed, config))
        if model is not None:
            model.sample(samples(cases[-1].program, cases[-1].golden))
        progress.advance(task)
    failures = {case.seed: case.trouble for case in cases if case.trouble}
    rows = []
    for sim, share in shares(cases, sims).items():
        rows.append(Row(sim))
        task = progress.add_task(sim, total=len(share))
        run_cases(share, config, sim, rows[-1], lambda done, task=task: progress.update(task, completed=done))
        failures |= {seed: f"{sim}: {text}" for seed, text in rows[-1].failed.items()}
    return report(seeds, config, cases, rows, failures)


def report(
    seeds: Sequence[int], config: ChipConfig, cases: Sequence[Case], rows: Sequence[Row], failures: dict[int, str]
) -> dict[str, Any]:
    """The content of ``build/reports/regress.json``."""
    least = {
        field.name: min((getattr(case.density, field.name) for case in cases), default=0)
        for field in dataclasses.fields(Density)
    }
    return {
        "config": config.as_dict(),
        "seeds": len(seeds),
        "first_seed": seeds[0] if seeds else None,
        "failed": len(failures),
        "failures": {str(seed): text for seed, text in sorted(failures.items())},
        "least_density": least,
        "rows": [dataclasses.asdict(row) | {"failed": len(row.failed)} for row in rows],
    }


def show(found: dict[str, Any], console: Console) -> None:
    """Print a report."""
    least = Density(**found["least_density"])
    console.print(f"{found['seeds']} programs on config {found['config']['name']}; at least: {least}", highlight=False)
    table = Table("simulator", "programs", "failed", "clock cycles", "build", "run")
    for row in found["rows"]:
        build, run = (f"{row[key]:.1f} s" for key in ("build_seconds", "run_seconds"))
        table.add_row(row["sim"], str(row["seeds"]), str(row["failed"]), f"{row['cycles']:,}", build, run)
    console.print(table)
    console.print(f"{found['functional']:.2f} % of the bins of functional coverage are hit", highlight=False)
    for seed, text in found["failures"].items():
        console.print(f"seed {seed}: {text}", style="red", highlight=False, markup=False)


@click.command(cls=Command)
@click.option("--seeds", "count", type=AT_LEAST_ONE, default=1000, show_default=True, help="How many random programs.")
@click.option("--seed", "base", default=1, show_default=True, help="The first seed.")
@click.option("--config", "name", default="tiny", show_default=True)
@click.option("--set", "settings", multiple=True, metavar="FIELD=VALUE", help="Override a field of the config.")
@click.option("--sim", "sims", default="", help="Simulators, separated by commas; both by default.")
def main(count: int, base: int, name: str, settings: Sequence[str], sims: str) -> None:
    """Run random legal programs on golden model and RTL. Exit code 1 when one differs."""
    with one_sentence():
        config = preset(name).override(settings)
        chosen = sims.replace(",", " ").split() or ["verilator", "icarus"]
        for sim in chosen:
            simulator.tool(sim)  # before anything is generated
        path = report_path("regress")
        with Progress(console=Console(stderr=True), transient=True) as progress:
            model = Model(config)
            found = regress(range(base, base + count), config, chosen, progress, model)
        found["functional"] = model.report().functional
        write_report(path, found)
    show(found, Console())
    sys.exit(EXIT_DIFFERS if found["failed"] else 0)


if __name__ == "__main__":
    main(prog_name="python -m tb.regress")
