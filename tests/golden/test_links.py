"""Vectors over links: who takes which, when it is there, and what comes of one that is not."""

import pytest

from golden.machine import Job, Result, run, run_all
from tsp.assembler import assemble
from tsp.config import preset
from tsp.errors import InputError
from tsp.floorplan import floorplan
from tsp.flow import Fault
from tsp.flow.channels import Channel
from tsp.program import Program

CONFIG = preset("tiny").override(["c2c=on"])
QUEUE = {queue.name: queue.index for queue in floorplan(CONFIG).queues}
SENDER = """
.data x: mem.e0 int8 = [1, 9], [2], [3]
.queue mem.e0
        READ x, e4
        REPEAT 2, 3, 1
.queue c2c.e0
@4      SEND 0, e4
        REPEAT 2, 3
"""
RECEIVER_AT = """
.space y: mem.w4, 3
.queue c2c.w0
@{at}   RECEIVE 0, e4
        REPEAT 2, 3
.queue mem.w4
@{at} + 4 WRITE y, e4
        REPEAT 2, 3, 1
"""
RECEIVER = RECEIVER_AT.format(at=300)
EXACT = 300 - 4 - 6 - 3 - 3
"""The latency with which the first vector is there just in time: send_wire is 6, a packet has 3 words."""
COLLISION, OPERAND_ABSENT, ECC, UNCORRECTABLE, UNDERRUN = 1, 3, 8, 11, 13


def assembled(text: str) -> Program:
    return assemble(text, config=CONFIG)


def pair(sender: str, receiver: str, latency: int = 216, **options: object) -> tuple[Result, Result]:
    """Two chips, e0 of the first joined to w0 of the second."""
    jobs = [Job(p.queues, CONFIG, p.memory) for p in map(assembled, (sender, receiver))]
    channels = [Channel(0, 1, 1, 0, latency), Channel(1, 0, 0, 1, latency)]
    first, second = run_all(jobs, channels, names=["a", "b"], **options)
    return first, second


def received(result: Result) -> list[int]:
    return result.values(assembled(RECEIVER).symbols["y"])[:, 0].tolist()


def faults(result: Result) -> list[tuple[int, str, int]]:
    return [(fault.cycle, floorplan(CONFIG).queues[fault.queue].name, fault.kind) for fault in result.faults]


def test_the_nth_receive_takes_the_nth_vector_sent() -> None:
    first, second = pair(SENDER, RECEIVER, EXACT, events=True)
    assert received(second) == [1, 2, 3] and not first.faults and not second.faults
    assert second.values(assembled(RECEIVER).symbols["y"])[0].tolist() == [1, 9, *[0] * 30]
    events = second.events
    mine = events[events["place"] == floorplan(CONFIG).slice("c2c.w").index]
    assert mine["time"].tolist() == [303, 303, 306, 306, 309, 309] and set(mine["address"].tolist()) == {4}
    assert mine["data"][::2, 0].tolist() == [1, 2, 3]
    assert first.signature["c2c.e"] == 0 != second.signature["c2c.w"]


def test_a_vector_that_comes_a_cycle_late_is_taken_by_the_next_receive() -> None:
    _, second = pair(SENDER, RECEIVER, EXACT + 1)
    assert faults(second) == [(300, "c2c.w0", UNDERRUN)] and received(second) == [0, 1, 2]


def test_nothing_comes_to_a_chip_that_is_alone() -> None:
    alone = run(assembled(RECEIVER))
    assert faults(alone) == [(cycle, "c2c.w0", UNDERRUN) for cycle in (300, 303, 306)]


def test_what_cannot_be_corrected_is_zero_and_marked() -> None:
    # The ALU four sites on computes with the first vector.
    compute = ".queue vxm.r0s0\n@306 ADD e4:int8, #1 -> next\n"
    _, second = pair(SENDER, RECEIVER + compute, bad={(1, 0, 0)})
    assert faults(second) == [(300, "c2c.w0", UNCORRECTABLE), (306, "vxm.r0s0", ECC)]
    assert received(second) == [0, 2, 3]
    _, second = pair(SENDER, RECEIVER + compute, bad={(1, 0, 1)})
    assert faults(second) == [(303, "c2c.w0", UNCORRECTABLE)] and received(second) == [1, 0, 3]
    # Sent on from memory it is uncorrectable for the SEND too.
    on = ".queue mem.w4\n@320 READ y, w8\n.queue c2c.w0\n@323 SEND 0, w8\n"
    _, second = pair(SENDER, RECEIVER + on, bad={(1, 0, 0)})
    assert faults(second) == [(300, "c2c.w0", UNCORRECTABLE), (323, "c2c.w0", ECC)]


@pytest.mark.parametrize("gaps, lost", [((3, 3), []), ((4, 3), []), ((3, 1), [2]), ((2, 3), [1]), ((2, 2), [1])])
def test_packets_that_meet_on_their_way_are_not_sent(gaps: tuple[int, int], lost: list[int]) -> None:
    cycles = [4, 4 + gaps[0], 4 + sum(gaps)]
    sender = ".data x: mem.e0 int8 = [1], [2], [3]\n.queue mem.e0\n"
    sender += "".join(f"@{cycle - 4} READ x + {n}, e4\n" for n, cycle in enumerate(cycles))
    sender += ".queue c2c.e0\n" + "".join(f"@{cycle} SEND 0, e4\n" for cycle in cycles)
    first, second = pair(sender, RECEIVER)
    assert faults(first) == [(cycles[n], "c2c.e0", COLLISION) for n in lost]
    kept = [n + 1 for n in range(3) if n not in lost]
    assert received(second) == kept + [0] * len(lost)


def test_of_two_sends_in_a_cycle_none_goes_and_of_two_receives_the_lowest_queue_takes() -> None:
    two = SENDER.replace(".queue c2c.e0", ".queue c2c.e1\n@7 SEND 0, e4\n.queue c2c.e0")
    first, second = pair(two, RECEIVER + ".queue c2c.w1\n@303 RECEIVE 0, e8\n")
    assert faults(first) == [(7, "c2c.e0", COLLISION)]
    assert faults(second) == [(303, "c2c.w0", COLLISION), (306, "c2c.w0", UNDERRUN)]
    assert received(second) == [1, 3, 0]


def test_an_absent_operand_is_sent_as_zeros() -> None:
    first, second = pair(SENDER.replace("@4 ", "@5 "), RECEIVER)
    assert {kind for _, _, kind in faults(first)} == {OPERAND_ABSENT} and received(second) == [0, 0, 0]
    assert not second.faults


def test_superlanes_without_power_send_zeros_and_receive_nothing() -> None:
    sender = SENDER.replace("[1, 9]", f"[{', '.join(['7'] * 32)}]")
    sender = sender.replace("READ x", "@6 READ x").replace("@4 ", "@10 ")
    first, second = pair(sender + ".queue mem.e4\nCONFIG 1\n", RECEIVER, events=True)
    assert not first.faults and second.values(assembled(RECEIVER).symbols["y"])[0].tolist() == [7] * 16 + [0] * 16
    _, second = pair(sender, RECEIVER + ".queue mem.e4\n@280 CONFIG 1\n", events=True)
    mine = second.events[second.events["place"] == floorplan(CONFIG).slice("c2c.w").index]
    assert set(mine["superlane"].tolist()) == {0} and len(mine) == 3


def test_poll_goes_on_in_the_first_epoch_that_begins_with_the_vector_there() -> None:
    """The vector is seen from cycle ``4 + 6 + L + 3 + 3`` of common time on; schedule time 1 is the epoch's start."""
    for seen, epoch in ((254, 1), (255, 1), (256, 2), (511, 2), (512, 3)):
        _, second = pair(SENDER, ".queue c2c.w0\nPOLL 0\nRECEIVE 0, e4\nDESKEW\nDESKEW\n", seen - 16)
        assert second.arrived.offset.tolist()[:2] == [0, 256 * epoch - 1]
        # The RECEIVE is one cycle of the epoch, then one DESKEW waits for the next, the other for the one after that.
        assert second.arrived.offset.tolist()[2:] == [256 * (epoch + 1) - 3, 256 * (epoch + 2) - 4]
        assert not second.faults and second.cycles == 1 + 3 + 1


@pytest.mark.parametrize("early, epoch, faulty", [((), 1, 0), ((10,), 1, 1), ((10, 20), 1, 2), ((240,), 2, 0)])
def test_a_poll_waits_for_the_vector_that_is_the_oldest_then(early: tuple[int, ...], epoch: int, faulty: int) -> None:
    """A RECEIVE that comes before its vector takes none; one in time does, and the next vector comes an epoch later."""
    sender = ".data x: mem.e0 int8 = [1], [2]\n.queue mem.e0\nREAD x, e4\n@256 READ x + 1, e4\n"
    sender += ".queue c2c.e0\n@4 SEND 0, e4\n@260 SEND 0, e4\n"
    receives = "".join(f"@{cycle} RECEIVE 0, e4\n" for cycle in early)
    _, second = pair(sender, f".queue c2c.w0\n{receives}@250 POLL 0\nRECEIVE 0, e4\n")
    assert second.arrived.offset.tolist() == [0, 256 * epoch - 251]
    assert [kind for _, _, kind in faults(second)] == [UNDERRUN] * faulty
    assert second.arrived.send.tolist() == [-1] * faulty + list(range(epoch))


@pytest.mark.parametrize(
    "sender, receiver, why",
    [
        (SENDER, ".queue c2c.e0\nPOLL 0", "chip b: c2c.e0: cycle 0: POLL of link e0 waits for ever: the link is not"),
        ("", ".queue c2c.w0\nPOLL 0", "link w0 waits for ever: it needs 1 vector, but chip a sends 0 on link e0"),
        (
            SENDER.replace("@4 ", "POLL 0\n@4 "),
            ".data x: mem.w0 int8 = 1\n.queue mem.w0\n@10 READ x, w4\n.queue c2c.w0\nPOLL 0\n@14 SEND 0, w4",
            "chip a: c2c.e0: cycle 0: POLL of link e0 waits for ever: chip b sends that vector after its own POLL of",
        ),
    ],
)
def test_a_poll_that_waits_for_ever_is_refused(sender: str, receiver: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        pair(sender, receiver)


def test_faults_of_links_have_names() -> None:
    assert [Fault(0, 0, kind).name for kind in (UNCORRECTABLE, UNDERRUN)] == ["link_uncorrectable", "link_underrun"]
