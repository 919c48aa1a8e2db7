"""Place a module that is elaborated once as many times as it is needed.

Amaranth elaborates and emits every instance of a component anew, which takes minutes for a chip of identical tiles.
:func:`stamp` places an ``Instance`` that names the component's Verilog module instead; :mod:`rtl.verilog` collects the
components stamped while it elaborates a design and writes each module once.

A component that is stamped has an attribute ``module_name`` and keeps every parameter of its constructor as an
attribute of the same name (or with a leading underscore), by which two components of one name are compared. With an
attribute ``in_place`` that is true, ``amaranth.sim`` elaborates it where it stands; ``structural`` see
:mod:`rtl.verilog`.
"""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from amaranth.hdl import ClockSignal, Elaboratable, Instance, Module, ResetSignal, Signal
from amaranth.lib.wiring import Component, In

from rtl.beats import BEAT, beat_number, beats_of

_registry: ContextVar[dict[str, Component] | None] = ContextVar("stamped modules", default=None)
_inlined: ContextVar[bool] = ContextVar("stamped modules are elaborated in place", default=False)


VERILOG_NAMES = {"time": "now"}
"""Ports that Verilog knows by another name: ``time`` is a keyword there."""


def verilog_name(port: str) -> str:
    """What Verilog calls a port."""
    return VERILOG_NAMES.get(port, port)


def ports_of(component: Component) -> dict[str, tuple[Any, bool]]:
    """Ports of a component by attribute name: (signal or view, is an input)."""
    found = component.signature.flatten(component)
    return {"__".join(map(str, path)): (value, member.flow == In) for path, member, value in found}


def parameters(component: Component) -> dict[str, Any]:
    """What the component was constructed with, read from its attributes.

    Raises:
        TypeError: the constructor has a parameter that the component did not keep as an attribute.
    """
    found = {}
    for name in list(inspect.signature(type(component).__init__).parameters)[1:]:
        held = [attribute for attribute in (name, f"_{name}") if hasattr(component, attribute)]
        if not held:
            raise TypeError(f"{type(component).__name__} does not keep its parameter '{name}' as an attribute")
        found[name] = getattr(component, held[0])
    return found


class Stamp(Elaboratable):
    """A placed module: one attribute per port of the component, with the same name and shape.

    Args:
        component: what is placed; only its signature is used here.
        prefix: put before the names of the signals (not of the attributes), to tell placements apart in a waveform.
        reset: the module's reset; by default that of the place it stands in.

    Elaborating raises RuntimeError outside :func:`rtl.verilog.generate` and :func:`inlined`, that is, in
    ``amaranth.sim``, where an ``Instance`` would read as zeros.
    """

    def __init__(self, component: Component, prefix: str = "", reset: Signal | None = None):
        self.component = component
        self._reset = reset
        # One of many equal components is elaborated; Amaranth would warn of the others.
        component._MustUse__used = True
        self._ports: dict[str, Any] = {}
        for path, member, _ in component.signature.flatten(component):
            name = "__".join(map(str, path))
            port = Signal(member.shape, name=f"{prefix}_{name}" if prefix else name)
            self._ports[name] = port
            setattr(self, name, port)

    def bind(self, port: str, value: Any) -> None:
        """Connect an input to a value for good (the attribute goes); many wide inputs elaborate faster so."""
        self._ports[port] = value
        delattr(self, port)

    def elaborate(self, platform: object) -> Module | Instance:
        registry, name = _registry.get(), self.component.module_name
        if _inlined.get() or (registry is None and getattr(self.component, "in_place", False)):
            return self._in_place()
        if registry is None:
            raise RuntimeError(f"{name} is stamped, and amaranth.sim would read zeros from it; use rtl.stamp.inlined()")
        known = registry.setdefault(name, self.component)
        same = type(known) is type(self.component) and parameters(known) == parameters(self.component)
        if not same:
            raise RuntimeError(
                f"two different modules are called {name}: {type(known).__name__}{parameters(known)} and "
                f"{type(self.component).__name__}{parameters(self.component)}"
            )
        ports = ports_of(self.component).items()
        connections = [("i" if is_in else "o", verilog_name(port), self._ports[port]) for port, (_, is_in) in ports]
        reset = ResetSignal() if self._reset is None else self._reset
        beats = beats_of(self.component)
        if beats > 1:
            connections.append(("i", BEAT, beat_number(beats)))
        return Instance(name, ("i", "clk", ClockSignal()), ("i", "rst", reset), *connections)

    def _in_place(self) -> Module:
        m = Module()
        m.submodules.inner = self.component
        for name, (inner, is_input) in ports_of(self.component).items():
            m.d.comb += inner.eq(self._ports[name]) if is_input else self._ports[name].eq(inner)
        return m


def stamp(component: Component, prefix: str = "", reset: Signal | None = None) -> Stamp:
    """Place ``component``; add the result as ``m.submodules.<name>`` and use its ports as attributes."""
    return Stamp(component, prefix, reset)


@contextmanager
def collecting() -> Iterator[dict[str, Component]]:
    """Modules stamped while this is active, by name; they grow as designs are elaborated."""
    modules: dict[str, Component] = {}
    token = _registry.set(modules)
    try:
        yield modules
    finally:
        _registry.reset(token)


@contextmanager
def inlined() -> Iterator[None]:
    """Elaborate stamped components in place, so that ``amaranth.sim`` can run a small design made of them."""
    token = _inlined.set(True)
    try:
        yield
    finally:
        _inlined.reset(token)
