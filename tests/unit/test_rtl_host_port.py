"""The host port: decoding, registers, the run from start to done, first fault."""

from amaranth.sim import Simulator

from rtl.host_port import HostPort
from tb import host
from tsp.config import preset
from tsp.timing import timing

TINY = preset("tiny")
DRAIN = timing(TINY).drain
LATENCY = 5


class Bench:
    """Runs cycles one by one: ``step(**inputs)`` holds inputs for one cycle and returns the outputs of that cycle."""

    def __init__(self, body):
        self.dut = HostPort(TINY)
        self.outputs = [name for name, member in self.dut.signature.members.items() if member.flow.name == "Out"]
        simulator = Simulator(self.dut)
        simulator.add_clock(1e-6)

        async def bench(ctx):
            self.ctx, self.held = ctx, {"idle": 1}
            await body(self)

        simulator.add_testbench(bench)
        simulator.run()

    async def step(self, **inputs):
        self.held = dict.fromkeys(self.held, 0) | {"idle": 1} | inputs
        for name, value in self.held.items():
            self.ctx.set(getattr(self.dut, name), value)
        seen = {name: self.ctx.get(getattr(self.dut, name)) for name in self.outputs}
        await self.ctx.tick()
        return seen

    async def write(self, address, word):
        """What the write does, a cycle later."""
        await self.step(host_write=1, host_address=address, host_wdata=word)
        return await self.step()

    async def read_register(self, number):
        """A register's value, and that it comes when an answer of superlane 0 would."""
        await self.step(host_read=1, host_address=host.register(number))
        for _ in range(LATENCY - 1):
            assert not (await self.step())["host_rvalid"]
        seen = await self.step()
        assert seen["host_rvalid"]
        return seen["host_rdata"]

    async def run_program(self, busy=3, **inputs):
        """Start, ``busy`` cycles of work, then idle until done; the cycles from the last busy one to done."""
        await self.write(host.register(host.CONTROL), host.START)
        for _ in range(busy):
            await self.step(idle=0, **inputs)
        for cycle in range(3 * DRAIN):
            if (await self.step())["done"]:
                return cycle
        raise AssertionError("never done")


def bench(body):
    Bench(body)


def test_words_are_pushed_to_their_queue():
    async def body(b):
        seen = await b.write(host.queue(17), 1 << 127 | 5)
        assert (seen["push_valid"], seen["push_queue"], seen["push_word"]) == (1, 17, 1 << 127 | 5)
        assert not (seen["request_valid"] or seen["start"])

    bench(body)


def test_memory_and_signature_requests_carry_their_place():
    async def body(b):
        seen = await b.write(host.memory(21, 1, 99), 7)
        fields = [seen[f"request_{name}"] for name in ("valid", "write", "signature", "place", "superlane", "address")]
        assert (fields, seen["request_wdata"]) == ([1, 1, 0, 21, 1, 99], 7)
        await b.step(host_read=1, host_address=host.signature(21, 1))
        seen = await b.step()
        fields = [seen[f"request_{name}"] for name in ("valid", "write", "signature", "place", "superlane")]
        assert fields == [1, 0, 1, 21, 1]

    bench(body)


def test_a_signature_cannot_be_written():
    async def body(b):
        assert not (await b.write(host.signature(21, 1), 7))["request_valid"]

    bench(body)


def test_answers_and_registers_come_in_order():
    async def body(b):
        await b.step(host_read=1, host_address=host.register(host.STATUS))
        await b.step(host_read=1, host_address=host.memory(5, 0, 0))
        seen = [await b.step() for _ in range(3)]
        # The memory's answer arrives when the station of superlane 0 gives it: one cycle behind the register.
        seen += [await b.step(answer_valid=int(i == 0), answer_data=1234) for i in range(3)]
        assert [cycle["host_rvalid"] for cycle in seen] == [0, 0, 0, 1, 1, 0]
        assert seen[4]["host_rdata"] == 1234

    bench(body)


def test_a_program_is_done_when_all_was_idle_for_the_drain_time():
    async def body(b):
        assert await b.read_register(host.STATUS) == 0
        assert await b.run_program() == DRAIN + 1
        assert await b.read_register(host.STATUS) == 1

    bench(body)


def test_memory_and_start_are_ignored_while_a_program_runs():
    async def body(b):
        await b.write(host.register(host.CONTROL), host.START)
        await b.step(idle=0)
        assert not (await b.write(host.memory(5, 0, 0), 1))["request_valid"]
        assert not (await b.write(host.register(host.CONTROL), host.START))["start"]

    bench(body)


def test_the_cycle_count_is_one_more_than_the_last_event():
    async def body(b):
        await b.write(host.register(host.CONTROL), host.START)
        await b.step(idle=0, now=40, write_event=1)
        await b.step(idle=0, now=41, stream_event=1)
        await b.step(idle=0, now=42)
        assert await b.read_register(host.CYCLES) == 43

    bench(body)


def test_the_first_fault_stays():
    async def body(b):
        await b.step(fault_time=9)
        seen = await b.step(fault_valid=1, fault_queue=200, fault_kind=9, fault_time=10)
        assert not seen["fault"]
        await b.step(fault_valid=1, fault_queue=1, fault_kind=1)
        assert await b.read_register(host.FAULT) == 9 | 200 << 32 | 9 << 40
        assert await b.read_register(host.STATUS) == 4

    bench(body)


def test_counters_are_shown():
    async def body(b):
        await b.step()
        b.held |= {"hac": 0}
        await b.step(host_read=1, host_address=host.register(host.COUNTERS))
        counters = {"hac": 0x1234, "sac": 0x5678, "delta": 0xFFF}
        seen = [await b.step(**counters) for _ in range(LATENCY)][-1]
        assert seen["host_rdata"] == 0xFFF_5678_1234

    bench(body)
