"""Dead links: the runtime goes round one that the programs can do without, takes another one beside it, or says why
not."""

import os
from collections.abc import Sequence

import pytest

from golden.failures import FailingMachine
from tests.golden.test_links import CONFIG, RECEIVER_AT, SENDER
from tests.unit.systems import random_system
from tsp.assembler import assemble
from tsp.config import ChipConfig
from tsp.errors import InputError
from tsp.floorplan import floorplan
from tsp.program import Program
from tsp.runtime import Failed, Outcome, most_attempts, run
from tsp.runtime.failures import Failure, connected, parse
from tsp.spares import placed, places, rewired
from tsp.system import Chip, Link, Port, System, spanning_tree

WIDE = CONFIG.override(["links_w=2", "links_e=2"])
AT = 400
"""Cycle of the RECEIVEs: late enough for every tree."""
RETRIES = 1
FULL = bool(os.environ.get("TSP_FULL"))


def attempt(system: System, *failures: Failure, dump: Sequence[str] = ()) -> Outcome:
    home = placed(system, places(system))
    return run(system, FailingMachine(system, failures), lambda chips: rewired(home, chips), retries=RETRIES, dump=dump)


def joined(cables: Sequence[tuple[str, str]], config: ChipConfig = WIDE) -> System:
    """Chips a, b and c, of which a sends to b over its link e0; b takes it from w0; and s, a spare, if a cable leads
    to it."""
    names = "abcs" if any("s" in end for cable in cables for end in cable) else "abc"
    texts = {"a": SENDER, "b": RECEIVER_AT.format(at=AT)}
    programs = {n: assemble(texts[n], n, config) if n in texts else Program(config) for n in names}
    chips = [Chip(n, config, program, spare=n == "s") for n, program in programs.items()]
    ports = [link.name for link in floorplan(config).links]
    ends = [[Port(names.index(end[0]), ports.index(end[2:])) for end in cable] for cable in cables]
    links = [Link((one, other), (216, 216), (216, 216)) for one, other in ends]
    tree = spanning_tree("three.toml", names, links, 0, range(len(links)))
    return System("three.toml", tuple(chips), tuple(links), 0, tree)


TRIANGLE = [("a.e0", "b.w0"), ("a.e1", "c.w0"), ("b.e0", "c.w1")]


@pytest.mark.parametrize("port", ["a.e1", "c.w0"])
@pytest.mark.parametrize("at", [0, 300])
def test_time_goes_round_a_dead_link_of_the_tree(port: str, at: int) -> None:
    system = joined(TRIANGLE)
    found = attempt(system, Failure("link", port, at))
    assert found.attempts == RETRIES + 2 and found.chips == {"a": "a", "b": "b", "c": "c"}
    assert [step.text.partition(":")[0] for step in found.log if step.what == "detour"] == [
        "link a.e1 - c.w0 is left out"
    ]
    assert system.depth == [0, 1, 1] and found.system.depth == [0, 1, 2]


def test_a_link_that_nobody_uses_may_be_dead() -> None:
    found = attempt(joined(TRIANGLE), Failure("link", "b.e0", 0))
    assert found.attempts == RETRIES + 2 and found.system.depth == [0, 1, 1]


@pytest.mark.parametrize("what, port, at", [("link", "b.w0", 0), ("link", "a.e0", 300), ("bits", "b.w0", 1)])
def test_vectors_take_the_link_beside_one_that_fails(what: str, port: str, at: int) -> None:
    found = attempt(
        joined([("a.e0", "b.w0"), ("a.e1", "b.w1"), ("b.e0", "c.w0")]), Failure(what, port, at), dump=["b:y"]
    )
    assert found.attempts == RETRIES + 2 and found.system.parents[1].into == 1
    assert [vector[0] for vector in found.dumped["b", "y"]] == [1, 2, 3]


def test_what_needs_a_dead_link_is_a_clear_error() -> None:
    with pytest.raises(Failed) as error:
        attempt(joined(TRIANGLE), Failure("link", "b.w0", 300))
    said = str(error.value)
    assert "suspected is link a.e0 - b.w0; link a.e0 - b.w0 cannot be left out (three.toml: no link is there" in said
    assert said.endswith("there is no spare ([[chip]] with spare = true)") and "\n" not in said
    assert max(step.attempt for step in error.value.log) == RETRIES + 1


@pytest.mark.parametrize("at", [0, 100, 300, 500])
def test_a_spare_takes_the_place_of_a_chip_in_the_middle_of_the_tree(at: int) -> None:
    """Time goes from a over b to c; a sends to b. The spare stands between a and c too."""
    system = joined([("a.e0", "b.w0"), ("b.e0", "c.w0"), ("a.e1", "s.w0"), ("s.e0", "c.w1")])
    assert system.depth == [0, 1, 2, 1]
    found = attempt(system, Failure("chip", "b", at), dump=["b:y"])
    assert found.attempts == RETRIES + 2 and found.chips == {"a": "a", "b": "s", "c": "c"}
    assert found.system.depth == [0, 1, 2]
    assert [vector[0] for vector in found.dumped["b", "y"]] == [1, 2, 3]


@pytest.mark.parametrize("at", [0, 300])
def test_a_spare_takes_the_place_of_the_root(at: int) -> None:
    system = joined([("a.e0", "b.w0"), ("b.e0", "c.w0"), ("s.e0", "b.w1")])
    found = attempt(system, Failure("chip", "a", at), dump=["b:y"])
    assert found.attempts == RETRIES + 2 and found.chips == {"a": "s", "b": "b", "c": "c"}
    assert found.system.depth == [0, 1, 2] and found.system.parents[1].into == 1
    assert [vector[0] for vector in found.dumped["b", "y"]] == [1, 2, 3]


@pytest.mark.parametrize("seed", range(12) if FULL else (2, 3))
def test_every_dead_link_of_any_system_ends_right_or_in_an_error(seed: int) -> None:
    system = random_system(seed)
    for port in connected(system)[::2]:
        for at in (0, 250):
            try:
                found = attempt(system, parse(f"link:{port}:{at}", system))
            except InputError as error:
                # Nothing but the tree uses links: only one without which a chip is alone is missed.
                assert "no links lead from chip" in str(error) and "\n" not in str(error)
            else:
                assert found.attempts <= most_attempts(system, RETRIES)
                left = [found.system.port_name(end) for link in found.system.links for end in link.ends]
                assert (port not in left) == (found.attempts > 1) and (at or port not in left)
