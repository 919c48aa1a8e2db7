"""Instructions of one queue at absolute cycles, in any order: the builder's view of a queue."""

import bisect
import dataclasses

from tsp.errors import InputError
from tsp.floorplan import Queue


@dataclasses.dataclass(frozen=True)
class Entry:
    """Words that stay together (an instruction and its REPEAT), taking the queue from ``start`` to before ``end``."""

    start: int
    end: int
    words: tuple[int, ...]
    text: str
    line: int = 0


class Placement:
    """A queue's entries in order of their cycles; no two at once."""

    def __init__(self, queue: Queue):
        self.queue = queue
        self.entries: list[Entry] = []

    def add(self, entry: Entry) -> None:
        """Put an entry where its cycles say; InputError if it begins before cycle 0 or meets another."""
        where = f"queue {self.queue.name}: '{entry.text}'"
        if entry.start < 0:
            raise InputError(f"{where} would dispatch in cycle {entry.start}; the first cycle is 0")
        i = bisect.bisect(self.entries, entry.start, key=lambda other: other.start)
        for other in self.entries[max(i - 1, 0) : i + 1]:
            if entry.start < other.end and other.start < entry.end:
                line = f" (line {other.line})" if other.line else ""
                raise InputError(
                    f"{where} takes cycles {entry.start}…{entry.end - 1}, but '{other.text}'{line} takes "
                    f"{other.start}…{other.end - 1}; free from cycle {self.free(entry.start, entry.end - entry.start)}"
                )
        self.entries.insert(i, entry)

    def free(self, at: int, length: int) -> int:
        """The first cycle from ``at`` on with ``length`` free ones."""
        for entry in self.entries:
            if entry.end <= at:
                continue
            if at + length <= entry.start:
                break
            at = entry.end
        return at
