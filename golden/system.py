"""Several chips with links between them, from one :class:`tsp.system.System`."""

from golden.machine import Job, Result, run_all
from tsp.errors import InputError
from tsp.flow.channels import Bad
from tsp.start import started
from tsp.system import System


def run_system(system: System, *, trace: bool = True, events: bool = False, bad: Bad = ()) -> list[Result]:
    """Run the programs of a system, legal or not, behind the preambles that it has; results in the order of its chips.

    Args:
        trace, events: as of :func:`golden.machine.run`.
        bad: see :func:`tsp.flow.channels.arrivals`.

    Raises InputError for a POLL that waits for ever.
    """
    begun, _ = started(system)
    jobs = [Job(chip.program.queues, chip.config, chip.program.memory) for chip in begun.chips]
    names = [chip.name for chip in begun.chips]
    try:
        return run_all(jobs, begun.channels, bad=bad, names=names, trace=trace, events=events)
    except InputError as error:
        raise InputError(f"{system.name}: {error}") from None
