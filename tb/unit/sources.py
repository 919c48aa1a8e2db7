"""The Verilog of the modules that benches run on (see :data:`tb.benches.BENCHES`)."""

import inspect
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from amaranth.lib.wiring import Component

from rtl import verilog
from rtl.host_port import HostPort
from rtl.icu import Icu
from rtl.mem import MemSite
from rtl.station import Station
from rtl.sxm import SxmSite
from rtl.vxm import VxmSite
from rtl.vxm.float_lane import FloatLanes
from tb.generated import generated
from tb.unit.frame import frame
from tb.unit.hemisphere import Hemisphere, SxmColumn
from tb.unit.link_loop import LinkLoop
from tb.unit.link_time_parts import LinkTimeParts
from tb.unit.window import window
from tsp.config import LANES_PER_SUPERLANE, ChipConfig
from tsp.errors import InputError


def stream(config: ChipConfig) -> Sequence[Path]:
    """A site that only passes streams."""
    return _module(config.override(["sxm=false"]), SxmSite)


def mem(config: ChipConfig) -> Sequence[Path]:
    """A MEM site."""
    return _module(config, MemSite)


def vxm(config: ChipConfig) -> Sequence[Path]:
    """The VXM site."""
    return _module(config, VxmSite)


def vxm_float(config: ChipConfig) -> Sequence[Path]:
    """The floating point of an ALU, all lanes at once; without ``vxm_float`` nothing in the chip is made of it."""
    return _module(config.override(["beats=1"]), lambda _: FloatLanes(LANES_PER_SUPERLANE), name="vxm_float")


def mxm(config: ChipConfig) -> Sequence[Path]:
    """The MXM of one hemisphere; InputError if the configuration has none."""
    return _module(config, Hemisphere, [Path(Hemisphere.file)])


def sxm(config: ChipConfig) -> Sequence[Path]:
    """The SXM of one hemisphere; InputError if the configuration has none."""
    if not config.sxm:
        raise InputError(f"config {config.name} has no SXM for bench 'sxm'; try --set sxm=true")
    return _module(config, SxmColumn, [Path(SxmColumn.file)])


def station(config: ChipConfig) -> Sequence[Path]:
    """A station."""
    return _module(config, Station)


def host_port(config: ChipConfig) -> Sequence[Path]:
    """The host port."""
    return _module(config, HostPort)


def icu(config: ChipConfig) -> Sequence[Path]:
    """The ICU."""
    return _module(config, Icu)


def link(config: ChipConfig) -> Sequence[Path]:
    """A link's two ends and a wire, in a window."""
    return _window(config, LinkLoop, [config.superlanes])


def link_time(config: ChipConfig) -> Sequence[Path]:
    """What keeps time at a link's end, in a window."""
    return _window(config, LinkTimeParts, [config.superlanes, config.hac_period])


def _window(config: ChipConfig, kind: type[LinkLoop | LinkTimeParts], sizes: Sequence[int]) -> Sequence[Path]:
    name = f"window_{kind.module_name}"

    def write(folder: Path) -> Sequence[Path]:
        component = kind(*sizes)
        files = verilog.generate(config, folder, component)
        around = folder / f"{name}.v"
        around.write_text(window(component))
        return [*files, around]

    also = [Path(inspect.getfile(part)) for part in (kind, window)]
    return generated(f"{config.name}-{name}", [*sizes, name], write, also)


def _module(
    config: ChipConfig, component: Callable[[ChipConfig], Component], also: Iterable[Path] = (), name: str = ""
) -> Sequence[Path]:
    name = name or component.module_name  # type: ignore[attr-defined]
    key = [config.as_dict() | {"name": ""}, name]

    def write(folder: Path) -> Sequence[Path]:
        return verilog.generate(config, folder, frame(component(config), config))

    return generated(f"{config.name}-{name}", key, write, [*also, Path(frame.__code__.co_filename)])
