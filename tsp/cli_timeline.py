"""``tsp timeline``: what a program does in every cycle."""

from pathlib import Path

import click
from rich.console import Console

from tsp.cli import config_options, load_program
from tsp.config import ChipConfig
from tsp.errors import EXIT_RIGHT
from tsp.timeline.model import timeline
from tsp.timeline.text import render


@click.command("timeline")
@click.argument("program")
@config_options(required=False)
def show_timeline(program: str, config: ChipConfig | None) -> int:
    """Show what PROGRAM (.npz or source) does in every cycle: in the terminal, or in files for a browser."""
    shown = timeline(load_program(program, config))
    console = Console(highlight=False)
    console.print(render(shown, Path(program).name, console.width))
    return EXIT_RIGHT
