"""A mutated module as expressions of z3: what yosys writes as SMT-LIB, read as a machine with inputs and state."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import z3

from tb.mutation.netlist import CONTROL, MUTATED, Netlist, run_yosys

RESET = "rst"
"""The input that resets a module."""
PASSES = ("memory_collect", "memory_nordff", "async2sync", "dffunmap", "opt_clean")
"""What makes of a module registers and memories that SMT-LIB can say."""


class When(NamedTuple):
    """Bit ``bit`` of a signal, ``ago`` cycles before."""

    name: str
    bit: int = 0
    ago: int = 0


@dataclass(frozen=True)
class Terms:
    """What the neighbours of a module make of it: a difference that they never see is none.

    Attributes:
        valid: output → the output or inner signal without which nobody looks at it, if that is not named like it.
        most: input → the largest value it ever has.
    """

    valid: Mapping[str, When] = field(default_factory=dict)
    most: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Machine:
    """A module as expressions over its inputs and state: ``outputs`` in a cycle, and signals that say when these
    count, ``following`` state after it; what holds of its inputs is ``assumed``; ``reset`` is an input, None if it has
    none. ``ports``: the outputs that can be looked at."""

    control: Any
    reset: Any
    inputs: Sequence[Any]
    state: Mapping[str, Any]
    outputs: Mapping[str, Any]
    following: Mapping[str, Any]
    assumed: Sequence[Any]
    ports: Sequence[str]
    terms: Terms

    def with_mutant(self, number: int) -> "Machine":
        """The machine with one of its mutants, 0 for none."""
        choice = [(self.control, z3.BitVecVal(number, self.control.size()))]
        outputs = {port: replaced(value, choice) for port, value in self.outputs.items()}
        following = {part: replaced(value, choice) for part, value in self.following.items()}
        return replace(self, outputs=outputs, following=following)

    def begun(self) -> tuple[list[Mapping[str, Any]], dict[str, Any]]:
        """(outputs in the cycles before, the state) in which it starts: what a cycle of reset makes of any state."""
        if self.reset is None:
            return [], dict(self.state)
        swap = [(variable, z3.Const(f"{variable} before", variable.sort())) for variable in self.inputs]
        swap += [(variable, z3.Const(f"{variable} before", variable.sort())) for variable in self.state.values()]
        swap = [(variable, other) for variable, other in swap if not variable.eq(self.reset)]
        swap.append((self.reset, z3.BoolVal(True) if z3.is_bool(self.reset) else z3.BitVecVal(1, 1)))
        outputs = {port: replaced(value, swap) for port, value in self.outputs.items()}
        return [outputs], {part: replaced(value, swap) for part, value in self.following.items()}

    def cycle(self, state: Mapping[str, Any], number: int) -> tuple[list[Any], dict[str, Any], dict[str, Any]]:
        """(what is assumed, outputs, state after it) of a cycle that begins in ``state``; inputs of each ``number`` are
        their own."""
        swap = [(variable, state[part]) for part, variable in self.state.items() if state[part] is not variable]
        swap += [(variable, z3.Const(f"{variable} {number}", variable.sort())) for variable in self.inputs if number]
        outputs = {port: replaced(value, swap) for port, value in self.outputs.items()}
        following = {part: replaced(value, swap) for part, value in self.following.items()}
        return [replaced(value, swap) for value in self.assumed], outputs, following


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
    run_yosys([*script, *PASSES, f"write_smt2 -wires {target}"], source)
    return (source / target).read_text()


def machines(texts: Texts, terms: Terms | None = None) -> list[Machine]:
    """A module in SMT-LIB: without what stands in it, and as it is; of each first with products of any function.

    Without, and with such products, it can do more than the module, so what holds then holds, and z3 need not multiply.
    """
    exact = [text for text in (texts.alone, texts.whole) if text]
    readings = [reading for text in exact for reading in dict.fromkeys((_any_product(text), text))]
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
    resets = [RESET] if RESET in kinds else []
    signs = {when.name for when in terms.valid.values() if when.name in kinds}.difference(outputs)
    for output in [*outputs, *sorted(signs), CONTROL, *resets, *terms.most]:
        lines += [f"(declare-const |out {output}| {kinds[output]})"]
        lines += [f"(assert (= |out {output}| (|{module}_n {output}| now)))"]
    said = z3.parse_smt2_string("\n".join([*lines, f"(assert (|{module}_t| now then))"]))
    pairs = [(line.arg(1), line.arg(0)) for line in said[: len(parts)]]
    shown = {line.arg(0).decl().name()[4:]: replaced(line.arg(1), pairs) for line in said[len(parts) : -1]}
    moves = said[len(said) - 1]
    following = {}
    for move in moves.children() if z3.is_and(moves) else [moves]:
        if z3.is_eq(move):  # a module without registers has `true` here
            following[f"now {move.arg(1).decl().name()}"] = replaced(move.arg(0), pairs)
    variables = {variable.decl().name(): variable for _, variable in pairs}
    control, reset = shown.pop(CONTROL), shown.pop(RESET, None)
    state = {part: variables[part] for part in following}
    inputs = [variable for part, variable in variables.items() if part not in state and not variable.eq(control)]
    assumed = [z3.ULE(shown.pop(name), most) for name, most in terms.most.items()]
    return Machine(control, reset, inputs, state, shown, following, assumed, outputs, terms)


def replaced(value: Any, pairs: list[tuple[Any, Any]]) -> Any:
    return z3.simplify(z3.substitute(value, pairs)) if pairs else value
