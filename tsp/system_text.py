"""A system as the text of a file that :mod:`tsp.system_file` reads; programs are saved beside it
(:mod:`tsp.system_programs`)."""

import dataclasses

from tsp.config import ChipConfig, preset
from tsp.system import System


def system_text(system: System) -> str:
    """TOML. The configurations of chips must have the names of presets, which they may change."""
    first = system.chips[0].config
    lines = [*_config(first), f'root = "{system.chips[system.root].name}"', f"ppm = {system.ppm}"]
    lines.append(f"preamble = {_flag(system.preamble)}")
    for chip in system.chips:
        lines += ["", "[[chip]]", f'name = "{chip.name}"']
        if chip.spare:
            lines.append("spare = true")
        if chip.config != first:
            # Settings of the file hold for all its chips, so those of a chip must undo them.
            lines += _config(chip.config, first)
    tree = {*system.tree}
    for number, link in enumerate(system.links):
        one, other = map(system.port_name, link.ends)
        lines += ["", "[[link]]", f'from = "{one}"', f'to = "{other}"', f"latency = {list(link.latency)}"]
        if link.measured != link.latency:
            lines.append(f"measured = {list(link.measured)}")
        lines += [f"jitter = {link.jitter}", f"tree = {_flag(number in tree)}"]
    return "\n".join([*lines, ""])


def _config(config: ChipConfig, before: ChipConfig | None = None) -> list[str]:
    """``config`` and ``set``: what differs from the preset, or was set to something else before."""
    start, set_before = preset(config.name), before and preset(before.name)
    changed = []
    for field in dataclasses.fields(ChipConfig):
        name = field.name
        value = getattr(config, name)
        undone = before is not None and getattr(before, name) != getattr(set_before, name)
        if name != "name" and (value != getattr(start, name) or undone):
            changed.append(f'"{name}={_flag(value) if type(value) is bool else value}"')
    return [f'config = "{config.name}"', f"set = [{', '.join(changed)}]"]


def _flag(value: bool) -> str:
    return "true" if value else "false"
