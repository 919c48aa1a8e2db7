"""Systems that fail: every one ends in the right answer or in a clear error, after a bounded number of attempts."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.failures import FailingMachine
from tsp.assembler import assemble_file
from tsp.errors import InputError
from tsp.runtime import Failed, Outcome, most_attempts, run
from tsp.runtime.failures import parse
from tsp.spares import placed, places, rewired
from tsp.system import System
from tsp.system_file import load_system

EXAMPLE = Path(__file__).parents[2] / "programs/examples/two_chips"
RETRIES = 1
SPARE = """
[[chip]]
name = "s"
spare = true

[[link]]
from = "a.e1"
to = "s.w1"
latency = 216

[[link]]
from = "s.e0"
to = "b.e1"
latency = 216
"""
X = [[1, 2, 3], [100, -100, 50], [-1, 0, 7]]
Y = [[10, 20, 30], [100, -100, -50], [0, 1, 2]]
RIGHT = np.clip(np.add(X, Y), -128, 127).tolist()


def with_spare(folder: Path) -> Path:
    """The file of the example of two chips with two links on each side and a spare, which may stand in the place of
    b."""
    for file in EXAMPLE.iterdir():
        text = file.read_text().replace(".config tiny c2c=on", ".config tiny c2c=on links_w=2 links_e=2")
        text = text.replace('set = ["c2c=on"]', 'set = ["c2c=on", "links_w=2", "links_e=2"]')
        (folder / file.name).write_text(text + (SPARE if file.suffix == ".toml" else ""))
    return folder / "system.toml"


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> System:
    return load_system(with_spare(tmp_path_factory.mktemp("spare")), assemble_file)


def attempt(system: System, *failures: str) -> Outcome:
    home = placed(system, places(system))
    machine = FailingMachine(system, [parse(text, system) for text in failures])
    return run(system, machine, lambda chips: rewired(home, chips), retries=RETRIES, dump=["a:z"])


def answer(outcome: Outcome) -> list[list[int]]:
    return [vector[:3] for vector in outcome.dumped["a", "z"]]


@pytest.mark.parametrize(
    "failure, attempts, second",
    [
        ("bits:b.w0:1:1", 2, "b"),
        ("bits:b.w0:0:1", 2, "b"),
        ("bits:a.e0:2:1", 2, "b"),
        ("link:b.w0:500:1", 2, "b"),
        ("hac:b.w0:0:1", 2, "b"),
        ("late:b:1000:1", 2, "b"),
        ("late:a:500", 1, "b"),
        ("link:b.w0:300", 3, "s"),
        ("link:b.w0:0", 3, "s"),
        ("chip:b:400", 3, "s"),
        ("chip:b:0", 3, "s"),
        ("hac:b.w0:0", 3, "s"),
        ("late:b:1000", 3, "s"),
        ("slow:b.w0:40", 3, "s"),
    ],
)
def test_what_passes_is_replayed_and_what_stays_is_replaced(system, failure, attempts, second):
    found = attempt(system, failure)
    assert answer(found) == RIGHT
    assert found.attempts == attempts and found.chips == {"a": "a", "b": second}


def test_without_a_failure_one_attempt_is_enough(system):
    found = attempt(system)
    assert answer(found) == RIGHT and found.attempts == 1
    assert all(step.ok for step in found.log)


def test_wires_are_as_they_were_measured(system: System) -> None:
    links = [dataclasses.replace(link, measured=tuple(n + 9 for n in link.latency)) for link in system.links]
    with pytest.raises(InputError, match="RECEIVE of link w0 is 5 cycles too early .* works from cycle 264$"):
        attempt(dataclasses.replace(system, links=tuple(links)))
    links = [dataclasses.replace(link, measured=tuple(n - 9 for n in link.latency)) for link in system.links]
    found = attempt(dataclasses.replace(system, links=tuple(links)))
    assert answer(found) == RIGHT and "at most 9 cycles from the nominal latency" in found.log[0].text


@pytest.mark.parametrize(
    "failures, said",
    [
        (["chip:a:400"], "no right result in 2 attempts; chip a does not answer .* spare s cannot take the place of"),
        (["chip:b:300", "chip:s:0"], "no right result in 4 attempts; chip s does not answer .* no spare is left"),
    ],
)
def test_what_no_spare_helps_is_an_error_that_names_the_chip(system, failures, said):
    with pytest.raises(Failed, match=said) as error:
        attempt(system, *failures)
    assert error.value.exit_code == 3 and "\n" not in str(error.value)
    assert max(step.attempt for step in error.value.log) <= most_attempts(system, RETRIES)


def test_a_link_that_leaves_no_room_for_the_schedule_is_one_that_fails(system):
    found = attempt(system, "slow:b.w0:9:1")
    assert answer(found) == RIGHT and found.attempts == 2 and found.chips["b"] == "b"
    found = attempt(system, "slow:b.w0:9", "slow:a.e0:30")
    assert answer(found) == RIGHT and found.attempts == 3 and found.chips["b"] == "s"
    assert "link a.e0 - b.w0 takes 225 and 246 cycles, there and back, for which there is no room" in str(found.log[1])
    with pytest.raises(Failed, match="RECEIVE of link w1 is 5 cycles too early .* works from cycle 264") as error:
        attempt(system, "slow:b.w0:9", "slow:s.w1:9")
    assert "\n" not in str(error.value)


FAILURES = st.one_of(
    st.builds(lambda port, n, times: f"bits:{port}:{n}:{times}", st.sampled_from(["b.w0", "a.e0", "s.w1", "b.e1"]),
              st.integers(0, 4), st.integers(1, 3)),
    st.builds(lambda port, at, times: f"link:{port}:{at}:{times}", st.sampled_from(["b.w0", "a.e0", "s.w1", "a.e1"]),
              st.integers(0, 900), st.integers(1, 3)),
    st.builds(lambda chip, at: f"chip:{chip}:{at}", st.sampled_from("abs"), st.integers(0, 900)),
    st.builds(lambda port, times: f"hac:{port}:0:{times}", st.sampled_from(["b.w0", "s.w1"]), st.integers(1, 3)),
    st.builds(lambda chip, n, times: f"late:{chip}:{n}:{times}", st.sampled_from("abs"), st.integers(1, 2000),
              st.integers(1, 3)),
    st.builds(lambda port, n: f"slow:{port}:{n}", st.sampled_from(["b.w0", "s.w1"]), st.integers(1, 60)),
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.lists(FAILURES, min_size=1, max_size=4))
def test_no_plan_of_failures_gives_a_wrong_answer_or_hangs(system, failures):
    try:
        found = attempt(system, *failures)
    except InputError as error:
        assert "\n" not in str(error)
    else:
        assert answer(found) == RIGHT
        assert found.attempts <= most_attempts(system, RETRIES)
