"""The Verilog of the presets: complete, readable by both tools, byte-stable, never half-written."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import Component, In, Out

from rtl import verilog
from rtl.mem import MemSite
from rtl.registers import grouped
from rtl.sxm import SxmSite
from tb import machine, tools
from tsp import cli
from tsp.config import PRESETS, ChipConfig, preset
from tsp.errors import InputError

FULL = os.environ.get("TSP_FULL")
CONFIGS = [preset("tiny"), preset("board"), *([preset("groqchip")] if FULL else [])]
WAIVERS = Path(verilog.__file__).with_name("verilator.vlt")


BLOCKS = ("superlane", "mxm_plane_row", "mxm_fp16_row")
"""Modules checked on their own, and outside them as their ports only: a flattened chip can take 10 GB."""
CHECKED = [
    pytest.param(config, top, id=f"{config.name}-{top}")
    for config in CONFIGS
    for top in (verilog.TOP, *BLOCKS)
    if top != "mxm_fp16_row" or config.mxm_fp16
]


@pytest.fixture(params=CONFIGS, ids=lambda config: config.name)
def sources(request):
    return [str(path) for path in machine.sources(request.param)]


def ports_only(text: str) -> str:
    """A module without its body."""
    header = re.search(r"^module .*?\);", text, re.MULTILINE | re.DOTALL)[0]
    declarations = re.findall(r"^  (?:input|output) [^;]*;", text, re.MULTILINE)
    return "\n".join([header, *declarations, "endmodule\n"])


def around(top: str, config: ChipConfig, folder: Path) -> list[str]:
    """The sources with the other blocks emptied."""
    files = []
    for path in machine.sources(config):
        if path.stem in BLOCKS and path.stem != top:
            empty = folder / path.name
            empty.write_text(ports_only(path.read_text()))
            path = empty
        files.append(str(path))
    return files


@pytest.mark.parametrize("config, top", CHECKED)
def test_verilator_finds_nothing_to_complain_about(config, top, tmp_path):
    found = tools.tool("verilator")
    command = [found.executable, "--lint-only", "-Wall", "-Wno-UNDRIVEN", "--top-module", top, WAIVERS]
    command += around(top, config, tmp_path)
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **found.environment})
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("config, top", CHECKED)
def test_icarus_compiles_it_without_a_word(config, top, tmp_path):
    options = ["-g2005", "-Wall", "-Wno-timescale", "-s", top, "-o", tmp_path / "chip.vvp"]
    command = ["iverilog", *options, *around(top, config, tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_file_is_one_module_and_is_listed(sources):
    directory = Path(sources[0]).parent
    listed = (directory / verilog.FILE_LIST).read_text().split()
    assert listed == sorted(Path(path).name for path in sources)
    for path in map(Path, sources):
        text = path.read_text()
        assert set(re.findall(r"^module (\w+)", text, re.MULTILINE)) == {path.stem} and text.count("endmodule") == 1


def test_no_priority_mux_became_a_function(sources):
    """Only the lanes of rtl.lanes are one."""
    found = re.compile(r"^\s*function (?!automatic)", re.MULTILINE)
    assert not [path for path in sources if found.search(Path(path).read_text())]


def test_a_feature_that_is_off_leaves_no_trace():
    texts = "".join(path.read_text() for path in machine.sources(preset("board")))
    assert not re.search("signature|hash|trace|ecc|corrected|flip|float|fp16", texts)


def test_memories_stay_memories_without_initial_values():
    text = verilog.modules(MemSite(preset("tiny").override(["ecc=off"])), "mem_site")["mem_tile"]
    assert "reg [127:0] memory [127:0];" in text
    assert "initial" not in text


def test_a_memory_with_check_bits_is_one_memory():
    text = verilog.modules(MemSite(preset("tiny").override(["ecc=on"])), "mem_site")["mem_tile"]
    assert text.count("reg [136:0] memory [127:0];") == 1 and "initial" not in text


def test_the_same_configuration_gives_the_same_bytes():
    config = preset("tiny")
    assert verilog.modules(MemSite(config), "mem_site") == verilog.modules(MemSite(config), "mem_site")


def test_nothing_half_written_is_left(tmp_path):
    with pytest.raises(TypeError):
        verilog.write({"good": "module good;\nendmodule\n", "bad": None}, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_writing_again_replaces_what_was_there(tmp_path):
    config = preset("board")
    target = tmp_path / "out"
    verilog.write({"old": "module old;\nendmodule\n"}, target)
    files = verilog.write(verilog.modules(SxmSite(config), "sxm_site"), target)
    assert files == [target / "sxm_site.v"]
    assert sorted(path.name for path in target.iterdir()) == ["chip.f", "sxm_site.v"]
    assert list(tmp_path.iterdir()) == [target]


def mixed(target: Path) -> None:
    """A folder that holds modules and what a user put beside them."""
    verilog.write({"a": "module a;\nendmodule\n", "b": "module b;\nendmodule\n"}, target)
    (target / "bench").mkdir()
    (target / "bench" / "top.v").write_text("module top;\nendmodule\n")
    (target / "mine.v").write_text("module mine;\nendmodule\n")
    target.chmod(0o700)


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("inside", [False, True], ids=["from elsewhere", "from inside"])
def test_what_else_is_in_the_folder_stays(inside, tmp_path, monkeypatch):
    target = tmp_path / "out"
    mixed(target)
    if inside:
        monkeypatch.chdir(target)
    verilog.write({"b": "module b2;\nendmodule\n", "c": "module c;\nendmodule\n"}, Path() if inside else target)
    found = contents(target)
    assert sorted(found) == ["b.v", "bench/top.v", "c.v", "chip.f", "mine.v"]
    assert found["chip.f"] == "b.v\nc.v\n" and "b2" in found["b.v"] and "top" in found["bench/top.v"]
    assert target.stat().st_mode & 0o777 == 0o700 and list(tmp_path.iterdir()) == [target]
    if inside:
        assert Path.cwd().samefile(target)


@pytest.mark.parametrize("inside", [False, True], ids=["from elsewhere", "from inside"])
def test_a_folder_with_the_name_of_a_file_stays(inside, tmp_path, monkeypatch):
    target = tmp_path / "out"
    mixed(target)
    for name in ("a.v", "c.v"):
        (target / name).unlink(missing_ok=True)
        (target / name).mkdir()
        (target / name / "mine").write_text("mine")
    before = contents(target)
    if inside:
        monkeypatch.chdir(target)
    with pytest.raises(InputError, match=r"^[^\n]*c\.v: is a folder, but a file of this name must go there; move it$"):
        verilog.write({"b": "module b2;\nendmodule\n", "c": "module c;\nendmodule\n"}, target)
    assert contents(target) == before and list(tmp_path.iterdir()) == [target]
    verilog.write({"b": "module b2;\nendmodule\n"}, target)  # a.v is in the old list, but as a file
    assert contents(target)["a.v/mine"] == "mine" and "b2" in contents(target)["b.v"]


@pytest.mark.parametrize("step", [1, 2])
def test_an_interruption_leaves_the_old_folder(step, tmp_path, monkeypatch):
    target = tmp_path / "out"
    mixed(target)
    before, real, calls = contents(target), Path.rename, []

    def rename(self, to):
        calls.append(to)
        if len(calls) == step:
            raise KeyboardInterrupt
        return real(self, to)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(KeyboardInterrupt):
        verilog.write({"b": "module b2;\nendmodule\n", "c": "module c;\nendmodule\n"}, target)
    assert contents(target) == before and list(tmp_path.iterdir()) == [target]


def test_a_link_to_a_folder_stays_a_link(tmp_path):
    mixed(tmp_path / "out")
    (tmp_path / "link").symlink_to("out")
    verilog.write({"c": "module c;\nendmodule\n"}, tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "out" / "c.v").is_file()


@pytest.mark.parametrize(
    "target, why",
    [
        ("file", "Not a directory"),
        ("file/below", "Not a directory"),
        ("/proc/foo", "No such file or directory"),
        ("loop/x", "loop"),
        ("long" * 100, "File name too long"),
    ],
)
def test_a_folder_that_cannot_be_is_named_before_anything_is_generated(target, why, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "loop").symlink_to("loop")
    monkeypatch.setattr(verilog, "modules", lambda *arguments: pytest.fail("generated"))
    assert cli.run(["verilog", "--config", "tiny", "-o", str(tmp_path / target)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"{tmp_path / target}: cannot be written: ") and why in error and error.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "loop"]


def test_presets_are_all_covered_by_the_full_run():
    assert set(PRESETS) == {"tiny", "board", "groqchip"}


@pytest.mark.parametrize(
    "text, folded",
    [
        ("{ a[7], a[7], a[7], a[7:0] }", "{ {3{a[7]}}, a[7:0] }"),
        ("{ a, a, ab, a[3], a }", "{ {2{a}}, ab, a[3], a }"),
        ("{ a, a[3], a[3] }", "{ a, {2{a[3]}} }"),
        ("module m(a, b, a_b);", "module m(a, b, a_b);"),
        ("{ b, b, 3'h0, 3'h0 }", "{ {2{b}}, 3'h0, 3'h0 }"),
    ],
)
def test_repeated_bits_become_replications(text: str, folded: str) -> None:
    assert verilog.fold(text) == folded


class Loop(Component):
    module_name = "loop"

    def __init__(self, structural, under_if):
        self.structural, self.under_if = structural, under_if
        super().__init__({"a": In(1), "b": Out(1)})

    def elaborate(self, platform):
        m, x, y = Module(), Signal(), Signal()
        m.d.comb += self.b.eq(x)
        with m.If(self.a | (not self.under_if)):
            m.d.comb += [x.eq(y ^ self.a), y.eq(x & ~self.a)]
        return m


@pytest.mark.parametrize("structural", [False, True])
@pytest.mark.parametrize("under_if", [False, True])
def test_a_combinational_loop_is_refused(structural, under_if):
    with pytest.raises(RuntimeError, match=r"^module loop has a combinational loop through .*\(\$xor\)"):
        verilog.modules(Loop(structural, under_if), "loop")


REGISTERS = """\
  reg a;
  always @(posedge clk)
    if (en) a <= x;
  reg b;
  always @(posedge clk)
    if (rst) b <= 1'h0;
    else if (en) b <= y[3];
  always @(posedge clk)
    c <= b;
  reg \\d[0] ;
  always @(posedge clk)
    if (en) \\d[0]  <= { a, z };
  always @(posedge clk)
    if (rst) e[1:0] <= 2'h0;
    else if (en) e[1:0] <= w;
  always @(posedge clk) begin
    if (en) memory[a] <= x;
  end
  always @(posedge clk)
    elsewhere <= c;
  always @(posedge clk)
    if (on)
      if (_0_) g <= 1'h0;
      else g <= h;
"""
GROUPED = """\
  reg a;
  reg b;
  reg \\d[0] ;
  always @(posedge clk)
    if (en) begin
      a <= x;
      \\d[0]  <= { a, z };
    end
  always @(posedge clk)
    if (rst) begin
      b <= 1'h0;
      e[1:0] <= 2'h0;
    end else if (en) begin
      b <= y[3];
      e[1:0] <= w;
    end
  always @(posedge clk) begin
    if (en) memory[a] <= x;
  end
  always @(posedge clk) begin
    c <= b;
    elsewhere <= c;
  end
  always @(posedge clk)
    if (on)
      if (_0_) g <= 1'h0;
      else g <= h;
"""


def test_registers_of_equal_conditions_are_one_block():
    assert grouped(REGISTERS) == GROUPED
    assert grouped(GROUPED) == GROUPED
