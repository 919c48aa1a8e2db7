"""``python -m tb.synth``, behind ``make synth``: synthesise a chip for the ECP5-85F, and say whether it fits.

The counts, module by module, go to ``build/reports/synth.json`` too. A flip-flop or LUT count is that of synthesis:
placing and routing may add a few for routes and constants.
"""

import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from rtl import ecp5, verilog
from tb import simulator
from tb.command import Command, one_sentence, report_path, write_report
from tsp.config import ChipConfig, preset
from tsp.errors import EXIT_DIFFERS

STATISTICS, LOG = "statistics.json", "yosys.log"
Cells = Mapping[str, int]


def synthesise(config: ChipConfig) -> dict[str, Cells]:
    """Cells by type, of every module of the chip, by its name."""
    root = simulator.build_root() / "synth"
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root, prefix=f"{config.name}-") as name:
        folder = Path(name)
        files = [file.relative_to(folder) for file in verilog.generate(config, folder / "verilog")]
        ecp5.place(folder)
        passes = ecp5.read_passes(files) + ecp5.synthesis_passes(verilog.TOP, Path(STATISTICS))
        done = subprocess.run(
            [*verilog.YOSYS, "-l", LOG], input="\n".join(passes), capture_output=True, text=True, cwd=folder
        )
        if done.returncode:
            raise RuntimeError(f"yosys could not synthesise config {config.name}: {done.stderr.strip()}")
        modules = json.loads((folder / STATISTICS).read_text())["modules"]
    return {name.lstrip("\\"): found["num_cells_by_type"] for name, found in modules.items()}


def placed(modules: Mapping[str, Cells]) -> Counter[str]:
    """How often each module stands in the chip."""
    found: Counter[str] = Counter()

    def walk(name: str, count: int) -> None:
        found[name] += count
        for cell, number in modules[name].items():
            if cell in modules:
                walk(cell, count * number)

    walk(verilog.TOP, 1)
    return found


def report(config: ChipConfig, modules: Mapping[str, Cells]) -> dict[str, Any]:
    """What ``build/reports/synth.json`` says: the part's resources, what is used of them, and a row for each module."""
    rows = [
        {"module": name, "placed": count} | ecp5.used({c: n for c, n in modules[name].items() if c not in modules})
        for name, count in placed(modules).items()
    ]
    used = {kind: sum(row["placed"] * row[kind] for row in rows) for kind in ecp5.CAPACITY}
    fits = all(used[kind] <= limit for kind, limit in ecp5.CAPACITY.items())
    return {
        "part": ecp5.PART,
        "config": config.as_dict(),
        "fits": fits,
        "used": used,
        "capacity": ecp5.CAPACITY,
        "rows": rows,
    }


def table(found: Mapping[str, Any]) -> Table:
    """The report for the terminal: the largest modules first."""
    result = Table("module", "placed", *found["used"], title=f"config {found['config']['name']} on an {found['part']}")
    for column in result.columns[1:]:
        column.justify = "right"
    for row in sorted(found["rows"], key=lambda row: -row["placed"] * row["LUT"]):
        result.add_row(row["module"], str(row["placed"]), *(f"{row[kind]:,}" for kind in found["used"]))
    result.add_section()
    share = [f"{found['used'][kind]:,}" for kind in found["used"]]
    result.add_row("whole chip", "", *share, style="bold")
    result.add_row("the part has", "", *(f"{limit:,}" for limit in found["capacity"].values()))
    return result


@click.command(cls=Command)
@click.option("--config", "name", default="board", show_default=True)
@click.option("--set", "settings", multiple=True, metavar="FIELD=VALUE", help="Override a field of the config.")
def main(name: str, settings: Sequence[str]) -> None:
    """Synthesise a chip for the ECP5-85F. Exit code 1 when it does not fit."""
    console = Console(stderr=True)
    with one_sentence():
        config = preset(name).override(settings)
        path = report_path("synth")
        with console.status(f"synthesising config {config.name}: some minutes"):
            found = report(config, synthesise(config))
        write_report(path, found)
    Console().print(table(found))
    print(f"config {config.name} {'fits' if found['fits'] else 'does not fit'} an {found['part']}")
    sys.exit(0 if found["fits"] else EXIT_DIFFERS)


if __name__ == "__main__":
    main(prog_name="python -m tb.synth")
