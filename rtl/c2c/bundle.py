"""What goes between the links in the south and the C2C tiles: names, widths and layouts, once.

Of each link of a hemisphere, and of each of its C2C queues. Everything going north is a tile further in the next cycle,
like an instruction; a superlane number in it counts down as it passes, so 0 is "this one".
"""

from typing import Any

from amaranth.lib.data import ArrayLayout, StructLayout
from amaranth.lib.wiring import In, Member, Out

from rtl.stream import WORD_BITS
from rtl.tile import SUPERLANE_BITS

LINK_BITS = 4
"""A link's number in its hemisphere, or in a chip."""
SLOT_BITS = 6
"""A place in a receive buffer, which holds 64 vectors at most."""
STREAM_BITS = 6
REGISTER_BITS, ADDRESS_BITS, DATA_BITS = 4, 12, 64
"""Of a link's registers, as the host sees them: which of its link, which of all, and how wide."""
FLIPS = 2
"""Bits of a vector that its two codes may turn back."""

FLIP = StructLayout({"valid": 1, "superlane": SUPERLANE_BITS, "bit": 7})
RECEIVE = StructLayout(
    {"stream": STREAM_BITS, "link": LINK_BITS, "slot": SLOT_BITS, "good": 1, "flips": ArrayLayout(FLIP, FLIPS)}
)
"""A RECEIVE on its way north, in T + 1 at superlane 0: what ``good`` vectors lack is set right by ``flips``."""
ARRIVAL = StructLayout({"superlane": SUPERLANE_BITS, "slot": SLOT_BITS, "data": WORD_BITS})
"""A superlane's word of a vector that comes in, on its way to that superlane's buffer."""


def _moving(names: dict[str, Any], inward: str, outward: str) -> dict[str, Member]:
    ports: dict[str, Member] = {}
    for name, shape in names.items():
        for flow, side in ((In, inward), (Out, outward)):
            ports |= {f"{side}_{name}_valid": flow(1), f"{side}_{name}": flow(shape)}
    return ports


def northward_ports(queues: int, links: int) -> dict[str, Member]:
    """``south_receive_<q>``, ``south_arrive_<l>`` with their ``_valid``: in; ``north_…``: out, registers."""
    names: dict[str, Any] = {f"receive_{number}": RECEIVE for number in range(queues)}
    return _moving(names | {f"arrive_{number}": ARRIVAL for number in range(links)}, "south", "north")


def southward_ports(links: int) -> dict[str, Member]:
    """``north_send_<l>_valid``, ``north_send_<l>``: in, a word on its way to the link; ``south_…``: out, registers."""
    return _moving({f"send_{number}": WORD_BITS for number in range(links)}, "north", "south")
