"""Runs programs on the RTL of the ICU in amaranth.sim and writes down what it dispatches."""

from collections.abc import Iterable

from amaranth.hdl import Cat, Module, ResetInserter, Signal
from amaranth.sim import Simulator

from rtl.icu import Icu
from rtl.icu_control import START_CYCLES
from rtl.stamp import inlined
from tb.unit.icu_programs import Programs
from tb.unit.icu_record import IDLE_CYCLES, Cycle, Run
from tb.unit.schedule_clock import Steps
from tsp import isa_rules
from tsp.config import ChipConfig


class _Bench:
    def __init__(self, config: ChipConfig):
        self.m, self.icu, self.count = Module(), Icu(config), 0
        self.m.submodules.icu = self.icu
        self.payloads = {
            queue.index: getattr(self.icu, f"instr_{queue.index}")
            for queue in self.icu.queues
            if isa_rules.payload_bits(queue.kind, config)
        }
        self.valid = Signal(len(self.icu.queues))
        for index in self.payloads:
            self.m.d.comb += self.valid[index].eq(getattr(self.icu, f"instr_{index}_valid"))
        icu = self.icu
        self.status = Signal(1 + 1 + 4 + 8)
        self.m.d.comb += self.status.eq(Cat(icu.idle, icu.fault_valid, icu.fault_kind, icu.fault_queue))
        self.reset = Signal()

    async def clock(self, ctx, cycles: int, steps: Steps) -> None:
        """``count`` is the number of cycles since reset."""
        for _ in range(cycles):
            step = steps(self.count)
            ctx.set(self.icu.hac_fast, step == 2)
            ctx.set(self.icu.hac_slow, step == 0)
            await ctx.tick()
            self.count += 1

    def look(self, ctx) -> Cycle:
        """This cycle; few reads, because each costs Python time."""
        icu, valid, status = self.icu, ctx.get(self.valid), ctx.get(self.status)
        issued = {queue: ctx.get(payload) for queue, payload in self.payloads.items() if valid >> queue & 1}
        fault = (status >> 6, status >> 2 & 15) if status & 2 else None
        hac, sac, delta = ctx.get(icu.hac), ctx.get(icu.sac), ctx.get(icu.delta)
        return Cycle(ctx.get(icu.now), issued, fault, status & 1, hac, sac, delta)

    async def run(self, ctx, programs: Programs, cycles: int, steps: Steps) -> Run:
        """Reset, push round-robin (so that no queue's words come in one piece), start with the last word."""
        icu = self.icu
        ctx.set(self.reset, 1)
        await ctx.tick()
        ctx.set(self.reset, 0)
        self.count = 0
        longest = max(map(len, programs.values()), default=0)
        pushes = [(q, words[i]) for i in range(longest) for q, words in programs.items() if i < len(words)]
        ctx.set(icu.push_valid, 1)
        for number, (queue, word) in enumerate(pushes):
            ctx.set(icu.push_queue, queue)
            ctx.set(icu.push_word, word)
            if number < len(pushes) - 1:
                await self.clock(ctx, 1, steps)
        ctx.set(icu.start, 1)
        await self.clock(ctx, 1, steps)
        ctx.set(icu.start, 0)
        ctx.set(icu.push_valid, 0)
        await self.clock(ctx, START_CYCLES - 1, steps)
        run, idle = Run(self.count, []), 0
        while len(run.cycles) < cycles and idle < IDLE_CYCLES:
            run.cycles.append(self.look(ctx))
            idle = idle + 1 if run.cycles[-1].idle else 0
            await self.clock(ctx, 1, steps)
        return run


def run_icu(config: ChipConfig, jobs: Iterable[tuple[Programs, int, Steps]]) -> list[Run]:
    """Run (programs, most cycles to watch, HAC additions) one after the other, with a reset before each."""
    bench, runs = _Bench(config), []

    async def testbench(ctx):
        for programs, cycles, steps in jobs:
            runs.append(await bench.run(ctx, programs, cycles, steps))

    with inlined():
        simulator = Simulator(ResetInserter(bench.reset)(bench.m))
        simulator.add_clock(1e-6)
        simulator.add_testbench(testbench)
        simulator.run()
    return runs
