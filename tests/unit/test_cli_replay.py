"""``tsp run --system … --retries … --fail …``: what is printed, exit codes, and one sentence for what is wrong."""

import functools
import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.golden.test_runtime import with_spare
from tests.unit.toml_garbage import changed
from tsp.cli import run
from tsp.cli_system import load
from tsp.errors import InputError
from tsp.runtime.failures import Failure, failures, parse

FULL = bool(os.environ.get("TSP_FULL"))
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The file of two chips and a spare."""
    return str(with_spare(tmp_path_factory.mktemp("spare")))


def test_what_happened_is_told_attempt_by_attempt(system: str, capsys: Capture) -> None:
    arguments = ["run", "--system", system, "--dump", "a:z", "--retries", "1", "--fail", "link:b.w0:300"]
    assert run([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["right"] and found["attempts"] == 3 and found["chips"]["b"]["chip"] == "s"
    assert found["failures"] == ["link:b.w0:300"] and found["chips"]["a"]["dumped"]["z"][0][:3] == [11, 22, 33]
    steps = [(step["attempt"], step["what"], step["ok"]) for step in found["log"]]
    assert steps == [
        (1, "align", True), (1, "run", False), (2, "run", False), (2, "replace", True), (3, "align", True),
        (3, "run", True),
    ]  # fmt: skip
    assert run(arguments) == 0
    text = capsys.readouterr().out
    assert "right after 3 attempts, 725 cycles, of which the start takes 189" in text
    assert "a:z[0]: 11 22 33 0" in text and "spare s takes the place of chip b" in text and "link:b.w0:300" in text


def test_without_a_failure_retries_are_not_needed(system: str, capsys: Capture) -> None:
    assert run(["run", "--system", system, "--retries", "0"]) == 0
    assert "right after 1 attempt, 725 cycles" in capsys.readouterr().out


def test_no_right_result_is_exit_code_3_and_a_sentence(system: str, capsys: Capture) -> None:
    arguments = ["run", "--system", system, "--fail", "chip:a:300", "--retries", "0"]
    assert run(arguments) == 3
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1 and "no right result in 1 attempt; chip a does not answer" in captured.err
    assert "chip a does not answer" in captured.out
    assert run([*arguments, "--json"]) == 3
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert not found["right"] and found["error"] + "\n" == captured.err and found["log"]


def test_failures_come_from_a_file_and_from_seeds_that_are_printed(
    system: str, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "f.toml").write_text(
        'random = 2\nseed = 5\n[[fail]]\nwhat = "bits"\nplace = "b.w0"\nat = 1\ntimes = 1\nfirst = 2\n'
    )
    loaded = load(system)
    found, seeds = failures([str(tmp_path / "f.toml"), "random:3", "late:a:5"], loaded)
    assert found[0] == Failure("bits", "b.w0", 1, 1, 2) and str(found[0]) == "bits:b.w0:1:1:2"
    assert len(found) == 7 and seeds == [5, 1] and str(found[-1]) == "late:a:5"
    assert failures(["random:2:5"], loaded)[0] == found[1:3] != failures(["random:2:6"], loaded)[0]
    for failure in failures(["random:64:9"], loaded)[0]:
        assert parse(str(failure), loaded) == failure
    run(["run", "--system", system, "--fail", "random:1:3", "--retries", "0"])
    assert "failures drawn from seed 3\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--fail", "bits:b.w0"], "--fail bits:b.w0: must be WHAT:PLACE:AT[:TIMES[:FIRST]], random:COUNT[:SEED] or FI"),
        (["--fail", "bitz:b.w0:1"], "--fail bitz:b.w0:1: unknown failure; did you mean 'bits'?"),
        (["--fail", "bits:b.w9:1"], "'b.w9' is no connected port of "),
        (["--fail", "bits:b\nw0:1"], "'b\\nw0' is no connected port of "),
        (["--fail", "chip:b.w0:1"], "'b.w0' is no chip of "),
        (["--fail", "chip:b\n:1"], "--fail chip:b\\n:1: 'b\\n' is no chip of "),
        (["--fail", "bits:b.w0:" + "9" * 5000], "numbers must be at most 1048576"),
        (["--fail", "bits:b.w0:1:1:0"], "attempts count from 1, but the first is to be 0; say 1"),
        (["--fail", "random:0"], "must be random:COUNT[:SEED] with 1…64 failures and a seed 0…1048576; try random:3"),
        (["--fail", "random:1:1048577"], "and a seed 0…1048576"),
        (
            ["--fail", "random:64", "--fail", "late:a:1"],
            "--fail: there are 65 failures, at most 64 are injected; leave",
        ),
        (["--fail", "none.toml"], "none.toml: cannot be read: No such file or directory"),
        (["--retries", "101"], "Invalid value for '--retries': 101 is not in the range 0<=x<=100."),
        (["--retries", "1", "--no-check"], "--no-check runs what is illegal, --retries and --fail what is legal;"),
        (["--retries", "1", "--on", "golde"], "unknown machine 'golde'; did you mean 'golden'?"),
        (["--fail", "hac:b.w0:1", "--on", "icarus"], "--fail hac:b.w0:1: on icarus only bits, link, chip, late, slow"),
        (["--retries", "1", "--dump", "s:z"], "there is no chip 's'; known: a, b"),
        (["--retries", "1", "--dump", "s\n:z"], "there is no chip 's\\n'; known: a, b"),
        (["--retries", "1", "--dump", "a:mem.e99"], "--dump a:mem.e99: 'mem.e99' is no MEM slice or symbol"),
        (["--retries", "1", "--max-cycles", "700"], "a chip takes 725 cycles, more than the 700 allowed; see --max-cy"),
    ],
)
def test_bad_input_is_one_sentence(arguments: list[str], message: str, system: str, capsys: Capture) -> None:
    assert run(["run", "--system", system, *arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err and captured.err.count("\n") == 1 and not captured.out


def test_failures_are_for_systems(capsys: Capture) -> None:
    assert run(["run", "x.tsp", "--fail", "late:a:1"]) == 2
    assert capsys.readouterr().err == "--fail is for systems of chips, and there is none; name it with --system\n"


FILE = """
random = 3
seed = 7
[[fail]]
what = "bits"
place = "b.w0"
at = 1
times = 1
first = 2
[[fail]]
what = "chip"
place = "a"
"""


cached = functools.cache(load)


@settings(max_examples=2000 if FULL else 60, deadline=None)
@given(st.data())
def test_files_of_failures_may_be_anything(
    system: str, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path, loaded = tmp_path_factory.getbasetemp() / "fuzzed.toml", cached(system)
    path.write_bytes(changed(data, FILE.encode()))
    try:
        found, _ = failures([str(path)], loaded)
    except InputError as error:
        assert "\n" not in str(error) and len(str(error)) < 1000
    else:
        assert all(parse(str(failure), loaded) == failure for failure in found)
