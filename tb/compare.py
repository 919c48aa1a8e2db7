"""What differs between the golden model and the RTL, and which instruction it began with."""

import dataclasses
from collections.abc import Sequence

import numpy as np

import golden.machine
from tb.machine import RtlResult
from tsp import isa
from tsp.config import ChipConfig
from tsp.floorplan import floorplan
from tsp.flow import KINDS
from tsp.program import Program


@dataclasses.dataclass(frozen=True)
class Difference:
    """One thing that differs: what, what the golden model says, what the RTL says."""

    what: str
    golden: str
    rtl: str

    def __str__(self) -> str:
        return f"{self.what}: golden {self.golden}, RTL {self.rtl}"


def compare(want: golden.machine.Result, got: RtlResult, config: ChipConfig) -> list[Difference]:
    """Everything that differs after a run: its end and fault; without one cycles, counts, signatures, words written."""
    found = []
    if not got.done:
        found.append(Difference("end", f"done after {want.cycles} cycles", f"not done after {got.clocks} clock cycles"))
    faults = [fault_text(fault, config) for fault in (want.fault, got.fault)]
    if faults[0] != faults[1]:
        found.append(Difference("fault", *faults))
    if want.fault is not None or not got.done:
        return found  # what comes after a fault is not defined, and a chip that runs does not show its memory
    if got.corrected != want.corrected:
        found.append(Difference("words corrected", str(want.corrected), str(got.corrected)))
    if got.cycles != want.cycles:
        found.append(Difference("cycles", str(want.cycles), str(got.cycles)))
    return found + _signatures(want, got, config) + _words(want, got, config)


def fault_text(fault: object, config: ChipConfig) -> str:
    """``collision in cycle 12 by mem.e3``, or ``none``."""
    if fault is None:
        return "none"
    cycle, queue, kind = (int(getattr(fault, name)) for name in ("cycle", "queue", "kind"))
    queues = floorplan(config).queues
    name = queues[queue].name if queue < len(queues) else "no queue"
    return f"{KINDS.get(kind, f'kind {kind}')} in cycle {cycle} by {name}"


def _signatures(want: golden.machine.Result, got: RtlResult, config: ChipConfig) -> list[Difference]:
    if want.tile_signatures is None:
        return []
    found: dict[int, Difference] = {}
    for place, superlane in signature_places(want, got):
        what = f"signature of {floorplan(config).slices[place].name}, superlane {superlane}"
        ours, theirs = (f"{side.tile_signatures[place, superlane]:#018x}" for side in (want, got))
        found.setdefault(place, Difference(what, ours, theirs))
    return list(found.values())


def _words(want: golden.machine.Result, got: RtlResult, config: ChipConfig) -> list[Difference]:
    found = []
    for place, image in sorted(want.written.items()):
        for address, word in zip(image.addresses.tolist(), image.words, strict=True):
            what = f"{floorplan(config).slices[place].name} word {address}"
            theirs = got.memory.get((place, address))
            if theirs is None:
                found.append(Difference(what, word.tobytes().hex(" "), "undefined"))
            elif not np.array_equal(word, theirs):
                lane = int(np.flatnonzero(word != theirs)[0])
                found.append(Difference(f"{what}, lane {lane}", str(word[lane]), str(theirs[lane])))
    return found


def signature_places(want: golden.machine.Result, got: RtlResult) -> list[tuple[int, int]]:
    """(slice, superlane) of the tiles whose signatures differ."""
    if want.tile_signatures is None:
        return []
    rows = np.argwhere(want.tile_signatures != got.tile_signatures)
    return [(int(place), int(superlane)) for place, superlane in rows]


def event_text(program: Program, want: golden.machine.Result, issue: int) -> str:
    """An issue of a program (a row of its flow's issues): its instruction, and the events it should make."""
    flow = want.flow
    burst = flow.issues.bursts[int(flow.issues.burst[issue])]
    fields = ", ".join(f"{name}={value}" for name, value in burst.instruction.values.items())
    where = f"{program.where(burst.queue, burst.index)} in cycle {int(flow.issues.time[issue])}"
    text = f"{where}: {burst.instruction.mnemonic} {fields}"
    for row in np.flatnonzero(flow.drives.issue == issue).tolist():
        text += f"; {isa.stream_name(int(flow.drives.stream[row]))} in cycle {int(flow.drives.time[row])}"
    for row in np.flatnonzero(flow.stores.issue == issue).tolist():
        text += f"; word {int(flow.stores.address[row])} in cycle {int(flow.reads.time[flow.stores.read[row]])}"
    return text


def worst(differences: Sequence[Difference], limit: int = 4) -> list[str]:
    """The first few differences, as lines."""
    lines = [str(difference) for difference in differences[:limit]]
    return lines + ([f"and {len(differences) - limit} more"] if len(differences) > limit else [])
