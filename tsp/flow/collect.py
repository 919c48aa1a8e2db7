"""From bursts to specs: what each instruction drives, reads and accesses, with its latencies."""

from collections.abc import Mapping, Sequence

from tsp import isa
from tsp.config import ChipConfig
from tsp.dispatch import Burst
from tsp.floorplan import floorplan
from tsp.flow.issues import Specs
from tsp.flow.links import link_specs, number_of
from tsp.flow.streams import stream_specs
from tsp.timing import timing


def sxm_shape(instruction: isa.Instruction) -> tuple[list[tuple[int, int]], int]:
    """What an SXM instruction reads, as (first stream, streams) of each operand, and how many streams it drives."""
    values = instruction.values
    match instruction.mnemonic:
        case "PERMUTE":
            return [(values["source"], 1), (values["map"], 2)], 1
        case "DISTRIBUTE":
            return [(values["source"], 1), (values["map"], 1)], 1
        case "TRANSPOSE":
            return [(values["source"], isa.GROUP16)], isa.GROUP16
        case "SHIFT":
            select = [(values["select"], 1)] if values["selects"] else []
            return [(values["source"], 1), *select], 1
    return [(values["source"], values["n"])], values["n"] ** 2


FROM_STREAM, FROM_ALU = int(isa.OperandKind.STREAM), int(isa.OperandKind.ALU)


class Collector:
    """The specs of a program, one attribute per table of :class:`tsp.flow.analysis.Flow`."""

    def __init__(self, bursts: Sequence[Burst], config: ChipConfig):
        self.config, self.table, self.queues = config, timing(config), floorplan(config).queues
        self.drives, self.reads = stream_specs(), stream_specs()
        self.loads, self.stores = Specs("address", "by"), Specs("address", "by")
        self.indirect = Specs("scatter")
        self.chains = Specs("operand", "alu")
        self.next = Specs("alu")
        self.supercells = Specs("supercell", "by")
        self.installs, self.products = Specs(), Specs("fp16")
        self.accumulations = Specs("row", "by", "mode", "out")
        self.sends, self.receives = link_specs(), link_specs()
        for number, burst in enumerate(bursts):
            if burst.instruction.mnemonic == "IFETCH":
                self.reads.add(number, burst.instruction["stream"], 1, self.table.ifetch_skew, 0)
                continue
            self._HANDLERS[burst.instruction.operation.queues[0]](self, number, burst, burst.instruction.values)

    def _mem(self, number: int, burst: Burst, values: Mapping[str, int]) -> None:
        if "map" in values:
            self._indirect(number, values)
            return
        if "read_address" in values:
            self.loads.add(number, values["read_address"], burst.step_a)
            self.drives.add(number, values["read_stream"], 1, self.table.read_func, 0)
        if "write_address" in values:
            self.stores.add(number, values["write_address"], burst.step_b)
            self.reads.add(number, values["write_stream"], 1, self.table.write_skew, 0)

    def _indirect(self, number: int, values: Mapping[str, int]) -> None:
        """The map is operand 1, as that of the SXM's instructions; a SCATTER's data are operand 0."""
        scatter = "write_stream" in values
        self.indirect.add(number, int(scatter))
        self.reads.add(number, values["map"], 1, self.table.write_skew, 1)
        if scatter:
            self.reads.add(number, values["write_stream"], 1, self.table.write_skew, 0)
        else:
            self.drives.add(number, values["read_stream"], 1, self.table.read_func, 0)

    def _vxm(self, number: int, burst: Burst, values: Mapping[str, int]) -> None:
        alu = self.queues[burst.queue].number
        if values["to_stream"]:
            planes = isa.Type(values["type"]).planes
            self.drives.add(number, values["stream"], planes, self.table.alu_func, 0)
        if values["to_next"]:
            self.next.add(number, alu)
        rows, stages = self.config.vxm_rows, self.config.vxm_stages
        before = (alu // rows - 1) % stages * rows
        for operand, name in enumerate(isa.OPERAND_NAMES[: burst.instruction.operation.arity]):
            kind, source = values[f"{name}_kind"], values[f"{name}_source"]
            if kind == FROM_STREAM:
                self.reads.add(number, source, isa.Type(values[f"{name}_type"]).planes, self.table.alu_skew, operand)
            elif kind == FROM_ALU:
                self.chains.add(number, operand, before + source)

    def _weights(self, number: int, burst: Burst, values: Mapping[str, int]) -> None:
        if burst.instruction.mnemonic != "IW":
            self.supercells.add(number, values["supercell"], burst.step_a)
            self.reads.add(number, values["stream"], isa.GROUP16, self.table.lw_skew, 0)
        if burst.instruction.mnemonic != "LW":
            self.installs.add(number)

    def _activations(self, number: int, burst: Burst, values: Mapping[str, int]) -> None:
        fp16 = burst.instruction.mnemonic in isa.OF_A_PAIR
        self.products.add(number, int(fp16))
        planes = isa.Type.FP16.planes if fp16 else isa.Type.INT8.planes
        self.reads.add(number, values["stream"], planes, self.table.abc_skew, 0)

    def _accumulate(self, number: int, burst: Burst, values: Mapping[str, int]) -> None:
        self.accumulations.add(number, values["row"], burst.step_a, values["mode"], values["out"])
        if values["out"]:
            self.drives.add(number, values["stream"], 4, self.table.acc_func, 0)

    def _sxm(self, number: int, burst: Burst, values: Mapping[str, int]) -> None:
        reads, planes = sxm_shape(burst.instruction)
        for operand, (stream, count) in enumerate(reads):
            self.reads.add(number, stream, count, self.table.sxm_skew, operand)
        latency = self.table.sxm_result(self.queues[burst.queue].kind)
        self.drives.add(number, values["result"], planes, latency, 0)

    def _c2c(self, number: int, burst: Burst, values: Mapping[str, int]) -> None:
        link = number_of(burst.queue, values["link"], self.config)
        if burst.instruction.mnemonic == "SEND":
            self.sends.add(number, link)
            self.reads.add(number, values["stream"], 1, self.table.send_skew, 0)
        else:
            self.receives.add(number, link)
            self.drives.add(number, values["stream"], 1, self.table.receive_func, 0)

    _HANDLERS = {
        "mem": _mem,
        "vxm": _vxm,
        "mxm_weights": _weights,
        "mxm_activations": _activations,
        "mxm_accumulate": _accumulate,
        **dict.fromkeys(isa.SXM_KINDS, _sxm),
        "c2c": _c2c,
    }
