"""One queue: what it refuses, that it never stalls by itself, and its counts."""

import random

import pytest
from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator

from rtl import icu_decode
from rtl.icu import Icu
from rtl.icu_queue import PREFETCH_CYCLES, IcuQueue
from rtl.stamp import collecting
from rtl.verilog import to_rtlil
from tb.unit.icu_programs import expected, small_config
from tb.unit.words import any_word, legal_word
from tsp import isa, isa_rules
from tsp.config import preset
from tsp.floorplan import floorplan

CONFIG = small_config()
QUEUES = {
    "mem.w3": ("mem", ""),
    "vxm.r0s1": ("vxm", ""),
    "mxm.w0.weights": ("mxm_weights", "w"),
    "mxm.e0.weights": ("mxm_weights", "e"),
    "mxm.w0.activations": ("mxm_activations", "w"),
    "mxm.e0.activations": ("mxm_activations", "e"),
    "mxm.e0.accumulate": ("mxm_accumulate", "e"),
    "c2c.e0": ("c2c", ""),
}


def run(queue, words, cycles, late=0, powers=None):
    """Push ``words`` one a cycle, the last ``late`` of them in cycles 0 … of the program; returns what is in the issue
    register, as (cycle, payload or None for an illegal instruction), and the first cycle that is not busy.

    Words before those are pushed up to ``PREFETCH_CYCLES`` cycles before ``run``. To ``powers`` is added what the queue
    says of CONFIGs, as (cycle, p).
    """
    seen, done, powers = [], [], [] if powers is None else powers
    dut = IcuQueue(CONFIG, queue.kind, queue.hemisphere, isa_rules.leads_pair(queue, CONFIG))

    async def bench(ctx):
        pending = list(words)
        early = len(pending) - late
        for number in range(early + PREFETCH_CYCLES + cycles):
            cycle = number - early - PREFETCH_CYCLES
            ctx.set(dut.run, cycle >= -1)
            push = bool(pending) and (number < early or cycle >= 0)
            ctx.set(dut.push_valid, push)
            if push:
                ctx.set(dut.push_word, pending.pop(0) & ((1 << dut.stored_bits) - 1))
            if "instr" in dut.signature.members and ctx.get(dut.instr_valid):
                seen.append((cycle, ctx.get(dut.instr)))
            if ctx.get(dut.illegal):
                seen.append((cycle, None))
            if power := ctx.get(dut.power):
                powers.append((cycle, power))
            if cycle >= -1 and not ctx.get(dut.busy):
                done.append(cycle + 1)
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return seen, done[0] if done else None


def check(queue, words, cycles, late=0):
    """The queue does what the dispatcher says."""
    want = expected({queue.index: words}, CONFIG)
    seen, done = run(queue, words, cycles, late)
    found = [(cycle, *_decoded(payload)) for cycle, payload in seen if payload is not None]
    assert found == [(cycle, mnemonic, values) for cycle, _, mnemonic, values in want.issues]
    assert [cycle for cycle, payload in seen if payload is None] == sorted(want.illegal)
    assert done == want.end


def _decoded(payload):
    instruction = isa.decode(payload)
    return instruction.mnemonic, tuple(sorted(instruction.values.items()))


RULED = [(name, config) for name in QUEUES for config in (CONFIG, *map(preset, ("groqchip", "board")))]
RULED += [("mxm.e0.activations", preset("tiny")), ("mxm.w0.activations", preset("tiny"))]


@pytest.mark.parametrize("name, config", RULED, ids=lambda value: getattr(value, "name", value))
def test_gates_refuse_exactly_what_the_rules_refuse(name, config):
    plan = floorplan(config)
    kind, hemisphere = QUEUES[name]
    queue = next((q for q in plan.queues if q.kind == kind and q.hemisphere == (hemisphere or q.hemisphere)), None)
    if queue is None:
        assert config.name == "board", f"{config.name} has no queue like {name}"
        return
    rng = random.Random(name)
    m, word, legal = Module(), Signal(isa.WORD_BITS), Signal()
    leads = isa_rules.leads_pair(queue, config)
    m.d.comb += legal.eq(icu_decode.legal(word, queue.kind, queue.hemisphere, config, leads))
    verdicts = []

    async def bench(ctx):
        for number in range(900):
            value = number if number < 256 else any_word(rng, queue, config)
            ctx.set(word, value)
            wanted = isa_rules.broken_rule(value, queue, config) is None
            repeat = value & 0xFF == isa.BY_MNEMONIC["REPEAT"].opcode
            if wanted and repeat and not isa_rules.payload_bits(queue.kind, config):
                # A queue in which nothing can repeat refuses REPEAT for its place.
                wanted = False
            assert bool(ctx.get(legal)) == wanted, f"{value:#034x}: {isa_rules.broken_rule(value, queue, config)}"
            verdicts.append(wanted)

    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()
    assert 100 < sum(verdicts) < len(verdicts) - 100


@pytest.mark.parametrize("name", QUEUES)
def test_config_says_its_p_in_its_cycle_only(name):
    queue, powers = floorplan(CONFIG).queue(name), []
    words = [("NOP", 2), ("CONFIG", 3), ("CONFIG", 1), ("CONFIG", 0), ("CONFIG", 4), ("NOP", 1), ("CONFIG", 2)]
    encoded = [isa.instruction(mnemonic, **{"n" if mnemonic == "NOP" else "p": n}).encode() for mnemonic, n in words]
    seen, done = run(queue, encoded, 12, powers=powers)
    assert powers == [(2, 3), (3, 1), (7, 2)]
    assert seen == [(4, None), (5, None)] and done == 8


@pytest.mark.parametrize("name", QUEUES)
def test_a_full_queue_dispatches_a_word_a_cycle(name):
    queue = floorplan(CONFIG).queue(name)
    rng = random.Random(1)
    issuing = [operation for operation in isa_rules.operations_of(queue, CONFIG) if operation.repeatable]
    notify = isa.BY_MNEMONIC["NOTIFY"]
    words = [legal_word(rng, queue, CONFIG, rng.choice(issuing or [notify])) for _ in range(CONFIG.queue_depth)]
    check(queue, words, CONFIG.queue_depth + 8)


def test_words_pushed_while_others_dispatch_follow_without_a_gap():
    queue = floorplan(CONFIG).queue("mem.e0")
    rng = random.Random(2)
    words = [legal_word(rng, queue, CONFIG, isa.BY_MNEMONIC["READ"]) for _ in range(3 * CONFIG.queue_depth)]
    # Round the memory three times, with just the words in hand that the stages before the issue register need.
    check(queue, words, 3 * CONFIG.queue_depth + 8, late=len(words) - PREFETCH_CYCLES - 1)


@pytest.mark.parametrize(
    ("mnemonic", "values"),
    [
        ("NOP", {"n": 1}),
        ("NOP", {"n": 2}),
        ("NOP", {"n": 700}),
        ("REPEAT", {"n": 1, "d": 1}),
        ("REPEAT", {"n": 400, "d": 1}),
        ("REPEAT", {"n": 2, "d": 300}),
        ("REPEAT", {"n": 127, "d": 2, "step_a": 1, "step_b": -1}),
        # Twice these steps would come round to a legal address, after the first fault.
        ("REPEAT", {"n": 1, "d": 1, "step_a": -32768}),
        ("REPEAT", {"n": 1, "d": 2, "step_b": 32767}),
    ],
)
def test_counts(mnemonic, values):
    queue = floorplan(CONFIG).queue("mem.e0")
    top = CONFIG.mem_words - 1
    first = isa.instruction("READ_WRITE", read_address=0, write_address=top, write_stream=3).encode()
    words = [first, isa.instruction(mnemonic, **values).encode(), first]
    check(queue, words, 1000)


def test_repeat_out_of_place():
    queue = floorplan(CONFIG).queue("mem.e0")
    read, repeat = isa.instruction("READ").encode(), isa.instruction("REPEAT", n=2, d=2).encode()
    nop, empty = isa.instruction("NOP", n=2).encode(), isa.instruction("NOP", n=0).encode()
    check(queue, [repeat, read, repeat, repeat, read, nop, repeat, read, empty, repeat, read], 40)


def test_one_module_per_kind_and_per_direction_of_the_mxm():
    with collecting() as found:
        to_rtlil(Icu(CONFIG), "icu")
    mxm = [f"icu_queue_mxm_{kind}_{side}" for side in "we" for kind in ("weights", "activations", "accumulate")]
    mxm.append("icu_queue_mxm_activations_e_fp16")  # of the plane that leads a pair
    assert sorted(found) == sorted(["icu_queue_mem", "icu_queue_vxm", "icu_queue_c2c", *mxm])
