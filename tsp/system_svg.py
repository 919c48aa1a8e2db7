"""A system as a picture: chips on a circle, links between them, thick where time goes down the tree."""

import math
from collections.abc import Iterator
from html import escape

from tsp.floorplan import floorplan
from tsp.system import System

_INK, _PALE, _LINK, _TREE, _ROOT = "#1f2933", "#6b7784", "#8793a0", "#2a9d8f", "#e9a23b"
_BOX = (92.0, 40.0)
_MARGIN = 90.0
_MOST_LABELS = 64
"""Links of larger systems have no labels: nobody could read them."""


def draw_system(system: System) -> str:
    """SVG text, with a background of its own so that it reads on light and dark pages."""
    count = len(system.chips)
    radius = max(150.0, count * 24.0) if count > 1 else 0.0
    size = 2 * (radius + _MARGIN)
    middle = size / 2
    places = [_on_circle(middle, radius, number / count) for number in range(count)]
    body = [f'<rect width="{size:.0f}" height="{size:.0f}" fill="#ffffff" rx="10"/>']
    body += list(_links(system, places))
    for number, ((x, y), chip) in enumerate(zip(places, system.chips, strict=True)):
        width, height = _BOX
        fill = _ROOT if number == system.root else "#e8ecf0"
        body.append(
            f'<rect x="{x - width / 2:.1f}" y="{y - height / 2:.1f}" width="{width}" height="{height}" rx="6"'
            f' fill="{fill}" stroke="{_INK}"/>'
        )
        body.append(_text(x, y - 2, chip.name, 13, _INK))
        body.append(_text(x, y + 13, f"{chip.config.name}, depth {system.depth[number]}", 10, _PALE))
    lines = "\n".join(body)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size:.0f} {size:.0f}"'
        f' font-family="Helvetica, Arial, sans-serif">\n{lines}\n</svg>\n'
    )


def _on_circle(middle: float, radius: float, share: float) -> tuple[float, float]:
    angle = 2 * math.pi * share - math.pi / 2
    return middle + radius * math.cos(angle), middle + radius * math.sin(angle)


def _links(system: System, places: list[tuple[float, float]]) -> Iterator[str]:
    for number, link in enumerate(system.links):
        (x1, y1), (x2, y2) = (places[port.chip] for port in link.ends)
        of_tree = number in system.tree
        style = f'stroke="{_TREE if of_tree else _LINK}" stroke-width="{3 if of_tree else 1}"'
        yield f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" {style}/>'
        if len(system.links) > _MOST_LABELS:
            continue
        there, back = link.latency
        label = str(there) if there == back else f"{there} / {back}"
        yield _text((x1 + x2) / 2, (y1 + y2) / 2 - 4, label, 10, _PALE)
        for port, share in zip(link.ends, (0.26, 0.74), strict=True):
            name = floorplan(system.chips[port.chip].config).links[port.link].name
            yield _text(x1 + (x2 - x1) * share, y1 + (y2 - y1) * share - 3, name, 10, _INK)


def _text(x: float, y: float, words: str, size: int, fill: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{fill}" text-anchor="middle">{escape(words)}</text>'
