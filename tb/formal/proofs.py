"""All proofs, in the order of the report."""

from tb.formal import counters, fifo, sequencer

PROOFS = [*fifo.PROOFS, *sequencer.PROOFS, *counters.PROOFS]
