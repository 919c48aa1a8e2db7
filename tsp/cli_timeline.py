"""``tsp timeline``: what a program does in every cycle."""

from pathlib import Path

import click
from rich.console import Console

from tsp.cli import config_options, load_program
from tsp.config import ChipConfig
from tsp.errors import EXIT_RIGHT, InputError
from tsp.files import refuse_same, refuse_unwritable, write_atomic
from tsp.timeline.html import page
from tsp.timeline.model import timeline
from tsp.timeline.perfetto import trace
from tsp.timeline.text import render


@click.command("timeline")
@click.argument("program")
@click.option("--html", metavar="FILE", help="Write a page to look at it in a browser, and to follow its data.")
@click.option("--perfetto", metavar="FILE", help="Write a trace for ui.perfetto.dev; a cycle is a microsecond.")
@config_options(required=False)
def show_timeline(program: str, html: str | None, perfetto: str | None, config: ChipConfig | None) -> int:
    """Show what PROGRAM (.npz or source) does in every cycle: in the terminal, or in files to look at."""
    makers = {"--html": (html, page), "--perfetto": (perfetto, trace)}
    files = {option: (Path(file), make) for option, (file, make) in makers.items() if file is not None}
    for option, (file, _) in files.items():
        if not file.name:
            raise InputError(f"{option}: must name a file")
        refuse_same(file, Path(program))
        refuse_unwritable(file)
    if len({file.resolve() for file, _ in files.values()}) < len(files):
        raise InputError(f"{html}: is named by --html and by --perfetto, must be two files")
    shown, name = timeline(load_program(program, config)), Path(program).name
    if not files:
        console = Console(highlight=False)
        console.print(render(shown, name, console.width))
        return EXIT_RIGHT
    made = [(file, make(shown, name)) for file, make in files.values()]
    for file, data in made:
        write_atomic(file, data)
        click.echo(f"{file}: {len(data):,} bytes")
    return EXIT_RIGHT
