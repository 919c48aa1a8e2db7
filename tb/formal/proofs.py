"""All proofs, in the order of the report."""

from tb.formal import alu, barrier, counters, fifo, mem, sequencer, stream

PROOFS = [*fifo.PROOFS, *sequencer.PROOFS, *barrier.PROOFS, *counters.PROOFS, *stream.PROOFS, *mem.PROOFS, *alu.PROOFS]
