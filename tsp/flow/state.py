"""Joins: the one earlier event of a group that another event sees. Indices are :data:`NONE` where there is none."""

import numpy as np
from numpy.typing import NDArray

from tsp.flow.issues import Ints

NONE = -1


def latest(group: Ints, time: Ints, asked_group: Ints, asked_time: Ints) -> Ints:
    """For each question the index of the event of its group with the greatest time not after the asked time.

    Args: groups ≥ 0; times of any sign. Events of one group have distinct times (of equals, any may be taken).
    """
    if not len(group) or not len(asked_group):
        return np.full(len(asked_group), NONE, np.int64)
    low = min(int(time.min()), int(asked_time.min()))
    span = max(int(time.max()), int(asked_time.max())) - low + 1
    order, keys = _sorted(group * span + (time - low))
    found = np.searchsorted(keys, asked_group * span + (asked_time - low), "right") - 1
    index = order[np.maximum(found, 0)]
    return np.where((found >= 0) & (group[index] == asked_group), index, NONE)


def exact(group: Ints, time: Ints, asked_group: Ints, asked_time: Ints) -> Ints:
    """Like :func:`latest`, but only an event at exactly the asked time counts."""
    found = latest(group, time, asked_group, asked_time)
    return np.where(present(found) & (take(time, found) == asked_time), found, NONE)


def _sorted(keys: Ints) -> tuple[Ints, Ints]:
    if np.all(keys[1:] >= keys[:-1]):
        return np.arange(len(keys)), keys
    order = np.argsort(keys, kind="stable")
    return order, keys[order]


def present(index: Ints) -> NDArray[np.bool_]:
    """Which indices are not NONE."""
    return np.not_equal(index, NONE)


def take(values: Ints, index: Ints, default: int = NONE) -> Ints:
    """``values[index]``, and ``default`` where the index is NONE."""
    if not len(values):
        return np.full(len(index), default, np.int64)
    return np.where(present(index), values[index], default)
