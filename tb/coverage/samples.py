"""Which bins a program hits: from its unrolled instructions, its dataflow and the values of the golden model."""

from collections import defaultdict

import numpy as np

import golden.indirect
import golden.machine
from golden.stream import Values
from tb.coverage import sample_alu, sample_mxm, sample_sxm
from tb.coverage.bins import DIRECTIONS, SIGNS, Bin
from tsp import isa
from tsp.dispatch import Burst, Control
from tsp.floorplan import floorplan
from tsp.flow import Flow
from tsp.program import Program
from tsp.timing import timing

Samples = dict[str, set[Bin]]


def samples(program: Program, result: golden.machine.Result) -> Samples:
    """Group → the bins a legal program hits."""
    found: Samples = defaultdict(set)
    flow = result.flow
    _words(program, flow, found)
    _controls(program, flow, found)
    for burst in flow.unrolled.bursts:
        if burst.instruction.operation.repeatable:
            _repeat(burst, found)
        if burst.instruction.operation.queues == ("mem",):
            _mem(program, burst, found)
    _loads(program, flow, found)
    values, _ = golden.machine.compute(flow, result.initial)
    _indirect(flow, values, found)
    sample_alu.sample(program, flow, values, found)
    sample_mxm.sample(program, flow, values, found)
    sample_sxm.sample(program, flow, values, found)
    return found


def _words(program: Program, flow: Flow, found: Samples) -> None:
    plan = floorplan(program.config)
    for queue, words in flow.unrolled.words.items():
        for word in words:
            instruction = isa.decode(word)
            assert instruction is not None
            found["queue"].add((plan.queues[queue].kind, instruction.mnemonic))
            if instruction.mnemonic == "NOP":
                found["nop"].add((f"n={instruction['n']}" if instruction["n"] <= 2 else "n>2",))


def _controls(program: Program, flow: Flow, found: Samples) -> None:
    barrier, queues = timing(program.config).barrier, floorplan(program.config).queues
    controls = flow.unrolled.controls
    notifies = sorted(control.cycle for control in controls if control.mnemonic == "NOTIFY")
    for earlier, later in zip(notifies, notifies[1:], strict=False):
        found["notify"].add(("one barrier after the last" if later - earlier == barrier else "later",))
    notifiers = {(control.queue, control.cycle + barrier) for control in controls if control.mnemonic == "NOTIFY"}
    for control in controls:
        if control.mnemonic == "SYNC" and control.resume is not None:
            found["sync"].add((queues[control.queue].kind, _when(control.cycle, control.resume - barrier, barrier)))
            if (control.queue, control.resume) in notifiers:
                found["notify"].add(("the notifier parks too",))
        elif control.mnemonic in ("DESKEW", "RUNTIME_DESKEW"):
            _deskew(control, controls, found)
    _configs(controls, program.config.superlanes, found)


def _configs(controls: list[Control], superlanes: int, found: Samples) -> None:
    before = superlanes
    for config in sorted((c for c in controls if c.mnemonic == "CONFIG"), key=lambda c: c.cycle):
        found["config"].add(("p=S" if config.p == superlanes else "p=1" if config.p == 1 else "1<p<S",))
        change = ("same", "more", "fewer")[(config.p > before) - (config.p < before)]
        found["config_change"].add((change,))
        before = config.p


def _when(sync: int, notify: int, barrier: int) -> str:
    if sync == notify + barrier - 1:
        return "in the last cycle"
    return "with NOTIFY" if sync == notify else "before NOTIFY" if sync < notify else "after NOTIFY"


def _deskew(deskew: Control, controls: list[Control], found: Samples) -> None:
    together = sum((c.mnemonic, c.cycle) == (deskew.mnemonic, deskew.cycle) for c in controls)
    found["deskew"].add((deskew.mnemonic, "together" if together > 1 else "alone"))
    if deskew.mnemonic == "RUNTIME_DESKEW":
        found["runtime_deskew"].add(("t>0" if deskew.t else "t=0",))


def _sign(step: int) -> str:
    return SIGNS[(step > 0) - (step < 0) + 1]


def _repeat(burst: Burst, found: Samples) -> None:
    if burst.count == 1:
        return
    operation = burst.instruction.operation
    places = {(field.lo, field.width) for field in operation.fields} if operation.queues != ("vxm",) else set()
    a = _sign(burst.step_a) if isa.ADDRESS_A in places else "-"
    b = _sign(burst.step_b) if isa.ADDRESS_B in places else "-"
    found["repeat_steps"].add((operation.mnemonic, "d=1" if burst.interval == 1 else "d>1", a, b))
    found["repeat_count"].add((operation.mnemonic, "n=1" if burst.count == 2 else "n>1"))


def _mem(program: Program, burst: Burst, found: Samples) -> None:
    instruction, half = burst.instruction, program.config.mem_words // 2
    corners = {0: "first", half - 1: "below the border", half: "above it", program.config.mem_words - 1: "last"}
    ways = []
    for port, step in (("read", burst.step_a), ("write", burst.step_b)):
        if f"{port}_address" not in instruction.values:
            continue
        stream = instruction[f"{port}_stream"]
        ways.append(DIRECTIONS[stream >> isa.STREAM_DIRECTION_BIT])
        found["mem_stream"].add((port, isa.stream_name(stream)))
        for issue in range(burst.count):
            address = instruction[f"{port}_address"] + issue * step
            found["mem"].add((instruction.mnemonic, port, ways[-1], address // half))
            if address in corners:
                found["mem_address"].add((port, corners[address]))
    if len(ways) == 2:
        found["mem_both"].add(tuple(ways))


def _indirect(flow: Flow, values: Values, found: Samples) -> None:
    """GATHERs and SCATTERs: where data and maps come from and go to, and which words are named."""
    named = golden.indirect.addresses(flow, values, np.arange(len(flow.indirect.issue)))
    for issue, words in zip(flow.indirect.issue.tolist(), named.tolist(), strict=True):
        instruction = flow.issues.bursts[flow.issues.burst[issue]].instruction
        streams = instruction.values.get("read_stream", instruction.values.get("write_stream", 0)), instruction["map"]
        ways = (DIRECTIONS[stream >> isa.STREAM_DIRECTION_BIT] for stream in streams)
        found["mem_indirect"].add((instruction.mnemonic, *ways))
        corners = {0: "first", flow.config.mem_words - 1: "last"}
        found["mem_named"].update((instruction.mnemonic, corners[word]) for word in words if word in corners)
        found["mem_named"].add((instruction.mnemonic, "several" if len(set(words)) > 1 else "one word"))


def _loads(program: Program, flow: Flow, found: Samples) -> None:
    table, loads, stores = timing(program.config), flow.loads, flow.stores
    for issue, store in zip(loads.issue.tolist(), loads.store.tolist(), strict=True):
        if store < 0:
            found["mem_word"].add(("of the image",))
        else:
            just = flow.issues.time[issue] - flow.issues.time[stores.issue[store]] == table.write_read
            found["mem_word"].add(("written the cycle before" if just else "written earlier",))
