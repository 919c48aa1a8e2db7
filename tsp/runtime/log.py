"""What a runtime did, step by step."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from rich.table import Table


@dataclasses.dataclass(frozen=True)
class Step:
    """A step of the runtime.

    Attributes:
        attempt: its number, from 1 on, over the whole run.
        what: ``align``, ``run``, ``detour`` or ``replace``.
        ok: whether it did what it should.
        text: what was found.
    """

    attempt: int
    what: str
    ok: bool
    text: str

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return dataclasses.asdict(self)


def table(steps: Sequence[Step]) -> Table:
    """A row for each step."""
    found = Table("attempt", "step", "right", "what was found")
    found.columns[0].justify = "right"
    for step in steps:
        found.add_row(str(step.attempt), step.what, "yes" if step.ok else "no", step.text)
    return found
