"""Verilog made once per content of what it is made from."""

import functools
import json
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from filelock import FileLock

from rtl import verilog
from tb import simulator


def generated(
    name: str, key: object, write: Callable[[Path], Sequence[Path]], also: Iterable[Path] = ()
) -> tuple[Path, ...]:
    """The files that ``write`` leaves in the folder it is given; an earlier folder is used while nothing changed.

    Args:
        name: the folder's name begins with this.
        key: what the Verilog depends on, as JSON can hold it, beside the generator.
        also: Python files it depends on beside ``rtl`` and what is imported there.
    """
    texts = [path.read_text() for path in [*_generator(), *also]]
    directory = simulator.build_root() / "verilog" / f"{name}-{simulator.digest([key, texts])}"
    directory.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{directory}.lock"):
        listed = directory / "sources.json"
        if not listed.exists():
            listed_files = [str(file) for file in write(directory)]
            listed.write_text(json.dumps(listed_files))
        return tuple(Path(file) for file in json.loads(listed.read_text()))


_IMPORT = re.compile(r"^\s*(?:from|import) tsp(?:\.| import )(.*)", re.MULTILINE)


@functools.cache
def _generator() -> list[Path]:
    """The Python files that Verilog depends on: ``rtl`` and the modules of ``tsp`` imported from there, in any way."""
    tsp = Path(__file__).parent.parent / "tsp"
    found, waiting = set[Path](), sorted(Path(verilog.__file__).parent.rglob("*.py"))
    while waiting:
        file = waiting.pop()
        found.add(file)
        # Any word of an import may be a module: a file too many costs a generation, one too few is wrong.
        names = {name for words in _IMPORT.findall(file.read_text()) for name in re.findall(r"\w+", words)}
        modules = [path for name in names for path in [tsp / f"{name}.py", *(tsp / name).rglob("*.py")]]
        waiting += [path for path in modules if path.is_file() and path not in found]
    return sorted(found)
