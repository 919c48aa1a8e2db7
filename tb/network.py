"""``python -m tb.network``, behind ``make network``: the figures of systems of many chips, held against the published.

Writes ``build/reports/network.json``: a row per figure, and what it comes from.
"""

import sys
from collections.abc import Iterator
from typing import Any

import click
from rich.console import Console

from golden.network import align, report
from golden.network.schedule import Transfer, schedule
from golden.network.topology import Topology, topology
from tb.bench.row import Row, table
from tb.command import AT_LEAST_ONE, Command, one_sentence, report_path, write_report
from tsp.errors import EXIT_DIFFERS, EXIT_RIGHT

SYSTEMS = {"nodes": 33, "racks": 145}
"""The largest system without racks, and the largest with them."""
WIDEST = {"nodes": (3, 1), "racks": (7, 5)}
"""Hops of canonical routes from chip to chip and from node to node (published, see docs/network.md)."""
GIGABYTES = {"nodes": 50.6, "racks": 14.1}
"""A chip's, all to all, at full scale (published: 50 and 14)."""
NEAR = 2
"""Per cent that these may be off."""
LOCKED = 200_000
"""Cycles in which all HACs are aligned."""
SMALLEST = (4_500, 6_000)
"""Bytes between which detours in a node begin to pay (published: about 5 KB)."""


@click.command(cls=Command)
@click.option("--racks", type=click.IntRange(2, 145), default=145, show_default=True, help="Of the larger system.")
@click.option("--cycles", type=AT_LEAST_ONE, default=400_000, show_default=True, help="Of each alignment.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Of clocks and links.")
def main(racks: int, cycles: int, seed: int) -> None:
    """Compute hops, bandwidth, routes and alignment. Exit code 1 when a figure misses its limit."""
    with one_sentence():
        path = report_path("network")
        rows = [*measure({**SYSTEMS, "racks": racks}, cycles, seed), *routes()]
        write_report(path, {"seed": seed, "rows": [row.as_dict() for row in rows]})
    Console().print(table(rows))
    sys.exit(EXIT_DIFFERS if any(row.verdict == "missed" for row in rows) else EXIT_RIGHT)


def measure(systems: dict[str, int], cycles: int, seed: int) -> Iterator[Row]:
    """The rows of each system after the other: of its hops, its links and its clocks."""
    console = Console(stderr=True)
    for kind, number in systems.items():
        system = topology(**{kind: number})
        with console.status(f"{system}: hops and bandwidth"):
            yield from _hops(system, *WIDEST[kind])
            # The published bandwidth is that of the largest system.
            yield from _bandwidth(system, GIGABYTES[kind] if number == SYSTEMS[kind] else None)
        with console.status(f"{system}: alignment"):
            yield from _aligned(system, align.align(system, cycles, seed))


def _hops(system: Topology, chips: int, nodes: int) -> Iterator[Row]:
    found = report.hop_counts(system)
    name = f"{system.chips} chips"
    for kind, limit in (("shortest", chips), ("canonical", chips), ("nodes", nodes)):
        counts = found[kind]
        yield Row(f"{name}: most hops, {kind}", len(counts) - 1, "hops", limit, details={"pairs_by_hops": counts})
    unreached = system.chips**2 - sum(found["shortest"])
    yield Row(f"{name}: pairs without a way", unreached, "pairs", 0)


def _bandwidth(system: Topology, published: float | None) -> Iterator[Row]:
    found = report.bandwidths(system)
    for kind in ("canonical", "shortest"):
        if found[kind] is not None:
            figure = found[kind]["bytes_per_second"] / 1e9
            yield Row(f"{system.chips} chips: bandwidth of one, {kind} routes", figure, "GB/s", details=found[kind])
            if kind == "canonical" and published is not None:
                off = 100 * abs(figure / published - 1)
                yield Row(f"{system.chips} chips: off the published {published} GB/s", off, "%", NEAR)


def _aligned(system: Topology, made: align.Alignment) -> Iterator[Row]:
    found: dict[str, Any] = made.as_dict()
    name = f"{system.chips} chips: HAC"
    yield Row(f"{name} locked after", found["locked"], "cycles", LOCKED, details=found)
    yield Row(f"{name} from the root, at most", found["from_root"], "cycles", align.FROM_ROOT)
    yield Row(f"{name} from the parent, at most", found["from_parent"], "cycles", align.LINKED)
    yield Row(f"{name} from any linked chip, at most", found["linked"], "cycles")
    over = f"{name} of linked chips more than {align.LINKED} cycles apart, of which there should be none"
    yield Row(over, 1e6 * found["linked_over_limit"], "of a million")
    yield Row(f"{name}: a packet later than measured, at most", found["late"], "cycles")


def routes() -> Iterator[Row]:
    """The rows of scheduled tensors."""
    node = topology(nodes=1)
    payload = 320
    straight, spread = {}, {}
    for packets in (*range(1, 41), 205, 3277):
        for found, detours in ((straight, False), (spread, None)):
            found[packets * payload] = report.routed(
                schedule(node, [Transfer(0, 5, packets * payload)], detours=detours)
            )["cycles"]
    pays = min(size for size in straight if spread[size] < straight[size])
    cycles = {str(size): [straight[size], spread[size]] for size in straight}
    yield Row("node: least bytes that detours deliver sooner", pays, "bytes", SMALLEST[1], details={"cycles": cycles})
    most = max(straight)
    yield Row(f"node: {most:,} bytes, direct over spread", straight[most] / spread[most])
    pairs = [(a, b) for a in range(8) for b in range(8) if a != b]
    found = report.routed(schedule(node, [Transfer(a, b, 65_536) for a, b in pairs]))
    idle = 100 * (1 - found["fullest"] / found["slots"])
    yield Row("node: all to all, slots that the fullest link is idle", idle, "%", 1, details=found)
    # Packet by packet what the bandwidth of all chips assumes.
    system = topology(nodes=33)
    pairs = [(a, b) for a in range(system.chips) for b in range(system.chips) if a != b]
    found = report.routed(schedule(system, [Transfer(a, b, payload) for a, b in pairs], detours=False))
    yield Row("264 chips: all to all, a packet each", found["cycles"], "cycles", details=found)


if __name__ == "__main__":
    main(prog_name="python -m tb.network")
