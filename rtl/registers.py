"""Registers that share their enable and reset, written as one ``always`` block.

yosys writes a block for every register. Whoever reads them looks for what is loaded together; Icarus wakes every block
in every cycle: random programs on a small chip took 2.7 times as long.
"""

import re

_BLOCK = re.compile(r"^  always @\(posedge clk\)\n((?: {4,}.*\n)+)", re.MULTILINE)
_CONDITION = r"(?:else )?if \([^()]*\)|else(?![\w$])|"
_TARGET = r"(?:\\\S+ |\w+ ?)(?:\[[\d:]+\] ?)?"
_LINE = re.compile(rf"^( +)({_CONDITION}) ?({_TARGET} *<= .*;)?$")

_Shape = tuple[tuple[str, str, bool], ...]
"""Of each line of a block its indentation, its condition and whether it has an assignment."""


def grouped(text: str) -> str:
    """A module as yosys writes it, with one block for all registers of equal conditions.

    A block stands where the last of its registers did, so that every one is declared before. As all assignments are
    non-blocking, their order is nothing to anyone.
    """
    shapes: dict[_Shape, list[list[str]]] = {}
    for block in _BLOCK.finditer(text):
        if parsed := _parse(block[1]):
            shapes.setdefault(parsed[0], []).append(parsed[1])
    left = {shape: len(blocks) for shape, blocks in shapes.items()}

    def place(block: re.Match[str]) -> str:
        parsed = _parse(block[1])
        if not parsed:
            return block[0]
        shape = parsed[0]
        left[shape] -= 1
        return "" if left[shape] else _written(shape, shapes[shape])

    return _BLOCK.sub(place, text)


def _parse(body: str) -> tuple[_Shape, list[str]] | None:
    """A block's shape and its assignments, a line each; None for a block that is not of registers alone."""
    shape, assignments = [], []
    for line in body.splitlines():
        found = _LINE.match(line)
        if not found:
            return None
        shape.append((found[1], found[2], found[3] is not None))
        assignments.append(found[3] or "")
    return tuple(shape), assignments


def _written(shape: _Shape, blocks: list[list[str]]) -> str:
    """One block of several with the same shape."""
    several, lines = len(blocks) > 1, ["  always @(posedge clk)"]
    for position, (indent, condition, assigns) in enumerate(shape):
        statements = [block[position] for block in blocks]
        if several and assigns and not condition:
            lines[-1] += " begin"
            lines += [f"    {statement}" for statement in statements] + ["  end"]
        elif several and assigns:
            joined = condition.startswith("else") and lines[-1] == f"{indent}end"
            lines[-1:] = [f"{lines[-1]} {condition} begin"] if joined else [lines[-1], f"{indent}{condition} begin"]
            lines += [f"{indent}  {statement}" for statement in statements] + [f"{indent}end"]
        else:
            lines.append(f"{indent}{condition} {statements[0]}".rstrip() if condition else indent + statements[0])
    return "\n".join(lines) + "\n"
