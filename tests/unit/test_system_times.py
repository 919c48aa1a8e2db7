"""What the checker of systems holds against clocks that differ: margins across resynchronisations, and epochs."""

import dataclasses
import re

import pytest

from tests.golden.test_links import CONFIG
from tests.unit.systems import random_system, row
from tsp.assembler import assemble
from tsp.flow.channels import ready_after
from tsp.system import MOST_OFF, System
from tsp.system_check import check_system, resolve_system
from tsp.system_times import Times
from tsp.system_waits import check_epochs
from tsp.timing import timing

SEND = ".data x: mem.e0 int8 = [1, 9]\n.queue mem.e0\n@{at} - 4 READ x, e4\n.queue c2c.e0\n@{at} SEND 0, e4\n"
RECEIVE = ".queue c2c.w0\n{before}@{at} RECEIVE 0, e4\n{behind}"
LATENCY = 216
MARGIN = 9 + 11 + 2
"""J, ε and 2."""


def pair(sender: str, receiver: str, preamble: bool = True) -> System:
    """Chip a's e0 joined to chip b's w0."""
    programs = [assemble(sender, "a.tsp", CONFIG), assemble(receiver, "b.tsp", CONFIG)]
    return dataclasses.replace(row([(LATENCY, LATENCY)], programs, CONFIG), preamble=preamble)


READY = ready_after(pair("", "").channels[0], CONFIG)


@pytest.mark.parametrize("at", [4724, 4725, 4740, 4742, 4743, 4960])
@pytest.mark.parametrize("early", [1, 20, 150])
def test_the_cycle_that_is_named_works_and_none_before(at: int, early: int) -> None:
    """Also where clocks drift by a cycle more meanwhile, which they do in every 5,000."""

    def said(cycle: int) -> str:
        return str(check_system(pair(SEND.format(at=at), RECEIVE.format(at=cycle, before="", behind=""))))

    works = int(re.search(r"works from cycle (\d+)", said(at + READY + MARGIN - early))[1])
    assert said(works).startswith("legal") and "1 cycle too early" in said(works - 1)


@pytest.mark.parametrize("taken", range(4955, 4960))
def test_the_cycle_that_is_named_for_a_full_buffer_works_and_none_before(taken: int) -> None:
    config = CONFIG.override(["link_buffer=2"])

    def said(third: int) -> str:
        cycles = (4400, 4410, third)
        reads = "".join(f"@{cycle - 4} READ x, e4\n" for cycle in cycles)
        sends = "".join(f"@{cycle} SEND 0, e4\n" for cycle in cycles)
        sender = f".data x: mem.e0 int8 = [1, 9]\n.queue mem.e0\n{reads}.queue c2c.e0\n{sends}"
        programs = [assemble(text, "x.tsp", config) for text in (sender, f".queue c2c.w0\n@{taken} RECEIVE 0, e4\n")]
        return str(check_system(row([(LATENCY, LATENCY)], programs, config)))

    works = int(re.search(r"later, in cycle (\d+)$", said(4420))[1])
    assert said(works).startswith("legal") and "send it 1 cycle later" in said(works - 1)


def test_what_is_sent_before_a_resynchronisation_comes_as_late_as_clocks_were_then() -> None:
    """In 200,000 cycles clocks of ±100 ppm come 41 cycles apart, those of the start with them."""
    at, deskew = 200_000, "@200040 RUNTIME_DESKEW 60\n"
    sender = SEND.format(at=at) + deskew
    assert check_system(pair(sender, RECEIVE.format(before=deskew, at=at + READY + MARGIN + 41, behind=""))).ok
    late = str(check_system(pair(sender, RECEIVE.format(before=deskew, at=at + READY + MARGIN + 40, behind=""))))
    assert "is 1 cycle too early for the vector that chip a sends in cycle 200000, with a margin of 63; works" in late
    # Behind it clocks are level again.
    sender = re.sub(r"(.queue .*\n)", rf"\1{deskew}", SEND.format(at=at + 200))
    assert check_system(pair(sender, RECEIVE.format(before=deskew, at=at + 200 + READY + MARGIN + 1, behind=""))).ok


def test_a_deskew_at_the_end_makes_nothing_before_it_sure() -> None:
    at, behind = 200_000, "@202030 DESKEW\n"
    sender = SEND.format(at=at) + behind
    assert check_system(pair(sender, RECEIVE.format(before="", at=at + READY + MARGIN + 41, behind=behind))).ok
    late = str(check_system(pair(sender, RECEIVE.format(before="", at=at + READY + MARGIN + 40, behind=behind))))
    assert "is 1 cycle too early" in late and "with a margin of 63" in late
    short = "@150000 RUNTIME_DESKEW 40\n@202030 DESKEW\n"
    said = str(check_system(pair(f".queue c2c.e0\n{short}", f".queue c2c.w0\n{short}")))
    assert "RUNTIME_DESKEW 40 may be too short: in 150019 cycles clocks come 31 cycles apart, and HACs 11" in said


def test_clocks_that_come_further_apart_than_steps_are_counted_are_refused() -> None:
    """2,047 less ε, 11: clocks of ±100 ppm need 10,180,000 cycles; 19 are before cycle 0, and two a READ's."""

    def said(cycle: int, before: str = "") -> str:
        read = f".data x: mem.w0 int8 = [1]\n.queue mem.w0\n{before}@{cycle} READ x, w4\n"
        return str(check_system(pair(before and f".queue c2c.e0\n{before}", read)))

    most = 10_180_000 - 19 - 2
    assert said(most).startswith("legal")
    assert "row.toml: chip b: runs 10180001 cycles without RUNTIME_DESKEW" in said(most + 1)
    assert said(most + 1).endswith(f"resynchronise all chips until cycle {10_180_000 - 19}")
    assert said(most + 1, "@9000000 RUNTIME_DESKEW 1820\n").startswith("legal")


@pytest.mark.parametrize("first, last, works", [(477, 509, 510), (982, 1027, 1028)])
def test_a_deskew_that_steps_may_bring_into_another_epoch_is_refused(first: int, last: int, works: int) -> None:
    """One in each 32 cycles, but no more than 23: a cycle of drift, and twice ε."""

    def said(cycle: int) -> str:
        text = f".queue c2c.{{}}0\n@{cycle} DESKEW\n"
        return str(check_system(pair(text.format("e"), text.format("w"))))

    assert said(first - 1).startswith("legal") and said(last + 1).startswith("legal")
    for cycle in (first, first + 16, last):
        assert f"chip b: b.tsp:2: c2c.w0: cycle {cycle}: DESKEW may go on in either of two epochs" in said(cycle)
        assert said(cycle).endswith(f"works from cycle {works}")


def test_a_poll_for_a_vector_that_may_come_in_another_epoch_is_refused() -> None:
    """By 23 cycles early or late: beside J, ε and 2 one that the sender's clock drifts."""
    barrier, period = timing(CONFIG).barrier, CONFIG.hac_period
    refused = []
    for apart in (-128, -60, *range(-25, -20), 0, *range(20, 26), 60, 127):
        # Cycle 0 is one barrier behind the beginning of an epoch.
        sent = 2 * period - barrier - READY + apart
        system = pair(SEND.format(at=sent), ".queue c2c.w0\n@10 POLL 0\n")
        if said := check_epochs(Times(resolve_system(system))):
            refused.append(apart)
            works = int(re.search(r"send it in cycle (\d+)$", said[0])[1])
            assert works == 2 * period - barrier - READY + 23
            assert f"the vector that chip a sends in cycle {sent} is there {abs(apart)} cycles" in said[0]
    assert refused == [-23, -22, -21, 0, 20, 21, 22]


def test_only_the_root_may_begin_with_deskew() -> None:
    text = ".data x: mem.{h}0 int8 = [1]\n.queue c2c.{h}0\n@1 DESKEW\nNOTIFY\n.queue mem.{h}0\nSYNC\nREAD x, {h}4\n"
    sender, receiver = text.format(h="e"), text.format(h="w")
    said = str(check_system(pair(sender, receiver, preamble=False)))
    assert said.startswith("row.toml: chip b: begins with DESKEW, which may go on in any epoch") and "a, may" in said


@pytest.mark.parametrize("latency", [*range(100, 140), *range(228, 260, 3), 1, 216, 600])
def test_no_step_brings_the_deskews_of_a_start_into_another_epoch(latency: int) -> None:
    """In a chip with a parent and a child."""
    assert not check_epochs(Times(resolve_system(row([(40, 40), (latency, latency)]))))


@pytest.mark.parametrize("seed", range(8))
def test_no_start_of_any_system_depends_on_clocks(seed: int) -> None:
    system = random_system(seed)
    links = [
        dataclasses.replace(x, measured=tuple(max(1, n + (-1) ** at * MOST_OFF) for at, n in enumerate(x.latency)))
        for x in system.links
    ]
    assert check_system(dataclasses.replace(system, links=tuple(links))).ok
