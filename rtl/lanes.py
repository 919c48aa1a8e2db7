"""Many equal lanes of combinational logic as a Verilog function that is called for each of them.

A cycle simulator evaluates every ``assign`` in every cycle, whatever is in its inputs, and only jumps over the
statements of an ``always`` block under an ``if``. Verilator makes its own graph of such a block too, unless it is a
call of a function; so the lanes of a module whose outputs are seldom wanted become calls under an ``if``, which cost
nothing while it does not hold. Synthesis finds the same gates. Verilator would make the function anew in every place of
the module; there it stands in a package, and is compiled once for all lanes of all places.
"""

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from graphlib import TopologicalSorter

from amaranth.hdl import Module, Shape
from amaranth.lib.wiring import Component, In, Member

from rtl.stamp import ports_of

_NAME = r"(?:\\\S+ |(?<![\w'$])[A-Za-z_]\w*)"
_PART = re.compile(rf"({_NAME})\s*(?:\[(\d+)(?::(\d+))?\])?")
_WIRE = re.compile(rf"^  wire (?:signed )?(?:\[(\d+):(\d+)\] )?({_NAME}) *;$")
_ASSIGN = re.compile(r"^  assign (.*?) = (.*);$")
_KNOWN = re.compile(rf"^  (?:input|output) |{_WIRE.pattern}|{_ASSIGN.pattern}")
_CLOCK = re.compile(r"^  wire (?:clk|rst);$")
_TABLE = re.compile(r"^(\d+)'h([0-9a-f]+) >> (.*)$")
TABLE_BITS = 256
"""A shift of a constant larger than this is a table: it becomes a constant of the module, of which a part is read."""
TABLE_KIND = """
// Icarus puts a large parameter together anew whenever it is read. In Verilator the function may read nothing else.
`ifdef VERILATOR
  `define TABLE localparam
`else
  `define TABLE wire
`endif"""


class Lanes(Component):
    """Equal lanes side by side, for modules to be written so. Combinational; outputs are zero unless ``valid``.

    Ports: ``valid``, and those of the lane; all but the ``shared`` ones hold those of all lanes, the lowest first.

    Args:
        count: how many.
        shared: inputs that all lanes see.
    """

    lane: Callable[[], Component]
    """Makes a lane: a component without registers."""
    in_place = True

    def __init__(self, count: int, shared: Collection[str] = ()):
        self.count, self.shared = count, shared
        lane = self.lane()
        lane._MustUse__used = True  # type: ignore[attr-defined]  # only its ports are wanted here
        members: dict[str, Member] = {"valid": In(1)}
        for name, member in lane.signature.members.items():
            width = Shape.cast(member.shape).width
            members[name] = Member(member.flow, width if name in shared else width * count)
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        """For ``amaranth.sim`` and proofs: the lanes as they are."""
        m = Module()
        for i in range(self.count):
            m.submodules[f"lane_{i}"] = lane = self.lane()
            for name, member in lane.signature.members.items():
                inner, outer = getattr(lane, name), getattr(self, name)
                mine = outer if name in self.shared else outer.word_select(i, len(inner))
                if member.flow == In:
                    m.d.comb += inner.eq(mine)
                    continue
                with m.If(self.valid):
                    m.d.comb += mine.eq(inner)
        return m


@dataclass(frozen=True)
class _Wire:
    """A wire's declaration, and its width."""

    declaration: str
    width: int


@dataclass(frozen=True)
class _Part:
    """Bits of a wire."""

    wire: str
    high: int | None
    low: int | None

    def overlaps(self, other: "_Part") -> bool:
        if self.high is None or self.low is None or other.high is None or other.low is None:
            return True
        return self.low <= other.high and other.low <= self.high


def module(component: Component, lane: Component, text: str, header: str) -> str:
    """Verilog of a module of several lanes, from that of one.

    Args:
        component: its ports are the lane's, and ``valid``; those that are wider hold as many lanes' as fit, the lowest
            lane first.
        text: the lane's module: continuous assignments only, as yosys writes them.
        header: first lines of the module's text.
    """
    wires = {
        found[3].strip(): _Wire(found[0], int(found[1] or 0) - int(found[2] or 0) + 1) for found in _all(_WIRE, text)
    }
    tables, body = _statements([(found[1], found[2]) for found in _all(_ASSIGN, text)], wires)
    strange = [line for line in text.splitlines() if line.startswith("  ") and not _KNOWN.match(line)]
    if strange:
        name = component.module_name
        raise RuntimeError(f"module {name}: its lanes must be assignments only, not '{strange[0].strip()}'")
    function = _function(lane, [wire.declaration for name, wire in wires.items() if name not in _widths(lane)], body)
    outer = {port: width for port, (width, _) in _widths(component).items()}
    outs = [port for port, (_, is_input) in _widths(component).items() if not is_input]
    head = f"module {component.module_name}({', '.join(['clk', 'rst', *outer])});"
    package = f"{component.module_name}_lane"
    written = [header.rstrip(), "`ifdef VERILATOR", f"package {package};", "`else", head, "`endif"]
    written += [*([TABLE_KIND, *tables, "`undef TABLE"] if tables else []), *function]
    written += ["`ifdef VERILATOR", "endpackage", head, f"  import {package}::lane;", "`endif"]
    written += ["  input clk;", "  input rst;"]
    written += [f"  {'output' if port in outs else 'input'} {_range(outer[port])}{port};" for port in outer]
    return "\n".join([*written, *_lanes(lane, outer), "endmodule", ""])


def _function(lane: Component, registers: list[str], body: list[str]) -> list[str]:
    """Lines of function ``lane``, which returns the outputs of a lane, the first lowest."""
    ports = _widths(lane)
    outs = [port for port, (_, is_input) in ports.items() if not is_input]
    total = sum(ports[port][0] for port in outs)
    lines = [f"  function automatic {_range(total)}lane; /*verilator no_inline_task*/"]
    lines += [f"    {'input' if is_in else 'reg'} {_range(width)}{port};" for port, (width, is_in) in ports.items()]
    lines += [f"  {register.replace('wire', 'reg', 1)}" for register in registers if not _CLOCK.match(register)]
    return [*lines, "    begin", *body, f"      lane = {{ {', '.join(reversed(outs))} }};", "    end", "  endfunction"]


def _lanes(lane: Component, outer: dict[str, int]) -> Iterator[str]:
    """Lines that call the function for each lane if ``valid``, and the outputs, put together from what it returns.

    No statement gives a part of a signal: Verilator 5.48 took a part that the second of two equal modules gave under
    the ``if`` for the zero that the whole was given before it.
    """
    ports = _widths(lane)
    ins = [port for port, (_, is_input) in ports.items() if is_input]
    outs = [port for port, (_, is_input) in ports.items() if not is_input]
    total = sum(ports[port][0] for port in outs)
    lanes = range(outer[outs[0]] // ports[outs[0]][0])
    yield from (f"  reg {_range(total)}lane_{i};" for i in lanes)
    yield from ("  always @*", "    if (valid) begin")
    for i in lanes:
        yield f"      lane_{i} = lane({', '.join(_place(port, i, ports[port][0], outer[port]) for port in ins)});"
    yield "    end else begin"
    yield from (f"      lane_{i} = {total}'h0;" for i in lanes)
    yield "    end"
    low = 0
    for port in outs:
        parts = f"[{low + ports[port][0] - 1}:{low}]" if total > 1 else ""
        yield f"  assign {port} = {{ {', '.join(f'lane_{i}{parts}' for i in reversed(lanes))} }};"
        low += ports[port][0]


def _all(pattern: re.Pattern[str], text: str) -> list[re.Match[str]]:
    return [found for line in text.splitlines() if (found := pattern.match(line))]


def _widths(component: Component) -> dict[str, tuple[int, bool]]:
    """Width of each port, and whether it is an input."""
    return {name: (len(value), is_input) for name, (value, is_input) in ports_of(component).items()}


def _range(width: int) -> str:
    return f"[{width - 1}:0] " if width > 1 else ""


def _place(port: str, lane: int, width: int, whole: int) -> str:
    if whole == width:
        return port
    low = lane * width
    return f"{port}[{low + width - 1}:{low}]" if width > 1 else f"{port}[{low}]"


def _statements(assigns: list[tuple[str, str]], wires: dict[str, _Wire]) -> tuple[list[str], list[str]]:
    """Tables, and the assignments in an order in which each finds its operands."""
    tables, body = [], []
    for target, value in _in_order(assigns):
        if (found := _TABLE.match(value)) and int(found[1]) > TABLE_BITS:
            width = sum(wires[part.wire].width for part in _parts(target))
            # Room for a part of this width wherever it begins.
            size = (1 << (int(found[1]) - 1).bit_length()) + width
            tables.append(f"  `TABLE [{size - 1}:0] table_{len(tables)} = {size}'h{found[2]};")
            value = f"table_{len(tables) - 1}[{found[3]} +: {width}]"
        body.append(f"      {target} = {value};")
    return tables, body


def _in_order(assigns: list[tuple[str, str]]) -> list[tuple[str, str]]:
    drivers: dict[str, list[tuple[_Part, int]]] = {}
    for number, (target, _) in enumerate(assigns):
        for part in _parts(target):
            drivers.setdefault(part.wire, []).append((part, number))
    needed = [
        {number for part in _parts(value) for driven, number in drivers.get(part.wire, ()) if part.overlaps(driven)}
        for _, value in assigns
    ]
    return [assigns[number] for number in TopologicalSorter(dict(enumerate(needed))).static_order()]


def _parts(expression: str) -> list[_Part]:
    """The wires of an expression, and which of their bits it names."""
    found = []
    for wire, high, low in _PART.findall(expression):
        top = int(high) if high else None
        found.append(_Part(wire.strip(), top, int(low) if low else top))
    return found
