"""``python -m tb.align``, behind ``make align``: systems of chips, each with a clock of its own, and their one time.

Each row is a run in Verilator, with measurements of 256 samples, and what must be true of it.
"""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from tb.command import Command, one_sentence, report_path, write_report
from tb.link import figures, rules
from tb.link.scenario import CONFIG, Scenario, run
from tb.link.system import Topology, chain, full, star, tree
from tsp.errors import EXIT_DIFFERS, InputError, nearest

SEGMENT = 25_000
WIRE, NOMINAL = 216.0, 219
"""Cycles on a wire, and the latency that round trips on it give: the elastic buffer has the rest."""
LOCKED = 50
"""Thousands of cycles in which HACs must have come together."""
Found = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """Runs, and what must hold of each: ``holds`` gives sentences about what does not."""

    name: str
    scenarios: Sequence[Scenario]
    holds: Callable[[Scenario, Found], list[str]]


def corners(chips: int) -> list[float]:
    """Clocks at the ends of ±100 ppm, by turns, and one in the middle."""
    return [(100, -100, 0)[chip % 3] for chip in range(chips)]


def whole(topology: Topology, ppm: Sequence[float], **changed: Any) -> Scenario:
    """Alignment, measurement of L_eff, and programs for as long as two resynchronisations."""
    depth = max(len(figures.ancestors(topology, chip)) for chip in range(topology.chips)) - 1
    stall = rules.stall(max(depth, 1) * 2, 100, SEGMENT)
    links = len(topology.links)
    late = [53 * chip % rules.PERIOD for chip in range(topology.chips)]
    scenario = Scenario(topology, ppm, wander=6, late=late, latency=[NOMINAL] * links, settle=50, offsets=True,
                        run=2 * SEGMENT, segment=SEGMENT, stall=stall)  # fmt: skip
    return replace(scenario, **changed)


def as_they_must_be(scenario: Scenario, found: Found) -> list[str]:
    """All that is claimed of a system whose chips are aligned."""
    wrong, errors = [], figures.offset_errors(scenario, found)
    locked = figures.locked_after(scenario, found)
    wrong += [f"chip {i} is not locked" for i, after in enumerate(locked) if after is None or after > LOCKED]
    for i, error in enumerate(figures.hac_errors(scenario, found["ran"]["phases"])):
        limit = figures.bound(scenario.topology, i)
        wrong += [f"the HAC of chip {i} is off by {error:.1f}, more than {limit}"] if error > limit else []
    wrong += [f"L_eff of channel {c} is off by {error:.2f}" for c, error in enumerate(errors) if abs(error) > 0.5]
    wrong += [f"a word of channel {c} missed its margin" for c in figures.outside(scenario, found)]
    return wrong + slips(scenario, found)


def slips(scenario: Scenario, found: Found) -> list[str]:
    """No cycle of schedule time and no epoch is lost, by any chip."""
    return [f"chip {i} slips" for i, slipped in enumerate(found["ran"]["slips"]) if slipped]


def too_late(scenario: Scenario, found: Found) -> list[str]:
    """What shows that the bench would notice: words miss their margins."""
    return [] if figures.outside(scenario, found) else ["nothing missed its margin"]


def too_tight(scenario: Scenario, found: Found) -> list[str]:
    """HACs that are stepped by chance stay within their guaranteed bound, and words need the last 12 cycles of it."""
    wrong = [] if figures.outside(scenario, found, less=12) else ["12 cycles less of margin would do"]
    wrong += [f"a word of channel {c} missed its margin" for c in figures.outside(scenario, found)]
    if max(figures.hac_errors(scenario, found["ran"]["phases"])) > rules.apart(1):
        wrong.append("a HAC is off by more than J + 2")
    return wrong + slips(scenario, found)


def locks(scenario: Scenario, found: Found) -> list[str]:
    return [f"chip {i} is not locked" for i, after in enumerate(figures.locked_after(scenario, found)) if after is None]


def starts(scenario: Scenario, found: Found) -> list[str]:
    """The child goes on so many epochs after its parent as was computed."""
    (latency,) = scenario.latency
    epochs, computed = figures.epochs_later(found, 1), rules.start(latency, CONFIG.superlanes, 0)[1]
    return [] if epochs == computed else [f"L = {latency}: {epochs} epochs later, computed were {computed}"]


def from_error(first: int, ppm: float) -> Scenario:
    """Seven children whose HACs are behind by ``first`` cycles and up to six more."""
    star7 = star(7)
    return Scenario(star7, [ppm, *[-ppm] * 7], latency=[NOMINAL] * 7, settle=18,
                    late=[0, *[256 + first + i for i in range(7)]])  # fmt: skip


def start_of(latency: int) -> Scenario:
    wait, _ = rules.start(latency, CONFIG.superlanes, 0)
    wire = latency - NOMINAL + WIRE
    return Scenario(full(2), [100, -100], latency=[latency], delays=[wire, wire], settle=16, run=3000,
                    waits=[wait, 0xFFFF])  # fmt: skip


TWO, DEEP = full(2), tree([0, 0, 1, 2, 3, 5, 6])
ROWS = [
    Row("two chips, round trips measured", [whole(TWO, [100, -100], latency=())], as_they_must_be),
    Row("two chips, the root slow", [whole(TWO, [-100, 100])], as_they_must_be),
    Row("two chips, slower downwards", [whole(TWO, [100, -100], delays=[WIRE + 8, WIRE - 8])], as_they_must_be),
    Row("two chips, slower upwards", [whole(TWO, [-100, 100], delays=[WIRE - 8, WIRE + 8])], as_they_must_be),
    Row("four chips, all joined", [whole(full(4), corners(4))], as_they_must_be),
    Row("eight chips, all joined", [whole(full(8), corners(8))], as_they_must_be),
    Row("a chain of depth 5", [whole(chain(6), [100, -100] * 3)], as_they_must_be),
    Row("a tree of depth 5", [whole(DEEP, corners(8))], as_they_must_be),
    Row("not aligned", [whole(TWO, [100, -100], aligned=False, offsets=False, settle=1, run=150_000)], too_late),
    Row("margins less 12", [whole(TWO, [100, -100], run=400_000, forced=24)], too_tight),
    Row("any first error", [from_error(e, ppm) for ppm in (100, -100) for e in range(-128, 128, 7)], locks),
    Row(
        "10,000 resynchronisations and steps",
        [whole(TWO, [100, -100], offsets=False, run=1_300_000, segment=100, stall=30, forced=64)],
        slips,
    ),
    Row("starts", [start_of(n) for n in (20, 127, 128, 129, 255, 256, 257, 383, 384, 385, 600)], starts),
]


def measure(row: Row) -> dict[str, Any]:
    """Run a row; its line of the report."""
    began, wrong, found = time.monotonic(), list[str](), list[Found]()
    for scenario in row.scenarios:
        found.append(run(scenario))
        wrong += row.holds(scenario, found[-1])
    line = {"name": row.name, "runs": len(found), "wrong": wrong, "seconds": round(time.monotonic() - began)}
    return line | summary(row, found)


def summary(row: Row, found: Sequence[Found]) -> dict[str, Any]:
    """The worst figures of a row's runs."""
    pairs = list(zip(row.scenarios, found, strict=True))
    line: dict[str, Any] = {"chips": row.scenarios[0].topology.chips, "links": len(row.scenarios[0].topology.links)}
    locked = [after for pair in pairs for after in figures.locked_after(*pair) if after is not None]
    line["locked_after"] = 1000 * max(locked)
    if all("l_eff" in each for each in found):
        line["offset_error"] = round(max(abs(e) for pair in pairs for e in figures.offset_errors(*pair)), 2)
    if all("ran" in each for each in found):
        ran = [(scenario, each["ran"]) for scenario, each in pairs]
        line["hac_error"] = round(max(e for s, each in ran for e in figures.hac_errors(s, each["phases"])), 2)
        late = [figures.lateness(*pair) for pair in pairs]
        line["off_margin"] = round(max(max(-least, most) for each in late for least, most, _ in each), 1)
        line["margin"] = max(margin for each in late for _, _, margin in each)
        line["resyncs"] = min(min(each["resyncs"]) for _, each in ran)
        line["slips"] = max(max(each["slips"]) for _, each in ran)
    return line


def table(lines: Sequence[dict[str, Any]]) -> Table:
    columns = (
        "chips",
        "links",
        "locked_after",
        "hac_error",
        "offset_error",
        "off_margin",
        "margin",
        "resyncs",
        "slips",
    )
    result = Table("system", *columns, "s", "")
    for line in lines:
        verdict = "[green]as it must be[/]" if not line["wrong"] else f"[red]{line['wrong'][0]}[/]"
        result.add_row(line["name"], *(str(line.get(name, "")) for name in columns), str(line["seconds"]), verdict)
    return result


@click.command(cls=Command)
@click.option("--row", "names", multiple=True, help="Only this one; may be given more than once.")
def main(names: Sequence[str]) -> None:
    """Run systems of chips. Exit code 1 when something is not as it must be."""
    with one_sentence():
        known = [row.name for row in ROWS]
        for name in names:
            if name not in known:
                raise InputError(f"there is no row '{name}'{nearest(name, known)}")
        path = report_path("align")
        lines = [measure(row) for row in ROWS if not names or row.name in names]
        write_report(path, {"rows": lines})
    Console().print(table(lines))
    for line in lines:
        for sentence in line["wrong"]:
            print(f"{line['name']}: {sentence}", file=sys.stderr)
    sys.exit(EXIT_DIFFERS if any(line["wrong"] for line in lines) else 0)


if __name__ == "__main__":
    main(prog_name="python -m tb.align")
