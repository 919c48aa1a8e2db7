"""``python -m tb.coverage``, behind ``make coverage``: functional and code coverage of random programs and benches."""

import dataclasses
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click
from rich.console import Console
from rich.progress import track

import golden.machine
from tb import regress, simulator
from tb.command import AT_LEAST_ONE, Command, one_sentence, report_path
from tb.coverage import Model, samples
from tb.coverage import code as code_coverage
from tb.coverage.code_exclusions import CODE_EXCLUSIONS
from tb.machine import Job
from tb.small import small
from tsp.config import ChipConfig, preset
from tsp.errors import EXIT_DIFFERS
from tsp.randprog import flips, legal

GOAL = 95.0
"""Percent of lines, of branches and of toggles of the Verilog."""
DEEP = ("mem_words=8192", "acc_depth=512", "queue_depth=64")
"""What makes the small chip's addresses as wide as those of the largest. Memories are not counted, and cost nothing."""
FLIPS = 24
"""Wrong words in a program that has some."""


def cover(seeds: Iterable[int], config: ChipConfig) -> Model:
    """The coverage of the random programs of ``seeds``, on the golden model."""
    model = Model(config)
    for seed in seeds:
        program = legal(seed, config)
        model.sample(samples(program, golden.machine.run(program, trace=False)))
    return model


def jobs(seeds: Iterable[int], config: ChipConfig) -> list[Job]:
    """Random programs as the simulator runs them, one in four illegal and, with check bits, one with wrong bits."""
    found = []
    for number, seed in enumerate(seeds):
        if number % 4 == 3:
            found.append(regress.prepare_illegal(seed, config).job())
            continue
        case = regress.prepare(seed, config)
        job = regress.job(case.program, case.golden, case.drift)
        if config.ecc and number % 4 == 0:
            job = dataclasses.replace(job, flips=flips(seed, case.golden.flow, FLIPS, single=number % 8 == 0))
        found.append(job)
    return found


def code(programs: Sequence[int], seed: int, console: Console) -> dict[str, Any]:
    """Code coverage of the unit benches and of random programs; its part of the report."""
    config = small()
    with console.status("benches") as status:
        counts = code_coverage.of_benches(config, seed, lambda name: status.update(f"bench {name} is done"))
        if programs:
            status.update(f"{len(programs)} programs on the whole chip")
            deep = config.override(DEEP)
            counts.update(code_coverage.of_programs(deep, jobs(programs, deep)))
    return code_coverage.Code(counts).as_dict() | {"programs": len(programs), "code_config": config.as_dict()}


@click.command(cls=Command)
@click.option("--seeds", "count", type=AT_LEAST_ONE, default=400, show_default=True, help="How many random programs.")
@click.option("--programs", default=120, show_default=True, help="How many of them run on the RTL, for code coverage.")
@click.option("--code/--no-code", "with_code", default=True, help="Whether code coverage is measured too.")
@click.option("--seed", "base", default=1, show_default=True, help="The first seed.")
@click.option("--config", "name", default="tiny", show_default=True)
@click.option("--set", "settings", multiple=True, metavar="FIELD=VALUE", help="Override a field of the config.")
def main(
    count: int, programs: int, with_code: bool, base: int, name: str, settings: Sequence[str]
) -> None:
    """Report functional and code coverage. Exit code 1 when a bin is not hit, or too little of the Verilog."""
    console = Console()
    with one_sentence():
        config = preset(name).override(settings)
        report_path("coverage")  # before the programs run
        if with_code:
            simulator.tool("verilator")
        seeds = track(range(base, base + count), "programs", console=Console(stderr=True), transient=True)
        model = cover(seeds, config)
        report = model.report()
        found = code(range(base, base + programs), base, Console(stderr=True)) if with_code else {}
        report.save(seeds=count, first_seed=base, **found)
    console.print(report.table())
    for exclusion, entry in report.as_dict()["excluded"].items():
        console.print(f"excluded: {exclusion}, {entry['bins']} bins: {entry['reason']}", highlight=False)
    for group, bin in sorted(model.unknown, key=str):
        console.print(f"no bin for {group} {bin}", style="red", highlight=False)
    console.print(f"{report.functional:.2f} % of the bins are hit by {count} programs", highlight=False)
    if with_code:
        console.print(code_coverage.table(found))
        for exclusion in CODE_EXCLUSIONS:
            points = found["code_excluded"].get(exclusion.name, 0)
            console.print(f"excluded: {exclusion.name}, {points} points: {exclusion.reason}", highlight=False)
        console.print(f"{found['code']:.2f} % of the Verilog is covered, the goal is {GOAL:g} %", highlight=False)
    low = with_code and found["code"] < GOAL
    sys.exit(EXIT_DIFFERS if report.functional < 100 or model.unknown or low else 0)


if __name__ == "__main__":
    main(prog_name="python -m tb.coverage")
