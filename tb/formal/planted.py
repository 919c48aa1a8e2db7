"""The RTL's modules as a proof sees them: as they are, or with one bug planted in the source of one of them."""

import importlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any


@dataclass(frozen=True)
class Bug:
    """In module ``module`` (such as ``rtl.stream``) the text ``good``, which stands there once, becomes ``bad``."""

    module: str
    good: str
    bad: str

    def apply(self, source: str) -> str:
        """The source with the bug; RuntimeError unless ``good`` stands there exactly once."""
        count = source.count(self.good)
        if count != 1:
            raise RuntimeError(f"the bug for {self.module} does not fit: {self.good!r} stands there {count} times")
        return source.replace(self.good, self.bad)


class Rtl:
    """``rtl(name)`` is module ``name``; with a bug, or with others in place of what it imports, a copy of it.

    Args:
        bug: in every copy and in whatever of the bug's module a copy imports.
    """

    def __init__(self, bug: Bug | None = None):
        self.bug = bug
        self._copies: dict[str, ModuleType] = {}

    def __call__(self, name: str, **instead: Any) -> ModuleType:
        """Module ``name``, with its global names ``instead`` bound to other things."""
        if not self.bug and not instead:
            return importlib.import_module(name)
        if name not in self._copies or instead:
            self._copies[name] = self._copy(name, instead)
        return self._copies[name]

    def _copy(self, name: str, instead: dict[str, Any]) -> ModuleType:
        original = importlib.import_module(name)
        source = Path(str(original.__file__)).read_text()
        if self.bug and self.bug.module == name:
            source = self.bug.apply(source)
        copy = ModuleType(name)
        copy.__file__, copy.__package__ = original.__file__, original.__package__
        # dataclasses look their module up by its name, and find the original: it has the same names.
        exec(compile(source, str(original.__file__), "exec"), copy.__dict__)
        if self.bug and self.bug.module != name:
            self._rebind(copy, importlib.import_module(self.bug.module))
        for global_name, value in instead.items():
            if not hasattr(copy, global_name):
                raise RuntimeError(f"{name} has no '{global_name}' to put something else in the place of")
            setattr(copy, global_name, value)
        return copy

    def _rebind(self, copy: ModuleType, buggy: ModuleType) -> None:
        """What ``copy`` imports from the bug's module comes from the module with the bug."""
        for name, value in list(vars(copy).items()):
            if value is buggy:
                setattr(copy, name, self(buggy.__name__))
            elif getattr(value, "__module__", None) == buggy.__name__ and getattr(buggy, name, None) is value:
                setattr(copy, name, getattr(self(buggy.__name__), name))
