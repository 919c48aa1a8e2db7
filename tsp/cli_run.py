"""``tsp run``: run a program on the golden model or on the RTL."""

import io
import json
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from tsp.cli import config_options, load_program
from tsp.cli_replay import FAILURES, MOST_RETRIES, REPLAYS, replay_command
from tsp.cli_system import run_command
from tsp.config import ChipConfig
from tsp.dump import superlanes
from tsp.errors import InputError, counted
from tsp.files import write_atomic
from tsp.flips import FORMS, parse
from tsp.floorplan import floorplan
from tsp.program import Program
from tsp.run import BACKENDS, MAX_CYCLES, RunResult, run
from tsp.tensors import read_array, restored, with_inputs


@click.command("run")
@click.argument("program", required=False)
@click.option("--system", metavar="FILE", help="Run the chips of a system file; PROGRAM then holds their programs.")
@click.option("--on", default="golden", show_default=True, metavar="|".join(BACKENDS), help="Where to run it.")
@click.option("--dump", multiple=True, metavar="WORDS", help="What to print: a symbol, or words such as mem.e0:0:4.")
@click.option("--waves", metavar="FILE", help="Record a simulator's waves to this .fst or .vcd file.")
@click.option("--max-cycles", type=click.IntRange(min=1), default=MAX_CYCLES, show_default=True, help="Refuse more.")
@click.option("--no-check", is_flag=True, help="Run what the checker refuses, to see the machine's fault.")
@click.option("--input", "inputs", multiple=True, metavar="[NAME=]FILE", help="An input, a .npy file.")
@click.option("--output", "outputs", multiple=True, metavar="[NAME=]FILE", help="Where to write an output, as .npy.")
@click.option("--flip", "flips", multiple=True, metavar="BITS", help=f"Turn over bits on purpose: {FORMS}.")
@click.option("--retries", type=click.IntRange(0, MOST_RETRIES), help=f"Of a system: {REPLAYS}.")
@click.option("--fail", "fails", multiple=True, metavar="FAILURE", help=f"Of a system: {FAILURES}.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; for bad input nothing but the sentence on stderr.")
@config_options(required=False)
def run_program(
    program: str | None,
    system: str | None,
    on: str,
    dump: tuple[str, ...],
    waves: str | None,
    max_cycles: int,
    no_check: bool,
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
    flips: tuple[str, ...],
    retries: int | None,
    fails: tuple[str, ...],
    as_json: bool,
    config: ChipConfig | None,
) -> int:
    """Run PROGRAM (.npz or source).

    With --retries or --fail a system is watched by a runtime, which replays, goes round dead links and puts spares in
    place of chips until the result is right.

    Exit code 1: the machine differs from the prediction; 2: bad input; 3: the machine latched a fault, or gave no
    right result.
    """
    if system is not None:
        given = {"--waves": waves, "--input": inputs, "--output": outputs, "--flip": flips, "--config": config}
        if unused := next((option for option, value in given.items() if value), None):
            raise InputError(f"{unused} is for one chip, but --system runs several; leave it out")
        if retries is None and not fails:
            return run_command(system, program, on, dump, max_cycles, no_check, as_json)
        if no_check:
            raise InputError("--no-check runs what is illegal, --retries and --fail what is legal; leave it out")
        return replay_command(system, program, on, dump, max_cycles, retries, fails, as_json)
    if retries is not None or fails:
        option = "--fail" if fails else "--retries"
        raise InputError(f"{option} is for systems of chips, and there is none; name it with --system")
    if program is None:
        raise InputError("PROGRAM is missing: a .npz file or source; or name a system with --system")
    loaded = load_program(program, config)
    if inputs or outputs:
        loaded = with_inputs(loaded, _inputs(loaded, inputs))
    files = _files(loaded, outputs, False)
    blocks = [block for tensor in loaded.tensors.values() if not tensor.given for block in tensor.blocks]
    file = None if waves is None else Path(waves)
    turned = [parse(text, loaded.config) for text in flips]
    asked = (*dump, *(block for block in blocks if block not in dump))
    result = run(loaded, on, checked=not no_check, dump=asked, max_cycles=max_cycles, waves=file, flips=turned)
    if as_json:
        click.echo(json.dumps(result.as_dict(), indent=2))
    else:
        _print(program, result, dump)
    if not result.exit_code:
        _write(loaded, result, files, quiet=as_json)
    return result.exit_code


def _inputs(program: Program, texts: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    return {name: read_array(path) for name, path in _files(program, texts, True).items()}


def _files(program: Program, texts: tuple[str, ...], given: bool) -> dict[str, Path]:
    """Name of an input or output → its file; the name may be left out where there is only one."""
    names = [name for name, tensor in program.tensors.items() if tensor.given == given]
    option, kind = ("--input", "input") if given else ("--output", "output")
    found: dict[str, Path] = {}
    for text in texts:
        name, equals, path = text.partition("=")
        if not equals and len(names) == 1:
            name, path = names[0], text
        if name not in names or name in found or not path.endswith(".npy"):
            known = f"its {kind}s are {', '.join(names)}" if names else f"the program has no {kind}s"
            raise InputError(f"{option} {text}: must be {kind}=FILE.npy, each once; {known}")
        found[name] = Path(path)
    return found


def _write(program: Program, result: RunResult, files: dict[str, Path], quiet: bool) -> None:
    """Print what the program gives, and write what was asked for."""
    for name, tensor in program.tensors.items():
        if tensor.given:
            continue
        rows = [result.symbols[block] for block in tensor.blocks]
        array = restored(np.concatenate([np.asarray(block) for block in rows], axis=1), tensor)
        if name in files:
            data = io.BytesIO()
            np.save(data, array, allow_pickle=False)
            write_atomic(files[name], data.getvalue())
        elif not quiet:
            click.echo(f"{name} {tensor}:\n{np.array2string(array, threshold=100)}")


def _print(program: str, result: RunResult, dump: tuple[str, ...]) -> None:
    slices = floorplan(result.config).slices
    speed = "" if result.clocks is None else f", {result.clocks / max(result.seconds, 1e-9):,.0f} clock cycles/s"
    click.echo(f"{program} on {result.on}: {result.cycles} cycles, predicted {result.predicted}{speed}")
    for name in (text for text in dump if text in result.symbols):
        vectors = result.symbols[name]
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
