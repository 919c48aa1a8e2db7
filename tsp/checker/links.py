"""Rules of SENDs and RECEIVEs of one chip; those of a whole system stand in :mod:`tsp.system_check`."""

import numpy as np

from tsp.checker.report import Writer
from tsp.flow import Flow
from tsp.flow.issues import Ints
from tsp.flow.links import IDLE_EVERY, next_send


def check_links(flow: Flow, writer: Writer) -> None:
    """Report SENDs that meet others of their link, or leave no idle word for too long, and RECEIVEs of a link in one
    cycle; each once per burst."""
    for link, port in enumerate(writer.plan.links):
        sends = np.flatnonzero(flow.sends.link == link)
        _check_sends(flow, sends, port.name, writer)
        _check_idle(flow, sends[flow.sends.goes[sends]], port.name, writer)
    table, issues = flow.receives, flow.issues
    reported: set[int] = set()
    for row in np.flatnonzero(~table.takes).tolist():
        issue, cycle = int(table.issue[row]), int(issues.time[table.issue[row]])
        if int(issues.burst[issue]) not in reported:
            reported.add(int(issues.burst[issue]))
            other = writer.who_issued(flow, int(table.issue[row - 1]))
            message = f"RECEIVE of link {writer.plan.links[int(table.link[row])].name} in the cycle of that of {other};"
            message += " a link gives one vector a cycle"
            writer.add_issue("collision", flow, issue, cycle, message)


def _check_sends(flow: Flow, rows: Ints, port: str, writer: Writer) -> None:
    issue = flow.sends.issue[rows]
    time, superlanes = flow.issues.time[issue], writer.config.superlanes
    reported: set[int] = set()
    for number in np.flatnonzero(~flow.sends.goes[rows]).tolist():
        burst, cycle = int(flow.issues.burst[issue[number]]), int(time[number])
        if burst in reported:
            continue
        reported.add(burst)
        near = np.flatnonzero((time <= cycle) & (time > cycle - 2 * superlanes))
        other = int(near[near != number][-1])
        gap = next_send(cycle - int(time[other]) + 1, superlanes)
        message = f"SEND on link {port} meets the words of {writer.who_issued(flow, int(issue[other]))} of cycle"
        message += f" {int(time[other])}; SENDs on a link are at least {superlanes + 1} cycles apart and, below"
        message += f" {2 * superlanes}, an odd number; works in cycle {int(time[other]) + gap}"
        writer.add_issue("collision", flow, int(issue[number]), cycle, message)


def _check_idle(flow: Flow, rows: Ints, port: str, writer: Writer) -> None:
    issue = flow.sends.issue[rows]
    time, words = flow.issues.time[issue], writer.config.superlanes + 1
    most = (IDLE_EVERY - 1) // words
    # The SEND before which the last idle word was, for each.
    apart = np.append(True, np.diff(time) > words)[: len(time)]
    first = np.maximum.accumulate(np.where(apart, np.arange(len(time)), 0)) if len(time) else time
    late = np.flatnonzero(np.arange(len(time)) - first >= most)
    if len(late):
        number = int(late[0])
        works = int(time[number - 1]) + next_send(words + 1, writer.config.superlanes)
        message = f"SEND on link {port} is the {most + 1}th without an idle word before it; of {IDLE_EVERY} words one"
        message += f" must be idle, and a packet has {words}; works in cycle {works}"
        writer.add_issue("idle", flow, int(issue[number]), int(time[number]), message)
