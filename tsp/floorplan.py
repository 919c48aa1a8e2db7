"""Sites, stream registers, slices and queues of a configuration.

Sites run west to east: ``MXM_W SXM_W MEM_W[last … 0] VXM MEM_E[0 … last] SXM_E MXM_E``. Stream register (SR) i lies
between site i and site i + 1.
"""

import dataclasses
from functools import lru_cache

from tsp.config import SLICES_PER_GROUP, ChipConfig
from tsp.errors import InputError, nearest

EAST, WEST = 0, 1
"""Direction a stream flows; ``e5`` is stream 5 eastward."""


@dataclasses.dataclass(frozen=True)
class Site:
    """A place on the west-east axis where slices read and write streams."""

    index: int
    name: str
    unit: str
    """``mem``, ``vxm``, ``mxm`` or ``sxm``."""
    hemisphere: str
    """``w``, ``e``, or empty for the VXM."""


@dataclasses.dataclass(frozen=True)
class Slice:
    """A column of S tiles that produces events. ``index`` is its place number in event hashes."""

    index: int
    name: str
    unit: str
    hemisphere: str
    number: int
    """Number within unit and hemisphere: MEM slice, MXM plane; 0 for the VXM, an SXM and its C2C."""
    site: int


@dataclasses.dataclass(frozen=True)
class Queue:
    """An instruction queue of the ICU."""

    index: int
    name: str
    kind: str
    """``mem``, ``vxm``, ``mxm_weights``, ``mxm_activations``, ``mxm_accumulate``, ``sxm_permute``, ``sxm_distribute``,
    ``sxm_transpose``, ``sxm_shift``, ``sxm_rotate`` or ``c2c``."""
    site: int
    slice: int
    """Index of the slice it commands; -1 for C2C queues without the feature ``c2c``."""
    hemisphere: str
    number: int
    """MEM slice, MXM plane, ALU number stage·rows + row, or queue of an SXM."""


@dataclasses.dataclass(frozen=True)
class Link:
    """A link of a chip, by the name of its port, such as ``e3``. ``number``: within its hemisphere."""

    index: int
    name: str
    hemisphere: str
    number: int


SXM_QUEUES = {
    "permute": "sxm_permute",
    **{f"distribute{i}": "sxm_distribute" for i in range(4)},
    **{f"transpose{i}": "sxm_transpose" for i in range(2)},
    **{f"shift{i}": "sxm_shift" for i in range(2)},
    "rotate": "sxm_rotate",
}
"""Queues of an SXM in order, and their kinds."""
C2C_QUEUES = 4
MXM_KINDS = ("weights", "activations", "accumulate")


class Floorplan:
    """Everything about where things are; get it from :func:`floorplan`, which builds each configuration once."""

    def __init__(self, config: ChipConfig):
        self.config = config
        self.sites = _sites(config)
        self.slices: list[Slice] = []
        self.queues: list[Queue] = []
        for site in self.sites:
            self._populate(site)
        # Last, so that what has a place without SXMs has the same one with them.
        for site in self.sites:
            if site.unit == "sxm" and config.sxm:
                self._add_last(site, "sxm")
        for site in self.sites:
            if site.unit == "sxm" and config.c2c and config.links(site.hemisphere):
                self._add_last(site, "c2c")
        ports = [(h, number) for h in "we" for number in range(config.links(h))] if config.c2c else []
        self.links = [Link(index, f"{h}{number}", h, number) for index, (h, number) in enumerate(ports)]
        self._queue_by_name = {queue.name: queue for queue in self.queues}
        self._slice_by_name = {slice_.name: slice_ for slice_ in self.slices}
        self.vxm_site = next(site.index for site in self.sites if site.unit == "vxm")

    def queue(self, name: str) -> Queue:
        """The queue of that name, such as ``mem.e3``, ``vxm.r0s1`` or ``mxm.w0.weights``; InputError otherwise."""
        if name not in self._queue_by_name:
            self._refuse_without_unit("queue", name)
            raise InputError(f"unknown queue '{name}' in config {self.config.name}{nearest(name, self._queue_by_name)}")
        return self._queue_by_name[name]

    def slice(self, name: str) -> Slice:
        """The slice of that name, such as ``mem.w0``, ``vxm`` or ``mxm.e1``; InputError otherwise."""
        if name not in self._slice_by_name:
            self._refuse_without_unit("slice", name)
            raise InputError(f"unknown slice '{name}' in config {self.config.name}{nearest(name, self._slice_by_name)}")
        return self._slice_by_name[name]

    def _refuse_without_unit(self, thing: str, name: str) -> None:
        """InputError if the configuration leaves out the whole unit that a queue or slice belongs to."""
        unit, _, rest = name.partition(".")
        field = {"sxm": "sxm", "c2c": f"links_{rest[:1]}", "mxm": f"mxm_planes_{rest[:1]}"}.get(unit, "")
        if name.startswith("c2c.") and thing == "slice" and not self.config.c2c:
            field = "c2c"
        value = getattr(self.config, field, True)
        if not value:
            least = "True" if field in ("sxm", "c2c") else "1"
            raise InputError(
                f"{thing} {name} needs {unit.upper()}, but config {self.config.name} has {field}={value}; "
                f"set {field}={least}"
            )

    def site_queues(self, site: int) -> list[Queue]:
        """Queues whose slices stand at a site, in queue order."""
        return [queue for queue in self.queues if queue.site == site]

    def _add_slice(self, site: Site, name: str, number: int) -> int:
        index = len(self.slices)
        self.slices.append(Slice(index, name, name.partition(".")[0], site.hemisphere, number, site.index))
        return index

    def _add_queue(self, site: Site, name: str, kind: str, slice_: int, number: int) -> None:
        self.queues.append(Queue(len(self.queues), name, kind, site.index, slice_, site.hemisphere, number))

    def _populate(self, site: Site) -> None:
        h = site.hemisphere
        if site.unit == "mem":
            first = SLICES_PER_GROUP * int(site.name.rsplit(".", 1)[1])
            numbers = list(range(first, first + SLICES_PER_GROUP))
            for number in reversed(numbers) if h == "w" else numbers:
                slice_ = self._add_slice(site, f"mem.{h}{number}", number)
                self._add_queue(site, f"mem.{h}{number}", "mem", slice_, number)
        elif site.unit == "vxm":
            slice_ = self._add_slice(site, "vxm", 0)
            for stage in range(self.config.vxm_stages):
                for row in range(self.config.vxm_rows):
                    self._add_queue(site, f"vxm.r{row}s{stage}", "vxm", slice_, stage * self.config.vxm_rows + row)
        elif site.unit == "mxm":
            for plane in range(self.config.planes(h)):
                slice_ = self._add_slice(site, f"mxm.{h}{plane}", plane)
                for kind in MXM_KINDS:
                    self._add_queue(site, f"mxm.{h}{plane}.{kind}", f"mxm_{kind}", slice_, plane)
        else:
            for number, (name, kind) in enumerate(SXM_QUEUES.items() if self.config.sxm else ()):
                self._add_queue(site, f"sxm.{h}.{name}", kind, -1, number)
            for number in range(C2C_QUEUES if self.config.links(h) else 0):
                self._add_queue(site, f"c2c.{h}{number}", "c2c", -1, number)

    def _add_last(self, site: Site, unit: str) -> None:
        """The slice of an SXM or of its site's C2C, and its queues' place."""
        slice_ = self._add_slice(site, f"{unit}.{site.hemisphere}", 0)
        for queue in self.site_queues(site.index):
            if queue.name.startswith(f"{unit}."):
                self.queues[queue.index] = dataclasses.replace(queue, slice=slice_)


def _sites(config: ChipConfig) -> list[Site]:
    groups = range(config.groups)
    names = [("mxm.w", "mxm", "w"), ("sxm.w", "sxm", "w")]
    names += [(f"mem.w.{group}", "mem", "w") for group in reversed(groups)]
    names += [("vxm", "vxm", "")]
    names += [(f"mem.e.{group}", "mem", "e") for group in groups]
    names += [("sxm.e", "sxm", "e"), ("mxm.e", "mxm", "e")]
    return [Site(index, *name) for index, name in enumerate(names)]


@lru_cache(maxsize=64)
def floorplan(config: ChipConfig) -> Floorplan:
    """The floorplan of a configuration, built once."""
    return Floorplan(config)
