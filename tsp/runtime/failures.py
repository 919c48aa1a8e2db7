"""Failures on purpose: what a machine that fails as it is told does, and when (docs/systems.md).

They are given or drawn from a seed, so that the same ones give the same run.
"""

import dataclasses
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tsp.errors import InputError, close, nearest
from tsp.system import System
from tsp.toml_file import read_toml, shortened

FOR_EVER = 1 << 20
"""No number of a failure is larger; so many attempts are never made."""
WHAT = {
    "bits": "vector {at} on the channel into {place} comes with too many wrong bits",
    "link": "the link of port {place} is dead from cycle {at} on, in both directions",
    "chip": "the clock of chip {place} stops in cycle {at}",
    "hac": "no HAC on the channel into {place} is right from cycle {at} on",
    "late": "chip {place} is started {at} cycles late",
    "slow": "the channel into {place} takes {at} cycles more than its nominal latency",
}
OF_CHIPS = ("chip", "late")
OF_SIMULATORS = tuple(what for what in WHAT if what != "hac")
"""What can fail where chips are RTL: every packet there has a HAC of its own."""
FORMS = "WHAT:PLACE:AT[:TIMES[:FIRST]], random:COUNT[:SEED] or FILE.toml"
MOST = 64
"""Failures of one run."""
_FILE_LIMIT = 1 << 20
_EXAMPLES = f"such as link:b.w0:300 or bits:b.w0:1:1; WHAT is {', '.join(WHAT)}"
_LATEST = 1000
"""Drawn failures begin before this cycle, and last for at most so many attempts:"""
_LONGEST = 3


@dataclasses.dataclass(frozen=True)
class Failure:
    """One failure.

    Attributes:
        what: a key of :data:`WHAT`.
        place: the name of a chip, or of a port such as ``b.w0``.
        at: see :data:`WHAT`; cycles are those of common time. What began in a cycle of one attempt is there from the
            beginning of the next, so that alignment finds it.
        times, first: in how many attempts it is there, and from which on; they count from 1.
    """

    what: str
    place: str
    at: int = 0
    times: int = FOR_EVER
    first: int = 1

    def __str__(self) -> str:
        """As :func:`parse` reads it."""
        numbers = [self.at, self.times, self.first]
        while len(numbers) > 1 and numbers[-1] == (FOR_EVER, 1)[len(numbers) - 2]:
            numbers.pop()
        return ":".join([self.what, self.place, *map(str, numbers)])

    @property
    def meaning(self) -> str:
        """What happens, as a sentence."""
        return WHAT[self.what].format(place=self.place, at=self.at)

    @property
    def attempts(self) -> str:
        """In which attempts."""
        if self.first + self.times > FOR_EVER:
            return f"{self.first} …"
        last = self.first + self.times - 1
        return str(last) if self.times == 1 else f"{self.first} … {last}" if self.times else "none"

    def active(self, attempt: int) -> bool:
        """Whether it is there in an attempt."""
        return self.first <= attempt < self.first + self.times

    def since(self, attempt: int) -> int:
        """The cycle of an attempt from which on it is there."""
        return self.at if attempt == self.first else 0


def failures(
    texts: Sequence[str], system: System, kinds: Sequence[str] = tuple(WHAT)
) -> tuple[list[Failure], list[int]]:
    """The failures that all texts of :data:`FORMS` mean, and the seeds that some were drawn from, of ``kinds`` only.

    A file has tables ``[[fail]]`` with the attributes of :class:`Failure`, and may draw ``random`` more from ``seed``.
    InputError for a text or file that is wrong, and for a place that the system does not have.
    """
    found: list[Failure] = []
    seeds: list[int] = []
    for text in texts:
        if text.endswith(".toml"):
            given, drawn = _of_file(Path(text), system)
        elif text.partition(":")[0] == "random":
            given, drawn = [], _random(text)
        else:
            given, drawn = [parse(text, system)], None
        found += given
        if drawn is not None:
            found += draw(system, *drawn, kinds)
            seeds.append(drawn[1])
    if len(found) > MOST:
        raise InputError(f"--fail: there are {len(found)} failures, at most {MOST} are injected; leave some out")
    return found, seeds


def parse(text: str, system: System) -> Failure:
    """A failure as it is written. InputError if it is wrong, or the system has no such place."""
    what, *rest = text.split(":")
    if rest and close(what[:60], WHAT) not in ("", what):
        raise InputError(f"--fail {shortened(text)}: unknown failure{nearest(what[:60], WHAT)}")
    if what not in WHAT or not 2 <= len(rest) <= 4 or not all(map(_number, rest[1:])):
        raise InputError(f"--fail {shortened(text)}: must be {FORMS}, {_EXAMPLES}")
    return _checked(Failure(what, rest[0], *(_int(number) for number in rest[1:])), f"--fail {shortened(text)}", system)


def draw(system: System, count: int, seed: int, kinds: Sequence[str]) -> list[Failure]:
    """Failures of some kinds anywhere in a system, most of which pass after some attempts."""
    rng = random.Random(f"failures {seed}")
    chips, ports = [chip.name for chip in system.chips], connected(system)
    found = []
    for _ in range(count):
        what = rng.choice([what for what in kinds if ports or what in OF_CHIPS])
        place = rng.choice(chips if what in OF_CHIPS else ports)
        at = rng.randrange({"bits": 4, "slow": 64}.get(what, _LATEST))
        found.append(Failure(what, place, at, rng.choice([*range(1, _LONGEST + 1), FOR_EVER]), 1))
    return found


def connected(system: System) -> list[str]:
    """The ports of a system that a link joins."""
    return [system.port_name(port) for link in system.links for port in link.ends]


def _checked(failure: Failure, where: str, system: System) -> Failure:
    if max(failure.at, failure.times, failure.first) > FOR_EVER:
        raise InputError(f"{where}: numbers must be at most {FOR_EVER}")
    if failure.first < 1:
        raise InputError(f"{where}: attempts count from 1, but the first is to be {failure.first}; say 1")
    known = [chip.name for chip in system.chips] if failure.what in OF_CHIPS else sorted(connected(system))
    if failure.place not in known:
        kind = "chip" if failure.what in OF_CHIPS else "connected port"
        place = shortened(failure.place)
        raise InputError(f"{where}: '{place}' is no {kind} of {system.name}{nearest(place, known)}")
    return failure


def _random(text: str) -> tuple[int, int]:
    """Count and seed of ``random:COUNT[:SEED]``."""
    _, *rest = text.split(":")
    right = 1 <= len(rest) <= 2 and all(map(_number, rest))
    if not right or not 1 <= _int(rest[0]) <= MOST or _int(rest[-1]) > FOR_EVER:
        rule = f"random:COUNT[:SEED] with 1…{MOST} failures and a seed 0…{FOR_EVER}"
        raise InputError(f"--fail {shortened(text)}: must be {rule}; try random:3")
    return _int(rest[0]), _int(rest[1]) if len(rest) == 2 else 1


def _of_file(path: Path, system: System) -> tuple[list[Failure], tuple[int, int] | None]:
    """What a file gives, and count and seed of what it has drawn."""
    table = read_toml(path, _FILE_LIMIT, "a file of failures")
    _known(table, ("fail", "random", "seed"), str(path))
    rows = table.get("fail", [])
    if type(rows) is not list or not all(type(row) is dict for row in rows):
        raise InputError(f"{path}: fail must be written [[fail]], once for each failure")
    if len(rows) > MOST:
        raise InputError(f"{path}: there are {len(rows)} failures, at most {MOST} are injected; leave some out")
    found = [_of_row(row, f"{path}: fail {number}", system) for number, row in enumerate(rows)]
    for key, least in (("random", 1), ("seed", 0)):
        if key in table and not (type(table[key]) is int and least <= table[key] <= FOR_EVER):
            raise InputError(f"{path}: {key} must be a whole number {least}…{FOR_EVER}; try {key} = 3")
    if "random" not in table:
        if "seed" in table:
            raise InputError(f"{path}: there is a seed, but nothing is drawn from it; add random = 3, or leave it out")
        return found, None
    return found, (min(table["random"], MOST + 1), table.get("seed", 1))


def _of_row(row: dict[str, Any], where: str, system: System) -> Failure:
    fields = {field.name: field for field in dataclasses.fields(Failure)}
    _known(row, tuple(fields), where)
    for key in fields:
        kind = str if key in ("what", "place") else int
        if key in row and (type(row[key]) is not kind or (kind is int and row[key] < 0)):
            raise InputError(f"{where}: {key} must be {'a text' if kind is str else f'a whole number 0…{FOR_EVER}'}")
    for key in ("what", "place"):
        if key not in row:
            raise InputError(f"{where}: '{key}' is missing")
    if row["what"] not in WHAT:
        raise InputError(f"{where}: what is '{shortened(row['what'])}'{nearest(row['what'][:60], WHAT)}")
    return _checked(Failure(**row), where, system)


def _known(table: dict[str, Any], keys: Sequence[str], where: str) -> None:
    for key in table:
        if key not in keys:
            raise InputError(f"{where}: unknown key '{shortened(key)}'{nearest(key[:60], keys)}")


def _number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _int(text: str) -> int:
    """Nineteen digits are as far out of range as six thousand, which int() refuses."""
    return int(text.lstrip("0")[:19] or 0)
