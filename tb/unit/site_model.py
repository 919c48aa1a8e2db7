"""What every site must show, whatever its unit: SRs, the north path, fault pulses, events."""

from tb.unit.site import COLLISION, Event, Fault, Row, Shown
from tsp.config import ChipConfig
from tsp.isa import Instruction

Drive = tuple[int, int, int | None]
"""Queue, stream operand, vector."""


class SiteModel:
    """The SRs of a site, its fault pulses and its events. A unit's model adds what its instructions do."""

    passes = True
    """Whether streams that arrive leave on the other side; at the edge of the chip they do not."""

    def __init__(self, config: ChipConfig, first_time: int):
        self.config = config
        self.time = first_time
        """T of the next cycle; counts beyond 32 bits."""
        self.events: list[Event] = []
        self._registers: dict[int, int | None] = {}
        self._north: dict[int, int] = {}
        self._driving: list[Drive] = []
        self._drives: list[Drive] = []
        self._faults: dict[int, set[Fault]] = {}
        self.wrote = False

    def legal(self, row: Row, queue: int, instruction: Instruction) -> bool:
        """Whether this instruction, beside those of the row, makes no fault and reads nothing undefined."""
        raise NotImplementedError

    def obey(self, row: Row) -> None:
        """Do what the instructions of this cycle say."""
        raise NotImplementedError

    def drive(self, queue: int, operand: int, word: int | None) -> None:
        """An instruction of this cycle puts a vector on a stream: in the SR at T + 2."""
        self._drives.append((queue, operand, word))

    def fault(self, queue: int, kind: int, cycle: int | None = None) -> None:
        """A fault of ``cycle``, by default this one."""
        self._faults.setdefault(self.time if cycle is None else cycle, set()).add((queue, kind))

    def event(self, time: int, slice_: int, address: int, word: int | None) -> None:
        """Note an event; after a fault, what it moves may be undefined."""
        self.events.append(Event(time, slice_, address, word or 0))

    def step(self, row: Row) -> Shown:
        """One cycle: what is shown in it."""
        self.wrote = False
        self.obey(row)
        fault = min(self._faults.pop(self.time - 1, ()), default=None)
        shown = Shown(self._registers, self._north, fault, bool(self._driving), self.wrote)
        self._registers = (dict(row.arrivals) if self.passes else {}) | self._driven()
        self._driving, self._drives = self._drives, []
        self._north = dict(row.instructions)
        self.time += 1
        return shown

    def _driven(self) -> dict[int, int | None]:
        """Words of the last cycle's instructions, which are in the SR in the next one."""
        found: dict[int, int | None] = {}
        for queue, operand, word in self._driving:
            others = [q for q, o, _ in self._driving if o == operand and q != queue]
            if others:
                self.fault(queue, COLLISION, self.time + 1)
            found[operand] = None if others else word
        return found
