"""The SXM: the examples of docs/architecture.md, and maps that are none."""

import numpy as np
import pytest

from golden import sxm
from golden.machine import run
from tsp.assembler import assemble
from tsp.checker import check
from tsp.flow.faults import PERMUTE_MAP
from tsp.isa import Way, instruction

A = np.arange(32, dtype=np.uint8)
UP, DOWN = int(Way.UP), int(Way.DOWN)


def one(mnemonic, *operands, **fields):
    """What one instruction makes of operands [lanes] or [streams, lanes]: uint8 [streams, lanes]."""
    shaped = [np.asarray(operand, np.uint8).reshape(1, -1, 32) for operand in operands]
    return sxm.operate(instruction(mnemonic, **fields), shaped)[0]


def map_of(lanes):
    return np.stack([np.asarray(lanes) & 0xFF, np.asarray(lanes) >> 8])


def test_shift_crosses_superlanes():
    assert one("SHIFT", A, n=3, way=UP)[0].tolist() == [0, 0, 0, *range(29)]
    assert one("SHIFT", A, n=17, way=DOWN)[0].tolist() == [*range(17, 32), *[0] * 17]


@pytest.mark.parametrize("way", [UP, DOWN])
def test_shift_by_nothing_and_by_everything(way):
    assert one("SHIFT", A, n=0, way=way)[0].tolist() == A.tolist()
    assert not one("SHIFT", A + 1, n=32, way=way).any()


def test_shift_keeps_the_lanes_that_are_not_selected():
    select = np.where(A % 2, 7, 0)
    assert one("SHIFT", A, select, n=1, way=UP, selects=1)[0].tolist() == [lane - lane % 2 for lane in range(32)]


def test_permute_reverses():
    assert one("PERMUTE", A + 100, map_of(31 - A.astype(int)))[0].tolist() == (131 - A).tolist()


def test_a_lane_beyond_the_vector_is_zero():
    assert one("PERMUTE", A + 1, map_of([32, 256, 65535, *range(3, 32)]))[0].tolist() == [0, 0, 0, *range(4, 33)]


@pytest.mark.parametrize("lanes, good", [
    (range(32), True), (range(31, -1, -1), True), ([0, 0, *range(2, 32)], False), ([32, *range(1, 32)], False),
    ([256, *range(1, 32)], False),
])  # fmt: skip
def test_a_map_names_every_lane_once(lanes, good):
    assert sxm.permutes(map_of(list(lanes))[None].astype(np.uint8)).tolist() == [good]


def test_distribute_stays_in_its_superlane():
    map_ = [*range(16), *range(15, -1, -1)]
    assert one("DISTRIBUTE", A, map_)[0].tolist() == [*range(16), *range(31, 15, -1)]
    assert one("DISTRIBUTE", A + 1, [16, 255, *map_[2:]])[0].tolist()[:3] == [0, 0, 3]


def test_transpose_in_each_superlane():
    result = one("TRANSPOSE", np.tile(A, 16))
    assert (result == np.arange(16)[:, None] + np.repeat([0, 16], 16)).all()


@pytest.mark.parametrize("n", [3, 4])
def test_rotate_turns_every_row_by_every_distance(n):
    rows = np.arange(n)[:, None] * 50 + A
    result = one("ROTATE", rows, n=n)
    assert result.shape == (n * n, 32)
    for i in range(n):
        for j in range(n):
            superlanes = rows[i].astype(np.uint8).reshape(2, 16)
            assert result[n * i + j].tolist() == np.roll(superlanes, -j, axis=1).ravel().tolist()


PERMUTE = """\
.config tiny
.data x: mem.e0[0] int8 = 1, 2, 3
.data map: mem.e1[0] int16 = {map}
.queue mem.e0
READ x, e0
.queue mem.e1
READ map, e2
.queue mem.e2
READ map, e3
.queue sxm.e.permute
@4 PERMUTE e0, e2 -> w0
"""


def permute(lanes):
    return assemble(PERMUTE.format(map=", ".join(map(str, lanes))))


def test_a_good_map_is_legal():
    program = permute(range(31, -1, -1))
    assert check(program).ok and run(program).fault is None


@pytest.mark.parametrize("lanes, said", [
    ([0, 0, *range(2, 32)], "lanes 0 and 1 both name 0, and none names 1"),
    ([0, 1, 32, *range(3, 32)], "lane 2 names 32"),
])  # fmt: skip
def test_a_bad_map_is_refused_and_a_fault(lanes, said):
    program = permute(lanes)
    (problem,) = check(program).problems
    assert problem.rule == "permute_map" and problem.cycle == 4
    assert problem.message == f"PERMUTE takes a map that must name each of the lanes 0…31 once; {said}"
    fault = run(program).fault
    assert (fault.kind, fault.name, fault.cycle) == (PERMUTE_MAP, "permute_map", 4 + 2 + 2)
