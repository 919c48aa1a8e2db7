"""``bench/``: the bare C++ main on a small stand-in for the chip, and the supercells written by hand."""

import numpy as np
import pytest

from tb import simulator
from tb.bench import bare, supercell
from tb.machine import Job
from tsp.config import preset
from tsp.errors import InputError
from tsp.floorplan import floorplan
from tsp.isa import instruction
from tsp.program import Image, Program

# A memory behind the chip's ports that answers two cycles later, and runs for 10 cycles for each word pushed.
STAND_IN = """
module chip(input clk, rst, host_write, host_read, hac_fast, hac_slow, input [31:0] host_address,
    input [127:0] host_wdata, output reg host_rvalid, output reg [127:0] host_rdata, output running);
  reg [127:0] memory[0:65535];
  reg [127:0] answer;
  reg [31:0] left, words;
  reg asked;
  assign running = left != 0;
  wire [15:0] row = {host_address[22:19], host_address[13], host_address[10:0]};
  always @(posedge clk) begin
    asked <= host_read;
    answer <= host_address[31:28] == 0 ? (host_address[2:0] == 1 ? {126'b0, running, left == 0}
            : host_address[2:0] == 2 ? {96'b0, words} : 0) : memory[row];
    host_rvalid <= asked;
    host_rdata <= answer;
    if (left != 0) left <= left - 1;
    if (host_write && host_address[31:28] == 2) memory[row] <= host_wdata;
    if (host_write && host_address[31:28] == 1) words <= words + 1;
    if (host_write && host_address[31:28] == 0) left <= 10 * words;
    if (rst) begin left <= 0; words <= 0; end
  end
endmodule
"""
CONFIG = preset("tiny").override(["trace=false"])


@pytest.fixture(scope="module")
def chip(tmp_path_factory):
    path = tmp_path_factory.mktemp("chip") / "chip.v"
    path.write_text(STAND_IN)
    return simulator.build_program([path], "chip", bare.source("chip_main.cpp"))


def job(words: int, seed: int, **options) -> Job:
    """A job whose stand-in runs 10·words cycles, with three vectors in mem.e1."""
    place = floorplan(CONFIG).slice("mem.e1").index
    rows = np.random.default_rng(seed).integers(0, 256, (3, CONFIG.lanes), dtype=np.uint8)
    memory = {place: Image(np.array([2, 3, 9]), rows)}
    program = Program(CONFIG, {1: [instruction("NOP", n=1).encode()] * words}, memory)
    return Job(program, **({"max_cycles": 1000, "read": [(place, 9), (place, 2)]} | options))


def test_the_bare_main_loads_runs_and_reads(chip):
    jobs = [job(7, 1), job(30, 2)]
    for asked, result in zip(jobs, bare.run(chip, jobs, CONFIG), strict=True):
        words = sum(map(len, asked.program.queues.values()))
        assert result.done and result.fault is None and result.cycles == words
        assert result.clocks == 10 * words and 0 < result.cpu_seconds and 0 < result.seconds < 1
        (image,) = asked.program.memory.values()
        (place, last), (_, first) = asked.read
        assert np.array_equal(result.memory[place, last], image.words[2])
        assert np.array_equal(result.memory[place, first], image.words[0])


def test_the_bare_main_gives_up(chip):
    (result,) = bare.run(chip, [job(7, 1, max_cycles=69)], CONFIG)
    assert not result.done and result.clocks == 69


def test_the_bare_main_refuses_drift(chip):
    with pytest.raises(InputError, match="drift under cocotb"):
        bare.run(chip, [job(7, 1, drift=[(3, 1)])], CONFIG)


@pytest.mark.slow
def test_supercells_written_by_hand_compute_what_the_generated_one_does():
    loop, packed = supercell.rows(repeats=1, cycles=500)
    assert (loop.limit, packed.limit) == (1.3, 2.0)
    assert loop.value > 0 and packed.details["supercell_packed"]["busy_ns_per_mac"] > 0


def test_a_supercell_that_computes_something_else_is_no_measure(monkeypatch):
    class Wrong:
        last: dict[str, float] = {}

        def __init__(self, module, cycles):
            self.checksum = module

        def time(self):
            return 1.0

    monkeypatch.setattr(supercell, "_Supercell", Wrong)
    with pytest.raises(supercell.Differs, match="supercell_loop: checksum"):
        supercell.rows(1, 1)
