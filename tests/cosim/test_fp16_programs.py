"""fp16 products on the RTL of ``tiny``: random programs that have some, the fault, latencies."""

import os
from collections.abc import Callable

import numpy as np
import pytest
from test_rtl_examples import TINY, run_examples
from test_timing import Lab, only

from tb import machine, regress, simulator
from tsp.builder import Builder, byte_planes
from tsp.checker import check
from tsp.program import Program
from tsp.randprog import MISTAKES
from tsp.timing import timing

FULL = bool(os.environ.get("TSP_FULL"))
SIMS = simulator.SIMULATORS if FULL else ["verilator"]
PROGRAMS = 10 if FULL else 2


@pytest.mark.slow
def test_random_programs() -> None:
    """Words, signatures and cycles are the golden model's in Icarus; in Verilator ``test_random.py`` runs more."""
    cases: list[regress.Case] = []
    for seed in range(1, 1000):
        case = regress.prepare(seed, TINY)
        assert not case.trouble, f"seed {seed}: {case.trouble}"
        if case.golden.flow.products.fp16.any():
            cases.append(case)
        if len(cases) == PROGRAMS:
            break
    row = regress.Row("icarus")
    regress.run_cases(cases, TINY, "icarus", row)
    assert row.seeds == PROGRAMS and not row.failed, "\n".join(row.failed.values())


@pytest.mark.slow
@pytest.mark.parametrize("sim", SIMS)
def test_two_users_of_a_plane_are_latched(sim: str) -> None:
    turn = list(MISTAKES).index("shared_plane")
    cases = [regress.prepare_illegal(turn + i * len(MISTAKES), TINY) for i in range(3)]
    made = machine.build(TINY, sim)
    for case, result in zip(cases, regress.run_jobs(made, [case.job() for case in cases], TINY), strict=True):
        assert case.expected.mistake == "shared_plane" and result.fault is not None
        assert (result.fault.cycle, result.fault.queue, result.fault.kind) == case.expected.fault, f"seed {case.seed}"


@pytest.mark.slow
@pytest.mark.parametrize("sim", SIMS)
def test_fp16_takes_the_cycles_of_int8(sim: str) -> None:
    """ABC's operands, ABC→ACC and ACC's result, each at every cycle around the one in the table."""
    lab, table = Lab(TINY), timing(TINY)
    in_sr = 30 + table.read_func + lab.distance("mem.e0", "mxm.e0")
    skews = {at: lab.run(_multiplied(at, 30)) for at in range(in_sr - 3, in_sr + 4)}
    waits = {wait: lab.run(_multiplied(in_sr, 30, wait)) for wait in range(2 * TINY.superlanes + 4)}
    last = lab.last_event(_multiplied(in_sr, 30, table.abc_acc, to="w4"))
    made = machine.build(TINY, sim)
    lab.results = list(regress.run_jobs(made, lab.jobs, TINY))
    assert in_sr - _faultless(skews) == table.abc_skew
    assert _faultless(waits) == table.abc_acc
    assert last() - (in_sr + table.abc_acc) == table.acc_func


@pytest.mark.slow
@pytest.mark.parametrize("sim", simulator.SIMULATORS)
def test_unpowered_superlanes_add_nothing(sim: str) -> None:
    """Not even infinite and NaN weights; and again in a process where another program left a superlane off."""
    run_examples([_powered(2), _powered(1), _powered(2)], sim)


def _powered(last: int) -> Program:
    """Sums of all superlanes, of one, and of the first ``last``, with infinite and NaN weights of superlane 1."""
    b, rng = Builder(TINY), np.random.default_rng(last)
    lanes = TINY.lanes
    weights = rng.integers(-9, 9, (lanes, lanes)).astype(np.float16)
    weights[:, 16], weights[:8, 17], weights[9, 18] = np.inf, -np.inf, np.nan
    load, slices = 30, [f"mem.{h}{i}" for h in "we" for i in range(4, 12)]
    for plane, half in enumerate(byte_planes(weights)):
        load = b.load_weights(f"mxm.e{plane}", b.place_weights(f"w{plane}", slices, half), 16, at=load)
    for plane in range(2):
        b.iw(f"mxm.e{plane}", load)
    x = b.place("x", "mem.w0", rng.integers(1, 9, (2, lanes)), "fp16")
    for n, (at, p, mode) in enumerate([(60, 2, "store"), (100, 1, "add"), (140, last, "pass")]):
        if n:
            b.power(f"mem.e{n}", p, at=at - 20)
        stream = b.fetch(x, 0, "mxm.e0.activations", at=at, count=2)
        taken = b.abc("mxm.e0", f"{stream}:fp16", at=at, count=2)
        b.acc("mxm.e0", 3, mode, at=taken, to="w4", count=2)
        b.store(b.place(f"y{n}", "mem.w8", np.full((2, lanes), 9), "fp32"), 4, "mxm.e0.accumulate", at=taken, count=2)
    program = b.build()
    assert check(program).ok, str(check(program))
    return program


def _multiplied(at: int, read: int, wait: int | None = None, to: str | None = None) -> Program:
    b = Builder(TINY)
    for plane in range(2):
        b.place(f"x{plane}", f"mem.e{plane}", [[60]], address=0)
        b.read(f"mem.e{plane}", 0, f"e{plane}", at=read)
    b.abc("mxm.e0", "e0:fp16", at=at)
    if wait is not None:
        b.acc("mxm.e0", 0, "store" if to is None else "pass", at=at + wait, to=to)
    return b.build()


def _faultless(tries: dict[int, Callable[[], machine.RtlResult]]) -> int:
    return only([offset for offset, result in tries.items() if result().fault is None])
