"""``python -m tb.results NAME``: keep ``build/reports/NAME.json`` in ``docs/results/`` with where it came from."""

import importlib.metadata
import json
import os
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from tb import tools
from tb.command import Command, one_sentence
from tsp.errors import InputError, nearest
from tsp.files import write_atomic

CHECKOUT = Path(__file__).absolute().parent.parent
NAMES = ("align", "bench", "coverage", "digits", "formal", "links", "mutate", "network", "regress", "sim", "synth",
         "systems")  # fmt: skip
COMMANDS = {name: f"make {name}" for name in NAMES}
"""Report → the command that writes it when nothing else is said."""


@click.command(cls=Command)
@click.argument("name")
@click.option("--command", help="The command that wrote the report; by default make NAME.")
def main(name: str, command: str | None) -> None:
    """Keep the report NAME with its commit, machine and command."""
    with one_sentence():
        print(keep(name, command).relative_to(CHECKOUT))


def keep(name: str, command: str | None = None, checkout: Path = CHECKOUT) -> Path:
    """Write ``docs/results/<name>.json``; InputError if there is no report or it is older than the commit."""
    source = tools.build_root() / "reports" / f"{name}.json"
    if not source.is_file():
        known = [path.stem for path in source.parent.glob("*.json")]
        raise InputError(f"there is no report '{name}' in build/reports{nearest(name, known)}")
    command = command or COMMANDS.get(name)
    if command is None:
        raise InputError(f"which command wrote the report '{name}'? say --command")
    if source.stat().st_mtime < float(_git(checkout, "log", "-1", "--format=%ct")):
        raise InputError(f"the report '{name}' is older than the last commit; run {command} again")
    # No path of this machine: it means nothing elsewhere.
    report = json.loads(source.read_text().replace(f"{checkout}{os.sep}", ""))
    kept = {
        "commit": _git(checkout, "rev-parse", "HEAD"),
        "changed": bool(_git(checkout, "status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs/results")),
        "machine": machine(),
        "command": command,
        "report": report,
    }
    target = checkout / "docs" / "results" / f"{name}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(target, (json.dumps(kept, indent=2, ensure_ascii=False) + "\n").encode())
    return target


def _git(checkout: Path, *arguments: str) -> str:
    command: Sequence[str] = ("git", "-C", str(checkout), *arguments)
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise InputError(f"results belong to a commit, but git says: {done.stderr.strip()}")
    return done.stdout.strip()


def machine() -> dict[str, Any]:
    """What the figures depend on, and nothing that names the machine."""
    found: dict[str, Any] = {
        "cpu": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", platform.system()),
        "python": platform.python_version(),
        "numpy": importlib.metadata.version("numpy"),
        "amaranth": importlib.metadata.version("amaranth"),
    }
    for sim in tools.SIMULATORS:
        try:
            found[sim] = tools.tool(sim).version
        except tools.SimulatorMissing:
            found[sim] = None
    return found


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


if __name__ == "__main__":
    main(prog_name="python -m tb.results")
