"""Run a system on a machine that may fail, until its result is right (:mod:`tsp.runtime`)."""

from collections.abc import Sequence

from golden.failures import FailingMachine
from tsp.errors import InputError, nearest
from tsp.run import BACKENDS
from tsp.run_system import simulating, worst_clocks
from tsp.runtime import MOST_CYCLES, RETRIES, Machine, Outcome, run
from tsp.runtime.failures import Failure
from tsp.spares import placed, places, rewired
from tsp.system import System


def run_replayed(
    system: System, failures: Sequence[Failure] = (), *, on: str = "golden", retries: int = RETRIES,
    dump: Sequence[str] = (), max_cycles: int = MOST_CYCLES,
) -> Outcome:  # fmt: skip
    """Run the programs of a system, with spares, over the links that are left.

    Args:
        failures: what goes wrong on purpose.
        on: one of :data:`tsp.run.BACKENDS`.
        retries, dump, max_cycles: as of :func:`tsp.runtime.run`.

    Raises:
        tsp.runtime.Failed: there is no right result after all that can be tried.
        InputError: the question is wrong, the system is illegal or takes too long, the machine cannot fail so, or a
            simulator is missing or broke off (:class:`tsp.run.SimulatorFailed`).
    """
    if on not in BACKENDS:
        raise InputError(f"unknown machine '{on}'{nearest(on, BACKENDS)}")
    home = placed(system, places(system))

    def work(machine: Machine) -> Outcome:
        return run(
            system, machine, lambda chips: rewired(home, chips), retries=retries, dump=dump, max_cycles=max_cycles
        )

    if on == "golden":
        return work(FailingMachine(system, failures))
    from tb.link.chips import Wires
    from tb.link.machine import RtlMachine

    with simulating(system, on), RtlMachine(system, failures, on, Wires(ppm=worst_clocks(system))) as machine:
        return work(machine)
