"""Passes that take each load of weights together."""

from collections.abc import Iterator, Sequence

from tsp.compiler.passes import Pass

Gang = list[tuple[int, Pass]]
"""Passes that multiply the same tiles in one hemisphere, with their numbers from 1 on; or a pass alone."""


def gangs(passes: Sequence[Pass]) -> Iterator[tuple[Gang, Gang]]:
    """All gangs in order, each with the next that takes some of its planes, which may be none."""
    every: list[Gang] = []
    for number, pass_ in enumerate(passes, 1):
        if not every or not _beside(every[-1], pass_):
            every.append([])
        every[-1].append((number, pass_))
    nexts: list[Gang] = []
    users: dict[str, Gang] = {}
    for gang in reversed(every):
        planes = [pass_.plane for _, pass_ in gang if pass_.tiles]
        nexts.append(next((users[plane] for plane in planes if plane in users), []))
        users |= dict.fromkeys(planes, gang)
    yield from zip(every, reversed(nexts), strict=True)


def alone(gang: Gang) -> bool:
    """Whether each load of constant weights meets one row."""
    return len(gang) == 1 and gang[0][1].count == 1 and all(tile.source is None for tile in gang[0][1].tiles)


def _beside(gang: Gang, pass_: Pass) -> bool:
    first = gang[0][1]
    names = [other.plane for _, other in gang]
    alike = [tile.name for tile in first.tiles] == [tile.name for tile in pass_.tiles]
    return bool(alike and pass_.tiles and pass_.plane[4] == first.plane[4] and pass_.plane not in names)
