"""``tsp run``: run a program on the golden model or on the RTL."""

import json
from pathlib import Path

import click

from tsp.cli import config_options, load_program
from tsp.config import ChipConfig
from tsp.dump import superlanes
from tsp.errors import counted
from tsp.flips import FORMS, parse
from tsp.floorplan import floorplan
from tsp.run import BACKENDS, MAX_CYCLES, RunResult, run


@click.command("run")
@click.argument("program")
@click.option("--on", default="golden", show_default=True, metavar="|".join(BACKENDS), help="Where to run it.")
@click.option("--dump", multiple=True, metavar="WORDS", help="What to print: a symbol, or words such as mem.e0:0:4.")
@click.option("--waves", metavar="FILE", help="Record a simulator's waves to this .fst or .vcd file.")
@click.option("--max-cycles", type=click.IntRange(min=1), default=MAX_CYCLES, show_default=True, help="Refuse more.")
@click.option("--no-check", is_flag=True, help="Run what the checker refuses, to see the machine's fault.")
@click.option("--flip", "flips", multiple=True, metavar="BITS", help=f"Turn over bits on purpose: {FORMS}.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; for bad input nothing but the sentence on stderr.")
@config_options(required=False)
def run_program(
    program: str,
    on: str,
    dump: tuple[str, ...],
    waves: str | None,
    max_cycles: int,
    no_check: bool,
    flips: tuple[str, ...],
    as_json: bool,
    config: ChipConfig | None,
) -> int:
    """Run PROGRAM (.npz or source).

    Exit code 1: the machine differs from the prediction; 2: bad input; 3: the machine latched a fault.
    """
    loaded = load_program(program, config)
    file = None if waves is None else Path(waves)
    turned = [parse(text, loaded.config) for text in flips]
    result = run(loaded, on, checked=not no_check, dump=dump, max_cycles=max_cycles, waves=file, flips=turned)
    if as_json:
        click.echo(json.dumps(result.as_dict(), indent=2))
    else:
        _print(program, result)
    return result.exit_code


def _print(program: str, result: RunResult) -> None:
    slices = floorplan(result.config).slices
    speed = "" if result.clocks is None else f", {result.clocks / max(result.seconds, 1e-9):,.0f} clock cycles/s"
    click.echo(f"{program} on {result.on}: {result.cycles} cycles, predicted {result.predicted}{speed}")
    for name, vectors in result.symbols.items():
        for number, vector in enumerate(vectors):
            click.echo(f"{name}[{number}]: {'undefined' if vector is None else ' '.join(map(str, vector))}")
    for (place, address), word in result.memory.items():
        texts = superlanes(word)
        click.echo(f"{slices[place].name}[{address}]: {'undefined' if texts is None else ' '.join(texts)}")
    for name, value in result.signature.items():
        if value:
            click.echo(f"signature {name}: {value:016x}")
    if result.corrected:
        click.echo(f"corrected: one bit of a word, {counted(result.corrected, 'time')}")
    if result.lost:
        click.echo(f"lost: {result.lost} of the words read back have wrong bits that cannot be corrected", err=True)
    if result.waves is not None:
        click.echo(f"waves: {result.waves}")
    if result.fault_text:
        click.echo(f"machine fault: {result.fault_text}", err=True)
    if result.difference:
        click.echo(f"differs: {result.difference}", err=True)
