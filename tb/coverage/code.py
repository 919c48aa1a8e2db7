"""Code coverage: which lines, branches and bits of the Verilog the unit benches and random programs move.

Verilator counts; it leaves out signals whose names begin with an underscore, which are yosys' own. What several designs
have in common is one module: its counts are added, over all places where it stands.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from tb import machine, simulator
from tb.benches import BENCHES, Bench
from tb.coverage.code_exclusions import exclusion
from tb.machine import Job
from tsp.config import ChipConfig

KINDS = ("line", "branch", "toggle")
OPTIONS = ("--coverage-line", "--coverage-toggle", "-CFLAGS", "-O0")
"""Of Verilator. Counting makes four times as much C++, which is compiled fast rather than runs fast."""
DATA = "coverage.dat"
DESIGNS = (("mem",), ("vxm",), ("mxm",), ("sxm",), ("station",), ("host_port",), ("icu", "counters"))
"""Benches of one design each."""
GLUE = ("chip", "superlane")
"""Modules that no unit bench has: counted in the whole chip, while random programs run on it."""


@dataclass(frozen=True, order=True)
class Point:
    """Something that is counted: ``what`` is a signal's bit and direction, or the branch that is taken."""

    module: str
    line: int
    column: int
    kind: str
    what: str


_FIELD = re.compile("\x01([^\x02]*)\x02([^\x01]*)")


def parse(text: str) -> Counter[Point]:
    """Counts of a file that a model wrote, added up over the places of a module."""
    found: Counter[Point] = Counter()
    for line in text.splitlines():
        if not line.startswith("C "):
            continue
        key, _, count = line[3:].rpartition("' ")
        fields = dict(_FIELD.findall(key))
        if fields["t"] in KINDS:
            point = Point(Path(fields["f"]).stem, int(fields["l"]), int(fields["n"]), fields["t"], fields["o"])
            found[point] += int(count)
    return found


def of_benches(config: ChipConfig, seed: int, done: Callable[[str], object] = lambda name: None) -> Counter[Point]:
    """What the unit benches move."""
    found: Counter[Point] = Counter()
    for names in DESIGNS:
        benches = [bench for bench in map(BENCHES.__getitem__, names) if isinstance(bench, Bench)]
        files = benches[0].verilog(config)
        built = simulator.build("verilator", files, benches[0].module(config), args=OPTIONS)
        for name, bench in zip(names, benches, strict=True):
            env = {"TSP_CONFIG": json.dumps(bench.config(config).as_dict())}
            result = simulator.run(built, bench.tests, seed=seed, env=env)
            found.update(parse((result.directory / DATA).read_text()))
            done(name)
    return found


def of_programs(config: ChipConfig, jobs: Sequence[Job]) -> Counter[Point]:
    """What programs move in the modules that only the whole chip has."""
    files = machine.sources(config)
    control = files[0].parent / "coverage.vlt"
    others = [file for file in files if file.stem not in GLUE]
    control.write_text("".join(["`verilator_config\n", *(f'coverage_off -file "*/{file.name}"\n' for file in others)]))
    built = simulator.build("verilator", [control, *files], "chip", args=OPTIONS)
    directory = simulator.build_root() / "runs" / "coverage"
    machine.run_on(built, jobs, config, directory=directory)
    return parse((directory / DATA).read_text())


@dataclass(frozen=True)
class Code:
    """Counts of all points; those that are excluded do not count."""

    counts: Mapping[Point, int]

    def as_dict(self) -> dict[str, Any]:
        """The report's part: percentages of all, a row for each module with what is not covered, the exclusions."""
        excluded = Counter(found.name for point in self.counts if (found := exclusion(point)) is not None)
        points: dict[str, list[Point]] = defaultdict(list)
        for point in sorted(self.counts):
            if exclusion(point) is None:
                points[point.module].append(point)
        rows = [{"module": module} | self._shares(found) | {"uncovered": self._missing(found)}
                for module, found in sorted(points.items())]  # fmt: skip
        shares = self._shares([point for found in points.values() for point in found])
        code = min((shares[kind] for kind in KINDS if shares[kind] is not None), default=0.0)
        return {"code": code, **shares, "rows": rows, "code_excluded": dict(excluded)}

    def _shares(self, points: Iterable[Point]) -> dict[str, Any]:
        """Kind → percent; None where there is nothing to count."""
        totals, hits = Counter(point.kind for point in points), Counter[str]()
        for point in points:
            hits[point.kind] += self.counts[point] > 0
        return {kind: round(100 * hits[kind] / totals[kind], 2) if totals[kind] else None for kind in KINDS} | {
            f"{kind}_points": totals[kind] for kind in KINDS
        }

    def _missing(self, points: Iterable[Point]) -> list[str]:
        """file:line kind what, of what never happened; the bits of a signal together."""
        found: dict[str, list[str]] = defaultdict(list)
        for point in points:
            if not self.counts[point]:
                name, bit, way = re.fullmatch(r"(.*?)(\[\d+\])?(:.*)?", point.what).groups()  # type: ignore[union-attr]
                found[f"{point.module}.v:{point.line} {point.kind} {name}"].append(f"{bit or ''}{way or ''}")
        return [" ".join([place, *(bit for bit in bits if bit)]) for place, bits in found.items()]


def table(found: Mapping[str, Any]) -> Table:
    """A row per module."""
    result = Table("module", *KINDS, "not covered, for example")
    for column in result.columns[1:4]:
        column.justify = "right"
    for row in [*found["rows"], {"module": "all", "uncovered": [], **found}]:
        shares = ("" if row[kind] is None else f"{row[kind]:.1f} %" for kind in KINDS)
        result.add_row(row["module"], *shares, "; ".join(row["uncovered"][:1])[:80])
    return result
