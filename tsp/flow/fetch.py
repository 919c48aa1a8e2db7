"""What IFETCHes bring: queue words that come off streams, found before the program runs.

Only words of the initial image are found, which a READ puts on the stream as they are. They may hold READs and further
IFETCHes, so a program is unrolled further and further, a fetch or a few each time, and of what it does only that is
looked at which can have to do with these.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from tsp import isa
from tsp.config import LANES_PER_SUPERLANE, ChipConfig
from tsp.dispatch import Fetch, Unrolled, Unrolling
from tsp.errors import InputError
from tsp.floorplan import floorplan
from tsp.flow.analysis import Moves, moves, refuse_too_many
from tsp.flow.collect import Collector
from tsp.flow.state import NONE
from tsp.program import Image, Program, Source
from tsp.timing import timing


def expand(
    queues: Mapping[int, Sequence[int]], config: ChipConfig, memory: Mapping[int, Image], source: Source | None = None
) -> Unrolled:
    """A program unrolled, with what its IFETCHes bring.

    Args:
        queues: queue index → 128-bit words.
        memory: place → words defined at the start.
        source: line numbers for the message.

    Raises InputError for an IFETCH of words that are made or moved by the program itself.
    """
    fetched: dict[tuple[int, int], list[int]] = {}
    defined = {place: image.addresses for place, image in memory.items()}
    unrolling = Unrolling(queues, config)
    while (out := unrolling.run(fetched)).unknown:
        refuse_too_many(out)
        # What an unknown word does comes later than these, so nothing before can change any more.
        first = min(fetch.cycle for fetch in out.unknown) + timing(config).ifetch_dispatch
        sure = min(out.reached[fetch.queue] for fetch in out.unknown)
        chosen = [f for f in out.unknown if f.cycle < first or f.cycle + f.vectors <= sure]
        part = _concerning(chosen, out, config)
        flow = moves(part, Collector(part.bursts, config), config, defined)
        numbers = {(burst.queue, burst.index): number for number, burst in enumerate(part.bursts)}
        for fetch in chosen:
            fetched[fetch.key] = _words(fetch, numbers[fetch.key], flow, memory, source or Source())
    return out


def expand_program(program: Program) -> Unrolled:
    """:func:`expand` of a whole program."""
    return expand(program.queues, program.config, program.memory, program.source)


def _concerning(fetches: Sequence[Fetch], out: Unrolled, config: ChipConfig) -> Unrolled:
    """``out`` with those bursts alone that can decide what the fetches bring: what is under way in their cycles, and
    all that happens in the slices whose words may come on their streams."""
    table = timing(config)
    moved = max(table.sxm_func, table.sxm_across_func, table.receive_func)
    slowest = max(table.read_func, table.alu_func, table.acc_func, moved)
    first = min(fetch.cycle for fetch in fetches) - slowest - len(floorplan(config).sites)
    last = max(fetch.cycle + fetch.vectors for fetch in fetches) + table.ifetch_skew
    # ``burst.end`` written out, as these are many.
    near = [n for n, b in enumerate(out.bursts) if b.start <= last and b.start + (b.count - 1) * b.interval >= first]
    words = [(out.bursts[n].queue, out.bursts[n].instruction) for n in near]
    taken = {instruction["stream"] for _, instruction in words if instruction.mnemonic == "IFETCH"}
    slices = {queue for queue, instruction in words if instruction.values.get("read_stream") in taken}
    theirs = [n for n, burst in enumerate(out.bursts) if burst.queue in slices]
    return dataclasses.replace(out, bursts=[out.bursts[n] for n in sorted({*near, *theirs})])


def _words(fetch: Fetch, number: int, flow: Moves, memory: Mapping[int, Image], source: Source) -> list[int]:
    """The words in the order they arrive in. ``number``: of the fetch's burst."""
    issues = np.arange(*flow.issues.first[number : number + 2])
    rows = flow.reads.rows_of(flow.issues, 0)[issues]
    vectors = [_vector(int(row), fetch, flow, memory, source) for row in rows]
    found = {}
    for v, vector in enumerate(vectors):
        for k in range(flow.config.superlanes):
            word = vector[LANES_PER_SUPERLANE * k : LANES_PER_SUPERLANE * (k + 1)]
            found[v + 2 * k] = int.from_bytes(word, "little")
    return [found[order] for order in sorted(found)]


def _vector(row: int, fetch: Fetch, flow: Moves, memory: Mapping[int, Image], source: Source) -> bytes:
    """What a row of ``flow.reads`` reads; zeros where nothing arrives or nothing is defined, which are faults."""
    drive = int(flow.source[row])
    if drive == NONE:
        return bytes(flow.config.lanes)
    issue = int(flow.drives.issue[drive])
    loads = np.flatnonzero(flow.loads.issue == issue)
    if len(loads) and not flow.loads.initial[loads[0]] and flow.loads.store[loads[0]] == NONE:
        return bytes(flow.config.lanes)
    scattered = flow.indirect.place[flow.indirect.writes]
    if not len(loads) or not flow.loads.initial[loads[0]] or flow.loads.place[loads[0]] in scattered:
        name, place = floorplan(flow.config).queues[fetch.queue].name, source.place(*fetch.key)
        queue = f"queue {name}" if place is None else f"{place}: {name}"
        stream = isa.stream_name(int(flow.reads.stream[row]))
        raise InputError(
            f"{queue}: cycle {fetch.cycle}: IFETCH takes a vector off {stream} that the program makes itself;"
            " instructions must be words of the initial image, put on the stream by a READ"
        )
    image = memory[int(flow.loads.place[loads[0]])]
    found: bytes = image.words[np.searchsorted(image.addresses, flow.loads.address[loads[0]])].tobytes()
    return found
