"""The checker on SEND, RECEIVE and POLL of one chip."""

import pytest

from tests.golden.test_links import SENDER, assembled
from tsp.checker import check
from tsp.flow.links import may_follow, next_send

SOURCE = ".data x: mem.e0 int8 = 1\n.queue mem.e0\nREAD x, e4\nREPEAT {n}, {d}\n"
SOURCE += ".queue c2c.e0\n@4 SEND 0, e4\nREPEAT {n}, {d}\n"


@pytest.mark.parametrize(
    "text, message",
    [
        (SOURCE.format(n=3, d=1), "cycle 5: SEND on link e0 meets the words of c2c.e0 (line 6) of cycle 4; SENDs"),
        (SOURCE.format(n=3, d=2), "at least 3 cycles apart and, below 4, an odd number; works in cycle 7"),
        (SOURCE.format(n=416, d=3), "cycle 1252: SEND on link e0 is the 417th without an idle word before it; of 1250"),
        (SOURCE.format(n=416, d=3), "of 1250 words one must be idle, and a packet has 3; works in cycle 1253"),
        (SENDER + ".queue c2c.e1\n@4 SEND 0, e4\n", "cycle 4: SEND on link e0 meets the words of"),
        (
            ".queue c2c.e0\nRECEIVE 0, e4\nREPEAT 2, 2\n.queue c2c.e1\nNOP 1\nRECEIVE 0, e8\nREPEAT 2, 1\n",
            "cycle 2: RECEIVE of link e0 in the cycle of that of c2c.e0 (line 2); a link gives one vector a cycle",
        ),
        (SENDER + "POLL 0", "cycle 11: POLL before the packet of c2c.e0 (line 7) is out; works from cycle 19"),
        (SENDER + "RUNTIME_DESKEW 9", "RUNTIME_DESKEW before the packet of c2c.e0 (line 7) is out; works from"),
        (".queue c2c.w0\nRECEIVE 0, e4\nPOLL 0", "POLL before the result of c2c.w0 (line 2) is out; works from"),
        (".queue c2c.w0\nPOLL 0\n.queue mem.e4\nNOP 5", "POLL while mem.e4 is busy until cycle 5; every other queue"),
    ],
)
def test_mistakes(text: str, message: str) -> None:
    assert message in str(check(assembled(text)))


@pytest.mark.parametrize("n, d", [(415, 3), (500, 4), (2, 3)])
def test_legal(n: int, d: int) -> None:
    report = check(assembled(SOURCE.format(n=n, d=d)))
    assert report.ok and report.cycles == n * d + 3, report


def test_alone_a_chip_may_receive_and_poll() -> None:
    assert check(assembled(".queue c2c.w0\nPOLL 0\nRECEIVE 0, e4\nNOP 2\nDESKEW\n.queue mem.w0\n")).ok


def test_words_of_packets_that_may_follow_never_meet() -> None:
    """Superlane k's word is at the place for superlane j, on its way south, in cycle T + k + (k − j)."""
    for superlanes in (1, 2, 3, 5):
        way = {(j, 2 * k - j) for k in range(superlanes) for j in range(k + 1)}
        for gap in range(1, 3 * superlanes + 3):
            meet = any((place, time + gap) in way for place, time in way)
            assert may_follow(gap, superlanes) == (not meet and gap > superlanes), (superlanes, gap)
            assert next_send(gap, superlanes) == min(g for g in range(gap, gap + 25) if may_follow(g, superlanes))
