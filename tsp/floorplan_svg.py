"""The floorplan of a configuration as a picture: sites from west to east, superlanes from south to north."""

import dataclasses
from html import escape

from tsp.config import LANES_PER_SUPERLANE, ChipConfig
from tsp.floorplan import Site, floorplan

_COLOURS = {"mem": "#2a9d8f", "vxm": "#e9a23b", "mxm": "#4c5fb5", "sxm": "#b5507f"}
_EAST, _WEST, _INK, _PALE, _ICU = "#1d6fd1", "#d1561d", "#1f2933", "#6b7784", "#8793a0"
_SR_WIDTH = 10
_GAP = 2
_MARGIN = 78
_CHIP_TOP = 172
_ICU_HEIGHT = 46


@dataclasses.dataclass(frozen=True)
class _Box:
    """A site on the page: x and width of its slices, without the stream register beside it."""

    site: Site
    x: float
    width: float

    @property
    def middle(self) -> float:
        return self.x + self.width / 2


class _Page:
    """Where things are, and the SVG elements so far."""

    def __init__(self, config: ChipConfig):
        self.config = config
        self.parts: list[str] = []
        self.row = max(9.0, min(28.0, 360 / config.superlanes))
        self.top, self.bottom = _CHIP_TOP, _CHIP_TOP + self.row * config.superlanes
        self.boxes: list[_Box] = []
        x = float(_MARGIN)
        for site in floorplan(config).sites:
            self.boxes.append(_Box(site, x, _site_width(site, config)))
            x += self.boxes[-1].width + _SR_WIDTH + 2 * _GAP
        self.right = x - _SR_WIDTH - 2 * _GAP
        self.width, self.height = self.right + _MARGIN, self.bottom + _ICU_HEIGHT + 84

    def rect(self, x: float, y: float, width: float, height: float, fill: str, more: str = "") -> None:
        self.parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{fill}" {more}/>'
        )

    def text(self, x: float, y: float, words: str, size: float = 11, fill: str = _INK, more: str = "") -> None:
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" fill="{fill}" text-anchor="middle" {more}>'
            f"{escape(words)}</text>"
        )

    def line(self, x1: float, y1: float, x2: float, y2: float, stroke: str, width: float = 1, more: str = "") -> None:
        points = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
        self.parts.append(f'<line {points} stroke="{stroke}" stroke-width="{width:g}" {more}/>')

    def svg(self) -> str:
        heads = "".join(
            f'<marker id="{name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
            f'markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0 8 4 0 8z" fill="{colour}"/></marker>'
            for name, colour in (("east", _EAST), ("west", _WEST), ("north", _INK))
        )
        size = f'viewBox="0 0 {self.width:.0f} {self.height:.0f}"'
        body = "\n".join(part.replace(" />", "/>").replace(" >", ">") for part in self.parts)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="Helvetica, Arial, sans-serif">\n'
            f"<defs>{heads}</defs>\n{body}\n</svg>\n"
        )


def draw(config: ChipConfig) -> str:
    """The picture as SVG text, with a background of its own so that it reads on light and dark pages."""
    page = _Page(config)
    page.rect(0, 0, page.width, page.height, "#ffffff", 'rx="10"')
    _title(page)
    _stream_arrows(page)
    _hemispheres(page)
    _stream_registers(page)
    for box in page.boxes:
        _slices(page, box)
    _superlanes(page)
    _icu(page)
    _legend(page)
    return page.svg()


def _site_width(site: Site, config: ChipConfig) -> float:
    match site.unit:
        case "mem":
            return max(28, min(60, 308 / config.groups))
        case "mxm":
            return max(50, 66 * config.planes(site.hemisphere))
        case "vxm":
            return 64
    return 40


def _title(page: _Page) -> None:
    c, plan = page.config, floorplan(page.config)
    superlanes = "1 superlane" if c.superlanes == 1 else f"{c.superlanes} superlanes"
    words = f"{superlanes} of {LANES_PER_SUPERLANE} lanes · {len(plan.sites)} sites · "
    words += f"{len(plan.sites) - 1} stream registers · {len(plan.queues)} instruction queues"
    page.text(page.width / 2, 32, f"Tensor Streaming Processor: {c.name}", 19, more='font-weight="bold"')
    page.text(page.width / 2, 52, words, 12.5, _PALE)


def _stream_arrows(page: _Page) -> None:
    for y, colour, head, start, end, words in (
        (80, _EAST, "east", page.boxes[0].x, page.right, f"e0…e{page.config.streams - 1} eastward, one site a cycle"),
        (98, _WEST, "west", page.right, page.boxes[0].x, f"w0…w{page.config.streams - 1} westward"),
    ):
        page.line(start, y, end, y, colour, 2, f'marker-end="url(#{head})"')
        size = 16 + 7 * len(words)
        page.rect(page.width / 2 - size / 2, y - 9, size, 18, "#ffffff")
        page.text(page.width / 2, y + 4, words, 12, colour)


def _hemispheres(page: _Page) -> None:
    """Brackets over each stretch of sites of one unit."""
    runs: list[list[_Box]] = []
    for box in page.boxes:
        same = runs and (runs[-1][0].site.unit, runs[-1][0].site.hemisphere) == (box.site.unit, box.site.hemisphere)
        runs[-1].append(box) if same else runs.append([box])
    for run in runs:
        left, right = run[0].x, run[-1].x + run[-1].width
        site, colour = run[0].site, _COLOURS[run[0].site.unit]
        page.line(left, _CHIP_TOP - 24, right, _CHIP_TOP - 24, colour, 3)
        name = f"{site.unit.upper()} {site.hemisphere.upper()}".strip()
        details = f": {page.config.mem_slices} slices in {page.config.groups} groups"
        if site.unit == "mem" and right - left > 8 * len(name + details):
            name += details
        page.text((left + right) / 2, _CHIP_TOP - 31, name, 12.5, colour, 'font-weight="bold"')


def _stream_registers(page: _Page) -> None:
    for box in page.boxes[:-1]:
        x = box.x + box.width + _GAP
        page.rect(x, page.top, _SR_WIDTH / 2, page.bottom - page.top, _EAST, 'fill-opacity="0.75"')
        page.rect(x + _SR_WIDTH / 2, page.top, _SR_WIDTH / 2, page.bottom - page.top, _WEST, 'fill-opacity="0.75"')
        y = page.bottom - page.row / 2
        east, west = f"M{x + 1:.1f} {y - 3:.1f}l3.4 3 -3.4 3z", f"M{x + 9:.1f} {y - 3:.1f}l-3.4 3 3.4 3z"
        page.parts.append(f'<path d="{east}{west}" fill="#ffffff"/>')


def _slices(page: _Page, box: _Box) -> None:
    """The slices of a site, and its label above the chip."""
    unit, colour, height = box.site.unit, _COLOURS[box.site.unit], page.bottom - page.top
    count = {"mem": 4, "mxm": page.config.planes(box.site.hemisphere)}.get(unit, 1)
    if count == 0:
        page.rect(box.x, page.top, box.width, height, "none", f'stroke="{colour}" stroke-dasharray="4 3"')
    for i in range(count):
        width = box.width / count
        page.rect(box.x + i * width + 0.5, page.top, width - 1, height, colour)
        if unit == "mxm":
            # A plane's supercells: as many columns as rows.
            for j in range(1, page.config.superlanes):
                x = box.x + i * width + j * width / page.config.superlanes
                page.line(x, page.top, x, page.bottom, "#ffffff", 0.4, 'stroke-opacity="0.6"')
    label = {"mem": box.site.name.rsplit(".", 1)[-1], "vxm": f"{page.config.alus} ALUs/lane"}.get(unit, "")
    if unit == "mxm":
        label = f"{count} planes {page.config.lanes}×{page.config.lanes}" if count != 1 else "1 plane"
        label = label if count else "no planes"
    page.text(box.middle, page.top - 7, label, 10, _PALE)


def _superlanes(page: _Page) -> None:
    left, count = page.boxes[0].x, page.config.superlanes
    for k in range(count):
        y = page.bottom - (k + 1) * page.row
        if k:
            page.line(left, y + page.row, page.right, y + page.row, "#ffffff", 1.2)
        if count <= 10 or k in (0, 1, 2, count - 1) or (k % 5 == 0 and k < count - 2):
            page.text(left - 36, y + page.row / 2 + 4, f"superlane {k}", 10, _PALE)
            page.text(page.right + 30, y + page.row / 2 + 4, f"T + {k}" if k else "T", 11, _INK)
    # What one value crosses: a superlane's tiles from edge to edge.
    y = page.bottom - page.row
    page.rect(left - 3, y, page.right - left + 6, page.row, "none", f'stroke="{_INK}" stroke-width="1.6" rx="2"')
    page.line(page.right + 54, page.bottom - 3, page.right + 54, page.top + 8, _INK, 1.4, 'marker-end="url(#north)"')
    middle = (page.top + page.bottom) / 2
    turn = f'transform="rotate(-90 {page.right + 69:.1f} {middle:.1f})"'
    if page.bottom - page.top > 150:
        page.text(page.right + 69, middle, "an instruction moves north", 11, _INK, turn)


def _icu(page: _Page) -> None:
    y = page.bottom + 14
    page.rect(page.boxes[0].x, y, page.right - page.boxes[0].x, _ICU_HEIGHT - 14, _ICU, 'rx="3"')
    for box in page.boxes:
        queues = len(floorplan(page.config).site_queues(box.site.index))
        if queues:
            page.line(box.middle, y, box.middle, page.bottom + 3, _INK, 1.2, 'marker-end="url(#north)"')
        page.text(box.middle, y + 20, str(queues), 11, "#ffffff", 'font-weight="bold"')
    words = "ICU: instruction queues of each site; tile 0 first, a tile north every cycle"
    page.text((page.boxes[0].x + page.right) / 2, y + 48, words, 11.5, _PALE)


def _legend(page: _Page) -> None:
    entries = (
        (_COLOURS["mem"], "MEM memory slice"),
        (_COLOURS["vxm"], "VXM vector ALUs"),
        (_COLOURS["mxm"], "MXM weight-stationary matrix planes"),
        (_COLOURS["sxm"], "SXM permutes lanes, links to other chips"),
        (_EAST, "stream register, eastward"),
        (_WEST, "westward"),
    )
    sizes = [36 + 6.4 * len(words) for _, words in entries]
    scale = min(1.0, (page.width - 40) / sum(sizes))
    x, y = page.width / 2 - scale * sum(sizes) / 2, page.height - 24
    for (colour, words), size in zip(entries, sizes, strict=True):
        page.rect(x, y - 10 * scale, 12 * scale, 12 * scale, colour)
        page.text(x + 17 * scale, y, words, 11.5 * scale, _INK, 'style="text-anchor:start"')
        x += size * scale
