"""``tsp network``: systems of up to 10,440 chips: their cables, hops, bandwidth, routes and clocks."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from tsp.cli import OutputFile
from tsp.cli_compile import shown
from tsp.errors import EXIT_RIGHT, InputError
from tsp.files import write_atomic

if TYPE_CHECKING:
    from golden.network.topology import Topology

_Command = Callable[..., Any]
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_DRAW = click.option("--draw", "picture", metavar="FILE", help="Draw it, as an .svg or a .png.")
_SEED = click.IntRange(0, 2**32 - 1)


def _system(command: _Command) -> _Command:
    """``--nodes`` or ``--racks``, and ``--wiring``, passed on as ``topology``."""

    def call(nodes: int | None, racks: int | None, wiring: int, **arguments: Any) -> Any:
        from golden.network.topology import topology

        return command(topology=topology(nodes, racks, wiring), **arguments)

    call.__name__, call.__doc__ = command.__name__, command.__doc__
    call.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
    call = click.option("--wiring", type=_SEED, default=1, show_default=True, help="Seed of the cables of racks.")(call)
    call = click.option("--racks", type=int, metavar="2…145", help="Racks of 9 nodes.")(call)
    return click.option("--nodes", type=int, metavar="1…33", help="Nodes of 8 chips, without racks.")(call)


@click.group("network")
def network() -> None:
    """Systems of many chips: hops, bandwidth, scheduled routes, aligned clocks.

    A system has --nodes (1…33, of 8 chips) or --racks (2…145, of 9 nodes).
    """


@network.command()
@_system
@_JSON
def hops(topology: "Topology", as_json: bool) -> int:
    """Count the links between all pairs of chips."""
    from golden.network.report import hop_counts

    found = hop_counts(topology)
    if as_json:
        return _print(found)
    table = Table("hops", "shortest", "canonical", "node to node", title=f"{topology}: pairs by hops")
    _right(table)
    kinds = [found["shortest"], found["canonical"], found["nodes"]]
    for count in range(1, max(map(len, kinds))):
        table.add_row(str(count), *(f"{kind[count]:,}" if count < len(kind) else "" for kind in kinds))
    Console().print(table)
    return EXIT_RIGHT


@network.command()
@_system
@_JSON
def bandwidth(topology: "Topology", as_json: bool) -> int:
    """Find what each chip can send when all send alike to all."""
    from golden.network.report import MOST_SPREAD, bandwidths

    found = bandwidths(topology)
    if as_json:
        return _print(found)
    table = Table("routes", "GB/s of a chip", "local", "node", "rack", title=f"{topology}: pairs on the fullest link")
    _right(table)
    for name in ("canonical", "shortest"):
        if found[name] is None:
            table.add_row(name, f"not for more than {MOST_SPREAD:,} chips")
            continue
        fullest = [f"{most:,.1f}" if most else "" for most in found[name]["fullest"].values()]
        table.add_row(name, f"{found[name]['bytes_per_second'] / 1e9:.2f}", *fullest)
    Console().print(table)
    return EXIT_RIGHT


@network.command()
@_system
@click.option("--from", "source", type=int, metavar="CHIP", help="Which sends; every chip if not given.")
@click.option("--to", "destination", type=int, metavar="CHIP", help="Which receives; every other chip if not given.")
@click.option("--bytes", "size", type=click.IntRange(min=1), required=True, help="Of each tensor.")
@_JSON
@_DRAW
@click.option("-o", "--output", type=OutputFile(), metavar="FILE", help="Write every packet's slots as JSON.")
def route(
    topology: "Topology",
    source: int | None,
    destination: int | None,
    size: int,
    as_json: bool,
    picture: str | None,
    output: Path | None,
) -> int:
    """Schedule tensors: a slot on each link for every packet, checked."""
    from golden.network.report import placed, routed
    from golden.network.schedule import schedule

    path = _picture(picture)
    transfers = _transfers(topology, source, destination, size)
    with shown() as progress:
        made = []
        for number, detours in enumerate((False, True)):
            progress("schedule", number, 2)
            made.append(schedule(topology, transfers, detours=detours))
    kept = min(made, key=lambda each: each.slots)
    found = routed(kept) | {"canonical_cycles": made[0].cycles}
    if path is not None:
        from golden.network import draw
        from tsp.pictures import save

        save(draw.occupancy(kept), path)
    if output is not None:
        write_atomic(output, (json.dumps(placed(kept)) + "\n").encode())
    if as_json:
        return _print(found)
    table = Table("routes", "packets", title=f"{topology}: {len(transfers):,} × {size:,} bytes")
    _right(table)
    for count, packets in enumerate(found["packets_by_hops"]):
        if packets:
            table.add_row(f"of {count} hop{'s' * (count > 1)}", f"{packets:,}")
    table.add_section()
    table.add_row("slots", f"{found['slots']:,}")
    table.add_row("of these taken on the fullest link", f"{found['fullest']:,}")
    table.add_row("cycles", f"{found['cycles']:,}")
    table.add_row("cycles without detours", f"{found['canonical_cycles']:,}")
    Console().print(table)
    return EXIT_RIGHT


def _transfers(topology: "Topology", source: int | None, destination: int | None, size: int) -> list[Any]:
    from golden.network.schedule import GROQCHIP, MOST_PACKETS, Transfer

    sources = range(topology.chips) if source is None else [source]
    destinations = range(topology.chips) if destination is None else [destination]
    pairs = len(sources) * len(destinations)
    packets = pairs * -(-size // GROQCHIP.payload)
    if packets > MOST_PACKETS:
        less = "send less" if pairs == 1 else "name a chip with --from or --to, or send less"
        raise InputError(
            f"{size:,} bytes from each sender to each receiver are {packets:,} packets, at most {MOST_PACKETS:,} are"
            f" placed at once; {less}"
        )
    if pairs == 1:
        return [Transfer(sources[0], destinations[0], size)]
    return [Transfer(a, b, size) for a in sources for b in destinations if a != b]


@network.command()
@_system
@click.option("--cycles", type=int, default=400_000, show_default=True, help="How long it is watched.")
@click.option("--seed", type=_SEED, default=1, show_default=True, help="Of clocks, latencies and jitter.")
@_JSON
@_DRAW
def align(topology: "Topology", cycles: int, seed: int, as_json: bool, picture: str | None) -> int:
    """Align the clocks' counters (HAC) of all chips."""
    from golden.network.align import align as align_all

    path = _picture(picture)
    with shown() as progress:
        made = align_all(topology, cycles, seed, lambda done, total: progress("align", done, total))
    from golden.network.report import size

    found = size(topology) | made.as_dict()
    if path is not None:
        from golden.network import draw
        from tsp.pictures import save

        save(draw.coming_together(made), path)
    if as_json:
        return _print(found)
    table = Table("cycles that HACs differ, at most", "cycles", title=f"{topology}: seed {seed}, {cycles:,} cycles")
    _right(table)
    table.add_row("locked after", f"{found['locked']:,}")
    table.add_section()
    for depth, (most, chips) in enumerate(zip(found["from_root_by_depth"], found["chips_by_depth"], strict=True)):
        if depth:
            table.add_row(f"from the root, {chips:,} at depth {depth}", f"{most:.2f}")
    table.add_row("from the parent", f"{found['from_parent']:.2f}")
    table.add_row("chips that any cable joins", f"{found['linked']:.2f}")
    table.add_section()
    table.add_row("packets later than measured", f"{found['late']:.2f}")
    table.add_row("packets earlier", f"{found['early']:.2f}")
    Console().print(table)
    return EXIT_RIGHT


@network.command()
@_system
@click.option("-o", "--output", required=True, metavar="FILE", help="An .svg or a .png.")
def draw(topology: "Topology", output: str) -> int:
    """Draw how the chips are cabled."""
    from golden.network.draw import cabling
    from tsp.pictures import picture_path, save

    path = picture_path(output)
    save(cabling(topology), path)
    click.echo(f"{output}: {topology}")
    return EXIT_RIGHT


def _picture(name: str | None) -> Path | None:
    if name is None:
        return None
    from tsp.pictures import picture_path

    return picture_path(name)


def _print(found: dict[str, Any]) -> int:
    click.echo(json.dumps(found, indent=2))
    return EXIT_RIGHT


def _right(table: Table) -> None:
    for column in table.columns[1:]:
        column.justify = "right"
