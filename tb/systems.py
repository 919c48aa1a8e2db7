"""``python -m tb.systems``, behind ``make systems``: systems of whole chips in Verilator, each with a clock of its own.

Each row is a program for all chips of a system. It runs several times, with other clocks, wires and jitter each time,
and must do the same every time: what the golden model does, in the cycles that were predicted.
"""

import os
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from golden.machine import Result
from golden.system import run_system
from tb.command import AT_LEAST_ONE, Command, one_sentence, report_path, write_report
from tb.link import chips
from tb.link.chips import UNUSED, Run, Wires
from tb.link.system import Topology, chain, tree
from tb.link.tree_sum import joined, tree_sum
from tb.machine import Job, RtlResult
from tb.small import meshed
from tsp import collectives
from tsp.collectives import Collective, Values
from tsp.errors import EXIT_DIFFERS, InputError, nearest
from tsp.floorplan import floorplan
from tsp.node import LATENCY, Node
from tsp.start import started
from tsp.system import System
from tsp.system_check import SystemReport, check_system

CONFIG = meshed()
UNEVEN = 8
"""Cycles by which a link is slower in one direction than nominal, and faster in the other."""
SLOWEST = LATENCY + 3 * UNEVEN
"""L_eff of a node's slowest channel: by as much as it is slow itself, and both chips' HACs are off."""
LATE = 30
"""Resets end within so many cycles."""
SETTLE = 2_000
"""Cycles of alignment, and as many for each edge of the tree's longest way."""
Made = tuple[Collective, NDArray[np.int64]]
"""Programs, and what every chip must have at the end, int64 [chips, vectors, lanes]."""


@dataclass(frozen=True)
class Row:
    name: str
    make: Callable[[], Made]


def summed(topology: Topology) -> Made:
    """Two vectors of every chip, small enough that no sum saturates, added up along a tree."""
    vectors = _vectors(topology.chips, 2) // topology.chips
    return tree_sum(joined(topology, CONFIG, LATENCY), vectors), _everywhere(vectors.sum(axis=0, dtype=np.int64))


def of_node(number: int, name: str) -> Made:
    """A collective of a node of so many chips: ``broadcast`` from the last, of two vectors; of the others each chip has
    one vector, or one for every chip."""
    node = Node(CONFIG, number, measured=SLOWEST)
    if name == "broadcast":
        vectors = _vectors(2)
        return collectives.broadcast(node, number - 1, vectors), _everywhere(vectors)
    if name == "all-gather":
        vectors = _vectors(number, 1)
        return collectives.all_gather(node, vectors), _everywhere(vectors.reshape(-1, CONFIG.lanes))
    if name == "reduce-scatter":
        vectors = _vectors(number, number)
        return collectives.reduce_scatter(node, vectors), _clipped(vectors)[:, None]
    vectors = _vectors(number, 1)
    return collectives.all_reduce(node, vectors), _everywhere(_clipped(vectors))


def _vectors(*shape: int) -> NDArray[np.int8]:
    return np.random.default_rng(sum(shape)).integers(-128, 128, (*shape, CONFIG.lanes), dtype=np.int8)


def _clipped(vectors: NDArray[np.int8]) -> NDArray[np.int64]:
    return np.clip(vectors.astype(np.int64).sum(axis=0), -128, 127)


def _everywhere(vectors: NDArray[Any]) -> NDArray[np.int64]:
    return vectors.astype(np.int64)[None]


COLLECTIVES = ("broadcast", "all-gather", "reduce-scatter", "all-reduce")
ROWS = (
    Row("chain of 4: sum", lambda: summed(chain(4))),
    Row("tree of 8, depth 5: sum", lambda: summed(tree([0, 0, 1, 2, 3, 5, 6]))),
    *(Row(f"node of {number}: {name}", partial(of_node, number, name)) for number in (4, 8) for name in COLLECTIVES),
)


def wires(system: System, seed: int) -> Wires:
    """Clocks, wires and jitter of run number ``seed``, from 1 on: clocks at both ends of what is allowed by turns; the
    root fast and all others slow; the root slow; then any."""
    rng = random.Random(f"{system.name} {seed}")
    others, most = len(system.chips) - 1, system.ppm
    known = ([most, -most] * others, [-most, most] * others, [most] + [-most] * others, [-most] + [most] * others)
    ppm = known[seed - 1][: others + 1] if seed <= len(known) else [rng.randint(-most, most) for _ in system.chips]
    uneven = [sign * UNEVEN for _ in system.links for sign in rng.choice([(1, -1), (-1, 1)])]
    late, settle = [rng.randrange(LATE) for _ in system.chips], SETTLE * (1 + max(system.depth))
    return Wires(ppm=ppm, wander=6 * (seed > len(known)), uneven=uneven, late=late, settle=settle, seed=seed)


def measure(row: Row, runs: int, sim: str) -> dict[str, Any]:
    """Run a row; its line of the report."""
    began, (collective, right) = _processor(), row.make()
    system = collective.system
    report, expected = check_system(system), run_system(system)
    wrong = [str(report)] if not report.ok else []
    wrong += _answers("the golden model", collective, right, [result.values for result in expected])
    chips.build(system, sim)
    built, slack = _processor(), list[int]()
    for seed in range(1, runs + 1):
        found = run(system, wires(system, seed), report, sim)
        slack.append(min(each for each in found.slack if each != UNUSED))
        wrong += [f"run {seed}: {sentence}" for sentence in differences(collective, right, found, expected, report)]
    return {
        "name": row.name,
        "chips": len(system.chips),
        "links": len(system.links),
        "depth": max(system.depth),
        "runs": runs,
        "cycles": max(report.cycles) - report.zero,
        "slack": f"{min(slack)}…{max(slack)}",
        "wrong": wrong,
        "build_s": round(built - began),
        "s": round(_processor() - began),
    }


def _processor() -> float:
    """Seconds of the processor so far, of this process and those it has started."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def run(system: System, wires: Wires, report: SystemReport, sim: str) -> Run:
    """Run a system behind its preambles, and read what its symbols hold at the end."""
    begun, jobs = started(system)[0], list[Job]()
    for chip, cycles in zip(begun.chips, report.cycles, strict=True):
        words = {(s.slice, s.address + k) for s in chip.program.symbols.values() for k in range(s.count)}
        jobs.append(Job(chip.program, cycles + 64 * chip.config.hac_period, read=sorted(words)))
    return chips.run(begun, jobs, wires, sim)


def differences(
    collective: Collective, right: NDArray[np.int64], found: Run, expected: Sequence[Result], report: SystemReport
) -> list[str]:
    """Sentences about what a run did otherwise than it must."""
    wrong = []
    for n, (got, golden, cycles) in enumerate(zip(found.chips, expected, report.cycles, strict=True)):
        slices = floorplan(collective.system.chips[n].config).slices
        signature = {slices[place].name: value for place, value in got.signatures.items()}
        if not got.done or got.fault is not None:
            wrong.append(f"chip {n}: done {got.done}, fault {got.fault}")
        elif got.cycles != cycles:
            wrong.append(f"chip {n} took {got.cycles} cycles, not {cycles}")
        elif signature != golden.signature:
            wrong.append(f"chip {n}: events are not those of the golden model")
    return wrong or _answers("the RTL", collective, right, [_values(chip) for chip in found.chips])


def _values(chip: RtlResult) -> Values:
    def read(symbol: Any) -> NDArray[np.int64]:
        words = [chip.memory[symbol.slice, symbol.address + k] for k in range(symbol.count)]
        return np.stack(words).view(np.int8).astype(np.int64)

    return read


def _answers(who: str, collective: Collective, right: NDArray[np.int64], values: Sequence[Values]) -> list[str]:
    found = collective.result(values)
    return [] if (found == np.broadcast_to(right, found.shape)).all() else [f"{who} has other numbers"]


COLUMNS = ("chips", "links", "depth", "runs", "cycles", "slack", "build_s", "s")
"""``cycles`` of the programs, from their common start on; ``slack`` is the least that a vector waits for its RECEIVE,
in the run with the least and in that with the most; ``build_s`` is part of ``s``, seconds of the processor."""


def table(lines: Sequence[dict[str, Any]]) -> Table:
    result = Table("system", *COLUMNS, "")
    for line in lines:
        verdict = "[green]right[/]" if not line["wrong"] else f"[red]{line['wrong'][0]}[/]"
        result.add_row(line["name"], *(str(line[name]) for name in COLUMNS), verdict)
    return result


@click.command(cls=Command)
@click.option("--row", "names", multiple=True, help="Only this one; may be given more than once.")
@click.option("--runs", type=AT_LEAST_ONE, default=6, show_default=True, help="Clocks, wires and jitters of each row.")
@click.option("--sim", type=click.Choice(["icarus", "verilator"]), default="verilator", show_default=True)
def main(names: Sequence[str], runs: int, sim: str) -> None:
    """Run systems of whole chips. Exit code 1 when something is not as it must be."""
    with one_sentence():
        known = [row.name for row in ROWS]
        for name in names:
            if name not in known:
                raise InputError(f"there is no row '{name}'{nearest(name, known)}")
        path, lines = report_path("systems"), list[dict[str, Any]]()
        for row in ROWS:
            if not names or row.name in names:
                lines.append(measure(row, runs, sim))
                print(f"{row.name}: {'; '.join(lines[-1]['wrong']) or 'as it must be'}", file=sys.stderr)
        write_report(path, {"sim": sim, "rows": lines})
    Console().print(table(lines))
    sys.exit(EXIT_DIFFERS if any(line["wrong"] for line in lines) else 0)


if __name__ == "__main__":
    main(prog_name="python -m tb.systems")
