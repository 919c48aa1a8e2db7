"""``python -m tb``: the table's command, its report and its exit codes."""

import json

import pytest
from click.testing import CliRunner

from programs.digits import program
from tb import __main__ as command
from tb.benches import BENCHES, Bench, Job
from tsp.config import preset

COUNTER = """
module counter(input clk, input rst, input en, output reg [31:0] count);
initial count = 0;
always @(posedge clk) count <= rst ? 0 : count + en;
endmodule
"""


def sources(config):
    return [sources.path]


def good_job(options):
    return True


def bad_job(options):
    return False


@pytest.fixture
def sim(monkeypatch, tmp_path):
    """Runs ``python -m tb`` with the benches given; (exit code, output, report)."""
    sources.path = tmp_path / "counter.v"
    sources.path.write_text(COUNTER)
    monkeypatch.setenv("TSP_BUILD", str(tmp_path / "build"))

    def run(benches, *args):
        monkeypatch.setattr(command, "BENCHES", benches)
        result = CliRunner().invoke(command.main, args)
        report = tmp_path / "build" / "reports" / "sim.json"
        return result.exit_code, result.output, json.loads(report.read_text()) if report.exists() else None

    return run


def bench(tests):
    return Bench("counter", f"{__name__}:sources", tests)


def job(name):
    return Job(f"{__name__}:{name}", "tiny", "programs.digits")


def test_a_passing_bench_is_exit_code_0(sim):
    status, output, report = sim({"counter": bench("passing_bench")}, "--sim", "icarus", "--seed", "7", "--waves")
    assert status == 0, output
    assert "counter" in output and "pass" in output and "counter-icarus.fst" in output
    (row,) = report["rows"]
    assert row["passed"] and row["tests"] == 1 and row["simulated_ns"] > 0 and report["config"]["superlanes"] == 2


def test_a_failing_bench_is_exit_code_1_and_named(sim):
    status, output, report = sim({"counter": bench("counter_bench_none")}, "--sim", "icarus")
    assert status == 1 and "FAIL" in output and "counter_bench_none" in output
    assert not report["rows"][0]["passed"]


def test_jobs_count_too(sim):
    assert sim({"job": job("good_job")})[0] == 0
    assert sim({"job": job("bad_job")})[0] == 1


def test_a_job_without_its_program_is_exit_code_2_before_anything_runs(sim):
    benches = {"counter": bench("passing_bench"), "job": Job(f"{__name__}:good_job", "tiny", "no.such")}
    status, output, report = sim(benches, "--sim", "icarus")
    assert status == 2 and output.startswith("error: no/such is not there: no wheel holds it") and report is None


def test_a_job_names_the_config_it_ran_on(sim):
    benches = {"counter": bench("passing_bench"), "job": job("good_job")}
    _, _, report = sim(benches, "--sim", "icarus", "--config", "board", "--set", "streams=16")
    assert report["config"] == preset("board").override(["streams=16"]).as_dict()
    assert [row.get("config") for row in report["rows"]] == [None, preset("tiny").as_dict()]


def test_the_digits_run_on_the_config_their_program_is_written_for():
    assert preset(BENCHES["digits"].config) == program.CONFIG


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--bench", "cuonter"], "unknown bench 'cuonter'; did you mean 'counter'?"),
        (["--sim", "iverilog"], "unknown simulator 'iverilog'"),
        (["--config", "tinny"], "unknown config 'tinny'; did you mean 'tiny'?"),
        (["--set", "superlanes=many"], "not a whole number"),
    ],
)
def test_a_wrong_question_is_exit_code_2(sim, args, message):
    status, output, report = sim({"counter": bench("passing_bench")}, *args)
    assert status == 2 and message in output and report is None
