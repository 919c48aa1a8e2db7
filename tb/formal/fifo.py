"""The queue's memory is a FIFO."""

from amaranth.hdl import Signal

from tb.formal.bench import Bench
from tb.formal.planted import Bug, Rtl
from tb.formal.proof import Proof

WIDTH, DEPTH = 8, 8


def fifo(rtl: Rtl) -> Bench:
    """Follow any one word from its push to its take."""

    def build(bench: Bench) -> None:
        m, queue = bench.m, rtl("rtl.icu_queue").QueueMemory(WIDTH, DEPTH)
        inside = bench.place("queue", queue)
        bench.drive(queue)
        # What the contract says of the two inputs.
        count = Signal(range(DEPTH + 2))
        bench.assume(~queue.push_valid | (count < DEPTH))
        bench.assume(~queue.take | queue.valid)
        m.d.sync += count.eq(count + queue.push_valid - queue.take)

        pushed = bench.before(queue.push_valid, "pushed")
        bench.claim(queue.valid == (count > pushed))
        bench.claim(queue.empty == (count == queue.valid))

        mark = bench.free(1, "mark")
        followed, ahead = Signal(), Signal(range(DEPTH + 2))
        word = Signal(WIDTH)
        with m.If(mark & queue.push_valid & ~followed):
            m.d.sync += [followed.eq(1), word.eq(queue.push_word), ahead.eq(count - queue.take)]
        with m.Elif(queue.take & (ahead == 0)):
            m.d.sync += followed.eq(0)
        with m.Elif(followed & queue.take):
            m.d.sync += ahead.eq(ahead - 1)
        bench.claim(queue.word == word, followed & queue.valid & (ahead == 0))

        # What makes it inductive: where the words are.
        write, read = inside["write_pointer"], inside["read_pointer"]
        in_memory = Signal(len(write))
        m.d.comb += in_memory.eq(write - read)
        bench.invariant(in_memory == count - queue.valid)
        bench.invariant(count <= DEPTH)
        bench.invariant(ahead < count, followed)
        row = inside.memory_row(m, (read + ahead - queue.valid)[: len(read) - 1])
        bench.invariant(row == word, followed & (ahead >= queue.valid))

    return Bench(build)


PROOFS = [
    Proof(
        name="queue-fifo",
        block="icu_queue",
        claim="words leave in the order of their pushes, each once, unchanged, the first one two cycles after its push",
        build=fifo,
        bug=Bug("rtl.icu_queue", "with m.If(read.en):", "with m.If(read.en & ~self.push_valid):"),
        reduced=f"{DEPTH} words of {WIDTH} bits",
        assumed="no push into a full queue; only a valid word is taken",
    ),
]
