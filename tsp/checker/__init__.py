"""The checker: every mistake of a program that can be found before it runs, and its cycle count.

A slice, an ALU and an array are each commanded by one queue, which issues at most one instruction a cycle: one ALU
cannot hand two results to the next stage, and two users of one place are a collision on the stream they share. A value
that is overwritten or that nobody takes is no mistake.
"""

from collections.abc import Mapping, Sequence

from tsp.checker.control import check_barriers, check_deskews, check_power
from tsp.checker.links import check_links
from tsp.checker.maps import check_addresses, check_maps
from tsp.checker.report import Problem, Report, Writer
from tsp.checker.state import check_accumulators, check_banks, check_memory, check_pairs, check_products
from tsp.checker.streams import check_absent, check_chains, check_collisions
from tsp.checker.words import check_fetches, check_queues, check_unfetched, check_words, drop_absent_words
from tsp.config import ChipConfig
from tsp.flow import analyse
from tsp.flow.fetch import expand
from tsp.flow.issues import Ints
from tsp.program import Image, Program, Source

__all__ = ["Problem", "Report", "check", "check_parts"]


def check(program: Program) -> Report:
    """Check a program. Raises InputError if it has more issues than can be analysed."""
    defined = {place: image.addresses for place, image in program.memory.items()}
    return check_parts(program.queues, program.config, defined, program.source, program.memory)


def check_parts(
    queues: Mapping[int, Sequence[int]], config: ChipConfig, defined: Mapping[int, Ints], source: Source | None = None,
    memory: Mapping[int, Image] | None = None,
) -> Report:  # fmt: skip
    """Check queues of words.

    Args:
        queues: queue index → 128-bit words.
        defined: place of a MEM slice → int64 [n] ascending addresses that hold a word at the start.
        source: line numbers for the messages.
        memory: place → what those words hold; without it maps are not looked at, and IFETCH brings zeros.

    Raises InputError as :func:`check`.
    """
    writer = Writer(config, source or Source())
    known = check_queues(queues, writer)
    unrolled = expand(known, config, memory or {}, writer.source)
    flow = analyse(unrolled, config, defined)
    check_words(unrolled, writer)
    check_fetches(unrolled, writer)
    check_barriers(unrolled, writer)
    check_deskews(flow, writer)
    check_power(flow, writer)
    for rule in (check_collisions, check_absent, check_chains, check_links):
        rule(flow, writer)
    for rule in (check_banks, check_memory, check_products, check_pairs, check_accumulators):
        rule(flow, writer)
    if memory is not None:
        check_maps(flow, memory, writer)
        check_addresses(flow, memory, writer)
    drop_absent_words(known, unrolled, writer)
    check_unfetched(unrolled, writer)
    return writer.report(flow.cycles)
