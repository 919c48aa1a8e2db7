"""CONFIG in the golden model and the plain one: the example of docs/architecture.md, and what each unit does."""

import numpy as np
import pytest
from stepper import Stepper
from test_against_stepper import events_of, memory_of

from golden.machine import run
from tsp.builder import Builder, byte_planes
from tsp.checker import check
from tsp.config import preset
from tsp.floorplan import floorplan
from tsp.flow.faults import GATHER_ADDRESS, ILLEGAL_INSTRUCTION, PERMUTE_MAP
from tsp.timing import timing

TINY = preset("tiny")
THREE = TINY.override(["superlanes=3"])
LATENCY = timing(TINY).config
WEIGHTS = [f"mem.{h}{i}" for h in "we" for i in range(4, 12)]


def ran(b: Builder):
    """What a legal program comes to, in both models alike."""
    program = b.build()
    report = check(program)
    assert report.ok, str(report)
    slow, fast = Stepper(program), run(program, events=True)
    assert fast.faults == [] and not slow.faults
    assert events_of(fast) == sorted(slow.events)
    assert memory_of(fast) == slow.memory
    assert fast.cycles == report.cycles
    return fast


def fault(b: Builder):
    """The first fault, in both models alike."""
    program = b.build()
    slow, fast = Stepper(program), run(program)
    assert min(slow.faults) == tuple(fast.fault)
    return fast.fault


def word(result, slice_, address):
    return result.words(floorplan(result.flow.config).slice(slice_).index, [address])[0].tolist()


def superlanes_of(result, slice_, time):
    place = floorplan(result.flow.config).slice(slice_).index
    return [int(e["superlane"]) for e in result.events if e["place"] == place and e["time"] == time]


def copied(config, p):
    """The document's example: x is READ before and after a CONFIG, and a word of 9s takes what comes after."""
    b = Builder(config)
    b.place("x", "mem.e0", [[1] * 16 + [2] * (config.lanes - 16)], address=0)
    b.place("y", "mem.e4", [[9] * config.lanes], address=5)
    b.power("mem.w0", p, at=10)
    b.read("mem.e0", 0, "e0", at=11, count=2, step=0)
    b.write("mem.e4", 5, "e0", at=14)
    return b


def test_the_documents_example():
    assert LATENCY == 2
    b = copied(TINY, 1)
    b.power("mem.w1", 2, at=18)
    b.read("mem.e4", 5, "e0", at=20)
    result = ran(b)
    assert superlanes_of(result, "mem.e0", 13) == [0, 1] and superlanes_of(result, "mem.e0", 14) == [0]
    y = [1] * 16 + [9] * 16
    assert word(result, "mem.e4", 5) == y
    assert [byte for e in result.events if e["time"] == 22 for byte in e["data"].tolist()] == y


@pytest.mark.parametrize("p", [1, 2, 3])
def test_the_first_p_of_three(p):
    result = ran(copied(THREE, p))
    assert word(result, "mem.e4", 5) == ([1] * 16 + [2] * 32)[: 16 * p] + [9] * (48 - 16 * p)
    assert superlanes_of(result, "mem.e4", 14) == list(range(p))


def test_one_superlane_stays_on():
    assert word(ran(copied(TINY.override(["superlanes=1"]), 1)), "mem.e4", 5) == [1] * 16


def moved(b, mnemonic, queue, operands, to, vectors, at=40):
    """An SXM instruction whose operands are these vectors, with one superlane powered."""
    b.power("mem.w0", 1, at=0)
    for n, (stream, vector) in enumerate(vectors.items()):
        symbol = b.place(f"v{n}", f"mem.e{n}", [np.asarray(vector, np.uint8).view(np.int8)])
        b.read(f"mem.e{n}", symbol.address, stream, at=b.depart(at, f"mem.e{n}", queue))
    b.sxm(queue, mnemonic, *operands, to=to, at=at)
    b.place("y", "mem.e4", [[9] * 32], address=7)
    b.write("mem.e4", 7, to, at=b.arrive(at, queue, "mem.e4"))
    return b


def test_bytes_of_unpowered_superlanes_count_as_zero():
    b = moved(Builder(TINY), "SHIFT", "sxm.e.shift0", ("e0", "down", 5), "w0", {"e0": np.arange(32)})
    assert word(ran(b), "mem.e4", 7) == [*range(5, 16), *[0] * 5, *[9] * 16]


@pytest.mark.parametrize("first, good", [(15, True), (16, False), (14, False)])
def test_a_map_names_every_powered_lane_once(first, good):
    map_ = [first, *range(14, -1, -1), *[77] * 16]
    vectors = {"e0": np.arange(32) + 100, "e2": map_, "e3": [0] * 32}
    b = moved(Builder(TINY), "PERMUTE", "sxm.e.permute", ("e0", "e2"), "w0", vectors)
    if good:
        assert word(ran(b), "mem.e4", 7) == [*range(115, 99, -1), *[9] * 16]
    else:
        cycle = 40 + timing(TINY).sxm_across_func
        assert fault(b) == (cycle, floorplan(TINY).queue("sxm.e.permute").index, PERMUTE_MAP)
        assert ("permute_map", cycle - timing(TINY).sxm_across_func) in {
            (problem.rule, problem.cycle) for problem in check(b.build()).problems
        }


@pytest.mark.parametrize("superlane, bad", [(0, True), (1, False)])
def test_addresses_of_unpowered_superlanes_do_not_matter(superlane, bad):
    map_ = np.zeros(32, np.int64)
    map_[16 * superlane + 1] = 127
    b = Builder(TINY)
    b.place("m", "mem.e0", [map_], address=0)
    b.place("t", "mem.e4", [[5] * 32], address=0)
    b.power("mem.w0", 1, at=0)
    b.read("mem.e0", 0, "e0", at=10)
    b.gather("mem.e4", "e1", "e0", at=b.arrive(10, "mem.e0", "mem.e4"))
    if bad:
        assert fault(b).kind == GATHER_ADDRESS and not check(b.build()).ok
    else:
        ran(b)


def matmul(b, x, at, p, row, mode, to, store):
    """ABC and ACC with p superlanes powered, and the sums written to a vector."""
    stream = b.fetch(x, 0, "mxm.e0.activations", at=at)
    taken = b.abc("mxm.e0", stream, at=at)
    b.acc("mxm.e0", row, mode, at=taken, to=to)
    b.store(store, int(to[1:]), "mxm.e0.accumulate", at=taken)


def test_sums_are_over_powered_superlanes_and_weights_and_rows_stay():
    rng = np.random.default_rng(5)
    weights, vector = rng.integers(-99, 99, (32, 32)), rng.integers(-99, 99, (1, 32))
    b = Builder(TINY)
    w, x = b.place_weights("w", WEIGHTS, weights), b.place("x", "mem.w0", vector)
    y = [b.place(f"y{n}", "mem.w8", [[9] * 32], "int32", address=20 + n) for n in range(3)]
    installed = b.load_weights("mxm.e0", w, 16, at=30)
    b.iw("mxm.e0", installed)
    matmul(b, x, 40, 2, 3, "store", "w4", y[0])
    b.power("mem.w1", 1, at=80)
    matmul(b, x, 100, 1, 4, "store", "w4", y[1])
    b.power("mem.w1", 2, at=140)
    matmul(b, x, 160, 2, 3, "add", "w4", y[2])
    result = ran(b)
    whole, half = weights @ vector[0], weights[:16, :16] @ vector[0, :16]
    found = [result.values(symbol)[0].tolist() for symbol in y]
    assert found == [whole.tolist(), [*half.tolist(), *[9] * 16], (2 * whole).tolist()]


def test_sums_of_fp16_are_over_powered_superlanes():
    """Weights of unpowered inputs count for nothing, whatever they are: zero times an infinity would be a NaN."""
    rng = np.random.default_rng(6)
    weights, vector = rng.integers(-9, 9, (32, 32)).astype(np.float16), rng.integers(1, 9, (1, 32)).astype(np.float16)
    weights[:, 16], weights[:8, 17] = np.inf, -np.inf
    weights[9, 18] = np.nan
    b = Builder(TINY)
    load = 30
    for plane, (name, half) in enumerate(zip(("mxm.e0", "mxm.e1"), byte_planes(weights), strict=True)):
        load = b.load_weights(name, b.place_weights(f"w{plane}", WEIGHTS, half), 16, at=load)
    for name in ("mxm.e0", "mxm.e1"):
        b.iw(name, load)
    x = b.place("x", "mem.w0", vector, "fp16")
    y = [b.place(f"y{n}", "mem.w8", [[9] * 32], "fp32", address=20 + n) for n in range(4)]
    for n, (at, p, row, mode) in enumerate([(60, 2, 3, "store"), (120, 1, 4, "store"), (150, 1, 4, "add")]):
        if n < 2:
            b.power("mem.w1", p, at=at - 20)
        stream = b.fetch(x, 0, "mxm.e0.activations", at=at)
        taken = b.abc("mxm.e0", f"{stream}:fp16", at=at)
        b.acc("mxm.e0", row, mode, at=taken, to="w4")
        b.store(y[n], 4, "mxm.e0.accumulate", at=taken)
    b.power("mem.w1", 2, at=180)
    stream = b.fetch(x, 0, "mxm.e0.activations", at=200)
    taken = b.abc("mxm.e0", f"{stream}:fp16", at=200)
    b.acc("mxm.e0", 3, "add", at=taken, to="w4")
    b.store(y[3], 4, "mxm.e0.accumulate", at=taken)
    result = ran(b)
    half = weights[:16, :16].astype(np.float64) @ vector[0, :16].astype(np.float64)
    whole = [np.nan] * 8 + [np.inf, np.nan] + [np.inf] * 22
    wanted = [whole, [*half, *[9] * 16], [*2 * half, *[9] * 16], whole]
    assert np.array_equal([result.values(symbol)[0] for symbol in y], wanted, equal_nan=True)


def test_an_ifetch_needs_all_superlanes():
    for p, kind in ((2, None), (1, ILLEGAL_INSTRUCTION)):
        b = Builder(TINY)
        b.place("prog", "mem.e0", [[1, 1] + [0] * 14 + [1, 1] + [0] * 14], address=0)
        b.power("mem.w0", p, at=9)
        b.read("mem.e0", 0, "e0", at=12)
        b.fetch_words("mem.e4", "e0", 1, at=b.arrive(12, "mem.e0", "mem.e4"))
        program = b.build()
        program.queues[floorplan(TINY).queue("mem.e4").index].append(0x1401)
        found, report = run(program).fault, check(program)
        assert (found and found.kind) == kind
        assert report.ok == (kind is None)
        if kind:
            assert "IFETCH with 1 of 2 superlanes powered" in str(report)
