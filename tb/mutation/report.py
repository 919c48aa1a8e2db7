"""The verdicts as numbers: a table for the terminal, a file for CI."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from tb.mutation.netlist import Netlist
from tb.mutation.run import Verdict


def score(killed: int, mutants: int, equivalent: int) -> float:
    """Share of the mutants that are not equivalent and were killed, in percent."""
    other = mutants - equivalent
    return 100 * killed / other if other else 100.0


def row(
    block: str, netlist: Netlist, verdicts: Mapping[int, Verdict], equal: Sequence[int], **more: Any
) -> dict[str, Any]:
    """What became of a block's mutants."""
    killers = Counter(verdict.killed_by for verdict in verdicts.values() if verdict.killed_by is not None)
    mutants, killed = len(netlist.mutants), sum(killers.values())
    return {
        "block": block,
        "modules": sorted({mutant.module for mutant in netlist.mutants}),
        "mutants": mutants,
        "killed": killed,
        "equivalent": len(equal),
        "survived": mutants - killed - len(equal),
        "score": round(score(killed, mutants, len(equal)), 2),
        "killed_by": dict(killers.most_common()),
        "survivors": [_place(mutant, netlist) for mutant in netlist.mutants
                      if verdicts[mutant.number].killed_by is None and mutant.number not in equal],
        **more,
    }  # fmt: skip


def _place(mutant: Any, netlist: Netlist) -> dict[str, Any]:
    """A survivor, with the first line of Verilog that it stands in."""
    file, _, lines = mutant.source.partition(":")
    source = netlist.directory / "source" / file
    number = lines.partition(".")[0]
    text = source.read_text().splitlines()[int(number) - 1].strip() if number and source.is_file() else ""
    return mutant.as_dict() | {"text": text}


def report(rows: Sequence[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """The content of ``build/reports/mutate.json``."""
    sums = {key: sum(row[key] for row in rows) for key in ("mutants", "killed", "equivalent", "survived")}
    total = score(sums["killed"], sums["mutants"], sums["equivalent"])
    return {"score": round(total, 2), **sums, **more, "rows": list(rows)}


def kept(path: Path, plans: Mapping[str, Any], blocks: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of blocks in a report that was made by the same plans; none if there is no such report."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return []
    if any(found.get(key) != value for key, value in plans.items()):
        return []
    return [row for row in found["rows"] if row["block"] in blocks]


def table(found: Mapping[str, Any]) -> Table:
    """A row per block."""
    result = Table("block", "mutants", "killed", "equivalent", "survived", "score", "build", "run", "equivalence")
    for column in result.columns[1:]:
        column.justify = "right"
    for row in [*found["rows"]]:
        counts = (str(row[key]) for key in ("mutants", "killed", "equivalent", "survived"))
        times = (f"{row[key]:.0f} s" for key in ("build_seconds", "run_seconds", "proof_seconds"))
        result.add_row(row["block"], *counts, f"{row['score']:.1f} %", *times)
    result.add_section()
    sums = (str(found[key]) for key in ("mutants", "killed", "equivalent", "survived"))
    result.add_row("all", *sums, f"{found['score']:.1f} %", style="bold")
    return result


def sentence(block: str, mutant: Mapping[str, Any]) -> str:
    """Where a survivor is."""
    by = "" if mutant["control"] is None else f" by bit {mutant['control']}"
    wire = f" ({mutant['wire']})" if mutant["wire"] else ""
    port = f"{mutant['cell']}.{mutant['port']}[{mutant['bit']}]"
    return f"{block} {mutant['number']}: {mutant['mode']}{by} at {port}{wire}, {mutant['source']}: {mutant['text']}"
