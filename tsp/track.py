"""The words of one queue as they are laid down, with the cycle each dispatches in."""

import dataclasses

from tsp import isa, isa_rules
from tsp.config import ChipConfig
from tsp.encoding import cost
from tsp.errors import InputError
from tsp.floorplan import Queue
from tsp.timing import timing

_FETCHED_WORDS = 1 << 20
"""Most words of a queue of which a part lies in memory."""
NOP_MAX = (1 << isa.BY_MNEMONIC["NOP"].field("n").width) - 1


@dataclasses.dataclass
class Track:
    """One queue being filled.

    Attributes:
        words: the words so far; never more than the queue holds.
        lines: source line of each word, 0 for inserted NOPs.
        cycle: earliest dispatch cycle of the next word, counted from the start or, after a SYNC, from its release.
    """

    queue: Queue
    config: ChipConfig
    words: list[int] = dataclasses.field(default_factory=list)
    lines: list[int] = dataclasses.field(default_factory=list)
    cycle: int = 0
    last: isa.Instruction | None = None
    """The instruction before, as far as a REPEAT may look: None at the beginning and after an illegal word."""
    full: bool = False
    """A word did not fit; every later one would not, either."""
    parts: list[tuple[int, str]] = dataclasses.field(default_factory=list)
    """(number of the first word, symbol) of the parts that IFETCHes bring from memory."""
    _first: str = ""
    """Symbol of the first part, before its first word."""
    long: bool = False
    """Most of its words are to lie in memory."""
    lost: bool = False
    """A word is missing because it was wrong: what comes next is not blamed for what it follows."""

    def append(self, word: int, line: int = 0, at: int | None = None, raw: bool = False) -> None:
        """Add a word, in cycle ``at`` if given; InputError if that is past, the queue full or (unless ``raw``) a REPEAT
        illegal."""
        instruction = isa.decode(word) if isa_rules.broken_rule(word, self.queue, self.config) is None else None
        if instruction is not None and instruction.mnemonic == "REPEAT" and not self._may_repeat():
            if not raw and not self.lost:
                self._refuse_repeat()
            instruction = None
        if instruction is not None and instruction.mnemonic == "REPEAT" and at is not None:
            raise InputError("a REPEAT takes no @cycle: it belongs to the instruction before it")
        if at is not None:
            self._advance(at)
        if self._first:
            self.parts, self._first = [(len(self.words), self._first)], ""
        self._push(word, line)
        if instruction is not None and instruction.mnemonic == "SYNC":
            self.cycle = 0
        else:
            self.cycle += 1 if instruction is None else self._cost(instruction)
        self.last, self.lost = instruction, False

    def _cost(self, instruction: isa.Instruction) -> int:
        table = timing(self.config)
        extra = dict.fromkeys(isa.WAITS, table.deskew - 1) | {"RUNTIME_DESKEW": table.runtime_deskew - 1}
        return cost(instruction) + extra.get(instruction.mnemonic, 0)

    def _may_repeat(self) -> bool:
        return self.last is not None and self.last.operation.repeatable

    def _refuse_repeat(self) -> None:
        before = self.last.mnemonic if self.last else "nothing that can repeat"
        raise InputError(f"queue {self.queue.name}: REPEAT follows {before}; it must follow a slice's instruction")

    def _advance(self, at: int) -> None:
        if at < self.cycle:
            raise InputError(
                f"queue {self.queue.name} cannot dispatch in cycle {at}, the earliest free cycle is {self.cycle}"
            )
        for n in nops(at - self.cycle, self._room()):
            self._push(isa.instruction("NOP", n=n).encode(), 0)
        self.cycle = at

    def fetched(self, symbol: str) -> None:
        """What follows lies in memory; NOPs before the first word that does are there from the start. An earlier part
        is filled up with ``NOP 1`` to what IFETCHes of pairs of vectors bring."""
        if self.parts:
            for _ in range(-(len(self.words) - self.parts[-1][0]) % (2 * self.config.superlanes)):
                self.append(isa.instruction("NOP", n=1).encode())
            self.parts.append((len(self.words), symbol))
        else:
            self._first = symbol

    def split(self) -> tuple[list[int], dict[str, list[int]]]:
        """(the words that are there from the start, those of each part)."""
        ends = [*(start for start, _ in self.parts), len(self.words)]
        parts = {name: self.words[start:end] for (start, name), end in zip(self.parts, ends[1:], strict=True)}
        return self.words[: ends[0]], parts

    def _room(self) -> int:
        return (_FETCHED_WORDS if self.parts or self.long else self.config.queue_depth) - len(self.words)

    def _push(self, word: int, line: int) -> None:
        if self._room() <= 0:
            self.full = True
            depth = self.config.queue_depth
            raise InputError(
                f"queue {self.queue.name} is full: queue_depth is {depth} words; use REPEAT, or set it higher"
            )
        self.words.append(word)
        self.lines.append(line)


def nops(cycles: int, room: int) -> list[int]:
    """Counts of the NOPs that take so many cycles; at most ``room`` + 1 of them, which is already too many."""
    count = min(-(-cycles // NOP_MAX), room + 1)
    return [min(NOP_MAX, cycles - i * NOP_MAX) for i in range(count)]
