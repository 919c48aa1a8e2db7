"""What differs between the golden model and the RTL, and which instruction it began with."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

import golden.machine
from tb.machine import RtlResult
from tsp import isa
from tsp.config import ChipConfig
from tsp.floorplan import floorplan
from tsp.flow import KINDS, Flow
from tsp.program import Program

MEMORY_EVENT = 0x8000
"""Added to a word's address in a memory event (docs/architecture.md, section 7)."""


@dataclasses.dataclass(frozen=True)
class Difference:
    """One thing that differs: what, what the golden model says, what the RTL says."""

    what: str
    golden: str
    rtl: str

    def __str__(self) -> str:
        return f"{self.what}: golden {self.golden}, RTL {self.rtl}"


def compare(want: golden.machine.Result, got: RtlResult, config: ChipConfig) -> list[Difference]:
    """Everything that differs after a run that should have had no fault: end, cycles, signatures, words written."""
    found = []
    if not got.done:
        found.append(Difference("end", f"done after {want.cycles} cycles", f"not done after {got.clocks} clock cycles"))
    faults = [fault_text(fault, config) for fault in (want.fault, got.fault)]
    if faults[0] != faults[1]:
        found.append(Difference("fault", *faults))
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
    found = []
    for slice_ in floorplan(config).slices:
        ours, theirs = want.tile_signatures[slice_.index], got.tile_signatures[slice_.index]
        rows = np.flatnonzero(ours != theirs).tolist()
        if rows:
            what = f"signature of {slice_.name}, superlane {', '.join(map(str, rows))}"
            found.append(Difference(what, f"{ours[rows[0]]:#018x}", f"{theirs[rows[0]]:#018x}"))
    return found


def _words(want: golden.machine.Result, got: RtlResult, config: ChipConfig) -> list[Difference]:
    found = []
    for place, image in sorted(want.written.items()):
        for address, word in zip(image.addresses.tolist(), image.words, strict=True):
            lanes = np.flatnonzero(word != got.memory[place, address])
            if len(lanes):
                lane = int(lanes[0])
                what = f"{floorplan(config).slices[place].name} word {address}, lane {lane}"
                found.append(Difference(what, str(word[lane]), str(got.memory[place, address][lane])))
    return found


def first_event(program: Program, flow: Flow, want: NDArray[np.void], got: NDArray[np.void]) -> str | None:
    """The first event, by time, that only one side has, with its instruction; None if all are equal.

    Args:
        want, got: rows of :data:`golden.trace.EVENT`.
    """
    ours, theirs = (_keys(events) for events in (want, got))
    missing, extra = ours.keys() - theirs.keys(), theirs.keys() - ours.keys()
    differ = {key for key in ours.keys() & theirs.keys() if ours[key] != theirs[key]}
    if not missing | extra | differ:
        return None
    key = min(missing | extra | differ)
    time, place, superlane, address = key
    where = f"cycle {time}: {floorplan(program.config).slices[place].name}, superlane {superlane}, {_target(address)}"
    data = f"golden {_hex(ours.get(key))}, RTL {_hex(theirs.get(key))}"
    return f"{where}: {data}; {instruction_of(program, flow, time, place, address)}"


def _keys(events: NDArray[np.void]) -> dict[tuple[int, ...], bytes]:
    names = ("time", "place", "superlane", "address")
    columns = [events[name].tolist() for name in names]
    return dict(zip(zip(*columns, strict=True), (row.tobytes() for row in events["data"]), strict=True))


def _hex(data: bytes | None) -> str:
    return "has none" if data is None else data.hex(" ")


def _target(address: int) -> str:
    return f"word {address - MEMORY_EVENT}" if address >= MEMORY_EVENT else f"stream {isa.stream_name(address)}"


def instruction_of(program: Program, flow: Flow, time: int, place: int, address: int) -> str:
    """The instruction of the golden model that an event belongs to."""
    if address >= MEMORY_EVENT:
        rows = flow.stores.place == place
        rows &= (flow.stores.address == address - MEMORY_EVENT) & (flow.reads.time[flow.stores.read] == time)
        issues = flow.stores.issue[rows]
    else:
        rows = (flow.issues.place[flow.drives.issue] == place) & (flow.drives.stream == address)
        issues = flow.drives.issue[rows & (flow.drives.time == time)]
    if not len(issues):
        return "no instruction of the program makes this event"
    burst = flow.issues.bursts[int(flow.issues.burst[issues[0]])]
    fields = ", ".join(f"{name}={value}" for name, value in burst.instruction.values.items())
    return f"{program.where(burst.queue, burst.index)}: {burst.instruction.mnemonic} {fields}"


def worst(differences: Sequence[Difference], limit: int = 4) -> list[str]:
    """The first few differences, as lines."""
    lines = [str(difference) for difference in differences[:limit]]
    return lines + ([f"and {len(differences) - limit} more"] if len(differences) > limit else [])
