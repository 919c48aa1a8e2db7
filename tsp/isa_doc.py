"""``docs/isa.md`` from :mod:`tsp.isa`: ``python -m tsp.isa_doc`` prints it, with a file's name it writes that."""

import sys
from collections.abc import Iterator
from pathlib import Path

from tsp import isa, isa_rules
from tsp.files import write_atomic

_INTRODUCTION = """\
# Instruction words

Generated from `tsp/isa.py` by `python -m tsp.isa_doc docs/isa.md`; do not edit. What the instructions do stands in
[architecture.md](architecture.md), how they are written in [programming.md](programming.md).

A word has 128 bits; bit 0 is the least significant. Bits 7…0 hold the opcode. Bits that no field names are zero. Signed
fields are two's complement.

## Operand kinds

| kind | meaning |
|---|---|
| stream | bits 4…0 index, bit 5 direction (0 eastward, 1 westward), bits 7…6 zero; a group of n begins at a multiple |
| count | 1…65535; n of an IFETCH 1…{fetched} where `superlanes` > 1 |
| number | 0…65535 |
| signed | −32768…32767 |
| mem_address | 0…`mem_words` − 1 |
| acc_row | 0…`acc_depth` − 1 |
| supercell | 0…`superlanes` − 1 |
| immediate | 32 bits |
| type | {types}; the last two with feature `vxm_float` |
| kind | {kinds} |
| source | stream operand if the kind is stream, row of the stage before if it is alu |
| mode | {modes} |
| way | {ways} |
| lanes | 0…16 · `superlanes` |
| rotation | {rotations} |
| powered | 1…`superlanes` |
| link | 0…`links_w` − 1 in western queues, 0…`links_e` − 1 in eastern ones |
| flag | 0 or 1 |

`float` says what an ALU computes in, and with it which types are legal: [float.md](float.md). `stream` counts only when
`to_stream` or `out` is 1, `select` only when `selects` is; a type belongs to its stream. Fields that do not count are
ignored. REPEAT adds `step_a` to bits 23…8 and `step_b` to bits 39…24 of the instruction it repeats.
"""


def document() -> str:
    """The whole text."""

    def numbered(values: Iterator[tuple[int, str]]) -> str:
        return ", ".join(f"{value} {name.lower()}" for value, name in values)

    text = _INTRODUCTION.format(
        fetched=isa_rules.FETCHED_VECTORS,
        types=numbered((int(t), t.name) for t in isa.Type),
        kinds=numbered((int(k), k.name) for k in isa.OperandKind),
        modes=numbered((int(m), m.name) for m in isa.AccMode),
        ways=numbered((int(w), w.name) for w in isa.Way),
        rotations=" or ".join(map(str, range(isa.ROTATIONS[0], isa.ROTATIONS[1] + 1))),
    )
    return "\n".join([text, *_summary(), *_layouts()])


def _summary() -> Iterator[str]:
    yield from ("## Operations", "", "| opcode | operation | queues | repeats | does |", "|---|---|---|---|---|")
    for op in isa.OPERATIONS:
        queues = "all" if op.queues == isa.QUEUE_KINDS else ", ".join(op.queues)
        summary = op.summary.replace("|", "\\|")
        repeats = "yes" if op.repeatable else ""
        yield f"| {op.opcode:#04x} | `{op.mnemonic}` | {queues} | {repeats} | {summary} |"
    yield ""


def _layouts() -> Iterator[str]:
    """One table for each layout, naming the operations that share it."""
    yield from ("## Layouts", "")
    shared: dict[tuple[isa.Field, ...], list[str]] = {}
    for op in isa.OPERATIONS:
        shared.setdefault(op.fields, []).append(op.mnemonic)
    for fields, mnemonics in shared.items():
        yield from ("### " + ", ".join(mnemonics), "")
        if not fields:
            yield from ("The opcode alone.", "")
            continue
        yield from ("| bits | field | kind |", "|---|---|---|")
        for field in sorted(fields, key=lambda field: field.lo):
            high = field.lo + field.width - 1
            bits = f"{high}…{field.lo}" if field.width > 1 else f"{field.lo}"
            kind = field.kind if field.group == 1 else f"{field.kind}, group of {field.group}"
            yield f"| {bits} | {field.name} | {kind} |"
        yield ""


def main() -> None:
    """Print the document, or write it to the file named on the command line."""
    if len(sys.argv) > 1:
        write_atomic(Path(sys.argv[1]), document().encode())
    else:
        print(document(), end="")


if __name__ == "__main__":
    main()
