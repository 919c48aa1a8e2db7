"""What a schedule consists of."""

import dataclasses
from typing import Any

from tsp.compiler.passes import PREVIOUS, Operand, Step


@dataclasses.dataclass(frozen=True)
class Burst:
    """An instruction that issues ``count`` times, a cycle apart: a call of :class:`tsp.builder.Builder`'s method."""

    method: str
    queue: str
    at: int
    count: int
    arguments: tuple[tuple[str, Any], ...]
    number: int
    """Of the pass it is of, from 1 on."""

    def __str__(self) -> str:
        times = f" ×{self.count}" if self.count > 1 else ""
        values = " ".join(f"{name}={value}" for name, value in self.arguments)
        return f"{self.at:6} {self.queue:20} {self.method}{times} {values}"


def spell(operand: Operand, step: Step, before: str) -> str:
    """A number, or the row of the ALU before."""
    if operand == PREVIOUS:
        row = before.removeprefix("vxm.r").partition("s")[0]
        return f"r{row}:fp32" if step.from_float else f"r{row}"
    assert isinstance(operand, int | float)
    return f"#{float(operand)!r}" if step.from_float else f"#{operand}"
