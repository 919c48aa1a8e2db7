"""What the checker says, and how it names things."""

import dataclasses

import numpy as np

from tsp.config import ChipConfig
from tsp.dispatch import Burst
from tsp.floorplan import floorplan
from tsp.flow import Flow
from tsp.flow.issues import Ints
from tsp.program import Source


@dataclasses.dataclass(frozen=True)
class Problem:
    """One broken rule.

    Attributes:
        rule: ``collision``, ``bank_conflict``, ``operand_absent``, ``illegal_instruction``, ``gather_address``,
            ``permute_map``, ``run_dry`` (these seven are also run-time faults), ``undefined_word``, ``undefined_row``,
            ``undefined_weights``, ``row_type``, ``sync``, ``notify``, ``config``, ``deskew``, ``no_result``,
            ``ignored_step``, ``reserved_bits``, ``unfetched``, ``idle``, ``queue_depth`` or
            ``unknown_queue``; of systems also those of :mod:`tsp.system_check`.
        queue, index: the queue and the word in it.
        cycle: when, in schedule time; None for what has no time.
        where: the source line, or the word.
        message: the rule broken, and the nearest thing that works.
    """

    rule: str
    queue: int
    index: int
    cycle: int | None
    where: str
    message: str

    def __str__(self) -> str:
        cycle = "" if self.cycle is None else f"cycle {self.cycle}: "
        return f"{self.where}: {cycle}{self.message}"


@dataclasses.dataclass(frozen=True)
class Report:
    """The checker's verdict: ``problems`` by cycle and queue, and the predicted cycle count (last event + 1)."""

    problems: list[Problem]
    cycles: int

    @property
    def ok(self) -> bool:
        """Whether the program is legal."""
        return not self.problems

    def __str__(self) -> str:
        if self.ok:
            return f"legal, {self.cycles} cycles"
        return "\n".join(str(problem) for problem in self.problems)


class Writer:
    """Collects problems; knows the names of queues, words and sites."""

    def __init__(self, config: ChipConfig, source: Source):
        self.config, self.source, self.plan = config, source, floorplan(config)
        self.problems: list[Problem] = []

    def queue_name(self, queue: int) -> str:
        """``mem.e4``."""
        known = 0 <= queue < len(self.plan.queues)
        return self.plan.queues[queue].name if known else f"queue {queue}"

    def who(self, queue: int, index: int) -> str:
        """``mem.e4 (line 88)``: a word named inside a message."""
        line = self.source.lines.get((queue, index))
        return f"{self.queue_name(queue)} ({f'word {index}' if line is None else f'line {line}'})"

    def where(self, queue: int, index: int) -> str:
        """``add.tsp:88: mem.e4``: the place a message begins with."""
        place, name = self.source.place(queue, index), self.queue_name(queue)
        return f"{name} word {index}" if place is None else f"{place}: {name}"

    def add(self, rule: str, queue: int, index: int, cycle: int | None, message: str) -> None:
        """Report a problem."""
        self.problems.append(Problem(rule, queue, index, cycle, self.where(queue, index), message))

    def add_issue(self, rule: str, flow: Flow, issue: int, cycle: int, message: str) -> None:
        """Report a problem of an issue."""
        burst = burst_of(flow, issue)
        self.add(rule, burst.queue, burst.index, cycle, message)

    def who_issued(self, flow: Flow, issue: int) -> str:
        """``mem.e4 (line 88)`` for an issue."""
        burst = burst_of(flow, issue)
        return self.who(burst.queue, burst.index)

    def report(self, cycles: int) -> Report:
        """All problems in order."""

        def order(problem: Problem) -> tuple[int, int, int]:
            return (-1 if problem.cycle is None else problem.cycle, problem.queue, problem.index)

        return Report(sorted(self.problems, key=order), cycles)


def first_of_burst(flow: Flow, issue: Ints) -> Ints:
    """Positions in ``issue`` of the first of each burst."""
    _, first = np.unique(flow.issues.burst[issue], return_index=True)
    return first


def burst_of(flow: Flow, issue: int) -> Burst:
    """The burst of an issue."""
    return flow.issues.bursts[int(flow.issues.burst[issue])]
