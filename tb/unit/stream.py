"""Streams: every value in an SR moves one SR further each cycle, and an empty stream moves nothing."""

import cocotb

from tb.unit.ports import Ports, config, seeded
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
    """Words change only with presence: what comes without it is not loaded."""
    ports, rng, streams = Ports(dut), seeded("empty"), operands(config())
    driver = SiteDriver(ports, config(), queues=0)
    vectors = {operand: rng.getrandbits(8 * LANES) for operand in streams}
    for flip in (0, (1 << 8 * LANES) - 1):  # so that every bit is kept as 0 and as 1
        await keeps(driver, {operand: vector ^ flip for operand, vector in vectors.items()})


async def keeps(driver: SiteDriver, vectors: dict[int, int]) -> None:
    """Vectors stay in their registers while rubbish comes without presence."""
    ports = driver.ports
    await driver.reset()
    await driver.play([Row({}, vectors)])
    rubbish = {driver.arriving(operand, 0): ~vector & (1 << 8 * LANES) - 1 for operand, vector in vectors.items()}
    seen = []
    for _ in range(3):
        await ports.cycle(rubbish | dict.fromkeys(driver.presence("in", 0).values(), 0))
        seen.append({operand: ports[driver.leaving(operand, 0)] for operand in vectors})
    # A word that passes in beats moves as it leaves: what stays is its last beat, wherever one looks.
    bits = 8 * LANES // config().beats
    last = {operand: vector >> 8 * LANES - bits for operand, vector in vectors.items()}
    repeated = sum(1 << bits * beat for beat in range(config().beats))
    assert seen[0] == vectors and seen[1] == seen[2] == {operand: part * repeated for operand, part in last.items()}


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
