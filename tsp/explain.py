"""What each part of a compiled program costs, and what bounds it: read from the program alone."""

import dataclasses
import re
from collections import Counter, defaultdict
from typing import Any

from rich.table import Table

from tsp.dispatch import Burst
from tsp.errors import InputError, counted
from tsp.floorplan import floorplan
from tsp.flow.fetch import expand_program
from tsp.program import Program

MOSTLY = 0.8
"""Share of its span from which on a thing that a pass is busy with bounds it."""


@dataclasses.dataclass(frozen=True)
class Part:
    """A pass: a source line of a compiled program.

    Attributes:
        text: what it computes.
        first, last: cycles of its first and last dispatch.
        products, loads: cycles in which its planes multiply, and in which they take weights.
        alus: cycles in which its ALUs work, over all of them.
        accesses: cycles in which the memory slice that it uses most reads or writes.
        planes, units: names of the planes and ALUs that it uses.
    """

    text: str
    first: int
    last: int
    products: int
    loads: int
    alus: int
    accesses: int
    planes: tuple[str, ...]
    units: tuple[str, ...]

    @property
    def cycles(self) -> int:
        return self.last - self.first + 1

    @property
    def bound(self) -> str:
        """What it is busy with in most of its cycles; latency if nothing. Weights come on all streams that planes have
        for them; memory is a slice, which reads or writes once in a cycle."""
        of_planes = self.cycles * max(1, len(self.planes))
        busy = {"products": self.products / of_planes, "weights": self.loads / of_planes}
        if not self.planes:
            busy = {"rows": self.alus / max(1, len(self.units)) / self.cycles}
        busy["memory"] = self.accesses / self.cycles
        name = max(busy, key=lambda kind: busy[kind])
        return name if busy[name] >= MOSTLY else "latency"

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self) | {"cycles": self.cycles, "bound": self.bound}


def explain(program: Program) -> list[Part]:
    """Its passes in the order of their first cycles. InputError for a program that was not compiled."""
    return sorted(explain_lines(program).values(), key=lambda part: (part.first, part.last))


def by_layer(parts: list[Part]) -> list[Part]:
    """The passes of a layer as one part, which is called what they are made for: a node of the model, or a tensor of
    the graph. Its cycles are those from its first dispatch to its last."""
    found: dict[str, list[Part]] = defaultdict(list)
    for part in parts:
        found[_layer(part.text)].append(part)
    return [_joined(layer, passes) for layer, passes in found.items()]


def _layer(text: str) -> str:
    """Of ``node:tensor_0.1 rows 0…7: …`` the node, of ``tensor_0.kind.2.1 rows 0…7: …`` the tensor."""
    tensor = re.split(r"\.\d+ rows \d+", text, maxsplit=1)[0]
    node, colon, _ = tensor.rpartition(":")
    return node if colon else tensor.partition(".")[0]


def _joined(layer: str, parts: list[Part]) -> Part:
    def total(kind: str) -> int:
        return sum(getattr(part, kind) for part in parts)

    def names(kind: str) -> tuple[str, ...]:
        return tuple(sorted({name for part in parts for name in getattr(part, kind)}))

    return Part(
        f"{layer} ({'1 pass' if len(parts) == 1 else f'{len(parts)} passes'})", min(part.first for part in parts),
        max(part.last for part in parts), total("products"), total("loads"), total("alus"), total("accesses"),
        names("planes"), names("units"),
    )  # fmt: skip


def explain_lines(program: Program) -> dict[int, Part]:
    """Its passes by their source lines. InputError for a program that was not compiled."""
    if not program.tensors:
        raise InputError("the program was not compiled from a network; tsp timeline shows any program")
    queues = floorplan(program.config).queues
    found: dict[int, list[tuple[str, Burst]]] = defaultdict(list)
    for burst in expand_program(program).bursts:
        line = program.source.lines.get((burst.queue, burst.index), 0)
        found[line].append((queues[burst.queue].name, burst))
    return {line: _part(program.source.text.get(line, "?"), bursts) for line, bursts in found.items()}


def _part(text: str, bursts: list[tuple[str, Burst]]) -> Part:
    def cycles(kind: str, *mnemonics: str) -> int:
        return sum(
            b.count for name, b in bursts if kind in name and (not mnemonics or b.instruction.mnemonic in mnemonics)
        )

    planes = sorted({name.rpartition(".")[0] for name, _ in bursts if name.startswith("mxm")})
    units = sorted({name for name, _ in bursts if name.startswith("vxm")})
    slices = Counter[str]()
    for name, burst in bursts:
        if name.startswith("mem"):
            slices[name] += burst.count
    return Part(
        text, min(b.start for _, b in bursts), max(b.end for _, b in bursts) - 1, cycles(".activations"),
        cycles(".weights", "LW", "LW_IW"), cycles("vxm."), max(slices.values(), default=0),
        tuple(planes), tuple(units),
    )  # fmt: skip


def table(parts: list[Part], program: Program) -> Table:
    """A row per pass, and the planes' share of the whole. What does not fit in a line goes on in the next."""
    found = Table("cycles", "from", "products", "weights", "bound by", "where", "what")
    found.columns[-1].overflow = "fold"
    for column in found.columns[:4]:
        column.justify = "right"
    for part in parts:
        where = " ".join([*part.planes, counted(len(part.units), "ALU") if part.units else ""])
        share = f"{100 * part.products / part.cycles / max(1, len(part.planes)):.0f} %" if part.planes else ""
        found.add_row(str(part.cycles), str(part.first), share, str(part.loads or ""), part.bound, where, part.text)
    planes = program.config.mxm_planes_w + program.config.mxm_planes_e
    total = max((part.last for part in parts), default=0) + 1
    busy = 100 * sum(part.products for part in parts) / max(1, planes * total)
    found.add_section()
    found.add_row(str(total), "", f"{busy:.0f} %", "", "", counted(planes, "plane"), "all")
    return found
