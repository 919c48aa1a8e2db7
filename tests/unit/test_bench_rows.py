"""``python -m tb.bench``: figures, verdicts, report, exit codes; how times and memory are taken."""

import json
import sys

import pytest
from click.testing import CliRunner

from tb.bench import __main__ as command
from tb.bench import generation
from tb.bench.chip import Differs
from tb.bench.pairs import Pairs, interleave
from tb.bench.row import Row, number
from tsp.errors import InputError


@pytest.fixture
def bench(monkeypatch, tmp_path):
    """Runs the command with the groups given; (exit code, output, report)."""
    monkeypatch.setenv("TSP_BUILD", str(tmp_path))

    def run(groups, *args):
        monkeypatch.setattr(command, "GROUPS", groups)
        result = CliRunner().invoke(command.main, args)
        report = tmp_path / "reports" / "bench.json"
        return result.exit_code, result.output, json.loads(report.read_text()) if report.exists() else None

    return run


def test_figures_within_their_limits_are_exit_code_0(bench):
    rows = [Row("speed", 1.5, limit=1.5), Row("size", 1234567.0, "bytes", details={"modules": 3})]
    status, output, report = bench({"chip": lambda repeats: rows})
    assert status == 0, output
    assert "within" in output and "≤ 1.5 ×" in output and "1,234,567 bytes" in output and "reported" in output
    speed, size = report["rows"]
    assert speed == {
        "name": "speed",
        "value": 1.5,
        "unit": "×",
        "limit": 1.5,
        "goal": None,
        "details": {},
        "verdict": "within",
    }
    assert size["details"] == {"modules": 3} and size["limit"] is None


def test_a_missed_limit_is_exit_code_1_and_reported(bench):
    status, output, report = bench({"chip": lambda repeats: [Row("speed", 1.51, limit=1.5)]})
    assert status == 1 and "MISSED" in output
    assert report["rows"][0]["verdict"] == "missed"


def test_a_goal_is_reached_or_not_yet(bench):
    rows = [Row("far", 79.0, "%", goal=90.0), Row("there", 90.0, "%", goal=90.0)]
    status, output, report = bench({"compiled": lambda repeats: rows})
    assert status == 0 and "≥ 90 %" in output and "short of its goal" in output
    assert [row["verdict"] for row in report["rows"]] == ["short", "reached"]


def test_a_run_that_differs_is_exit_code_1_and_writes_nothing(bench):
    def differs(repeats):
        raise Differs("cocotb: cycles: golden 3, RTL 4")

    assert bench({"chip": differs}) == (1, "error: cocotb: cycles: golden 3, RTL 4\n", None)


def test_groups_and_repeats_are_passed_on(bench):
    groups = {name: lambda repeats, name=name: [Row(name, repeats, "times")] for name in ("chip", "golden")}
    _, _, report = bench(groups, "--only", "golden", "--repeats", "3")
    assert [(row["name"], row["value"]) for row in report["rows"]] == [("golden", 3)]
    status, output, _ = bench(groups, "--only", "glden")
    assert status == 2 and "did you mean 'golden'" in output


def test_the_ratio_is_the_median_of_neighbours():
    # The machine halves its speed after two pairs; the ratio of medians would be off.
    pairs = Pairs([(2.0, 1.0), (2.2, 1.0), (4.0, 2.0), (40.0, 2.0), (4.0, 2.0)])
    assert pairs.ratio == 2.0
    assert pairs.medians == (4.0, 2.0)


def test_pairs_take_turns_in_going_first():
    calls = []
    pairs = interleave(lambda: calls.append("a") or 3.0, lambda: calls.append("b") or 2.0, 3)
    assert "".join(calls) == "abbaab"
    assert pairs.times == [(3.0, 2.0)] * 3


def test_numbers_are_short():
    assert [number(x) for x in (0.70312, 1.5, 8.0, 99.96, 123456.7)] == ["0.703", "1.5", "8", "100", "123,457"]


def test_memory_of_all_processes_counts():
    child = "x = bytearray(60_000_000); import time; time.sleep(1)"
    parent = f"import subprocess, sys; x = bytearray(60_000_000); subprocess.run([sys.executable, '-c', {child!r}])"
    seconds, peak = generation.watched([sys.executable, "-c", parent])
    assert seconds > 1 and 120_000_000 < peak < 250_000_000


def test_a_generation_that_fails_is_no_figure():
    with pytest.raises(RuntimeError, match="exit code 3"):
        generation.watched([sys.executable, "-c", "raise SystemExit(3)"])


def test_a_file_of_bench_that_is_missing_is_named():
    from tb.bench.bare import source

    assert source("chip_main.cpp").is_file()
    with pytest.raises(InputError, match=r"bench/chip_mian.cpp"):
        source("chip_mian.cpp")
