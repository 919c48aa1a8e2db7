"""The golden model against a plain cycle-by-cycle one, on random programs and on broken ones."""

import random

import pytest
from stepper import Stepper

from golden.machine import run
from tsp import isa
from tsp.checker import check
from tsp.config import preset
from tsp.flow.fetch import expand_program
from tsp.program import Program
from tsp.randprog import legal

CONFIGS = [
    ("tiny", [], 8),
    ("board", [], 4),
    ("tiny", ["superlanes=1", "vxm_rows=1", "vxm_stages=1"], 4),
    ("tiny", ["superlanes=1", "mxm_fp16=off"], 8),
    ("tiny", ["superlanes=1", "vxm_float=on", "mxm_fp16=on", "mxm_planes_w=0"], 8),
    ("tiny", ["superlanes=3", "mem_words=16", "acc_depth=2", "vxm_mul_bits=9"], 3),
]


def events_of(result):
    table = result.events
    columns = zip(*(table[name].tolist() for name in ("time", "place", "superlane", "address")), strict=True)
    return [(*row, data.tobytes()) for row, data in zip(columns, table["data"], strict=True)]


def memory_of(result):
    return {
        (place, int(address)): word.tobytes()
        for place, image in result.memory.items()
        for address, word in zip(image.addresses, image.words, strict=True)
    }


@pytest.mark.parametrize(("name", "settings", "seeds"), CONFIGS)
def test_legal_programs(name, settings, seeds):
    kinds = set()
    for seed in range(seeds):
        program = legal(seed, preset(name).override(settings))
        assert str(check(program)).startswith("legal, "), f"seed {seed}"
        slow, fast = Stepper(program), run(program, events=True)
        assert fast.faults == [] and not slow.faults, f"seed {seed}: {fast.fault} {sorted(slow.faults)[:1]}"
        assert events_of(fast) == sorted(slow.events), f"seed {seed}"
        assert memory_of(fast) == slow.memory, f"seed {seed}"
        assert fast.cycles == max(event[0] for event in slow.events) + 1, f"seed {seed}"
        kinds |= {burst.instruction.mnemonic for burst in fast.flow.issues.bursts}
    assert "mxm_fp16=on" not in settings or "ABC_FP16" in kinds


def broken(program, rng):
    """The program with a few words changed: later, elsewhere, or not an instruction at all."""
    queues = {index: list(words) for index, words in program.queues.items()}
    for _ in range(rng.randrange(1, 6)):
        words = queues[rng.choice(sorted(queues))]
        index = rng.randrange(len(words))
        choice = rng.randrange(5)
        if choice == 0:
            words.insert(index, isa.instruction("NOP", n=rng.randrange(1, 4)).encode())
        elif choice == 1:
            del words[index]
            words.append(isa.instruction("NOP", n=1).encode())
        elif choice == 2:
            words[index] ^= 1 << rng.randrange(64)
        elif choice == 3:
            words[index] = rng.getrandbits(128)
        else:
            words[:] = queues[rng.choice(sorted(queues))]
    return Program(program.config, queues, program.memory)


def long(program):
    """Whether a changed count made the program too long for the plain model."""
    return any(burst.end > 3000 or burst.count > 3000 for burst in expand_program(program).bursts)


@pytest.mark.parametrize(("name", "feature"), [("tiny", "mxm_fp16=on"), ("board", "mxm_fp16=off")])
def test_broken_programs(name, feature):
    settings, kinds = ["superlanes=1", "vxm_float=on", feature], set()
    for seed in range(30):
        rng = random.Random(seed)
        program = broken(legal(seed % 5, preset(name).override(settings)), rng)
        if long(program):
            continue
        slow, fast = Stepper(program), run(program, events=True)
        assert sorted(slow.faults) == [tuple(fault) for fault in fast.faults], f"seed {seed}"
        before = fast.fault.cycle if fast.fault else fast.cycles
        mine = [event for event in events_of(fast) if event[0] < before]
        assert mine == sorted(event for event in slow.events if event[0] < before), f"seed {seed}"
        if fast.fault:
            found = {(problem.rule, problem.cycle) for problem in check(program).problems}
            assert (fast.fault.name, fast.fault.cycle) in found, f"seed {seed}: the checker misses {fast.fault}"
        kinds |= {fault.kind for fault in fast.faults}
    assert kinds >= {1, 3, 5}, f"too few kinds of faults were made: {kinds}"
