"""Systems as TOML files; docs/programming.md describes them. Files are data: bounded, and nothing is evaluated."""

import dataclasses
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tsp.config import ChipConfig, preset
from tsp.errors import InputError, nearest
from tsp.floorplan import floorplan
from tsp.program import Program
from tsp.system import JITTER, MOST_OFF, PPM, Chip, Link, Port, System, spanning_tree
from tsp.toml_file import read_toml, shortened

FILE_LIMIT = 1 << 24
MOST_CHIPS = 10_440
"""The largest system *(published)*."""
MOST_LATENCY = 1 << 16
MOST_PPM = 200
"""Beyond it the idle words that a channel must have do not make up for what clocks differ by (tb/formal/elastic.py)."""
MOST_TEXT = 1000
"""Characters of a text."""
CHIP_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TOP = ("root", "ppm", "preamble", "chip", "link", "config", "set")
_CHIP = ("name", "config", "set", "program", "spare")
_LINK = ("from", "to", "latency", "measured", "jitter", "tree")

Loader = Callable[[Path, ChipConfig], Program]
"""Reads a program file for a configuration."""


def load_system(path: str | Path, loader: Loader, programs: Mapping[str, Program] | None = None) -> System:
    """The system in a file.

    Args:
        loader: reads the programs that chips name, which lie beside the file.
        programs: of chips by name, instead of those the file names.

    Raises InputError.
    """
    path = Path(path)
    table = read_toml(path, FILE_LIMIT, "a system file")
    return _Reader(path, loader, programs).system(table)


class _Reader:
    def __init__(self, path: Path, loader: Loader, programs: Mapping[str, Program] | None):
        self._path, self._loader, self._programs = path, loader, programs
        self._numbers: dict[str, int] = {}

    def system(self, table: dict[str, Any]) -> System:
        self._known(table, _TOP, "")
        ppm = self._number(table, "ppm", PPM, 0, MOST_PPM, "")
        preamble = self._value(table, "preamble", bool, True, "")
        listed = self._tables(table, "chip")
        chips = [self._chip(chip, table, f"chip {number}") for number, chip in enumerate(listed)]
        names = [chip.name for chip in chips]
        self._numbers = {name: number for number, name in enumerate(names)}
        if len(self._numbers) < len(names):
            twice = next(name for number, name in enumerate(names) if self._numbers[name] != number)
            raise self._wrong(f"two chips are called '{twice}'; names must differ")
        if self._programs is not None:
            for name in self._programs:
                if name not in names:
                    raise self._wrong(f"there is no chip '{name}', which has a program{nearest(name, names)}")
        rows = self._tables(table, "link", least=0)
        links = [self._link(link, chips, f"link {number}") for number, link in enumerate(rows)]
        self._once(links, chips)
        root_name = self._value(table, "root", str, names[0], "")
        if root_name not in names:
            raise self._wrong(f"root is '{shortened(root_name)}', which is no chip{nearest(root_name[:64], names)}")
        root = names.index(root_name)
        if chips[root].spare:
            close = next((chip.name for chip in chips if not chip.spare), "another")
            raise self._wrong(f"root is '{root_name}', which is a spare; the others follow a chip that runs: {close}")
        chosen = [number for number, row in enumerate(rows) if self._value(row, "tree", bool, False, f"link {number}")]
        among = chosen or range(len(links))
        tree = spanning_tree(str(self._path), names, links, root, [*among])
        if chosen and len(tree) < len(chosen):
            spare = min({*chosen} - {*tree})
            raise self._wrong(f"link {spare}: tree is true, but its chips are joined without it; a tree has no circle")
        return System(str(self._path), tuple(chips), tuple(links), root, tree, ppm, preamble)

    def _chip(self, row: dict[str, Any], defaults: dict[str, Any], where: str) -> Chip:
        self._known(row, _CHIP, where)
        name = self._value(row, "name", str, None, where)
        if not CHIP_NAME.fullmatch(name):
            raise self._wrong(f"{where}: name is {_shown(name)}, must be 1…64 letters, digits, '_' or '-'")
        where = f"chip {name}"
        kind = self._value({**defaults, **row}, "config", str, None, where)
        settings = [*self._settings(defaults, ""), *self._settings(row, where)]
        try:
            config = preset(kind).override(settings, "set ")
        except InputError as error:
            raise self._wrong(f"{where}: {error}") from None
        if not config.c2c:
            raise self._wrong(f'{where}: config {config.name} has c2c=False; add set = ["c2c=on"]')
        spare = self._value(row, "spare", bool, False, where)
        if spare and ("program" in row or name in (self._programs or {})):
            raise self._wrong(f"{where}: a spare has no program of its own; leave out 'program', or 'spare'")
        return Chip(name, config, self._program(row, name, config, where), spare)

    def _program(self, row: dict[str, Any], name: str, config: ChipConfig, where: str) -> Program:
        file = self._value(row, "program", str, "", where)
        if self._programs is not None:
            program = self._programs.get(name, Program(config))
        elif not file:
            return Program(config)
        else:
            program = self._loader(self._path.parent / file, config)
        try:
            program.require(config)
        except InputError as error:
            raise self._wrong(f"{where}: {error}") from None
        return program

    def _settings(self, row: dict[str, Any], where: str) -> list[str]:
        settings: list[str] = self._value(row, "set", list, [], where)
        if not all(type(setting) is str and _legible(setting) for setting in settings):
            raise self._wrong(f'{where or "set"}: set must be a list of texts such as ["superlanes=4"]')
        return settings

    def _link(self, row: dict[str, Any], chips: list[Chip], where: str) -> Link:
        self._known(row, _LINK, where)
        ends = self._port(row, "from", chips, where), self._port(row, "to", chips, where)
        where = f"link {row['from']} - {row['to']}"
        if ends[0] == ends[1]:
            raise self._wrong(f"{where}: joins a port to itself; join two")
        lanes = [chips[port.chip].config.superlanes for port in ends]
        periods = [chips[port.chip].config.hac_period for port in ends]
        for what, (one, other) in (("superlanes", lanes), ("hac_period", periods)):
            if one != other:
                raise self._wrong(f"{where}: the chips have {what}={one} and {what}={other}, must have the same")
        latency = self._pair(row, "latency", where)
        measured = self._pair(row, "measured", where) if "measured" in row else latency
        for nominal, found in zip(latency, measured, strict=True):
            if abs(nominal - found) > MOST_OFF:
                close = nominal + (MOST_OFF if found > nominal else -MOST_OFF)
                raise self._wrong(
                    f"{where}: measured latency {found} is {abs(nominal - found)} cycles from the nominal {nominal}, at"
                    f" most {MOST_OFF} are allowed ({close}); say latency = {found}, or look at the cable"
                )
        return Link(ends, latency, measured, self._number(row, "jitter", JITTER, 0, 64, where))

    def _pair(self, row: dict[str, Any], key: str, where: str) -> tuple[int, int]:
        value: Any = row.get(key)
        both: list[Any] = value if type(value) is list else [value, value]
        if len(both) != 2 or not all(type(x) is int and 1 <= x <= MOST_LATENCY for x in both):
            raise self._wrong(
                f"{where}: {key} is {_shown(value)}, must be cycles 1…{MOST_LATENCY}, one number or two, there and"
                f" back; such as {key} = 216"
            )
        return both[0], both[1]

    def _port(self, row: dict[str, Any], key: str, chips: list[Chip], where: str) -> Port:
        text = self._value(row, key, str, None, where)
        name, _, port = text.partition(".")
        if name not in self._numbers:
            known = nearest(name[:64], self._numbers)
            raise self._wrong(f"{where}: {key} is {_shown(text)}, but there is no chip '{shortened(name)}'{known}")
        chip = chips[self._numbers[name]]
        ports = [link.name for link in floorplan(chip.config).links]
        if port not in ports:
            known = f"it has {', '.join(ports)}" if len(ports) <= 16 else f"it has {ports[0]}…{ports[-1]}"
            missing = f"chip {name} has no port '{shortened(port)}'"
            raise self._wrong(f"{where}: {key} is {_shown(text)}, but {missing}; {known}")
        return Port(self._numbers[name], ports.index(port))

    def _once(self, links: list[Link], chips: list[Chip]) -> None:
        used: dict[Port, int] = {}
        for number, link in enumerate(links):
            for port in link.ends:
                if port in used:
                    plan = floorplan(chips[port.chip].config)
                    taken = {p.link for p in [*used, *link.ends] if p.chip == port.chip}
                    free = next((other.name for other in plan.links if other.index not in taken), None)
                    chip, name = chips[port.chip].name, plan.links[port.link].name
                    close = f"{chip}.{free} is free" if free else f"chip {chip} has no other"
                    raise self._wrong(
                        f"link {number}: port {chip}.{name} is joined by link {used[port]} already; {close}"
                    )
                used[port] = number

    def _tables(self, table: dict[str, Any], key: str, least: int = 1) -> list[dict[str, Any]]:
        rows = table.get(key, [])
        if type(rows) is not list or not all(type(row) is dict for row in rows):
            raise self._wrong(f"{key} must be written [[{key}]], once for each")
        most = MOST_CHIPS * (1 if key == "chip" else 16)
        if not least <= len(rows) <= most:
            raise self._wrong(f"there are {len(rows)} [[{key}]], must be {least}…{most}")
        return rows

    def _value(self, table: Mapping[str, Any], key: str, kind: type, default: Any, where: str) -> Any:
        value = table.get(key, default)
        place = f"{where}: " if where else ""
        if value is None:
            raise self._wrong(f"{place}'{key}' is missing")
        if type(value) is not kind:
            names = {str: "a text", bool: "true or false", list: "a list", int: "a whole number"}
            raise self._wrong(f"{place}{key} is {_shown(value)}, must be {names[kind]}")
        if kind is str and not _legible(value):
            raise self._wrong(f"{place}{key} is {_shown(value)}, must be at most {MOST_TEXT} printable characters")
        return value

    def _number(self, table: dict[str, Any], key: str, default: int, low: int, high: int, where: str) -> int:
        value: int = self._value(table, key, int, default, where)
        if not low <= value <= high:
            place = f"{where}: " if where else ""
            close = min(max(value, low), high)
            raise self._wrong(f"{place}{key} is {_shown(value)}, must be {low}…{high}; try {close}")
        return value

    def _known(self, table: dict[str, Any], keys: tuple[str, ...], where: str) -> None:
        for key in table:
            if key not in keys:
                place = f"{where}: " if where else ""
                raise self._wrong(f"{place}unknown key {_shown(key)}{nearest(key[:64], keys, len(keys))}")

    def _wrong(self, message: str) -> InputError:
        return InputError(f"{self._path}: {message}")


def _legible(text: Any) -> bool:
    """Messages repeat it, in one line."""
    return len(text) <= MOST_TEXT and text.isprintable()


def _shown(value: object) -> str:
    try:
        return shortened(repr(value))
    except (ValueError, RecursionError):  # a number of more digits than Python writes, or brackets in brackets
        return "too long to be shown"


def with_programs(system: System, programs: list[Program]) -> System:
    """The system with other programs, in the order of its chips."""
    chips = [dataclasses.replace(chip, program=p) for chip, p in zip(system.chips, programs, strict=True)]
    return dataclasses.replace(system, chips=tuple(chips))
