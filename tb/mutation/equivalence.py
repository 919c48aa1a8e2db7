"""Whether a mutant behaves as the module does, decided by induction over all inputs and states (z3).

Both start in the same state, whatever it is. Some set of state bits, at first all, is the same in both; if in one cycle
no output can differ, and no bit of the set after it, then none ever does. Bits of the set that can differ are taken out
until none is left that can (or an output differs: then nothing is proven, and the mutant counts as another machine).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import z3

from tb.mutation.netlist import CONTROL, MUTATED, Mutant, Netlist, run_yosys

EFFORT = 20_000_000
"""What z3 may spend on one question about a mutant, in its own unit, so that the answer does not depend on the machine:
about ten seconds."""
CLOCK = "clk"
"""The port of cells and modules, by which a mutant is never proven equivalent."""
STEPS = 3
"""Cycles of an induction. The second one finds that a register is only read in the cycle after it was loaded, the third
that what went through two of them came to nothing."""
PASSES = ("memory_collect", "memory_nordff", "async2sync", "dffunmap", "opt_clean")
"""What makes of a module registers and memories that SMT-LIB can say."""


@dataclass(frozen=True)
class Terms:
    """What the neighbours of a module make of it: a difference that they never see is none.

    Attributes:
        valid: output → the output, and its bit, without which nobody looks at it.
        most: input → the largest value it ever has.
    """

    valid: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    most: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Machine:
    """A module as expressions over its inputs and state: ``outputs`` in a cycle, ``following`` state after it; what
    holds of its inputs is ``assumed``."""

    control: Any
    inputs: Sequence[Any]
    state: Mapping[str, Any]
    outputs: Mapping[str, Any]
    following: Mapping[str, Any]
    assumed: Sequence[Any]
    terms: Terms

    def with_mutant(self, number: int) -> "Machine":
        """The machine with one of its mutants, 0 for none."""
        choice = [(self.control, z3.BitVecVal(number, self.control.size()))]
        outputs = {port: _replaced(value, choice) for port, value in self.outputs.items()}
        following = {part: _replaced(value, choice) for part, value in self.following.items()}
        return Machine(self.control, self.inputs, self.state, outputs, following, self.assumed, self.terms)

    def cycle(self, state: Mapping[str, Any], number: int) -> tuple[list[Any], dict[str, Any], dict[str, Any]]:
        """(what is assumed, outputs, state after it) of a cycle that begins in ``state``; inputs of each ``number`` are
        their own."""
        swap = [(variable, state[part]) for part, variable in self.state.items() if state[part] is not variable]
        swap += [(variable, z3.Const(f"{variable} {number}", variable.sort())) for variable in self.inputs if number]
        outputs = {port: _replaced(value, swap) for port, value in self.outputs.items()}
        following = {part: _replaced(value, swap) for part, value in self.following.items()}
        return [_replaced(value, swap) for value in self.assumed], outputs, following


@dataclass(frozen=True)
class Texts:
    """A mutated module as SMT-LIB: ``whole``, with what stands in it, and, if anything does, ``alone``: what leads to
    its instances are then outputs, and what comes from them inputs. One may be missing. ``top``: the module that is
    told apart."""

    top: str
    alone: str | None
    whole: str | None


def smt(netlist: Netlist, module: str, within: str = "", alone: bool = False) -> Texts:
    """A mutated module, only ``alone`` if so asked, or the module ``within`` which it stands, as a whole."""
    source = netlist.directory / "source"
    if within:
        read = ["read_verilog ../mutated/*.v", f"hierarchy -top {within}", "proc", "flatten"]
        return Texts(within, None, _written(read, f"{module}.within.smt2", source))
    read = [f"read_rtlil {MUTATED}", f"hierarchy -top {module}"]
    placed = " ".join(f"{module}/t:{name}" for name in sorted(netlist.places.get(module, ())))
    bare = [*read, f"expose -evert {placed}", f"hierarchy -top {module}"]
    return Texts(
        module,
        _written(bare, f"{module}.alone.smt2", source) if placed else None,
        None if alone and placed else _written([*read, "flatten"], f"{module}.smt2", source),
    )


def _written(script: Sequence[str], target: str, source: Path) -> str:
    run_yosys([*script, *PASSES, f"write_smt2 {target}"], source)
    return (source / target).read_text()


def machines(texts: Texts, terms: Terms | None = None) -> list[Machine]:
    """A module in SMT-LIB: without what stands in it, as it is, and with products of any function.

    The first and the last can do more than the module, so what holds for them holds, and z3 need not multiply.
    """
    readings = [text for text in (texts.alone, texts.whole) if text]
    if texts.whole and "bvmul" in texts.whole:
        readings.append(_any_product(texts.whole))
    return [parse(text, texts.top, terms or Terms()) for text in readings]


def _any_product(text: str) -> str:
    """SMT-LIB with a function that could be anything in place of multiplication."""
    widths = sorted(set(re.findall(r" \(_ BitVec (\d+)\) \(bvmul ", text)))
    declared = [f"(declare-fun product{w} ((_ BitVec {w}) (_ BitVec {w})) (_ BitVec {w}))\n" for w in widths]
    return "".join(declared) + re.sub(r" \(_ BitVec (\d+)\) \(bvmul ", r" (_ BitVec \1) (product\1 ", text)


def parse(text: str, module: str, terms: Terms) -> Machine:
    """A machine out of what ``write_smt2`` wrote: functions of a state, which become expressions of its parts."""
    name, sort = re.escape(module), f"|{module}_s|"
    outputs = re.findall(r"^; yosys-smt2-output (\S+) ", text, re.MULTILINE)
    parts = re.findall(rf"^\(declare-fun \|({name}#[^|]*)\| \(\S+\) (.*?)\)(?: ; .*)?$", text, re.MULTILINE)
    kinds = dict(re.findall(rf"^\(define-fun \|{name}_n (\S+)\| \(\(state \S+\)\) (Bool|\(.*?\)) ", text, re.MULTILINE))
    lines = [text, f"(declare-const now {sort})", f"(declare-const then {sort})"]
    for part, kind in parts:
        lines += [f"(declare-const |now {part}| {kind})", f"(assert (= |now {part}| (|{part}| now)))"]
    for output in [*outputs, CONTROL, *terms.most]:
        lines += [f"(declare-const |out {output}| {kinds[output]})"]
        lines += [f"(assert (= |out {output}| (|{module}_n {output}| now)))"]
    said = z3.parse_smt2_string("\n".join([*lines, f"(assert (|{module}_t| now then))"]))
    pairs = [(line.arg(1), line.arg(0)) for line in said[: len(parts)]]
    shown = {line.arg(0).decl().name()[4:]: _replaced(line.arg(1), pairs) for line in said[len(parts) : -1]}
    moves = said[len(said) - 1]
    following = {}
    for move in moves.children() if z3.is_and(moves) else [moves]:
        if z3.is_eq(move):  # a module without registers has `true` here
            following[f"now {move.arg(1).decl().name()}"] = _replaced(move.arg(0), pairs)
    variables = {variable.decl().name(): variable for _, variable in pairs}
    control = shown.pop(CONTROL)
    state = {part: variables[part] for part in following}
    inputs = [variable for part, variable in variables.items() if part not in state and not variable.eq(control)]
    assumed = [z3.ULE(shown.pop(name), most) for name, most in terms.most.items()]
    return Machine(control, inputs, state, shown, following, assumed, terms)


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
        assumed, outputs, ours, theirs = _unrolled(right, wrong, same, same, steps)
        if _model(assumed, outputs, effort) is not None:
            return False
        model = _model(assumed, [_differs(ours[part], theirs[part], same[part]) for part in same], effort)
        if model is None:
            begun = _begun(right, wrong, same, steps, effort)
            if begun is None or begun is same:
                return begun is same
            same = begun
            continue
        if model is False:
            return False
        same = {part: _left(mask, model, ours[part], theirs[part]) for part, mask in same.items()}


def _begun(
    right: Machine, wrong: Machine, same: Mapping[str, Any], steps: int, effort: int
) -> Mapping[str, Any] | None:
    """Those of the chosen bits that are the same in the first ``steps - 1`` cycles from one state; ``same`` itself if
    all are, None if an output is not."""
    everything = {part: _ones(variable) for part, variable in right.state.items()}
    for count in range(1, steps):
        assumed, outputs, ours, theirs = _unrolled(right, wrong, everything, same, count)
        if _model(assumed, outputs, effort) is not None:
            return None
        model = _model(assumed, [_differs(ours[part], theirs[part], same[part]) for part in same], effort)
        if model is False:
            return None
        if model is not None:
            return {part: _left(mask, model, ours[part], theirs[part]) for part, mask in same.items()}
    return same


def _unrolled(
    right: Machine, wrong: Machine, first: Mapping[str, Any], same: Mapping[str, Any], steps: int
) -> tuple[list[Any], list[Any], dict[str, Any], dict[str, Any]]:
    """Some cycles of both, from states with the bits ``first`` in common.

    That bits ``same`` and outputs do not differ before the last cycle; where outputs can differ in the last; both
    states after it.
    """
    ours: dict[str, Any] = dict(right.state)
    theirs = {part: _mixed(variable, first[part]) for part, variable in right.state.items()}
    assumed: list[Any] = []
    for number in range(steps):
        said, shown, ours = right.cycle(ours, number)
        _, seen, theirs = wrong.cycle(theirs, number)
        assumed += said
        outputs = [z3.And(_holds(right.terms, port, shown), _differs(shown[port], seen[port])) for port in shown]
        if number < steps - 1:
            differences = [*outputs, *(_differs(ours[part], theirs[part], same[part]) for part in same)]
            assumed += [z3.Not(difference) for difference in differences if not z3.is_false(difference)]
    return assumed, outputs, ours, theirs


def _holds(terms: Terms, port: str, shown: Mapping[str, Any]) -> Any:
    """Whether somebody looks at an output in a cycle."""
    if port not in terms.valid:
        return z3.BoolVal(True)
    name, bit = terms.valid[port]
    return shown[name] if z3.is_bool(shown[name]) else z3.Extract(bit, bit, shown[name]) == 1


def _left(mask: Any, model: Any, ours: Any, theirs: Any) -> Any:
    """The bits of a part of the state that are the same in a model too."""
    if ours.eq(theirs) or z3.is_false(mask):
        return mask
    values = [model.eval(value, model_completion=True) for value in (ours, theirs)]
    if z3.is_bv(ours):
        return z3.simplify(mask & ~(values[0] ^ values[1]))
    different = z3.is_true(model.eval(ours != theirs, model_completion=True))
    return z3.BoolVal(False) if different else mask


def _model(assumed: list[Any], differences: list[Any], effort: int) -> Any:
    """None if nothing can differ, False if z3 gives up, else a model in which something does."""
    open_ = [difference for difference in map(z3.simplify, differences) if not z3.is_false(difference)]
    if not open_:
        return None
    solver = z3.Solver()
    solver.set("rlimit", effort)
    solver.add(*assumed, z3.Or(open_))
    answer = solver.check()
    if answer == z3.unsat:
        return None
    return solver.model() if answer == z3.sat else False


def _replaced(value: Any, pairs: list[tuple[Any, Any]]) -> Any:
    return z3.simplify(z3.substitute(value, pairs)) if pairs else value


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
    """The numbers of those mutants that are equivalent to the module they stand in; ``texts``: module → what
    :func:`smt` made of it."""
    # To SMT-LIB every register has the one clock, whatever its cell's clock is connected to.
    logic = [mutant for mutant in mutants if mutant.port.lstrip("\\").lower() != CLOCK]
    read = {module: machines(texts[module], terms) for module in {mutant.module for mutant in logic}}
    return [mutant.number for mutant in logic if equivalent(read[mutant.module], mutant.number, effort)]
