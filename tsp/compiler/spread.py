"""How the rows and blocks of a matmul are spread over the planes of the MXM."""

import dataclasses
from collections.abc import Iterator

from tsp.config import ChipConfig

WORTH_HALVING = 120
"""Rows of a share, which take six times as long as their weights on the published chip."""


@dataclasses.dataclass(frozen=True)
class Share:
    """Rows of a block of outputs for one plane. ``turn``: how far on in its tiles it begins, in shares of a round."""

    index: int
    first: int
    count: int
    plane: str
    turn: float


def spread(rows: int, blocks: int, deepest: int, config: ChipConfig, fp16: bool, turn: int) -> list[Share]:
    """The shares of a matmul of ``rows`` rows and ``blocks`` blocks of outputs, ``deepest`` rows at most in each. For
    fp16 the first plane of a hemisphere stands for both; a matmul of one block then takes the hemispheres in ``turn``.

    Of three ways the fastest: a block for each plane; a block for each hemisphere, whose planes share its rows and
    each load of weights; every block for all planes. A plane that multiplies fewer rows than a load takes cycles waits.
    """
    sides = [[f"mxm.{side}{n}" for n in range(count)]
             for side, count in (("e", config.mxm_planes_e), ("w", config.mxm_planes_w)) if count]  # fmt: skip
    if fp16:
        sides = [side[:1] for side in sides if config.multiplies_fp16(side[0][4])]
    planes = sum(map(len, sides))
    alike = len({len(side) for side in sides}) == 1
    ways = [(blocks + planes - 1) // planes * max(rows, config.superlanes)]
    per_side = max(-(-rows // len(sides[0])), config.superlanes)
    ways.append((blocks + len(sides) - 1) // len(sides) * per_side if alike else 2 * ways[0] + 1)
    ways.append(blocks * max(-(-rows // planes), config.superlanes))
    best = ways.index(min(ways))
    # One after the other from both hemispheres, so that a round takes all planes.
    singles = [[side[n]] for n in range(max(map(len, sides))) for side in sides if n < len(side)]
    gangs = [singles, sides, [[name for side in sides for name in side]]][best]
    if fp16:
        gangs = [*gangs[turn % len(gangs) :], *gangs[: turn % len(gangs)]]
    return list(_shares(rows, blocks, deepest, gangs))


def _shares(rows: int, blocks: int, deepest: int, gangs: list[list[str]]) -> Iterator[Share]:
    width = len(gangs[0])
    # In two pieces, so that the next layer begins when the first one is there, and sums of planes alternate.
    pieces = max(1, -(-rows // (deepest * width)), min(2, rows // width // WORTH_HALVING))
    length = -(-rows // (pieces * width))
    for begin in range(0, rows, length * width):
        for index in range(blocks):
            gang = gangs[index % len(gangs)]
            for number, plane in enumerate(gang):
                first = begin + number * length
                if first < rows:
                    side = (number >= width // 2) / 2 if len(gangs) == 1 else 0.0
                    yield Share(index, first, min(length, rows - first), plane, index % len(gangs) / len(gangs) + side)
