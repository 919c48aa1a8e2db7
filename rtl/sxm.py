"""SXM: so far its sites pass streams through."""

from amaranth.hdl import Module
from amaranth.lib.wiring import Component

from rtl import stream
from tsp.config import ChipConfig


class SxmSite(Component):
    """The SRs around an SXM of one superlane: stream ports as every site has, and nothing else."""

    module_name = "sxm_site"

    def __init__(self, config: ChipConfig):
        self.config = config
        super().__init__(stream.site_stream_ports(config))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        stream.site_registers(m, self, self.config, [])
        return m
