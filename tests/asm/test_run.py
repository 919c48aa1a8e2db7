"""``tsp run``: what it prints and how it ends, on the golden model and on both simulators."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tb import simulator
from tsp.cli import run as tsp
from tsp.run import BACKENDS

ADD = Path(__file__).parents[2] / "programs" / "examples" / "vector_add.tsp"
SUM = "0b16212c37424d587f7f7f8080807f00 000000000000000020407f7f7f7e800b"
ELEMENTS = [int.from_bytes([byte], signed=True) for byte in bytes.fromhex(SUM)]

# Both values enter the SR west of group 0 in cycle 6; nobody reads them.
COLLIDES = """
.config tiny
.data x: mem.e0 int8 = 1
.data y: mem.e1 int8 = 2
.queue mem.e0
        NOP 4
        READ x, w4
.queue mem.e1
        NOP 4
        READ y, w4
"""
ABSENT = """
.config tiny
.space z: mem.e4, 1
.queue mem.e4
@5      WRITE z, e8
"""
# What these two read, only running tells.
BAD_MAP = """
.config tiny
.data m: mem.e0 int8 = -56  ; 200 in the low byte
.queue mem.e0
        READ m, e0
.queue mem.e4
@2      GATHER e1, e0
"""
NO_PERMUTATION = """
.config tiny
.data m: mem.e0 int16 = 1, 1
.queue mem.e0
        READ m, e0
.queue mem.e1
        READ m, e1
.queue sxm.e.permute
@4      PERMUTE e0, e0 -> w0
"""
ENDLESS = """
.config tiny
.queue mem.e4
        NOP 3
        SYNC
"""
# The smallest chip: a build that records waves is one of its own.
SMALL = """
.config tiny superlanes=1 streams=16 mem_slices=8 mxm_fp16=off mxm_planes_w=0 mxm_planes_e=0 vxm_rows=1 vxm_stages=1 \
vxm_mul_bits=0 vxm_float=False ecc=False ifetch=False links_w=0 links_e=0 sxm=False trace=False
.data x: mem.e0 int8 = 1, 2, 3
.space z: mem.e4, 1
.queue mem.e0
        READ x, e4
.queue mem.e4
@2      WRITE z, e4
"""
LONG = """
.config tiny
.data x: mem.e0 int8 = 1
.queue mem.e0
        READ x, e4
        REPEAT 200, 10, 0
"""


@pytest.fixture
def source(tmp_path: Path) -> Callable[[str], str]:
    def write(text: str) -> str:
        path = tmp_path / "program.tsp"
        path.write_text(text)
        return str(path)

    return write


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """(exit code, stdout, stderr)"""
    code = tsp(["run", *map(str, arguments)])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


# --- right: 0


@pytest.mark.parametrize("on", BACKENDS)
def test_vector_add_runs_as_predicted(on: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, ADD, "--on", on, "--dump", "z", "--dump", "mem.e4:0", "--dump", "mem.e5:3")
    assert (code, err) == (0, "")
    assert f"on {on}: 6 cycles, predicted 6" in out
    assert f"z[0]: {' '.join(map(str, ELEMENTS))}\n" in out
    assert f"mem.e4[0]: {SUM}" in out
    assert "mem.e5[3]: undefined" in out
    assert "signature mem.e4: 19b442481ce83b04" in out


def test_json_is_the_same_on_every_machine(capsys: pytest.CaptureFixture[str]) -> None:
    answers = []
    for on in BACKENDS:
        code, out, _ = run(capsys, ADD, "--on", on, "--json", "--dump", "mem.e4:0:1", "--dump", "z")
        answer = json.loads(out)
        assert code == 0
        assert answer.pop("on") == on
        assert answer.pop("seconds") > 0
        assert (answer.pop("clocks") is None) == (on == "golden")
        answers.append(answer)
    assert answers[0] == answers[1] == answers[2]
    assert answers[0]["predicted_cycles"] == answers[0]["cycles"] == 6
    assert answers[0]["fault"] is None
    assert answers[0]["symbols"] == {"z": [ELEMENTS]}
    assert answers[0]["memory"] == [{"slice": "mem.e4", "address": 0, "superlanes": SUM.split()}]


def test_a_program_file_runs_outside_the_checkout(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from tsp.cli import main; main()"]
    subprocess.run([*command, "asm", str(ADD), "-o", str(tmp_path / "add.npz")], check=True, cwd=tmp_path)
    found = subprocess.run([*command, "run", "add.npz", "--dump", "z"], cwd=tmp_path, capture_output=True, text=True)
    assert found.returncode == 0
    assert f"z[0]: {' '.join(map(str, ELEMENTS))}\n" in found.stdout


@pytest.mark.parametrize("sim", simulator.SIMULATORS)
def test_waves_are_written_where_it_says(  # type: ignore[no-untyped-def]
    sim: str, source, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = simulator.wave_file(sim, tmp_path / "small.fst")
    code, out, err = run(capsys, source(SMALL), "--on", sim, "--waves", path, "--dump", "z")
    assert (code, err) == (0, "")
    assert "z[0]: 1 2 3 0" in out
    assert f"waves: {path}\n" in out and path.stat().st_size > 1000


# --- differs: 1


def test_a_machine_that_differs_from_the_prediction_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import golden.machine

    real = golden.machine.Result
    monkeypatch.setattr(golden.machine, "Result", lambda cycles, *rest: real(cycles + 1, *rest))
    code, _, err = run(capsys, ADD)
    assert code == 1
    assert err == "differs: golden took 7 cycles; predicted were 6\n"


# --- bad input: 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere.npz"], "nowhere.npz: cannot be read"),
        ([ADD, "--on", "verilater"], "unknown machine 'verilater'; did you mean 'verilator'?"),
        ([ADD, "--dump", "mem.e44:0:1"], "'mem.e44' is no MEM slice or symbol; did you mean 'mem.e4'?"),
        ([ADD, "--dump", "zz"], "'zz' is no MEM slice or symbol; did you mean 'z'?"),
        ([ADD, "--dump", "mem.e4"], "must be slice:address:count, such as mem.e4:0:4"),
        ([ADD, "--dump", "mem.e4:one"], "must be slice:address:count, such as mem.e4:0:4"),
        ([ADD, "--dump", "mem.e4:1:2:3"], "must be slice:address:count, such as mem.e4:0:4"),
        ([ADD, "--dump", "mem.e4:127:2"], "must lie in words 0…127"),
        ([ADD, "--dump", "mem.e4:" + "9" * 6000], "must lie in words 0…127"),
        ([ADD, "--dump", "mem.e4:0:0"], "must lie in words 0…127"),
        ([ADD, "--waves", "x.fst"], "use --waves with --on icarus or --on verilator"),
        ([ADD, "--max-cycles", "5"], "takes at least 6 cycles, more than the 5 allowed"),
        ([ADD, "--max-cycles", "0"], "--max-cycles"),
        ([ADD, "--config", "groqchip"], "groqchip"),
        ([ADD, "--sett"], "No such option"),
    ],
)
def test_bad_input_is_one_sentence(
    arguments: list[object], sentence: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert sentence in err
    assert "Traceback" not in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("x.foo", "must name a .fst or a .vcd file"),
        ("x", "must name a .fst or a .vcd file"),
        ("missing/x.vcd", "cannot be written: No such file or directory"),
        ("file/x.vcd", "cannot be written: Not a directory"),
        ("folder.vcd", "cannot be written: Is a directory"),
    ],
)
def test_waves_that_cannot_be_written_there_are_refused(
    name: str, sentence: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder.vcd").mkdir()
    code, out, err = run(capsys, ADD, "--on", "icarus", "--waves", tmp_path / name)
    assert (code, out, err) == (2, "", f"--waves {tmp_path / name}: {sentence}\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.vcd"]


@pytest.mark.parametrize(("fst", "asked", "written"), [(True, "vcd", "fst"), (False, "fst", "vcd")])
def test_waves_in_a_format_that_verilator_lacks_are_refused(
    fst: bool, asked: str, written: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulator, "can_write_fst", lambda: fst)
    code, out, err = run(capsys, ADD, "--on", "verilator", "--waves", f"x.{asked}")
    assert (code, out) == (2, "")
    assert err == f"--waves x.{asked}: verilator writes .{written} files on this machine; try x.{written}\n"


@pytest.mark.parametrize("on", BACKENDS)
def test_a_program_that_never_ends_is_bad_input(  # type: ignore[no-untyped-def]
    on: str, source, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(capsys, source(ENDLESS), "--on", on)
    assert code == 2
    assert "SYNC" in err
    code, _, err = run(capsys, source(ENDLESS), "--on", on, "--no-check")
    assert code == 2
    assert "the program never ends: mem.e4 waits from cycle 3 in a SYNC" in err
    code, _, err = run(capsys, source(LONG), "--on", on, "--max-cycles", 2000)
    assert code == 2
    assert "takes at least 2001 cycles, more than the 2000 allowed" in err


def test_a_missing_simulator_is_one_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(sim: str) -> None:
        raise simulator.SimulatorMissing("Icarus Verilog is not installed; type: sudo apt-get install iverilog")

    monkeypatch.setattr(simulator, "tool", missing)
    code, out, err = run(capsys, ADD, "--on", "icarus")
    assert (code, out) == (2, "")
    assert err == "Icarus Verilog is not installed; type: sudo apt-get install iverilog\n"


def test_the_checker_refuses_with_its_sentences(source, capsys: pytest.CaptureFixture[str]) -> None:  # type: ignore[no-untyped-def]
    code, out, err = run(capsys, source(COLLIDES))
    assert (code, out) == (2, "")
    assert "program.tsp:10: mem.e1: cycle 6: stream w4 at mem.e.0 already carries the value read by mem.e0" in err


# --- machine fault: 3


FAULTS = [
    (COLLIDES, "cycle 6: mem.e0: collision"),
    (ABSENT, "cycle 5: mem.e4: operand absent"),
    (BAD_MAP, "cycle 2: mem.e4: gather address"),
    (NO_PERMUTATION, "cycle 8: sxm.e.permute: permute map"),
]


@pytest.mark.parametrize("on", BACKENDS)
@pytest.mark.parametrize(("text", "sentence"), FAULTS)
def test_a_fault_is_a_sentence(  # type: ignore[no-untyped-def]
    on: str, text: str, sentence: str, source, capsys: pytest.CaptureFixture[str]
) -> None:
    path = source(text)
    code, _, err = run(capsys, path, "--on", on, "--no-check", "--dump", "mem.e4:0")
    assert code == 3
    assert err.startswith(f"machine fault: {sentence} ({Path(path).name}:")


@pytest.mark.parametrize("on", BACKENDS if os.environ.get("TSP_FULL") else ["golden", "verilator"])
@pytest.mark.parametrize(("text", "sentence"), FAULTS)
def test_a_fault_is_named_in_json(
    on: str, text: str, sentence: str, source: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capsys, source(text), "--on", on, "--no-check", "--json")
    assert code == 3
    fault = json.loads(out)["fault"]
    assert f"cycle {fault['cycle']}: {fault['queue']}: {fault['kind'].replace('_', ' ')}" == sentence
    assert fault["message"].startswith(sentence)


def test_floats_are_dumped_as_short_as_they_can_be(
    source: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    data = ".data x: mem.e0 fp32 = 0.1, -3.25, 1e30\n.data h: mem.e4 fp16 = 0.1, 65504\n"
    path = source(f".config tiny\n{data}.queue mem.e0\n        READ x, e0\n")
    code, out, _ = run(capsys, path, "--dump", "x", "--dump", "h")
    assert code == 0 and "x[0]: 0.1 -3.25 1e+30 0.0 " in out and "h[0]: 0.099975586 65504.0 0.0 " in out
    code, out, _ = run(capsys, path, "--dump", "x", "--json")
    assert json.loads(out)["symbols"]["x"][0][:3] == [0.1, -3.25, 1e30]
