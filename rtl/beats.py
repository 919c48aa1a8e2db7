"""Words that pass in beats: several clocks for a schedule cycle, and part of a word in each.

With ``beats`` = 1 a clock is a schedule cycle and none of this leaves a trace in the Verilog. Otherwise every module
has an input ``beat``, the clock of the schedule cycle: registers of domain ``sync`` load in its last one only, those of
:func:`domain` in every one. A word that passes in beats has ``WORD_BITS / beats`` bits at a time, the lowest lanes
first; "valid in T" then means that beat b is there in clock b of cycle T. Whatever works lane by lane is as many times
smaller, and the whole chip as many times slower.
"""

from functools import cache

from amaranth.hdl import Cat, Const, Module, Signal, Value

from tsp.config import ChipConfig

BEAT = "beat"
"""Domain of the registers that load in every clock, and name of the port that numbers the clocks."""


@cache
def beat_number(beats: int) -> Signal:
    """The clock of the schedule cycle, 0 … beats - 1: one signal that every module has as its input."""
    return Signal(range(beats), name=BEAT, reset_less=True)


def beats_of(component: object) -> int:
    """How many clocks a schedule cycle of a component takes; 1 if it has no configuration."""
    config: ChipConfig | None = getattr(component, "config", None)
    return 1 if config is None else config.beats


def last_beat(beats: int) -> Value:
    """High in the last clock of a schedule cycle."""
    return beat_number(beats).all()


def domain(beats: int) -> str:
    """The domain of registers that load in every clock."""
    return "sync" if beats == 1 else BEAT


def count(m: Module, beats: int) -> None:
    """Drive ``beat`` in a top module with several: 0 in reset and in the first clock after it."""
    number = Signal(range(beats), name="beat_register")
    m.d[BEAT] += number.eq(number + 1)
    m.d.comb += beat_number(beats).eq(number)


def in_next_cycle(m: Module, name: str, beats: int, stage: Value, moves: Value | None = None) -> Value:
    """What was a schedule cycle ago the input of ``stage``, a register of the first clock.

    ``moves``: that what ``stage`` holds may be wanted in this cycle or the next; always, by default.
    """
    for i in range(1, beats):
        earlier, stage = stage, Signal(len(stage), name=f"{name}_{i}", reset_less=True)
        with m.If(Const(1) if moves is None else moves):
            m.d[BEAT] += stage.eq(earlier)
    return stage


def whole(m: Module, name: str, beats: int, part: Value) -> Value:
    """The whole of what passes in beats; valid in the last clock of the cycle, when ``sync`` registers load."""
    parts = [part]
    for i in range(1, beats):
        earlier = Signal(len(part), name=f"{name}_before_{i}", reset_less=True)
        m.d[BEAT] += earlier.eq(parts[0])
        parts.insert(0, earlier)
    return Cat(parts)


def part(beats: int, word: Value) -> Value:
    """The beats of a word that stays for a cycle."""
    return word if beats == 1 else word.word_select(beat_number(beats), len(word) // beats)
