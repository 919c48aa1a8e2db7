"""``python -m tb.bench``, behind ``make bench``: measure, print a table, write ``build/reports/bench.json``."""

import sys
from collections.abc import Callable, Sequence

import click
from rich.console import Console

from tb.__main__ import select
from tb.bench import chip, compiled, generation, model, resnet, supercell
from tb.bench.chip import Differs
from tb.bench.row import Row, table
from tb.command import AT_LEAST_ONE, Command, one_sentence, report_path, write_report
from tsp.errors import EXIT_DIFFERS, EXIT_RIGHT

GROUPS: dict[str, Callable[[int], list[Row]]] = {
    "chip": lambda repeats: chip.rows(repeats),
    "supercell": lambda repeats: supercell.rows(repeats, 200_000),
    # Milliseconds each: many repeats cost little.
    "golden": lambda repeats: model.rows(10 * repeats),
    "compiled": lambda repeats: compiled.rows(repeats),
    "resnet": lambda repeats: resnet.rows(),
    "verilog": lambda repeats: generation.rows(),
}


@click.command(cls=Command)
@click.option("--only", "names", default="", help=f"Groups, separated by commas: {', '.join(GROUPS)}; all by default.")
@click.option("--repeats", type=AT_LEAST_ONE, default=7, show_default=True, help="How often each pair is measured.")
def main(names: str, repeats: int) -> None:
    """Measure speed and size. Exit code 1 when a figure misses its limit or a run differs, 2 for a wrong question."""
    with one_sentence():
        chosen, path = select("group", names, GROUPS), report_path("bench")
        try:
            rows = measure(chosen, repeats)
        except Differs as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(EXIT_DIFFERS)
        write_report(path, {"rows": [row.as_dict() for row in rows]})
    Console().print(table(rows))
    sys.exit(EXIT_DIFFERS if any(row.verdict == "missed" for row in rows) else EXIT_RIGHT)


def measure(names: Sequence[str], repeats: int) -> list[Row]:
    """The rows of the groups named, one group after another."""
    console, rows = Console(stderr=True), []
    for name in names:
        with console.status(f"measuring: {name}"):
            rows += GROUPS[name](repeats)
    return rows


if __name__ == "__main__":
    main(prog_name="python -m tb.bench")
