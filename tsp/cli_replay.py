"""What ``tsp run --system … --retries … --fail …`` does: run a system under the runtime, and say what happened."""

import json
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from tsp.cli_system import load, print_dumped
from tsp.errors import EXIT_RIGHT, counted
from tsp.run_replayed import run_replayed
from tsp.runtime import RETRIES, Failed, Outcome, table
from tsp.runtime.failures import FORMS, OF_SIMULATORS, WHAT, Failure, failures
from tsp.system_check import duration

MOST_RETRIES = 100
REPLAYS: str = f"replays before a link is left out or a spare takes a chip's place, {RETRIES} if not given"
FAILURES: str = f"let it fail on purpose: {FORMS}"


def replay_command(
    system: str,
    programs: str | None,
    on: str,
    dump: tuple[str, ...],
    max_cycles: int,
    retries: int | None,
    fails: tuple[str, ...],
    as_json: bool,
) -> int:
    """The exit code: 0 for a right result, 3 for none after all that was tried."""
    loaded = load(system, programs)
    injected, seeds = failures(fails, loaded, tuple(WHAT) if on == "golden" else OF_SIMULATORS)
    found: Outcome | Failed
    try:
        often = RETRIES if retries is None else retries
        found = run_replayed(loaded, injected, on=on, retries=often, dump=dump, max_cycles=max_cycles)
    except Failed as failed:
        found = failed
    if as_json:
        click.echo(json.dumps(_as_dict(found, injected, seeds, on), indent=2))
    else:
        _print(system, found, injected, seeds, on)
    if isinstance(found, Failed):
        raise found
    return EXIT_RIGHT


def _as_dict(found: Outcome | Failed, injected: list[Failure], seeds: list[int], on: str) -> dict[str, Any]:
    plain: dict[str, Any] = {"right": isinstance(found, Outcome), "on": on, "failures": [*map(str, injected)]}
    plain["seeds"] = seeds
    if isinstance(found, Outcome):
        return plain | found.as_dict()
    return plain | {"error": str(found), "log": [step.as_dict() for step in found.log]}


def _print(system: str, found: Outcome | Failed, injected: list[Failure], seeds: list[int], on: str) -> None:
    console = Console(markup=False, emoji=False)  # ":b:" in a failure is no picture
    if seeds:
        click.echo(f"failures drawn from {'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}")
    if injected:
        console.print(_injected(injected))
    console.print(table(found.log))
    if isinstance(found, Failed):
        return
    most = max(found.cycles.values())
    tried = counted(found.attempts, "attempt")
    click.echo(f"{system} on {on}: right after {tried}, {duration(most, found.zero)}")
    chips = Table("place", "chip", "cycles")
    chips.columns[2].justify = "right"
    for place, chip in found.chips.items():
        chips.add_row(place, chip, str(found.cycles[place]))
    console.print(chips)
    print_dumped(found.dumped)


def _injected(injected: list[Failure]) -> Table:
    """A row for each failure on purpose."""
    found = Table("--fail", "attempts", "what fails")
    for failure in injected:
        found.add_row(str(failure), failure.attempts, failure.meaning)
    return found
