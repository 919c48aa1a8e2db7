"""The bench named by ``TSP_BROKEN`` with one expectation that is one too much: its tests must fail."""

import dataclasses
import os
from importlib import import_module
from typing import Any

import golden.machine
from tb.unit import host_port_model, icu, link, link_time, schedule_clock, site_model, station, vxm_float

SITES = ("stream", "mem", "vxm", "mxm", "sxm")
LATE = 30
"""Cycles that are as they should be."""


def wrong_word() -> None:
    """From some cycle on, the first stream of a site should hold a number one more than it does."""
    right = site_model.SiteModel.step

    def step(model: site_model.SiteModel, row: Any) -> Any:
        shown = right(model, row)
        known = [operand for operand, word in shown.streams.items() if word is not None]
        if known and model.time % 2**32 > LATE:
            shown.streams[known[0]] ^= 1
        return shown

    site_model.SiteModel.step = step  # type: ignore[method-assign]


def wrong_issue() -> None:
    """The last instruction should be issued a cycle later than it is."""
    right = icu.expected

    def expected(*arguments: Any) -> Any:
        found = right(*arguments)
        cycle, *rest = found.issues[-1]
        return dataclasses.replace(found, issues=[*found.issues[:-1], (cycle + 1, *rest)])

    icu.expected = expected


def wrong_counter() -> None:
    """From some cycle on, the HAC should be one ahead."""
    right = schedule_clock.ScheduleClock.shown

    def shown(clock: schedule_clock.ScheduleClock) -> Any:
        now, hac, *rest = right(clock)
        return (now, hac + (clock.cycle > LATE), *rest)

    schedule_clock.ScheduleClock.shown = shown  # type: ignore[method-assign]


def wrong_prediction() -> None:
    """A program should take a cycle longer."""
    right = golden.machine.run

    def run(*arguments: Any, **more: Any) -> Any:
        found = right(*arguments, **more)
        return dataclasses.replace(found, cycles=found.cycles + 1)

    golden.machine.run = run


def wrong_sum() -> None:
    """A sum of floats should be the next number."""
    right = vxm_float.CASES["ADD"]
    vxm_float.CASES["ADD"] = dataclasses.replace(right, model=lambda *xyz: right.model(*xyz) ^ 1)


def wrong_time() -> None:
    """From the start on, time should be one ahead."""
    right = station.StationModel.outputs

    def outputs(model: station.StationModel, given: Any) -> Any:
        found = right(model, given)
        return found | {"north_time": found["north_time"] + 1}

    station.StationModel.outputs = outputs  # type: ignore[method-assign]


def wrong_register() -> None:
    """Registers should show one more than they do."""
    right = host_port_model.HostPortModel.register

    def register(model: host_port_model.HostPortModel, number: int, given: Any) -> int:
        return right(model, number, given) + 1

    host_port_model.HostPortModel.register = register  # type: ignore[method-assign]


def wrong_tag() -> None:
    """The tags of idle words should be one more."""
    right = link.send

    def send(stimuli: Any, *arguments: Any) -> Any:
        changed = stimuli.copy()
        changed["probe_tag"] += 1
        return right(changed, *arguments)

    link.send = send


def wrong_step() -> None:
    """A HAC that is far ahead should be stepped on too."""
    right = link_time.align

    def align(rows: Any, want: Any, period: int) -> None:
        right(rows, want, period)
        want["hac_fast"] |= want["hac_slow"]

    link_time.align = align


BREAK = {
    **dict.fromkeys(SITES, wrong_word),
    "icu": wrong_issue,
    "counters": wrong_counter,
    "station": wrong_time,
    "host_port": wrong_register,
    "vxm_float": wrong_sum,
    "link": wrong_tag,
    "link_time": wrong_step,
    "chip": wrong_prediction,
}
name = os.environ["TSP_BROKEN"]
BREAK[name]()
globals().update({key: value for key, value in vars(import_module(f"tb.unit.{name}")).items() if key[0] != "_"})
