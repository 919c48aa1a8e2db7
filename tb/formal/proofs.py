"""All proofs, in the order of the report."""

from tb.formal import (
    aligner,
    alu,
    barrier,
    counters,
    ecc,
    elastic,
    fetch,
    fifo,
    floats,
    gray,
    mem,
    poll,
    receive,
    sequencer,
    stream,
)

MODULES = (fifo, sequencer, fetch, barrier, counters, poll, receive, stream, mem, alu, floats, ecc)
MODULES += (aligner, elastic, gray)
PROOFS = [proof for module in MODULES for proof in module.PROOFS]
