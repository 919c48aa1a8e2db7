"""Build and run a cocotb bench on Icarus or Verilator.

:func:`build` compiles a set of Verilog files once: the directory is named by a hash of everything that goes into it and
a lock keeps two processes from building the same thing. :func:`run` runs the tests of one Python module on a build and
raises unless at least one test ran and all passed. :func:`build_program` compiles the same Verilog with a C++ main
instead of cocotb. A bench should not touch the design every cycle: start a clock in the simulator
(:func:`tb.clock.start_clock`, whose first rising edge is at once), wait once, read back.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import cocotb
import cocotb_tools.config
from filelock import FileLock

from tb.runners import MAIN, Icarus, Kept, Verilator, compiled_block, digest, execute, library
from tb.tools import SIMULATORS, SimulatorMissing, Tool, build_root, can_write_fst, tool
from tsp.errors import InputError

__all__ = [
    "SIMULATORS",
    "Build",
    "BuildFailed",
    "Case",
    "Results",
    "SimulatorMissing",
    "TestsFailed",
    "build",
    "build_program",
    "build_root",
    "digest",
    "run",
    "wave_file",
]

TIMESCALE = ("1ns", "1ps")
VERILATOR_OPTIONS = (
    *("-O3", "--x-assign", "fast", "--x-initial", "fast", "--no-timing", "-Wno-fatal", "-Wno-lint"),
    # g++ takes time out of proportion for long functions, and short ones run slowly. In functions of 5000 a tiny chip
    # runs nearly twice as fast as in functions of 500 and is built in twice the time; without a limit, in five times.
    *("--output-split", "20000", "--output-split-cfuncs", "5000"),
)
# With each file g++ reads the precompiled header, a quarter of a second: a tiny chip takes 88 s of the processor in
# files of 100000, and 103 in files of 20000.
QUICK_OPTIONS = ("--output-split", "100000", "--output-split-cfuncs", "500")


class BuildFailed(RuntimeError):
    """The simulator refused the Verilog; the message shows the end of its log and where the rest is."""


class TestsFailed(RuntimeError):
    """A test failed, or none ran. ``results`` holds what did run."""

    __test__ = False  # not a test class, whatever pytest makes of its name

    def __init__(self, message: str, results: "Results"):
        super().__init__(message)
        self.results = results


@dataclass(frozen=True)
class Build:
    """A compiled design. ``seconds`` is what compiling took, 0 when an earlier build was reused."""

    sim: str
    top: str
    directory: Path
    waves: bool
    seconds: float
    program: Path | None = None


@dataclass(frozen=True)
class Case:
    """One cocotb test: ``seconds`` of wall clock, simulated nanoseconds, and the failure's message or ``None``."""

    name: str
    seconds: float
    sim_ns: float
    failure: str | None


@dataclass(frozen=True)
class Results:
    """What a run left behind. ``seconds`` is the wall clock of the whole simulator process."""

    cases: tuple[Case, ...]
    directory: Path
    log: Path
    waves: Path | None
    seconds: float


def top_ports(sources: Sequence[Path], top: str) -> list[str]:
    """Names of the ports of module ``top``, in the order their directions are declared."""
    for source in sources:
        text = re.sub(r"//[^\n]*|/\*.*?\*/|\(\*.*?\*\)", " ", source.read_text(), flags=re.DOTALL)
        module = re.search(rf"\bmodule\s+\\?{re.escape(top)}\s*[(#;](.*?)\bendmodule\b", text, re.DOTALL)
        if module:
            direction = r"\b(?:input|output|inout)\b"
            kind = r"\s*(?:wire|reg|logic|signed|\[[^\]]*\]|\s)*"
            declared = rf"{direction}{kind}(\w+(?:\s*,\s*(?!{direction})\w+)*)"
            names: dict[str, None] = {}
            for group in re.findall(declared, module[1]):
                names.update(dict.fromkeys(re.split(r"\s*,\s*", group)))
            return list(names)
    raise InputError(f"module '{top}' is in none of the {len(sources)} Verilog files")


def build(
    sim: str,
    sources: Sequence[Path],
    top: str,
    *,
    waves: bool = False,
    public: Sequence[tuple[str, str]] = (),
    blocks: Sequence[str] = (),
    args: Sequence[str] = (),
    timescale: tuple[str, str] = TIMESCALE,
    fast: bool = False,
) -> Build:
    """Compile Verilog for ``sim``, or find it compiled.

    Args:
        sources: Verilog files; Verilator also takes ``.vlt`` control files.
        top: name of the top module. Its ports are what a bench can read and write.
        waves: whether runs can record waves. Slower, so a build of its own.
        public: (module, signal) pairs below the top that a bench must reach in Verilator; Icarus reaches all.
        blocks: modules that Verilator compiles on their own (``--hierarchical``), for designs too large to flatten.
        args: further options for the simulator.
        timescale: unit and precision of simulated time.
        fast: whether Verilator's C++ is made to run fast rather than to be compiled fast: for millions of cycles.
    """
    found = tool(sim)
    files = [Path(source).absolute() for source in sources]
    options = list(args)
    if sim == "verilator":
        options = [*VERILATOR_OPTIONS, *(["--trace-fst"] if waves and can_write_fst() else []), *options]
        options += ["--hierarchical"] if blocks else []
        control = _control_file(files, top, public, blocks)
    else:
        files = [file for file in files if file.suffix != ".vlt"]
        control = ""

    def compile_into(directory: Path) -> None:
        runner = Icarus() if sim == "icarus" else Verilator()
        runner.prepare(waves, found.environment)
        runner.log.setLevel("WARNING")
        extra = []
        if sim == "verilator":
            runner.hierarchical, runner.quick = bool(blocks), not fast
            runner.kept = [library(found, [*options, waves, timescale])]
            runner.kept += [
                _kept_block(found, block, files, top, [*made, list(public), list(blocks)]) for block in blocks
            ]
            extra = [directory / "public.vlt"]
            extra[0].write_text(control)
        runner.build(
            sources=[*extra, *files],
            hdl_toplevel=top,
            build_dir=directory,
            build_args=[*options, *(QUICK_OPTIONS if sim == "verilator" and not fast else [])],
            timescale=timescale,
            waves=waves,
            log_file=directory / "build.log",
        )

    made = [waves, timescale, options, *([] if fast or sim != "verilator" else ["quick", *QUICK_OPTIONS])]
    key = [top, *made, control, cocotb.__version__, str(cocotb_tools.config.libs_dir)]
    if sim == "verilator":
        key.append(MAIN.read_text())
    directory, seconds = _build_once(found, top, files, key, compile_into)
    return Build(sim, top, directory, waves, seconds)


def build_program(
    sources: Sequence[Path], top: str, main: Path, *, blocks: Sequence[str] = (), args: Sequence[str] = ()
) -> Build:
    """Compile Verilog with Verilator and a C++ main of one's own; ``.program`` of the result is the executable.

    Options, optimisation and control file are those of a fast :func:`build`, so that the two can be compared; only the
    VPI is left out. The class is ``Vtop``, its header ``Vtop.h``.
    """
    found = tool("verilator")
    files = [Path(source).absolute() for source in sources]
    options = [*VERILATOR_OPTIONS, *args, *(["--hierarchical"] if blocks else [])]
    control = _control_file(files, top, (), blocks)

    def compile_into(directory: Path) -> None:
        vlt = directory / "public.vlt"
        vlt.write_text(control)
        verilate = [str(found.executable), "-cc", "--exe", "-Mdir", str(directory), "--top-module", top]
        verilate += ["--prefix", "Vtop", "-o", top, "--timescale", "/".join(TIMESCALE), *options]
        makefile = "Vtop_hier.mk" if blocks else "Vtop.mk"
        make = ["make", "-j", str(os.cpu_count() or 1), "-C", str(directory), "-f", makefile, *found.make_variables]
        with (directory / "build.log").open("w") as log:
            environment = {**os.environ, **found.environment}
            execute([*verilate, Path(main).absolute(), vlt, *files], directory, environment, log)
            with library(found, [*options, "program"]).shared(directory):
                execute(make, directory, environment, log)

    key = ["program", top, Path(main).read_text(), options, control]
    directory, seconds = _build_once(found, top, files, key, compile_into)
    return Build("verilator", top, directory, False, seconds, directory / top)


def run(
    build: Build,
    module: str,
    *,
    testcase: str | Sequence[str] | None = None,
    seed: int = 1,
    env: Mapping[str, object] = {},
    waves: Path | None = None,
    path: Sequence[Path] = (),
    time_limit: float | None = None,
    directory: Path | None = None,
) -> Results:
    """Run the cocotb tests in ``module`` and read what became of them.

    Args:
        build: from :func:`build`.
        module: importable name of the Python module that holds the tests.
        testcase: name or names of the tests to run; all by default.
        seed: seeds ``random`` in the simulator and is ``cocotb.RANDOM_SEED``.
        env: environment variables for the bench.
        waves: file to record to. The suffix is ``.fst`` or ``.vcd``; :attr:`Results.waves` has the one written, as
            Verilator without lz4's header writes VCD only.
        path: folders to put on the bench's Python path.
        time_limit: seconds after which the simulator is stopped.
        directory: where to run; by default a folder below :func:`build_root` named by all of the above.

    Raises:
        TestsFailed: a test failed, none ran, or the simulator stopped before it wrote its results.
    """
    if waves is not None and not build.waves:
        raise InputError(f"the build of '{build.top}' cannot record waves; build it with waves=True")
    testcases = [testcase] if isinstance(testcase, str) else testcase
    environment = {name: str(value) for name, value in env.items()}
    if directory is None:
        key = [str(build.directory), module, testcases, seed, environment, str(waves)]
        directory = build_root() / "runs" / build.sim / f"{module.rsplit('.', 1)[-1]}-{digest(key)}"
    directory = directory.absolute()
    directory.mkdir(parents=True, exist_ok=True)
    # Names after which the bench's folder and ours are found: as in this process.
    environment["PYTHONPATH"] = os.pathsep.join([*map(str, path), *(p or os.getcwd() for p in sys.path)])
    environment["COCOTB_RANDOM_SEED"] = str(seed)
    with FileLock(f"{directory}.lock"):
        log, results = directory / "sim.log", directory / "results.xml"
        runner = Icarus() if build.sim == "icarus" else Verilator()
        runner.prepare(waves is not None, environment, time_limit)
        runner.log.setLevel("CRITICAL")
        runner.timescale = TIMESCALE
        plusargs, test_args, recorded = _wave_options(build, waves)
        if recorded is not None:
            runner.wave_format = recorded.suffix[1:]
        started, stopped = time.perf_counter(), ""
        try:
            runner.test(
                test_module=module,
                hdl_toplevel=build.top,
                hdl_toplevel_lang="verilog",
                build_dir=build.directory,
                test_dir=directory,
                testcase=testcases,
                seed=seed,
                plusargs=plusargs,
                test_args=test_args,
                waves=waves is not None,
                results_xml=str(results),
                log_file=log,
            )
        except (RuntimeError, SystemExit) as error:
            stopped = f"the simulator stopped: {error}"
        except subprocess.TimeoutExpired:
            stopped = f"the simulator was stopped after {time_limit:g} s"
        seconds = time.perf_counter() - started
        found = Results(tuple(_read_cases(results)), directory, log, recorded, seconds)
    _raise_unless_passed(build, module, seed, found, stopped)
    return found


def _raise_unless_passed(build: Build, module: str, seed: int, results: Results, stopped: str) -> None:
    failed = [case for case in results.cases if case.failure is not None]
    where = f"{module} on {build.sim} (seed {seed}, log {results.log})"
    if failed:
        lines = "\n".join(f"  {case.name}: {case.failure}" for case in failed)
        raise TestsFailed(f"{len(failed)} of {len(results.cases)} tests failed: {where}\n{lines}", results)
    if not results.cases:
        tail = "".join("\n  " + line for line in _tail(results.log))
        raise TestsFailed(f"no test ran: {where}{': ' + stopped if stopped else ''}{tail}", results)
    if stopped:
        raise TestsFailed(f"{stopped}: {where}", results)


def wave_file(sim: str, waves: Path) -> Path:
    """The file that recording to ``waves`` writes: absolute, with the suffix of the format that ``sim`` can write."""
    if sim == "verilator":
        return waves.absolute().with_suffix(".fst" if can_write_fst() else ".vcd")
    return waves.absolute() if waves.suffix in (".fst", ".vcd") else waves.absolute().with_suffix(".fst")


def _wave_options(build: Build, waves: Path | None) -> tuple[list[str], list[str], Path | None]:
    """(plusargs, simulator arguments, file written) that record to ``waves``."""
    if waves is None:
        return [], [], None
    recorded = wave_file(build.sim, waves)
    recorded.parent.mkdir(parents=True, exist_ok=True)
    if build.sim == "verilator":
        return [], ["--trace-file", str(recorded)], recorded
    return [f"+dumpfile_path={recorded}"], [], recorded


def _read_cases(results: Path) -> list[Case]:
    if not results.is_file():
        return []
    cases = []
    for case in ElementTree.parse(results).getroot().iter("testcase"):
        failure = next((node for node in case if node.tag in ("failure", "error")), None)
        if case.find("skipped") is not None:
            continue
        message = None
        if failure is not None:
            message = failure.get("message") or failure.text or "failed"
        properties = {node.get("name"): node.get("value") for node in case.iter("property")}
        simulated = float(properties.get("sim_time_duration") or 0)  # in ns, the unit of TIMESCALE
        cases.append(Case(case.get("name", "?"), float(case.get("time") or 0), simulated, message))
    return cases


def _kept_block(found: Tool, block: str, files: Sequence[Path], top: str, options: Sequence[object]) -> Kept:
    """What is compiled of a block depends on all files but that of the design it stands in."""
    declared = re.compile(rf"\bmodule\s+{re.escape(top)}\b")
    texts = [(file.name, text) for file in files if not declared.search(text := file.read_text())]
    return compiled_block(found, block, [*options, texts])


def _build_once(
    found: Tool, top: str, files: Sequence[Path], key: list[object], compile_into: Callable[[Path], None]
) -> tuple[Path, float]:
    """Call ``compile_into`` unless a complete build of the same content exists; (directory, seconds spent)."""
    content = [(file.name, hashlib.sha256(file.read_bytes()).hexdigest()) for file in files]
    name = digest([found.sim, found.version, str(found.executable), list(found.make_variables), content, key])
    directory = build_root() / "sim" / found.sim / f"{top}-{name}"
    directory.parent.mkdir(parents=True, exist_ok=True)
    complete = directory / "complete"
    with FileLock(f"{directory}.lock"):
        if complete.exists():
            return directory, 0.0
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        started = time.perf_counter()
        try:
            compile_into(directory)
        except (RuntimeError, SystemExit) as error:
            tail = "".join("\n  " + line for line in _tail(directory / "build.log"))
            raise BuildFailed(
                f"{found.sim} {found.version} could not build '{top}' (log {directory / 'build.log'}): {error}{tail}"
            ) from error
        complete.touch()
        return directory, time.perf_counter() - started


def _control_file(files: Sequence[Path], top: str, public: Sequence[tuple[str, str]], blocks: Sequence[str]) -> str:
    verilog = [file for file in files if file.suffix != ".vlt"]
    reachable = [(top, port) for port in top_ports(verilog, top)] + list(public)
    lines = ["`verilator_config"]
    lines += [f'public_flat_rw -module "{module}" -var "{signal}"' for module, signal in reachable]
    lines += [f'hier_block -module "{block}"' for block in blocks]
    return "\n".join(lines) + "\n"


def _tail(log: Path, lines: int = 12) -> list[str]:
    return log.read_text(errors="replace").splitlines()[-lines:] if log.is_file() else []
