"""The kinds of operations a timeline tells apart, and how each looks."""

from typing import NamedTuple

from tsp import isa


class Kind(NamedTuple):
    """``letter`` stands for it in the terminal, ``colour`` (#rrggbb) everywhere; ``control``: the ICU does it, not the
    unit that the queue commands."""

    name: str
    letter: str
    colour: str
    control: bool = False


KINDS = (
    Kind("READ", "r", "#2a9d8f"),
    Kind("WRITE", "w", "#1c7048"),
    Kind("READ & WRITE", "b", "#62c09c"),
    Kind("GATHER", "g", "#93c13e"),
    Kind("SCATTER", "s", "#5f8f1f"),
    Kind("ALU, integers", "a", "#e9a23b"),
    Kind("ALU, floats", "f", "#d96a2b"),
    Kind("LW", "l", "#9a86e8"),
    Kind("IW", "i", "#6a3fc4"),
    Kind("LW & IW", "j", "#c3b5f5"),
    Kind("ABC", "m", "#4c6fe0"),
    Kind("ABC of fp16", "h", "#2f45a8"),
    Kind("ACC", "+", "#7fb0f2"),
    Kind("PERMUTE", "p", "#d0568f"),
    Kind("DISTRIBUTE", "d", "#eb93bb"),
    Kind("TRANSPOSE", "t", "#a8326f"),
    Kind("SHIFT", "u", "#c77fd0"),
    Kind("ROTATE", "o", "#8a3fa0"),
    Kind("IFETCH", "F", "#8d99a5", True),
    Kind("SYNC", "S", "#66727e", True),
    Kind("NOTIFY", "N", "#c2a300", True),
    Kind("CONFIG", "C", "#1f9fc4", True),
    Kind("DESKEW", "D", "#4f8ba8", True),
    Kind("RUNTIME_DESKEW", "R", "#76aec9", True),
    Kind("illegal", "!", "#e03131", True),
)
"""In the order of the legend; of equally many in one column of the terminal the first is shown."""
NUMBERS = {kind.name: number for number, kind in enumerate(KINDS)}
_NAMES = {"READ_WRITE": "READ & WRITE", "LW_IW": "LW & IW", "ABC_FP16": "ABC of fp16"}


def number_of(instruction: isa.Instruction) -> int:
    """The kind of an instruction that is issued, as a row of :data:`KINDS`."""
    if instruction.operation.arity:
        return NUMBERS["ALU, floats" if instruction["float"] else "ALU, integers"]
    return NUMBERS[_NAMES.get(instruction.mnemonic, instruction.mnemonic)]
