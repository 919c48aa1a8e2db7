"""Systems of whole chips: each with a clock of its own, joined by wires that take their time, all in one simulator."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rtl import verilog
from rtl.c2c.links import pin_ports
from tb import machine, simulator
from tb.generated import generated
from tb.link.system import CYCLE, MODELS
from tb.machine import Job, RtlResult
from tsp.config import ChipConfig
from tsp.floorplan import floorplan

HOST_INPUTS = {"host_write": 1, "host_read": 1, "host_address": 32, "host_wdata": 128, "hac_fast": 1, "hac_slow": 1}
HOST_OUTPUTS = {"host_rvalid": 1, "host_rdata": 128, "done": 1, "running": 1, "fault": 1}
CLOCK_INPUTS = {"rst": 1, "phase": 32, "half": 32}
COMMON_INPUTS = {"run": 1, "wander": 8, "wander_edges": 32, "jitter_step": 32, "jitter_limit": 32, "flipped": 32,
                 "flips": 4}  # fmt: skip
CHANNEL_INPUTS = {"delay": 32, "seed": 32, "cut": 1}
JITTER_STEP, JITTER_LIMIT = 0.86, 9
"""Of a packet's jitter, in cycles, see wire_model.v: with a standard deviation of 2.8."""


@dataclass(frozen=True)
class Cable:
    """A link: port ``ports[0]`` of chip ``chips[0]`` and port ``ports[1]`` of chip ``chips[1]``, and the cycles a word is
    on the wire from the first to the second and back."""

    chips: tuple[int, int]
    ports: tuple[str, str]
    delays: tuple[float, float] = (208.0, 208.0)


@dataclass(frozen=True)
class System:
    """Equal chips and their cables; chip 0 is the root.

    Attributes:
        ppm: of each chip's clock, against 900 MHz.
        latency: nominal L of every channel, as chips are told: cycles on the wire and in the elastic buffer.
        jitter: whether packets have delays of their own, within ±9 cycles.
        settle: cycles from the beginning of alignment to the loading of programs.
        measure: whether L_eff is measured, for which 256 epochs pass.
        flipped: the share of words with up to ``flips`` bits wrong.
    """

    config: ChipConfig
    cables: Sequence[Cable]
    ppm: Sequence[float]
    latency: int = 216
    jitter: bool = True
    settle: int = 12_000
    measure: bool = False
    flipped: float = 0.0
    flips: int = 2
    seed: int = 1

    @property
    def chips(self) -> int:
        """How many there are."""
        return len(self.ppm)

    def parents(self) -> list[str | None]:
        """The port to each chip's parent, on a tree of shortest paths from chip 0."""
        found: dict[int, str | None] = {0: None}
        waiting = [0]
        while waiting:
            chip = waiting.pop(0)
            for cable in self.cables:
                for here, there in ((0, 1), (1, 0)):
                    if cable.chips[here] == chip and cable.chips[there] not in found:
                        found[cable.chips[there]] = cable.ports[there]
                        waiting.append(cable.chips[there])
        return [found[chip] for chip in range(self.chips)]


def text(config: ChipConfig, chips: int, cables: Sequence[Cable]) -> str:
    """Verilog of module ``system``."""
    ports = [("input", name, width) for name, width in COMMON_INPUTS.items()]
    lines: list[str] = []
    for i in range(chips):
        ports += [("input", f"{name}_{i}", width) for name, width in (HOST_INPUTS | CLOCK_INPUTS).items()]
        ports += [("output", f"{name}_{i}", width) for name, width in (HOST_OUTPUTS | {"clk": 1}).items()]
        connections = {name: f"{name}_{i}" for name in HOST_INPUTS | HOST_OUTPUTS | {"rst": 1, "clk": 1}}
        connections |= _pins(config, i, cables)
        clock = {name: f"{name}_{i}" for name in ("phase", "half", "clk")}
        lines += [
            _place("clock_source", f"clock_{i}", clock | {n: n for n in ("run", "wander", "wander_edges")}),
            _place("chip", f"chip_{i}", connections),
        ]
    wires = []
    for c, (sender, _) in enumerate(_channels(cables)):
        ports += [("input", f"{name}_{c}", width) for name, width in CHANNEL_INPUTS.items()]
        wires += [f"  wire [127:0] sent_{c}, word_{c};", f"  wire clock_of_{c};"]
        connections = {"clk": f"clk_{sender}", "rst": f"rst_{sender}", "word": f"sent_{c}"}
        connections |= {"received_word": f"word_{c}", "received_clk": f"clock_of_{c}"}
        connections |= {name: f"{name}_{c}" for name in CHANNEL_INPUTS}
        connections |= {name: name for name in ("jitter_step", "jitter_limit", "flipped", "flips")}
        lines.append(_place(f"wire_model #(.SUPERLANES({config.superlanes}))", f"wire_{c}", connections))
    declared = ",\n".join(f"    {direction} [{width - 1}:0] {name}" for direction, name, width in ports)
    return "\n".join(["`timescale 1fs/1fs", "module system (", declared, ");", *wires, *lines, "endmodule", ""])


def _place(module: str, name: str, connections: dict[str, str]) -> str:
    return f"  {module} {name} (\n    " + ",\n    ".join(f".{a}({b})" for a, b in connections.items()) + "\n  );"


def _channels(cables: Sequence[Cable]) -> list[tuple[int, int]]:
    """Sender and receiver of each channel: two of each cable, there and back."""
    return [pair for cable in cables for pair in (cable.chips, cable.chips[::-1])]


def _pins(config: ChipConfig, chip: int, cables: Sequence[Cable]) -> dict[str, str]:
    """What a chip's pins are joined to; without a cable nothing comes, and there is no clock."""
    found = {name: "" if name.startswith("tx") else "0" for name in pin_ports(config)}
    for k, cable in enumerate(cables):
        for end in (0, 1):
            if cable.chips[end] == chip:
                sends, receives, port = 2 * k + end, 2 * k + 1 - end, cable.ports[end]
                found |= {f"tx_{port}": f"sent_{sends}", f"rx_{port}": f"word_{receives}"}
                found |= {f"rx_{port}_clk": f"clock_of_{receives}"}
    return found


def build(system: System, sim: str) -> simulator.Build:
    """The chips and their cables in a simulator; clocks and delays are inputs."""
    cables, config = system.cables, system.config

    def write(folder: Path) -> Sequence[Path]:
        files = verilog.generate(config, folder)
        (folder / "system.v").write_text(text(config, system.chips, cables))
        return [*files, folder / "system.v"]

    key = [config.as_dict() | {"name": ""}, system.chips, [(cable.chips, cable.ports) for cable in cables]]
    files = generated(f"chips-{config.name}-{system.chips}", key, write, [Path(__file__)])
    args = ["--timing", "-CFLAGS", "-fcoroutines"] if sim == "verilator" else []
    return simulator.build(sim, [*files, *MODELS[:2]], "system", args=args, timescale=("1fs", "1fs"))


@dataclass(frozen=True)
class Run:
    """What came of a run: each chip's result, and L_eff of each channel as its receiver measured it (or nothing)."""

    chips: list[RtlResult]
    l_eff: list[float]


def run(system: System, jobs: Sequence[Job], sim: str = "verilator") -> Run:
    """Align the chips, load a job's program into each, start them from the last to the root, and read what is left."""
    archive = machine.encode(jobs, system.config)
    index = {link.name: link.index for link in floorplan(system.config).links}
    given = {name: value for name, value in asdict(system).items() if name not in ("config", "cables")}
    given["parents"] = [-1 if port is None else index[port] for port in system.parents()]
    given["links"] = [(cable.chips[end], index[cable.ports[end]]) for cable in system.cables for end in (1, 0)]
    given["delays"] = [delay for cable in system.cables for delay in cable.delays]
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
    return Run(machine.decode(jobs, system.config, found), found["l_eff"].tolist())


__all__ = ["CYCLE", "Cable", "Run", "System", "build", "run"]
