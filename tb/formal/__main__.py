"""``python -m tb.formal``, behind ``make formal``: prove blocks of the RTL by induction, and refute their twins."""

import os
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any

import click
from rich.console import Console
from rich.progress import track
from rich.table import Table

from tb.command import AT_LEAST_ONE, Command, one_sentence, report_path, write_report
from tb.formal import engine
from tb.formal.engine import Outcome
from tb.formal.proof import Proof
from tb.formal.proofs import PROOFS
from tsp.errors import EXIT_DIFFERS, InputError, nearest

Outcomes = dict[tuple[str, bool], Outcome]
"""By a proof's name, and whether it is its twin."""


def chosen(names: Sequence[str]) -> list[Proof]:
    """The proofs of these names, or all; InputError for a name that none has."""
    known = {proof.name: proof for proof in PROOFS}
    for name in names:
        if name not in known:
            raise InputError(f"there is no proof '{name}'{nearest(name, list(known))}")
    return [known[name] for name in dict.fromkeys(names)] if names else list(PROOFS)


def run(proofs: Iterable[Proof], jobs: int, timeout: int, console: Console | None = None) -> Outcomes:
    """Decide proofs and twins, ``jobs`` at a time."""
    tasks = [(proof, twin) for proof in proofs for twin in (False, True)]
    found: Outcomes = {}
    with ProcessPoolExecutor(jobs) as pool:
        running = {pool.submit(_decide, proof.name, twin, timeout): (proof.name, twin) for proof, twin in tasks}
        finished = as_completed(running)
        shown = track(finished, "proofs", len(running), console=console, transient=True) if console else finished
        for future in shown:
            found[running[future]] = future.result()
    return found


def _decide(name: str, twin: bool, timeout: int) -> Outcome:
    """In a process of its own: benches cannot be handed over, names can."""
    return engine.decide(next(proof for proof in PROOFS if proof.name == name), twin, timeout)


def holds(proof: Proof, outcomes: Outcomes) -> bool:
    """Proved, and with the bug refuted: a proof whose twin passes says nothing."""
    return (outcomes[proof.name, False].result, outcomes[proof.name, True].result) == ("proved", "refuted")


def report(proofs: Sequence[Proof], outcomes: Outcomes) -> dict[str, Any]:
    """The content of ``build/reports/formal.json``."""
    rows = []
    for proof in proofs:
        own, twin = outcomes[proof.name, False], outcomes[proof.name, True]
        rows.append({
            "name": proof.name,
            "block": proof.block,
            "claim": proof.claim,
            "reduced": proof.reduced,
            "assumed": proof.assumed,
            "depth": proof.depth,
            "result": own.result,
            "detail": own.detail,
            "seconds": own.seconds,
            "twin": {
                "bug": {"module": proof.bug.module, "good": proof.bug.good, "bad": proof.bug.bad},
                "result": twin.result,
                "detail": twin.detail,
                "seconds": twin.seconds,
            },
        })
    return {"proved": sum(holds(proof, outcomes) for proof in proofs), "total": len(rows), "rows": rows}


def table(found: dict[str, Any]) -> Table:
    """A row per proof; the claims stand in docs/verification.md."""
    result = Table("proof", "block", "depth", "s", "result", "with its bug")
    for row in found["rows"]:
        own, twin = row["result"], row["twin"]["result"]
        result.add_row(
            row["name"],
            row["block"],
            str(row["depth"]),
            f"{row['seconds']:.0f}",
            own if own == "proved" else f"[red]{own} {row['detail']}",
            twin if twin == "refuted" else f"[red]{twin} {row['twin']['detail']}",
        )
    return result


@click.command(cls=Command)
@click.option("--proof", "names", multiple=True, help="Only this one; may be given more than once.")
@click.option("--jobs", type=AT_LEAST_ONE, default=os.cpu_count, help="How many at a time; by default one a core.")
@click.option("--timeout", type=AT_LEAST_ONE, default=300, show_default=True, help="Seconds for each.")
def main(names: Sequence[str], jobs: int, timeout: int) -> None:
    """Prove the RTL's blocks. Exit code 1 when a proof does not hold, or holds with its bug too."""
    with one_sentence():
        proofs = chosen(names)
        engine.require_programs()
        path = report_path("formal")  # before the proofs run
        found = report(proofs, run(proofs, jobs, timeout, Console(stderr=True)))
        write_report(path, found)
    Console().print(table(found))
    print(f"{found['proved']} of {found['total']} proofs hold, and fail with their bug")
    sys.exit(0 if found["proved"] == found["total"] else EXIT_DIFFERS)


if __name__ == "__main__":
    main(prog_name="python -m tb.formal")
