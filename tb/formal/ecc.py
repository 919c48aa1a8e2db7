"""SECDED: what a consumer makes of a word whose bits were flipped on the way."""

from collections.abc import Callable
from typing import Any

from amaranth.hdl import Cat, Mux, Signal, Value

from tb.formal.bench import Bench
from tb.formal.planted import Bug, Rtl
from tb.formal.proof import Proof

DATA_BITS, CHECK_BITS = 128, 9
WORD_BITS = DATA_BITS + CHECK_BITS


def additive(row: int) -> Callable[[Rtl], Bench]:
    """A check bit of any word with any bits flipped, and of the flipped bits alone."""

    def build_with(rtl: Rtl) -> Bench:
        def build(bench: Bench) -> None:
            encode = rtl("rtl.ecc").encode
            data, error = bench.free(DATA_BITS, "data"), bench.free(DATA_BITS, "error")
            bench.claim((encode(data ^ error) ^ encode(data) ^ encode(error))[row] == 0)

        return Bench(build)

    return build_with


def columns(rtl: Rtl) -> Bench:
    """A word of zeros but for one bit."""

    def build(bench: Bench) -> None:
        m, ecc = bench.m, rtl("rtl.ecc")
        decoder = ecc.DecoderLane()
        syndrome = bench.place("decoder", decoder)["syndrome"]
        place = bench.free(range(WORD_BITS), "place")
        bench.assume(place < WORD_BITS)
        word = _chosen(m, "word", place, [1 << bit for bit in range(WORD_BITS)], WORD_BITS)
        m.d.comb += Cat(decoder.data, decoder.check).eq(word)
        bench.claim(syndrome == _chosen(m, "column", place, ecc.ALL_COLUMNS, CHECK_BITS))

    return Bench(build)


def by_syndrome(rtl: Rtl) -> Bench:
    """Any data, with a syndrome that is the sum of at most two columns."""

    def build(bench: Bench) -> None:
        m, ecc = bench.m, rtl("rtl.ecc")
        encoder, decoder, valid = ecc.EccEncoder(), ecc.EccDecoder(), bench.free(1, "valid")
        bench.place("encoder", encoder)
        bench.place("decoder", decoder)
        places = [bench.free(range(WORD_BITS), f"place_{i}") for i in range(2)]
        count = bench.free(range(3), "flips")
        bench.assume((count < 3) & (places[0] < WORD_BITS) & (places[1] < WORD_BITS) & (places[0] != places[1]))
        columns = [_chosen(m, f"column_{i}", place, ecc.ALL_COLUMNS, CHECK_BITS) for i, place in enumerate(places)]
        wrong = _chosen(m, "wrong_bit", places[0], [1 << bit for bit in range(WORD_BITS)], WORD_BITS)
        data = bench.free(DATA_BITS, "data")
        syndrome = Mux(count > 0, columns[0], 0) ^ Mux(count > 1, columns[1], 0)
        m.d.comb += [encoder.valid.eq(1), encoder.data.eq(data), decoder.valid.eq(valid), decoder.data.eq(data)]
        m.d.comb += decoder.check.eq(encoder.check ^ syndrome)
        bench.claim(decoder.corrected == (valid & (count == 1)))
        bench.claim(decoder.uncorrectable == (valid & (count == 2)))
        bench.claim(decoder.fixed == data ^ Mux(count == 1, wrong, 0)[:DATA_BITS], valid & (count < 2))

    return Bench(build)


def _chosen(m: Any, name: str, index: Value, values: Any, width: int) -> Signal:
    found = Signal(width, name=name)
    with m.Switch(index):
        for i, value in enumerate(values):
            with m.Case(i):
                m.d.comb += found.eq(value)
    return found


PROOFS = [
    *(
        Proof(
            name=f"secded-sum-{row}",
            block="ecc",
            claim=f"check bit {row} of a word with any bits wrong is its own and that of the wrong bits alone, added",
            build=additive(row),
            bug=Bug("rtl.ecc", ".xor() for row in ROWS)", ".any() for row in ROWS)"),
            engine="smtbmc --nopresat --unroll z3 -- --noincr",
        )
        for row in range(CHECK_BITS)
    ),
    Proof(
        name="secded-columns",
        block="ecc",
        claim="the syndrome of one wrong bit alone is its column",
        build=columns,
        bug=Bug("rtl.ecc", "(column >> row & 1) << bit for bit", "(column >> row & 1) << (bit ^ 1) for bit"),
    ),
    Proof(
        name="secded-decoder",
        block="ecc",
        claim="for all data: if the syndrome is a column, that bit is set right and counted; if it is the sum of two, "
        "the word is flagged; if it is zero, it passes: so one wrong bit is corrected, and two are found",
        build=by_syndrome,
        bug=Bug("rtl.ecc", "number.bit_count() in (3, 5)", "number.bit_count() in (3, 4)"),
    ),
]
