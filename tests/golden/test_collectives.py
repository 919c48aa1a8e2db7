"""Collectives of a node: legal, exact, in the cycles that were predicted, and as fast as the links."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from golden.system import run_system
from tsp import collectives
from tsp.collectives import Collective
from tsp.config import preset
from tsp.errors import InputError
from tsp.node import Node
from tsp.system_check import check_system

SMALL = preset("tiny").override(["c2c=on", "links_w=3", "links_e=4", "vxm_rows=4", "vxm_stages=4"])
GROQCHIP = preset("groqchip")
FULL = bool(os.environ.get("TSP_FULL"))


def random_vectors(*shape: int) -> NDArray[np.int8]:
    return np.random.default_rng(sum(shape)).integers(-128, 128, shape, dtype=np.int8)


def summed(vectors: NDArray[np.int8]) -> NDArray[np.int64]:
    return np.clip(vectors.astype(np.int64).sum(axis=0), -128, 127)


def run(collective: Collective) -> tuple[NDArray[np.int64], int]:
    """(what every chip has at the end, cycles from the start of the programs on)."""
    report = check_system(collective.system)
    assert report.ok, str(report)
    results = run_system(collective.system, trace=False)
    assert [result.cycles for result in results] == report.cycles and not any(result.faults for result in results)
    return collective.result([result.values for result in results]), max(report.cycles) - report.zero


@pytest.mark.parametrize("chips, count", [(8, 1), (8, 16), (8, 45), (5, 45), (2, 42), (3, 43)])
def test_all_reduce(chips: int, count: int) -> None:
    vectors = random_vectors(chips, count, SMALL.lanes)
    found, _ = run(collectives.all_reduce(Node(SMALL, chips), vectors))
    assert (found == summed(vectors)).all()


@pytest.mark.parametrize("chips, count, latency", [(8, 3, 216), (4, 20, 1), (2, 31, 600)])
def test_the_other_collectives(chips: int, count: int, latency: int) -> None:
    node = Node(SMALL, chips, latency)
    vectors = random_vectors(chips, chips * count, SMALL.lanes)
    found, _ = run(collectives.all_gather(node, vectors[:, :count]))
    assert (found == vectors[:, :count].reshape(-1, SMALL.lanes)).all()
    found, _ = run(collectives.broadcast(node, chips - 1, vectors[0, :count]))
    assert (found == vectors[0, :count]).all()
    found, _ = run(collectives.reduce_scatter(node, vectors))
    assert (found == summed(vectors).reshape(chips, count, -1)).all()


def test_packets_of_an_even_number_of_words_leave_a_cycle_between_them() -> None:
    vectors = random_vectors(3, 43, 48)
    found, _ = run(collectives.all_reduce(Node(SMALL.override(["superlanes=3"]), 3), vectors))
    assert (found == summed(vectors)).all()


def test_a_vector_is_added_up_on_eight_chips_in_320_cycles() -> None:
    vectors = random_vectors(8, 1, GROQCHIP.lanes)
    found, cycles = run(collectives.all_reduce(Node(GROQCHIP), vectors))
    assert (found == summed(vectors)).all() and cycles == 319


def test_the_example_in_the_text(capsys: pytest.CaptureFixture[str]) -> None:
    text = (Path(__file__).parents[2] / "docs" / "programming.md").read_text().split("**Collectives**")[1]
    code = re.search(r"```python\n(.*?)```", text, re.S)[1]
    names: dict[str, object] = {}
    exec(compile(code, "programming.md", "exec"), names)
    said = re.search(r"# (legal, .*)", code)[1]
    assert capsys.readouterr().out == f"{said}\n(8, 1, 320)\n"


# 300,000 bytes of each chip, 300 KiB, and 340,480 bytes.
@pytest.mark.parametrize("count, share", [(938, 0.937), (960, 0.945), (1064, 0.95)][0 if FULL else 2 :])
def test_large_tensors_take_what_the_links_carry_and_one_flight(count: int, share: float) -> None:
    vectors = random_vectors(8, count, GROQCHIP.lanes)
    found, cycles = run(collectives.all_reduce(Node(GROQCHIP), vectors))
    assert (found == summed(vectors)).all()
    # Each link carries, in each direction, a part of the vectors and a part of the sums. Beside them there are one
    # flight, 299 from SEND to RECEIVE, four idle words, two cycles each, a READ and a WRITE.
    slot, packets = GROQCHIP.superlanes + 1, 2 * -(-count // 8)
    assert cycles == packets * slot + 299 - slot + 4 * 2 + 2 + 5
    assert 2 * count / 8 * slot / cycles >= share


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Node(preset("tiny")), "config tiny with c2c=False, links_w=1 and links_e=1: a node of 8 chips needs"),
        (lambda: Node(SMALL, 9), "a node of 9 chips needs"),
        (lambda: Node(SMALL, latency=0), "a node's latency is 0 and measured 0; they must be at least 1"),
        (lambda: Node(SMALL, measured=249), "a node's latency is 216 and measured 249; they must be"),
        (lambda: collectives.broadcast(Node(SMALL), 8, random_vectors(1, 32)), "root is 8, must be the number of"),
        (
            lambda: collectives.all_reduce(Node(preset("tiny").override(["c2c=on"]), 3), random_vectors(3, 1, 32)[:2]),
            "vectors are int8 [2, 1, 32], must be int8 [chips, n, lanes] with 32 lanes and 3 chips",
        ),
        (
            lambda: collectives.all_reduce(Node(SMALL.override(["vxm_stages=2"])), random_vectors(8, 1, 32)),
            "to add 8 vectors takes 4 rows and 3 stages",
        ),
        (
            lambda: collectives.reduce_scatter(Node(SMALL), random_vectors(8, 9, 32)),
            "reduce_scatter: 9 vectors for 8 chips; their number must be a multiple of 8, such as 16",
        ),
    ],
)
def test_what_cannot_be_is_refused(make: object, message: str) -> None:
    with pytest.raises(InputError) as caught:
        make()  # type: ignore[operator]
    assert message in str(caught.value)
