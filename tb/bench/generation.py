"""Generating the Verilog of every preset: seconds, peak memory, size."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tb.bench.row import Row
from tsp.config import PRESETS

LIMITS = {"groqchip": (120.0, 4.0)}
"""Preset → (seconds, GiB) it may take."""
SAMPLE_SECONDS = 0.05
TSP = (sys.executable, "-c", "from tsp.cli import main; main()")


def rows() -> list[Row]:
    """Three rows for each preset."""
    return [row for name in PRESETS for row in _preset(name)]


def _preset(name: str) -> list[Row]:
    seconds_limit, memory_limit = LIMITS.get(name, (None, None))
    with tempfile.TemporaryDirectory(prefix="verilog-") as folder:
        seconds, peak = watched([*TSP, "verilog", "--config", name, "-o", folder])
        files = sorted(Path(folder).glob("*.v"))
        size = {"modules": len(files), "bytes": sum(file.stat().st_size for file in files)}
    return [
        Row(f"Verilog of {name}", seconds, "s", seconds_limit),
        Row(f"Verilog of {name}, peak memory", peak / 2**30, "GiB", memory_limit),
        Row(f"Verilog of {name}, {size['modules']} modules", size["bytes"] / 1e6, "MB", details=size),
    ]


def watched(command: list[str]) -> tuple[float, int]:
    """(seconds, most bytes resident at once in the command and all processes it started)."""
    began, peak = time.perf_counter(), 0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while process.poll() is None:
        peak = max(peak, _resident(process.pid))
        time.sleep(SAMPLE_SECONDS)
    if process.returncode:
        raise RuntimeError(f"'tsp {' '.join(command[len(TSP) :])}' ended with exit code {process.returncode}")
    return time.perf_counter() - began, peak


def _resident(pid: int) -> int:
    """Bytes resident in a process and its descendants; 0 for one that is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        tasks = [task.read_text() for task in Path(f"/proc/{pid}/task").glob("*/children")]
    except (FileNotFoundError, ProcessLookupError):
        return 0
    own = next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS:")), 0)
    return own + sum(_resident(int(child)) for task in tasks for child in task.split())
