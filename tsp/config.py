"""The size of a chip: one frozen dataclass, named presets, any field overridable.

Everything that can be computed from these fields is a property here or in :mod:`tsp.floorplan`; nothing else in the
project holds a geometry number. Source of the ``groqchip`` figures: D. Abts et al., "Think Fast: A Tensor Streaming
Processor (TSP) for Accelerating Deep Learning Workloads", ISCA 2020.
"""

import dataclasses
from collections.abc import Iterable
from typing import Any, Self

from tsp.errors import InputError, nearest

LANES_PER_SUPERLANE = 16
SLICES_PER_GROUP = 4
GATHER_BEATS = 8
"""Most beats with which the two bytes of a GATHER's address pass in one."""
INSTRUCTION_BYTES = 16

FEATURES = ("gather", "vxm_float", "mxm_fp16", "sxm", "ecc", "ifetch", "c2c", "trace")
"""Fields that are on or off. One that is off leaves no trace in the Verilog."""
PAIR = 2
"""Planes of a hemisphere that together multiply fp16."""


@dataclasses.dataclass(frozen=True)
class ChipConfig:
    """Geometry and features of one chip.

    Attributes:
        name: preset the configuration started from (no effect on the machine).
        superlanes: S, tiles per slice; a vector has 16·S bytes.
        streams: streams per direction.
        mem_slices: MEM slices per hemisphere, a multiple of 4.
        mem_words: 16-byte words per MEM tile.
        mxm_planes_w, mxm_planes_e: MXM planes per hemisphere.
        vxm_rows, vxm_stages: ALUs per lane = rows × stages.
        links_w, links_e: chip-to-chip links at each SXM site.
        hac_period: P, cycles of the hardware aligned counter's epoch.
        queue_depth: instruction words a queue holds.
        acc_depth: rows of an MXM accumulator.
        link_buffer: vectors the receive buffer of a link holds.
        vxm_mul_bits: multiplier operand width of an ALU; 0 leaves MUL out.
        beats: clocks a schedule cycle takes; in each, 16 / beats lanes of a superlane work. No effect on schedules.
        gather: MEM slices take GATHER and SCATTER.
        sxm: the SXMs and their queues exist.
        trace: every slice folds its events into a signature.
        ecc: words of streams and memories have check bits beside them; not with several beats.
        ifetch: queues take IFETCH; not with several beats.
        c2c: C2C queues take SEND, RECEIVE and POLL; not with several beats, nor without a link.
        vxm_float: the ALUs compute in fp32 too, and streams hold fp16 and fp32.
        mxm_fp16: hemispheres with two planes multiply fp16 too, both planes together.
    """

    name: str
    superlanes: int
    streams: int
    mem_slices: int
    mem_words: int
    mxm_planes_w: int
    mxm_planes_e: int
    vxm_rows: int
    vxm_stages: int
    links_w: int
    links_e: int
    hac_period: int = 256
    queue_depth: int = 256
    acc_depth: int = 512
    link_buffer: int = 32
    vxm_mul_bits: int = 32
    beats: int = 1
    vxm_float: bool = False
    mxm_fp16: bool = False
    gather: bool = True
    sxm: bool = True
    ecc: bool = False
    ifetch: bool = False
    c2c: bool = False
    trace: bool = True

    @property
    def lanes(self) -> int:
        """Byte lanes of a vector, 16·S."""
        return LANES_PER_SUPERLANE * self.superlanes

    @property
    def groups(self) -> int:
        """MEM groups (sites) per hemisphere."""
        return self.mem_slices // SLICES_PER_GROUP

    @property
    def alus(self) -> int:
        """VXM ALUs per lane; ALU (row, stage) has number stage·rows + row."""
        return self.vxm_rows * self.vxm_stages

    def planes(self, hemisphere: str) -> int:
        """MXM planes of hemisphere ``"w"`` or ``"e"``."""
        return self.mxm_planes_w if hemisphere == "w" else self.mxm_planes_e

    def multiplies_fp16(self, hemisphere: str) -> bool:
        """Whether the planes of hemisphere ``"w"`` or ``"e"`` are a pair that multiplies fp16."""
        return self.mxm_fp16 and self.planes(hemisphere) == PAIR

    def links(self, hemisphere: str) -> int:
        """Links of hemisphere ``"w"`` or ``"e"``."""
        return self.links_w if hemisphere == "w" else self.links_e

    def validate(self) -> Self:
        """Return self, or raise :class:`InputError` naming the first field that is wrong and what would be right."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            kind = _type_of(field)
            if type(value) is not kind:
                raise InputError(f"config {self.name}: {field.name} is {value!r}, must be {kind.__name__}")
        if not self.name.isprintable():
            raise InputError(f"config {self.name!r}: its name must be of characters that can be printed")
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                nearest_value = min(max(value, low), high)
                raise InputError(f"config {self.name}: {name} is {value}, must be {low}…{high}; try {nearest_value}")
        for name, multiple in (("streams", 16), ("mem_slices", SLICES_PER_GROUP)):
            value = getattr(self, name)
            if value % multiple:
                up = value + multiple - value % multiple
                raise InputError(f"config {self.name}: {name} is {value}, must be a multiple of {multiple}; try {up}")
        for name in ("streams", "mem_words", "hac_period", "queue_depth", "acc_depth", "link_buffer", "beats"):
            value = getattr(self, name)
            if value & (value - 1):
                up = 1 << value.bit_length()
                raise InputError(f"config {self.name}: {name} is {value}, must be a power of two; try {up}")
        if 2 * self.mem_slices < 16:
            raise InputError(
                f"config {self.name}: mem_slices is {self.mem_slices}, must be at least 8: LW takes 16 vectors a cycle"
            )
        if self.vxm_float and not self.vxm_mul_bits:
            raise InputError(
                f"config {self.name}: vxm_float is True, but vxm_mul_bits is 0: floats need multipliers; try 32"
            )
        if self.gather and self.beats > GATHER_BEATS:
            raise InputError(
                f"config {self.name}: gather is True with beats={self.beats}, but the two bytes of an address must pass"
                f" in one beat; beats must be at most {GATHER_BEATS}, or gather False"
            )
        if self.ecc and self.beats > 1:
            raise InputError(
                f"config {self.name}: ecc is True, but with beats {self.beats} no word is there at once to be checked; "
                "set ecc to False or beats to 1"
            )
        if self.ifetch and self.beats > 1:
            raise InputError(
                f"config {self.name}: ifetch is True, but with beats {self.beats} no word is there at once to be"
                " fetched; set ifetch to False or beats to 1"
            )
        if self.c2c and self.beats > 1:
            raise InputError(
                f"config {self.name}: c2c is True, but with beats {self.beats} no word is there at once to be"
                " sent; set c2c to False or beats to 1"
            )
        if self.c2c and not self.links_w + self.links_e:
            raise InputError(
                f"config {self.name}: c2c is True with links_w=0 and links_e=0, but C2C needs a link in one hemisphere;"
                " set c2c to False or links_e to 1"
            )
        if self.mxm_fp16 and not (self.multiplies_fp16("w") or self.multiplies_fp16("e")):
            planes = f"mxm_planes_w={self.mxm_planes_w} and mxm_planes_e={self.mxm_planes_e}"
            raise InputError(
                f"config {self.name}: mxm_fp16 is True with {planes}, but fp16 needs two planes in one hemisphere; "
                "set mxm_fp16 to False or mxm_planes_e to 2"
            )
        return self

    def override(self, settings: Iterable[str], option: str = "--set ") -> "ChipConfig":
        """A validated copy with ``field=value`` strings applied; messages begin with ``option`` and the setting."""
        changes: dict[str, Any] = {}
        fields = {field.name: _type_of(field) for field in dataclasses.fields(self) if field.name != "name"}
        for setting in settings:
            name, separator, text = setting.partition("=")
            if not separator:
                raise InputError(f"{option}{setting}: must be field=value, such as superlanes=4")
            if name not in fields:
                raise InputError(f"{option}{setting}: unknown field '{name}'{nearest(name, fields, len(fields))}")
            changes[name] = _parse(f"{option}{setting}", text, fields[name])
        return dataclasses.replace(self, **changes).validate()

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "ChipConfig":
        """The validated inverse of :meth:`as_dict`; raises :class:`InputError` on unknown or missing fields."""
        fields = {field.name: field for field in dataclasses.fields(cls)}
        for name in values:
            if name not in fields:
                # Quoted as in Python: a stranger's file may have line ends in it.
                raise InputError(f"config: unknown field {str(name)!r}{nearest(str(name), fields, len(fields))}")
        required = [name for name, field in fields.items() if field.default is dataclasses.MISSING]
        missing = [name for name in required if name not in values]
        if missing:
            raise InputError(f"config: missing field {', '.join(missing)}")
        return cls(**values).validate()


def _type_of(field: "dataclasses.Field[Any]") -> type:
    assert isinstance(field.type, type)
    return field.type


def _parse(setting: str, text: str, kind: type) -> int | bool:
    if kind is bool:
        if text.lower() in ("true", "1", "on"):
            return True
        if text.lower() in ("false", "0", "off"):
            return False
        raise InputError(f"{setting}: '{text}' is not true or false")
    try:
        return int(text, 0)
    except ValueError:
        raise InputError(f"{setting}: '{text}' is not a whole number") from None


_RANGES = {
    "superlanes": (1, 20),
    "streams": (16, 32),
    "mem_slices": (4, 64),
    "mem_words": (2, 8192),
    "mxm_planes_w": (0, 2),
    "mxm_planes_e": (0, 2),
    "vxm_rows": (1, 4),
    "vxm_stages": (1, 4),
    "links_w": (0, 16),
    "links_e": (0, 16),
    "hac_period": (16, 65536),
    "queue_depth": (16, 65536),
    "acc_depth": (2, 8192),
    "link_buffer": (2, 64),
    "vxm_mul_bits": (0, 32),
    "beats": (1, LANES_PER_SUPERLANE),
}



def enough(field: str, least: int) -> str:
    """How a sentence ends that wants a field, a power of two, to be at least so large: what to set, or that no chip
    has as much."""
    value, most = 1 << (least - 1).bit_length(), _RANGES[field][1]
    return f"set {field}={value}" if value <= most else f"no chip has more than {field}={most}"


PRESETS = {
    config.name: config.validate()
    for config in (
        # The published chip; queue_depth and acc_depth are ours.
        ChipConfig(
            "groqchip", 20, 32, 44, 8192, 2, 2, 4, 4, 5, 6, queue_depth=1024, acc_depth=2048,
            vxm_float=True, mxm_fp16=True, ecc=True, ifetch=True, c2c=True,
        ),
        # Small enough to simulate fast, with two superlanes so that the stagger shows.
        ChipConfig(
            "tiny", 2, 32, 12, 128, 1, 2, 2, 2, 1, 1,
            vxm_float=True, mxm_fp16=True, ecc=True, ifetch=True,
        ),
        # Fits a Lattice ECP5-85F (`make synth`): 8-bit multipliers, two lanes at a time, no signature.
        ChipConfig(
            "board", 1, 16, 8, 512, 0, 1, 1, 4, 0, 0,
            queue_depth=512, vxm_mul_bits=8, beats=8, gather=False, sxm=False, trace=False,
        ),
    )
}


def preset(name: str) -> ChipConfig:
    """The preset of that name; raises :class:`InputError` with the nearest name."""
    if name not in PRESETS:
        raise InputError(f"unknown config '{name}'{nearest(name, PRESETS)}")
    return PRESETS[name]
