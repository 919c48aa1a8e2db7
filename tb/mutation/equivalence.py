"""Whether a mutant behaves as the module does, decided by induction over all inputs and states (z3).

Both start in the same state, whatever it is, and are reset, if they can be: what differs before that does not count.
Some set of state bits, at first all, is the same in both; if in one cycle no output can differ, and no bit of the set
after it, then none ever does. Bits of the set that can differ are taken out until none is left that can (or an output
differs: then nothing is proven, and the mutant counts as another machine).
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import z3

from tb.mutation.limits import holds
from tb.mutation.machine import Machine, Terms, Texts, When, machines
from tb.mutation.netlist import Mutant

EFFORT = 20_000_000
"""What z3 may spend on one question about a mutant, in its own unit, so that the answer does not depend on the machine:
about ten seconds."""
CLOCK = "clk"
"""The port of cells and modules, by which a mutant is never proven equivalent."""
VALID = "_valid"
"""A port with this behind its name says whether the one without it is looked at (docs/rtl.md)."""
STEPS = 3
"""Cycles of an induction. The second one finds that a register is only read in the cycle after it was loaded, the third
that what went through two of them came to nothing."""
Cycles = tuple[list[Any], list[Any], dict[str, Any], dict[str, Any]]
"""What is assumed of some cycles of two machines, where outputs can differ in the last, and both states after it."""


def equivalent(module: Sequence[Machine], number: int, effort: int = EFFORT) -> bool:
    """Whether induction shows that mutant ``number`` cannot be told from the module, of which these are readings."""
    for steps in range(1, STEPS + 1):
        for reading in module:
            if _induct(reading.with_mutant(0), reading.with_mutant(number), steps, effort):
                return True
    return False


def _induct(right: Machine, wrong: Machine, steps: int, effort: int) -> bool:
    """Induction over ``steps`` cycles: outputs and chosen bits are taken to be the same in all but the last."""
    same = {part: _ones(variable) for part, variable in right.state.items()}
    while True:
        others = {part: _mixed(variable, same[part]) for part, variable in right.state.items()}
        fewer = _kept(_unrolled(right, wrong, [], dict(right.state), others, same, steps), same, effort)
        if fewer is same:
            fewer = _begun(right, wrong, same, steps, effort)
            if fewer is same:
                return True
        if fewer is None:
            return False
        same = fewer


def _begun(
    right: Machine, wrong: Machine, same: Mapping[str, Any], steps: int, effort: int
) -> Mapping[str, Any] | None:
    """Those of the chosen bits that are the same in the first ``steps - 1`` cycles from the start; ``same`` itself if
    all are, None if an output is not."""
    before, ours = right.begun()
    _, theirs = wrong.begun()
    for count in range(steps):
        cycles = _unrolled(right, wrong, before, ours, theirs, same, count)
        fewer = _kept(cycles, same, effort)
        if fewer is not same:
            return fewer
    return same


def _kept(cycles: Cycles, same: Mapping[str, Any], effort: int) -> Mapping[str, Any] | None:
    """Those of the chosen bits that are the same after some cycles; ``same`` itself if all are, None if an output can
    differ, or nobody knows."""
    assumed, outputs, ours, theirs = cycles
    if _first(assumed, outputs, effort) is not None:
        return None
    parts = list(same)
    found = _first(assumed, [_differs(ours[part], theirs[part], same[part]) for part in parts], effort)
    if found is None:
        return same
    place, model = found
    if model is None:
        part = parts[place]
        nothing = z3.BitVecVal(0, ours[part].size()) if z3.is_bv(ours[part]) else z3.BoolVal(False)
        return {**same, part: nothing}
    return {part: _left(mask, model, ours[part], theirs[part]) for part, mask in same.items()}


def _unrolled(
    right: Machine,
    wrong: Machine,
    before: Sequence[Mapping[str, Any]],
    ours: dict[str, Any],
    theirs: dict[str, Any],
    same: Mapping[str, Any],
    steps: int,
) -> Cycles:
    """Some cycles of both, from a state of each: bits ``same`` and outputs do not differ before the last one.
    ``before``: what the right one showed in cycles before these, if that is known."""
    assumed: list[Any] = []
    outputs: list[Any] = []
    history = list(before)
    for number in range(steps):
        said, shown, ours = right.cycle(ours, number)
        _, seen, theirs = wrong.cycle(theirs, number)
        history.append(shown)
        assumed += said
        looks = {port: _looked(right.terms, port, history) for port in right.ports}
        outputs = [z3.And(look is None or look, _differs(shown[port], seen[port])) for port, look in looks.items()]
        if number < steps - 1:
            # Where nobody knows whether an output counts nothing can be taken from it.
            known = [difference for difference, look in zip(outputs, looks.values(), strict=True) if look is not None]
            differences = [*known, *(_differs(ours[part], theirs[part], same[part]) for part in same)]
            assumed += [z3.Not(difference) for difference in differences if not z3.is_false(difference)]
    return assumed, outputs, ours, theirs


def _looked(terms: Terms, port: str, history: Sequence[Mapping[str, Any]]) -> Any:
    """Whether somebody looks at an output in the last cycle; None if that would be said by one before all."""
    # What an instance looks at is not for its ports' names to say.
    when = terms.valid.get(port, When("" if "." in port else port + VALID))
    if when.name not in history[-1]:
        return z3.BoolVal(True)
    if when.ago >= len(history):
        return None
    said = history[-1 - when.ago][when.name]
    return said if z3.is_bool(said) else z3.Extract(when.bit, when.bit, said) == 1


def _left(mask: Any, model: Any, ours: Any, theirs: Any) -> Any:
    """The bits of a part of the state that are the same in a model too."""
    if ours.eq(theirs) or z3.is_false(mask):
        return mask
    values = [model.eval(value, model_completion=True) for value in (ours, theirs)]
    if z3.is_bv(ours):
        return z3.simplify(mask & ~(values[0] ^ values[1]))
    different = z3.is_true(model.eval(ours != theirs, model_completion=True))
    return z3.BoolVal(False) if different else mask


def _first(assumed: list[Any], differences: list[Any], effort: int) -> tuple[int, Any] | None:
    """The first of some differences that there can be: its place, and a model in which it is, or None if z3 gives up;
    None if there is none. Each is asked for by itself, which is easier than for any of them."""
    for place, difference in enumerate(differences):
        question = z3.simplify(difference)
        if z3.is_false(question):
            continue
        solver = z3.Solver()
        solver.set("rlimit", effort)
        solver.add(*assumed, question)
        answer = solver.check()
        if answer != z3.unsat:
            return place, solver.model() if answer == z3.sat else None
    return None


def _ones(variable: Any) -> Any:
    """All bits of a part of the state; a memory is the same as a whole or not."""
    return z3.BitVecVal(-1, variable.size()) if z3.is_bv(variable) else z3.BoolVal(True)


def _mixed(variable: Any, same: Any) -> Any:
    """What the mutant has where the module has ``variable``: the same bits, and others of its own."""
    if z3.is_true(same) or (z3.is_bv(variable) and same.as_long() == (1 << variable.size()) - 1):
        return variable
    own = z3.Const(f"own {variable.decl().name()}", variable.sort())
    return z3.simplify((variable & same) | (own & ~same)) if z3.is_bv(variable) else own


def _differs(ours: Any, theirs: Any, same: Any = None) -> Any:
    if ours.eq(theirs) or (same is not None and z3.is_false(same)):
        return z3.BoolVal(False)
    return (ours ^ theirs) & same != 0 if same is not None and z3.is_bv(ours) else ours != theirs


def decide(
    texts: Mapping[str, Texts], mutants: Sequence[Mutant], terms: Terms | None = None, effort: int = EFFORT
) -> list[int]:
    """The numbers of those mutants that are shown to be equivalent to the module they stand in, each within the limits
    of :mod:`tb.mutation.limits`; ``texts``: module → what :func:`smt` made of it."""
    # To SMT-LIB every register has the one clock, whatever its cell's clock is connected to.
    logic = [mutant for mutant in mutants if mutant.port.lstrip("\\").lower() != CLOCK]
    read = {module: machines(texts[module], terms) for module in {mutant.module for mutant in logic}}
    return [mutant.number for mutant in logic if holds(partial(equivalent, read[mutant.module], mutant.number, effort))]
