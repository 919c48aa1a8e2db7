"""``python -m tb.align``: what its rows ask for, and that it says what is wrong with a run. No simulator runs here."""

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

from tb import align
from tb.link import claims, rules
from tb.link.rows import FAST, ROWS, TWO, Row, whole
from tb.link.scenario import WIRE

PHASES = [{"mean": 0.0, "least": 0.0, "most": 0.0}, {"mean": 0.1, "least": -2.0, "most": 2.5}]
LINE = whole(TWO, FAST, latency=[219])


def found(**changed):
    """What a run of two chips finds in which all is as it must be."""
    truths = [{"transit": 219.0, "lead_least": 210, "lead_most": 229} for _ in range(2)]
    ran = {"phases": PHASES, "truths": truths, "slips": [0, 0], "resyncs": [1, 1], "steps": [[9] * 5] * 2}
    ran |= {name: changed.pop(name) for name in list(changed) if name in ran}
    whole_run = {"latency": [219], "history": [PHASES] * 50, "phases": PHASES, "truths": truths, "seconds": 1.0,
                 "l_eff": [219.2, 218.8], "ran": ran, "silent": [0, 0]}  # fmt: skip
    return whole_run | changed


def phases(least, most):
    return [PHASES[0], {"mean": 0.1, "least": least, "most": most}]


def test_a_good_run_is_as_it_must_be():
    assert claims.aligned(LINE, found()) == []


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"history": [phases(-4, 2)] * 50}, "chip 1 is not locked after 50,000 cycles"),
        ({"phases": phases(-2, 3.1)}, "the HAC of chip 1 is off by 3.1, more than 3"),
        ({"l_eff": [219.2, 218.2]}, "L_eff of channel 1 is off by -0.70"),
        ({"truths": [{"lead_least": 219, "lead_most": 247}] * 2}, "a word of channel 0 missed its margin"),
        ({"slips": [0, 3]}, "chip 1 slips"),
    ],
)
def test_what_is_wrong_is_said(changed, sentence):
    run = found()
    if "truths" in changed:
        run["ran"]["truths"] = changed["truths"]
        changed = {}
    assert sentence in claims.aligned(LINE, run | found(**changed) if changed else run)


def test_what_uneven_links_shift_a_hac_by_is_no_error():
    uneven = replace(LINE, delays=[WIRE + 8, WIRE - 8])
    measured = {"phases": phases(-10, -6)}
    assert claims.near(uneven, found(**measured) | measured) == []
    wrong = found(phases=phases(-11.5, -6)) | measured
    assert claims.near(uneven, wrong) == ["the HAC of chip 1 is off by 3.5, more than 3"]
    assert claims.guaranteed(uneven, phases(-19.0, 2.9)) == []
    assert claims.guaranteed(uneven, phases(-19.5, 2.9)) == ["the HAC of chip 1 is off by 11.5, more than 11"]


def test_a_drift_must_show_when_it_is_as_much_as_the_margin():
    ok, late = found(), found()
    late["ran"] = late["ran"] | {"truths": [{"lead_least": 219, "lead_most": 260}] * 2}
    short, long = (replace(LINE, free=True, run=run) for run in (50_000, 150_000))
    assert claims.free(short, ok) == [] and claims.free(long, late) == []
    assert claims.free(long, ok) == ["nothing missed its margin of 27 in a drift of 30"]
    assert len(claims.free(short, late)) == 2
    assert claims.free(replace(LINE, run=100_000), late) == ["a drift of 20 shows nothing"]


def test_margins_are_tight_only_if_the_last_cycles_are_needed():
    assert claims.tight(LINE, found()) == ["12 cycles less of margin would do"]
    used = found()
    used["ran"] = used["ran"] | {"truths": [{"lead_least": 203, "lead_most": 230}] * 2}
    assert claims.tight(LINE, used) == []


def test_resynchronisations_and_steps_are_counted():
    assert claims.keeps(LINE, found(resyncs=[10_000, 10_000])) == []
    assert claims.keeps(LINE, found(resyncs=[10_000, 9_999], steps=[[9] * 5, [9, 9, 0, 9, 9]])) == [
        "chip 1 made 9999 resynchronisations only",
        "chip 1 was not stepped in each of the cycles asked for",
    ]


def test_a_start_in_another_epoch_is_found():
    scenario = replace(LINE, starts=[[219]])
    start = {"running": [1, 1], "first_total": [256, 768], "total": [4096, 4097], "slips": [0, 0]}
    assert rules.start(219, 2, 0)[1] == 2 and claims.starts(scenario, found(starts=[start])) == []
    for changed, epochs in (({"first_total": [256, 512]}, "1"), ({"running": [1, 0]}, "None")):
        (sentence,) = claims.starts(scenario, found(starts=[start | changed]))
        assert f"starts {epochs} epochs after the root, not 2" in sentence


def test_rows_ask_for_what_is_claimed():
    scenarios = [scenario for row in ROWS for scenario in row.scenarios]
    assert {scenario.topology.chips for scenario in scenarios} >= {2, 4, 8}
    assert {(n,) for n in range(4, 601)} <= {tuple(start) for scenario in scenarios for start in scenario.starts}
    late = {each - 256 for row in ROWS if row.name == "any first error" for s in row.scenarios for each in s.late[1:]}
    assert set(range(-128, 128)) <= late
    assert all(scenario.samples == 256 for scenario in scenarios)


@pytest.fixture
def command(monkeypatch, tmp_path):
    """Runs the command on two rows of which nothing is run; (result, report)."""
    monkeypatch.setenv("TSP_BUILD", str(tmp_path))
    rows = [Row("good", [LINE], claims.aligned), Row("bad", [LINE], lambda scenario, run: ["it is bad"])]
    monkeypatch.setattr(align, "ROWS", rows)

    def lines(chosen, jobs, again):
        return (align.line(row, [[found()]]) for row in chosen)

    monkeypatch.setattr(align, "measure", lines)

    def invoke(*arguments):
        result = CliRunner().invoke(align.main, arguments)
        path = tmp_path / "reports" / "align.json"
        return result, json.loads(path.read_text()) if path.exists() else None

    return invoke


def test_a_row_alone_says_which_are_missing(command):
    result, report = command("--row", "good")
    assert result.exit_code == 0 and report["missing"] == ["bad"]
    (line,) = report["rows"]
    assert line["hac_error"] == [2.5] and line["offset_error"] == 0.1 and line["wrong"] == [] and line["links"] == 1


def test_what_is_wrong_ends_it_with_code_1_and_all_rows_in_the_report(command):
    result, report = command()
    assert result.exit_code == 1 and "bad: it is bad" in result.output
    assert report["missing"] == [] and [line["wrong"] for line in report["rows"]] == [[], ["it is bad"]]


def test_an_unknown_row_is_named(command):
    result, report = command("--row", "godo")
    assert result.exit_code == 2 and "no row 'godo'; did you mean 'good'?" in result.output and report is None


def test_simulators_that_differ_are_found():
    row = Row("both", [LINE], claims.aligned, ("verilator", "icarus"))
    assert align.line(row, [[found(), found(seconds=9.0)]])["wrong"] == []
    wrong = align.line(row, [[found(), found(silent=[0, 1])]])["wrong"]
    assert wrong == ["icarus finds other figures than verilator"]
