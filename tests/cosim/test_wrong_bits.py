"""Bits turned over in memories and on streams: the RTL corrects, counts and faults as the golden model does."""

import dataclasses
import os

import pytest

import golden.machine
from tb import machine, regress
from tb.compare import compare
from tb.small import SETTINGS, small
from tsp.cli import run as cli
from tsp.config import preset
from tsp.flips import MemoryFlip, StreamFlip, refuse_wrong
from tsp.floorplan import floorplan
from tsp.flow import NONE
from tsp.isa import STREAM_DIRECTION_BIT
from tsp.randprog import flips, legal

CONFIGS = {"icarus": small(), "verilator": preset("tiny")}
"""Chips that other tests build, too."""
SIMS = {"icarus": 4, "verilator": 24}
FULL = bool(os.environ.get("TSP_FULL"))
"""Icarus takes two minutes for these; without it the last test here runs one program there."""
GATHER_ADDRESS, ECC_UNCORRECTABLE = 6, 8


@pytest.fixture(params=SIMS if FULL else ["verilator"], scope="module")
def made(request):
    return machine.build(CONFIGS[request.param], request.param)


def run(made, cases):
    """(golden result, RTL result) of cases (program, flips, drift)."""
    wants = [golden.machine.run(program, flips=found) for program, found, _ in cases]
    jobs = []
    for want, (program, found, steps) in zip(wants, cases, strict=True):
        refuse_wrong(program, found)
        job = regress.job(program, want, steps)
        flipped = {(flip.place, flip.address) for flip in found if isinstance(flip, MemoryFlip)}
        jobs.append(dataclasses.replace(job, flips=found, read=sorted({*job.read, *flipped})))
    found = machine.run_on(made, jobs, CONFIGS[made.sim])
    return list(zip(wants, found, jobs, strict=True))


def test_random_flips_in_random_programs(made):
    """Odd seeds have single flips only, all corrected; the others also two and three bits of a word."""
    config = CONFIGS[made.sim]
    prepared = [regress.prepare(seed, config) for seed in range(1, 1 + SIMS[made.sim])]
    cases = [
        (case.program, flips(case.seed, case.golden.flow, 24, single=case.seed % 2 == 1), case.drift)
        for case in prepared
    ]
    faults = 0
    for case, (want, got, job) in zip(prepared, run(made, cases), strict=True):
        assert not case.trouble
        assert [str(difference) for difference in compare(want, got, config)] == [], f"seed {case.seed}"
        if case.seed % 2:
            assert want.fault is None and want.corrected > 0, f"seed {case.seed}"
            assert (got.host_corrected, got.host_uncorrectable) == want.at_host(job.read), f"seed {case.seed}"
            unchanged = golden.machine.run(case.program)
            for word in job.read:
                assert got.memory[word].tolist() == unchanged.words(word[0], [word[1]])[0].tolist(), f"seed {case.seed}"
        faults += want.fault is not None
    assert faults > SIMS[made.sim] // 4


def consumers(config):
    """(kind of queue, operand, stream of it, mnemonic) → (program, its flow, row of the reads), one of each."""
    found = {}
    for seed in range(40):
        program = legal(seed, config)
        flow = golden.machine.run(program, trace=False).flow
        # What is stored is checked when it is read again.
        stored = {*flow.stores.read.tolist(), *flow.indirect.data.tolist()}
        for row, source in enumerate(flow.source.tolist()):
            if source == NONE or row in stored:
                continue
            issue = int(flow.reads.issue[row])
            mnemonic = flow.issues.bursts[int(flow.issues.burst[issue])].instruction.mnemonic
            kind = floorplan(config).queues[int(flow.issues.queue[issue])].kind
            key = (kind, int(flow.reads.operand[row]), int(flow.reads.plane[row]), mnemonic if kind != "vxm" else "")
            found.setdefault(key, (program, flow, row))
    return found


def just_before(flow, row, mask):
    """A flip in the SR that a row of ``flow.reads`` is read from, in that cycle."""
    stream, position = int(flow.reads.stream[row]), int(flow.reads.position[row])
    sr = -position if stream >> STREAM_DIRECTION_BIT else position - 1
    return StreamFlip(int(flow.reads.time[row]), 0, stream, sr, mask)


def test_every_kind_of_consumer_corrects_one_bit_and_faults_on_two(made):
    """Two bits, and a data or (with full counts: and) a check bit, of the word that each operand of a unit reads."""
    config = CONFIGS[made.sim]
    found = consumers(config)
    kinds = {(kind, operand) for kind, operand, _, _ in found}
    assert kinds >= {("vxm", 0), ("vxm", 1), ("vxm", 2), ("mxm_weights", 0), ("mxm_activations", 0)}
    assert kinds >= {("sxm_permute", 0), ("sxm_permute", 1), ("sxm_distribute", 0), ("sxm_distribute", 1)}
    assert kinds >= {("sxm_transpose", 0), ("sxm_shift", 0), ("sxm_shift", 1), ("sxm_rotate", 0)}
    slow = made.sim == "icarus"
    cases, expected = [], []
    for number, key in enumerate(sorted(key for key in found if key[2] == 0 or not slow)):
        program, flow, row = found[key]
        masks = (1 << number % 137 | 1 << (5 * number + 1) % 137, 1 << 37 * number % 128, 1 << 128 + number % 9)
        for mask in masks[:1] if slow else masks if FULL else (masks[0], masks[1 + number % 2]):
            cases.append((program, [just_before(flow, row, mask)], ()))
            expected.append((key, flow, row, mask.bit_count() > 1))
    for (key, flow, row, double), (want, got, _) in zip(expected, run(made, cases), strict=True):
        assert [str(difference) for difference in compare(want, got, config)] == [], key
        if not double:
            assert got.fault is None and got.corrected >= 1, key
            continue
        here = (flow.source == flow.source[row]) & (flow.reads.time == flow.reads.time[row])
        here &= flow.reads.position == flow.reads.position[row]
        lowest = int(flow.issues.queue[flow.reads.issue[here]].min())
        fault = got.fault
        assert (fault.cycle, fault.queue) == (int(flow.reads.time[row]), lowest), key
        # Two wrong bits of an address may lead out of the memory; of a cycle's faults the lower kind is latched.
        assert fault.kind == ECC_UNCORRECTABLE or (key[0], fault.kind) == ("mem", GATHER_ADDRESS), key


ADD = f"""
.config tiny {" ".join(SETTINGS)}
.data x: mem.w0 int8 = 1, 2, 3
.data y: mem.e0 int8 = 10, 20, 30
.space z: mem.e4, 1
.queue mem.w0
        READ x, e4
.queue mem.e0
        READ y, w4
.queue vxm.r0s0
@2      ADD e4:int8, w4:int8 -> e8:int8
.queue mem.e4
@5      WRITE z, e8
"""


@pytest.mark.parametrize("on", ["golden", "icarus"])
def test_the_command_says_what_was_corrected_and_what_was_not(on, tmp_path, capsys):
    source = tmp_path / "add.tsp"
    source.write_text(ADD)

    def tsp(*flips_):
        options = [part for flip in flips_ for part in ("--flip", flip)]
        code = cli(["run", str(source), "--on", on, "--dump", "z", "--dump", "x", *options])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    code, out, err = tsp("mem.w0:0:0:5", "e8:mem.e.1:5:0:136")
    assert (code, err) == (0, "")
    assert "corrected: one bit of a word, 1 time\n" in out
    assert "z[0]: 11 22 33 0" in out and "x[0]: 1 2 3 0" in out
    code, _, err = tsp("w4:vxm:2:0:0+1")
    assert code == 3
    assert err.startswith("machine fault: cycle 2: vxm.r0s0: ecc uncorrectable (add.tsp:11: @2 ADD")
    code, out, err = tsp("mem.w0:0:0:0+1")
    assert code == 3 and "x[0]: 2 2 3 0" in out
    assert "lost: 1 of the words read back have wrong bits that cannot be corrected" in err
    code, _, err = tsp("mem.w0:9:0:1")
    assert code == 2 and err.count("\n") == 1
