"""The benches that ``make sim`` runs, by name.

A bench is either cocotb tests on one module, or a job: a function that runs programs on the chip and prints its own
table. Both are named by text, so that listing them elaborates nothing.
"""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tb.unit.frame import framed
from tsp.config import ChipConfig


@dataclass(frozen=True)
class Options:
    """What ``make sim`` was asked for. ``waves`` is the folder to record to, or None."""

    config: ChipConfig
    sims: Sequence[str]
    seed: int
    waves: Path | None


@dataclass(frozen=True)
class Bench:
    """cocotb tests of one module of the design.

    Attributes:
        top: the module under test.
        sources: ``module:function``, called with the config, returns the Verilog files.
        tests: importable name of the module with the cocotb tests. It finds :meth:`config`'s fields, as JSON, in
            ``TSP_CONFIG``.
        check_bits: whether it hands in words with check bits, where a configuration has them.
    """

    top: str
    sources: str
    tests: str
    check_bits: bool = False

    def config(self, config: ChipConfig) -> ChipConfig:
        """What the bench makes of a configuration: most hand words to a part of a chip without check bits."""
        return config if self.check_bits else config.override(["ecc=off"])

    def module(self, config: ChipConfig) -> str:
        """The module that the simulator runs."""
        return framed(self.top, config)

    def verilog(self, config: ChipConfig) -> Sequence[Path]:
        found: Callable[[ChipConfig], Sequence[Path]] = resolve(self.sources)
        return found(self.config(config))


@dataclass(frozen=True)
class Job:
    """``module:function``, called with :class:`Options`; returns whether everything came out right.

    ``config`` is the preset it runs on, whatever was asked for: its program is written for that one. ``package`` holds
    the program, and is not in the wheel.
    """

    function: str
    config: str
    package: str

    def run(self, options: Options) -> bool:
        found: Callable[[Options], bool] = resolve(self.function)
        return found(options)


def resolve(name: str) -> Any:
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _unit(name: str, top: str, check_bits: bool = False) -> Bench:
    return Bench(top, f"tb.unit.sources:{name}", f"tb.unit.{name}", check_bits)


BENCHES: dict[str, Bench | Job] = {
    "stream": _unit("stream", "sxm_site"),
    "mem": _unit("mem", "mem_site"),
    "vxm": _unit("vxm", "vxm_site"),
    "vxm_float": _unit("vxm_float", "vxm_float"),
    "mxm": _unit("mxm", "mxm_hemisphere"),
    "sxm": _unit("sxm", "sxm_column"),
    "station": _unit("station", "station"),
    "host_port": _unit("host_port", "host_port", check_bits=True),
    "link": _unit("link", "window_link_loop"),
    "link_time": _unit("link_time", "window_link_time_parts"),
    "icu": _unit("icu", "icu"),
    "counters": Bench("icu", "tb.unit.sources:icu", "tb.unit.counters"),
    "chip": Bench("chip", "tb.machine:sources", "tb.unit.chip", check_bits=True),
    "digits": Job("tb.digits:run", config="tiny", package="programs.digits"),
}
