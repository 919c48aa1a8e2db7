"""Products and sums on an ECP5: those of a supercell are mapped, the mapping computes the same, counts are right."""

import json
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from rtl import ecp5
from rtl.mxm import MxmSupercell
from rtl.verilog import YOSYS, modules
from tb import synth
from tb.tools import tool
from tsp.config import preset

UNIT = """
module unit(input signed [{a}:0] a, input signed [{b}:0] b, output signed [31:0] y);
  assign y = a {operator} b;
endmodule
"""
# Counts through all operands. The mapped module has the name `unit` too, so the expected value is written here.
BENCH = """
module bench;
  reg signed [{a}:0] a;
  reg signed [{b}:0] b;
  wire signed [31:0] y;
  integer i, wrong = 0;
  unit dut(.a(a), .b(b), .y(y));
  initial begin
    for (i = 0; i < (1 << ({a} + {b} + 2)); i = i + 1) begin
      {{a, b}} = i;
      #1 if (y !== a {operator} b) wrong = wrong + 1;
    end
    $display("wrong: %0d of %0d", wrong, i);
  end
endmodule
"""


def yosys(folder: Path, *passes: str) -> None:
    """Run passes in a folder; its files are named without it, for the wheel's yosys has a /tmp of its own."""
    ecp5.place(folder)
    done = subprocess.run(YOSYS, input="\n".join(passes), capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("operator, cell", [("*", "MULT9X9D"), ("+", "$alu")])
@pytest.mark.parametrize("a_bits, b_bits", [(8, 8), (4, 9)])
def test_the_mapping_computes(tmp_path, a_bits, b_bits, operator, cell):
    values = {"a": a_bits - 1, "b": b_bits - 1, "operator": operator}
    (tmp_path / "unit.v").write_text(UNIT.format(**values))
    (tmp_path / "bench.v").write_text(BENCH.format(**values))
    count = f"select -assert-count 1 t:{cell}"
    passes = [*ecp5.mapping_passes("unit"), count, "techmap", "write_verilog -noattr mapped.v"]
    yosys(tmp_path, "read_verilog unit.v", *passes)
    icarus = str(tool("icarus").executable)
    compile_ = [icarus, "-g2005", "-s", "bench", "-o", "bench", "bench.v", "mapped.v", ecp5.CELLS.name]
    subprocess.run(compile_, cwd=tmp_path, check=True)
    printed = subprocess.run([tmp_path / "bench"], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == f"wrong: 0 of {1 << (a_bits + b_bits)}"


def test_every_product_of_a_supercell_is_half_a_dsp_site(tmp_path):
    name = MxmSupercell.module_name
    (tmp_path / "supercell.v").write_text(modules(MxmSupercell(preset("board")), name)[name])
    yosys(tmp_path, "read_verilog supercell.v", *ecp5.mapping_passes(name), "tee -q -o report.json stat -json")
    cells = json.loads((tmp_path / "report.json").read_text())["design"]["num_cells_by_type"]
    assert cells["MULT9X9D"] == 256
    assert "$mul" not in cells and "$add" not in cells and "$macc" not in cells
    assert ecp5.used(cells)["DSP"] == 128


def test_sites_are_counted_whole():
    used = ecp5.used({"MULT9X9D": 3, "MULT18X18D": 2, "LUT4": 10, "CCU2C": 4, "DP16KD": 5, "TRELLIS_DPR16X4": 1})
    assert used == {"LUT": 24, "FF": 0, "DSP": 4, "EBR": 5}


MODULES = {
    "chip": {"superlane": 2, "TRELLIS_FF": 3},
    "superlane": {"tile": 4, "LUT4": 5},
    "tile": {"LUT4": 10, "CCU2C": 1, "DP16KD": 4, "MULT9X9D": 2, "TRELLIS_FF": 7},
}


@pytest.mark.parametrize("luts, fits", [(10, True), (12_000, False)])
def test_a_chip_is_the_sum_of_what_is_placed_in_it(luts, fits):
    found = synth.report(preset("board"), MODULES | {"tile": MODULES["tile"] | {"LUT4": luts}})
    assert found["used"] == {"LUT": 2 * (5 + 4 * (luts + 2)), "FF": 3 + 8 * 7, "DSP": 8, "EBR": 32}
    assert found["fits"] is fits
    assert {row["module"]: row["placed"] for row in found["rows"]} == {"chip": 1, "superlane": 2, "tile": 8}


def test_what_does_not_fit_ends_with_code_1(monkeypatch, tmp_path):
    monkeypatch.setenv("TSP_BUILD", str(tmp_path))
    monkeypatch.setattr(synth, "synthesise", lambda config: MODULES | {"tile": {"DP16KD": 27}})
    done = CliRunner().invoke(synth.main, [])
    assert done.exit_code == 1 and "does not fit" in done.output
    assert json.loads((tmp_path / "reports" / "synth.json").read_text())["used"]["EBR"] == 216
