"""All proofs, in the order of the report."""

from tb.formal import barrier, counters, fifo, sequencer

PROOFS = [*fifo.PROOFS, *sequencer.PROOFS, *barrier.PROOFS, *counters.PROOFS]
