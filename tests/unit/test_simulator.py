"""The simulator runner, on a counter, in both simulators."""

import subprocess
from pathlib import Path

import pytest
from amaranth.back import verilog
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tb import tools
from tb.runners import Kept
from tb.simulator import SIMULATORS, BuildFailed, SimulatorMissing, TestsFailed, build, build_program, run, top_ports
from tsp.errors import InputError

HERE = Path(__file__).parent


class Inner(wiring.Component):
    en: In(1)
    count: Out(32)

    def elaborate(self, platform):
        m = Module()
        hidden = Signal(32)
        with m.If(self.en):
            m.d.sync += hidden.eq(hidden + 1)
        m.d.comb += self.count.eq(hidden)
        return m


class Counter(wiring.Component):
    """Counts the cycles in which ``en`` is high."""

    en: In(1)
    count: Out(32)

    def elaborate(self, platform):
        m = Module()
        m.submodules.inner = inner = Inner()
        m.d.comb += [inner.en.eq(self.en), self.count.eq(inner.count)]
        return m


MAIN = """
#include <cstdlib>
#include <cstdio>
#include "Vtop.h"
int main(int, char **argv) {
    VerilatedContext context;
    Vtop top{&context};
    auto cycle = [&] { top.clk = 1; top.eval(); top.clk = 0; top.eval(); };
    top.rst = 1; top.en = 1; cycle(); top.rst = 0;
    for (long i = std::atol(argv[1]); i; --i) cycle();
    std::printf("%u\\n", top.count);
}
"""


@pytest.fixture(scope="module")
def counter(tmp_path_factory):
    path = tmp_path_factory.mktemp("counter") / "counter.v"
    path.write_text(verilog.convert(Counter(), name="counter", emit_src=False))
    return path


@pytest.fixture(params=SIMULATORS)
def sim(request):
    return request.param


def bench(built, testcase, **arguments):
    return run(built, "counter_bench", testcase=testcase, path=[HERE], **arguments)


def test_a_passing_bench(sim, counter):
    results = bench(build(sim, [counter], "counter"), "counts_once_a_cycle")
    assert [case.name for case in results.cases] == ["counts_once_a_cycle"]
    assert results.cases[0].sim_ns == 10_005
    assert results.log.is_file()


def test_a_failing_bench_is_seen_failing(sim, counter):
    with pytest.raises(TestsFailed, match="this counter counts three") as caught:
        bench(build(sim, [counter], "counter"), ["must_fail", "counts_once_a_cycle"])
    assert str(caught.value.results.log) in str(caught.value)
    assert sorted(case.name for case in caught.value.results.cases if case.failure) == ["must_fail"]


def test_no_test_is_a_failure(sim, counter):
    built = build(sim, [counter], "counter")
    with pytest.raises(TestsFailed, match="no test ran"):
        bench(built, "no_such_test")
    with pytest.raises(TestsFailed, match="no test ran(.|\n)*no_such_module"):
        run(built, "no_such_module")


def test_a_bench_that_never_ends_is_stopped(sim, counter):
    with pytest.raises(TestsFailed, match="stopped after 2 s"):
        bench(build(sim, [counter], "counter"), "never_ends", time_limit=2)


def test_seed_and_environment_reach_the_bench(sim, counter, monkeypatch):
    # make hands its variables on, so the caller's environment must not win.
    for name, value in {
        "FRUIT": "apple",
        "COCOTB_RANDOM_SEED": "1",
        "COCOTB_TEST_FILTER": "none",
        "WAVES": "1",
    }.items():
        monkeypatch.setenv(name, value)
    bench(build(sim, [counter], "counter"), "sees_seed_and_environment", seed=7, env={"FRUIT": "pear"})


def test_a_build_is_reused_until_its_sources_change(sim, counter, tmp_path):
    first = build(sim, [counter], "counter")
    again = build(sim, [counter], "counter")
    assert again.directory == first.directory and again.seconds == 0
    other = tmp_path / "counter.v"
    other.write_text(counter.read_text() + "\n// changed\n")
    assert build(sim, [other], "counter").directory != first.directory


def test_an_incomplete_build_is_made_again(counter):
    built = build("icarus", [counter], "counter")
    (built.directory / "complete").unlink()
    (built.directory / "sim.vvp").write_text("damaged")
    assert build("icarus", [counter], "counter").seconds > 0
    bench(built, "counts_once_a_cycle")


def test_waves(sim, counter, tmp_path):
    built = build(sim, [counter], "counter", waves=True)
    results = bench(built, "counts_once_a_cycle", waves=tmp_path / "sub" / "counter.vcd")
    assert results.waves.parent == tmp_path / "sub" and results.waves.stat().st_size > 1000
    if results.waves.suffix == ".vcd":
        assert results.waves.read_text().lstrip().startswith("$")
    with pytest.raises(InputError, match="waves=True"):
        bench(build(sim, [counter], "counter"), "counts_once_a_cycle", waves=tmp_path / "counter.vcd")


def test_verilators_main_program_drives_the_clock(counter):
    built = build("verilator", [counter], "counter")
    log = (built.directory / "build.log").read_text()
    assert "tb/cocotb_main.cpp" in log and "/verilator.cpp" not in log
    bench(built, ["counts_without_a_clock_of_cocotb", "finds_the_clock_stopped"])
    bench(built, "sees_the_same_under_both_clocks", time_limit=60)


def test_other_simulators_have_a_clock_of_cocotb(counter):
    bench(build("icarus", [counter], "counter"), "sees_the_same_under_both_clocks", time_limit=60)


def test_verilator_makes_only_the_ports_public(counter):
    built = build("verilator", [counter], "counter")
    log = (built.directory / "build.log").read_text()
    assert "--vpi" in log and "--public-flat-rw" not in log
    control = (built.directory / "public.vlt").read_text()
    assert set(control.splitlines()[1:]) == {
        f'public_flat_rw -module "counter" -var "{port}"' for port in ("clk", "rst", "en", "count")
    }
    bench(built, "is_blind_inside")


def test_a_signal_made_public_can_be_read(sim, counter):
    text = counter.read_text()
    inner = next(word for word in text.split() if word.startswith("\\counter.inner") or word.startswith("inner("))
    module = inner.lstrip("\\").split("(")[0]
    bench(build(sim, [counter], "counter", public=[(module, "hidden")]), "reaches_inside")


def test_blocks_are_compiled_on_their_own(tmp_path):
    (tmp_path / "block.v").write_text(
        "module block(input clk, input rst, input en, output reg [31:0] count);\n"
        "always @(posedge clk) count <= rst ? 0 : count + en;\nendmodule\n"
    )
    (tmp_path / "top.v").write_text(
        "module counter(input clk, rst, input en, output [31:0] count);\n"
        "block b(.clk(clk), .rst(rst), .en(en), .count(count));\nendmodule\n"
    )
    built = build("verilator", [tmp_path / "block.v", tmp_path / "top.v"], "counter", blocks=["block"])
    assert (built.directory / "Vblock").is_dir()
    bench(built, "counts_once_a_cycle")


def test_what_make_leaves_is_kept_for_others(tmp_path, monkeypatch):
    monkeypatch.setenv("TSP_BUILD", str(tmp_path))
    (tmp_path / "sim" / "verilator").mkdir(parents=True)
    folders = [tmp_path / name for name in ("first", "second", "third")]
    for folder in folders:
        (folder / "Vb").mkdir(parents=True)
        (folder / "source.v").touch()
    kept = Kept("block", ["b.v", "text"], ["Vb/lib*.a", "Vb/b.sv"])
    with kept.shared(folders[0]):
        assert not list((folders[0] / "Vb").iterdir())
        for name in ("libb.a", "b.sv", "other.o"):
            (folders[0] / "Vb" / name).write_text(name)
    with kept.shared(folders[1]):
        found = sorted((folders[1] / "Vb").iterdir())
        assert [path.read_text() for path in found] == ["b.sv", "libb.a"]
        assert len({path.stat().st_mtime for path in found}) == 1, "neither is older than the other"
        assert found[0].stat().st_mtime >= (folders[1] / "source.v").stat().st_mtime
    with Kept("block", ["b.v", "other text"], ["Vb/*"]).shared(folders[2]):
        assert not list((folders[2] / "Vb").iterdir())


def test_a_program_of_ones_own(counter, tmp_path):
    main = tmp_path / "main.cpp"
    main.write_text(MAIN)
    built = build_program([counter], "counter", main)
    assert subprocess.run([built.program, "12345"], capture_output=True, text=True).stdout == "12345\n"


def test_wrong_verilog_names_its_log(sim, tmp_path):
    source = tmp_path / "wrong.v"
    source.write_text("module wrong(input clk);\n nonsense nonsense nonsense\nendmodule\n")
    with pytest.raises(BuildFailed, match="could not build 'wrong'(.|\n)*build.log(.|\n)*wrong.v"):
        build(sim, [source], "wrong")
    with pytest.raises(InputError, match="'right'") if sim == "verilator" else pytest.raises(BuildFailed):
        build(sim, [source], "right")


def test_a_missing_simulator_names_the_command(monkeypatch, counter):
    tools._icarus.cache_clear()
    with monkeypatch.context() as patch:
        patch.setenv("PATH", "/nonexistent")
        with pytest.raises(SimulatorMissing, match="apt-get install iverilog") as caught:
            build("icarus", [counter], "counter")
    tools._icarus.cache_clear()
    assert caught.value.exit_code == 2
    with pytest.raises(InputError, match="did you mean 'verilator'"):
        build("verilate", [counter], "counter")


def test_ports_in_every_style(tmp_path):
    source = tmp_path / "ports.v"
    source.write_text(
        "module other(input no); endmodule\n"
        "module ansi #(parameter W = 8) (input wire clk, rst, input [W-1:0] a, /* input gone, */ output reg b);\n"
        "endmodule\n"
        "module old(clk, q); (* keep *) input clk; output [3:0] q; reg [3:0] q; endmodule // input tail\n"
    )
    assert top_ports([source], "ansi") == ["clk", "rst", "a", "b"]
    assert top_ports([source], "old") == ["clk", "q"]
