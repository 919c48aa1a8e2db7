"""``tsp system`` and ``tsp run --system``, on the example of two chips and on garbage."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from golden.system import run_system
from tsp.assembler import assemble_file
from tsp.cli import run
from tsp.errors import InputError
from tsp.memory_map import typed
from tsp.system_check import check_system
from tsp.system_file import load_system
from tsp.system_programs import load_programs

EXAMPLE = Path(__file__).parents[2] / "programs" / "examples" / "two_chips" / "system.toml"


def test_the_example_adds_on_one_chip_what_comes_from_the_other() -> None:
    system = load_system(EXAMPLE, assemble_file)
    assert check_system(system).ok
    a, b = (chip.program for chip in system.chips)
    results = run_system(system)
    x, y = typed(a, a.symbols["x"]), typed(b, b.symbols["y"])
    assert (results[0].values(a.symbols["z"]) == np.clip(x + y, -128, 127)).all()
    assert not any(result.faults for result in results)


def test_check_run_and_asm(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    packed = tmp_path / "two.npz"
    assert run(["system", "check", str(EXAMPLE)]) == 0
    assert ": legal, 725 cycles, of which the start takes 189\n" in capsys.readouterr().out
    assert run(["system", "asm", str(EXAMPLE), "-o", str(packed)]) == 0
    assert {*load_programs(packed)} == {"a", "b"}
    first = packed.read_bytes()
    assert run(["system", "asm", str(EXAMPLE), "-o", str(packed)]) == 0 and packed.read_bytes() == first
    capsys.readouterr()
    assert run(["run", "--system", str(EXAMPLE), str(packed), "--dump", "a:z", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["chips"]["a"]["cycles"] == found["chips"]["a"]["predicted_cycles"] == 725
    assert found["chips"]["a"]["dumped"]["z"][0][:3] == [11, 22, 33]
    assert run(["run", "--system", str(EXAMPLE), "--dump", "a:z"]) == 0
    assert "a:z[1]: 127 -128 0 0" in capsys.readouterr().out


def test_of_chips_that_start_by_themselves_nobody_knows_the_epoch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = 'preamble = false\nconfig = "tiny"\nset = ["c2c=on", "hac_period=64"]\n[[chip]]\nname = "a"\n[[chip]]\n'
    (tmp_path / "x.toml").write_text(text + 'name = "b"\n[[link]]\nfrom = "a.e0"\nto = "b.w0"\nlatency = 5\n')
    assert run(["system", "check", str(tmp_path / "x.toml")]) == 0
    captured = capsys.readouterr()
    assert "legal, 0 cycles" in captured.out and not captured.err


@pytest.mark.parametrize("kind, begin", [("svg", b"<?xml"), ("png", b"\x89PNG")])
def test_pictures(kind: str, begin: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / f"two.{kind}"
    data = []
    for _ in range(2):
        assert run(["system", "draw", str(EXAMPLE), "-o", str(picture)]) == 0
        assert capsys.readouterr().out == f"{picture}: 2 chips, 1 link\n"
        data.append(picture.read_bytes())
    assert data[0] == data[1] and data[0].startswith(begin)
    if kind == "svg":
        held = picture.read_text()
        assert all(text in held for text in (">e0 216</text>", ">w0 216</text>", ">a</t", ">tiny, depth 1</t"))


def test_a_system_without_programs_ends_with_its_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    idle = tmp_path / "idle.toml"
    idle.write_text(EXAMPLE.read_text().replace("program", "# program"))
    assert run(["system", "check", str(idle)]) == run(["run", "--system", str(idle)]) == 0
    text = capsys.readouterr().out
    assert ": legal, no event behind the start of 189 cycles\n" in text
    assert " on golden: no event behind the start of 189 cycles\n" in text


def changed(folder: Path, old: str, new: str) -> str:
    for file in EXAMPLE.parent.iterdir():
        (folder / file.name).write_text(file.read_text().replace(old, new))
    return str(folder / "system.toml")


def test_a_fault_ends_with_exit_code_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    early = changed(tmp_path, "latency = 216", "latency = 248")
    assert run(["run", "--system", early]) == 2
    error = capsys.readouterr().err
    assert "RECEIVE of link w0 is 28 cycles too early for the vector that chip a sends in cycle 4, with a" in error
    assert "margin of 23; works from cycle 287" in error and "RECEIVE of link e0 is 28 cycles too early" in error
    assert run(["run", "--system", early, "--no-check"]) == 3
    assert ": c2c.w0: link underrun (b.tsp:7: @259 RECEIVE 0, e4)" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["run", "--system", str(EXAMPLE), "--on", "verilog"], "unknown machine 'verilog'; did you mean 'verilator'?"),
        (["run", "--system", str(EXAMPLE), "--waves", "x.fst"], "--waves is for one chip, but --system runs several"),
        (["run", "--system", str(EXAMPLE), "--dump", "z"], "--dump z: of a system must begin with a chip and a colon"),
        (["run", "--system", str(EXAMPLE), "--dump", "c:z"], "there is no chip 'c'; known: a, b"),
        (["run", "--system", str(EXAMPLE), "--dump", "a:z:9"], "--dump a:z:9: a symbol is dumped as a whole; try --d"),
        (["run", "--system", str(EXAMPLE), "--dump", "a:"], "--dump a:: '' is no MEM slice or symbol; known: x, z, m"),
        (["system", "asm", str(EXAMPLE), "-o", str(EXAMPLE.with_name("a.tsp"))], "a.tsp: is what is read, must be ano"),
        (["system", "asm", str(EXAMPLE), "-o", "two.txt"], "two.txt: must end in .npz; try two.txt.npz"),
        (["run", "--system", str(EXAMPLE), "--set", "c2c=on"], "name it with --config, or write set in a system's f"),
        (["system", "check", ""], "the name of the system's file is empty; give a .toml"),
        (["run", "--system", str(EXAMPLE), "--max-cycles", "500"], "a chip takes 725 cycles, more than the 500 allowe"),
        (["run"], "PROGRAM is missing: a .npz file or source; or name a system with --system"),
        (["system", "draw", str(EXAMPLE), "-o", "x.pdf"], "x.pdf: a picture is an .svg or a .png; x.svg works"),
        (["system", "draw", str(EXAMPLE), "-o", "none/x.png"], "none/x.png: cannot be written: No such file"),
        (["system", "check", "none.toml"], "none.toml: cannot be read: No such file"),
    ],
)
def test_bad_input_is_one_sentence(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_files_of_programs_may_be_anything(tmp_path: Path) -> None:
    packed = tmp_path / "two.npz"
    assert run(["system", "asm", str(EXAMPLE), "-o", str(packed)]) == 0
    good, rng = packed.read_bytes(), np.random.default_rng(1)
    for _ in range(60):
        data = bytearray(good[: rng.integers(len(good))] if rng.random() < 0.3 else good)
        for _ in range(rng.integers(0, 4)):
            data[rng.integers(len(data))] ^= 1 << rng.integers(8)
        packed.write_bytes(data)
        try:
            load_programs(packed)
        except InputError as error:
            assert str(error).startswith(str(packed)) and "\n" not in str(error)
    for names, kind, message in (
        (["a.txt"], zipfile.ZIP_STORED, "it must hold NAME.npz for each chip"),
        (["../a.npz"], zipfile.ZIP_STORED, "it must hold NAME.npz for each chip"),
        ([], zipfile.ZIP_STORED, "it must hold NAME.npz for each chip"),
        (["a.npz"], zipfile.ZIP_DEFLATED, "its members must not be compressed"),
        (["a.npz"], zipfile.ZIP_STORED, "a: is not a program file, or is damaged"),
    ):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", kind) as archive:
            for name in names:
                archive.writestr(name, b"0" * 5000)
        packed.write_bytes(buffer.getvalue())
        with pytest.raises(InputError, match=message):
            load_programs(packed)
