"""``python -m tb``, the command behind ``make sim``: run benches on simulators, print a table, write a report."""

import json
import os
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from tb import simulator
from tb.benches import BENCHES, Bench, Job, Options
from tb.command import Command, one_sentence, report_path, require_checkout, write_report
from tsp.config import preset
from tsp.errors import EXIT_DIFFERS, InputError, nearest


@click.command(cls=Command)
@click.option("--sim", "sims", default="", help="Simulators, separated by commas; both by default.")
@click.option("--bench", "names", default="", help="Benches, separated by commas; all by default.")
@click.option("--config", "config_name", default="tiny", show_default=True)
@click.option("--set", "settings", multiple=True, metavar="FIELD=VALUE", help="Override a field of the config.")
@click.option("--seed", default=1, show_default=True)
@click.option("--waves", is_flag=True, help="Record waves to build/waves.")
@click.option("--list", "listing", is_flag=True, help="List the benches and stop.")
def main(
    sims: str, names: str, config_name: str, settings: Sequence[str], seed: int, waves: bool, listing: bool
) -> None:
    """Run benches on the simulators. Exit code 1 when one fails, 2 when the question is wrong."""
    if listing:
        print("\n".join(BENCHES))
        return
    with one_sentence():
        chosen = select("bench", names, BENCHES)
        folder = simulator.build_root() / "waves" if waves else None
        config = preset(config_name).override(settings)
        options = Options(config, select("simulator", sims, simulator.SIMULATORS), seed, folder)
        sys.exit(0 if run_benches(chosen, options) else EXIT_DIFFERS)


def select(kind: str, text: str, known: Iterable[str]) -> list[str]:
    """The names in ``text``, separated by commas; all known ones when there are none."""
    names = [name for name in text.replace(",", " ").split() if name != "all"]
    for name in names:
        if name not in known:
            raise InputError(f"unknown {kind} '{name}'{nearest(name, known)}")
    return names or list(known)


def run_benches(names: Sequence[str], options: Options) -> bool:
    """Run the benches, then the jobs; whether all passed."""
    if not names:
        raise InputError("there is no bench to run")
    for sim in options.sims:
        simulator.tool(sim)  # before anything is generated
    for name in names:
        bench = BENCHES[name]
        if isinstance(bench, Job):
            require_checkout(bench.package)
    report, rows = report_path("sim"), []
    for name in names:
        bench = BENCHES[name]
        if isinstance(bench, Bench):
            verilog = bench.verilog(options.config)
            for sim in options.sims:
                rows.append(run_bench(name, bench, verilog, sim, options))
                say(rows[-1])
    if rows:
        print_table(rows)
    for name in names:
        bench = BENCHES[name]
        if isinstance(bench, Job):
            rows.append(run_job(name, bench, options))
    # The config of the benches; a job's row has its own.
    write_report(report, {"config": options.config.as_dict(), "rows": rows})
    return all(row["passed"] for row in rows)


def run_job(name: str, job: Job, options: Options) -> dict[str, Any]:
    """Run one job; a row of the report, with the config it ran on."""
    started = time.perf_counter()
    passed = job.run(options)
    seconds = round(time.perf_counter() - started, 2)
    config = preset(job.config).as_dict()
    return {"bench": name, "sim": ",".join(options.sims), "config": config, "passed": passed, "run_seconds": seconds}


def run_bench(name: str, bench: Bench, verilog: Sequence[Path], sim: str, options: Options) -> dict[str, Any]:
    """Build and run one bench on one simulator; a row of the report."""
    row: dict[str, Any] = {"bench": name, "sim": sim, "passed": False, "tests": 0, "failed": 0, "simulated_ns": 0}
    waves = None if options.waves is None else options.waves / f"{name}-{sim}.fst"
    fields = json.dumps(bench.config(options.config).as_dict())
    try:
        built = simulator.build(sim, verilog, bench.module(options.config), waves=waves is not None)
        row["build_seconds"] = round(built.seconds, 2)
        found = simulator.run(built, bench.tests, seed=options.seed, env={"TSP_CONFIG": fields}, waves=waves)
        row["passed"] = True
    except simulator.TestsFailed as error:
        found, row["error"] = error.results, str(error)
    except simulator.BuildFailed as error:
        return row | {"error": str(error)}
    failed = sum(case.failure is not None for case in found.cases)
    simulated = sum(case.sim_ns for case in found.cases)
    row |= {"tests": len(found.cases), "failed": failed, "simulated_ns": simulated}
    row |= {"run_seconds": round(found.seconds, 2), "log": str(found.log)}
    return row | ({"waves": str(found.waves)} if found.waves else {})


def say(row: dict[str, Any]) -> None:
    if "error" in row:
        print(f"{row['bench']} on {row['sim']}: {row['error']}", file=sys.stderr)


def print_table(rows: Sequence[dict[str, Any]]) -> None:
    table = Table("bench", "simulator", "tests", "simulated", "build", "run", "result")
    for row in rows:
        result = "[green]pass[/]" if row["passed"] else f"[red]FAIL[/] ({row['failed']} of {row['tests']})"
        build, run = (f"{row[key]:.1f} s" if key in row else "" for key in ("build_seconds", "run_seconds"))
        table.add_row(
            row["bench"], row["sim"], str(row["tests"]), f"{row['simulated_ns'] / 1000:,.1f} µs", build, run, result
        )
    console = Console()
    console.print(table)
    for row in rows:
        if "waves" in row:
            print(f"waves of {row['bench']} on {row['sim']}: {os.path.relpath(row['waves'])}")


if __name__ == "__main__":
    main(prog_name="python -m tb")
