"""Runs programs on the ICU and writes down what it shows in every cycle."""

from collections.abc import Sequence
from typing import Any

from rtl.icu_control import START_CYCLES
from tb.unit.icu_fetch import Memory
from tb.unit.icu_programs import Programs
from tb.unit.icu_record import IDLE_CYCLES, Cycle, Run
from tb.unit.ports import Ports
from tb.unit.schedule_clock import Steps
from tsp import isa_rules
from tsp.config import ChipConfig
from tsp.dispatch import unroll
from tsp.floorplan import floorplan

DELTA_BITS = 12


class IcuDriver:
    """The ICU under test. Words go in round-robin, so that no queue's words come in one piece."""

    def __init__(self, dut: Any, config: ChipConfig):
        self._ports = Ports(dut)
        # Queues without a payload have no port for one.
        self.queues = floorplan(config).queues
        self._queues = [queue.index for queue in floorplan(config).queues if isa_rules.payload_bits(queue.kind, config)]
        self._config = config
        self._nothing = Memory(unroll({}, config), {}, config)
        self._memory = self._nothing
        self._count = 0

    async def run(self, programs: Programs, cycles: int, steps: Steps, memory: Memory | None = None) -> Run:
        """Reset, push, start with the last word, and watch for at most ``cycles`` cycles; ``memory`` brings words."""
        self._count, self._memory = 0, memory or self._nothing
        inputs = dict.fromkeys(("push_valid", "start", "hac_fast", "hac_slow"), 0)
        await self._ports.reset(inputs | self._memory.inputs(0))
        for queue, word, last in _pushes(programs):
            inputs = {"push_valid": 1, "push_queue": queue, "push_word": word, "start": int(last)}
            await self._cycle(inputs, steps)
        for _ in range(START_CYCLES - 1):
            await self._cycle({"push_valid": 0, "start": 0}, steps)
        run, idle = Run(self._count, []), 0
        while len(run.cycles) < cycles and idle < IDLE_CYCLES:
            await self._cycle({}, steps)
            run.cycles.append(self._look())
            run.cycles[-1].asked = self._asked()
            idle = idle + 1 if run.cycles[-1].idle else 0
        return run

    async def _cycle(self, inputs: dict[str, int], steps: Steps) -> None:
        """``_count`` is the number of this cycle, counted from reset, until it is over."""
        step = steps(self._count)
        inputs = inputs | {"hac_fast": int(step == 2), "hac_slow": int(step == 0)}
        await self._ports.cycle(inputs | self._memory.inputs(self._count))
        self._count += 1

    def _look(self) -> Cycle:
        ports = self._ports
        issued = {queue: ports[f"instr_{queue}"] for queue in self._queues if ports[f"instr_{queue}_valid"]}
        fault = (ports["fault_queue"], ports["fault_kind"]) if ports["fault_valid"] else None
        delta = ports["delta"]
        signed = delta - (delta >> DELTA_BITS - 1 << DELTA_BITS)
        power = ports["power"] if self._config.superlanes > 1 else None
        return Cycle(ports["now"], issued, fault, ports["idle"], ports["hac"], ports["sac"], signed, power=power)

    def _asked(self) -> list[tuple[int, int]]:
        """What IFETCHes ask for in this cycle, which is on its way from now on."""
        found = []
        for site, queues in self._memory.sites.items():
            if self._ports[f"{site}_command_valid"]:
                number = self._ports[f"{site}_command_queue"]
                self._memory.ask(self._count - 1, site, number)
                found.append((queues[number].index, self._ports[f"{site}_command_stream"]))
        return found


def _pushes(programs: Programs) -> Sequence[tuple[int, int, bool]]:
    """(queue, word, whether it is the last), a word of each queue in turn."""
    longest = max(map(len, programs.values()), default=0)
    found = [(q, words[i]) for i in range(longest) for q, words in programs.items() if i < len(words)]
    return [(queue, word, number == len(found) - 1) for number, (queue, word) in enumerate(found)]
