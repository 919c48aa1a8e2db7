"""A column of the chip as a module of its own: one site in all superlanes and what stands beside them.

That of an MXM has the planes beside it, that of an SXM the part that crosses superlanes.
"""

from amaranth.hdl import Module, Signal, Value
from amaranth.lib.wiring import Component, In, Member, Out

from rtl.mxm import MxmFp16Plane, MxmPlane, MxmSite
from rtl.stamp import Stamp, stamp
from rtl.sxm import SxmAcross, SxmSite
from rtl.sxm.bundle import tile_side
from tsp.config import PAIR, ChipConfig
from tsp.errors import InputError

POWERED = "powered"
"""A port of sites: here all superlanes are powered. The chip's tests switch some off."""


def hemisphere_of(config: ChipConfig) -> str:
    """The hemisphere a bench tests: the one with more planes. InputError if there are none."""
    best = max("ew", key=config.planes)
    if not config.planes(best):
        raise InputError(f"config {config.name} has no MXM plane for bench 'mxm'; try --set mxm_planes_e=1")
    return best


class Column(Component):
    """Superlane k's ports are those of the site (docs/rtl.md) with ``_<k>`` behind the name.

    Instructions and ``time`` are given to superlane 0 and move north inside, ``north_<q>`` is that of the northernmost;
    ``place`` and the host's request, except ``host_select_<k>``, are common.
    """

    structural = True
    file = __file__
    beside: tuple[str, ...]
    """Ports of a site to what stands beside it begin so."""

    def __init__(self, config: ChipConfig):
        self.config = config
        ports: dict[str, Member] = {}
        for name, member in self._site_ports().items():
            if name.startswith(self.beside) or name == POWERED:
                continue
            if _common(name):
                ports[name] = member
            else:
                ports |= {f"{name}_{k}": member for k in range(config.superlanes)}
        super().__init__(ports)

    def site(self) -> Component:
        """A site."""
        raise NotImplementedError

    def place_beside(self, m: Module, sites: list[Stamp]) -> None:
        """Place what stands beside the sites, and connect it."""
        raise NotImplementedError

    def elaborate(self, platform: object) -> Module:
        m = Module()
        sites = [stamp(self.site(), f"site_{k}") for k in range(self.config.superlanes)]
        time = self.time
        for k, site in enumerate(sites):
            m.submodules[f"site_{k}"] = site
            m.d.comb += site.time.eq(time)
            later = Signal(len(time), name=f"time_{k + 1}")
            m.d.sync += later.eq(time)
            time = later
            self._connect(m, k, site, sites)
        self.place_beside(m, sites)
        return m

    def _connect(self, m: Module, k: int, site: Stamp, sites: list[Stamp]) -> None:
        for name, member in self._site_ports().items():
            if name.startswith(self.beside) or name == "time":
                continue
            inner = Value.cast(getattr(site, name))
            if name == POWERED:
                m.d.comb += inner.eq(1)
                continue
            if name.startswith("north_"):
                if k == len(sites) - 1:
                    m.d.comb += getattr(self, name).eq(inner)
            elif name.startswith("instr_"):
                south = getattr(self, name) if k == 0 else getattr(sites[k - 1], name.replace("instr", "north"))
                m.d.comb += inner.eq(south)
            else:
                outer = Value.cast(getattr(self, name if _common(name) else f"{name}_{k}"))
                m.d.comb += inner.eq(outer) if member.flow == In else outer.eq(inner)

    def _site_ports(self) -> dict[str, Member]:
        site = self.site()
        site._MustUse__used = True
        return dict(site.signature.members)

    def _join(self, m: Module, k: int, site: Stamp, names: dict[str, Value]) -> None:
        """Connect ports of superlane k's site to those of what stands beside it."""
        ports = self._site_ports()
        for name, outer in names.items():
            inner = getattr(site, name)
            m.d.comb += outer.eq(inner) if ports[name].flow == Out else inner.eq(outer)


class Hemisphere(Column):
    """The MXM of one hemisphere: edge sites and planes."""

    module_name = "mxm_hemisphere"
    beside = ("plane_", "pair_")

    def __init__(self, config: ChipConfig):
        self.planes = config.planes(hemisphere_of(config))
        super().__init__(config)

    def site(self) -> Component:
        return MxmSite(self.config, self.planes)

    def place_beside(self, m: Module, sites: list[Stamp]) -> None:
        for p in range(self.planes):
            m.submodules[f"plane_{p}"] = plane = stamp(MxmPlane(self.config), f"plane_{p}")
            prefix = f"plane_{p}_"
            names = [name for name in self._site_ports() if name.startswith(prefix)]
            for k, site in enumerate(sites):
                self._join(m, k, site, {name: getattr(plane, f"{name.removeprefix(prefix)}_{k}") for name in names})
        if self.config.mxm_fp16 and self.planes == PAIR:
            m.submodules.pair = array = MxmFp16Plane(self.config)
            for k, site in enumerate(sites):
                names = [name for name in self._site_ports() if hasattr(array, f"{name}_{k}")]
                self._join(m, k, site, {name: getattr(array, f"{name}_{k}") for name in names})


class SxmColumn(Column):
    """The SXM of one hemisphere: sites and the part that crosses superlanes."""

    module_name = "sxm_column"
    beside = ("across_",)

    def site(self) -> Component:
        return SxmSite(self.config)

    def place_beside(self, m: Module, sites: list[Stamp]) -> None:
        m.submodules.across = across = stamp(SxmAcross(self.config), "across")
        for k, site in enumerate(sites):
            self._join(m, k, site, {f"across_{name}": getattr(across, f"{name}_{k}") for name in tile_side("")})


def _common(name: str) -> bool:
    """Whether a port of the site is one of the hemisphere's, not one for each superlane."""
    given = name in ("time", "place") or name.startswith(("instr_", "north_"))
    return given or (name.startswith("host_") and name not in ("host_select", "host_rvalid", "host_rdata"))
