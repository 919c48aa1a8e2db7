"""What queue words come to: the bursts, control instructions, fetches and mistakes that :mod:`tsp.dispatch` finds."""

import dataclasses

from tsp import isa
from tsp.config import ChipConfig
from tsp.power import Power


@dataclasses.dataclass(frozen=True)
class Burst:
    """``count`` issues of one instruction: at ``start``, ``start + interval``, …

    Issue i has its address operands moved by i · (step_a, step_b). ``index`` is the instruction's word in its queue (a
    REPEAT's is index + 1).
    """

    queue: int
    index: int
    start: int
    count: int
    interval: int
    instruction: isa.Instruction
    step_a: int = 0
    step_b: int = 0

    @property
    def end(self) -> int:
        """Cycle after the last issue."""
        return self.start + (self.count - 1) * self.interval + 1


@dataclasses.dataclass(frozen=True)
class Mistake:
    """Something the dispatcher met that no legal program has.

    ``kind``: ``illegal`` (the machine skips the word in one cycle and latches a fault), ``step`` (a REPEAT leaves its
    range: the machine skips that issue and latches a fault), ``dry`` (a word that an IFETCH brings is not there yet),
    ``path`` (words of two IFETCHes of a site meet on their way), ``sync`` (a SYNC nobody releases), ``notify`` (two
    within one barrier latency).
    """

    kind: str
    queue: int
    index: int
    cycle: int
    reason: str


@dataclasses.dataclass(frozen=True)
class Fetch:
    """An IFETCH: it reads vectors in the cycles ``cycle`` … ``cycle + vectors - 1``, and they are ``words`` words."""

    queue: int
    index: int
    cycle: int
    vectors: int
    words: int

    @property
    def key(self) -> tuple[int, int]:
        """What names it in a program."""
        return self.queue, self.index


@dataclasses.dataclass
class Control:
    """A control instruction that was issued: SYNC, NOTIFY, CONFIG, DESKEW, RUNTIME_DESKEW or POLL."""

    queue: int
    index: int
    cycle: int
    mnemonic: str
    t: int = 0
    p: int = 0
    link: int = 0
    """Of a POLL, in its hemisphere."""
    resume: int | None = None
    """Cycle of the queue's next instruction; None for a SYNC that is never released."""


@dataclasses.dataclass
class Unrolled:
    """Everything that a program's queues issue, in architectural time."""

    bursts: list[Burst]
    controls: list[Control]
    mistakes: list[Mistake]
    ends: dict[int, int]
    """Queue → first cycle in which it has nothing left (absent if it never gets there)."""
    words: dict[int, list[int]]
    """Queue → its words, those fetched among them."""
    fetches: list[Fetch]
    unknown: list[Fetch]
    """Those of the fetches whose words were not given: their queues were followed to the last known word."""
    reached: dict[int, int] = dataclasses.field(default_factory=dict)
    """Queue → the cycle to which it was followed: a word that is not known dispatches then or later."""

    @classmethod
    def nothing(cls) -> "Unrolled":
        """That of no queue."""
        return cls([], [], [], {}, {}, [], [])

    def add(self, other: "Unrolled") -> None:
        """Append what another queue issues; ``words`` and ``unknown`` are left out."""
        self.bursts += other.bursts
        self.controls += other.controls
        self.mistakes += other.mistakes
        self.fetches += other.fetches
        self.ends |= other.ends
        self.reached |= other.reached

    def power(self, config: ChipConfig) -> Power:
        """How many superlanes are powered when."""
        return Power.of([(c.cycle, c.p) for c in self.controls if c.mnemonic == "CONFIG"], config)
