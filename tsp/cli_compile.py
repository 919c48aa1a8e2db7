"""``tsp compile``: a network becomes a program. ``tsp explain``: what it costs."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich import progress as bars
from rich.console import Console
from rich.table import Table

from tsp.cli import OutputFile, config_options, load_program
from tsp.config import ChipConfig
from tsp.errors import EXIT_DIFFERS, InputError, counted
from tsp.files import refuse_ending, refuse_same

if TYPE_CHECKING:
    from tsp.compiler.progress import Progress


class Miscompiled(InputError):
    """No fault of the input."""

    exit_code = EXIT_DIFFERS


@click.command("compile")
@click.argument("model")
@click.option("-o", "output", type=OutputFile(), required=True, metavar="FILE", help="The program, a .npz file.")
@click.option("--dump-after", "stage", metavar="STAGE", help="Print what fold, lower, place, schedule or fetch made.")
@config_options(required=True)
def compile_model(model: str, output: Path, stage: str | None, config: ChipConfig) -> int:
    """Compile MODEL, an .onnx file, and print what it costs."""
    from tsp.checker import check
    from tsp.compiler import STAGES, compile
    from tsp.compiler.onnx_file import load

    if stage is not None and stage not in STAGES:
        raise InputError(f"--dump-after {stage}: no such stage; stages are {', '.join(STAGES)}")
    refuse_ending(output)
    refuse_same(output, Path(model))
    loaded = load(Path(model))
    with shown() as progress:
        compiled = compile(loaded, config, Path(model).name, progress)
        progress("check", 0, 1)
        report = check(compiled.program)
    if stage is not None:
        click.echo(compiled.dump(stage))
    if not report.ok:
        raise Miscompiled(f"the compiler made an illegal program of {model}, please report it: {report.problems[0]}")
    compiled.program.save(output)
    table = Table("tensor", "shape", "where")
    for name, tensor in compiled.program.tensors.items():
        table.add_row(name, str(tensor), "input" if tensor.given else "output")
    Console(markup=False).print(table)
    queues = compiled.program.queues
    size = f"{counted(sum(map(len, queues.values())), 'word')} in {counted(len(queues), 'queue')}"
    click.echo(f"{output}: {report}, {size}")
    return 0


@contextmanager
def shown() -> "Iterator[Progress]":
    """Shows how far it is on stderr while it lasts, if that is a terminal."""
    console = Console(stderr=True)
    with bars.Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("")
        yield lambda stage, done, total: bar.update(task, description=stage, completed=done, total=total)


@click.command("explain")
@click.argument("program")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; for bad input nothing but the sentence on stderr.")
@click.option("--layers", is_flag=True, help="All passes of a layer in one row.")
@click.option("--path", "path_only", is_flag=True, help="The critical path: passes that follow each other.")
def explain_program(program: str, as_json: bool, layers: bool, path_only: bool) -> int:
    """Print what each pass of a compiled PROGRAM (.npz) costs, where it runs, and what bounds it."""
    from tsp import critical
    from tsp.explain import by_layer, explain, table

    if layers and path_only:
        raise InputError("--layers and --path: a critical path is of passes; give one of them")

    loaded = load_program(program, None)
    if path_only:
        path = critical.critical_path(loaded)
        rows = [link.part.as_dict() | {"waited": link.waited} for link in path]
        if as_json:
            click.echo(json.dumps(rows, indent=2))
        else:
            Console(markup=False).print(critical.table(path))
        return 0
    parts = by_layer(explain(loaded)) if layers else explain(loaded)
    if as_json:
        click.echo(json.dumps([part.as_dict() for part in parts], indent=2))
    else:
        Console(markup=False).print(table(parts, loaded))
    return 0
