"""numpy readings of the MXM for its unit tests: docs/architecture.md, section 4, and nothing of the RTL."""

import numpy as np
from amaranth.sim import Simulator

LANES = 16
RNG = np.random.Generator


def int32(values: np.ndarray) -> np.ndarray:
    """Low 32 bits as signed numbers."""
    return np.asarray(values, np.int64).astype(np.uint32).astype(np.int32)


def pack(values: np.ndarray) -> int:
    """An array's bytes as one number, first element lowest."""
    return int.from_bytes(np.ascontiguousarray(values).tobytes(), "little")


def unpack(number: int, dtype: type, count: int) -> np.ndarray:
    return np.frombuffer(number.to_bytes(count * np.dtype(dtype).itemsize, "little"), dtype)


def int8s(rng: RNG, *shape: int) -> np.ndarray:
    """Random int8, with the extremes more often than by chance."""
    values = rng.integers(-128, 128, shape, dtype=np.int8)
    extreme = rng.choice(np.array([-128, 127, -1, 0], np.int8), shape)
    return np.where(rng.random(shape) < 0.25, extreme, values)


class Array:
    """A weight buffer and an array, ``[out, in]``: what IW and ABC see when they come together with others."""

    def __init__(self, outputs: int, inputs: int):
        self.buffer = np.zeros((outputs, inputs), np.int8)
        self.array = np.zeros((outputs, inputs), np.int8)

    def step(self, rows: slice | None, weights: np.ndarray | None, install: bool, activation: np.ndarray | None):
        """One cycle: the product with the old array, then the old buffer installed, then the buffer loaded."""
        product = None if activation is None else int32(self.array.astype(np.int64) @ activation.astype(np.int64))
        if install:
            self.array = self.buffer.copy()
        if rows is not None:
            self.buffer[rows] = weights
        return product


def simulate(component, bench) -> None:
    """Run one testbench on a component clocked by ``sync``."""
    simulator = Simulator(component)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
