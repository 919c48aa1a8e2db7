"""The mutation runner on a counter whose bench is blind for one output, and the equivalence of mutants."""

import json
import re

import pytest
from click.testing import CliRunner

from tb import simulator
from tb.benches import Bench
from tb.mutation import __main__ as command
from tb.mutation import blocks, equivalence, limits, machine, netlist, report
from tb.mutation.blocks import Block
from tb.mutation.netlist import Mutant
from tb.mutation.run import play

# `kept` adds nothing to `next`; `odd` is what the bench does not look at.
COUNTER = """
module counter(input clk, input rst, input en, output reg [7:0] count, output odd, output sixteen);
wire [7:0] next = count + 8'd1;
wire kept = en | (en & count[0]);
assign odd = count[0];
assign sixteen = count == 8'd16;
always @(posedge clk) if (rst) count <= 8'd0; else if (kept) count <= next;
endmodule
"""
TOP = """
module top(clk, rst, en, count, odd, sixteen);
  input clk, rst, en;
  output [7:0] count;
  output odd, sixteen;
  counter one (
    .clk(clk),
    .rst(rst),
    .en(en),
    .count(count),
    .odd(odd_inside),
    .sixteen(sixteen)
  );
  wire odd_inside;
  assign odd = ~odd_inside;
endmodule
"""


def sources(config):
    return sources.files


@pytest.fixture
def files(tmp_path):
    for name, text in (("counter", COUNTER), ("top", TOP)):
        (tmp_path / f"{name}.v").write_text(text)
    sources.files = [tmp_path / "counter.v", tmp_path / "top.v"]
    return sources.files


@pytest.fixture
def run(monkeypatch, tmp_path, files):
    """Runs ``python -m tb.mutation`` on the top, with a bench; (exit code, output, report)."""

    def run(tests, modules=("counter",), wires=(), count=40):
        bench = Bench("top", f"{__name__}:sources", tests)
        monkeypatch.setattr(blocks, "BENCHES", {"bench": bench})
        monkeypatch.setattr(command, "BLOCKS", {"block": Block(("bench",), modules, wires)})
        monkeypatch.setenv("TSP_BUILD", str(tmp_path / "build"))
        arguments = ["--sim", "icarus", "--count", str(count), "--jobs", "2"]
        result = CliRunner().invoke(command.main, arguments)
        report = tmp_path / "build" / "reports" / "mutate.json"
        return result.exit_code, result.output, json.loads(report.read_text()) if report.exists() else None

    return run


@pytest.mark.slow
def test_what_no_test_looks_at_survives_and_is_named(run):
    status, output, report = run("mutation_bench", modules=("top",), wires=("odd",), count=10)
    (row,) = report["rows"]
    assert status == 1 and row["killed"] == 0 and "no mutant was killed in block" in output
    assert {mutant["text"] for mutant in row["survivors"]} <= {"assign odd = ~odd_inside;"}
    assert row["survivors"] and all("top.v:15" in mutant["source"] for mutant in row["survivors"])
    assert "top.v:15" in output and report["score"] == 0


@pytest.mark.slow
def test_what_the_tests_look_at_is_killed_and_equivalent_mutants_do_not_count(run):
    status, output, report = run("mutation_bench", modules=("counter",))
    (row,) = report["rows"]
    assert row["killed"] and row["equivalent"], output
    assert set(row["killed_by"]) == {"mutation_bench.it_comes_to_sixteen", "mutation_bench.it_counts"}
    assert row["mutants"] == row["killed"] + row["equivalent"] + row["survived"] == report["mutants"]
    # All that is left is seen at `odd` only.
    assert all("odd" in mutant["text"] for mutant in row["survivors"]), row["survivors"]
    assert status == int(report["score"] < command.GOAL)


@pytest.mark.slow
def test_a_bench_that_looks_at_nothing_is_noticed(run):
    status, output, report = run("blind_bench", modules=("counter",), count=5)
    assert status == 1 and "no mutant was killed in block: do the tests look at it?" in " ".join(output.split())
    assert report["killed"] == 0


@pytest.mark.slow
def test_a_bench_that_fails_without_a_mutant_is_no_verdict(files, tmp_path):
    files[0].write_text(COUNTER.replace("8'd1", "8'd2"))
    made = netlist.make(files, "top", ["counter"], [], 2, 1, tmp_path / "made")
    built = simulator.build("icarus", made.files, "top")
    with pytest.raises(simulator.TestsFailed, match="mutant_0_mutation_bench_it_counts"):
        play(made, built, ["mutation_bench"], blocks.config(), 1, 1)


def test_rows_of_other_blocks_stay_if_they_were_made_alike(tmp_path):
    path, plans = tmp_path / "mutate.json", {"seed": 1, "count": 100, "config": {"superlanes": 2}}
    assert report.kept(path, plans, ["a"]) == []
    rows = [{"block": name, "mutants": 1, "killed": 1, "equivalent": 0, "survived": 0} for name in "ab"]
    path.write_text(json.dumps(report.report(rows, **plans)))
    assert report.kept(path, plans, ["b", "c"]) == rows[1:]
    assert report.kept(path, plans | {"seed": 2}, ["b"]) == []
    path.write_text("{")
    assert report.kept(path, plans, ["b"]) == []


def test_the_choice_is_led_to_the_mutated_module_only(files, tmp_path):
    made = netlist.make(files, "top", ["counter"], [], 5, 1, tmp_path / "made")
    assert len(made.mutants) == 5 and [mutant.number for mutant in made.mutants] == [1, 2, 3, 4, 5]
    top = (tmp_path / "made" / "mutated" / "top.v").read_text()
    assert "module top(mutant, clk" in top and "input [2:0] mutant;" in top and ".mutant(mutant)," in top
    assert "mutant" not in TOP and (tmp_path / "made" / "source" / "top.v").read_text() == TOP
    again = netlist.make(files, "top", ["counter"], [], 5, 1, tmp_path / "again")
    assert again.mutants == made.mutants
    other = netlist.make(files, "top", ["counter"], [], 5, 2, tmp_path / "other")
    assert other.mutants != made.mutants
    with pytest.raises(ValueError, match="no module is called nothing; there are counter top"):
        netlist.make(files, "top", ["nothing"], [], 5, 1, tmp_path / "none")


PIPE = """
module counter(input clk, input rst, input en, input [3:0] d, output reg [3:0] q, output used);
reg [3:0] far, late;
reg loaded;
wire kept = en | (en & d[0]);
assign used = far[1];
always @(posedge clk) begin
  far <= {far[2:0], d[3]};
  loaded <= !rst && kept;
  if (kept) late <= d;
  if (loaded) q <= late;
end
endmodule
"""


STORE = """
module store(input clk, input we, input [1:0] at, input d, output q);
reg rows [3:0];
assign q = rows[at];
always @(posedge clk) if (we) rows[at] <= d;
endmodule
"""


def test_a_memory_that_is_read_without_a_clock_keeps_its_enable(tmp_path):
    (tmp_path / "store.v").write_text(STORE)
    # So many that every port is drawn; yosys ends in an error at a mutant of that one.
    made = netlist.make([tmp_path / "store.v"], "store", ["store"], [], 60, 1, tmp_path / "made")
    drawn = {mutant.port for mutant in made.mutants if mutant.cell.startswith("$memrd$")}
    assert {"ADDR", "DATA"} <= drawn and "EN" not in drawn


def test_equivalence_is_of_all_states_and_bit_by_bit(files, tmp_path):
    """Nothing reads the high bits of `far`; `late` is read in the cycle after it was loaded only."""
    files[0].write_text(PIPE)
    made = netlist.make(files, "counter", ["counter"], [], 400, 1, tmp_path / "made")
    text, lines = machine.smt(made, "counter"), PIPE.splitlines()
    module = machine.machines(text)

    def verdicts(text, port, *bits, wire=""):
        """Those of mutants in a line of Verilog, at some bits of a port; of a register, by its name."""
        found = [m for m in made.mutants if text in lines[int(m.source.split(":")[1].split(".")[0]) - 1]]
        found = [m for m in found if (m.port, m.bit) in [(port, bit) for bit in bits] and m.wire.startswith(wire)]
        return {equivalence.equivalent(module, m.number) for m in found if m.mode in ("inv", "const1")}

    assert verdicts("always", "Q", 2, 3, wire="far") == {True} and verdicts("always", "Q", 0, wire="far") == {False}
    assert verdicts("if (kept) late", "A", 0, 1, 2, 3) == {True}
    assert verdicts("if (kept) late", "B", 0, 1, 2, 3) == {False}
    assert verdicts("if (loaded)", "A", 0, 1, 2, 3) == {False}
    assert verdicts("always", "Q", 0, wire="loaded") == {False}
    high = [m for m in made.mutants if (m.port, m.bit, m.mode) == ("A", 3, "const0") and "if (kept) late" in lines[
        int(m.source.split(":")[1].split(".")[0]) - 1]]  # fmt: skip
    small = machine.machines(text, machine.Terms({"q": machine.When("used")}, {"d": 7}))
    assert all(equivalence.equivalent(small, m.number) for m in high)
    clocks = [mutant for mutant in made.mutants if mutant.port == "CLK"]
    assert clocks and not equivalence.decide({"counter": text}, clocks)


def test_a_line_of_yosys_is_read(tmp_path):
    line = (
        "mutate -ctrl mutant 8 9 -mode cnot1 -module mem_tile -cell $procdff$196 -port Q -portbit 3 -ctrlbit 5"
        " -wire \\word -wirebit 30 -src a.v:1.2-3.4 -src a.v:9.3-10.52"
    )
    (mutant,) = netlist.parse([line])
    assert mutant == Mutant(1, "cnot1", "mem_tile", "$procdff$196", "Q", 3, 5, "\\word[30]", "a.v:9.3-10.52")


def test_a_module_is_told_apart_by_what_it_hands_to_others(files, tmp_path):
    """Of `top` alone what leads to the counter in it is an output, and its own signals are not."""
    made = netlist.make(files, "top", ["top"], [], 5, 1, tmp_path / "made")
    texts = machine.smt(made, "top")
    inside = re.search(r"(\w+) \(", TOP.split(");", 1)[1].split("counter ", 1)[1])[1]
    (read,) = machine.machines(machine.Texts("top", texts.alone, None))
    assert {f"{inside}.clk", f"{inside}.rst"} <= read.outputs.keys()
    assert all(name.startswith(f"{inside}.") or name in TOP.split(";")[0] for name in read.outputs)
    assert machine.smt(made, "top", alone=True).whole is None


LATER = """
module top(input clk, input rst, input en, input d, output q, output word, output word_valid);
reg soon_on, soon, on, now, held;
assign q = on & now;
assign word = held;
assign word_valid = on;
always @(posedge clk) begin
  soon_on <= RESET en & d;
  on <= RESET soon_on;
  soon <= d;
  now <= soon;
  if (soon_on) held <= d;
end
endmodule
"""


@pytest.mark.parametrize("reset", ["!rst &", ""])
def test_a_machine_starts_with_a_reset_and_shows_what_is_valid(files, tmp_path, reset):
    """`on` and not `now` is what no reset and no input leads to, and without one it may begin so."""
    files[1].write_text(LATER.replace("RESET", reset))
    made = netlist.make(files[1:], "top", ["top"], [], 100, 1, tmp_path / "made")
    module = machine.machines(machine.smt(made, "top"))
    lines = LATER.splitlines()

    def verdict(text, port, mode):
        (number,) = [m.number for m in made.mutants if text in lines[int(m.source.split(":")[1].split(".")[0]) - 1]
                     and (m.port, m.mode) == (port, mode)]  # fmt: skip
        return equivalence.equivalent(module, number)

    assert verdict("q = on & now", "B", "const1") == bool(reset)
    assert not verdict("q = on & now", "A", "const1")
    # What is held while `word_valid` is 0 is nobody's, and what is loaded with it is somebody's.
    assert verdict("if (soon_on) held", "A", "inv")
    assert not verdict("if (soon_on) held", "B", "inv")


def test_a_question_has_limits():
    def spins():
        while True:
            pass

    def breaks():
        raise ValueError("broken")

    assert limits.holds(lambda: True) and not limits.holds(lambda: False)
    assert not limits.holds(lambda: bool(bytearray(1 << 32)))
    assert not limits.holds(spins, seconds=1)
    with pytest.raises(RuntimeError, match="a question about a mutant failed"):
        limits.holds(breaks)
