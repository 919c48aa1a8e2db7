"""The bins that products of fp16 hit."""

from collections.abc import Mapping

import numpy as np

from golden import mxm_fp16
from golden.stream import Values
from tb.coverage.bins import FACTORS, FP16_ENDS, Bin
from tsp import isa
from tsp.config import PAIR
from tsp.floorplan import floorplan
from tsp.flow import Flow
from tsp.flow.issues import Ints
from tsp.isa import AccMode

NAN = 0x7FC00000
SPECIAL = {0: "0", 0x7F800000: "inf", 0xFF800000: "-inf", NAN: "NaN"}


def sample(flow: Flow, values: Values, found: Mapping[str, set[Bin]]) -> None:
    """Add what the pairs of planes of a legal program do to ``found``."""
    table, products = flow.accumulations, flow.products
    slices = floorplan(flow.config).slices
    for row in np.flatnonzero(products.fp16[table.product]).tolist() if len(table.issue) else ():
        hemisphere = slices[int(flow.issues.place[table.issue[row]])].hemisphere
        found["fp16_acc"].add((f"mxm.{hemisphere}", AccMode(int(table.mode[row])).name))
    pairs = np.stack([products.install, products.partner], axis=1)[products.fp16]
    for install, partner in np.unique(pairs, axis=0).tolist():
        chosen = np.flatnonzero(products.fp16 & (products.install == install) & (products.partner == partner))
        vectors = _halves(values, products.read[chosen])
        weights = _weights(flow, values, install) | _weights(flow, values, partner) << 8
        for name, numbers in zip(FACTORS, (weights, vectors), strict=True):
            # Every NaN is alike.
            plain = np.where((numbers & 0x7FFF) > 0x7C00, FP16_ENDS["NaN"], numbers)
            found["fp16_factor"] |= {(name, end) for end, bits in FP16_ENDS.items() if (plain == bits).any()}
        sums = mxm_fp16.sums(vectors, mxm_fp16.Weights(np.ascontiguousarray(weights.T))).view(np.uint32)
        for bits in np.unique(sums).tolist():
            found["fp16_sum"].add((SPECIAL.get(bits, "negative" if bits >> 31 else "positive"),))


def _halves(values: Values, rows: Ints) -> mxm_fp16.Halves:
    low, high = (values.taken(rows + plane).astype(np.uint16) for plane in range(PAIR))
    return np.asarray(low | high << 8, np.uint16)


def _weights(flow: Flow, values: Values, install: int) -> mxm_fp16.Halves:
    """The bytes [outputs, inputs] of one plane."""
    rows = flow.installs.loads[install][:, None] + np.arange(isa.GROUP16)
    return values.taken(rows).reshape(-1, flow.config.lanes).astype(np.uint16)
