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
    Kind("WRITE", "w", "#23803f"),
    Kind("READ & WRITE", "b", "#46a05f"),
    Kind("GATHER", "g", "#719a2a"),
    Kind("SCATTER", "s", "#8c8f1f"),
    Kind("ALU, integers", "a", "#c98416"),
    Kind("ALU, floats", "f", "#d96a2b"),
    Kind("LW", "l", "#9a86e8"),
    Kind("IW", "i", "#7d55d6"),
    Kind("LW & IW", "j", "#b07be0"),
    Kind("ABC", "m", "#4c6fe0"),
    Kind("ABC of fp16", "h", "#2f86c9"),
    Kind("ACC", "+", "#5f97e6"),
    Kind("PERMUTE", "p", "#d0568f"),
    Kind("DISTRIBUTE", "d", "#e0709f"),
    Kind("TRANSPOSE", "t", "#bb4181"),
    Kind("SHIFT", "u", "#bb6fc7"),
    Kind("ROTATE", "o", "#9d52b5"),
    Kind("SEND", ">", "#a3563f"),
    Kind("RECEIVE", "<", "#c77a5c"),
    Kind("IFETCH", "F", "#7f8c99", True),
    Kind("SYNC", "S", "#66727e", True),
    Kind("NOTIFY", "N", "#a68b00", True),
    Kind("CONFIG", "C", "#1f9fc4", True),
    Kind("DESKEW", "D", "#3f7f9f", True),
    Kind("RUNTIME_DESKEW", "R", "#5f9dbb", True),
    Kind("POLL", "P", "#2c6ea3", True),
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
