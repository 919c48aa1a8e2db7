"""Random programs: legal ones, dense enough to be worth running, and illegal ones with what must come of them."""

from tsp.randprog.control import deskew_count, drift
from tsp.randprog.density import MINIMUM, Density, density
from tsp.randprog.expectation import Expectation
from tsp.randprog.flips import flips
from tsp.randprog.illegal import MISTAKES, illegal
from tsp.randprog.legal import legal

__all__ = [
    "MINIMUM", "MISTAKES", "Density", "Expectation", "density", "deskew_count", "drift", "flips", "illegal", "legal",
]  # fmt: skip
