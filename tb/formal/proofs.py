"""All proofs, in the order of the report."""

from tb.formal import fifo, sequencer

PROOFS = [*fifo.PROOFS, *sequencer.PROOFS]
