"""A block's Verilog with all its mutants in one netlist; an input of the top, ``mutant``, chooses one, 0 none.

yosys' ``mutate`` plants them: it inverts a bit at a port of a cell, holds it at 0 or 1, or flips it by another bit of
the port. The places are drawn evenly over cells, wires and lines of the source, with a fixed seed.
"""

import re
import shlex
import subprocess
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from rtl import verilog

CONTROL = "mutant"
"""The input that chooses a mutant."""
BASE, MUTATED, LIST = "base.il", "mutated.il", "mutants.txt"
ALWAYS_ENABLED = re.compile(r" -cell \$memrd\$.* -port EN ")
"""A memory that is read without a clock has an enable that Verilog cannot say, and yosys takes no other than 1."""


@dataclass(frozen=True)
class Mutant:
    """One mistake: ``mode`` (inv, const0, const1, cnot0, cnot1) at bit ``bit`` of ``port`` of ``cell``.

    ``control``: with cnot, the bit of the port by which it is flipped. ``wire``: the signal that is hit, if it has a
    name. ``source``: file and lines of the generated Verilog.
    """

    number: int
    mode: str
    module: str
    cell: str
    port: str
    bit: int
    control: int | None
    wire: str
    source: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Netlist:
    """``files``: the Verilog of the bench's design with the mutants in it. ``directory``: where it was made."""

    top: str
    directory: Path
    files: Sequence[Path]
    mutants: Sequence[Mutant]
    places: Mapping[str, Collection[str]]
    """Mutated module → the modules that stand in it, if any do."""


def make(
    files: Sequence[Path], top: str, modules: Sequence[str], wires: Sequence[str], count: int, seed: int,
    directory: Path,
) -> Netlist:  # fmt: skip
    """Plant up to ``count`` mutants in the modules whose names match a pattern of ``modules``.

    Args:
        files: Verilog, a file per module and named after it; they stay as they are.
        wires: if there are any, only mutants of cells, not of instances, that drive or read a signal with such a name.
        directory: where everything is written.
    """
    texts = {file.stem: file.read_text() for file in files if file.suffix == ".v"}
    chosen = [name for name in sorted(texts) if any(fnmatchcase(name, pattern) for pattern in modules)]
    if not chosen:
        raise ValueError(f"no module is called {' or '.join(modules)}; there are {' '.join(sorted(texts))}")
    source, changed = directory / "source", directory / "mutated"
    for folder in (source, changed):
        folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (source / f"{name}.v").write_text(text)
    read = [*chosen, *sorted(children(chosen, texts))]
    cells = [f"{name}/w:{wire} %x {name}/t:$* %i" for name in chosen for wire in wires] or chosen
    run_yosys(
        [f"read_verilog {name}.v" for name in read]
        + ["hierarchy", "proc", "opt_expr", "opt_clean", f"write_rtlil {BASE}"]
        + [f"mutate -list {count} -seed {seed} -o {LIST} {' '.join(cells)}"],
        source,
    )
    found = parse(line for line in (source / LIST).read_text().splitlines() if not ALWAYS_ENABLED.search(line))
    width = max(1, len(found).bit_length())
    run_yosys(
        [f"read_rtlil {BASE}", *(_apply(mutant, width) for mutant in found), "opt_clean", f"write_rtlil {MUTATED}"]
        + [f"select {name}\nwrite_verilog -selected -noattr ../mutated/{name}.v" for name in chosen],
        source,
    )
    mutated = {module: (changed / f"{module}.v").read_text() for module in chosen}
    for name, text in thread(texts | mutated, top, set(mutated), width).items():
        (changed / f"{name}.v").write_text(text)
    places = {name: inner for name in chosen if (inner := placed_in(texts[name], texts))}
    return Netlist(top, directory, [changed / f"{name}.v" for name in sorted(texts)], found, places)


def run_yosys(script: Iterable[str], directory: Path) -> None:
    """Run commands; RuntimeError with what yosys says if it fails."""
    done = subprocess.run(verilog.YOSYS, input="\n".join(script), capture_output=True, text=True, cwd=directory)
    if done.returncode:
        raise RuntimeError(f"yosys failed in {directory}: {done.stderr.strip() or done.stdout.strip()}")


def parse(lines: Iterable[str]) -> list[Mutant]:
    """The mutants of a list that ``mutate -list`` wrote, numbered from 1."""
    found: list[Mutant] = []
    for line in lines:
        words = shlex.split(line.replace("\\", "\\\\"))[1:]
        pairs = list(zip(words[::2], words[1::2], strict=True))
        given = dict(pairs)
        name = given.get("-wire", "")
        # The signal's declaration comes first, the statement that made the cell last.
        source = [value for option, value in pairs if option == "-src"][-1:] or [""]
        control = int(given["-ctrlbit"]) if "-ctrlbit" in given else None
        bit, place = int(given["-portbit"]), f"{name}[{given['-wirebit']}]" if name else ""
        mutant = Mutant(len(found) + 1, given["-mode"], given["-module"], given["-cell"], given["-port"], bit, control,
                        place, source[0])  # fmt: skip
        found.append(mutant)
    return found


def _apply(mutant: Mutant, width: int) -> str:
    control = "" if mutant.control is None else f" -ctrlbit {mutant.control}"
    return (
        f"mutate -ctrl {CONTROL} {width} {mutant.number} -mode {mutant.mode} -module {mutant.module}"
        f" -cell {mutant.cell} -port {mutant.port} -portbit {mutant.bit}{control}"
    )


_INSTANCE = re.compile(r"^(?P<indent> +)(?P<module>\w+) (?P<name>\\?\S+) \(\n", re.MULTILINE)


def placed_in(text: str, known: Iterable[str]) -> set[str]:
    """The modules that a module places."""
    return {found["module"] for found in _INSTANCE.finditer(text)} & set(known)


def children(modules: Iterable[str], texts: Mapping[str, str]) -> set[str]:
    """Everything that stands in some modules, at any depth, and is none of them."""
    modules, found = set(modules), set[str]()
    waiting = sorted(modules)
    while waiting:
        new = placed_in(texts[waiting.pop()], texts) - found
        found |= new
        waiting += sorted(new)
    return found - modules


def thread(texts: Mapping[str, str], top: str, mutated: set[str], width: int) -> dict[str, str]:
    """All modules, with the control input led from ``top`` to the mutated ones, which have it already."""
    inner = {name: placed_in(text, texts) for name, text in texts.items()}
    leads = set(mutated)
    while more := {name for name, parts in inner.items() if parts & leads} - leads:
        leads |= more
    if top not in leads:
        raise ValueError(f"no mutated module stands in {top}")
    port = f"input [{width - 1}:0] {CONTROL};\n  wire [{width - 1}:0] {CONTROL};"

    def connect(found: re.Match[str]) -> str:
        line = f"{found['indent']}  .{CONTROL}({CONTROL}),\n" if found["module"] in leads else ""
        return found[0] + line

    result = {}
    for name, text in texts.items():
        if name in leads:
            text = _INSTANCE.sub(connect, text)
        if name in leads - mutated:
            text = re.sub(rf"^module {name}\((.*?)\);$", rf"module {name}({CONTROL}, \1);\n  {port}", text, count=1,
                          flags=re.MULTILINE | re.DOTALL)  # fmt: skip
        elif name in mutated and CONTROL not in text.split(");", 1)[0]:
            raise ValueError(f"module {name} was drawn no mutant")
        result[name] = text
    return result
