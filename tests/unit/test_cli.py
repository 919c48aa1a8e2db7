"""The ``tsp`` command: what it prints, its exit codes, and one sentence for everything that goes wrong."""

import json
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tsp.cli import run
from tsp.config import PRESETS, preset
from tsp.floorplan_svg import draw
from tsp.program import Program

ROOT = Path(__file__).parents[2]
EXAMPLE = str(ROOT / "programs" / "examples" / "vector_add.tsp")
Capture = pytest.CaptureFixture[str]


def test_info_prints_the_published_figures(capsys: Capture) -> None:
    assert run(["info", "--config", "groqchip"]) == 0
    text = capsys.readouterr().out
    for figure in ("144", "220 MiB", "409,600", "20,480", "56,320", "2,304", "35 cycles"):
        assert figure in text


def test_info_as_json_with_settings(capsys: Capture) -> None:
    assert run(["info", "--config", "tiny", "--set", "superlanes=4", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["config"]["superlanes"] == 4 and figures["vector_bytes"] == 64
    assert figures["features"]["sxm"] and figures["features"]["gather"]


def test_one_of_a_thing_is_singular(tmp_path: Path, capsys: Capture) -> None:
    settings = ["superlanes=1", "vxm_rows=1", "vxm_stages=1", "mxm_planes_w=0", "mxm_planes_e=1", "mxm_fp16=off"]
    assert run(["info", "--config", "tiny", *(part for setting in settings for part in ("--set", setting))]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for found in ("1 superlane · 16 lanes", "1 plane of", "1 row · 1 stage in", "1 clock"):
        assert found in text
    (tmp_path / "a.tsp").write_text(".config tiny\n.queue mem.e0\nNOP 1")
    assert run(["asm", str(tmp_path / "a.tsp")]) == 0
    assert capsys.readouterr().out.endswith("a.npz: 1 word in 1 queue, 0 vectors in memory\n")


def test_info_names_the_features(capsys: Capture) -> None:
    assert run(["info", "--config", "tiny", "--set", "sxm=off", "--set", "gather=off"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "trace" in text and re.search("without gather, .*sxm", text)


@pytest.mark.parametrize("config", PRESETS)
def test_floorplan_is_a_picture(config: str, tmp_path: Path, capsys: Capture) -> None:
    assert run(["info", "--config", config, "--svg", str(tmp_path / "a.svg")]) == 0
    root = ElementTree.parse(tmp_path / "a.svg").getroot()
    texts = {element.text for element in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"MXM W", "SXM W", "VXM", "SXM E", "MXM E", "superlane 0"} <= texts


def test_floorplan_in_docs_is_current() -> None:
    path = ROOT / "docs" / "floorplan.svg"
    assert path.read_text() == draw(preset("groqchip")), "run: tsp info --config groqchip --svg docs/floorplan.svg"


def test_asm_disasm_asm(tmp_path: Path, capsys: Capture) -> None:
    first, second, text = (str(tmp_path / name) for name in ("a.npz", "b.npz", "a.tsp"))
    assert run(["asm", EXAMPLE, "-o", first]) == 0
    assert capsys.readouterr().out == f"{first}: 6 words in 4 queues, 2 vectors in memory\n"
    assert run(["disasm", first, "-o", text]) == 0
    assert run(["disasm", first]) == 0
    assert capsys.readouterr().out == Path(text).read_text()
    assert run(["asm", text, "-o", second]) == 0
    one, two = Program.load(first), Program.load(second)
    assert (one.queues, one.memory, one.config, one.symbols) == (two.queues, two.memory, two.config, two.symbols)


def test_asm_writes_beside_the_source(tmp_path: Path) -> None:
    (tmp_path / "a.tsp").write_text(".queue mem.e0\nNOP 1")
    assert run(["asm", str(tmp_path / "a.tsp"), "--config", "tiny"]) == 0
    assert Program.load(tmp_path / "a.npz").config == preset("tiny")


def test_check_predicts_cycles(tmp_path: Path, capsys: Capture) -> None:
    assert run(["asm", EXAMPLE, "-o", str(tmp_path / "a.npz")]) == 0
    capsys.readouterr()
    for path in (EXAMPLE, str(tmp_path / "a.npz")):
        assert run(["check", path]) == 0
        assert capsys.readouterr().out == f"{path}: legal, 6 cycles\n"


def test_check_refuses_an_illegal_program(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "a.tsp").write_text(".config tiny\n.queue mem.e0\nREAD 0, e0\n")
    assert run(["check", str(tmp_path / "a.tsp")]) == 2
    assert "a.tsp:3: mem.e0: cycle 0:" in capsys.readouterr().err
    assert run(["check", str(tmp_path / "a.tsp"), "--json"]) == 2
    report = json.loads(capsys.readouterr().out)
    assert not report["ok"] and report["problems"][0]["rule"] == "undefined_word"


BAD = [
    (["chekc"], "No such command 'chekc'. Did you mean 'check'?"),
    (["info"], "Missing option '--config'. It is the preset to start from: groqchip, tiny or board."),
    (["info", "--config", "tinny"], "unknown config 'tinny'; did you mean 'tiny'?"),
    (["info", "--config", "tiny", "--set", "superlanes=40"], "must be 1…20; try 20"),
    (["info", "--config", "tiny", "--svg", "/nonexistent/a.svg"], "/nonexistent/a.svg: cannot be written"),
    (["asm"], "Missing argument 'SOURCE'."),
    (["asm", "/nonexistent.tsp"], "/nonexistent.tsp: cannot be read: No such file or directory"),
    (["asm", "/"], "Is a directory"),
    (["asm", EXAMPLE, "-o", "/nonexistent/a.npz"], "cannot be written"),
    (["asm", EXAMPLE, "--config", "groqchip"], "not for groqchip"),
    (["asm", EXAMPLE, "--set", "superlanes=4"], "name it with --config"),
    (["disasm", EXAMPLE], "is not a program file"),
    (["check", "/nonexistent.npz"], "cannot be read"),
    (["run", "/nonexistent.tsp", "--json"], "/nonexistent.tsp: cannot be read: No such file or directory"),
    (["verilog", "--config", "tiny"], "Missing option '-o'"),
]


@pytest.mark.parametrize("arguments, message", BAD, ids=[" ".join(arguments)[:40] for arguments, _ in BAD])
def test_bad_input(arguments: list[str], message: str, capsys: Capture) -> None:
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err and captured.err.count("\n") == 1
    assert not captured.out


BEFORE_WORK = [
    "asm no.tsp -o",
    "compile no.onnx --config tiny -o",
    "disasm no.npz -o",
    "info --config tiny --svg",
    "network draw --nodes 1 -o",
    "network route --nodes 1 --bytes 1 --draw",
    "network route --nodes 1 --bytes 1 -o",
    "system asm no.toml -o",
    "system draw no.toml -o",
    "timeline no.npz --html",
    "timeline no.npz --perfetto",
]


@pytest.mark.parametrize("command", BEFORE_WORK)
def test_a_file_that_cannot_be_written_is_noticed_before_anything_is_read(command: str, capsys: Capture) -> None:
    assert run([*command.split(), "/nonexistent/a.svg"]) == 2
    assert capsys.readouterr() == ("", "/nonexistent/a.svg: cannot be written: No such file or directory\n")


def test_bad_input_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.tsp").write_text(".config tiny\n.queue mem.e0\nREED 0, e0")
    assert run(["asm", str(tmp_path / "a.tsp")]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["a.tsp"]


def test_help(capsys: Capture) -> None:
    assert run([]) == 0
    bare = capsys.readouterr().out
    assert run(["--help"]) == 0
    assert bare == capsys.readouterr().out and "disasm" in bare


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
@pytest.mark.parametrize("arguments, code", [("info --config tiny", 0), ("info --config tiny --json", 0), ("info", 2)])
def test_closed_streams_are_no_error(arguments: str, code: int, closed: str) -> None:
    command = f"'{sys.executable}' -c 'from tsp.cli import main; main()' {arguments} {closed}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    assert done.returncode == code and "Traceback" not in done.stderr


def test_who_reads_no_further_has_seen_enough() -> None:
    """The result of a run is no longer than a pipe holds, but its reader is gone before it comes."""
    command = f"'{sys.executable}' -c 'from tsp.cli import main; main()' run {EXAMPLE}"
    done = subprocess.run(["bash", "-c", f"{command} | true; exit ${{PIPESTATUS[0]}}"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_system_is_no_program(tmp_path: Path, capsys: Capture) -> None:
    for command in ("check", "run", "timeline", "explain"):
        assert run([command, "s.toml"]) == 2
        assert capsys.readouterr().err == (
            "s.toml: is a system, not a program; see tsp system check and tsp run --system\n"
        )
    (tmp_path / "s.toml").write_text('config = "tiny"\nset = ["c2c=on"]\n[[chip]]\nname = "a"\nprogram = "s.toml"\n')
    assert run(["system", "check", str(tmp_path / "s.toml")]) == 2
    assert "s.toml: chip a: " in (error := capsys.readouterr().err) and "is a system, not a program" in error
    two = str(ROOT / "programs" / "examples" / "two_chips" / "system.toml")
    assert run(["system", "asm", two, "-o", str(tmp_path / "two.npz")]) == 0
    for command in ("check", "run", "timeline", "disasm"):
        assert run([command, str(tmp_path / "two.npz")]) == 2
        assert "two.npz: holds the programs of a system; run them with tsp run --system" in capsys.readouterr().err


def test_a_model_is_no_program(capsys: Capture) -> None:
    for command in ("check", "run", "timeline", "explain"):
        assert run([command, "m.onnx"]) == 2
        assert capsys.readouterr().err == "m.onnx: is a model, not a program; tsp compile makes one of it\n"


def test_the_process_exits_with_the_code(tmp_path: Path) -> None:
    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        code = "import sys; from tsp.cli import main; main(sys.argv[1:])"
        return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=tmp_path)

    good, bad = call("check", EXAMPLE), call("check", "missing.npz")
    assert (good.returncode, good.stderr) == (0, "")
    assert (bad.returncode, bad.stderr.count("\n")) == (2, 1) and "Traceback" not in bad.stderr
