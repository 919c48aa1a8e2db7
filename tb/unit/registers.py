"""What the stream registers of every site keep: a word that came with presence, until another one does."""

import random

from tb.unit.site import WORD_BITS, Row, word_of
from tb.unit.site_driver import SiteDriver
from tb.unit.traffic import operands

ONES = (1 << WORD_BITS) - 1


async def check_empty_streams(driver: SiteDriver, rng: random.Random) -> None:
    """Words change only with presence: what comes without it is not loaded. Every bit is kept as 0 and as 1."""
    ones = (1 << WORD_BITS * driver.superlanes) - 1
    vectors = {operand: rng.randrange(ones) for operand in operands(driver.config)}
    for flip in (0, ones):
        await _keeps(driver, {operand: vector ^ flip for operand, vector in vectors.items()})


async def _keeps(driver: SiteDriver, vectors: dict[int, int]) -> None:
    ports, rows = driver.ports, range(driver.superlanes)
    await driver.reset()
    await driver.play([Row({}, vectors)])
    words = {(operand, k): word_of(vector, k) for operand, vector in vectors.items() for k in rows}
    rubbish = {driver.arriving(operand, k): word ^ ONES for (operand, k), word in words.items()}
    empty = dict.fromkeys((name for k in rows for name in driver.presence("in", k).values()), 0)
    seen = []
    for _ in range(3):
        await ports.cycle(rubbish | empty)
        seen.append({(operand, k): ports[driver.leaving(operand, k)] for operand, k in words})
    # A word that passes in beats moves as it leaves: what stays is its last beat, wherever one looks.
    bits = WORD_BITS // driver.config.beats
    repeated = sum(1 << bits * beat for beat in range(driver.config.beats))
    assert seen[0] == words and seen[1] == seen[2]
    assert seen[2] == {place: (word >> WORD_BITS - bits) * repeated for place, word in words.items()}
