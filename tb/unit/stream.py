"""Streams: every value in an SR moves one SR further each cycle, and an empty stream moves nothing."""

import cocotb

from tb.unit.ports import Ports, config, seeded
from tb.unit.registers import check_empty_streams
from tb.unit.site import Row, compare
from tb.unit.site_driver import SiteDriver
from tb.unit.site_model import SiteModel
from tb.unit.traffic import Traffic, operands

LANES = 16


class StreamModel(SiteModel):
    """A site without tiles."""

    def obey(self, row: Row) -> None:
        pass


@cocotb.test()
async def every_value_moves_on_in_a_cycle(dut):
    driver = SiteDriver(Ports(dut), config(), queues=0)
    traffic = Traffic(StreamModel(config(), 0), seeded("stream"), [], lambda rng, queue: 0, operands(config()), LANES)
    for density in (0.1, 0.5, 1.0, 0.5):
        traffic.legal(40, density)
    traffic.settle()
    await driver.reset()
    compare(traffic.want, await driver.play(traffic.rows))
    assert any(len(shown.streams) == 2 * config().streams for shown in traffic.want), "no cycle had every stream full"


@cocotb.test()
async def an_empty_stream_keeps_its_register(dut):
    await check_empty_streams(SiteDriver(Ports(dut), config(), queues=0), seeded("empty"))


@cocotb.test()
async def reset_clears_presence(dut):
    driver = SiteDriver(Ports(dut), config(), queues=0)
    await driver.reset()
    full = Row({}, dict.fromkeys(operands(config()), 5))
    (shown,) = await driver.play([full, full])
    assert len(shown[-1].streams) == 2 * config().streams
    await driver.reset()
    (shown,) = await driver.play([Row()])
    assert not shown[0].streams
