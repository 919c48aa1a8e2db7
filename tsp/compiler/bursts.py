"""What a schedule consists of."""

import dataclasses
from typing import Any

from tsp.compiler.passes import PREVIOUS, Operand, Step
from tsp.isa import FLOAT_TYPES, Type


@dataclasses.dataclass(frozen=True)
class Burst:
    """An instruction that issues ``count`` times, a cycle apart or as its argument ``every`` says: a call of
    :class:`tsp.builder.Builder`'s method."""

    method: str
    queue: str
    at: int
    count: int
    arguments: tuple[tuple[str, Any], ...]
    number: int
    """Of the pass it is of, from 1 on."""

    @property
    def cycles(self) -> int:
        """From its first issue to its last."""
        every: int = dict(self.arguments).get("every", 1)
        return (self.count - 1) * every + 1

    def __str__(self) -> str:
        times = f" ×{self.count}" if self.count > 1 else ""
        values = " ".join(f"{name}={value}" for name, value in self.arguments)
        return f"{self.at:6} {self.queue:20} {self.method}{times} {values}"


def named(type_: Type, is_float: bool) -> str:
    """What an instruction that takes or makes floats, or integers, calls elements in memory: 32 bits may be either."""
    other = {Type.INT32: Type.FP32, Type.FP32: Type.INT32}
    return (other.get(type_, type_) if (type_ in FLOAT_TYPES) != is_float else type_).name.lower()


def spell(operand: Operand, step: Step, before: str) -> str:
    """A number, or the row of the ALU before."""
    if operand == PREVIOUS:
        row = before.removeprefix("vxm.r").partition("s")[0]
        return f"r{row}:fp32" if step.from_float else f"r{row}"
    assert isinstance(operand, int | float)
    return f"#{float(operand)!r}" if step.from_float else f"#{operand}"
