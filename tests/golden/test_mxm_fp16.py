"""Products of fp16: sums against exact rational arithmetic, rounded by MPFR; accumulation; the worked example."""

import os

import gmpy2
import numpy as np
import pytest
from float_reference import lane
from handmade import Handmade, east, int32, read, west, write
from plain_mxm import dot

from golden import mxm_fp16
from tsp.config import ChipConfig, preset
from tsp.isa import AccMode, instruction

PAIR = preset("tiny").override(["superlanes=1"])
ROUNDS = 400 if os.environ.get("TSP_FULL") else 40
LARGEST, LEAST, ONE, TWO = 0x7BFF, 0x0001, 0x3C00, 0x4000
INFINITY, NAN, MINUS = 0x7C00, 0x7E00, 0x8000
PLUS_ZERO, PLUS_INFINITY, MINUS_INFINITY, NOT_A_NUMBER = 0, 0x7F800000, 0xFF800000, 0x7FC00000


def exact(vectors: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The sums by rational numbers, uint32 [n, outputs]."""

    def of(row: list[int], column: list[int]) -> int:
        return dot([(a % 256, a >> 8, w % 256, w >> 8) for a, w in zip(row, column, strict=True)])

    return np.array([[of(row, column) for column in weights.T.tolist()] for row in vectors.tolist()], np.uint32)


def found(vectors: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return mxm_fp16.sums(vectors, mxm_fp16.Weights(weights)).view(np.uint32)


def numbers(rng: np.random.Generator, shape: tuple[int, int], kind: int) -> np.ndarray:
    """fp16 bits: any; finite; with one digit, so that much cancels; of few magnitudes."""
    bits = rng.integers(0, 1 << 16, shape).astype(np.uint16)
    masks = (0xFFFF, 0xBFFF, 0xBC00, 0x83FF)
    return bits & np.uint16(masks[kind]) | np.uint16(0x3800 if kind == 3 else 0)


@pytest.mark.parametrize("kind", range(4))
def test_random_sums_are_exact(kind):
    rng = np.random.default_rng(kind)
    for _ in range(ROUNDS):
        inputs = int(rng.choice([1, 2, 16, 40]))
        vectors, weights = numbers(rng, (3, inputs), kind), numbers(rng, (inputs, 4), kind)
        assert np.array_equal(found(vectors, weights), exact(vectors, weights))


def test_sums_that_cancel_to_almost_nothing():
    """The second half of the inputs takes away the first, but for one product of the least magnitude."""
    rng = np.random.default_rng(9)
    for _ in range(ROUNDS):
        half = numbers(rng, (2, 15), 1), numbers(rng, (15, 3), 1)
        vectors = np.concatenate([half[0], half[0], np.full((2, 1), LEAST, np.uint16)], axis=1)
        weights = np.concatenate([half[1], half[1] ^ np.uint16(MINUS), numbers(rng, (1, 3), 1)])
        assert np.array_equal(found(vectors, weights), exact(vectors, weights))


def test_ties_of_the_largest_chip():
    """320 products, so that the sum has all of its bits: ties, a little above and a little below them."""
    vectors = np.full((1, 320), LARGEST, np.uint16)
    for low in (0, LEAST, LEAST | MINUS):
        weights = np.full((320, 2), LARGEST, np.uint16)
        weights[5:8] = low
        weights[8:300, 1] = 0x3555
        assert np.array_equal(found(vectors, weights), exact(vectors, weights))


@pytest.mark.parametrize(
    ("factors", "expected"),
    [
        ([], PLUS_ZERO),
        ([(0, ONE)], PLUS_ZERO),
        ([(0, ONE | MINUS)], PLUS_ZERO),
        ([(ONE, ONE), (ONE, ONE | MINUS)], PLUS_ZERO),
        ([(LARGEST, LARGEST), (LEAST, LEAST), (LARGEST, LARGEST | MINUS)], 0x27800000),
        ([(ONE, ONE), (ONE, 0x0001)], 0x3F800000),
        ([(ONE, ONE), (ONE, 0x0001), (LEAST, LEAST)], 0x3F800001),
        ([(ONE, ONE | MINUS), (ONE | MINUS, 0x0001), (LEAST, LEAST | MINUS)], 0xBF800001),
        ([(INFINITY, ONE), (LARGEST, LARGEST | MINUS)], PLUS_INFINITY),
        ([(INFINITY, LEAST | MINUS)], MINUS_INFINITY),
        ([(INFINITY | MINUS, INFINITY)], MINUS_INFINITY),
        ([(INFINITY, ONE), (ONE, INFINITY)], PLUS_INFINITY),
        ([(INFINITY, ONE), (ONE, INFINITY | MINUS)], NOT_A_NUMBER),
        ([(INFINITY, 0)], NOT_A_NUMBER),
        ([(MINUS, INFINITY)], NOT_A_NUMBER),
        ([(0x7C01, ONE)], NOT_A_NUMBER),
        ([(0, NAN)], NOT_A_NUMBER),
        ([(INFINITY, NAN | MINUS)], NOT_A_NUMBER),
    ],
)
def test_corners(factors, expected):
    """As the contract says; the document's example among them."""
    padded = np.zeros((16, 2), np.uint16)
    padded[: len(factors)] = np.array(factors, np.uint16).reshape(-1, 2)
    assert found(padded[None, :, 0], padded[:, 1:]).tolist() == [[expected]]
    assert exact(padded[None, :, 0], padded[:, 1:]).tolist() == [[expected]]


class Product(Handmade):
    """``x`` fp16 [n, 16] times the transpose of ``w`` fp16 [16, 16] on the planes of mxm.e, bits of both given."""

    def __init__(self, x: np.ndarray, w: np.ndarray, config: ChipConfig = PAIR):
        super().__init__(config)
        self.x = x
        for plane in range(2):
            load = 20 + plane
            for j in range(16):
                row = (w[j] >> 8 * plane & 255)[None]
                self._bring(f"mem.{'we'[j // 8]}{j % 8}", load, 16 + j, plane, row)
            self.at(load, f"mxm.e{plane}.weights", instruction("LW", stream=east(16)))
            self.at(load + 1, f"mxm.e{plane}.weights", instruction("IW"))
            self._bring(f"mem.w{8 + plane}", 23, plane, 0, x >> 8 * plane & 255)
        self.at(23, "mxm.e0.activations", instruction("ABC_FP16", stream=east(0)), len(x))

    def _bring(self, slice_: str, arrival: int, stream: int, address: int, rows: np.ndarray) -> None:
        self.put(slice_, rows, address)
        self.at(arrival - 2 - self.hops(slice_, "mxm.e0"), slice_, read(address, east(stream)), len(rows), a=1)

    def accumulated(self, modes: list[AccMode]) -> np.ndarray:
        """The values that ACCs of row 3, one a cycle, send out: uint32 [n, 16]."""
        for i, mode in enumerate(modes):
            acc = instruction("ACC", row=3, mode=int(mode), out=1, stream=west(4))
            self.at(25 + i, "mxm.e0.accumulate", acc)
        outputs = [f"mem.e{4 + plane}" for plane in range(4)]
        for plane, name in enumerate(outputs):
            self.at(27 + self.hops("mxm.e0", name), name, write(64, west(4 + plane)), len(self.x), b=1)
        result = self.run()
        assert result.fault is None
        return int32(result, [self.place(name) for name in outputs], range(64, 64 + len(self.x))).view(np.uint32)


def test_a_product_of_matrices_is_rounded_once():
    rng = np.random.default_rng(5)
    x, w = numbers(rng, (5, 16), 1), numbers(rng, (16, 16), 1)
    assert np.array_equal(Product(x, w).accumulated([AccMode.PASS] * 5), exact(x, w.T))


def test_accumulation_rounds_at_every_addition():
    """In the order of time, also where a batch of sums could be taken together."""
    rng = np.random.default_rng(6)
    modes = [AccMode[name] for name in ("STORE", "ADD", "ADD", "PEEK", "PASS", "ADD", "STORE", "ADD", "PEEK")]
    x, w = numbers(rng, (len(modes), 16), 1), numbers(rng, (16, 16), 1)
    sums = exact(x, w.T)
    row, expected = [0] * 16, []
    for mode, values in zip(modes, sums.tolist(), strict=True):
        added = [lane("ADD", False, True, a, b) & 0xFFFFFFFF for a, b in zip(row, values, strict=True)]
        value = added if mode in (AccMode.ADD, AccMode.PEEK) else values
        row = value if mode in (AccMode.STORE, AccMode.ADD) else row
        expected.append(value)
    assert np.array_equal(Product(x, w).accumulated(modes), np.array(expected, np.uint32))


def test_weights_are_those_of_both_planes():
    """Without the weights of plane 1 the numbers are its zeros above the low bytes: subnormals."""
    x, w = np.full((1, 16), ONE, np.uint16), np.full((16, 16), 0x3C01, np.uint16)
    made = Product(x, w)
    made.program.queues.pop(made.queue("mxm.e1.weights"))
    sums = made.accumulated([AccMode.STORE])
    assert gmpy2.mpfr(float(sums.view(np.float32)[0, 0])) == 16 * 2.0**-24 and len(np.unique(sums)) == 1
