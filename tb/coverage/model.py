"""The cover points of cocotb-coverage, one per group, usable with and without a simulator."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from cocotb_coverage.coverage import CoverPoint, coverage_db

from tb.coverage.bins import Bin, groups
from tb.coverage.exclusions import exclusion
from tb.coverage.report import Report
from tsp.config import ChipConfig

TOP = "tsp"


class Model:
    """Functional coverage of one configuration. There is one at a time: cocotb-coverage keeps one database."""

    def __init__(self, config: ChipConfig):
        self.config = config
        self.excluded: Counter[str] = Counter()
        self.unknown: set[tuple[str, Bin]] = set()
        """Samples that fall in no bin: the model would be wrong."""
        self._seen: dict[str, set[Bin]] = {}
        self._sample: dict[str, Callable[[Bin], object]] = {}
        self._bins = {name: self._wanted(name, bins) for name, bins in groups(config).items()}
        coverage_db.clear()
        for name, bins in self._bins.items():
            self._seen[name] = set()
            if bins:
                self._sample[name] = CoverPoint(f"{TOP}.{name}", bins=list(bins))(_nothing)

    def _wanted(self, group: str, bins: Iterable[Bin]) -> dict[Bin, None]:
        wanted = {}
        for bin in bins:
            found = exclusion(group, bin, self.config)
            if found is None:
                wanted[bin] = None
            else:
                self.excluded[found.name] += 1
        return wanted

    def sample(self, found: Mapping[str, set[Bin]]) -> None:
        """Count what a program did. A bin is sampled once: cocotb-coverage searches its bins one by one."""
        for group, bins in found.items():
            for bin in bins - self._seen[group]:
                self._seen[group].add(bin)
                if bin in self._bins[group]:
                    self._sample[group](bin)
                elif exclusion(group, bin, self.config) is None:
                    self.unknown.add((group, bin))

    def report(self) -> Report:
        """What is covered so far."""
        covered, uncovered = {}, {}
        for group in self._sample:
            hits = coverage_db[f"{TOP}.{group}"].detailed_coverage
            covered[group] = (sum(count > 0 for count in hits.values()), len(hits))
            uncovered[group] = [bin for bin, count in hits.items() if not count]
        return Report(self.config, covered, uncovered, dict(self.excluded))


def _nothing(bin: Bin) -> None:
    """What cocotb-coverage decorates."""
