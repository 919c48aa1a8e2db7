"""The checker of systems: schedule time is common to all chips, and stays so (docs/links.md, section 3)."""

import numpy as np

from tsp.errors import counted
from tsp.flow.channels import Wait, ready_after
from tsp.flow.issues import ints
from tsp.flow.state import NONE
from tsp.system import MOST_STEPS
from tsp.system_times import Times


def check_starts(times: Times) -> list[str]:
    """All chips' schedule time must be common behind their last DESKEW or POLL."""
    system, root = times.system, times.arrived[times.system.root]
    rule = "its preamble must take as many cycles of schedule time and end in the same epoch, such as that of"
    rule += " preamble = true"
    if system.preamble:
        rule = "where a program waits once more, those of all other chips DESKEW or POLL in the same cycle"
    found = []
    for chip, arrived in enumerate(times.arrived if len(system.chips) > 1 else ()):
        before = f"{system.name}: chip {times.names[chip]}:"
        busy = len(times.flows[chip].issues)
        if not len(arrived.released) and busy:
            found.append(
                f"{before} nothing makes its schedule time that of the others; begin with DESKEW or POLL, or leave the"
                " start to the system (preamble = true)"
            )
        elif busy and chip != system.root and arrived.waits[0].link == NONE:
            found.append(
                f"{before} begins with DESKEW, which may go on in any epoch, for nobody knows when the chip is started;"
                f" only the root, {times.names[system.root]}, may: begin with POLL, or leave the start to the system"
                " (preamble = true)"
            )
        elif int(arrived.offset[-1]) != int(root.offset[-1]):
            late = int(arrived.offset[-1] - root.offset[-1])
            found.append(
                f"{before} behind its last DESKEW or POLL it is {abs(late)} cycles"
                f" {'behind' if late > 0 else 'before'} chip {times.names[system.root]}; {rule}"
            )
    return found


def check_runtime_deskews(times: Times) -> list[str]:
    """All chips resynchronise together, and wait long enough."""
    found, root, names = [], times.system.root, times.names
    for chip, mine in enumerate(times.resyncs):
        theirs = times.resyncs[root]
        at, want = [(c.cycle, c.t) for c in mine], [(c.cycle, c.t) for c in theirs]
        if at != want:
            differ = (n for n, (a, b) in enumerate(zip(at, want, strict=False)) if a != b)
            first = next(differ, min(len(at), len(want)))
            own = mine[first] if first < len(mine) else None
            other = theirs[first] if first < len(theirs) else None
            says = "none" if own is None else f"RUNTIME_DESKEW {own.t} in cycle {own.cycle - times.zero}"
            needs = "none" if other is None else f"RUNTIME_DESKEW {other.t} in cycle {other.cycle - times.zero}"
            found.append(
                f"{times.system.name}: chip {names[chip]}: has {says} where chip {names[root]} has {needs}; all chips"
                " dispatch the same one in the same cycle"
            )
    return found or [*_short(times), *_long(times)]


def _short(times: Times) -> list[str]:
    """RUNTIME_DESKEWs that may be shorter than what they make up for."""
    found, system, chips = [], times.system, range(len(times.flows))
    farthest = max(system.apart(system.root, chip) for chip in chips)
    for control in times.resyncs[system.root]:
        before = np.asarray(max(control.cycle - 1, 0))
        cycles = 1 + max(int(times.since(chip, before)) for chip in chips)
        drift = system.drift(cycles)
        least = drift + farthest + 2
        if control.t < least:
            place = times.place(system.root, control.queue, control.index, control.cycle)
            found.append(
                f"{place}: RUNTIME_DESKEW {control.t} may be too short: in {cycles} cycles clocks come"
                f" {counted(drift, 'cycle')} apart, and HACs {farthest}; t must be at least {least}"
            )
    return found


def _long(times: Times) -> list[str]:
    """Chips that run for so long without one that a HAC makes more steps than are counted; the first time of each."""
    found, system = [], times.system
    for chip, flow in enumerate(times.flows):
        ends = [flow.cycles, *(control.cycle for control in times.resyncs[chip])]
        ends += [wait.cycle for wait in times.arrived[chip].waits]
        cycles = np.maximum(ints(sorted(ends)) - 1, 0)
        drifted = times.since(chip, cycles)
        most = MOST_STEPS - system.apart(system.root, chip)
        late = np.flatnonzero(system.drift(drifted) > most)
        if len(late):
            begin = int(cycles[late[0]] - drifted[late[0]]) - times.zero
            found.append(
                f"{system.name}: chip {times.names[chip]}: runs {int(drifted[late[0]])} cycles without RUNTIME_DESKEW,"
                f" in which clocks may come more than the {most} cycles apart that are counted; resynchronise all chips"
                f" until cycle {begin + most * 1_000_000 // (2 * system.ppm)}"
            )
    return found


def check_epochs(times: Times) -> list[str]:
    """Every DESKEW and POLL goes on in one and the same epoch, whatever clocks and wires do; the first that may not, of
    each chip."""
    found = []
    for chip, arrived in enumerate(times.arrived):
        checks = (_unsure(times, chip, n) or _near(times, chip, n) for n in range(len(arrived.waits)))
        found += [next(filter(None, checks), "")]
    return [*filter(None, found)]


def _place(times: Times, chip: int, wait: Wait) -> str:
    what = "DESKEW" if wait.link == NONE else f"POLL of link {times.writers[chip].plan.links[wait.link].name}"
    return f"{times.place(chip, wait.queue, wait.index, wait.cycle)}: {what}"


def _unsure(times: Times, chip: int, number: int) -> str:
    """Whether a DESKEW or POLL may be dispatched in another epoch. When a chip begins nobody knows, so its first
    counts as early."""
    wait, arrived = times.arrived[chip].waits[number], times.arrived[chip]
    period, drifted = times.flows[chip].config.hac_period, int(times.since(chip, np.asarray(wait.cycle)))

    def near(later: int) -> bool:
        """Whether its HAC may so many cycles later be in another epoch than its schedule time; it never goes back over
        a boundary behind its last reset."""
        cycles = drifted + later
        phase, steps = (wait.cycle + later + int(arrived.offset[number])) % period, times.steps(chip, cycles)
        return phase + steps >= period or phase < min(steps, cycles)

    if number == 0 or not near(0):
        return ""
    sure = next((later for later in range(period) if not near(later)), None)
    steps = counted(times.steps(chip, drifted), "step")
    close = "resynchronise before" if sure is None else f"works from cycle {wait.cycle + sure - times.zero}"
    return (
        f"{_place(times, chip, wait)} may go on in either of two epochs, because up to {steps} may have been made since"
        f" the last DESKEW, POLL or RUNTIME_DESKEW; {close}"
    )


def _near(times: Times, chip: int, number: int) -> str:
    """Whether the vector that a POLL waits for may come in another epoch."""
    wait, arrived = times.arrived[chip].waits[number], times.arrived[chip]
    if wait.link == NONE:
        return ""
    channel = times.into[chip, wait.link]
    flow = times.flows[chip]
    period, sends = flow.config.hac_period, times.sends(channel)
    oldest = int(np.count_nonzero(flow.issues.time[times.receives(channel)] < wait.cycle))
    sent = sends[min(oldest, len(sends) - 1)]
    margin = int(times.system.margin(channel, times.since(channel.sender, sent)))
    ready = int(times.arrived[channel.sender].common(sent)) + ready_after(channel, flow.config)
    begins = int(arrived.released[number] + arrived.offset[number + 1])
    waited = number == 0 or wait.cycle + int(arrived.offset[number]) < begins - period
    later = begins if ready + margin >= begins else begins - period
    if later < begins and (ready - margin >= later or not waited):
        return ""
    sender, works = times.names[channel.sender], int(sent) + later + margin - ready - times.zero
    side = "before" if later > ready else "behind"
    close = f"send it in cycle {works}" if period > 2 * margin else f"set hac_period={4 * period} in all chips"
    return (
        f"{_place(times, chip, wait)} may go on in either of two epochs, because the vector that chip {sender} sends in"
        f" cycle {int(sent) - times.zero} is there {abs(later - ready)} cycles {side} the beginning of an epoch, and up"
        f" to {margin} early or late; {close}"
    )
