"""A system of chips in a simulator as the runtime sees it: one simulator for all attempts, with failures on purpose."""

import dataclasses
import json
import socket
import tempfile
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tb import host, simulator
from tb.link import chips
from tb.link.chips import Wires
from tb.machine import host_writes
from tsp.dump import Word
from tsp.errors import InputError
from tsp.flow import Fault
from tsp.program import Program
from tsp.runtime.failures import OF_SIMULATORS, Failure
from tsp.runtime.machine import Alignment, Status
from tsp.system import JITTER, Port, System

LOCKED = JITTER + 2
"""Cycles that a chip's HAC may be from its parent's, in the mean, when it follows it."""
SAMPLES = 64
"""Words by which a latency is measured, four of each epoch, if nothing else is said."""


class RtlMachine:
    """A :class:`tsp.runtime.machine.Machine` of the RTL of all chips of a system, spares too, for a ``with`` block.

    Args:
        system: all chips; they must have one configuration.
        failures: what fails on purpose, of the kinds that wires and clocks of a simulator can do. Cycles count from the
            start of the root.
        wires: clocks and wires; ``settle`` is the time that alignment gets.
        samples: words of each measurement, four of an epoch.

    Raises:
        InputError: the chips differ, or there is a failure of another kind.
        tb.simulator.BuildFailed, tb.simulator.TestsFailed: as of the simulator.
    """

    def __init__(self, system: System, failures: Sequence[Failure], sim: str, wires: Wires, samples: int = SAMPLES):
        if other := next((failure for failure in failures if failure.what not in OF_SIMULATORS), None):
            raise InputError(f"--fail {other}: on {sim} only {', '.join(OF_SIMULATORS)} can fail; run it on golden")
        self.home, self.failures, self.wires, self.samples = system, tuple(failures), wires, samples
        self.attempt = 1
        self._config = chips.config_of(system)
        self._numbers = {chip.name: number for number, chip in enumerate(system.chips)}
        self._given = dataclasses.asdict(wires) | chips.measures(system.wired, wires)
        self._build = chips.build(system, sim)
        self._used = system
        self._simulator: _Simulator | None = None

    def __enter__(self) -> "RtlMachine":
        self._simulator = _Simulator(self._build, self._given | {"period": self._config.hac_period})
        self._reset()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._simulator is not None
        self._simulator.end()

    def align(self, system: System) -> Alignment:
        """See :class:`tsp.runtime.machine.Machine`."""
        self._used = system
        parents, receivers = [-1] * len(self.home.chips), []
        for chip, parent in zip(system.chips, system.parents, strict=True):
            parents[self._numbers[chip.name]] = -1 if parent is None else parent.into
        for channel in system.channels:
            receivers.append((self._number(channel.receiver), channel.into, channel.latency))
        found = self._ask("align", parents=parents, receivers=receivers, settle=self.wires.settle, samples=self.samples)
        answer = frozenset(chip.name for chip in system.chips if found[self._numbers[chip.name]][0])
        off: dict[tuple[int, int], float] = {}
        latency: dict[str, float | None] = {}
        for c in system.channels:
            port = system.port_name(Port(c.receiver, c.into))
            count, total = found[self._number(c.receiver)][2].get(str(c.into), (0, 0))
            if count:
                off[c.receiver, c.into] = total / count
            latency[port] = c.latency - total / count if count else None
        return Alignment(answer, answer & self._locked(found, off), latency)

    def _locked(self, found: list[Any], off: Mapping[tuple[int, int], float]) -> frozenset[str]:
        """Chips that follow the root; ``off``: (chip, link) → cycles that what comes is off its latency."""
        system, locked = self._used, {self._used.root}
        for number in sorted(range(len(system.chips)), key=lambda number: system.depth[number]):
            parent, (_, silent, _) = system.parents[number], found[self._number(number)]
            follows = parent is not None and abs(off.get((number, parent.into), 2 * LOCKED)) <= LOCKED
            if parent is not None and parent.sender in locked and follows and not silent:
                locked.add(number)
        return frozenset(system.chips[number].name for number in locked)

    def load(self, chip: str, program: Program) -> None:
        """See :class:`tsp.runtime.machine.Machine`."""
        addresses, halves = host_writes(program, self._config)
        self._ask("write", chip=self._numbers[chip], addresses=addresses, words=[a | b << 64 for a, b in halves])

    def start(self, chip: str) -> None:
        """See :class:`tsp.runtime.machine.Machine`."""
        late = sum(failure.at for failure in self._active("late") if failure.place == chip)
        root = chip == self._used.chips[self._used.root].name
        self._ask("start", chip=self._numbers[chip], late=late, root=root)

    def wait(self, cycles: int) -> dict[str, Status | None]:
        """See :class:`tsp.runtime.machine.Machine`."""
        found = self._ask("wait", cycles=cycles)
        return {chip.name: _status(found[self._numbers[chip.name]]) for chip in self._used.chips}

    def words(self, chip: str, words: Iterable[Word]) -> Mapping[Word, NDArray[np.uint8]]:
        """See :class:`tsp.runtime.machine.Machine`. What was never written is there too in Verilator, as anything."""
        asked, lanes = list(words), range(self._config.superlanes)
        addresses = [host.memory(place, k, address) for place, address in asked for k in lanes]
        found = self._ask("read", chip=self._numbers[chip], addresses=addresses) or [None] * len(addresses)
        held = {}
        for number, word in enumerate(asked):
            parts = found[number * len(lanes) : (number + 1) * len(lanes)]
            if None not in parts:
                held[word] = np.frombuffer(b"".join(part.to_bytes(16, "little") for part in parts), np.uint8)
        return held

    def flush(self) -> None:
        """See :class:`tsp.runtime.machine.Machine`. A reset of all chips, as nothing else clears a fault; so they are
        aligned as before."""
        self.attempt += 1
        self._reset()
        self.align(self._used)

    def _reset(self) -> None:
        """Reset all chips until nothing is on a wire, and let fail what does so in this attempt."""
        channels, wires = self.home.nominal, chips.measures(self.home.wired, self.wires)
        into = {self.home.port_name(Port(c.receiver, c.into)): number for number, c in enumerate(channels)}
        out = {self.home.port_name(Port(c.sender, c.out)): number for number, c in enumerate(channels)}
        delays, spoilt, plan = list(wires["delays"]), {}, []
        for failure in self.failures:
            if not failure.active(self.attempt):
                continue
            at = failure.since(self.attempt)
            if failure.what == "bits":
                spoilt[into[failure.place]] = failure.at + 1
            elif failure.what == "slow":
                delays[into[failure.place]] += failure.at
            elif failure.what == "link":
                plan += [("cut", way[failure.place], at) for way in (into, out)]
            elif failure.what == "chip":
                plan.append(("stop", self._numbers[failure.place], at))
        empty = round(max(delays, default=0)) + 2 * JITTER + 2 * (self._config.superlanes + 1)
        self._ask("reset", cycles=empty, delays=delays, spoilt=spoilt, plan=plan)

    def _number(self, chip: int) -> int:
        """The number in the simulator of a chip in use."""
        return self._numbers[self._used.chips[chip].name]

    def _active(self, what: str) -> list[Failure]:
        return [failure for failure in self.failures if failure.what == what and failure.active(self.attempt)]

    def _ask(self, name: str, **arguments: Any) -> Any:
        assert self._simulator is not None, "outside its with block"
        return self._simulator.ask(name, arguments)


def _status(found: list[Any] | None) -> Status | None:
    """A chip's registers, as :mod:`tb.link.machine_bench` has read them."""
    if found is None:
        return None
    done, (status, cycles, fault, *_) = found
    first = Fault(fault & 0xFFFFFFFF, fault >> 32 & 0xFF, fault >> 40 & 0xF) if status & 4 else None
    return Status(done and bool(status & 1), cycles, first)


class _Simulator:
    """A simulator that runs beside this process and answers requests over a socket."""

    def __init__(self, build: simulator.Build, given: Mapping[str, Any]):
        self._failed: BaseException | None = None
        with tempfile.TemporaryDirectory(prefix="tsp-") as folder, socket.socket(socket.AF_UNIX) as server:
            address = str(Path(folder) / "socket")
            server.bind(address)
            server.listen()
            server.settimeout(0.1)
            env = {"TSP_SOCKET": address, "TSP_SYSTEM": json.dumps(given)}
            directory = simulator.build_root() / "runs" / build.sim / f"machine-{simulator.digest([folder])}"
            self._thread = threading.Thread(target=self._run, args=(build, env, directory), daemon=True)
            self._thread.start()
            while True:
                try:
                    self._peer, _ = server.accept()
                    break
                except TimeoutError:
                    if not self._thread.is_alive():
                        raise self._broken() from None
        self._peer.setblocking(True)
        self._lines = self._peer.makefile("rw")

    def _run(self, build: simulator.Build, env: Mapping[str, object], directory: Path) -> None:
        try:
            simulator.run(build, "tb.link.machine_bench", env=env, directory=directory)
        except BaseException as error:  # is raised again where somebody waits
            self._failed = error

    def ask(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """The answer to a request."""
        try:
            self._lines.write(json.dumps([name, arguments]) + "\n")
            self._lines.flush()
            answer = self._lines.readline()
        except OSError:
            answer = ""
        if not answer:
            self._thread.join()
            raise self._broken()
        return json.loads(answer)

    def end(self) -> None:
        """No more requests: the simulator stops."""
        self._lines.close()
        self._peer.close()
        self._thread.join()

    def _broken(self) -> BaseException:
        return self._failed or RuntimeError("the simulator stopped without a reason")
