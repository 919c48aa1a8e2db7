"""Windows on images: of convolutions and pools."""

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tsp.errors import InputError

if TYPE_CHECKING:
    from tsp.compiler.graph import Tensor

MOST_TAPS = 1 << 24
"""Pixels that all windows take, at most."""


@dataclasses.dataclass(frozen=True)
class Windows:
    """Where windows stand on an image, down and across. ``pads``: above, left, below and right, as ONNX orders them.
    InputError for strides or dilations that are not at least 1."""

    strides: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilations: tuple[int, int] = (1, 1)

    def __post_init__(self) -> None:
        lengths = [len(self.strides), len(self.pads), len(self.dilations)]
        if lengths != [2, 4, 2] or min(*self.strides, *self.dilations) < 1:
            raise InputError(f"{self}: must have two strides and two dilations, each at least 1, and four pads")

    def rows(self, x: "Tensor", size: tuple[int, int]) -> tuple[tuple[tuple[int, ...], ...], tuple[int, int, int]]:
        """For each place in a window the rows of all windows in order, -1 beyond the edge; the image they make."""
        if x.image is None:
            raise InputError(f"{x} is no image; give its input an image=(n, lines, columns)")
        count, lines, columns = x.image
        spans = [(size[i] - 1) * self.dilations[i] + 1 for i in (0, 1)]
        room = lines + self.pads[0] + self.pads[2], columns + self.pads[1] + self.pads[3]
        high, wide = ((room[i] - spans[i]) // self.strides[i] + 1 for i in (0, 1))
        if min(high, wide, *size) < 1:
            raise InputError(f"windows of {list(size)} do not fit the image {[lines, columns]} of {x} with {self}")
        if (taken := count * high * wide * size[0] * size[1]) > MOST_TAPS:
            raise InputError(f"windows of {list(size)} on {x} with {self} take {taken} pixels; most are {MOST_TAPS}")
        n, y, w = (axis.reshape(-1) for axis in np.indices((count, high, wide)))
        taps = []
        for line, column in np.ndindex(*size):
            at = y * self.strides[0] + line * self.dilations[0] - self.pads[0]
            beside = w * self.strides[1] + column * self.dilations[1] - self.pads[1]
            inside = (at >= 0) & (at < lines) & (beside >= 0) & (beside < columns)
            taps.append(tuple(np.where(inside, (n * lines + at) * columns + beside, -1).tolist()))
        return tuple(taps), (count, high, wide)

    def pixels(self, x: "Tensor", size: tuple[int, int], padding: bool) -> NDArray[np.int64]:
        """How many pixels each window has: one number for all, or one for each row; padding counts only if so said.
        InputError for a window of padding alone."""
        taps, _ = self.rows(x, size)
        counts = np.sum([np.asarray(rows) >= 0 for rows in taps], axis=0)
        if padding or (counts == len(taps)).all():
            return np.array([[len(taps)]])
        if not counts.all():
            raise InputError(f"windows of {list(size)} on {x} with {self}: one has no pixel of the image to average")
        return np.asarray(counts).reshape(-1, 1)
