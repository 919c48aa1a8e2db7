"""The digits job: exact on the golden model and on the RTL, in the cycles predicted, on three busy planes."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from programs.digits import model, program
from programs.digits.data import held_out_set
from tb import digits, simulator
from tb.benches import Options
from tsp.checker import check

SIMS = simulator.SIMULATORS if os.environ.get("TSP_FULL") else ["verilator"]
"""Without full counts Icarus runs digits as ``test_compiled.py`` compiles them, fewer."""
KEYS = {"images", "accuracy", "predicted_cycles", "utilisation", "golden"}


@pytest.fixture(scope="module")
def on_golden() -> digits.Digits:
    return digits.measure([])


def test_golden_is_exact_and_takes_the_cycles_predicted(on_golden: digits.Digits) -> None:
    assert on_golden.differences() == []
    assert np.array_equal(on_golden.rows["golden"].logits, model.logits(held_out_set().images))
    assert on_golden.rows["golden"].cycles == on_golden.predicted


def test_accuracy_and_utilisation(on_golden: digits.Digits) -> None:
    report = on_golden.report()
    assert set(report) == KEYS
    assert report["images"] == 360
    assert report["accuracy"] >= 0.95
    assert report["predicted_cycles"] <= 412
    assert report["utilisation"] >= 0.67
    assert report["utilisation"] == 360 * (64 * 32 + 32 * 10) / (3 * 32 * 32 * report["predicted_cycles"])


def test_other_images_give_their_own_logits() -> None:
    images = np.random.default_rng(7).integers(-128, 128, (360, 64), np.int8)
    job = program.build(images)
    assert check(job).ok
    row = digits._on_golden(job)
    assert np.array_equal(row.logits, model.logits(images))
    assert not np.array_equal(row.logits, model.logits(held_out_set().images))


@pytest.mark.parametrize("shape", [(359, 64), (360, 63)])
def test_images_of_another_shape_are_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="expected int8"):
        program.build(np.zeros(shape, np.int8))


def test_a_wrong_logit_and_a_wrong_cycle_count_are_told(on_golden: digits.Digits) -> None:
    row = on_golden.rows["golden"]
    wrong = row.logits.copy()
    wrong[17, 3] += 1
    broken = digits.Digits(
        on_golden.held_out,
        on_golden.expected,
        on_golden.predicted,
        {"icarus": digits.Row(row.cycles + 1, wrong, "", row.per_second)},
    )
    cycles, image = broken.differences()
    assert "413 cycles, predicted were 412" in cycles
    assert "1 images differ, first image 17" in image


@pytest.mark.parametrize("sim", SIMS)
def test_rtl_is_exact_and_takes_the_cycles_predicted(sim: str, tmp_path: Path) -> None:
    found = digits.measure([sim])
    assert found.differences() == []
    digits.write_report(found, tmp_path / "digits.json")
    report = json.loads((tmp_path / "digits.json").read_text())
    assert set(report) == KEYS | {sim}
    for machine in ("golden", sim):
        assert report[machine]["cycles"] == report["predicted_cycles"]
        assert report[machine]["logits_equal"] is True
        assert report[machine]["cycles_per_second"] > 0


def test_the_table_names_every_machine(on_golden: digits.Digits, capsys: pytest.CaptureFixture[str]) -> None:
    digits.print_table(on_golden)
    printed = capsys.readouterr().out
    for word in ("numpy", "golden", "equal", "412", "67.4%"):
        assert word in printed


def test_a_simulator_that_breaks_off_fails_the_job(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise simulator.BuildFailed("icarus 11 could not build 'chip'")

    monkeypatch.setattr(digits.machine, "run", broken)
    assert not digits.run(Options(program.CONFIG, ["icarus"], 1, None))
    assert "digits: icarus 11 could not build 'chip'" in capsys.readouterr().err
