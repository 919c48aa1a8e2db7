"""Where packets begin in a row of words (docs/links.md, section 1)."""

from amaranth.hdl import Module, Mux, Signal, Value

from rtl.link.receive import VECTOR_ONES


def is_vector(word: Value) -> Value:
    """The type of the packet that this word begins, by majority of byte 0."""
    return sum(word[:8]) >= VECTOR_ONES


def framing(m: Module, domain: str, superlanes: int, word: Value, moves: Value) -> tuple[Value, Value]:
    """Follow the words of a channel, one in every cycle of ``domain`` in which ``moves``, from its first on.

    Returns:
        Whether the word begins a packet, and whether it is the header of a vector.
    """
    remaining = Signal(range(superlanes + 1), name=f"{domain}_remaining")
    begins, header = Signal(name=f"{domain}_begins"), Signal(name=f"{domain}_header")
    m.d.comb += [begins.eq(remaining == 0), header.eq(begins & is_vector(word))]
    with m.If(moves):
        m.d[domain] += remaining.eq(Mux(begins, Mux(header, superlanes, 0), remaining - 1))
    return begins, header
