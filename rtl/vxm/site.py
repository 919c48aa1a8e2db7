"""The VXM of one superlane: the SRs of its site, and all its ALUs with the paths from stage to stage."""

from amaranth.hdl import Cat, Const, Module, Value
from amaranth.lib.wiring import Component, Out

from rtl import stream, tile
from rtl.stamp import Stamp, stamp
from rtl.vxm.alu import VxmAlu
from tsp.config import ChipConfig


class VxmSite(Component):
    """Ports: docs/rtl.md, "Site". ALU (row r, stage s) obeys queue s·rows + r of the site. There are no write events.

    All ALUs are one slice with one place; its signature is the sum over them.
    """

    module_name = "vxm_site"

    def __init__(self, config: ChipConfig):
        self.config = config
        super().__init__(
            stream.site_stream_ports(config)
            | tile.site_instruction_ports(["vxm"] * config.alus)
            | tile.place_ports()
            | tile.host_ports(config)
            | tile.site_fault_ports()
            | tile.corrected_ports(config)
            | {"stream_event": Out(1)}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        rows = self.config.vxm_rows
        alus = [stamp(VxmAlu(self.config), f"alu_r{n % rows}s{n // rows}") for n in range(self.config.alus)]
        for number, alu in enumerate(alus):
            m.submodules[f"alu_r{number % rows}s{number // rows}"] = alu
            self._connect(m, alu, number)
            # Stage 0 follows the last one.
            first = (number // rows - 1) % self.config.vxm_stages * rows
            self._chain(m, alu, alus[first : first + rows])
        drives = [stream.Drive(alu.drive_mask, _words(alu), number) for number, alu in enumerate(alus)]
        faults = list(stream.site_registers(m, self, self.config, drives))
        absent = [stream.Fault(a.fault_valid, Const(n, tile.QUEUE_BITS), Const(tile.OPERAND_ABSENT, tile.KIND_BITS))
                  for n, a in enumerate(alus)]
        if self.config.ecc:
            kind = Const(tile.ECC_UNCORRECTABLE, tile.KIND_BITS)
            absent += [stream.Fault(a.uncorrectable, Const(n, tile.QUEUE_BITS), kind) for n, a in enumerate(alus)]
            tile.sum_corrected(m, self, alus)
        tile.report_fault(m, self, sorted(faults + absent, key=lambda fault: (fault.queue.value, fault.kind.value)))
        m.d.comb += self.stream_event.eq(Cat(alu.drive_valid for alu in alus).any())
        if self.config.trace:
            signature: Value = Const(0, tile.SIGNATURE_BITS)
            for alu in alus:
                signature = (signature + alu.event_sum)[: tile.SIGNATURE_BITS]
            tile.answer_signature(m, self, signature)
        return m

    def _connect(self, m: Module, alu: Stamp, number: int) -> None:
        tile.connect_instruction(m, self, alu, str(number))
        m.d.comb += [alu.time.eq(self.time), alu.place.eq(self.place)]
        for side in "ew":
            m.d.comb += getattr(alu, f"{side}_present").eq(getattr(self, f"{side}_present_in"))
            inputs, words = stream.words(alu, side, self.config), stream.words(self, f"{side}_in", self.config)
            m.d.comb += [port.eq(word) for port, word in zip(inputs, words, strict=True)]

    def _chain(self, m: Module, alu: Stamp, before: list[Stamp]) -> None:
        for row, other in enumerate(before):
            m.d.comb += getattr(alu, f"previous_{row}").eq(other.result)
        m.d.comb += alu.previous_valid.eq(Cat(other.result_valid for other in before))


def _words(alu: Stamp) -> list[Value]:
    return [getattr(alu, f"drive_word_{i}") for i in range(stream.RESIDUES)]
