"""HACs of many chips: aligned from any phase, the same every time, by the rule of the contract."""

import numpy as np
import pytest

from golden.network import hac, level
from golden.network.align import FROM_ROOT, LINKED, align, packets
from golden.network.hac import EXCHANGE, JITTER, LATENCY, PERIOD, SAMPLES, System, wrapped
from golden.network.topology import topology
from tsp.errors import InputError


@pytest.fixture(scope="module")
def aligned():
    return align(topology(nodes=33), cycles=80_000, seed=3)


def test_264_chips_are_aligned(aligned):
    found = aligned.as_dict()
    assert aligned.from_root[0].max() > 100  # from any phases
    assert found["locked"] < 40_000
    assert 1 < found["from_root"] <= FROM_ROOT and 1 < found["from_parent"] <= LINKED
    assert found["linked"] <= LINKED + 2 and found["linked_over_limit"] < 1e-3
    assert found["chips_by_depth"] == [1, 11, 56, 196]
    # What a packet may be late beyond its jitter is what the HACs of both chips move meanwhile.
    assert JITTER - 2 < found["late"] < JITTER + 2 * LINKED


def test_a_seed_gives_the_same_numbers():
    first, second, other = (align(topology(nodes=1), 20_480, seed) for seed in (5, 5, 6))
    assert (first.linked == second.linked).all() and first.as_dict() == second.as_dict()
    assert (first.linked != other.linked).any()


def test_the_tree_is_breadth_first():
    system = System(topology(racks=3), np.random.default_rng(1))
    assert (system.depth[system.child] == system.depth[system.parent] + 1).all()
    assert (system.topology.peers.ravel()[system.down] == system.child).all()
    assert sorted([0, *system.child]) == list(range(system.topology.chips))


def test_clocks_keep_within_100_ppm_and_wander():
    found = hac.clocks(500, np.random.default_rng(2))
    times = np.arange(0, 5_000_000, 100_000.0)
    rates = np.diff([found.cycles(time) for time in times], axis=0) / 100_000 - 1
    assert np.abs(rates).max() <= 100e-6 and np.abs(rates).max() > 80e-6
    assert np.ptp(rates, axis=0).max() > 5e-6


def quiet(error, fraction=0.0):
    """Chips and their parent with like clocks, no jitter, and HACs that are so far behind their parent's; ``fraction``:
    of the latency that is written."""
    system = System(topology(nodes=1), np.random.default_rng(1))
    chips = system.topology.chips
    nothing = np.zeros(chips)
    # The parent's edges come before those of the others, so that a word of LATENCY cycles seems to take LATENCY.
    phase = np.append(0.75, np.linspace(0.1, 0.5, chips - 1))
    system.clocks = hac.Clocks(phase, nothing, nothing, nothing + 1e-6, nothing)
    system.latency[:] = LATENCY
    system.write(np.full(system.child.size, LATENCY + fraction))
    system.sum = system.fraction.copy()
    system.jitter = lambda *shape: np.zeros(shape)
    system.steps[0] = error
    system.history[:] = system.steps
    return system


@pytest.mark.parametrize(
    "error, step",
    [
        (0, 0), (1, 0), (11, 0), (-11, 0), (12, 1), (-12, -1),
        (64, 1), (-64, -1), (65, 1), (-65, 1), (127, 1), (-128, 1),
    ],
)  # fmt: skip
def test_a_coarse_step_is_as_the_rule_says(error, step):
    system = quiet(error)
    system.exchange(0)
    assert (system.steps[1:] == step).all() and system.steps[0] == error


@pytest.mark.parametrize("error, step", [(0, 0), (1, 1), (-1, -1), (11, 1), (-5, -1)])
def test_a_fine_step_waits_for_32_samples(error, step):
    system = quiet(error)
    for exchange in range(SAMPLES - 1):
        system.exchange(exchange)
        assert (system.steps[1:] == 0).all()
    system.exchange(SAMPLES - 1)
    assert (system.steps[1:] == step).all()


@pytest.mark.parametrize("then, steps", [(-1.0, 2), (0.0, 1)])
def test_a_coarser_step_empties_the_sum(then, steps):
    system = quiet(1)
    late = 0.0
    system.jitter = lambda *shape: np.full(shape, late)
    for exchange in range(SAMPLES - 1):
        system.exchange(exchange)
    late = -20.0  # the parent's HAC seems 21 ahead
    system.exchange(SAMPLES - 1)
    assert (system.steps[1:] == 1).all()
    late = then
    for exchange in range(SAMPLES, 2 * SAMPLES - 1):
        system.exchange(exchange)
        assert (system.steps[1:] == 1).all()
    system.exchange(2 * SAMPLES - 1)
    assert (system.steps[1:] == steps).all()


def test_the_latency_is_half_of_the_round_trip(monkeypatch):
    monkeypatch.setattr(hac, "ASYMMETRY", 40)
    system = System(topology(nodes=1), np.random.default_rng(1))
    back = system.topology.ends.ravel()[system.down]
    mean = (system.latency[system.down] + system.latency[back]) / 2
    # Half a cycle more, which the child's own clock takes to read it.
    assert np.abs(system.written - mean - 0.5).max() < 1 < np.abs(system.written - system.latency[system.down]).max()


def test_a_latency_is_written_in_32nds():
    system = System(topology(nodes=1), np.random.default_rng(1))
    latency = np.array([216.0, 216.5, 216.46, 215.97, 217.75, 214.015, 213.016])
    system.write(latency)
    assert np.abs(system.written - latency).max() <= 1 / 64
    assert system.whole.tolist() == [216, 217, 216, 216, 218, 214, 213]
    assert system.fraction.tolist() == [0, -16, 15, -1, -8, 0, 1]


def test_cables_say_how_far_chips_are_ahead():
    system = System(topology(nodes=33), np.random.default_rng(1))
    chips = system.topology.chips
    truth = np.append(0, np.random.default_rng(2).normal(0, 2, chips - 1))
    to, source = system.topology.peers.ravel(), np.repeat(np.arange(chips), 11)
    found = level.ahead(system, system.latency + truth[to] - truth[source])
    # Each cable is wrong by up to half a cycle, its asymmetry; a chip has eleven.
    assert np.abs(found - truth).max() < 0.45
    system.latency[:] = LATENCY
    assert np.abs(level.ahead(system, system.latency + truth[to] - truth[source]) - truth).max() < 0.01


def test_levelled_chips_of_uneven_cables_are_nearer(monkeypatch):
    monkeypatch.setattr(hac, "ASYMMETRY", 12)
    monkeypatch.setattr(level, "SAMPLES", 64)
    apart = []
    for begin in (100_000, 20_000):
        monkeypatch.setattr(level, "BEGIN", begin)
        linked = align(topology(nodes=2), 100_000).linked
        apart.append(linked[len(linked) // 2 :].mean())
    assert apart[1] < 4.5 and apart[0] > 10


def test_a_mean_of_half_a_cycle_is_no_step():
    for part, step in ((SAMPLES // 2, 0), (SAMPLES // 2 + 1, 1)):
        system = quiet(0)
        for exchange in range(SAMPLES):
            # A packet that comes a cycle early looks as if the parent were one ahead.
            system.jitter = lambda *shape, early=exchange < part: np.full(shape, -1.0 if early else 0.0)
            system.exchange(exchange)
        assert (system.steps[1:] == step).all()


@pytest.mark.parametrize("fraction, early, step", [(0.25, 8, 0), (0.25, 9, 1), (-0.25, 24, 0), (-0.25, 25, 1)])
def test_a_sum_begins_with_the_fraction(fraction, early, step):
    system = quiet(0, fraction)
    for exchange in range(2 * SAMPLES):
        # A mean beyond half a cycle, of which the fraction is a part; in the second sum as in the first.
        system.jitter = lambda *shape, early=exchange % SAMPLES < early: np.full(shape, -1.0 if early else 0.0)
        system.exchange(exchange)
        if exchange == SAMPLES - 1:
            assert (system.steps[1:] == step).all()
            system.steps[:] = 0
            system.history[:] = 0
    assert (system.steps[1:] == step).all()


def test_a_difference_wraps():
    assert wrapped(np.array([0, 127, 128, 255, 256, -129])).tolist() == [0, 127, -128, -1, 0, 127]


def test_constant_offsets_do_not_make_packets_late():
    system = quiet(0)
    system.steps[:] = np.arange(8) % 4
    system.history[:] = system.steps
    system.exchange = lambda number: None
    late, early = packets(system, 0)
    assert late < 1 and early < 1


@pytest.mark.parametrize("cycles", [0, EXCHANGE, -5, 10**9])
def test_a_time_that_cannot_be_watched_is_refused(cycles):
    with pytest.raises(InputError, match=f"cycles {cycles}: an alignment is watched for 512…10000000; 400000 works"):
        align(topology(nodes=1), cycles)


def test_what_is_not_aligned_yet_says_so():
    with pytest.raises(InputError, match="not aligned after 2560 cycles; give them more"):
        align(topology(nodes=33), 3000).as_dict()
    assert PERIOD == 256
