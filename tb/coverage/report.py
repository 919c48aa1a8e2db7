"""Coverage as numbers: a table for the terminal, a file for CI."""

import dataclasses
from typing import Any

from rich.table import Table

from tb.command import report_path, write_report
from tb.coverage.bins import Bin
from tb.coverage.exclusions import EXCLUSIONS
from tsp.config import ChipConfig


@dataclasses.dataclass(frozen=True)
class Report:
    """``covered``: group → (bins hit, bins); ``uncovered``: group → bins not hit; ``excluded``: exclusion → bins."""

    config: ChipConfig
    covered: dict[str, tuple[int, int]]
    uncovered: dict[str, list[Bin]]
    excluded: dict[str, int]

    @property
    def functional(self) -> float:
        """Share of all bins that were hit, in percent."""
        hit, size = (sum(numbers) for numbers in zip(*self.covered.values(), strict=True))
        return 100 * hit / size

    def as_dict(self, **more: Any) -> dict[str, Any]:
        """The content of ``build/reports/coverage.json``."""
        reasons = {e.name: e.reason for e in EXCLUSIONS}
        return {
            "functional": self.functional,
            "config": self.config.as_dict(),
            **more,
            "groups": {group: {"hit": hit, "bins": size} for group, (hit, size) in self.covered.items()},
            "uncovered": {group: [list(bin) for bin in bins] for group, bins in self.uncovered.items() if bins},
            "excluded": {name: {"bins": bins, "reason": reasons[name]} for name, bins in self.excluded.items()},
        }

    def save(self, **more: Any) -> None:
        """Write ``build/reports/coverage.json``."""
        write_report(report_path("coverage"), self.as_dict(**more))

    def table(self) -> Table:
        """A row per group."""
        table = Table("group", "bins", "hit", "not hit, for example")
        for group, (hit, size) in self.covered.items():
            missing = "; ".join(" ".join(map(str, bin)) for bin in self.uncovered[group][:2])
            table.add_row(group, str(size), f"{100 * hit / size:.1f} %", missing)
        return table
