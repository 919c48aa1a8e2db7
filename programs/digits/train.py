"""Train the digits classifier, quantise it, and write `weights.npz`: `python -m programs.digits.train`.

Reproducible to the byte: seeded, and every value that enters a matrix product lies on a grid of 2**-k coarse enough
for float64 to hold each sum exactly, so the order in which a BLAS library adds does not matter.
"""

import argparse
import itertools
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from programs.digits.data import PIXEL_MAX, LabelledImages, training_set
from programs.digits.model import (
    HIDDEN,
    INPUTS,
    OUTPUTS,
    WEIGHTS_FILE,
    Weights,
    accuracy,
    hidden_sums,
    logits,
    shift_right_half_even,
)

Floats = NDArray[np.float64]
Parameters = dict[str, Floats]

FOLDS = 5
WEIGHT_GRID = 14  # fraction bits of weights; products of two grids and sums over a batch stay below 53 bits
GRADIENT_GRID = 20  # fraction bits of the gradient of the logits


@dataclass(frozen=True)
class Recipe:
    """How to train. The values are the best of `--search`, which sees the training set only.

    Attributes:
        epochs: passes over the training images.
        decay: share of a weight taken off per step, times the learning rate.
        rate: Adam's first learning rate; it falls linearly to zero.
        batch: images per step.
        seed: of the first weights and of the order of the images.
    """

    epochs: int = 60
    decay: float = 0.1
    rate: float = 0.01
    batch: int = 64
    seed: int = 1


def train(data: LabelledImages, recipe: Recipe) -> Parameters:
    """Fit the float network by Adam with decoupled weight decay; deterministic.

    Returns:
        float64 w1 [32, 64], b1 [32], w2 [10, 32], b2 [10], for pixels scaled to 0..1.
    """
    random = np.random.RandomState(recipe.seed)
    pixels, wanted = data.images / PIXEL_MAX, np.eye(OUTPUTS)[data.labels]
    net = {
        "w1": _grid(random.uniform(-1, 1, (HIDDEN, INPUTS)) * (6 / INPUTS) ** 0.5, WEIGHT_GRID),
        "b1": np.zeros(HIDDEN),
        "w2": _grid(random.uniform(-1, 1, (OUTPUTS, HIDDEN)) * (6 / HIDDEN) ** 0.5, WEIGHT_GRID),
        "b2": np.zeros(OUTPUTS),
    }
    mean = {name: np.zeros_like(value) for name, value in net.items()}
    square = {name: np.zeros_like(value) for name, value in net.items()}
    steps = recipe.epochs * -(-len(pixels) // recipe.batch)
    step, mean_share, square_share = 0, 1.0, 1.0
    for _ in range(recipe.epochs):
        order = random.permutation(len(pixels))
        for start in range(0, len(order), recipe.batch):
            chosen = order[start : start + recipe.batch]
            rate = recipe.rate * (1 - step / steps)
            step, mean_share, square_share = step + 1, mean_share * 0.9, square_share * 0.999
            for name, slope in _gradients(net, pixels[chosen], wanted[chosen]).items():
                mean[name] = 0.9 * mean[name] + 0.1 * slope
                square[name] = 0.999 * square[name] + 0.001 * slope * slope
                move = mean[name] / (1 - mean_share) / (np.sqrt(square[name] / (1 - square_share)) + 1e-8)
                if name.startswith("w"):
                    move = move + recipe.decay * net[name]
                net[name] = _grid(net[name] - rate * move, WEIGHT_GRID)
    return net


def quantise(net: Parameters, images: NDArray[np.int8]) -> Weights:
    """Round a float network to int8 weights, int32 biases and a power-of-two requantisation.

    Each layer's scale makes its largest weight +-127: scales need be no powers of two, since relu and argmax do not see
    a positive factor. The shift is the smallest with which no hidden value of `images` (int8 [N, 64]) saturates.
    """
    scale1 = 127 / np.abs(net["w1"]).max()
    scale2 = 127 / np.abs(net["w2"]).max()
    w1 = np.rint(net["w1"] * scale1).astype(np.int8)
    b1 = np.rint(net["b1"] * scale1 * PIXEL_MAX).astype(np.int32)
    w2 = np.rint(net["w2"] * scale2).astype(np.int8)
    unshifted = Weights(w1, b1, 0, w2, np.zeros(OUTPUTS, np.int32))
    largest = hidden_sums(images, unshifted).max(keepdims=True)
    shift = next(s for s in range(32) if shift_right_half_even(largest, s) <= 127)
    b2 = np.rint(net["b2"] * scale2 * scale1 * PIXEL_MAX / 2**shift).astype(np.int32)
    return Weights(w1, b1, shift, w2, b2)


def cross_validate(data: LabelledImages, recipe: Recipe) -> float:
    """Accuracy 0..1 of the quantised network on images it was not trained on: `FOLDS` folds of `data`."""
    right = 0.0
    fold = np.arange(len(data.labels)) % FOLDS
    for k in range(FOLDS):
        fit = LabelledImages(data.images[fold != k], data.labels[fold != k])
        weights = quantise(train(fit, recipe), fit.images)
        right += accuracy(logits(data.images[fold == k], weights), data.labels[fold == k]) * np.sum(fold == k)
    return float(right / len(fold))


def save(weights: Weights, path: Path) -> None:
    """Write an `.npz` whose bytes depend on the weights only (no time stamps, no compression, no pickle)."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, value in weights.arrays().items():
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = 3  # the default differs between operating systems
            with archive.open(entry, "w") as file:
                np.lib.format.write_array(file, value, version=(1, 0), allow_pickle=False)


def _gradients(net: Parameters, pixels: Floats, wanted: Floats) -> Parameters:
    """Slopes of the mean cross entropy over a batch (pixels [N, 64], wanted [N, 10] one-hot)."""
    sums = pixels @ net["w1"].T + net["b1"]
    hidden = np.maximum(sums, 0)
    scores = hidden @ net["w2"].T + net["b2"]
    powers = _grid(np.exp(scores - scores.max(axis=1, keepdims=True)), GRADIENT_GRID)
    errors = _grid(powers / powers.sum(axis=1, keepdims=True) - wanted, GRADIENT_GRID)
    back = (errors @ net["w2"]) * (sums > 0)
    slopes = {"w1": back.T @ pixels, "b1": back.sum(axis=0), "w2": errors.T @ hidden, "b2": errors.sum(axis=0)}
    return {name: slope / len(pixels) for name, slope in slopes.items()}


def _grid(values: Floats, bits: int) -> Floats:
    return np.rint(values * 2.0**bits) / 2.0**bits


def _search(data: LabelledImages) -> None:
    for epochs, decay in itertools.product((30, 60, 120), (0.01, 0.1, 0.3, 1.0)):
        recipe = Recipe(epochs=epochs, decay=decay)
        print(f"epochs {epochs:3} decay {decay:4}: {cross_validate(data, recipe):.2%}", flush=True)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="train the digits classifier and write its weight file")
    parser.add_argument("--out", type=Path, default=WEIGHTS_FILE, help="where to write (default: beside this script)")
    parser.add_argument("--search", action="store_true", help="compare recipes by cross-validation, write nothing")
    options = parser.parse_args()
    data = training_set()
    if options.search:
        _search(data)
        return
    weights = quantise(train(data, Recipe()), data.images)
    save(weights, options.out)
    print(f"cross-validated accuracy ({FOLDS} folds of {len(data.labels)}): {cross_validate(data, Recipe()):.2%}")
    print(f"accuracy on the training images: {accuracy(logits(data.images, weights), data.labels):.2%}")
    print(f"wrote {options.out} (shift {weights.shift1})")


if __name__ == "__main__":
    main()
