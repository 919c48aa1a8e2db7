"""What follows from a configuration: the figures of ``tsp info``."""

from collections import Counter
from typing import Any

from rich.table import Table

from tsp.config import FEATURES, INSTRUCTION_BYTES, LANES_PER_SUPERLANE, ChipConfig
from tsp.errors import counted
from tsp.floorplan import floorplan
from tsp.timing import timing

_UNITS = {"mem": "MEM", "vxm": "VXM", "mxm": "MXM", "sxm": "SXM", "c2c": "C2C"}


def figures(config: ChipConfig) -> dict[str, Any]:
    """Geometry and bandwidth of a configuration as plain values; bandwidths are bytes a cycle."""
    plan = floorplan(config)
    planes = config.mxm_planes_w + config.mxm_planes_e
    units = Counter(queue.kind.split("_")[0] for queue in plan.queues)
    tile_bytes = LANES_PER_SUPERLANE * config.mem_words
    slices = 2 * config.mem_slices
    return {
        "config": config.as_dict(),
        "features": {name: getattr(config, name) for name in FEATURES},
        "lanes": config.lanes,
        "vector_bytes": config.lanes,
        "sites": len(plan.sites),
        "stream_registers": len(plan.sites) - 1,
        "streams": 2 * config.streams,
        "mem_slices": slices,
        "alus": config.alus * config.lanes,
        "mxm_planes": planes,
        "macs": planes * config.lanes**2,
        "queues": len(plan.queues),
        "queues_by_unit": {unit: units[unit] for unit in _UNITS if units[unit]},
        "stream_bytes_per_cycle": 2 * config.streams * config.lanes,
        "sram_bytes_per_cycle": slices * 2 * config.lanes,
        "dispatch_bytes_per_cycle": len(plan.queues) * INSTRUCTION_BYTES,
        "sram_bytes": slices * tile_bytes * config.superlanes,
        "barrier_cycles": timing(config).barrier,
        "drain_cycles": timing(config).drain,
    }


def table(config: ChipConfig) -> Table:
    """The figures for the terminal."""
    f = figures(config)
    queues = ", ".join(f"{_UNITS[unit]} {count}" for unit, count in f["queues_by_unit"].items())
    superlanes, lanes = counted(config.superlanes, "superlane"), counted(LANES_PER_SUPERLANE // config.beats, "lane")
    alu_rows, stages = counted(config.vxm_rows, "row"), counted(config.vxm_stages, "stage")
    rows = [
        ("vector", f"{f['vector_bytes']} B", f"{superlanes} · {LANES_PER_SUPERLANE} lanes"),
        ("sites", f"{f['sites']}", f"{f['stream_registers']} stream registers between them"),
        ("streams", f"{f['streams']}", f"{config.streams} eastward, {config.streams} westward"),
        ("memory", _size(f["sram_bytes"]), f"{f['mem_slices']} slices, {config.mem_words} words of 16 B a tile"),
        ("MACs", f"{f['macs']:,}", f"{counted(f['mxm_planes'], 'plane')} of {config.lanes}×{config.lanes}"),
        ("ALUs", f"{f['alus']:,}", f"{alu_rows} · {stages} in each lane"),
        ("queues", f"{f['queues']}", queues),
        ("stream bandwidth", f"{f['stream_bytes_per_cycle']:,} B/cycle", "all streams at one site"),
        ("memory bandwidth", f"{f['sram_bytes_per_cycle']:,} B/cycle", "a read and a write in every slice"),
        ("dispatch bandwidth", f"{f['dispatch_bytes_per_cycle']:,} B/cycle", f"{INSTRUCTION_BYTES} B in every queue"),
        ("barrier", f"{f['barrier_cycles']} cycles", "NOTIFY to release"),
        ("drain", f"{f['drain_cycles']} cycles", "last queue empty to done"),
        ("cycle", counted(config.beats, "clock"), f"{lanes} a superlane in each"),
    ]
    off = [name for name, on in f["features"].items() if not on]
    on = ", ".join(name for name, on in f["features"].items() if on) or "none"
    rows.append(("features", on, f"without {', '.join(off)}" if off else "all"))
    result = Table(title=f"config {config.name}", title_justify="left", show_header=False)
    result.add_column(style="bold")
    result.add_column(justify="right")
    result.add_column(style="dim")
    for row in rows:
        result.add_row(*row)
    return result


def _size(size: int) -> str:
    for unit, scale in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= scale:
            return f"{size / scale:g} {unit}"
    return f"{size} B"
