"""Bins no program can reach, by name and reason."""

import dataclasses
from collections.abc import Callable

from tb.coverage.bins import Bin
from tsp.config import ChipConfig


@dataclasses.dataclass(frozen=True)
class Exclusion:
    """Bins of one group that are left out, and why."""

    name: str
    group: str
    holds: Callable[[Bin, ChipConfig], bool]
    reason: str


EXCLUSIONS = (
    Exclusion(
        "repeat_of_control",
        "queue",
        lambda bin, config: bin == ("c2c", "REPEAT") and not config.c2c,
        "queues without a slice take control instructions only, and REPEAT may follow none of them",
    ),
    Exclusion(
        "silent_value",
        "mxm_acc",
        lambda bin, config: bin[1] in ("PASS", "PEEK") and bin[2] == "silent",
        "without a stream they do nothing, and the assembler refuses them",
    ),
    Exclusion(
        "one_supercell",
        "repeat_steps",
        lambda bin, config: config.superlanes == 1 and bin[0] in ("LW", "LW_IW") and bin[2] != "stay",
        "with one superlane there is one supercell column, and a step leads out of it",
    ),
    Exclusion(
        "one_word_a_bank",
        "repeat_steps",
        lambda bin, config: config.mem_words == 2 and bin[0] == "READ_WRITE" and set(bin[2:]) != {"stay"},
        "with one word in a bank a step leads into the other bank",
    ),
    Exclusion(
        "one_superlane",
        "mem_named",
        lambda bin, config: config.superlanes == 1 and bin[1] == "several",
        "a map of one superlane names one word",
    ),
    Exclusion(
        "narrow_int32",
        "alu_convert",
        lambda bin, config: bin[0] == "INT32" and bin[2] != "in range",
        "every value is an int32",
    ),
    Exclusion(
        "integer_is_exact",
        "int_to_float",
        lambda bin, config: (
            bin[2] == "rounded"
            and (bin[0] == "INT8" or bin[:2] == ("INT16", "FP32"))
            or bin[2] == "infinite"
            and bin[0] != "INT32"
        ),
        "numbers of so few bits are floats already, and none is beyond fp16",
    ),
)


def exclusion(group: str, bin: Bin, config: ChipConfig) -> Exclusion | None:
    """Why a bin is left out; None if it counts."""
    return next((e for e in EXCLUSIONS if e.group == group and e.holds(bin, config)), None)
