"""Products in ECP5 multipliers: every one of a supercell's is mapped, and the mapping computes the same."""

import json
import subprocess
from pathlib import Path

import pytest

from rtl import ecp5
from rtl.mxm import MxmSupercell
from rtl.verilog import YOSYS, modules
from tb.tools import tool
from tsp.config import preset

PRODUCT = """
module product(input signed [{a}:0] a, input signed [{b}:0] b, output signed [31:0] y);
  assign y = a * b;
endmodule
"""
# Counts through all operands. The mapped module has the name `product` too, so the expected value is written here.
BENCH = """
module bench;
  reg signed [{a}:0] a;
  reg signed [{b}:0] b;
  wire signed [31:0] y;
  integer i, wrong = 0;
  product dut(.a(a), .b(b), .y(y));
  initial begin
    for (i = 0; i < (1 << ({a} + {b} + 2)); i = i + 1) begin
      {{a, b}} = i;
      #1 if (y !== a * b) wrong = wrong + 1;
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


@pytest.mark.parametrize("a_bits, b_bits", [(8, 8), (4, 9)])
def test_the_mapping_multiplies(tmp_path, a_bits, b_bits):
    widths = {"a": a_bits - 1, "b": b_bits - 1}
    (tmp_path / "product.v").write_text(PRODUCT.format(**widths))
    (tmp_path / "bench.v").write_text(BENCH.format(**widths))
    yosys(tmp_path, "read_verilog product.v", *ecp5.mapping_passes("product"), "write_verilog -noattr mapped.v")
    assert "MULT9X9D" in (tmp_path / "mapped.v").read_text()
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
    assert "$mul" not in cells
    assert ecp5.used(cells)["DSP"] == 128


def test_sites_are_counted_whole():
    used = ecp5.used({"MULT9X9D": 3, "MULT18X18D": 2, "LUT4": 10, "CCU2C": 4, "DP16KD": 5, "TRELLIS_DPR16X4": 1})
    assert used == {"LUT": 24, "DSP": 4, "EBR": 5}
