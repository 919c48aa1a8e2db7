"""What a run of a system comes to, beside what it must be."""

from collections.abc import Sequence
from typing import Any

from tb.link import rules
from tb.link.scenario import Scenario
from tb.link.system import Topology


def ancestors(topology: Topology, chip: int) -> list[int]:
    """Chips from ``chip`` to the root."""
    found, parents = [chip], topology.parents()
    while (link := parents[found[-1]]) is not None:
        found.append(sum(topology.links[link]) - found[-1])
    return found


def links_above(topology: Topology, chip: int) -> list[int]:
    """Links of the tree between ``chip`` and the root."""
    return [link for above in ancestors(topology, chip) if (link := topology.parents()[above]) is not None]


def edges(topology: Topology, a: int, b: int) -> int:
    """Edges of the tree between two chips."""
    return len(set(ancestors(topology, a)) ^ set(ancestors(topology, b)))


def constant(scenario: Scenario, chip: int) -> float:
    """HAC of a chip less the root's, on average: half of what links on the way are slower upwards than downwards."""
    topology, path = scenario.topology, ancestors(scenario.topology, chip)
    delays = scenario.complete().delays
    down = [topology.channels.index((parent, child)) for child, parent in zip(path, path[1:], strict=False)]
    return sum(delays[c ^ 1] - delays[c] for c in down) / 2


def hac_errors(scenario: Scenario, phases: Sequence[dict[str, float]]) -> list[float]:
    """The most by which each chip's HAC was off."""
    constants = [constant(scenario, chip) for chip in range(len(phases))]
    return [
        max(abs(phase["least"] - mean), abs(phase["most"] - mean))
        for phase, mean in zip(phases, constants, strict=True)
    ]


def from_root(phases: Sequence[dict[str, float]]) -> list[float]:
    """The most by which each chip's HAC differed from the root's."""
    return [max(abs(phase["least"]), abs(phase["most"])) for phase in phases]


def bound(topology: Topology, chip: int) -> int:
    """What the HAC's error must stay within once it is locked."""
    return (0, 3, 6, 6, 6, 6)[topology.depth(chip)]


def locked_after(scenario: Scenario, found: dict[str, Any]) -> list[int | None]:
    """Thousands of cycles of alignment after which each chip's HAC stayed within its bound; None if it does not."""
    errors = [hac_errors(scenario, phases) for phases in found["history"]]
    result: list[int | None] = []
    for chip in range(scenario.topology.chips):
        good = [error[chip] <= bound(scenario.topology, chip) for error in errors]
        wrong = max((i + 1 for i, inside in enumerate(good) if not inside), default=0)
        result.append(wrong if wrong < len(good) else None)
    return result


def offset_errors(scenario: Scenario, found: dict[str, Any]) -> list[float]:
    """Of each channel the measured L_eff less the true one: cycles of time on the way, and by how much more the
    receiver's HAC is than the sender's at the same time. No stamp is read for that."""
    phases = [phase["mean"] for phase in found["phases"]]
    return [
        measured - (truth["transit"] + phases[receiver] - phases[sender])
        for measured, truth, (sender, receiver) in zip(
            found["l_eff"], found["truths"], scenario.topology.channels, strict=True
        )
    ]


def lateness(scenario: Scenario, found: dict[str, Any]) -> list[tuple[float, float, int]]:
    """Of each channel (earliest, latest, H): how far arrivals were from L_eff after sending, in schedule time."""
    ppm = max(map(abs, scenario.ppm))
    measured = found.get("l_eff") or [latency for latency in found["latency"] for _ in range(2)]
    return [
        (truth["lead_least"] - l_eff, truth["lead_most"] - l_eff,
         rules.margin(edges(scenario.topology, *ends), ppm, scenario.segment))
        for truth, l_eff, ends in zip(found["ran"]["truths"], measured, scenario.topology.channels, strict=True)
    ]  # fmt: skip


def outside(scenario: Scenario, found: dict[str, Any], less: int = 0) -> list[int]:
    """Channels on which a word came later, or earlier, than the margin less ``less`` allows."""
    late = lateness(scenario, found)
    return [c for c, (least, most, margin) in enumerate(late) if max(-least, most) > margin - less]


def epochs_later(start: dict[str, Any], chip: int) -> int:
    """Epochs from the root's release to a chip's, by HACs that count on."""
    first, total = start["first_total"], start["total"]
    apart = round((total[0] - total[chip]) / rules.PERIOD)
    return first[chip] // rules.PERIOD + apart - first[0] // rules.PERIOD
