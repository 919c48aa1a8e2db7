"""What docs/links.md, section 3, says of a system's time, in numbers: what benches hold it against."""

from collections.abc import Sequence
from math import ceil

from tb.link.system import Topology

JITTER = 9
PERIOD = 256
NEVER = 0xFFFF


def apart(depth: int) -> int:
    """ε: how far the HACs of two chips are apart at most, with so many edges of the tree between them."""
    return depth * (JITTER + 2)


def margin(depth: int, ppm: float, cycles: int) -> int:
    """H: how much later than L_eff a word may be, so many cycles after a resynchronisation."""
    return JITTER + apart(depth) + drift(ppm, cycles) + 2


def drift(ppm: float, cycles: int) -> int:
    """How far counters of clocks within ±``ppm`` come apart in so many cycles."""
    return ceil(2 * ppm * 1e-6 * cycles)


def stall(depth: int, ppm: float, cycles: int) -> int:
    """The least t of a RUNTIME_DESKEW."""
    return drift(ppm, cycles) + apart(depth) + 2


def total_latency(latency: int, superlanes: int) -> int:
    """Ltot: from a SEND to the first cycle in which a RECEIVE or a POLL sees its vector, of nominal L."""
    return superlanes + 4 + latency + superlanes + 1 + 3


def in_register(latency: float) -> tuple[int, int]:
    """What software writes for a nominal L: whole cycles, and the signed fraction in 32nds of one."""
    whole, above = divmod(round(latency * 32) + 16, 32)
    return whole, above - 16


def start(latency: int, superlanes: int, least: int, period: int = PERIOD) -> tuple[int, int]:
    """(w, n): cycles from the parent's release to its SEND, and epochs from there to the child's release."""
    total = total_latency(latency, superlanes)
    wait = least + (period // 2 - total - least) % period
    return wait, (wait + total - period // 2) // period + 1


def waits(topology: Topology, latency: Sequence[int], superlanes: int) -> list[int]:
    """w of every chip, of its children's nominal L, which must be the same for all of them; a chip without any has the
    longest."""
    found = [NEVER] * topology.chips
    for link in topology.parents():
        if link is not None:
            found[topology.links[link][0]] = start(latency[link], superlanes, 0)[0]
    return found
