"""What a proof is."""

from collections.abc import Callable
from dataclasses import dataclass

from tb.formal.bench import Bench
from tb.formal.planted import Bug, Rtl


@dataclass(frozen=True)
class Proof:
    """A claim about a block of the RTL, and the bug with which it must not hold.

    Attributes:
        name: a slug; block: the file of ``rtl`` it is about, without ``.py``.
        claim: what holds, in words.
        build: the bench around the RTL, with or without the bug.
        bug: what its twin has.
        depth: of the induction: so many cycles in a row without a breach are followed by another one.
        twin_depth: cycles from reset in which the bug must show.
        reduced: what is smaller than in a chip; assumed: what the surroundings keep to.
        engine: sby's, with how z3 is used.
    """

    name: str
    block: str
    claim: str
    build: Callable[[Rtl], Bench]
    bug: Bug
    depth: int = 1
    twin_depth: int = 20
    reduced: str = "nothing"
    assumed: str = "nothing"
    engine: str = "smtbmc z3"

    def bench(self, twin: bool) -> Bench:
        """The bench of the proof or of its twin, which has no invariants: the bug must break a claim."""
        bench = self.build(Rtl(self.bug if twin else None))
        bench.with_invariants = not twin
        return bench
