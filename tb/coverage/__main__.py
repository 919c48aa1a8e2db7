"""``python -m tb.coverage``, behind ``make coverage``: functional coverage of random programs."""

import sys
from collections.abc import Iterable, Sequence

import click
from rich.console import Console
from rich.progress import track

import golden.machine
from tb.command import AT_LEAST_ONE, one_sentence, report_path
from tb.coverage import Model, samples
from tsp.config import ChipConfig, preset
from tsp.errors import EXIT_DIFFERS
from tsp.randprog import legal


def cover(seeds: Iterable[int], config: ChipConfig) -> Model:
    """The coverage of the random programs of ``seeds``, on the golden model."""
    model = Model(config)
    for seed in seeds:
        program = legal(seed, config)
        model.sample(samples(program, golden.machine.run(program, trace=False)))
    return model


@click.command()
@click.option("--seeds", "count", type=AT_LEAST_ONE, default=400, show_default=True, help="How many random programs.")
@click.option("--seed", "base", default=1, show_default=True, help="The first seed.")
@click.option("--config", "name", default="tiny", show_default=True)
@click.option("--set", "settings", multiple=True, metavar="FIELD=VALUE", help="Override a field of the config.")
def main(count: int, base: int, name: str, settings: Sequence[str]) -> None:
    """Report the functional coverage of random programs. Exit code 1 when a bin is not hit."""
    console = Console()
    with one_sentence():
        config = preset(name).override(settings)
        report_path("coverage")  # before the programs run
        seeds = track(range(base, base + count), "programs", console=Console(stderr=True), transient=True)
        model = cover(seeds, config)
        report = model.report()
        report.save(seeds=count, first_seed=base)
    console.print(report.table())
    for exclusion, entry in report.as_dict()["excluded"].items():
        console.print(f"excluded: {exclusion}, {entry['bins']} bins: {entry['reason']}", highlight=False)
    for group, bin in sorted(model.unknown, key=str):
        console.print(f"no bin for {group} {bin}", style="red", highlight=False)
    console.print(f"{report.functional:.2f} % of the bins are hit by {count} programs", highlight=False)
    sys.exit(EXIT_DIFFERS if report.functional < 100 or model.unknown else 0)


if __name__ == "__main__":
    main(prog_name="python -m tb.coverage")
