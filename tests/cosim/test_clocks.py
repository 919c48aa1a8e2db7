"""Chips with clocks of their own have one time: counters, aligners and links without a datapath.

Here two chips, and measurements of 32 round trips or epochs; ``make align`` runs more chips, and longer measurements.
"""

from dataclasses import replace

import pytest

from tb.link import claims, figures, rules
from tb.link.scenario import CONFIG, Scenario, run
from tb.link.system import CYCLE, chain, full, tree

TWO = full(2)
SHORT = 32


@pytest.fixture(scope="module")
def aligned():
    """Two chips at the corners of ±100 ppm, with wander, on a link that is slower downwards by 16 cycles."""
    scenario = Scenario(TWO, [100, -100], wander=6, delays=[224, 208], samples=SHORT, settle=10, offsets=True,
                        run=15_000, segment=5000, stall=rules.stall(1, 100, 5000))  # fmt: skip
    return scenario, run(scenario)


def test_the_round_trip_gives_the_mean_latency(aligned):
    _, found = aligned
    means = [truth["transit"] for truth in found["truths"]]
    assert abs(found["latency"][0] - sum(means) / 2) <= 1


def test_packets_jitter_by_nine_cycles_at_most(aligned):
    _, found = aligned
    for truth in found["ran"]["truths"]:
        assert 12 < truth["transit_most"] - truth["transit_least"] <= 19, "the elastic buffer adds a cycle"
        assert truth["transit_most"] - 10 < truth["transit"] < truth["transit_least"] + 10


def test_hacs_come_together_and_stay(aligned):
    scenario, found = aligned
    assert figures.locked_after(scenario, found)[1] is not None
    assert max(figures.hac_errors(scenario, found["ran"]["phases"])) <= 3


def test_measured_latencies_are_the_true_ones(aligned):
    scenario, found = aligned
    assert max(map(abs, figures.offset_errors(scenario, found))) <= 0.5
    assert abs(found["l_eff"][0] - found["l_eff"][1]) < 5, "a HAC that is behind makes up for a link that is slower"
    assert abs(found["truths"][0]["transit"] - found["truths"][1]["transit"] - 16) < 1


def test_words_come_within_their_margin_in_schedule_time(aligned):
    scenario, found = aligned
    assert figures.outside(scenario, found) == []
    assert min(truth["lead_words"] for truth in found["ran"]["truths"]) > 5000
    assert found["ran"]["slips"] == [0, 0] and min(found["ran"]["resyncs"]) == 2
    assert found["silent"] == [0, 0]


@pytest.fixture(scope="module")
def disturbed():
    """A child that starts late, on a link of which a tenth of the words are wrong, and which is cut for 17 epochs; its
    program starts when its parent's vector comes; HACs are stepped at the ends of epochs and in RUNTIME_DESKEWs."""
    scenario = Scenario(TWO, [-100, 100], latency=[116], delays=[113, 113], late=[0, 5000], samples=SHORT, cut=4400,
                        settle=16, flipped=0.1, starts=[[115], [116], [117]], run=20_000, segment=100, stall=30,
                        forced=64)  # fmt: skip
    return scenario, run(scenario)


def test_a_late_child_on_a_bad_link_still_locks(disturbed):
    scenario, found = disturbed
    assert figures.locked_after(scenario, found)[1] is not None
    assert found["silent"] == [0, 1], "only a child listens, and a silence of 17 epochs is not forgotten"


def test_steps_at_any_time_lose_no_epoch_and_no_cycle(disturbed):
    _, found = disturbed
    assert found["ran"]["slips"] == [0, 0] and min(found["ran"]["resyncs"]) > 140
    assert all(count > 5 for steps in found["ran"]["steps"] for count in steps), "of both chips, at each of those times"


def test_a_child_starts_in_the_epoch_that_was_computed(disturbed):
    scenario, found = disturbed
    assert claims.starts(scenario, found) == []
    assert {rules.start(latency, CONFIG.superlanes, 0)[1] for (latency,) in scenario.starts} == {1, 2}, "both sides"


@pytest.fixture(scope="module")
def alone():
    """Two chips of which neither follows the other, in Verilator."""
    scenario = Scenario(TWO, [100, -100], latency=[219], aligned=False, settle=3, samples=SHORT)
    return scenario, run(scenario)


def test_counters_diverge_without_alignment(alone):
    """By 200 ppm of the cycles between the middles of the first thousand and of the last."""
    _, found = alone
    means = [phases[1]["mean"] for phases in found["history"]]
    assert abs(means[-1] - means[0] + 200e-6 * 2000) < 0.02 and means == sorted(means, reverse=True)


def test_both_simulators_find_the_same(alone):
    scenario, found = alone
    assert run(scenario, "icarus") | {"seconds": 0} == found | {"seconds": 0}


def test_counters_of_equal_clocks_do_not_diverge(alone):
    scenario, _ = alone
    history = run(replace(scenario, ppm=[50, 50]))["history"]
    assert abs(history[-1][1]["mean"] - history[0][1]["mean"]) < 0.002


@pytest.mark.parametrize(("superlanes", "least"), [(2, 0), (20, 90)])
def test_a_start_vector_comes_in_the_middle_of_an_epoch(superlanes, least):
    """Straight from the text: the vector is seen in the middle of epoch n - 1, counted from the parent's release."""
    for latency in range(1, 601):
        wait, epochs = rules.start(latency, superlanes, least)
        seen = wait + (superlanes + 4) + latency + superlanes + 4
        assert least <= wait < least + 256 and seen == (epochs - 1) * 256 + 128


def test_clocks_would_be_identical_at_a_picosecond():
    cycles = [CYCLE / (1 + ppm * 1e-6) for ppm in (-100, 0, 100)]
    assert len({round(cycle / 1000) for cycle in cycles}) == 1 and len({round(cycle) for cycle in cycles}) == 3


def test_topologies_have_the_depths_they_are_there_for():
    assert [len(figures.ancestors(chain(6), chip)) - 1 for chip in range(6)] == [0, 1, 2, 3, 4, 5]
    assert len(full(8).links) == 28 and max(len(figures.ancestors(full(8), chip)) for chip in range(8)) == 2
    deep = tree([0, 0, 1, 2, 3, 5, 6])
    assert [len(figures.ancestors(deep, chip)) - 1 for chip in range(8)] == [0, 1, 1, 2, 2, 3, 4, 5]
    assert figures.edges(deep, 7, 4) == 7 and figures.edges(deep, 1, 1) == 0
