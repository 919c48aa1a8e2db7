"""Code coverage: what Verilator wrote is added up by module, and what never happened is named with its line."""

from collections import Counter
from pathlib import Path

import pytest

from tb import simulator
from tb.coverage import code
from tb.coverage.code import Code, Point, parse
from tb.coverage.code_exclusions import CodeExclusion

COUNTER = """
module counter(input clk, input rst, input en, output reg [31:0] count);
wire never = en & rst & ~rst;
always @(posedge clk)
  if (rst) count <= 0;
  else if (never) count <= 5;
  else if (en) count <= count + 1;
endmodule
"""


def line(module: str, number: int, kind: str, what: str, place: str, count: int) -> str:
    fields = {"f": f"a/{module}.v", "l": number, "n": 3, "t": kind, "page": f"v_{kind}/{module}", "o": what, "h": place}
    return "C '" + "".join(f"\x01{name}\x02{value}" for name, value in fields.items()) + f"' {count}\n"


TEXT = "# SystemC::Coverage-3\n" + "".join([
    line("tile", 5, "branch", "if", "TOP.a", 2),
    line("tile", 5, "branch", "if", "TOP.b", 3),
    line("tile", 6, "branch", "else", "TOP.a", 0),
    line("tile", 7, "line", "block", "TOP.a", 1),
    line("tile", 2, "toggle", "word[3]:0->1", "TOP.a", 1),
    line("tile", 2, "toggle", "word[3]:1->0", "TOP.a", 0),
    line("tile", 2, "toggle", "word[7]:0->1", "TOP.a", 0),
    line("other", 2, "toggle", "on:0->1", "TOP", 1),
    line("tile", 9, "user", "something", "TOP", 0),
])  # fmt: skip


def test_places_of_a_module_are_added_up():
    counts = parse(TEXT)
    assert counts[Point("tile", 5, 3, "branch", "if")] == 5
    assert len(counts) == 7 and {point.kind for point in counts} == set(code.KINDS)


def test_a_row_for_each_module_names_what_never_happened():
    found = Code(parse(TEXT)).as_dict()
    other, tile = found["rows"]
    assert (tile["line"], tile["branch"], tile["toggle"]) == (100, 50, 33.33) and tile["toggle_points"] == 3
    assert tile["uncovered"] == ["tile.v:2 toggle word [3]:1->0 [7]:0->1", "tile.v:6 branch else"]
    assert (other["line"], other["branch"], other["toggle"], other["uncovered"]) == (None, None, 100, [])
    assert (found["line"], found["branch"], found["toggle"], found["code"]) == (100, 50, 50, 50)
    assert "tile.v:2 toggle word" in str([cell for column in code.table(found).columns for cell in column.cells])


def test_what_is_excluded_does_not_count(monkeypatch):
    excluded = CodeExclusion("constant", "ti*", "toggle", r"word\[7\]", "it is always 0")
    monkeypatch.setattr("tb.coverage.code_exclusions.CODE_EXCLUSIONS", (excluded,))
    found = Code(parse(TEXT)).as_dict()
    assert found["code_excluded"] == {"constant": 1} and found["rows"][1]["toggle_points"] == 2


def test_two_runs_are_added_up():
    counts = Counter(parse(TEXT))
    counts.update(parse(TEXT.replace("else", "else if")))
    assert counts[Point("tile", 5, 3, "branch", "if")] == 10 and Point("tile", 6, 3, "branch", "else") in counts


@pytest.mark.slow
def test_verilator_writes_what_a_bench_moved(tmp_path):
    source = tmp_path / "counter.v"
    source.write_text(COUNTER)
    built = simulator.build("verilator", [source], "counter", args=code.OPTIONS)
    result = simulator.run(built, "counter_bench", testcase="counts_once_a_cycle", path=[Path(__file__).parent])
    found = Code(parse((result.directory / code.DATA).read_text())).as_dict()
    (row,) = found["rows"]
    assert row["module"] == "counter" and 0 < row["toggle"] < 100
    assert any("counter.v:6 " in missing for missing in row["uncovered"]), row["uncovered"]
    assert any("toggle never" in missing for missing in row["uncovered"]), row["uncovered"]
    (count,) = (missing for missing in row["uncovered"] if "toggle count" in missing)
    assert "[0]:0->1" not in count and "[31]:0->1" in count
