"""``python -m tb.links``, behind ``make links``: what becomes of packets with wrong bits.

Patterns of wrong bits are put into packets with random vectors, and ``golden/packet.py`` decodes them: all patterns of
one and two bits, and random ones of three to sixteen. From what becomes of k wrong bits, and how often a packet has k,
follows what becomes of packets at an error rate: the sum over k is the estimate (importance sampling: patterns of three
bits and more are far too rare to wait for). The counts go to ``build/reports/links.json``.
"""

import math
import sys
from collections.abc import Iterator
from itertools import combinations, islice
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from golden import packet
from tb.command import AT_LEAST_ONE, Command, one_sentence, report_path, write_report
from tsp.errors import EXIT_DIFFERS
from tsp.flow.links import IDLE_EVERY

OUTCOMES = ("right", "corrected", "uncorrectable", "wrong")
"""Of a packet: the status, or that a packet that is taken for right or corrected is not what was sent."""
MOST = 16
"""Wrong bits in a packet."""
RATES = tuple(10.0**-n for n in range(9, 2, -1))
BATCH = 20_000
Bits = NDArray[np.int64]
Counts = NDArray[np.int64]


def packet_bits(superlanes: int) -> int:
    """Bits of a vector packet, or of an idle word if there are no superlanes."""
    return 128 * (superlanes + 1)


def outcomes(superlanes: int, patterns: Bits, seed: int) -> Counts:
    """int64 [4]: how many packets with these wrong bits, int64 [n, k], have each of :data:`OUTCOMES`."""
    rng = np.random.default_rng(seed)
    vectors = rng.integers(0, 256, (len(patterns), 16 * superlanes), dtype=np.uint8)
    numbers = rng.integers(0, 0x10000, (3, len(patterns)))
    sent = packet.Headers(0, *numbers)
    words = packet.encode(vectors, sent)
    came = words.reshape(len(patterns), packet_bits(superlanes) // 8).copy()
    for bits in patterns.T:
        came[np.arange(len(patterns)), bits // 8] ^= np.left_shift(1, bits % 8).astype(np.uint8)
    found = packet.decode(came.reshape(words.shape))
    same = (found.vectors == vectors).all(axis=1)
    for field in ("flags", "sequence", "hac", "tag"):
        same &= getattr(found.headers, field) == getattr(sent, field)
    silent = (found.status != packet.UNCORRECTABLE) & ~same
    return np.bincount(np.where(silent, len(OUTCOMES) - 1, found.status), minlength=len(OUTCOMES))


def every_pattern(superlanes: int, wrong: int) -> Iterator[Bits]:
    """All patterns of so many wrong bits, in batches."""
    patterns = combinations(range(packet_bits(superlanes)), wrong)
    while batch := list(islice(patterns, BATCH)):
        yield np.array(batch)


def some_patterns(superlanes: int, wrong: int, count: int, seed: int) -> Iterator[Bits]:
    """Random patterns of so many different wrong bits, in batches; a few less than ``count``."""
    rng = np.random.default_rng(seed)
    for start in range(0, count, BATCH):
        drawn = rng.integers(0, packet_bits(superlanes), (min(BATCH, count - start), wrong))
        ordered = np.sort(drawn, axis=1)
        yield drawn[(ordered[:, 1:] != ordered[:, :-1]).all(axis=1)]


def count(superlanes: int, patterns: Iterator[Bits], seed: int = 1) -> Counts:
    """What becomes of all of these patterns."""
    return sum((outcomes(superlanes, batch, seed + i) for i, batch in enumerate(patterns)), np.zeros(4, np.int64))


def counts(superlanes: int, all_up_to: int, samples: int) -> list[Counts]:
    """What becomes of 0 … :data:`MOST` wrong bits: of all patterns of ``all_up_to`` bits and less, and of about
    ``samples`` of each number above."""
    found = [outcomes(superlanes, np.zeros((100, 0), np.int64), 1)]
    for wrong in range(1, MOST + 1):
        exhaustive = wrong <= all_up_to
        patterns = every_pattern(superlanes, wrong) if exhaustive else some_patterns(superlanes, wrong, samples, wrong)
        found.append(count(superlanes, patterns))
    return found


def at_rate(superlanes: int, rate: float, found: list[Counts]) -> dict[str, float]:
    """Shares of packets at an error rate, each bit being wrong by itself with this probability.

    ``wrong_at_most`` is what the share of packets that are wrong and not found may be: what was never seen among n
    patterns has a share below 3/n with 95 % confidence, which counts for every number of bits above four (of up to four
    docs/links.md has a proof), and packets with more than :data:`MOST` wrong bits, of which none were tried, all count.
    """
    bits = packet_bits(superlanes)
    odds = [math.comb(bits, k) * rate**k * (1 - rate) ** (bits - k) for k in range(MOST + 64)]
    tried = list(zip(odds, found, strict=False))
    shares = {name: sum(odd * int(row[i]) / int(row.sum()) for odd, row in tried) for i, name in enumerate(OUTCOMES)}
    unseen = sum(odd * (int(row[-1]) + 3) / int(row.sum()) for odd, row in tried[5:])
    return shares | {"wrong_at_most": unseen + sum(odds[len(found) :])}


def shares(superlanes: int) -> dict[str, float]:
    """Of the bandwidth of a link that is full: what vectors, headers and correction take, when an idle word comes as
    often as it must. The bytes of a packet are told apart by what they depend on: those before the vector are the
    header, those behind it the correction (its crc and the check bits of both codes)."""
    vectors = np.array([[0] * 16 * superlanes, [255] * 16 * superlanes], np.uint8)
    clear, full = packet.encode(vectors, packet.Headers()).reshape(2, -1)
    varies = np.flatnonzero(clear ^ full == 0xFF)
    first, behind = int(varies[0]), int(varies[0]) + 16 * superlanes
    parts = {"vectors": 16 * superlanes, "headers": first, "correction": len(clear) - behind}
    packets = (IDLE_EVERY - 1) // (superlanes + 1)
    carried = {name: part * packets / (16 * (packets * (superlanes + 1) + 1)) for name, part in parts.items()}
    return carried | {"idle": 1 - sum(carried.values())}


def report(superlanes: int, samples: int) -> dict[str, Any]:
    """What ``build/reports/links.json`` says of one length of packets."""
    found = counts(superlanes, 2, samples)
    return {
        "superlanes": superlanes,
        "shares": shares(superlanes),
        "patterns": [dict(zip(OUTCOMES, row.tolist(), strict=True)) for row in found],
        "rates": [{"rate": rate} | at_rate(superlanes, rate, found) for rate in RATES],
    }


def table(found: dict[str, Any]) -> Table:
    """The report for the terminal."""
    columns = [*OUTCOMES[1:3], "wrong_at_most"]
    result = Table("error rate", *columns, title=f"{found['superlanes']} superlanes", caption=_caption(found))
    for row in found["rates"]:
        result.add_row(f"{row['rate']:.0e}", *(f"{row[column]:.2e}" for column in columns))
    return result


def _caption(found: dict[str, Any]) -> str:
    total = sum(sum(row.values()) for row in found["patterns"])
    parts = ", ".join(f"{name} {share:.2%}" for name, share in found["shares"].items())
    wrong = sum(row["wrong"] for row in found["patterns"])
    return f"{total:,} patterns, of which {wrong} came wrong and not found; of a full link {parts}"


@click.command(cls=Command)
@click.option("--samples", type=AT_LEAST_ONE, default=750_000, show_default=True, help="Patterns of each number.")
def main(samples: int) -> None:
    """Count what becomes of packets with wrong bits. Exit code 1 if a wrong one is not found."""
    console = Console(stderr=True)
    with one_sentence():
        path = report_path("links")
        with console.status("decoding packets: some minutes"):
            # A packet of 20 superlanes is seven times as long.
            found = [report(2, samples), report(20, max(1, samples // 10))]
        write_report(path, found)
    for part in found:
        Console().print(table(part))
    silent = any(row["wrong"] for part in found for row in part["patterns"])
    print(f"packets with wrong bits: {'some were not found' if silent else 'each was corrected or found'}")
    sys.exit(EXIT_DIFFERS if silent else 0)


if __name__ == "__main__":
    main(prog_name="python -m tb.links")
