"""cocotb's runners for Icarus and Verilator, changed where the toolchain or the speed needs it."""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
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
    kept: "Sequence[Kept]" = ()

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
            with ExitStack() as stack:
                for kept in self.kept if command[0] == "make" else ():
                    stack.enter_context(kept.shared(self.build_dir))
                super()._execute_cmds([command], cwd, stdout)


class Kept:
    """Files that make leaves in a build's folder, kept for every other build that would make the same.

    Args:
        name: of their folder, before a digest of ``key``, which is all that they depend on.
        patterns: of their paths in a build's folder.
    """

    def __init__(self, name: str, key: object, patterns: Sequence[str]):
        self.directory = build_root() / "sim" / "verilator" / f"{name}-{digest(key)}"
        self._patterns = patterns

    @contextmanager
    def shared(self, build_dir: Path) -> Iterator[None]:
        """Around ``make`` in ``build_dir``: put the files there before, keep them after."""
        # Of one age, and newer than what make writes before it comes to them, so that it takes them for made.
        later = time.time() + 3600
        for path in self._copy(self.directory, build_dir):
            os.utime(path, (later, later))
        yield
        if not self.directory.exists():
            partial = Path(tempfile.mkdtemp(dir=self.directory.parent, prefix="kept-"))
            self._copy(build_dir, partial)
            try:
                partial.rename(self.directory)
            except OSError:  # another process was first
                shutil.rmtree(partial)

    def _copy(self, source: Path, target: Path) -> list[Path]:
        copies = []
        for path in (path for pattern in self._patterns for path in source.glob(pattern)):
            copies.append(target / path.relative_to(source))
            copies[-1].parent.mkdir(exist_ok=True)
            shutil.copy(path, copies[-1])
        return copies


def library(found: Tool, options: Sequence[object]) -> Kept:
    """Verilator's own C++ library, compiled once per set of options: 15 of the 16 seconds a small design takes."""
    return Kept("library", [*_about(found), list(options)], ["verilated*.[od]"])


def compiled_block(found: Tool, module: str, options: Sequence[object]) -> Kept:
    """A module that is compiled on its own, for all designs that have it; ``options`` tell its Verilog too."""
    files = [f"V{module}/{name}" for name in (f"{module}.sv", f"V{module}.mk", f"lib{module}.a")]
    return Kept(f"block-{module}", [*_about(found), list(options)], files)


def _about(found: Tool) -> list[object]:
    return [found.version, str(found.executable), list(found.make_variables)]
