"""The ``tsp`` command. Exit codes: 0 right, 1 differs, 2 bad input, 3 machine fault.

A command raises InputError, or any click error, for bad input; :func:`run` turns it into one sentence. A heavier
command lives in a file of its own and is added with ``cli.add_command``; what commands need is imported when they run.
"""

import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from tsp.config import PRESETS, ChipConfig, preset
from tsp.errors import EXIT_BAD_INPUT, EXIT_RIGHT, InputError, counted
from tsp.files import reason, refuse_ending, refuse_same, refuse_unwritable, write_atomic
from tsp.program import Program

_Command = Callable[..., Any]


class _PresetName(click.types.StringParamType):
    """A text; where it is missing, the presets are named."""

    known = f"{', '.join([*PRESETS][:-1])} or {[*PRESETS][-1]}"

    def get_missing_message(self, param: click.Parameter, ctx: click.Context | None) -> str:
        return f"It is the preset to start from: {self.known}."


class OutputFile(click.ParamType[Path]):
    """A file to write, as a Path. One that cannot be written is refused before any work."""

    name = "file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        path = Path(value)
        refuse_unwritable(path)
        return path


def config_options(required: bool) -> Callable[[_Command], _Command]:
    """``--config`` and ``--set``, passed on as ``config``: a ChipConfig, or None if not required and not given."""

    def decorate(command: _Command) -> _Command:
        def call(config: str | None, settings: tuple[str, ...], **arguments: Any) -> Any:
            if config is None and settings:
                raise InputError("--set changes a preset; name it with --config, or write set in a system's file")
            chip = preset(config).override(settings) if config is not None else None
            return command(config=chip, **arguments)

        call.__name__, call.__doc__ = command.__name__, command.__doc__
        call.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
        call = click.option("--set", "settings", multiple=True, metavar="FIELD=VALUE", help="Change a field of it.")(
            call
        )
        name = _PresetName()
        return click.option("--config", required=required, type=name, metavar="PRESET", help=f"{name.known}.")(call)

    return decorate


def load_program(path: str, config: ChipConfig | None) -> Program:
    """A program from a ``.npz`` file or from source, for ``config`` if given. Raises InputError."""
    if path.endswith(".onnx"):
        raise InputError(f"{path}: is a model, not a program; tsp compile makes one of it")
    if path.endswith(".toml"):
        raise InputError(f"{path}: is a system, not a program; see tsp system check and tsp run --system")
    if path.endswith(".npz"):
        return Program.load(path, config)
    from tsp.assembler import assemble_file

    return assemble_file(path, config)


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="open-tsp", message="open-tsp %(version)s")
@click.pass_context
def cli(context: click.Context) -> None:
    """Assemble, check and run programs for the Tensor Streaming Processor, and write its Verilog."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@cli.command()
@config_options(required=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--svg", type=OutputFile(), metavar="FILE", help="Draw the floorplan.")
def info(config: ChipConfig, as_json: bool, svg: Path | None) -> None:
    """Print what follows from a configuration."""
    from tsp.info import figures, table

    if svg is not None:
        from tsp.floorplan_svg import draw

        write_atomic(svg, draw(config).encode())
    if as_json:
        click.echo(json.dumps(figures(config), indent=2))
    else:
        Console().print(table(config))


@cli.command()
@click.argument("source")
@click.option("-o", "--output", type=OutputFile(), metavar="FILE", help="Default: beside the source, with .npz.")
@config_options(required=False)
def asm(source: str, output: Path | None, config: ChipConfig | None) -> None:
    """Assemble SOURCE into a program file."""
    from tsp.assembler import assemble_file

    program = assemble_file(source, config)
    path = output or Path(source).with_suffix(".npz")
    refuse_ending(path)
    refuse_same(path, Path(source))
    program.save(path)
    words = sum(map(len, program.queues.values()))
    vectors = sum(len(image.addresses) for image in program.memory.values())
    held = f"{counted(words, 'word')} in {counted(len(program.queues), 'queue')}"
    click.echo(f"{path}: {held}, {counted(vectors, 'vector')} in memory")


@cli.command()
@click.argument("program")
@click.option("-o", "--output", type=OutputFile(), metavar="FILE", help="Default: print it.")
def disasm(program: str, output: Path | None) -> None:
    """Print a program file as assembly that assembles to the same program."""
    from tsp.disassembler import disassemble

    text = disassemble(Program.load(program))
    if output is None:
        click.echo(text, nl=False)
    else:
        refuse_same(output, Path(program))
        write_atomic(output, text.encode())


@cli.command()
@click.argument("program")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@config_options(required=False)
def check(program: str, as_json: bool, config: ChipConfig | None) -> int:
    """Find every mistake of PROGRAM (.npz or source) that shows before it runs, and predict its cycles."""
    from tsp.checker import check as check_program

    report = check_program(load_program(program, config))
    if as_json:
        problems = [{"rule": p.rule, "cycle": p.cycle, "where": p.where, "message": p.message} for p in report.problems]
        click.echo(json.dumps({"ok": report.ok, "cycles": report.cycles, "problems": problems}, indent=2))
    else:
        click.echo(f"{program}: {report}" if report.ok else str(report), err=not report.ok)
    return EXIT_RIGHT if report.ok else EXIT_BAD_INPUT


@cli.command()
@config_options(required=True)
@click.option("-o", "--output", required=True, metavar="DIR", help="Directory to write to.")
def verilog(config: ChipConfig, output: str) -> None:
    """Write the Verilog of a configuration: a file per module and a file list."""
    from rtl.verilog import generate

    if not output:
        raise InputError("-o: must name a folder")
    files = generate(config, Path(output))
    click.echo(f"{output}: {counted(len(files), 'file')}, {sum(file.stat().st_size for file in files):,} bytes")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever called; a file opened later would take its place
            setattr(sys, name, open(os.devnull, "w"))
    sys.exit(run(list(sys.argv[1:] if arguments is None else arguments)))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code. Bad input becomes one sentence on stderr, never a traceback."""
    try:
        code = cli.main(list(arguments), prog_name="tsp", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else EXIT_RIGHT
    except InputError as error:
        return _refuse(str(error), error.exit_code)
    except click.ClickException as error:
        return _refuse(error.format_message())
    except click.Abort:
        return _refuse("interrupted", 130)
    except (BrokenPipeError, SystemExit):  # click makes the one of the other
        # Whoever read the output has enough. Python would complain again when it flushes stdout at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_RIGHT
    except OSError as error:
        return _refuse(f"{error.filename or 'error'}: {reason(error)}")


def _refuse(sentence: str, code: int = EXIT_BAD_INPUT) -> int:
    click.echo(sentence, err=True)
    return code


from tsp.cli_compile import compile_model, explain_program  # noqa: E402 - it uses what stands above
from tsp.cli_estimate import estimate_model  # noqa: E402
from tsp.cli_network import network  # noqa: E402
from tsp.cli_run import run_program  # noqa: E402
from tsp.cli_system import system_group  # noqa: E402
from tsp.cli_timeline import show_timeline  # noqa: E402

cli.add_command(compile_model)
cli.add_command(estimate_model)
cli.add_command(explain_program)
cli.add_command(network)
cli.add_command(run_program)
cli.add_command(show_timeline)
cli.add_command(system_group)
