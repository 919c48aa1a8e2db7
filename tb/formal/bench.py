"""What the benches of all proofs are made of: free inputs, assumptions, claims, and a look inside the RTL."""

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from amaranth.hdl import Assert, Assume, Const, Elaboratable, Fragment, Module, ResetSignal, Signal, Value
from amaranth.hdl._ast import AnyConst, AnySeq, Initial
from amaranth.hdl._mem import MemoryInstance
from amaranth.lib.wiring import Component

from rtl.stamp import inlined
from tsp.config import preset

PLAIN = preset("tiny").override(["ecc=off", "ifetch=off", "vxm_float=off", "mxm_fp16=off"])
"""What the blocks under proof are configured as, but for sizes and for the feature that a proof is about."""
LINKED = PLAIN.override(["c2c=on", "links_w=2", "mem_slices=8"])
"""The same with links: more than one in the west."""


class Bench(Component):
    """A module without ports around the RTL under proof: reset in the first cycle, and at any time after.

    Registers and memories start with arbitrary contents, as in silicon. Claims and assumptions do not hold in reset.
    """

    def __init__(self, build: Callable[["Bench"], None], config: Any = None):
        self.config = config
        self._build = build
        self.with_invariants = True
        super().__init__({})

    def elaborate(self, platform: object) -> Module:
        self.m = Module()
        self.reset = Signal(name="bench_reset")
        self.m.d.comb += [self.reset.eq(ResetSignal()), Assume(self.reset | ~Initial())]
        with inlined():
            self._build(self)
        return self.m

    def free(self, shape: Any, name: str) -> Signal:
        """Any value in every cycle."""
        signal = Signal(shape, name=name)
        self.m.d.comb += Value.cast(signal).eq(AnySeq(len(Value.cast(signal))))
        return signal

    def constant(self, shape: Any, name: str) -> Signal:
        """Any value, the same in every cycle."""
        signal = Signal(shape, name=name)
        self.m.d.comb += Value.cast(signal).eq(AnyConst(len(Value.cast(signal))))
        return signal

    def drive(self, component: Component, *ports: str) -> None:
        """The component's inputs of these names, or all, take any value in every cycle."""
        for path, member, value in component.signature.flatten(component):
            name = "__".join(map(str, path))
            if member.flow.name == "In" and (not ports or name in ports):
                self.m.d.comb += Value.cast(value).eq(self.free(len(Value.cast(value)), f"any_{name}"))

    def place(self, name: str, component: Elaboratable) -> "Inside":
        """Elaborate the RTL, place it as a submodule, and return a way to look inside."""
        fragment = Fragment.get(component, None)
        self.m.submodules[name] = _Elaborated(fragment)
        return Inside(fragment)

    def assume(self, condition: Any) -> None:
        """Only runs in which this holds in every cycle without reset count."""
        self.m.d.comb += Assume(self.reset | Value.cast(condition).any())

    def assume_always(self, condition: Any) -> None:
        """The same in cycles of reset too."""
        self.m.d.comb += Assume(Value.cast(condition).any())

    def claim(self, condition: Any, when: Any = 1) -> None:
        """This holds in every cycle without reset (in which ``when`` holds)."""
        self._assert(condition, when)

    def invariant(self, condition: Any, when: Any = 1) -> None:
        """A claim about the inside, which makes the proof inductive. No planted bug is found by it."""
        if self.with_invariants:
            self._assert(condition, when)

    def _assert(self, condition: Any, when: Any) -> None:
        caller = sys._getframe(2)
        place = f"{Path(caller.f_code.co_filename).name}:{caller.f_lineno}"
        holds = self.reset | ~Value.cast(when).any() | Value.cast(condition).any()
        self.m.d.comb += Assert(holds, place)

    def before(self, value: Any, name: str, init: int = 0) -> Signal:
        """``value`` one cycle ago; ``init`` in the first cycle after reset."""
        value = Value.cast(value)
        register = Signal(value.shape(), name=name, init=init)
        self.m.d.sync += register.eq(value)
        return register


class _Elaborated(Elaboratable):
    def __init__(self, fragment: Fragment):
        self._fragment = fragment

    def elaborate(self, platform: object) -> Fragment:
        return self._fragment


class Inside:
    """The signals and memories of an elaborated design, by path: ``inside["memory.write_pointer"]``."""

    def __init__(self, fragment: Fragment):
        self._fragment = fragment

    def __getitem__(self, path: str) -> Signal:
        *places, name = path.split(".")
        fragment = self._at(path, places)
        driven: dict[bool, dict[int, Signal]] = {False: {}, True: {}}
        for domain, statements in fragment.statements.items():
            found = (signal for statement in statements for signal in statement._lhs_signals() if signal.name == name)
            driven[domain != "comb"].update((id(signal), signal) for signal in found)
        # A register, before a port of its name that it leads to.
        return _only(path, list((driven[True] or driven[False]).values()))

    def _at(self, path: str, places: Sequence[str]) -> Fragment:
        fragment = self._fragment
        for place in places:
            fragment = _only(path, [part for part, name, _ in fragment.subfragments if name == place])
        return fragment

    def memory_row(self, m: Module, address: Value, path: str = "") -> Signal:
        """A row of the only memory there is below ``path``, as it stands in this cycle."""
        fragment = self._at(path, path.split(".") if path else [])
        memory = _only("memory", [part for part in _parts(fragment) if isinstance(part, MemoryInstance)])
        port = memory._read_ports[0]
        row = Signal(len(port._data), name="probed_row")
        probed = Signal(len(port._addr), name="probed_address")
        m.d.comb += probed.eq(address)
        memory.read_port(domain="comb", addr=probed, data=row, en=Const(1), transparent_for=())
        return row


def _parts(fragment: Fragment) -> Iterator[Fragment]:
    yield fragment
    for part, _, _ in fragment.subfragments:
        yield from _parts(part)


def _only(name: str, found: list[Any]) -> Any:
    if len(found) != 1:
        raise RuntimeError(f"there are {len(found)} '{name}' in the design, not one")
    return found[0]
