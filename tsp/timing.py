"""When things happen: the table that golden model, checker and scheduler read and a test measures on the RTL.

For an instruction dispatched at T (architectural time, superlane 0): a stream operand is read at T + skew; a result is
in the stream register at T + func; a distance is the number of cycles between two dispatches.
"""

import dataclasses
from functools import lru_cache

from tsp.config import ChipConfig
from tsp.floorplan import floorplan
from tsp.isa import SXM_ACROSS


@dataclasses.dataclass(frozen=True)
class Timing:
    """Latencies of one configuration in cycles. Every field is measured on the RTL by ``tests/cosim``."""

    read_func: int
    """MEM READ: result in the SR."""
    write_skew: int
    """MEM WRITE: stream operand read, and the word written (the time of its memory event)."""
    write_read: int
    """WRITE→READ of one word: the first READ that sees it."""
    alu_skew: int
    """VXM ALU: stream operands read."""
    alu_func: int
    """VXM ALU: result in the SR."""
    alu_next: int
    """VXM ALU→ALU of the next stage: the only dispatch that can use the result."""
    lw_skew: int
    """MXM LW: the sixteen stream operands read."""
    lw_iw: int
    """LW→IW: the first IW that installs it."""
    iw_abc: int
    """IW→ABC: the first ABC that uses the weights."""
    abc_skew: int
    """MXM ABC: activations read."""
    abc_acc: int
    """ABC→ACC: the only ACC that takes its result."""
    acc_func: int
    """MXM ACC: result in the SR."""
    acc_acc: int
    """ACC→ACC of one row: the first that sees the stored value."""
    sxm_skew: int
    """SXM: all stream operands read."""
    sxm_func: int
    """DISTRIBUTE, TRANSPOSE, ROTATE: result in the SR."""
    sxm_across_func: int
    """PERMUTE, SHIFT, whose bytes cross superlanes: result in the SR."""
    ifetch_skew: int
    """IFETCH: its first vector read; the next ones a cycle each later."""
    ifetch_dispatch: int
    """Superlane 0's word of an IFETCH's vector read→the first cycle it can dispatch in; superlane k's is 2·k later."""
    send_skew: int
    """SEND: its stream read."""
    send_wire: int
    """SEND: the first word of its packet on the link's pins."""
    receive_ready: int
    """A packet's last word arrives at A→the first RECEIVE or POLL that sees its vector: A + 1 + receive_ready."""
    receive_func: int
    """RECEIVE: its vector in the SR."""
    config: int
    """CONFIG→the first dispatch, of any queue, that acts on its superlanes only."""
    barrier: int
    """NOTIFY→release."""
    deskew: int
    """DESKEW, POLL→next instruction of that queue, in schedule time (the wait for the epoch is not counted)."""
    runtime_deskew: int
    """RUNTIME_DESKEW t→next instruction, in schedule time, less t."""
    drain: int
    """All queues empty→done, in schedule cycles."""

    def sxm_result(self, kind: str) -> int:
        """Cycles to the result of an instruction of an SXM queue of that kind."""
        return self.sxm_across_func if kind in SXM_ACROSS else self.sxm_func


@lru_cache(maxsize=64)
def timing(config: ChipConfig) -> Timing:
    """The timing table of a configuration."""
    sites = len(floorplan(config).sites)
    return Timing(
        read_func=2,
        write_skew=0,
        write_read=1,
        alu_skew=0,
        alu_func=2,
        alu_next=1,
        lw_skew=0,
        lw_iw=1,
        iw_abc=1,
        abc_skew=0,
        abc_acc=2 * config.superlanes,
        acc_func=2,
        acc_acc=1,
        sxm_skew=0,
        sxm_func=2,
        # The southernmost result waits for the northernmost operand, S - 1 cycles of stagger later.
        sxm_across_func=config.superlanes + 2,
        ifetch_skew=0,
        ifetch_dispatch=5,
        send_skew=0,
        # Superlane S - 1's word comes south 2·S - 2 cycles after superlane 0's, and leaves in word S - 1 of the packet.
        send_wire=config.superlanes + 4,
        receive_ready=3,
        receive_func=3,
        config=2,
        # 35 on the published chip; ours elsewhere. groqchip has 27 sites, so one formula serves both.
        barrier=sites + 8,
        deskew=1,
        runtime_deskew=1,
        # Stagger, the plane row's second stagger, the trace pipeline and the fault chain have all settled by then.
        drain=4 * config.superlanes + sites + 8,
    )


def arrival(producer_site: int, consumer_site: int) -> int:
    """Hops of a value from the SR it enters to the SR beside the consumer: |b - a| - 1, for b downstream of a."""
    return abs(consumer_site - producer_site) - 1
