"""Run a system on a machine that may fail, until its result is right (:mod:`tsp.runtime`)."""

from collections.abc import Sequence

from golden.failures import FailingMachine
from tsp.errors import InputError, nearest
from tsp.run import BACKENDS
from tsp.runtime import MOST_CYCLES, RETRIES, Outcome, run
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
        InputError: the question is wrong, the system is illegal or takes too long, or the machine cannot fail so.
    """
    if on not in BACKENDS:
        raise InputError(f"unknown machine '{on}'{nearest(on, BACKENDS)}")
    home = placed(system, places(system))
    machine = FailingMachine(system, failures)
    return run(system, machine, lambda chips: rewired(home, chips), retries=retries, dump=dump, max_cycles=max_cycles)
