"""What must be true of a run of a system: sentences about what is not."""

from typing import Any

from tb.link import figures, rules
from tb.link.scenario import CONFIG, Scenario

Found = dict[str, Any]
LOCKED = 50
"""Thousands of cycles in which HACs must have come together."""
OFFSET = 0.5
"""Cycles that a measured L_eff may be off."""
RESYNCS = 10_000


def aligned(scenario: Scenario, found: Found) -> list[str]:
    """All that is claimed of a system whose chips are aligned."""
    late = [
        f"chip {i} is not locked after {LOCKED},000 cycles"
        for i, after in enumerate(figures.locked_after(scenario, found))
        if after is None or after > LOCKED
    ]
    return [*late, *near(scenario, found), *kept(scenario, found)]


def steady(scenario: Scenario, found: Found) -> list[str]:
    """What holds however long a packet's delay stays: HACs are within their guaranteed bound, and so all else holds."""
    return guaranteed(scenario, found["ran"]["phases"]) + kept(scenario, found)


def kept(scenario: Scenario, found: Found) -> list[str]:
    """Every L_eff is right, every word comes within its margin and nothing slips."""
    off = [
        f"L_eff of channel {c} is off by {error:.2f}"
        for c, error in enumerate(figures.offset_errors(scenario, found))
        if abs(error) > OFFSET
    ]
    return [*off, *in_time(scenario, found), *slips(scenario, found)]


def near(scenario: Scenario, found: Found) -> list[str]:
    """HACs are within 3 cycles at depth 1 and 6 below, but for what uneven links shift them by."""
    limits = [figures.bound(scenario.topology, chip) for chip in range(scenario.topology.chips)]
    return [
        sentence
        for phases in (found["phases"], found["ran"]["phases"])
        for sentence in beyond(scenario, phases, limits)
    ]


def beyond(scenario: Scenario, phases: list[dict[str, float]], limits: list[int]) -> list[str]:
    return [
        f"the HAC of chip {i} is off by {error:.1f}, more than {limit}"
        for i, (error, limit) in enumerate(zip(figures.hac_errors(scenario, phases), limits, strict=True))
        if error > limit
    ]


def guaranteed(scenario: Scenario, phases: list[dict[str, float]]) -> list[str]:
    """No HAC is off by more than J + 2 for each edge of the tree."""
    return beyond(scenario, phases, [rules.apart(scenario.topology.depth(i)) for i in range(len(phases))])


def slips(scenario: Scenario, found: Found) -> list[str]:
    """No cycle of schedule time and no epoch is lost, by any chip."""
    return [f"chip {i} slips" for i, slipped in enumerate(found["ran"]["slips"]) if slipped]


def in_time(scenario: Scenario, found: Found) -> list[str]:
    """Every word comes within its margin, in schedule time."""
    return [f"a word of channel {c} missed its margin" for c in figures.outside(scenario, found)]


def free(scenario: Scenario, found: Found) -> list[str]:
    """What shows that the bench would notice: words miss their margins once clocks have drifted apart by as much, and
    do not before they are half of it apart."""
    margin = max(margin for _, _, margin in figures.lateness(scenario, found))
    drifted, missed = rules.drift(max(scenario.ppm), scenario.run), figures.outside(scenario, found)
    if drifted >= margin:
        return [] if missed else [f"nothing missed its margin of {margin} in a drift of {drifted}"]
    return in_time(scenario, found) if drifted < margin / 2 else [f"a drift of {drifted} shows nothing"]


def tight(scenario: Scenario, found: Found) -> list[str]:
    """HACs that are stepped by chance stay within their guaranteed bound, and words need the last 12 cycles of it."""
    wrong = [] if figures.outside(scenario, found, less=12) else ["12 cycles less of margin would do"]
    wrong += guaranteed(scenario, found["ran"]["phases"])
    return wrong + in_time(scenario, found) + slips(scenario, found)


def locks(scenario: Scenario, found: Found) -> list[str]:
    return [f"chip {i} is not locked" for i, after in enumerate(figures.locked_after(scenario, found)) if after is None]


def keeps(scenario: Scenario, found: Found) -> list[str]:
    """Ten thousand resynchronisations, and steps in each of the cycles in which they might do harm."""
    wrong = []
    for i, (resyncs, steps) in enumerate(zip(found["ran"]["resyncs"], found["ran"]["steps"], strict=True)):
        wrong += [f"chip {i} made {resyncs} resynchronisations only"] if resyncs < RESYNCS else []
        wrong += [f"chip {i} was not stepped in each of the cycles asked for"] if not all(steps) else []
    return wrong + slips(scenario, found)


def starts(scenario: Scenario, found: Found) -> list[str]:
    """Every chip goes on so many epochs after the root as was computed."""
    wrong = []
    for latency, start in zip(scenario.starts, found["starts"], strict=True):
        for chip, running in enumerate(start["running"]):
            links = figures.links_above(scenario.topology, chip)
            computed = sum(rules.start(latency[link], CONFIG.superlanes, 0)[1] for link in links)
            epochs = figures.epochs_later(start, chip) if running else None
            if epochs != computed:
                wrong.append(f"L = {latency}: chip {chip} starts {epochs} epochs after the root, not {computed}")
        wrong += [f"L = {latency}: chip {chip} slips" for chip, slipped in enumerate(start["slips"]) if slipped]
    return wrong
