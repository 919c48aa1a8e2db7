"""``python -m tb.mutation``, behind ``make mutate``: plant mistakes in the Verilog of every block, see who notices."""

import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress

from tb import simulator
from tb.__main__ import select
from tb.command import AT_LEAST_ONE, Command, one_sentence, report_path, write_report
from tb.mutation import blocks, equivalence, machine, netlist, report
from tb.mutation.blocks import BLOCKS, Block
from tb.mutation.run import play
from tsp.config import ChipConfig
from tsp.errors import EXIT_DIFFERS

GOAL = 95.0
"""Percent of the mutants that are not equivalent."""


@dataclass(frozen=True)
class Plan:
    """What was asked for: see the options."""

    config: ChipConfig
    count: int
    seed: int
    workers: int
    sim: str


def mutate(name: str, block: Block, plan: Plan, progress: Progress) -> dict[str, Any]:
    """Everything for one block; its row of the report."""
    config, count, seed = block.bench.config(plan.config.override(block.settings)), plan.count, plan.seed
    task = progress.add_task(name, total=count)
    files = block.bench.verilog(config)
    key = [name, count, seed, [[file.name, file.read_text()] for file in files]]
    directory = simulator.build_root() / "mutate" / f"{name}-{simulator.digest(key)}"
    made = netlist.make(files, block.bench.module(config), block.modules, block.wires, count, seed, directory)
    progress.update(task, total=len(made.mutants))
    built = simulator.build(plan.sim, made.files, made.top)
    started = time.perf_counter()
    verdicts = play(made, built, block.tests, config, seed, plan.workers,
                    lambda done: progress.update(task, completed=done))  # fmt: skip
    played = time.perf_counter()
    survivors = [mutant for mutant in made.mutants if verdicts[mutant.number].killed_by is None]
    equal = prove(made, survivors, config, plan.workers, block)
    if block.within:
        left = [mutant for mutant in survivors if mutant.number not in equal]
        equal = sorted([*equal, *prove(made, left, config, plan.workers, block, block.within)])
    times = {"build_seconds": built.seconds, "run_seconds": played - started}
    times["proof_seconds"] = time.perf_counter() - played
    progress.remove_task(task)
    seconds = {key: round(value, 1) for key, value in times.items()}
    return report.row(name, made, verdicts, equal, sim=plan.sim, settings=list(block.settings), **seconds)


def prove(
    made: netlist.Netlist, survivors: Sequence[netlist.Mutant], config: ChipConfig, workers: int, block: Block,
    within: str = "",
) -> list[int]:  # fmt: skip
    """The numbers of the survivors that are equivalent to the module they stand in, or, if that is given, to the one
    ``within`` which it stands."""
    shares = [survivors[first::workers] for first in range(min(workers, len(survivors)))]
    if not shares:
        return []
    texts = {
        module: machine.smt(made, module, within, block.alone) for module in {mutant.module for mutant in survivors}
    }
    terms = [block.terms(config, within)] * len(shares)
    with ProcessPoolExecutor(len(shares)) as pool:
        return sorted(sum(pool.map(equivalence.decide, [texts] * len(shares), shares, terms), []))


@click.command(cls=Command)
@click.option("--block", "names", default="", help="Blocks, separated by commas; all by default.")
@click.option("--count", type=AT_LEAST_ONE, default=100, show_default=True, help="Mutants of each block.")
@click.option("--seed", default=1, show_default=True, help="Which mutants, and which random tests.")
@click.option("--set", "settings", multiple=True, metavar="FIELD=VALUE", help="Override a field of the config.")
@click.option("--jobs", type=AT_LEAST_ONE, default=os.cpu_count() or 1, show_default=True, help="Simulators at once.")
@click.option("--sim", default="icarus", show_default=True, help="verilator takes longer to build than it saves.")
@click.option("--list", "listing", is_flag=True, help="List the blocks and stop.")
def main(names: str, count: int, seed: int, settings: Sequence[str], jobs: int, sim: str, listing: bool) -> None:
    """Mutate blocks and run their benches on every mutant. The report keeps the rows of blocks that are not asked for.
    Exit code 1 when too few are killed."""
    if listing:
        print("\n".join(BLOCKS))
        return
    with one_sentence():
        chosen = select("block", names, BLOCKS)
        simulator.tool(sim)  # before anything is generated
        path, rows = report_path("mutate"), []
        plan = Plan(blocks.config().override(settings), count, seed, jobs, sim)
        plans = {"seed": seed, "count": count, "config": plan.config.as_dict()}
        others = report.kept(path, plans, [name for name in BLOCKS if name not in chosen])
        with Progress(console=Console(stderr=True), transient=True) as progress:
            for name in chosen:
                rows.append(mutate(name, BLOCKS[name], plan, progress))
                # After every block: what is there is there if a later one is stopped.
                write_report(path, report.report([*others, *rows], **plans))
    found = report.report(rows)
    console = Console()
    console.print(report.table(found))
    for row in rows:
        for mutant in row["survivors"]:
            console.print(report.sentence(row["block"], mutant), highlight=False, markup=False)
    idle = [row["block"] for row in rows if not row["killed"]]
    if idle:
        console.print(f"no mutant was killed in {', '.join(idle)}: do the tests look at it?", style="red")
    print(f"{found['score']:.1f} % of the mutants that are not equivalent are killed, the goal is {GOAL:g} %")
    sys.exit(EXIT_DIFFERS if found["score"] < GOAL or idle else 0)


if __name__ == "__main__":
    main(prog_name="python -m tb.mutation")
