"""Layers of SmolLM2-135M on the golden model: ``python -m programs.smollm2.layer --words "The capital of France is"``.

A layer is compiled for `groqchip`, run on what the layers before it make of the words, and compared with numpy's
float32 and the same whole-number weights. With ``--last`` only the last word is computed, behind a cache of the others.
"""

import argparse
import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import golden.machine
import tsp
from programs.smollm2.model import Model, fetch
from tsp.checker import check
from tsp.compiler.decoder import decoder_layer, meaning
from tsp.compiler.decoder_sizes import Sizes, Weights
from tsp.config import preset
from tsp.errors import InputError
from tsp.tensors import outputs

Array = NDArray[Any]
CONFIG = preset("groqchip")


def run(sizes: Sizes, weights: Weights, values: Mapping[str, Array], file: Path | None) -> tuple[dict[str, Array], int]:
    """Outputs of a layer on the golden model, and its cycles; the program goes to ``file``. RuntimeError if they are
    not those foretold."""
    program = tsp.compile(decoder_layer(sizes, weights), CONFIG, "smollm2").with_inputs(values)
    report = check(program)
    if file is not None:
        program.save(file)
    result = golden.machine.run(program, trace=False)
    if not report.ok or result.fault is not None or result.cycles != report.cycles:
        raise RuntimeError(f"{report}; ran {result.cycles} cycles, {result.fault or 'no fault'}")
    return outputs(program, lambda place, address: result.words(place, [address])[0]), result.cycles


def behind(sizes: Sizes, weights: Weights, x: Array) -> tuple[Sizes, dict[str, Array]]:
    """Sizes and inputs of the last token alone, behind what the layer keeps of the others, in numpy."""
    kept = decoder_layer(sizes, weights).evaluate({"x": x})
    last = dataclasses.replace(sizes, tokens=1, cache=len(x) - 1)
    values: dict[str, Array] = {"x": x[-1:]}
    for b in range(len(sizes.bundles())):
        values[f"k_cache.{b}"] = kept[f"k.{b}"][:-1]
        values[f"v_cache.{b}"] = kept[f"v.{b}"].copy()
        values[f"v_cache.{b}"][:, -1] = 0
    return last, values


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--words", default="The capital of France is", help="each must be one token")
    parser.add_argument("--layer", type=int, nargs="*", default=[0], help="which to run on the golden model")
    parser.add_argument("--last", action="store_true", help="only the last word, behind a cache of the others")
    parser.add_argument("--folder", type=Path, default=Path("build/smollm2"), help="where the model is kept")
    parser.add_argument("--save", type=Path, help="folder for the programs, for tsp explain --path and tsp timeline")
    arguments = parser.parse_args()
    try:
        model = Model.load(fetch(arguments.folder))
        x = model.embedded(tokens := model.tokens(arguments.words))
        for number in range(model.layers):
            sizes, weights = model.sizes(number, len(tokens)), model.weights(number)
            y = meaning(sizes, weights, {"x": x})["y"]
            if number in arguments.layer:
                of, values = behind(sizes, weights, x) if arguments.last else (sizes, {"x": x})
                file = arguments.save / f"layer{number}.npz" if arguments.save else None
                found, cycles = run(of, weights, values, file)
                want = y[-of.tokens :]
                error = np.sqrt(((found["y"] - want) ** 2).mean() / (want**2).mean())
                print(f"layer {number}: {of.tokens} tokens behind {of.cache}, {cycles} cycles, numbers up to"
                      f" {np.abs(want).max():.1f}, greatest error {np.abs(found['y'] - want).max():.3g}, relative rms"
                      f" error {error:.2e}")  # fmt: skip
                y = np.concatenate([y[: -of.tokens], found["y"]])
            x = y
        print(f"{arguments.words}{model.next(x)}")
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
