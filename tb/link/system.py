"""Verilog of a system: chips of any kind with clocks of their own, joined by wires, and what watches them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tb.simulator import top_ports

HERE = Path(__file__).parent
MODELS = tuple(HERE / f"{name}.v" for name in ("clock_source", "wire_model", "chip_monitor", "channel_monitor",
                                               "phase_monitor"))  # fmt: skip
CYCLE = 1_111_111
"""A nominal cycle, in fs: 900 MHz."""
PACKET = 21
"""Words of a packet of groqchip: for so many a packet's jitter stays, in idle words too."""


@dataclass(frozen=True)
class Topology:
    """Which chips are joined. ``links`` are pairs of chips, the one nearer to chip 0, the root, first.

    Channel 2·k leads from the first chip of link k to the second, channel 2·k + 1 back.
    """

    name: str
    links: tuple[tuple[int, int], ...]

    @property
    def chips(self) -> int:
        return 1 + max(max(pair) for pair in self.links)

    @property
    def channels(self) -> list[tuple[int, int]]:
        """Sender and receiver of each channel."""
        return [pair for a, b in self.links for pair in ((a, b), (b, a))]

    def links_of(self, chip: int) -> list[int]:
        """The links of a chip, in the order of its ports."""
        return [k for k, pair in enumerate(self.links) if chip in pair]

    def parents(self) -> list[int | None]:
        """The link to the parent of each chip, on a tree of shortest paths from chip 0."""
        found: dict[int, int | None] = {0: None}
        for chip in found_in_turn(self.chips, found):
            for k in self.links_of(chip):
                other = sum(self.links[k]) - chip
                found.setdefault(other, k)
        return [found[chip] for chip in range(self.chips)]

    def depth(self, chip: int) -> int:
        """Edges of that tree between the root and a chip."""
        parents, edges = self.parents(), 0
        while (link := parents[chip]) is not None:
            chip, edges = sum(self.links[link]) - chip, edges + 1
        return edges


def found_in_turn(chips: int, found: dict[int, int | None]):
    """The chips of ``found`` in the order they are put there, while it grows to ``chips``."""
    for i in range(chips):
        yield list(found)[i]


def full(chips: int) -> Topology:
    """Every chip joined to every other."""
    return Topology(f"full{chips}", tuple((a, b) for a in range(chips) for b in range(a + 1, chips)))


def chain(chips: int) -> Topology:
    """One chip after the other."""
    return Topology(f"chain{chips}", tuple((a, a + 1) for a in range(chips - 1)))


def star(children: int) -> Topology:
    """Chip 0 joined to all others."""
    return Topology(f"star{children}", tuple((0, child) for child in range(1, children + 1)))


def tree(parents: Sequence[int]) -> Topology:
    """Chip i + 1 hangs on chip ``parents[i]``."""
    return Topology(f"tree{'-'.join(map(str, parents))}", tuple((p, i + 1) for i, p in enumerate(parents)))


INPUTS = {"run": 1, "clear": 1, "measure_trips": 1, "measure_offsets": 1, "start": 1, "segment": 32, "stall": 16,
          "forced": 8, "jitter_limit": 32, "jitter_words": 16, "flipped": 32, "flips": 4}  # fmt: skip
"""Inputs of the whole system, and their widths."""
CHIP_INPUTS = {"rst": 1, "phase": 32, "half": 32, "wander": 8, "wander_edges": 32, "child": 1, "parent": 4, "polls": 1,
               "send_at": 16}  # fmt: skip
CLOCKS = ("run", "phase", "half", "wander", "wander_edges")
"""Inputs of clocks. All others are registered with the root's clock, and outputs are read nowhere in here: Verilator
works out whatever depends on a port that Python can reach at every edge of every clock."""
CHIP_OUTPUTS = {"silent": 1, "running": 1, "hac": 16, "now": 64, "total": 64, "first_total": 64, "resyncs": 32,
                "slips": 32, "steps": 160, "phase_count": 32, "phase_sum": 64, "phase_least": 32,
                "phase_most": 32}  # fmt: skip
CHANNEL_INPUTS = {"delay": 32, "seed": 32, "cut": 1, "latency": 16, "fraction": 5}
MEASURED = {"trips": 9, "trips_sum": 21, "offsets": 11, "offsets_sum": 27}
"""By the receiver of a channel; ``trips`` are those there and back again."""
CHANNEL_OUTPUTS = MEASURED | {
    "count": 32, "transit_sum": 64, "transit_least": 32, "transit_most": 32, "lead_count": 32, "lead_least": 32,
    "lead_most": 32,
}  # fmt: skip
SIGNED = {"phase_sum", "phase_least", "phase_most", "offsets_sum", "lead_least", "lead_most"}
PER_CHIP, PER_CHANNEL = CHIP_INPUTS | CHIP_OUTPUTS, CHANNEL_INPUTS | CHANNEL_OUTPUTS
_WIRES = {"delta": 12, "began": 64, "sent": 128, "received_word": 128}
"""Widths of wires inside, where it is not 1."""
_INNER = {
    "input": "  reg [{high}:0] {name}_now;\n  initial #1 {name}_now = {name};\n"
             "  always @(posedge clk_0) {name}_now <= {name};",
    "output": "  wire [{high}:0] {name}_now;\n  assign {name} = {name}_now;",
}  # fmt: skip
"""What stands for a port inside."""


class System:
    """Module ``system`` of a topology, around modules ``timekeeper_<n>``, with a port for each of a chip's n links.

    What is there for every chip or channel is one port, the first lowest. Ports of what is placed find what they are
    joined to by their names: an input of the system, the chip's or channel's part of one of its ports, or a wire.
    """

    def __init__(self, topology: Topology, superlanes: int, period: int, files: Sequence[Path]):
        self._topology, self._files = topology, [*files, *MODELS]
        self._superlanes, self._period = superlanes, period
        self._wires: dict[str, int] = {}
        self._placed: list[str] = []

    def text(self) -> str:
        chips, channels = self._topology.chips, len(self._topology.channels)
        tables = (("input", INPUTS, 1), ("input", CHIP_INPUTS, chips), ("output", CHIP_OUTPUTS, chips),
                  ("input", CHANNEL_INPUTS, channels), ("output", CHANNEL_OUTPUTS, channels))  # fmt: skip
        ports = [f"{way} [{width * n - 1}:0] {name}" for way, table, n in tables for name, width in table.items()]
        for chip in range(chips):
            self._chip(chip)
        for channel in range(channels):
            self._channel(channel)
        inner = [
            _INNER[way].format(name=name, high=width * n - 1)
            for way, table, n in tables for name, width in table.items() if name not in CLOCKS
        ]  # fmt: skip
        wires = [f"  wire [{width - 1}:0] {name};" for name, width in self._wires.items()]
        head = ["`timescale 1fs/1fs", "module system (", ",\n".join(f"    {port}" for port in ports), ");"]
        return "\n".join([*head, *wires, *inner, *self._placed, "endmodule", ""])

    def _chip(self, i: int) -> None:
        self._place("clock_source", i, {}, {"stop": "1'b0"})
        period = {"PERIOD": self._period}
        root = {"root_clk": "clk_0", "root_total": self._named("total", 0), "root_began": "began_0"}
        self._place("phase_monitor", i, period | {"CYCLE": CYCLE}, root)
        parent, mine = self._topology.parents()[i], {} if i else {"ready": "1'b0"}
        self._place("chip_monitor", i, period | {"SEED": 1 + 40503 * i}, mine)
        joined = {"sac": ""}
        links = self._topology.links_of(i)
        for port, link in enumerate(links):
            into = 2 * link + (self._topology.links[link][0] == i)
            joined[f"sent_{port}"] = self._named("sent", into ^ 1)
            for name in ("received_clk", "received_word", "latency", "fraction", *MEASURED):
                joined[f"{name}_{port}"] = self._named(name, into)
            joined |= {f"ready_good_{port}": "", f"send_{port}": "0", f"take_{port}": "0"}
            if link == parent:
                joined |= {f"ready_good_{port}": self._named("ready", i), f"take_{port}": self._named("take", i)}
            elif link in self._topology.parents():
                joined[f"send_{port}"] = self._named("send", i)
        self._place(f"timekeeper_{len(links)}", i, {}, joined, f"chip_{i}")

    def _channel(self, c: int) -> None:
        sender, receiver = self._topology.channels[c]
        sent = {"clk": f"clk_{sender}", "rst": self._named("rst", sender), "word": f"sent_{c}", "spoilt": "0"}
        self._place("wire_model", c, {"SUPERLANES": self._superlanes}, sent)
        buffer = f"chip_{receiver}.buffer_{self._topology.links_of(receiver).index(c // 2)}"
        joined = {"valid": f"{buffer}.valid", "word": f"{buffer}.word"}
        for role, chip in (("sender", sender), ("receiver", receiver)):
            joined |= {f"{role}_{name}": self._named(name, chip) for name in ("clk", "total", "began", "now")}
            joined[f"{role}_on"] = f"{self._named('running', chip)} && !{self._named('stalled', chip)}"
        self._place("channel_monitor", c, {"PERIOD": self._period}, joined)

    def _place(
        self, module: str, i: int, parameters: Mapping[str, int] = {}, joined: Mapping[str, str] = {}, name: str = ""
    ) -> None:
        ports = top_ports(self._files, module)
        joints = ", ".join(f".{port}({joined.get(port, self._named(port, i))})" for port in ports)
        given = ", ".join(f".{name}({value})" for name, value in parameters.items())
        self._placed.append(f"  {module} {f'#({given}) ' if given else ''}{name or f'{module}_{i}'} ({joints});")

    def _named(self, name: str, i: int) -> str:
        """What a port of this name is joined to, if it belongs to chip or channel ``i``."""
        now = "" if name in CLOCKS else "_now"
        if name in INPUTS:
            return f"{name}{now}"
        for table in (PER_CHIP, PER_CHANNEL):
            if name in table:
                return f"{name}{now}[{i * table[name]} +: {table[name]}]"
        self._wires[f"{name}_{i}"] = _WIRES.get(name, 1)
        return f"{name}_{i}"
