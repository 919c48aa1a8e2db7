"""A 3×3 convolution of a picture 16 pixels wide: ``python -m programs.examples.convolution`` runs it.

ROTATE makes of three rows the nine vectors that a row of the result is the weighted sum of: row i, moved j pixels to
the left. There are four ALUs and nine products, so a row's vectors pass the VXM nine times, two cycles apart: an ALU of
stage 0 multiplies one of them, one of stage 1 adds it to the sum, which comes round through the other ALU of stage 0.
Each superlane has a picture of its own.
"""

import numpy as np
from numpy.typing import NDArray

from tsp.builder import Builder
from tsp.config import preset
from tsp.program import Program

SIZE = 3
TURN = 2
"""Cycles from product to product: through both stages."""


def meaning(x: NDArray[np.int64], weights: NDArray[np.int64]) -> NDArray[np.int64]:
    """int64 [rows - 2, pictures, 14] of pictures [rows, pictures, 16] and weights [3, 3]: pixels without neighbours to
    the right or below have no result."""
    rows, columns = x.shape[0] - SIZE + 1, x.shape[2] - SIZE + 1
    moved = [[x[i : i + rows, :, j : j + columns] for j in range(SIZE)] for i in range(SIZE)]
    return np.einsum("ij,ijrpc->rpc", weights, np.array(moved))


def build(x: NDArray[np.int64], weights: NDArray[np.int64]) -> Program:
    """A program that leaves the sums, int16 [rows - 2, lanes], in symbol ``y``; the last two lanes of each superlane
    are of pixels that ROTATE brought round."""
    b = Builder(preset("tiny"))
    rows = len(x) - SIZE + 1
    vectors = x.reshape(len(x), -1)
    # Rows r, r + 1 and r + 2 are read at once, so each of three slices has them all, from another one on.
    copies = [b.place(f"x{i}", f"mem.w{i}", vectors[i : i + rows]) for i in range(SIZE)]
    y = b.space("y", "mem.e0", rows, "int16")
    passes = SIZE * SIZE
    for row in range(rows):
        rotate = 8 + row * passes * TURN
        for i, copy in enumerate(copies):
            b.fetch(copy, i, "sxm.w.rotate", at=rotate, first=row, count=passes, every=TURN, step=0)
        b.sxm("sxm.w.rotate", "ROTATE", "w0", SIZE, to="e16", at=rotate, count=passes, every=TURN)
        first = b.arrive(rotate, "sxm.w.rotate", "vxm.r0s0")
        for number, weight in enumerate(weights.ravel().tolist()):
            at = first + number * TURN
            b.alu("vxm.r0s0", "MUL", f"e{16 + number}:int8", f"#{weight}", to="next", at=at)
            last = number == passes - 1
            if number == 0:
                b.alu("vxm.r0s1", "CONVERT", "r0", to="next", at=at + 1)
            else:
                b.alu("vxm.r1s0", "CONVERT", "r0", to="next", at=at)
                b.alu("vxm.r0s1", "ADD", "r0", "r1", to="e0:int16" if last else "next", at=at + 1)
        b.store(y, 0, "vxm.r0s1", at=at + 1, first=row)
    return b.build()


def example() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Two pictures of 6 rows, and weights that find edges."""
    x = np.random.default_rng(3).integers(-128, 128, (6, 2, 16))
    return x, np.array([[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]])


if __name__ == "__main__":
    from golden.machine import run
    from tsp.checker import check

    program = build(*example())
    result = run(program).values(program.symbols["y"]).reshape(-1, 2, 16)[..., :14]
    print(check(program))
    print(result[:, 0])
    print("as numpy" if (result == meaning(*example())).all() else "NOT as numpy")
