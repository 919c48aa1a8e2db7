"""cocotb's runners for Icarus and Verilator, changed where the toolchain or the speed needs it."""

import hashlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TextIO

import cocotb_tools.config
from cocotb_tools import runner as cocotb_runner

from tb.tools import Tool, build_root, tool

# g++ takes 93 s at -O3 and 5 s at -O1 for the largest function of an ICU.
QUICK = ("OPT_FAST=-O1",)
MAIN = Path(__file__).absolute().parent / "cocotb_main.cpp"
"""The main program of every Verilator model under cocotb."""
# What tb/clock.py calls must be found in the running program.
MAIN_FUNCTIONS = ("clock_start", "clock_stop")


def digest(key: object) -> str:
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]


class _Runner(cocotb_runner.Runner):
    """How both runners run a command: our environment wins over the caller's, and there is a time limit.

    cocotb lets ``os.environ`` override what it is given; make passes on SEED, WAVES and their like.
    """

    def prepare(self, waves: bool, environment: Mapping[str, str], time_limit: float | None = None) -> None:
        self._ours = (waves, dict(environment), time_limit)

    def _execute_cmds(self, cmds, cwd, stdout):
        _, environment, time_limit = self._ours
        for command in cmds:
            execute(command, cwd, {**self.env, **environment}, stdout, time_limit)

    def _set_env_common(self):
        given = self.env
        self.env = {}
        super()._set_env_common()
        # A filter from outside would leave out tests that were asked for.
        self.env = {k: v for k, v in self.env.items() if not k.startswith("COCOTB_TEST")} | given

    def _build_command(self):
        self.waves = self._ours[0]
        return super()._build_command()

    def _test_command(self):
        self.waves, self.gui = self._ours[0], False
        return super()._test_command()


def execute(
    command: Sequence[object], cwd: Path, environment: Mapping[str, str], log: TextIO, time_limit: float | None = None
) -> None:
    words = [str(word) for word in command]
    log.write("+ " + " ".join(words) + "\n")
    log.flush()
    status = subprocess.run(
        words, cwd=cwd, env=dict(environment), stdout=log, stderr=subprocess.STDOUT, timeout=time_limit
    )
    if status.returncode != 0:
        raise RuntimeError(f"'{Path(words[0]).name}' ended with exit code {status.returncode}")


class Icarus(_Runner, cocotb_runner.Icarus):
    """cocotb's Icarus runner, which records FST only, with VCD as a choice."""

    wave_format = "fst"

    def _test_command(self):
        (command,) = super()._test_command()
        return [[f"-{self.wave_format}" if word == "-fst" else word for word in command]]


class Verilator(_Runner, cocotb_runner.Verilator):
    """cocotb's Verilator runner with a main program of our own, and without ``--public-flat-rw``, which costs 3-7 times
    the speed. What Python may touch is listed in a control file among the sources instead.
    """

    hierarchical = False
    quick = False
    library: "Library"

    def _simulator_in_path_build_only(self) -> None:
        self.executable = str(tool("verilator").executable)

    def _build_command(self):
        verilate, make = super()._build_command()
        verilate = [word for word in verilate if word != "--public-flat-rw"]
        theirs = cocotb_tools.config.share_dir / "lib" / "verilator" / "verilator.cpp"
        verilate[verilate.index(str(theirs))] = str(MAIN)
        verilate += ["-LDFLAGS", " ".join(f"-Wl,--export-dynamic-symbol={name}" for name in MAIN_FUNCTIONS)]
        if self.hierarchical:
            make[make.index("Vtop.mk")] = "Vtop_hier.mk"
        return [verilate, [*make, *tool("verilator").make_variables, *(QUICK if self.quick else ())]]

    def _execute_cmds(self, cmds, cwd, stdout):
        for command in cmds:
            with self.library.shared(self.build_dir) if command[0] == "make" else nullcontext():
                super()._execute_cmds([command], cwd, stdout)


class Library:
    """Verilator's own C++ library, compiled once per set of options: 15 of the 16 seconds a small design takes."""

    def __init__(self, found: Tool, options: Sequence[object]):
        key = [found.version, str(found.executable), list(found.make_variables), list(options)]
        self.directory = build_root() / "sim" / "verilator" / f"library-{digest(key)}"

    @contextmanager
    def shared(self, build_dir: Path) -> Iterator[None]:
        """Around ``make`` in ``build_dir``: put the library's object files there before, keep them after."""
        # Copied after the sources were written, so that make takes them for new.
        for path in self.directory.glob("verilated*"):
            shutil.copy(path, build_dir)
        yield
        if not self.directory.exists():
            partial = Path(tempfile.mkdtemp(dir=self.directory.parent, prefix="library-"))
            for path in build_dir.glob("verilated*.[od]"):
                shutil.copy(path, partial)
            try:
                partial.rename(self.directory)
            except OSError:  # another process was first
                shutil.rmtree(partial)
