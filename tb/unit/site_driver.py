"""Plays inputs into the ports of a site, and records what it shows.

Time is architectural: superlane k is given everything k cycles later and read k cycles later.
"""

from collections.abc import Sequence

from tb.unit.ports import Ports
from tb.unit.site import Row, Shown, word_of
from tsp.config import ChipConfig


class SiteDriver:
    """Plays rows into the ports of a site and records what it shows.

    Args:
        queues: number of queues that command the site; none for a site without tiles, which has stream ports only.
        writes: whether the site has memory writes to report.
    """

    superlanes = 1

    def __init__(self, ports: Ports, config: ChipConfig, queues: int, place: int = 0, writes: bool = False):
        self.ports, self.config, self.queues, self.place, self.writes = ports, config, queues, place, writes

    def arriving(self, operand: int, superlane: int) -> str:
        """The port of a stream that arrives."""
        return f"{'ew'[operand >> 5]}_in_{operand & 31}"

    def leaving(self, operand: int, superlane: int) -> str:
        """The port of a stream that leaves."""
        return f"{'ew'[operand >> 5]}_out_{operand & 31}"

    def presence(self, flow: str, superlane: int) -> dict[int, str]:
        """The ports with the presence of the streams that go ``in`` or ``out``, by the operand of their first one."""
        return {0: f"e_present_{flow}", 32: f"w_present_{flow}"}

    def port(self, name: str, superlane: int) -> str:
        """Another port of a superlane."""
        return name

    async def reset(self) -> None:
        """Everything is idle."""
        inputs = {name: 0 for k in range(self.superlanes) for name in self.presence("in", k).values()}
        if self.queues:
            inputs |= {f"instr_{queue}_valid": 0 for queue in range(self.queues)}
            inputs |= {self.port("host_select", k): 0 for k in range(self.superlanes)}
            inputs |= {"place": self.place, "now": 0}
        await self.ports.reset(inputs)

    async def reset_under_way(self) -> None:
        """A reset of a single cycle, in which nothing is given; what was given before may be anywhere."""
        inputs = {name: 0 for k in range(self.superlanes) for name in self.presence("in", k).values()}
        await self.ports.cycle(inputs | {f"instr_{queue}_valid": 0 for queue in range(self.queues)} | {"rst": 1})

    async def play(self, rows: Sequence[Row], first_time: int = 0) -> list[list[Shown]]:
        """For every superlane, what it shows in its cycles of ``rows``."""
        shown: list[list[Shown]] = [[] for _ in range(self.superlanes)]
        for t in range(len(rows) + self.superlanes - 1):
            inputs = {"now": (first_time + t) % 2**32} if self.queues else {}
            inputs |= self._instructions(rows[t] if t < len(rows) else Row())
            for k in range(self.superlanes):
                inputs |= self._arrivals(rows[t - k] if 0 <= t - k < len(rows) else Row(), k)
            await self.ports.cycle(inputs)
            for k in range(self.superlanes):
                assert not self.queues or not self.ports[self.port("host_rvalid", k)], "an answer without a request"
                if 0 <= t - k < len(rows):
                    shown[k].append(self._look(k))
        return shown

    async def host(self, superlane: int = 0, **request: int) -> int | None:
        """One host request; the answer of the next cycle, None if there is none. Fields are without ``host_``."""
        fields = {"write": 0, "address": 0, "wdata": 0} | ({"signature": 0} if self.config.trace else {}) | request
        inputs = {f"host_{name}": value for name, value in fields.items()}
        await self.ports.cycle(inputs | {self.port("host_select", superlane): 1})
        await self.ports.cycle({self.port("host_select", superlane): 0})
        for other in set(range(self.superlanes)) - {superlane}:
            assert not self.ports[self.port("host_rvalid", other)], f"superlane {other} answers for {superlane}"
        valid, data = self.port("host_rvalid", superlane), self.port("host_rdata", superlane)
        if not self.ports[valid]:
            assert self.ports[data] == 0, "host_rdata is not zero without host_rvalid"
            return None
        return self.ports[data]

    def _instructions(self, row: Row) -> dict[str, int]:
        inputs = {}
        for queue in range(self.queues):
            inputs[f"instr_{queue}_valid"] = int(queue in row.instructions)
            if queue in row.instructions:
                inputs[f"instr_{queue}"] = row.instructions[queue]
        return inputs

    def _arrivals(self, row: Row, superlane: int) -> dict[str, int]:
        inputs = {}
        for first, name in self.presence("in", superlane).items():
            inputs[name] = sum(1 << operand - first for operand in row.arrivals if operand & 32 == first)
        for operand, vector in row.arrivals.items():
            inputs[self.arriving(operand, superlane)] = word_of(vector, superlane)
        return inputs

    def _look(self, superlane: int) -> Shown:
        ports, streams = self.ports, {}
        for first, name in self.presence("out", superlane).items():
            present = ports[name]
            operands = [first + i for i in range(self.config.streams) if present >> i & 1]
            streams |= {operand: ports.get(self.leaving(operand, superlane)) for operand in operands}
        if not self.queues:
            return Shown(streams, None, None, False, False)
        north = None
        if superlane == self.superlanes - 1:
            handed = [queue for queue in range(self.queues) if ports[f"north_{queue}_valid"]]
            north = {queue: ports[f"north_{queue}"] for queue in handed}
        fault = None
        if ports[self.port("fault_valid", superlane)]:
            fault = ports[self.port("fault_queue", superlane)], ports[self.port("fault_kind", superlane)]
        stream_event = bool(ports[self.port("stream_event", superlane)])
        return Shown(streams, north, fault, stream_event, self.writes and bool(ports["write_event"]))
