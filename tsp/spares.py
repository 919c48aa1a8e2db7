"""Systems in which a spare stands in the place of a chip, or a link is left out: which links remain, and programs for
other links."""

import dataclasses
from collections.abc import Collection, Iterator, Sequence

from tsp import isa
from tsp.errors import InputError
from tsp.floorplan import floorplan
from tsp.flow.links import number_of
from tsp.program import Program
from tsp.system import Chip, Link, Port, System, spanning_tree
from tsp.system_file import with_programs

_OVER_LINKS = ("SEND", "RECEIVE", "POLL")


def places(system: System) -> tuple[str, ...]:
    """The chips that are no spares, in order: the *places* of the system, each called as the chip made for it."""
    return tuple(chip.name for chip in system.chips if not chip.spare)


def placed(system: System, names: Sequence[str], dead: Collection[str] = ()) -> System:
    """The chips of these names and the links between them; the first stands in the first place, and so on.

    Links of a ``dead`` port are left out. Chips have the programs of their places, for the links that those have. The
    tree is that of ``system`` if its links are enough. InputError if the links left do not join all chips, or a program
    does not fit its chip.
    """
    number = {system.chip(name): place for place, name in enumerate(names)}
    kept = [
        at
        for at, link in enumerate(system.links)
        if all(port.chip in number and system.port_name(port) not in dead for port in link.ends)
    ]
    links = [_moved(system.links[at], number) for at in kept]
    root = places(system).index(system.chips[system.root].name)
    of_tree = [row for row, at in enumerate(kept) if at in system.tree]
    among = of_tree if len(of_tree) == len(names) - 1 else range(len(links))
    tree = spanning_tree(system.name, names, links, root, among)
    chips = []
    for name, place in zip(names, places(system), strict=True):
        chip, home = system.chips[system.chip(name)], system.chips[system.chip(place)]
        if chip != home:
            home.program.require(chip.config)
        chips.append(Chip(name, chip.config, home.program))
    return dataclasses.replace(system, chips=tuple(chips), links=tuple(links), root=root, tree=tree)


def _moved(link: Link, number: dict[int, int]) -> Link:
    a, b = (Port(number[port.chip], port.link) for port in link.ends)
    return dataclasses.replace(link, ends=(a, b))


def rewired(home: System, system: System) -> System:
    """``system`` with the programs of ``home``, of which the link in every SEND, RECEIVE and POLL is the one that joins
    the same two places in the same hemispheres; cycles stay.

    Raises InputError for a link that there is no other for.
    """
    free = list(system.links)
    used = {port for place, chip in enumerate(home.chips) for *_, port in _over_links(chip.program, place)}
    taken: dict[Port, Port] = {}
    # What is joined as before stays so; others take what is left.
    for fits in (_alike, _joins):
        for ours in home.links:
            if ours.ends[0] in taken or used.isdisjoint(ours.ends):
                continue
            both = ((there, ends) for there in free for ends in (there.ends, there.ends[::-1]))
            found = next(((there, ends) for there, ends in both if fits(home, ours, system, ends)), None)
            if found is not None:
                free.remove(found[0])
                taken |= dict(zip(ours.ends, found[1], strict=True))
    return with_programs(system, [_program(home, system, place, taken) for place in range(len(home.chips))])


def _alike(home: System, ours: Link, system: System, ends: Sequence[Port]) -> bool:
    return _joins(home, ours, system, ends) and ours.ends == tuple(ends)


def _joins(home: System, ours: Link, system: System, ends: Sequence[Port]) -> bool:
    """Whether ports of ``system`` may be used for those of a link of ``home``: places and hemispheres are the same."""
    return all(
        a.chip == b.chip and _hemisphere(home, a) == _hemisphere(system, b)
        for a, b in zip(ours.ends, ends, strict=True)
    )


def _hemisphere(system: System, port: Port) -> str:
    return floorplan(system.chips[port.chip].config).links[port.link].hemisphere


def _over_links(program: Program, place: int) -> Iterator[tuple[int, int, isa.Instruction, Port]]:
    """Queue and index of every SEND, RECEIVE and POLL of a place, what it is, and its port."""
    plan = floorplan(program.config)
    for queue, words in program.queues.items():
        for index, word in enumerate(words if plan.queues[queue].kind == "c2c" else []):
            found = isa.decode(word)
            if found is not None and found.mnemonic in _OVER_LINKS:
                yield queue, index, found, Port(place, number_of(queue, found["link"], program.config))


def _program(home: System, system: System, place: int, taken: dict[Port, Port]) -> Program:
    """The program of a place of ``home`` with the links of ``system``."""
    program, config = home.chips[place].program, system.chips[place].config
    queues = {queue: list(words) for queue, words in program.queues.items()}
    for queue, index, found, port in _over_links(program, place):
        if port not in taken:
            raise InputError(_missing(home, system, port))
        link = floorplan(config).links[taken[port].link].number
        queues[queue][index] = isa.Instruction(found.operation, {**found.values, "link": link}).encode()
    return dataclasses.replace(program, queues=queues, config=config).validate()


def _missing(home: System, system: System, port: Port) -> str:
    """Why a program cannot use a port."""
    ours = next((link for link in home.links if port in link.ends), None)
    if ours is None:
        return f"{home.name}: link {home.port_name(port)} is used, but not connected; give it a [[link]]"
    a, b = ours.ends
    names = [system.chips[end.chip].name for end in (a, b)]
    was = f"{home.port_name(a)} - {home.port_name(b)}"
    sides = " and ".join(f"the {'west' if _hemisphere(home, end) == 'w' else 'east'}" for end in (a, b))
    return (
        f"{home.name}: no link is there for {was} between chips {names[0]} and {names[1]}; it must lead from {sides}"
        " of them"
    )
