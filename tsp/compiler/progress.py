"""How far a compilation is, for whoever wants to show it."""

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called with a stage, how many of its steps are done, and how many it has: before passes are scheduled, and
once before each other stage."""


def silent(stage: str, done: int, total: int) -> None:
    """Shows nothing."""
