"""Lines, branches and bits of the Verilog that nothing can move, by name and reason."""

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any


@dataclass(frozen=True)
class CodeExclusion:
    """Points left out: of modules by pattern, of a kind, whose ``what`` begins with a match of ``what``."""

    name: str
    modules: str
    kind: str
    what: str
    reason: str

    def holds(self, point: Any) -> bool:
        named = fnmatchcase(point.module, self.modules) and point.kind == self.kind
        return named and re.match(self.what, point.what) is not None


CODE_EXCLUSIONS: tuple[CodeExclusion, ...] = ()


def exclusion(point: Any) -> CodeExclusion | None:
    """Why a point is left out; None if it counts."""
    return next((found for found in CODE_EXCLUSIONS if found.holds(point)), None)
