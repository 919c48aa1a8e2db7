"""``python -m tb.align``, behind ``make align``: systems of chips, each with a clock of its own, and their one time.

Each row is one or several runs in Verilator, with measurements of 256 round trips or epochs, and what must be true.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from tb import simulator
from tb.command import AT_LEAST_ONE, Command, one_sentence, report_path, write_report
from tb.link import figures
from tb.link.rows import ROWS, Found, Row
from tb.link.scenario import Scenario, run
from tsp.errors import EXIT_DIFFERS, InputError, nearest

COLUMNS = {"chips": "chips", "locked": "locked_after", "HAC off": "hac_error", "L_eff off": "offset_error",
           "late": "off_margin", "H": "margin", "resyncs": "resyncs", "slips": "slips"}  # fmt: skip
"""Heading of the table → figure of the report."""


def measure(rows: Sequence[Row], jobs: int, again: bool) -> Iterator[dict[str, Any]]:
    """Lines of the report, in the rows' order, while ``jobs`` simulators run."""
    with ProcessPoolExecutor(jobs) as pool:
        running: list[list[list[Future[Found]]]] = [
            [[pool.submit(run, scenario, sim, again) for sim in row.sims] for scenario in row.scenarios] for row in rows
        ]
        try:
            for row, futures in zip(rows, running, strict=True):
                yield line(row, [[future.result() for future in on_sims] for on_sims in futures])
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def line(row: Row, found: Sequence[Sequence[Found]]) -> dict[str, Any]:
    """A row's line: the worst figures of its runs, and what is wrong. ``found``: of each scenario on each simulator."""
    wrong = []
    for scenario, (first, *others) in zip(row.scenarios, found, strict=True):
        wrong += row.holds(scenario, first)
        for sim, other in zip(row.sims[1:], others, strict=True):
            # Seconds are the machine's.
            if {**other, "seconds": 0} != {**first, "seconds": 0}:
                wrong.append(f"{sim} finds other figures than {row.sims[0]}")
    topology = row.scenarios[0].topology
    result = {"name": row.name, "chips": topology.chips, "links": len(topology.links)}
    result |= {"runs": sum(map(len, found)), "seconds": round(sum(each["seconds"] for on in found for each in on))}
    return result | summary(list(zip(row.scenarios, (first for first, *_ in found), strict=True))) | {"wrong": wrong}


def summary(pairs: Sequence[tuple[Scenario, Found]]) -> dict[str, Any]:
    """The worst figures of runs. ``hac_error`` is that of chips at depth 1, 2, …; ``starts`` is how many there were."""
    locked = [after for pair in pairs for after in figures.locked_after(*pair) if after is not None]
    result: dict[str, Any] = {"locked_after": 1000 * max(locked)}
    measured = [pair for pair in pairs if "l_eff" in pair[1]]
    if measured:
        errors = [abs(error) for pair in measured for error in figures.offset_errors(*pair)]
        result |= {"offsets": len(errors), "offset_error": round(max(errors), 2)}
    ran = [(scenario, found) for scenario, found in pairs if "ran" in found]
    if ran:
        result |= programs(ran)
    result |= {"starts": count} if (count := sum(len(scenario.starts) for scenario, _ in pairs)) else {}
    return result


def programs(ran: Sequence[tuple[Scenario, Found]]) -> dict[str, Any]:
    """What became of programs, and of HACs meanwhile."""
    errors: dict[int, float] = {}
    for scenario, found in ran:
        for chip, error in enumerate(figures.hac_errors(scenario, found["ran"]["phases"])):
            depth = scenario.topology.depth(chip)
            errors[depth] = max(errors.get(depth, 0), error)
    late = [each for pair in ran for each in figures.lateness(*pair)]
    result: dict[str, Any] = {"cycles": max(scenario.run for scenario, _ in ran)}
    result["hac_error"] = [round(errors[depth], 2) for depth in sorted(errors) if depth]
    result["from_root"] = round(max(max(figures.from_root(found["ran"]["phases"])) for _, found in ran), 2)
    result["off_margin"] = round(max(max(-least, most) for least, most, _ in late), 1)
    result["margin"] = max(margin for *_, margin in late)
    result["resyncs"] = min(min(found["ran"]["resyncs"]) for _, found in ran)
    result["slips"] = max(max(found["ran"]["slips"]) for _, found in ran)
    if any(scenario.forced for scenario, _ in ran):
        # Of every chip in HAC 0, 1, 254, 255 and in a RUNTIME_DESKEW.
        steps = [each for _, found in ran for each in found["ran"]["steps"]]
        result["steps"] = [min(of_kind) for of_kind in zip(*steps, strict=True)]
    return result


def table(lines: Sequence[dict[str, Any]]) -> Table:
    """The figures that fit a terminal; the report has all."""
    result = Table("system", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in [*COLUMNS, ""]:
        result.add_column(heading, no_wrap=True, justify="right")
    for each in lines:
        cells = [each.get(name, "") for name in COLUMNS.values()]
        shown = (f"{max(cell):.1f}" if isinstance(cell, list) else str(cell) for cell in cells)
        result.add_row(each["name"], *shown, verdict(each))
    return result


def verdict(line: dict[str, Any]) -> str:
    return "[green]right[/]" if not line["wrong"] else f"[red]{len(line['wrong'])} wrong[/]"


def chosen(names: Sequence[str]) -> list[Row]:
    """The rows with these names, in their order; all without any. InputError for a name that is none."""
    known = [row.name for row in ROWS]
    for name in names:
        if name not in known:
            raise InputError(f"there is no row '{name}'{nearest(name, known)}")
    return [row for row in ROWS if not names or row.name in names]


@click.command(cls=Command)
@click.option("--row", "names", multiple=True, help="Only this one; may be given more than once.")
@click.option("--jobs", type=AT_LEAST_ONE, default=os.cpu_count() or 1, show_default=True, help="Simulators at once.")
@click.option("--again", is_flag=True, help="Run what has been run before, too.")
@click.option("--list", "listing", is_flag=True, help="List the rows and stop.")
def main(names: Sequence[str], jobs: int, again: bool, listing: bool) -> None:
    """Run systems of chips. What was run before on the same Verilog, in the same bench, is read and not run again, so
    that a table may be made in parts. Exit code 1 when something is not as it must be."""
    if listing:
        print("\n".join(row.name for row in ROWS))
        return
    with one_sentence():
        rows = chosen(names)
        for sim in {sim for row in rows for sim in row.sims}:
            simulator.tool(sim)  # before anything is generated
        path, lines, console = report_path("align"), list[dict[str, Any]](), Console(stderr=True)
        for each in measure(rows, jobs, again):
            console.print(f"{each['name']}, {each['seconds']} s: {verdict(each)}", highlight=False)
            lines.append(each)
            done = [done["name"] for done in lines]
            write_report(path, {"rows": lines, "missing": [row.name for row in ROWS if row.name not in done]})
    Console().print(table(lines))
    for each in lines:
        for sentence in each["wrong"]:
            print(f"{each['name']}: {sentence}", file=sys.stderr)
    sys.exit(EXIT_DIFFERS if any(each["wrong"] for each in lines) else 0)


if __name__ == "__main__":
    main(prog_name="python -m tb.align")
