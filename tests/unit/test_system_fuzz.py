"""System files that somebody has spoilt: a valid system, or one sentence."""

import os
import random
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.unit.toml_garbage import changed
from tsp.assembler import assemble_file
from tsp.errors import InputError
from tsp.start import started
from tsp.system import System
from tsp.system_file import load_system

FULL = bool(os.environ.get("TSP_FULL"))
FILE = """
config = "tiny"
set = ["c2c=on", "links_w=2", "links_e=2"]
root = "a"
ppm = 100
preamble = true
[[chip]]
name = "a"
program = "a.tsp"
[[chip]]
name = "b"
config = "tiny"
set = ["link_buffer=4"]
spare = false
[[chip]]
name = "c"
spare = true
[[link]]
from = "a.e0"
to = "b.w0"
latency = [216, 200]
measured = [220, 201]
jitter = 9
tree = true
[[link]]
from = "a.e1"
to = "c.w0"
latency = 216
tree = true
[[link]]
from = "b.e0"
to = "c.w1"
latency = 30
"""
PROGRAM = ".config tiny c2c=on links_w=2 links_e=2\n.queue mem.w0\nNOP 1\n"


def holds(system: System) -> None:
    """What every system that is read has; it can be started or is refused with a sentence."""
    names = [chip.name for chip in system.chips]
    ports = [port for link in system.links for port in link.ends]
    assert len({*names}) == len(names) and len({*ports}) == len(ports) and len(system.tree) == len(names) - 1
    assert not system.chips[system.root].spare and system.depth.count(0) == 1
    try:
        started(system)
    except InputError as error:
        assert "\n" not in str(error)


def read(folder: Path, data: bytes) -> str:
    """What is said of a file; nothing if it is a system."""
    (folder / "a.tsp").write_text(PROGRAM)
    (folder / "system.toml").write_bytes(data)
    try:
        system = load_system(folder / "system.toml", assemble_file)
    except InputError as error:
        said = str(error)
        assert said.startswith(str(folder)) and "\n" not in said and len(said) < 3000
        return said
    holds(system)
    return ""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzzed")


@settings(max_examples=20_000 if FULL else 250, deadline=None)
@given(st.data())
def test_files_may_be_anything(folder: Path, data: st.DataObject) -> None:
    read(folder, changed(data, FILE.encode()))


@settings(max_examples=2_000 if FULL else 25, deadline=None)
@given(st.binary(max_size=200))
@example("é\u2028".encode())
def test_files_may_be_garbage(folder: Path, data: bytes) -> None:
    assert read(folder, data)


def test_the_file_that_is_spoilt_is_good(folder: Path) -> None:
    assert not read(folder, FILE.encode())


@pytest.mark.parametrize(
    "old, new, said",
    [
        (
            "ppm = 100",
            "ppm = " + "9" * 5000,
            "is not TOML: Exceeds the limit (4300 digits) for integer string conversion",
        ),
        ("ppm = 100", "ppm = 0x" + "f" * 6000, "ppm is too large, must be 0…200; try 200"),
        ("ppm = 100", "ppm = " + "[" * 5000, "is not TOML of a system file: its brackets are too deep"),
        ("ppm = 100", "ppm" + ".a" * 65 + " = 1", "line 5 has more than 64 dots, the most that is read; shorten it"),
        ("latency = 30", "latency = 0x" + "f" * 6000, "latency is too large, must be 1…65536; try 65536"),
        ("latency = 30", "latency = [1e400, nan]", "latency is [inf, nan], must be cycles, one whole"),
        ('name = "c"', 'name = "' + "c" * 100_000 + '"', ", must be at most 1000 printable characters"),
        ('name = "c"', 'name = "' + "c" * 100 + '"', "must be 1…64 letters, digits, '_' or '-'"),
        ('config = "tiny"', 'config = "' + "c" * 100_000 + '"', ", must be at most 1000 printable characters"),
        ('config = "tiny"', 'config = "t\\ny"', "config is 't\\ny', must be at most 1000 printable characters"),
        ('"link_buffer=4"', '"' + "c" * 100_000 + '"', "chip b: set must be a list of texts such as"),
        ('"c.w1"', '"' + "c" * 900 + '.w1"', "but there is no chip 'ccccc"),
        ('"c.w1"', '"c.' + "w" * 900 + '"', "has no port 'wwwww"),
        ('root = "a"', 'root = "' + "é" * 900 + '"', "which is no chip; known: a, b, c"),
        ("preamble = true", "é" * 30 + ' = "é"', "is not TOML: Invalid statement"),
    ],
    ids=range(15),
)
def test_what_is_too_large_or_strange(folder: Path, old: str, new: str, said: str) -> None:
    assert old in FILE
    assert said in read(folder, FILE.replace(old, new, 1).encode())


def test_large_files_take_time_that_grows_with_their_size(folder: Path) -> None:
    """A chain of chips, in any order, whose file took minutes when the time grew with the square of it."""
    count, rng = 2000, random.Random(1)
    order = rng.sample(range(count), count)
    chips = "".join(f'[[chip]]\nname = "c{n}"\n' for n in order)
    links = "".join(f'[[link]]\nfrom = "c{n}.e0"\nto = "c{n + 1}.w0"\nlatency = 216\n' for n in range(count - 1))
    (folder / "system.toml").write_text(f'config = "tiny"\nset = ["c2c=on"]\nroot = "c0"\n{chips}{links}')
    system = load_system(folder / "system.toml", assemble_file)
    assert max(system.depth) == count - 1 and sorted(system.depth) == [*range(count)]
