"""All proofs, in the order of the report."""

from tb.formal import alu, barrier, counters, fifo, floats, mem, sequencer, stream

MODULES = (fifo, sequencer, barrier, counters, stream, mem, alu, floats)
PROOFS = [proof for module in MODULES for proof in module.PROOFS]
