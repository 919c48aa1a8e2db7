"""scikit-learn's handwritten digits, split once and for all into a training set and a held-out set.

The images are scans of real handwriting (UCI "Optical Recognition of Handwritten Digits", test part): 1,797 images of
8x8 pixels, each an integer 0..16, so int8 holds them exactly. The training script calls `training_set` only.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

IMAGES = 1797
HELD_OUT = 360
PIXELS = 64
PIXEL_MAX = 16
CLASSES = 10
SPLIT_SEED = 2020


class LabelledImages(NamedTuple):
    """Images with the digits they show.

    Attributes:
        images: int8 [N, 64], pixel values 0..16, row-major 8x8, in the data set's own order.
        labels: int64 [N], digits 0..9.
    """

    images: NDArray[np.int8]
    labels: NDArray[np.int64]


def held_out_mask() -> NDArray[np.bool_]:
    """Which images of the data set are held out: bool [1797], 360 of them True; depends on `SPLIT_SEED` alone."""
    # RandomState, not default_rng: numpy promises that its sequence never changes (NEP 19).
    order = np.random.RandomState(SPLIT_SEED).permutation(IMAGES)
    mask = np.zeros(IMAGES, dtype=np.bool_)
    mask[order[:HELD_OUT]] = True
    return mask


def training_set() -> LabelledImages:
    """The 1,437 images that training may look at.

    Raises:
        ValueError: the installed scikit-learn carries another data set than the one described above.
    """
    return _select(~held_out_mask())


def held_out_set() -> LabelledImages:
    """The 360 images that only measure accuracy.

    Raises:
        ValueError: the installed scikit-learn carries another data set than the one described above.
    """
    return _select(held_out_mask())


def _select(mask: NDArray[np.bool_]) -> LabelledImages:
    pixels, labels = load_digits(return_X_y=True)
    if pixels.shape != (IMAGES, PIXELS):
        raise ValueError(f"scikit-learn's digits have shape {pixels.shape}, expected {(IMAGES, PIXELS)}")
    images = pixels.astype(np.int8)
    if np.any(images != pixels) or images.min() < 0 or images.max() > PIXEL_MAX:
        raise ValueError(f"scikit-learn's digits are not all integers 0..{PIXEL_MAX}")
    return LabelledImages(images[mask], labels[mask].astype(np.int64))
