"""Systems of whole chips: each with a clock of its own, joined by wires that take their time, all in one simulator."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rtl.c2c.links import pin_ports
from tb import machine, simulator
from tb.generated import generated
from tb.link.system import MODELS
from tb.machine import Job, RtlResult
from tsp.config import ChipConfig
from tsp.errors import InputError
from tsp.floorplan import floorplan
from tsp.flow.channels import Channel
from tsp.system import JITTER, Port, System

HOST_INPUTS = {"host_write": 1, "host_read": 1, "host_address": 32, "host_wdata": 128, "hac_fast": 1, "hac_slow": 1}
HOST_OUTPUTS = {"host_rvalid": 1, "host_rdata": 128, "done": 1, "running": 1, "fault": 1}
CLOCK_INPUTS = {"rst": 1, "stop": 1, "phase": 32, "half": 32}
COMMON_INPUTS = {"run": 1, "wander": 8, "wander_edges": 32, "jitter_limit": 32, "jitter_words": 16, "flipped": 32,
                 "flips": 4}  # fmt: skip
CHANNEL_INPUTS = {"delay": 32, "seed": 32, "spoilt": 32, "cut": 1}
BUFFERED = 2.5
"""Cycles of a channel's latency that are not on the wire: in the elastic buffer, in the mean."""
UNUSED = (1 << 16) - 1
"""The slack of a channel on which no vector came."""


@dataclass(frozen=True)
class Wires:
    """What a system's clocks and wires are really like.

    Attributes:
        ppm: of each chip's clock, against 900 MHz; exactly that if not given.
        wander: every clock's half period goes to and fro by so many fs.
        uneven: cycles by which each channel's wire is longer than nominal; none if not given.
        jitter: whether packets have delays of their own, within ±9 cycles, or J where that is less for any link.
        settle: cycles from the beginning of alignment to the loading of programs.
        measure: whether L_eff is measured, for which 256 epochs pass.
        aligned: whether children follow their parents.
        late: cycles by which each chip's reset ends later: HACs that differ at the beginning.
        flipped: the share of words with up to ``flips`` bits wrong.
        cut: cycles of alignment after which no wire carries anything any more; none if 0.
        linger: cycles that pass after the programs, before anything is read.
    """

    ppm: Sequence[float] = ()
    wander: int = 0
    uneven: Sequence[float] = ()
    jitter: bool = True
    settle: int = 12_000
    measure: bool = False
    aligned: bool = True
    late: Sequence[int] = ()
    flipped: float = 0.0
    flips: int = 2
    cut: int = 0
    linger: int = 0
    seed: int = 1


def text(system: System) -> str:
    """Verilog of module ``system``: chip i is ``chip_i``, channel c of the system's ``channels`` ``wire_c``."""
    config, chips, channels = config_of(system), len(system.chips), system.channels
    ports = [("input", name, width) for name, width in COMMON_INPUTS.items()]
    lines: list[str] = []
    for i in range(chips):
        ports += [("input", f"{name}_{i}", width) for name, width in (HOST_INPUTS | CLOCK_INPUTS).items()]
        ports += [("output", f"{name}_{i}", width) for name, width in (HOST_OUTPUTS | {"clk": 1}).items()]
        connections = {name: f"{name}_{i}" for name in HOST_INPUTS | HOST_OUTPUTS | {"rst": 1, "clk": 1}}
        connections |= _pins(config, i, channels)
        clock = {name: f"{name}_{i}" for name in ("stop", "phase", "half", "clk")}
        lines += [
            _place("clock_source", f"clock_{i}", clock | {n: n for n in ("run", "wander", "wander_edges")}),
            _place("chip", f"chip_{i}", connections),
        ]
    wires = []
    for c, channel in enumerate(channels):
        sender = channel.sender
        ports += [("input", f"{name}_{c}", width) for name, width in CHANNEL_INPUTS.items()]
        wires += [f"  wire [127:0] sent_{c}, word_{c};", f"  wire clock_of_{c};"]
        connections = {"clk": f"clk_{sender}", "rst": f"rst_{sender}", "word": f"sent_{c}"}
        connections |= {"received_word": f"word_{c}", "received_clk": f"clock_of_{c}"}
        connections |= {name: f"{name}_{c}" for name in CHANNEL_INPUTS}
        connections |= {name: name for name in ("jitter_limit", "jitter_words", "flipped", "flips")}
        lines.append(_place(f"wire_model #(.SUPERLANES({config.superlanes}))", f"wire_{c}", connections))
    declared = ",\n".join(f"    {direction} [{width - 1}:0] {name}" for direction, name, width in ports)
    return "\n".join(["`timescale 1fs/1fs", "module system (", declared, ");", *wires, *lines, "endmodule", ""])


def _place(module: str, name: str, connections: dict[str, str]) -> str:
    return f"  {module} {name} (\n    " + ",\n    ".join(f".{a}({b})" for a, b in connections.items()) + "\n  );"


def config_of(system: System) -> ChipConfig:
    """The one configuration of all chips; InputError if they differ: there is one module ``chip``."""
    first = system.chips[0]
    for chip in system.chips[1:]:
        if chip.config != first.config:
            raise InputError(
                f"{system.name}: chips {first.name} and {chip.name} have different configurations, but in a simulator"
                " all chips must have the same; run it on golden"
            )
    return first.config


def _pins(config: ChipConfig, chip: int, channels: Sequence[Channel]) -> dict[str, str]:
    """What a chip's pins are joined to; without a cable nothing comes, and there is no clock."""
    found = {name: "" if name.startswith("tx") else "0" for name in pin_ports(config)}
    ports = [link.name for link in floorplan(config).links]
    for c, channel in enumerate(channels):
        if channel.sender == chip:
            found[f"tx_{ports[channel.out]}"] = f"sent_{c}"
        if channel.receiver == chip:
            found |= {f"rx_{ports[channel.into]}": f"word_{c}", f"rx_{ports[channel.into]}_clk": f"clock_of_{c}"}
    return found


def build(system: System, sim: str) -> simulator.Build:
    """The chips and their cables in a simulator; clocks and delays are inputs."""
    config = config_of(system)

    def write(folder: Path) -> Sequence[Path]:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "system.v").write_text(text(system))
        return [folder / "system.v"]

    joined = [(c.sender, c.out, c.receiver, c.into) for c in system.channels]
    key = [config.as_dict() | {"name": ""}, len(system.chips), joined]
    files = generated(f"chips-{config.name}-{len(system.chips)}", key, write, [Path(__file__)])
    args = ["--timing", "-CFLAGS", "-fcoroutines"] if sim == "verilator" else []
    sources = [*machine.sources(config), *files, *MODELS[:2]]
    return simulator.build(sim, sources, "system", args=args, timescale=("1fs", "1fs"), blocks=("chip",))


@dataclass(frozen=True)
class Run:
    """What came of a run.

    Attributes:
        chips: each chip's result.
        l_eff: of each channel as its receiver measured it, or nothing.
        slack: of each channel, the fewest cycles between a vector's being ready and its RECEIVE; :data:`UNUSED` if none
            came.
    """

    chips: list[RtlResult]
    l_eff: list[float]
    slack: list[int]


def run(system: System, jobs: Sequence[Job], wires: Wires, sim: str = "verilator") -> Run:
    """Align the chips, load a job's program into each, start them from the last to the root, and read what is left."""
    config = config_of(system)
    archive = machine.encode(jobs, config)
    given = asdict(wires) | measures(system, wires)
    made = build(system, sim)
    key = simulator.digest([str(made.directory), json.dumps(given), [a.tobytes().hex() for a in archive.values()]])
    directory = simulator.build_root() / "runs" / sim / f"system-{key}"
    directory.mkdir(parents=True, exist_ok=True)
    asked, answered = directory / "jobs.npz", directory / "results.npz"
    answered.unlink(missing_ok=True)
    np.savez(asked, **archive)
    env = {"TSP_JOBS": asked, "TSP_RESULTS": answered, "TSP_SYSTEM": json.dumps(given)}
    simulator.run(made, "tb.link.chips_bench", env=env, directory=directory)
    with np.load(answered, allow_pickle=False) as results:
        found: dict[str, Any] = {name: results[name] for name in results.files}
    return Run(machine.decode(jobs, config, found), found["l_eff"].tolist(), found["slack"].tolist())


def measures(system: System, wires: Wires) -> dict[str, Any]:
    """What the bench must know of a system: clocks, jitter, parents, and of each channel its receiver and latency."""
    return {
        "jitter": _jitter(system, wires),
        "ppm": list(wires.ppm) or [0.0] * len(system.chips),
        "late": list(wires.late) or [0] * len(system.chips),
        "parents": [-1 if channel is None or not wires.aligned else channel.into for channel in system.parents],
        "receivers": [(channel.receiver, channel.into, channel.latency) for channel in system.nominal],
        "delays": _delays(system, wires),
    }


def _jitter(system: System, wires: Wires) -> int:
    """Most of any packet's jitter, in cycles."""
    return min([JITTER, *(link.jitter for link in system.links)]) if wires.jitter else 0


def _delays(system: System, wires: Wires) -> list[float]:
    """Of each channel what its wire takes, in cycles. InputError where jitter would make less than a cycle of it."""
    uneven = wires.uneven or [0.0] * len(system.nominal)
    found = [c.latency - BUFFERED + more for c, more in zip(system.nominal, uneven, strict=True)]
    jitter = _jitter(system, wires)
    for channel, delay in zip(system.nominal, found, strict=True):
        if delay < jitter + 1:
            port, least = system.port_name(Port(channel.receiver, channel.into)), channel.latency + jitter + 1 - delay
            raise InputError(
                f"{system.name}: what comes into {port} takes {channel.latency:g} cycles, but in a simulator packets"
                f" jitter by {jitter} and the buffer takes {BUFFERED:g}; {math.ceil(least)} works, or run it on golden"
            )
    return found
