"""The wheel, outside the checkout: every command works, and what needs the checkout says so."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "programs" / "examples" / "vector_add.tsp"
SUM = "z[0]: 11 22 33 44 55 66 77 88 127 127"
TSP = ("-c", "from tsp.cli import main; main()")
Python = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel unpacked, as pip would install it."""
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--no-deps", "--no-index", "--no-build-isolation", "--quiet", "--wheel-dir", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(ROOT)], check=True, cwd=folder)
    (wheel,) = folder.glob("open_tsp-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


@pytest.fixture
def python(installed: Path, tmp_path: Path) -> Python:
    """Runs Python on the wheel and its dependencies in an empty folder; the checkout cannot be imported."""
    paths = dict.fromkeys(sysconfig.get_paths()[name] for name in ("purelib", "platlib"))
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(installed), *paths]),
        "TSP_BUILD": str(tmp_path / "build"),
    }

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        # -S: the checkout's own editable installation is a .pth file.
        command = [sys.executable, "-S", *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)

    return run


def test_the_command_is_in_the_wheel(installed: Path) -> None:
    (entries,) = installed.glob("open_tsp-*.dist-info/entry_points.txt")
    assert "tsp = tsp.cli:main" in entries.read_text()


def test_modules_come_from_the_wheel(installed: Path, python: Python) -> None:
    code = "import golden, rtl, tb, tsp; print(*(m.__file__ for m in (golden, rtl, tb, tsp)), sep='\\n')"
    files = python("-c", code).stdout.split()
    assert len(files) == 4 and all(Path(file).is_relative_to(installed) for file in files)


def test_what_is_no_python_is_in_the_wheel(installed: Path) -> None:
    files = [path for package in ("tsp", "golden", "rtl", "tb") for path in (ROOT / package).rglob("*.*")]
    data = {path.relative_to(ROOT) for path in files if path.is_file() and path.suffix not in (".py", ".pyc")}
    assert Path("tsp/assembly.lark") in data and len(data) > 4
    assert [file for file in data if not (installed / file).is_file()] == []


def test_a_program_is_assembled_checked_and_run(python: Python, tmp_path: Path) -> None:
    (tmp_path / "add.tsp").write_bytes(EXAMPLE.read_bytes())
    for arguments, printed in [
        (["--version"], "open-tsp 0.1.0"),
        (["info", "--config", "groqchip"], "220 MiB"),
        (["check", "add.tsp"], "add.tsp: legal, 6 cycles"),
        (["asm", "add.tsp", "-o", "add.npz"], "add.npz: 6 words in 4 queues"),
        (["disasm", "add.npz"], ".queue mem.e0"),
        (["network", "hops", "--nodes", "3"], "24 chips, 3 nodes: pairs by hops"),
        (["run", "add.npz", "--on", "golden", "--dump", "z"], SUM),
        (["timeline", "add.npz", "--html", "add.html"], "add.html: "),
    ]:
        done = python(*TSP, *arguments)
        assert (done.returncode, done.stderr) == (0, ""), arguments
        assert printed in done.stdout


@pytest.mark.slow
def test_verilog_is_written(python: Python, tmp_path: Path) -> None:
    small = ["superlanes=1", "streams=16", "mem_slices=8", "mxm_planes_w=0", "mxm_planes_e=0", "vxm_rows=1"]
    small += ["mxm_fp16=off", "vxm_stages=1", "vxm_mul_bits=0", "vxm_float=False", "sxm=False", "trace=False"]
    small += ["ecc=False", "ifetch=False"]
    settings = [word for setting in small for word in ("--set", setting)]
    done = python(*TSP, "verilog", "--config", "tiny", *settings, "-o", "out")
    assert (done.returncode, done.stderr) == (0, "") and (tmp_path / "out" / "chip.f").is_file()


@pytest.mark.parametrize(
    "arguments, missing",
    [
        (["tb.digits"], "programs/digits"),
        (["tb"], "programs/digits"),
        (["tb", "--bench", "digits"], "programs/digits"),
        (["tb.bench"], "bench/chip_main.cpp"),
        (["tb.bench", "--only", "supercell"], "bench/supercell_main.cpp"),
    ],
)
def test_what_needs_the_checkout_says_so(arguments: list[str], missing: str, python: Python) -> None:
    done = python("-m", *arguments)
    sentence = f"{missing} is not there: no wheel holds it, this needs a checkout of the repository"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {sentence}\n")
