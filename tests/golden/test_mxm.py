"""Matrix products against numpy, accumulators, weights in force."""

import numpy as np
import pytest
from handmade import Handmade, Matmul, east, int32, random_bytes, random_int8, read, west, write

from tsp.config import ChipConfig, preset
from tsp.isa import AccMode, instruction

TINY = preset("tiny")
STORE, ADD, PASS, PEEK = AccMode.STORE, AccMode.ADD, AccMode.PASS, AccMode.PEEK


def matmul(config: ChipConfig, vectors: int) -> Matmul:
    return Matmul(config, random_int8((vectors, config.lanes), 1), random_int8((config.lanes, config.lanes), 2))


@pytest.mark.parametrize(("name", "vectors"), [("tiny", 20), ("groqchip", 50), ("board", 7)])
def test_matmul_equals_numpy(name, vectors):
    made = matmul(preset(name), vectors)
    result = made.run()
    assert result.fault is None
    assert np.array_equal(made.product(result), made.x.astype(np.int32) @ made.w.astype(np.int32).T)
    assert result.cycles == made.cycles


def test_the_largest_sum_is_exact():
    config = preset("groqchip")
    made = Matmul(config, np.full((3, 320), -128, np.int8), np.full((320, 320), -128, np.int8))
    assert np.all(made.product(made.run()) == 320 * 128 * 128)


def accumulate(modes, rows, vectors):
    """What ACCs of the given modes and rows, one a cycle, send out: int32 [n, lanes], and the result. Weights are 1."""
    made = Matmul(TINY, vectors.view(np.int8), np.ones((32, 32), np.int8))
    made.program.queues.pop(made.queue("mxm.e0.accumulate"))
    made.free.pop("mxm.e0.accumulate")
    for i, (mode, row) in enumerate(zip(modes, rows, strict=True)):
        acc = instruction("ACC", row=row, mode=int(mode), out=1, stream=west(4))
        made.at(made.sums + i, "mxm.e0.accumulate", acc)
    result = made.run()
    return made.product(result), result


def test_modes_of_acc():
    vectors = random_bytes(7, 32)
    a, b, c, d, e, f, g = vectors.view(np.int8).astype(np.int32).sum(axis=1)
    out, result = accumulate([STORE, ADD, PASS, PEEK, ADD, STORE, PEEK], [3] * 7, vectors)
    assert result.fault is None
    assert out[:, 0].tolist() == [a, a + b, c, a + b + d, a + b + e, f, f + g]
    assert np.all(out == out[:, :1])


def test_rows_are_apart():
    vectors = random_bytes(6, 32)
    a, b, c, d, e, f = vectors.view(np.int8).astype(np.int32).sum(axis=1)
    out, _ = accumulate([STORE, STORE, ADD, ADD, PEEK, PEEK], [1, 2, 2, 1, 1, 2], vectors)
    assert out[:, 5].tolist() == [a, b, b + c, a + d, a + d + e, b + c + f]


def test_an_undefined_row_adds_as_zero():
    vectors = random_bytes(1, 32)
    out, result = accumulate([ADD], [7], vectors)
    assert result.fault is None
    assert out[0, 0] == vectors.view(np.int8).sum(dtype=np.int32)


def test_int32_sums_wrap():
    """The accumulator is fed the largest sum until it passes INT_MAX."""
    made = Matmul(preset("groqchip"), np.full((420, 320), -128, np.int8), np.full((320, 320), -128, np.int8))
    made.program.queues.pop(made.queue("mxm.e0.accumulate"))
    made.free.pop("mxm.e0.accumulate")
    made.at(made.sums, "mxm.e0.accumulate", instruction("ACC", mode=int(STORE), out=1, stream=west(4)))
    made.at(made.sums + 1, "mxm.e0.accumulate", instruction("ACC", mode=int(ADD), out=1, stream=west(4)), 419)
    exact = 5242880 * np.arange(1, 421)
    assert exact[-1] > 2**31
    assert np.array_equal(made.product(made.run())[:, 7], exact.astype(np.int64).astype(np.uint32).view(np.int32))


@pytest.mark.parametrize(("cycle", "right"), [(6, False), (7, True), (8, False)])
def test_acc_takes_the_sum_of_exactly_one_cycle(cycle, right):
    made = Handmade(TINY)
    made.put("mem.e8", random_bytes(1, 32))
    # mem.e8 is in the last group: beside the SXM at 2, beside the plane at 3. ABC at 3; its sum leaves at 3 + 2·2.
    made.at(0, "mem.e8", read(0, east(0)))
    made.at(3, "mxm.e0.activations", instruction("ABC", stream=east(0)))
    made.at(cycle, "mxm.e0.accumulate", instruction("ACC", mode=int(STORE)))
    expected = [] if right else [(cycle, made.queue("mxm.e0.accumulate"), 3)]
    assert [tuple(fault) for fault in made.run().faults] == expected


def test_install_takes_the_old_buffer_and_abc_the_old_weights():
    """LW_IW twice: the first installs an empty buffer, the second what the first loaded; an ABC in the cycle of an IW
    uses the weights before it."""
    config = TINY.override(["superlanes=1"])
    w, x = random_int8((2, 16, 16), 1), random_int8((4, 16), 2)
    made = Handmade(config)
    for j in range(16):
        name = f"mem.{'we'[j // 8]}{j % 8}"
        made.put(name, w[:, j].view(np.uint8))
        made.at(18 - made.hops(name, "mxm.e0"), name, read(0, east(16 + j)), 2, a=1)
    made.put("mem.w8", x.view(np.uint8))
    made.at(18 - made.hops("mem.w8", "mxm.e0"), "mem.w8", read(0, east(0)), 4, a=1)
    # At 20 load w0 and install nothing, at 21 load w1 and install w0, at 22 install w1.
    made.at(20, "mxm.e0.weights", instruction("LW_IW", stream=east(16)), 2)
    made.at(22, "mxm.e0.weights", instruction("IW"))
    made.at(20, "mxm.e0.activations", instruction("ABC", stream=east(0)), 4)
    made.at(22, "mxm.e0.accumulate", instruction("ACC", stream=west(0), out=1), 4, a=1)
    outputs = [f"mem.e{8 + plane}" for plane in range(4)]
    for plane, name in enumerate(outputs):
        made.at(24 + made.hops("mxm.e0", name), name, write(0, west(plane)), 4, b=1)
    result = made.run()
    assert result.fault is None
    # ABC at 20 and 21 finds zeros (the IW of 21 comes into force at 22), at 22 w0, at 23 w1.
    w, x = w.astype(np.int32), x.astype(np.int32)
    expected = np.stack([0 * x[0], 0 * x[1], w[0] @ x[2], w[1] @ x[3]])
    assert np.array_equal(int32(result, [made.place(name) for name in outputs], range(4)), expected)


def test_planes_are_apart():
    """Two planes of one hemisphere, one product each with the weights of its own."""
    made = Matmul(TINY, random_int8((4, 32), 1), random_int8((32, 32), 2))
    made.at(made.start, "mxm.e1.activations", instruction("ABC", stream=east(0)), 4)
    made.at(made.sums, "mxm.e1.accumulate", instruction("ACC", out=1, stream=west(8)), 4, a=1)
    made.at(made.sums + 2 + made.hops("mxm.e1", "mem.e8"), "mem.e8", write(0, west(8)), 4, b=1)
    result = made.run()
    assert result.fault is None
    assert np.array_equal(made.product(result), made.x.astype(np.int32) @ made.w.astype(np.int32).T)
    assert not result.words(made.place("mem.e8"), range(4)).any()
