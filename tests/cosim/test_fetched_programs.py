"""Programs that come from memory, on the golden model and on the RTL of both simulators.

One is longer than its queue: it fetches itself, block by block, each block with the IFETCH of the next.
"""

import dataclasses
import functools
import os

import pytest

import golden.machine
from tb import machine, simulator
from tb.machine import Job
from tsp.assembler import assemble
from tsp.checker import check
from tsp.config import ChipConfig, preset
from tsp.flips import MemoryFlip
from tsp.floorplan import floorplan
from tsp.flow.faults import ECC_UNCORRECTABLE
from tsp.program import Program

SMALL = ("ifetch=on", "streams=16", "mxm_planes_w=0", "mxm_planes_e=0", "vxm_rows=1", "vxm_stages=1", "vxm_mul_bits=0")
SMALL += ("mxm_fp16=off", "vxm_float=off", "sxm=off", "links_w=0", "links_e=0", "queue_depth=16", "ecc=off")
SUPERLANES = {1: 8, 2: 2}
"""Superlanes → vectors of an IFETCH."""
BLOCKS = 5
START, WAIT = 20, 7
COPIES = 40
FULL = bool(os.environ.get("TSP_FULL"))
RUNS = [(1, "icarus"), (1, "verilator"), (2, "icarus"), *([(2, "verilator")] if FULL else [])]


def config(superlanes: int, *more: str) -> ChipConfig:
    return preset("tiny").override([f"superlanes={superlanes}", *SMALL, *more])


def text(superlanes: int) -> str:
    """mem.w8 copies words as its program says, and mem.e0 brings that program block by block.

    A block is READs, the IFETCH of the next block and a NOP until that is there; the last one is READs only.
    """
    vectors = SUPERLANES[superlanes]
    block = vectors * superlanes
    lines = [".config tiny " + " ".join([f"superlanes={superlanes}", *SMALL])]
    lines += [f".data x: mem.w8 int8 = {', '.join(f'[{i + 1}, {-i}]' for i in range(COPIES))}"]
    lines += [f".space prog: mem.e0[10], {BLOCKS * vectors}", f".space y: mem.w0, {COPIES}", ".queue mem.e0"]
    code, writes = [f"@{START} IFETCH w0, {vectors}", f"NOP {WAIT}", ".fetched prog"], []
    start = START
    for number in range(BLOCKS):
        lines += [f"@{start - 5} READ prog + {number * vectors}, w0", f"REPEAT {vectors - 1}, 1, 1"]
        last = number == BLOCKS - 1
        for i in range(block if last else block - 2):
            code.append(f"READ x + {len(writes)}, e2")
            writes.append(start + vectors + WAIT + i + 3)
        if not last:
            code += [f"IFETCH w0, {vectors}", f"NOP {WAIT}"]
            start += vectors + WAIT + block - 2
    lines += [".queue mem.w8", *code, ".queue mem.w0"]
    runs: list[list[int]] = []
    for number, at in enumerate(writes):
        if runs and at == runs[-1][1] + runs[-1][2]:
            runs[-1][2] += 1
        else:
            runs.append([number, at, 1])
    for number, at, count in runs:
        lines.append(f"@{at} WRITE y + {number}, e2")
        if count > 1:
            lines.append(f"REPEAT {count - 1}, 1, 1")
    return "\n".join(lines) + "\n"


@functools.cache
def program(superlanes: int) -> Program:
    return assemble(text(superlanes))


@pytest.mark.parametrize("superlanes", SUPERLANES)
def test_a_program_longer_than_its_queue_is_legal(superlanes: int) -> None:
    made = program(superlanes)
    report = check(made)
    assert report.ok, str(report)
    result = golden.machine.run(made)
    fetched = result.flow.unrolled.words
    longest = max(len(words) for words in fetched.values())
    assert longest > made.config.queue_depth, f"only {longest} words"
    x, y = made.symbols["x"], made.symbols["y"]
    copied = len([b for b in result.flow.unrolled.bursts if b.instruction.mnemonic == "READ"]) - BLOCKS
    assert (result.values(y)[:copied] == result.values(x)[:copied]).all() and copied >= 10


@pytest.mark.slow
@pytest.mark.parametrize("superlanes, sim", RUNS)
def test_the_rtl_does_what_the_golden_model_does(superlanes: int, sim: str) -> None:
    made, expected = program(superlanes), golden.machine.run(program(superlanes))
    jobs = [Job(made, 2000)]
    built = machine.build(made.config, sim)
    (found,) = machine.run_on(built, jobs, made.config)
    assert (found.done, found.fault, found.cycles) == (True, None, expected.cycles)
    assert (found.tile_signatures == expected.tile_signatures).all()


MISTAKES = {
    "dry": "@20 IFETCH w0, 2\n.fetched prog\n@24 READ 0, e2\n",
    "full": "@20 IFETCH w0, 2\n" + "NOP 1\n" * 14 + ".fetched prog\nREAD 0, e2\n",
    "power": "@20 IFETCH w0, 2\nNOP 20\n.fetched prog\n@50 READ 0, e2\n.queue mem.w4\n@18 CONFIG 1\n",
    "absent": "@22 IFETCH w0, 2\n.fetched prog\n@32 READ 0, e2\n",
    "path": "@20 IFETCH w0, 2\nNOP 20\n.fetched prog\nREAD 0, e2\n.queue mem.w9\n@22 IFETCH w0, 1\nNOP 20\n",
    "same": "@20 IFETCH w0, 1\nNOP 20\n.queue mem.w9\n@20 IFETCH w0, 1\nNOP 20\n.fetched prog\nREAD 0, e2\n",
}
KINDS = {"dry": "run_dry", "full": "illegal_instruction", "power": "illegal_instruction", "absent": "operand_absent",
         "path": "collision", "same": "collision"}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("sim", simulator.SIMULATORS if FULL else ["icarus"])
def test_faults(sim: str) -> None:
    chip = config(2)
    head = ".config tiny " + " ".join(["superlanes=2", *SMALL])
    head += "\n.space prog: mem.e0[10], 2\n.data mem.w8 int8 = 1\n"
    head += ".queue mem.e0\n@15 READ prog, w0\nREPEAT 1, 1, 1\n.queue mem.w8\n"
    programs = {name: assemble(head + tail) for name, tail in MISTAKES.items()}
    expected = {name: golden.machine.run(made).fault for name, made in programs.items()}
    assert {name: fault and fault.name for name, fault in expected.items()} == KINDS
    built = machine.build(chip, sim)
    found = machine.run_on(built, [Job(made, 2000) for made in programs.values()], chip)
    latched = {
        name: (f.fault.cycle, f.fault.queue, f.fault.kind) for name, f in zip(programs, found, strict=True) if f.fault
    }
    assert latched == {name: tuple(fault) for name, fault in expected.items() if fault}
    assert all(result.done for result in found)


@pytest.mark.slow
def test_wrong_bits_of_fetched_words() -> None:
    """With check bits one wrong bit of a word is set right on the way to its queue, and two are the queue's fault."""
    chip = config(2, "ecc=on", "gather=off")
    made = dataclasses.replace(program(2), config=chip)
    place = floorplan(chip).slice("mem.e0").index
    cases = [(), (MemoryFlip(place, 10, 1, 1 << 3),), (MemoryFlip(place, 10, 1, 1 << 3 | 1 << 77),)]
    wants = [golden.machine.run(made, flips=flips) for flips in cases]
    assert [want.corrected for want in wants[:2]] == [0, 1]
    queue = floorplan(chip).queue("mem.w8").index
    assert [want.fault for want in wants] == [None, None, (START, queue, ECC_UNCORRECTABLE)]
    built = machine.build(chip, "icarus")
    jobs = [Job(made, 2000, flips=flips) for flips in cases]
    for want, found in zip(wants, machine.run_on(built, jobs, chip), strict=True):
        assert found.corrected == want.corrected
        latched = None if found.fault is None else (found.fault.cycle, found.fault.queue, found.fault.kind)
        assert latched == want.fault
        if want.fault is None:
            assert found.done and (found.tile_signatures == want.tile_signatures).all()
