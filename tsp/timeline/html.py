"""The timeline as one page for a browser: no network, no library, and the same bytes for the same program."""

import html
import json
import re
from importlib import resources
from typing import Any, TypeVar

from tsp import isa
from tsp.disassembler import address_names, spell
from tsp.errors import InputError
from tsp.floorplan import floorplan
from tsp.flow.collect import Collector
from tsp.memory_map import plane_slices
from tsp.timeline.kinds import KINDS
from tsp.timeline.model import Bar, Timeline, unit_of
from tsp.timing import timing

_Thing = TypeVar("_Thing")
SCRIPTS = ("page_data.js", "page_follow.js", "page_chart.js", "page_plan.js", "page.js")
_PARTS = {"STYLE": ("page.css",), "SCRIPT": SCRIPTS}


def page(timeline: Timeline, name: str) -> bytes:
    """The page of a program called ``name``."""
    folder = resources.files("tsp.timeline")
    texts = {part: "".join((folder / file).read_text("utf-8") for file in files) for part, files in _PARTS.items()}
    texts |= {"TITLE": html.escape(f"{name} – timeline"), "DATA": _json(content(timeline, name))}
    # In one pass: what is put in may hold the marks itself.
    whole = re.sub("@([A-Z]+)@", lambda mark: texts[mark[1]], (folder / "page.html").read_text("utf-8"))
    return whole.encode("utf-8", "replace")


def _json(value: Any) -> str:
    """JSON that can stand in a script element: with no <, > or & nothing in it can end the element or begin another."""
    text = json.dumps(value, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def content(timeline: Timeline, name: str) -> dict[str, Any]:
    """What the page is given; ``page_data.js`` says what its scripts make of it."""
    writer = _Writer(timeline)
    plan, table = floorplan(timeline.config), timing(timeline.config)
    units = [use.unit for use in timeline.uses]
    queues = []
    for index, bars in timeline.bars.items():
        queue = plan.queues[index]
        where = plan.slices[queue.slice].name if queue.slice >= 0 else ""
        row = {"name": queue.name, "unit": units.index(unit_of(queue)), "site": queue.site, "slice": where}
        row |= {"kind": queue.kind, "alu": queue.number if queue.kind == "vxm" else -1}
        queues.append(row | writer.columns(bars))
    used = {line for (queue, _), line in timeline.program.source.lines.items() if queue in timeline.bars}
    text = timeline.program.source.text
    return {
        "name": name,
        "config": timeline.config.name,
        "cycles": timeline.cycles,
        "span": timeline.span,
        "fault": timeline.fault,
        "source": timeline.program.source.name,
        "lines": {str(line): " ".join(text[line].split()) for line in sorted(used) if line in text},
        "symbols": _symbols(timeline),
        "sites": [[site.name, site.unit] for site in plan.sites],
        "kinds": [[kind.name, kind.colour, int(kind.control)] for kind in KINDS],
        "units": [[use.unit, use.queues, use.busy] for use in timeline.uses],
        "write_read": table.write_read,
        "alu_next": table.alu_next,
        "abc_acc": table.abc_acc,
        "queues": queues,
        "texts": list(writer.texts),
        "shapes": [json.loads(shape) for shape in writer.shapes],
        "forms": list(writer.forms),
    }


def _symbols(timeline: Timeline) -> list[list[str | int]]:
    """[name, slice, first address, words] for every byte plane of every symbol."""
    plan = floorplan(timeline.config)
    rows: list[list[str | int]] = []
    for name, symbol in timeline.program.symbols.items():
        try:
            places = plane_slices(timeline.config, plan.slices[symbol.slice], symbol.type)
        except InputError:  # its planes reach beyond the last slice
            places = [symbol.slice]
        for place in places:
            rows.append([name, plan.slices[place].name, symbol.address, symbol.count])
    return rows


class _Writer:
    """Bars as columns of numbers; what they share stands once in ``texts``, ``shapes`` and ``forms``."""

    def __init__(self, timeline: Timeline):
        self.texts: dict[str, int] = {}
        self.shapes: dict[str, int] = {}
        self.forms: dict[tuple[int, ...], int] = {}
        self._lines = timeline.program.source.lines
        self._queues = floorplan(timeline.config).queues
        self._names = address_names(timeline.program)
        bursts = timeline.flow.unrolled.bursts
        specs = Collector(bursts, timeline.config)
        self._specs: dict[tuple[int, int], list[list[list[int]]]] = {}
        for burst in bursts:
            self._specs[burst.queue, burst.index] = [[], [], [], []]
        tables = specs.drives, specs.reads, specs.chains, specs.next
        for side, table in enumerate(tables):
            for number, *line in table.lines:
                self._specs[bursts[number].queue, bursts[number].index][side].append(line)

    def columns(self, bars: list[Bar]) -> dict[str, Any]:
        """Of a queue's bars: starts, words and lines each less those before; ``wait`` and ``reason`` by bar number."""
        lines = [self._lines.get((bar.queue, bar.index), 0) for bar in bars]
        return {
            "start": _differences([bar.start for bar in bars]),
            "form": [self._form(bar) for bar in bars],
            "word": _differences([bar.index for bar in bars]),
            "line": _differences(lines),
            "wait": {str(n): bar.wait for n, bar in enumerate(bars) if bar.wait},
            "reason": {str(n): bar.reason for n, bar in enumerate(bars) if bar.reason},
        }

    def _form(self, bar: Bar) -> int:
        text, read, write = ".word", -1, -1
        if bar.instruction is not None:
            text = spell(bar.instruction, self._queues[bar.queue], self._names)
            read, write = (bar.instruction.values.get(f"{half}_address", -1) for half in ("read", "write"))
        none: list[list[list[int]]] = [[], [], [], []]
        drives, reads, chains, following = none if bar.reason else self._specs.get((bar.queue, bar.index), none)
        shape = json.dumps(
            {
                "drives": drives,
                "reads": reads,
                "chains": chains,
                "next": len(following),
                "names": isa.OPERAND_NAMES if _is_alu(bar) else [],
                "scatters": int(bar.instruction is not None and bar.instruction.mnemonic == "SCATTER"),
            }
        )
        numbers = _number(self.texts, text), bar.kind, bar.count, bar.interval, bar.step_a, bar.step_b
        return _number(self.forms, (*numbers, _number(self.shapes, shape), read, write))


def _is_alu(bar: Bar) -> bool:
    return bar.instruction is not None and bar.instruction.operation.arity > 0


def _number(known: dict[_Thing, int], thing: _Thing) -> int:
    """The thing's number; a new one if it has none yet."""
    return known.setdefault(thing, len(known))


def _differences(values: list[int]) -> list[int]:
    return [value - before for before, value in zip([0, *values], values, strict=False)]
