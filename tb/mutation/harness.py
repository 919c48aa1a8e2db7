"""cocotb side: every test of the benches in ``TSP_BENCHES``, again and again, with the mutants of ``TSP_MUTANTS``.

A mutant's verdict is a line of JSON in ``TSP_VERDICTS``, written as soon as it is known. A mutant is killed by the
first test that fails, or that takes :data:`PATIENCE` times as long in simulated time as it does without a mutant. That
is tried too, first and last, and must pass.
"""

import importlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cocotb
from cocotb.triggers import SimTimeoutError, Timer, with_timeout
from cocotb.utils import get_sim_time

from tb.unit.ports import PERIOD_NS

PATIENCE = 3
SPARE_NS = 100 * PERIOD_NS
MESSAGE = 200
"""Characters of a failure that are kept."""

killed: set[int] = set()
lasted: dict[str, float] = {}
"""Test → nanoseconds without a mutant."""


def tests() -> Iterator[tuple[str, Any]]:
    """(name, coroutine function) of every test of the benches."""
    for bench in os.environ["TSP_BENCHES"].split():
        for generator in list(vars(importlib.import_module(bench)).values()):
            if isinstance(generator, cocotb._decorators.TestGenerator):
                for test in generator.generate_tests():
                    yield f"{bench.rsplit('.', 1)[-1]}.{test.name}", test.func


def verdict(mutant: int, **more: Any) -> None:
    with Path(os.environ["TSP_VERDICTS"]).open("a") as file:
        file.write(json.dumps({"mutant": mutant} | more) + "\n")


def case(mutant: int, name: str, test: Any, last: bool) -> Any:
    """One test with one mutant."""

    async def run(dut: Any) -> None:
        if mutant in killed:
            return
        await Timer(1, "ns")  # a test before may have ended where nothing can be written
        dut.mutant.value = mutant
        began = get_sim_time("ns")
        if mutant == 0:
            await test(dut)
            lasted[name] = get_sim_time("ns") - began
            if last:
                verdict(0)
            return
        try:
            await with_timeout(test(dut), round(PATIENCE * lasted[name] + SPARE_NS), "ns")
        except SimTimeoutError:
            killed.add(mutant)
            verdict(mutant, killed_by=name, message="it does not end")
        except Exception as error:  # whatever a bench stumbles over
            killed.add(mutant)
            verdict(mutant, killed_by=name, message=f"{type(error).__name__}: {error}"[:MESSAGE])
        else:
            if last:
                verdict(mutant, killed_by=None)

    return cocotb.test(name=f"mutant_{mutant}_{name.replace('.', '_')}")(run)


def cases() -> Iterator[Any]:
    found = list(tests())
    for mutant in [0, *map(int, os.environ["TSP_MUTANTS"].split()), 0]:
        for name, test in found:
            yield case(mutant, name, test, last=name == found[-1][0])


globals().update({f"case_{number}": made for number, made in enumerate(cases())})
