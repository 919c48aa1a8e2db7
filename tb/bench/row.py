"""A row of the report: one figure, its limit and where it comes from."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from rich.table import Table

RATIO = "×"


@dataclasses.dataclass(frozen=True)
class Row:
    """One figure.

    Attributes:
        name: what is measured.
        value, unit: the figure; a ratio has the unit ``×``.
        limit: the most it may be, or None if it is only reported.
        goal: the least it should be one day, or None.
        details: what it was computed from, for the report.
    """

    name: str
    value: float
    unit: str = RATIO
    limit: float | None = None
    goal: float | None = None
    details: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """``within`` or ``missed`` its limit; ``reached`` its goal or ``short`` of it; ``reported``."""
        if self.goal is not None:
            return "reached" if self.value >= self.goal else "short"
        if self.limit is None:
            return "reported"
        return "within" if self.value <= self.limit else "missed"

    def as_dict(self) -> dict[str, Any]:
        """The row in ``build/reports/bench.json``."""
        return dataclasses.asdict(self) | {"value": float(f"{self.value:.4g}"), "verdict": self.verdict}


_STYLE = {
    "within": "[green]within[/]",
    "missed": "[red]MISSED[/]",
    "reached": "[green]reached[/]",
    "short": "short of its goal",
}


def table(rows: Sequence[Row]) -> Table:
    """All rows for the terminal."""
    found = Table("measured", "figure", "limit or goal", "verdict")
    for column in (1, 2):
        found.columns[column].justify = "right"
    for row in rows:
        limits = {"≤": row.limit, "≥": row.goal}
        limit = " ".join(f"{sign} {number(value)} {row.unit}" for sign, value in limits.items() if value is not None)
        found.add_row(row.name, f"{number(row.value)} {row.unit}", limit, _STYLE.get(row.verdict, row.verdict))
    return found


def number(value: float) -> str:
    """Three digits, or a whole number with separators."""
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
