"""All proofs, in the order of the report."""

from tb.formal import aligner, alu, barrier, counters, ecc, elastic, fetch, fifo, floats, mem, sequencer, stream

MODULES = (fifo, sequencer, fetch, barrier, counters, stream, mem, alu, floats, ecc, aligner, elastic)
PROOFS = [proof for module in MODULES for proof in module.PROOFS]
