"""``tsp system``: check, draw and assemble systems of chips; and what ``tsp run --system`` does."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from tsp.cli import OutputFile, load_program
from tsp.config import ChipConfig
from tsp.errors import EXIT_BAD_INPUT, EXIT_RIGHT, InputError, counted
from tsp.files import refuse_ending, refuse_same
from tsp.program import Program
from tsp.run_system import SystemResult, run_checked
from tsp.start import preambles
from tsp.system import System
from tsp.system_check import check_system, duration
from tsp.system_file import load_system
from tsp.system_programs import load_programs, save_programs


def load(file: str, programs: str | None = None, output: Path | None = None) -> System:
    """The system in a file, with the programs of another if given.

    Raises InputError, also if ``output``, which will be written, is one of the files that are read.
    """
    if not file:
        raise InputError("the name of the system's file is empty; give a .toml")

    def program(path: Path, config: ChipConfig) -> Program:
        if output is not None:
            refuse_same(output, path)
        return load_program(str(path), config)

    if output is not None:
        refuse_same(output, Path(file))
    return load_system(file, program, None if programs is None else load_programs(Path(programs)))


@click.group("system")
def system_group() -> None:
    """Check, draw and assemble systems of several chips."""


@system_group.command("check")
@click.argument("system")
@click.argument("programs", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check_command(system: str, programs: str | None, as_json: bool) -> int:
    """Find every mistake of SYSTEM (.toml) that shows before it runs, and say when its chips start.

    PROGRAMS (.npz) holds the programs of its chips, instead of those that it names.
    """
    loaded = load(system, programs)
    report = check_system(loaded)
    if as_json:
        cycles = {chip.name: count for chip, count in zip(loaded.chips, report.cycles, strict=True)}
        found = {"ok": report.ok, "cycles": cycles, "zero": report.zero, "problems": report.problems}
        click.echo(json.dumps(found, indent=2))
    elif report.ok:
        click.echo(f"{system}: {report}")
        Console(markup=False).print(_table(loaded, report.cycles))
    else:
        click.echo(str(report), err=True)
    return EXIT_RIGHT if report.ok else EXIT_BAD_INPUT


def _table(system: System, cycles: list[int]) -> Table:
    """When each chip starts, if the system starts it, and what it takes."""
    found = Table("chip", "config", "parent", "epoch", "depth", "cycles")
    for column in found.columns[3:]:
        column.justify = "right"
    starts = [str(start.epoch) for start in preambles(system)] if system.preamble else [""] * len(cycles)
    for number, (chip, epoch, channel) in enumerate(zip(system.chips, starts, system.parents, strict=True)):
        parent = "" if channel is None else system.chips[channel.sender].name
        cells = (epoch, system.depth[number], cycles[number])
        found.add_row(chip.name, chip.config.name, parent, *map(str, cells))
    return found


@system_group.command("draw")
@click.argument("system")
@click.option("-o", "--output", required=True, metavar="FILE", help="An .svg or a .png.")
def draw_command(system: str, output: str) -> None:
    """Draw the chips and links of SYSTEM (.toml)."""
    from tsp.pictures import picture_path, save
    from tsp.system_draw import draw_system

    path = picture_path(output)
    loaded = load(system, output=path)
    save(draw_system(loaded), path)
    click.echo(f"{output}: {counted(len(loaded.chips), 'chip')}, {counted(len(loaded.links), 'link')}")


@system_group.command("asm")
@click.argument("system")
@click.option("-o", "--output", type=OutputFile(), required=True, metavar="FILE.npz", help="Where to write them.")
def asm_command(system: str, output: Path) -> None:
    """Assemble the programs that SYSTEM (.toml) names into one file."""
    loaded = load(system, output=output)
    refuse_ending(output)
    save_programs({chip.name: chip.program for chip in loaded.chips if not chip.spare}, output)
    click.echo(f"{output}: {counted(len(loaded.chips), 'program')}")


def run_command(
    system: str, programs: str | None, on: str, dump: tuple[str, ...], max_cycles: int, no_check: bool, as_json: bool
) -> int:
    """What ``tsp run --system`` does."""
    result = run_checked(load(system, programs), on=on, checked=not no_check, dump=dump, max_cycles=max_cycles)
    if as_json:
        click.echo(json.dumps(result.as_dict(), indent=2))
    else:
        _print(system, result)
    return result.exit_code


def _print(system: str, result: SystemResult) -> None:
    most = max(found.cycles for found in result.results)
    click.echo(f"{system} on {result.on}: {duration(most, result.zero)}")
    Console(markup=False).print(result.table())
    print_dumped(result.dumped)
    if result.differing and not result.faults:
        click.echo(f"not as foretold: {', '.join(result.differing)}", err=True)
    for chip, fault in result.faults.items():
        click.echo(f"machine fault: chip {chip}: {fault}", err=True)


def print_dumped(dumped: Mapping[tuple[str, str], Any]) -> None:
    """Print what was asked for: (chip, WORDS) → elements, or bytes by the words' names."""
    for (chip, text), value in dumped.items():
        if isinstance(value, dict):
            for word, lanes in value.items():
                click.echo(f"{chip}:{word}: {'undefined' if lanes is None else ' '.join(lanes)}")
            continue
        for number, vector in enumerate(value):
            click.echo(f"{chip}:{text}[{number}]: {'undefined' if vector is None else ' '.join(map(str, vector))}")
