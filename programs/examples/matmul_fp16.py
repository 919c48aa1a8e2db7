"""A product of fp16 matrices wider than the planes: ``python -m programs.examples.matmul_fp16`` runs it.

The two planes of a hemisphere multiply fp16 together: plane 0 holds the low bytes of the weights, plane 1 the high
ones. An ABC multiplies a vector with a block of the matrix, as many inputs as there are lanes; its sums are exact and
rounded once. The blocks' sums are added up in the accumulator, which rounds to fp32 each time.
"""

import numpy as np
from numpy.typing import NDArray

from tsp.builder import Builder, byte_planes
from tsp.config import ChipConfig, preset
from tsp.program import Program

CONFIG = preset("tiny")
PLANES = ("mxm.e0", "mxm.e1")
FIRST = 20
"""The cycle of the first LW: by then what lies farthest away can be there."""


def meaning(x: NDArray[np.float16], w: NDArray[np.float16]) -> NDArray[np.float32]:
    """float32 [n, outputs] of x [n, inputs] and weights [outputs, inputs], as many outputs as a block has inputs.
    float64 holds these sums exactly."""
    total = np.zeros((len(x), len(w)), np.float32)
    for first in range(0, x.shape[1], len(w)):
        block = slice(first, first + len(w))
        exact = x[:, block].astype(np.float64) @ w[:, block].astype(np.float64).T
        total += exact.astype(np.float32)
    return total


def build(x: NDArray[np.float16], w: NDArray[np.float16], config: ChipConfig = CONFIG) -> Program:
    """A program that leaves x · wᵀ, fp32 [n, lanes], in symbol ``y``, for as many outputs as there are lanes."""
    b = Builder(config)
    count, blocks = len(x), x.shape[1] // config.lanes
    # Sixteen slices hold the weights, so that an LW finds sixteen vectors at once; others the vectors and results.
    slices = [f"mem.{h}{number}" for h in "we" for number in range(4, 12)]
    y = b.space("y", "mem.e0", count, "fp32")
    multiply = FIRST
    for number in range(blocks):
        block = slice(number * config.lanes, (number + 1) * config.lanes)
        vectors = b.place(f"x{number}", "mem.w0", x[:, block], "fp16")
        # One plane after the other, both over streams e16 … e31; a block is loaded while the one before multiplies.
        load = multiply
        for plane, (name, bytes_) in enumerate(zip(PLANES, byte_planes(w[:, block]), strict=True)):
            weights = b.place_weights(f"w{number}_{plane}", slices, bytes_)
            load = b.load_weights(name, weights, 16, at=load)
        install = max(load, multiply + count - 1) if number else load
        for name in PLANES:
            b.iw(name, install)
        multiply = install + 1
        stream = b.fetch(vectors, 0, PLANES[0], at=multiply, count=count)
        sums = b.abc(PLANES[0], f"{stream}:fp16", at=multiply, count=count)
        last = number == blocks - 1
        b.acc(PLANES[0], 0, "add" if number else "store", at=sums, to="w4" if last else None, count=count)
    b.store(y, 4, PLANES[0], at=sums, count=count)
    return b.build()


def example(lanes: int = CONFIG.lanes) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
    """Five vectors of two blocks of inputs, and weights: numbers between -2 and 2 in steps of 2^-8."""
    rng = np.random.default_rng(4)
    x, w = (rng.integers(-512, 512, (rows, 2 * lanes)) / 256 for rows in (5, lanes))
    return x.astype(np.float16), w.astype(np.float16)


if __name__ == "__main__":
    from golden.machine import run
    from tsp.checker import check

    program = build(*example())
    result = run(program).values(program.symbols["y"])
    print(check(program))
    print(result[:, :4])
    print("as numpy" if (result == meaning(*example())).all() else "NOT as numpy")
