"""The MXM of one hemisphere as a module of its own: the edge sites of all superlanes and the planes beside them."""

from amaranth.hdl import Module, Signal, Value
from amaranth.lib.wiring import Component, In, Member, Out

from rtl.mxm import MxmPlane, MxmSite
from rtl.stamp import Stamp, stamp
from tsp.config import ChipConfig
from tsp.errors import InputError


def hemisphere_of(config: ChipConfig) -> str:
    """The hemisphere a bench tests: the one with more planes. InputError if there are none."""
    best = max("ew", key=config.planes)
    if not config.planes(best):
        raise InputError(f"config {config.name} has no MXM plane for bench 'mxm'; try --set mxm_planes_e=1")
    return best


class Hemisphere(Component):
    """Superlane k's ports are those of an edge site (docs/rtl.md) with ``_<k>`` behind the name.

    Instructions and ``time`` are given to superlane 0 and move north inside, ``north_<q>`` is that of the northernmost;
    ``place`` and the host's request, except ``host_select_<k>``, are common.
    """

    module_name = "mxm_hemisphere"
    structural = True
    file = __file__

    def __init__(self, config: ChipConfig):
        self.config = config
        self.planes = config.planes(hemisphere_of(config))
        ports: dict[str, Member] = {}
        for name, member in _site_ports(config, self.planes).items():
            if name.startswith("plane_"):
                continue
            if _common(name):
                ports[name] = member
            else:
                ports |= {f"{name}_{k}": member for k in range(config.superlanes)}
        super().__init__(ports)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        sites = [stamp(MxmSite(self.config, self.planes), f"site_{k}") for k in range(self.config.superlanes)]
        time = self.time
        for k, site in enumerate(sites):
            m.submodules[f"site_{k}"] = site
            m.d.comb += site.time.eq(time)
            later = Signal(len(time), name=f"time_{k + 1}")
            m.d.sync += later.eq(time)
            time = later
            self._connect(m, k, site, sites)
        for p in range(self.planes):
            m.submodules[f"plane_{p}"] = plane = stamp(MxmPlane(self.config), f"plane_{p}")
            for k, site in enumerate(sites):
                self._join(m, plane, site, p, k)
        return m

    def _connect(self, m: Module, k: int, site: Stamp, sites: list[Stamp]) -> None:
        for name, member in _site_ports(self.config, self.planes).items():
            if name.startswith("plane_") or name == "time":
                continue
            inner = Value.cast(getattr(site, name))
            if name.startswith("north_"):
                if k == len(sites) - 1:
                    m.d.comb += getattr(self, name).eq(inner)
            elif name.startswith("instr_"):
                south = getattr(self, name) if k == 0 else getattr(sites[k - 1], name.replace("instr", "north"))
                m.d.comb += inner.eq(south)
            else:
                outer = Value.cast(getattr(self, name if _common(name) else f"{name}_{k}"))
                m.d.comb += inner.eq(outer) if member.flow == In else outer.eq(inner)

    def _join(self, m: Module, plane: Stamp, site: Stamp, p: int, k: int) -> None:
        prefix = f"plane_{p}_"
        for name, member in _site_ports(self.config, self.planes).items():
            if name.startswith(prefix):
                tile, row = getattr(site, name), getattr(plane, f"{name.removeprefix(prefix)}_{k}")
                m.d.comb += row.eq(tile) if member.flow == Out else tile.eq(row)


def _common(name: str) -> bool:
    """Whether a port of the site is one of the hemisphere's, not one for each superlane."""
    given = name in ("time", "place") or name.startswith(("instr_", "north_"))
    return given or (name.startswith("host_") and name not in ("host_select", "host_rvalid", "host_rdata"))


def _site_ports(config: ChipConfig, planes: int) -> dict[str, Member]:
    site = MxmSite(config, planes)
    site._MustUse__used = True
    return dict(site.signature.members)
