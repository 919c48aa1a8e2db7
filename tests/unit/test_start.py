"""The preambles that start a system: schedule time is common to all chips behind them."""

import dataclasses

import pytest

from tests.unit.systems import TINY, random_system, row
from tsp.assembler import assemble
from tsp.checker import check
from tsp.errors import InputError
from tsp.flow import analyse
from tsp.flow.channels import Arrivals, arrivals
from tsp.flow.fetch import expand_program
from tsp.start import preambles, started
from tsp.system import System
from tsp.system_check import check_system
from tsp.timing import timing

PERIOD = TINY.hac_period


def arrived(system: System) -> list[Arrivals]:
    flows = []
    for chip in system.chips:
        program = chip.program
        defined = {place: image.addresses for place, image in program.memory.items()}
        flows.append(analyse(expand_program(program), program.config, defined))
    return arrivals(flows, system.channels)


def check_start(system: System) -> None:
    begun, zero = started(system)
    assert all(check(chip.program).ok for chip in begun.chips), [str(check(chip.program)) for chip in begun.chips]
    found = arrived(begun)
    # The last DESKEW of every chip goes on in one cycle of common time, the first of an epoch, and the barrier follows.
    assert len({chip.offset[-1] for chip in found}) == 1
    releases = {int(chip.released[-1] + chip.offset[-1]) for chip in found}
    assert len(releases) == 1 and releases.pop() % PERIOD == 0
    assert {int(chip.released[-1]) for chip in found} == {zero - timing(TINY).barrier}


def test_every_latency_brings_the_start_vector_into_the_middle_of_an_epoch() -> None:
    for latency in range(1, 601):
        first, second = preambles(row([(latency, latency)]))
        ((_, wait),) = first.sends
        ready = timing(TINY).send_wire + latency + TINY.superlanes + 1 + timing(TINY).receive_ready
        assert (wait + ready) % PERIOD == PERIOD // 2 and wait >= timing(TINY).barrier
        assert second.epoch == (wait + ready - PERIOD // 2) // PERIOD + 1
        assert first.deskews - second.deskews == second.epoch - first.deskew // PERIOD
        assert first.last == second.last and min(first.deskews, second.deskews) >= 1


@pytest.mark.parametrize("latency", [1, 87, 88, 89, 90, 216, 344, 600])
def test_all_chips_of_a_row_go_on_in_one_epoch(latency: int) -> None:
    check_start(row([(latency, 7), (700 - latency, 9), (216, 216)]))


@pytest.mark.parametrize("seed", range(8))
def test_all_chips_of_any_system_go_on_in_one_epoch(seed: int) -> None:
    check_start(random_system(seed))


def test_programs_begin_in_the_same_cycle_and_keep_their_lines() -> None:
    text = ".data x: mem.e0 int8 = 5\n.queue mem.e0\n@3 READ x, e4\n.queue c2c.w0\n@{} RECEIVE 0, e4\n"
    sender = ".queue mem.w0\nNOP 9\n.queue c2c.e0\nNOP 1\n"
    system = row([(216, 216)], [assemble(sender, "a.tsp", TINY), assemble(text.format(9), "b.tsp", TINY)])
    begun, zero = started(system)
    second = begun.chips[1].program
    receives = [b for b in expand_program(second).bursts if b.instruction.mnemonic in ("READ", "RECEIVE")][-2:]
    assert sorted(burst.start - zero for burst in receives) == [3, 9]
    assert {second.source.place(burst.queue, burst.index) for burst in receives} == {"b.tsp:3", "b.tsp:5"}
    assert started(dataclasses.replace(system, preamble=False))[0].chips == system.chips


def test_epochs_that_are_too_short_are_refused() -> None:
    short = TINY.override(["hac_period=64"])
    with pytest.raises(InputError, match="hac_period is 64, but the start vector of chip b may come up to 56 cycles"):
        preambles(row([(216, 216)], config=short))


def test_ways_that_take_more_epochs_than_a_queue_has_words_are_refused_at_once() -> None:
    ways, small = [(216, 216)] * 20, TINY.override(["queue_depth=32"])
    with pytest.raises(InputError, match="chip a must DESKEW 41 times until .* shorter ways; set queue_depth=128$"):
        preambles(row(ways, config=small))
    assert check_system(row(ways, config=TINY.override(["queue_depth=128"]))).ok
    most = r"holds 256 words \(queue_depth\); take a tree with shorter ways; no chip has more than queue_depth=65536$"
    with pytest.raises(InputError, match=most):
        preambles(row([(65536, 65536)] * 400))
