"""What a run of a system of timekeepers is, and how it is built and run."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rtl import verilog
from rtl.link.meter import SAMPLES
from rtl.link.timekeeper import Timekeeper
from tb import simulator
from tb.generated import generated
from tb.link import system
from tb.link.system import PACKET, Topology
from tsp.config import preset

CONFIG = preset("tiny")
HERE = Path(__file__).parent
WIRE = 216
"""Cycles on a wire, by default."""
CROSSING = 3
"""And in the elastic buffer after it: together they are a channel's latency."""


@dataclass(frozen=True)
class Scenario:
    """A run: resets end, round trips are measured, children aligned, offsets measured, programs started and run.

    Attributes:
        topology: chips and links. ppm: of each chip's clock, against 900 MHz.
        wander: every clock's half period goes to and fro by so many fs, the first chip's by one in ``wander_edges``,
            the others' a little more slowly.
        delays: cycles on the wire of each channel, in fractions; by default 216.
        jitter_words: for how many words a packet's own delay stays, see ``wire_model.v``; 0 for none.
        late: cycles after which each chip's reset ends: HACs that differ at the beginning.
        latency: nominal L of each link, if round trips are not to be measured; 32nds are written.
        samples: of each measurement.
        aligned: whether children follow their parents. settle: thousands of cycles of alignment.
        flipped: the share of words with up to ``flips`` bits wrong meanwhile.
        cut: cycles for which all wires are cut before it, after one thousand cycles of alignment.
        offsets: whether L_eff is measured, for which as many epochs pass as it has samples.
        starts: nominal L of every link, and so what its wires take, one start after the other: each chip SENDs to its
            children, which POLL. Without them all chips DESKEW in one epoch.
        run: cycles that the programs run after that, with a RUNTIME_DESKEW of ``stall`` in every ``segment``.
        free: children do not follow their parents meanwhile.
        forced: of 256 cycles at an epoch's end, or in a RUNTIME_DESKEW, in which the HAC is stepped by chance.
    """

    topology: Topology
    ppm: Sequence[float]
    wander: int = 0
    wander_edges: int = 1000
    delays: Sequence[float] = ()
    jitter_words: int = PACKET
    late: Sequence[int] = ()
    latency: Sequence[float] = ()
    samples: int = SAMPLES
    aligned: bool = True
    settle: int = 20
    flipped: float = 0.0
    flips: int = 3
    cut: int = 0
    offsets: bool = False
    starts: Sequence[Sequence[int]] = ()
    run: int = 0
    free: bool = False
    segment: int = 0
    stall: int = 0
    forced: int = 0
    seed: int = 1

    def complete(self) -> "Scenario":
        """With what was left out: nominal delays, resets that end together."""
        delays = self.delays or [WIRE] * len(self.topology.channels)
        return replace(self, delays=delays, late=self.late or [0] * self.topology.chips)


def build(topology: Topology, sim: str, samples: int = SAMPLES) -> simulator.Build:
    """The system of a topology in a simulator. What measures little is for short runs, and is built quickly."""

    def write(folder: Path) -> Sequence[Path]:
        files: dict[str, Path] = {}
        for links in {len(topology.links_of(chip)) for chip in range(topology.chips)}:
            chip = Timekeeper(CONFIG, links, samples=samples)
            files |= {file.name: file for file in verilog.generate(CONFIG, folder / chip.module_name, chip)}
        text = system.System(topology, CONFIG.superlanes, CONFIG.hac_period, [*files.values()]).text()
        (folder / "system.v").write_text(text)
        return [*files.values(), folder / "system.v"]

    key = [topology.name, topology.links, samples]
    files = generated(f"system-{topology.name}", key, write, [Path(system.__file__), *system.MODELS])
    args = ["--timing", "-CFLAGS", "-fcoroutines"] if sim == "verilator" else []
    sources, fast = [*files, *system.MODELS], samples == SAMPLES
    return simulator.build(sim, sources, "system", args=args, timescale=("1fs", "1fs"), fast=fast)


def run(scenario: Scenario, sim: str = "verilator", again: bool = True) -> dict[str, Any]:
    """Run it; what :func:`tb.link.time_bench.time` found. If not ``again``, what an earlier run of the same Verilog in
    the same bench did."""
    built = build(scenario.topology, sim, scenario.samples)
    given = json.dumps(asdict(scenario.complete()))
    bench = [(HERE / f"{name}.py").read_text() for name in ("time_bench", "system", "rules", "scenario")]
    name = f"time-{simulator.digest([str(built.directory), bench, given])}"
    path = simulator.build_root() / "runs" / sim / name / "found.json"
    if again or not path.exists():
        path.unlink(missing_ok=True)
        simulator.run(built, "tb.link.time_bench", env={"TSP_SCENARIO": given}, directory=path.parent)
    return json.loads(path.read_text())
