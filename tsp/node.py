"""A node: chips of which every two are joined by a link *(published: 8 TSPs, 7 local links each)*."""

import dataclasses
from collections.abc import Sequence
from functools import cached_property

from tsp.config import ChipConfig
from tsp.errors import InputError
from tsp.floorplan import C2C_QUEUES, floorplan
from tsp.program import Program
from tsp.system import JITTER, MOST_OFF, PPM, Chip, Link, Port, System

CHIPS = 8
LATENCY = 216
"""Mean latency of a link in cycles *(published)*."""


@dataclasses.dataclass(frozen=True)
class Node:
    """``chips`` chips of one configuration. Each has a *port* for every other chip, numbered in the order of these;
    half of the ports are in the west. Time goes from chip 0 to all others. ``latency`` is nominal, ``measured`` the
    greatest L_eff of any channel, which schedules count on; by default the same.

    Raises InputError if the configuration has not enough links, or latencies are not those of a link.
    """

    config: ChipConfig
    chips: int = CHIPS
    latency: int = LATENCY
    jitter: int = JITTER
    ppm: int = PPM
    measured: int | None = None

    def __post_init__(self) -> None:
        west, east = self.ports // 2, self.ports - self.ports // 2
        config = self.config
        if self.chips < 2 or not config.c2c or west > config.links_w or east > config.links_e or east > C2C_QUEUES:
            raise InputError(
                f"config {config.name} with c2c={config.c2c}, links_w={config.links_w} and links_e={config.links_e}: a"
                f" node of {self.chips} chips needs 2…{2 * C2C_QUEUES + 1} chips, c2c, and {west} links in the west and"
                f" {east} in the east; try --set c2c=on --set links_w={west} --set links_e={east}"
            )

        measured = self.latency if self.measured is None else self.measured
        if self.latency < 1 or measured < 1 or abs(measured - self.latency) > MOST_OFF:
            raise InputError(
                f"a node's latency is {self.latency} and measured {measured}; they must be at least 1, and at most"
                f" {MOST_OFF} cycles apart"
            )

    @property
    def ports(self) -> int:
        """Of each chip."""
        return self.chips - 1

    def place(self, port: int) -> tuple[str, int]:
        """Hemisphere and number in it of a port."""
        west = self.ports // 2
        return ("w", port) if port < west else ("e", port - west)

    def peer(self, chip: int, port: int) -> int:
        """The chip at the other end."""
        return port if port < chip else port + 1

    def port(self, chip: int, peer: int) -> int:
        """The port that leads from one chip to another."""
        return peer if peer < chip else peer - 1

    def _link(self, chip: int, peer: int) -> Port:
        h, number = self.place(self.port(chip, peer))
        links = floorplan(self.config).links
        return Port(chip, next(link.index for link in links if (link.hemisphere, link.number) == (h, number)))

    @cached_property
    def links(self) -> tuple[Link, ...]:
        """One for every two chips; those of chip 0 first."""
        both = (self.latency, self.latency)
        measured = both if self.measured is None else (self.measured, self.measured)
        pairs = [(a, b) for a in range(self.chips) for b in range(a + 1, self.chips)]
        return tuple(Link((self._link(a, b), self._link(b, a)), both, measured, self.jitter) for a, b in pairs)

    def system(self, programs: Sequence[Program] = ()) -> System:
        """The node with a program for each chip, or with none."""
        programs = programs or [Program(self.config)] * self.chips
        chips = tuple(Chip(f"chip{number}", self.config, program) for number, program in enumerate(programs))
        return System("node", chips, self.links, 0, tuple(range(self.ports)), self.ppm)
