"""Dataflow: which issue every operand, word, weight and accumulator row comes from.

:func:`analyse` resolves a whole program with numpy; its cost follows the number of issues, not cycles times state.
Checker, golden model, cycle prediction, random generator and timeline share it.
"""

from tsp.flow.analysis import Flow, analyse
from tsp.flow.faults import KINDS, NO_QUEUE, Fault
from tsp.flow.issues import Issues
from tsp.flow.state import NONE

__all__ = ["KINDS", "NONE", "NO_QUEUE", "Fault", "Flow", "Issues", "analyse"]
