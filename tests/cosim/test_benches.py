"""Every bench of ``make sim`` on both simulators, as ``make sim`` runs it; each notices a wrong expectation."""

import json
import os
from pathlib import Path

import pytest

from tb import simulator
from tb.__main__ import run_bench
from tb.benches import BENCHES, Bench, Options
from tb.small import small
from tsp.config import ChipConfig, preset

HERE = Path(__file__).parent
CONFIG = preset("tiny")
FULL = bool(os.environ.get("TSP_FULL"))
BEATS = preset("board")
"""A cycle of this one is several clocks (docs/rtl.md)."""
UNITS = {name: bench for name, bench in BENCHES.items() if isinstance(bench, Bench)}

# Unit → one of its tests, and how the scoreboard says what differs.
NOTICED = {
    "stream": ("every_value_moves_on_in_a_cycle", r"cycle \d+, superlane 0: [ew]\d+ is 0x.*, must be 0x"),
    "mem": ("legal_traffic", r"cycle \d+, superlane 0: [ew]\d+ is 0x.*, must be 0x"),
    "vxm": ("legal_traffic", r"cycle \d+, superlane 0: [ew]\d+ is 0x.*, must be 0x"),
    "vxm_float": ("without_an_instruction_everything_is_zero", r"ADD of 0x3f8.* is 0x40000000, must be 0x40000001"),
    "mxm": ("legal_traffic", r"cycle \d+, superlane 0: [ew]\d+ is 0x.*, must be 0x"),
    "sxm": ("legal_traffic", r"cycle \d+, superlane 0: [ew]\d+ is 0x.*, must be 0x"),
    "station": ("everything_is_a_cycle_later_on_the_other_side", r"cycle \d+: north_time is 0x.*, must be 0x"),
    "host_port": ("accesses_answers_and_events_in_every_cycle", r"cycle \d+: host_rdata is 0x.*, must be 0x"),
    "link": ("vectors_without_errors", r"cycle \d+: tx is .*, must be "),
    "link_time": ("errors_at_the_limits", r"cycle \d+: hac_fast is .*, must be "),
    "icu": ("programs_with_barriers", r"issued \(\d+, .*, must be \(\d+, "),
    "counters": ("deskews_without_drift", r"\(now, HAC, SAC, delta\) are .*, must be "),
    "chip": ("the_example_adds", r"took \d+ cycles, predicted \d+"),
}


# The modules of the smallest chip, which are sooner made, compiled and run, each in the simulator in which that takes
# less time; of the MXM a pair with few streams, as the smallest chip has no pair. With full counts those of tiny too,
# and all in both simulators; the whole chip always is.
SIMS = simulator.SIMULATORS
SOONER = {name: "verilator" if name in ("link", "vxm", "vxm_float") else "icarus" for name in UNITS}
SMALL = {name: small() for name in UNITS if name not in ("chip", "mxm")}
RUNS = [(name, SMALL[name], sim) for name in SMALL for sim in SIMS if FULL or sim == SOONER[name]]
RUNS += [(name, CONFIG, sim) for name in UNITS for sim in SIMS if FULL or name == "chip"]
# The whole chip with several beats is what test_random runs, counters, stations and links have none, board has no SXM.
WHOLE = ("chip", "counters", "station", "sxm", "vxm", "vxm_float", "link", "link_time")
RUNS += [(name, BEATS, "icarus") for name in UNITS if name not in WHOLE]
RUNS += [("vxm", BEATS.override([f"vxm_float={floats}"]), "icarus") for floats in ("off", "on")]
FEW_STREAMS = CONFIG.override(["streams=16"])
INTEGER_PAIR = FEW_STREAMS.override(["mxm_fp16=off"])
RUNS += [("mxm", FEW_STREAMS, "verilator"), ("mxm", INTEGER_PAIR, "icarus")]
RUNS += [("mxm", FEW_STREAMS, "icarus"), ("mxm", small(), "verilator")] if FULL else []


def name_of(name: str, config: ChipConfig, sim: str) -> str:
    size = "small" if config == small() else config.name
    floats = config.vxm_float and config.beats > 1
    few = {FEW_STREAMS: ["few-streams"], INTEGER_PAIR: ["integer-pair"]}.get(config, [])
    return "-".join([name, size, *["float"] * floats, *few, sim])


@pytest.mark.slow
@pytest.mark.parametrize("name, config, sim", RUNS, ids=[name_of(*run) for run in RUNS])
def test_bench(name: str, config: ChipConfig, sim: str) -> None:
    options = Options(config, [sim], seed=1, waves=None)
    row = run_bench(name, UNITS[name], UNITS[name].verilog(config), sim, options)
    assert row["passed"], row["error"]
    assert row["tests"] >= 3


def test_every_unit_has_a_bench_that_is_broken_below() -> None:
    assert set(NOTICED) == set(UNITS)


@pytest.mark.parametrize("name", NOTICED)
def test_a_wrong_expectation_fails(name: str) -> None:
    """``broken_bench`` expects a word, a cycle or a count to be one more than it is."""
    testcase, message = NOTICED[name]
    config = SMALL.get(name, INTEGER_PAIR if name == "mxm" else CONFIG)
    built = simulator.build("icarus", UNITS[name].verilog(config), UNITS[name].top)
    env = {"TSP_CONFIG": json.dumps(UNITS[name].config(config).as_dict()), "TSP_BROKEN": name}
    with pytest.raises(simulator.TestsFailed, match=message):
        simulator.run(built, "broken_bench", testcase=testcase, env=env, path=[HERE])
