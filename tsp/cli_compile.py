"""``tsp compile``: a network becomes a program. ``tsp explain``: what it costs."""

import json
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from tsp.cli import config_options, load_program
from tsp.config import ChipConfig
from tsp.errors import EXIT_DIFFERS, InputError, counted
from tsp.files import refuse_same


class Miscompiled(InputError):
    """No fault of the input."""

    exit_code = EXIT_DIFFERS


@click.command("compile")
@click.argument("model")
@click.option("-o", "output", required=True, metavar="FILE", help="The program, a .npz file.")
@click.option("--dump-after", "stage", metavar="STAGE", help="Print what fold, lower, place, schedule or fetch made.")
@config_options(required=True)
def compile_model(model: str, output: str, stage: str | None, config: ChipConfig) -> int:
    """Compile MODEL, an .onnx file with 8-bit tensors, and print what it costs."""
    from tsp.checker import check
    from tsp.compiler import STAGES, compile
    from tsp.compiler.onnx_import import load

    if stage is not None and stage not in STAGES:
        raise InputError(f"--dump-after {stage}: no such stage; stages are {', '.join(STAGES)}")
    refuse_same(Path(output), Path(model))
    compiled = compile(load(Path(model)), config, Path(model).name)
    if stage is not None:
        click.echo(compiled.dump(stage))
    report = check(compiled.program)
    if not report.ok:
        raise Miscompiled(f"the compiler made an illegal program of {model}, please report it: {report.problems[0]}")
    compiled.program.save(output)
    table = Table("tensor", "shape", "where")
    for name, tensor in compiled.program.tensors.items():
        table.add_row(name, str(tensor), "input" if tensor.given else "output")
    Console().print(table)
    queues = compiled.program.queues
    size = f"{counted(sum(map(len, queues.values())), 'word')} in {counted(len(queues), 'queue')}"
    click.echo(f"{output}: {report}, {size}")
    return 0


@click.command("explain")
@click.argument("program")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; for bad input nothing but the sentence on stderr.")
def explain_program(program: str, as_json: bool) -> int:
    """Print what each pass of a compiled PROGRAM (.npz) costs, where it runs, and what bounds it."""
    from tsp.explain import explain, table

    loaded = load_program(program, None)
    parts = explain(loaded)
    if as_json:
        click.echo(json.dumps([part.as_dict() for part in parts], indent=2))
    else:
        Console().print(table(parts, loaded))
    return 0
