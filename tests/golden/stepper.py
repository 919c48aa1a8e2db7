"""A second golden model, as slow and plain as can be: it shifts every stream every cycle and computes lane by lane.

It shares the dispatcher with the real one and nothing else, so that a mistake in resolving diagonals, in ordering
batches or in vectorised arithmetic shows as a difference.
"""

from collections import defaultdict

import float_reference
from plain_alu import alu, clamp
from plain_mxm import Planes
from secded import Vector

from tsp.flips import in_memory, on_streams
from tsp.floorplan import floorplan
from tsp.flow.fetch import expand_program
from tsp.isa import COMPARES, FLOAT_TYPES, OperandKind, Type
from tsp.timing import timing


class Stepper:
    """Runs a program; leaves ``memory`` {(place, address): bytes}, ``events`` and ``faults`` {(cycle, queue, kind)}.

    With feature ``ecc`` vectors are :class:`secded.Vector`; ``corrected`` counts words, ``flips`` are as in the golden
    model.
    """

    def __init__(self, program, flips=()):
        self.config, self.plan, self.table = program.config, floorplan(program.config), timing(program.config)
        self.zero = self._made(bytes(self.config.lanes))
        self.corrected, self.flips = 0, defaultdict(list)
        self.memory = {}
        for place, image in program.memory.items():
            for address, word in zip(image.addresses.tolist(), image.words, strict=True):
                self.memory[place, address] = self._made(word.tobytes())
        for flip in in_memory(flips):
            word = flip.place, flip.address
            self.memory[word] = self.memory[word].flipped(flip.superlane, flip.mask)
        for flip in on_streams(flips):
            self.flips[flip.cycle].append(flip)
        self.events, self.faults = [], set()
        self.east = [{} for _ in self.plan.sites]  # SR between site i and i + 1: stream -> bytes
        self.west = [{} for _ in self.plan.sites]
        self.arriving = defaultdict(list)  # time -> [(site, stream operand, value, place, queue)]
        self.handed = {}  # ALU number -> (time, values)
        self.planes = Planes(self)
        unrolled = expand_program(program)
        for mistake in unrolled.mistakes:
            kinds = {"illegal": 5, "step": 5, "dry": 4, "path": 1}
            if mistake.kind in kinds:
                self.faults.add((mistake.cycle, mistake.queue, kinds[mistake.kind]))
        self.dispatch = defaultdict(list)
        for burst in unrolled.bursts:
            for i in range(burst.count):
                instruction = burst.instruction.with_steps(i * burst.step_a, i * burst.step_b)
                self.dispatch[burst.start + i * burst.interval].append((burst.queue, instruction))
        configs = [(c.cycle + self.table.config, c.p) for c in unrolled.controls if c.mnemonic == "CONFIG"]
        self.power = dict(sorted(configs))
        self.powered = self.config.superlanes
        self.now = 0
        last = max(self.dispatch, default=-1) + 8 + self.table.sxm_across_func
        while self.now <= last:
            self._cycle()
        if self.config.ecc:
            self.memory = {word: vector.taken()[0] for word, vector in self.memory.items()}

    def _made(self, data):
        """What a producer drives."""
        return Vector.made(data) if self.config.ecc else data

    def _cycle(self):
        self._arrive()
        self.powered = self.power.get(self.now, self.powered)
        after = []
        for queue, instruction in self.dispatch[self.now]:
            if instruction.mnemonic == "IFETCH":
                self.read(self.plan.queues[queue], instruction["stream"])
                continue
            units = {"mem": self._mem, "vxm": self._vxm, "sxm": self._sxm}
            unit = units.get(self.plan.queues[queue].kind.split("_")[0], self.planes.dispatch)
            after.append(unit(self.plan.queues[queue], instruction))
        for change in after:
            if change:
                change()
        self.now += 1

    def _arrive(self):
        """Streams move one hop; what is driven takes the place of what came."""
        self.east = [{}, *self.east[:-1]]
        self.west = [*self.west[1:], {}]
        driven = defaultdict(list)
        for site, operand, value, place, queue, powered in self.arriving.pop(self.now, []):
            driven[site, operand].append(queue)
            if operand >> 5:
                self.west[site - 1][operand & 31] = value
            else:
                self.east[site][operand & 31] = value
            self._event(place, operand, value, powered)
        for flip in self.flips[self.now]:
            registers = (self.west if flip.stream >> 5 else self.east)[flip.sr]
            if flip.stream & 31 in registers:
                registers[flip.stream & 31] = registers[flip.stream & 31].flipped(flip.superlane, flip.mask)
        for queues in driven.values():
            if len(queues) > 1:
                self.faults.add((self.now, min(queues), 1))

    def _event(self, place, address, value, powered):
        for superlane in range(powered):
            self.events.append((self.now, place, superlane, address, value[16 * superlane : 16 * superlane + 16]))

    def read(self, queue, operand):
        """What a consumer takes."""
        vector = self._arrived(queue, operand)
        if not self.config.ecc:
            return vector
        data, corrected, uncorrectable = vector.taken(self.powered)
        self.corrected += corrected
        if uncorrectable:
            self.faults.add((self.now, queue.index, 8))
        return data

    def _arrived(self, queue, operand):
        registers = self.west[queue.site] if operand >> 5 else self.east[queue.site - 1]
        if operand & 31 not in registers:
            self.faults.add((self.now, queue.index, 3))
        return registers.get(operand & 31, self.zero)

    def drive(self, queue, operand, values, func):
        for plane, value in enumerate(values):
            made = value if isinstance(value, Vector) else self._made(value)
            drive = (queue.site, operand + plane, made, queue.slice, queue.index, self.powered)
            self.arriving[self.now + func].append(drive)

    def _mem(self, queue, instruction):
        values, half = instruction.values, self.config.mem_words // 2
        if "map" in values:
            return self._indirect(queue, values)
        if "read_address" in values:
            value = self.memory.get((queue.slice, values["read_address"]), self.zero)
            self.drive(queue, values["read_stream"], [value], self.table.read_func)
        if "write_address" not in values:
            return None
        if "read_address" in values and values["read_address"] // half == values["write_address"] // half:
            self.faults.add((self.now, queue.index, 2))
        value = self._arrived(queue, values["write_stream"])
        self._event(queue.slice, 0x8000 + values["write_address"], value, self.powered)
        word = queue.slice, values["write_address"]
        old = self.memory.get(word, self.zero)
        value = self._picked([value if k < self.powered else old for k in range(self.config.superlanes)])
        return lambda: self.memory.__setitem__(word, value)

    def _indirect(self, queue, values):
        map_, lanes = self.read(queue, values["map"]), range(0, 16 * self.powered, 16)
        named = [map_[lane] + 256 * map_[lane + 1] for lane in lanes]
        inside = [address < self.config.mem_words for address in named]
        if not all(inside):
            self.faults.add((self.now, queue.index, 6))
        words = [self.memory.get((queue.slice, address), self.zero) for address in named]
        if "read_stream" in values:
            off = [self.zero] * (self.config.superlanes - self.powered)
            value = self._picked([word if ok else self.zero for word, ok in zip(words, inside, strict=True)] + off)
            self.drive(queue, values["read_stream"], [value], self.table.read_func)
            return None
        value = self._arrived(queue, values["write_stream"])
        for lane, address, ok in zip(lanes, named, inside, strict=True):
            if ok:
                data = value[lane : lane + 16]
                self.events.append((self.now, queue.slice, lane // 16, 0x8000 + address, data))

        def change():
            for superlane, (address, ok) in enumerate(zip(named, inside, strict=True)):
                if ok:
                    vectors = [self.memory.get((queue.slice, address), self.zero)] * self.config.superlanes
                    vectors[superlane] = value
                    self.memory[queue.slice, address] = self._picked(vectors)

        return change

    def _picked(self, vectors):
        """Superlane k's word of the k-th vector."""
        data = b"".join(vector[16 * k : 16 * k + 16] for k, vector in enumerate(vectors))
        if not self.config.ecc:
            return data
        return Vector.of(data, [vector.checks[k] for k, vector in enumerate(vectors)])

    def _vxm(self, queue, instruction):
        values = instruction.values
        operands = [self._operand(queue, values, name) for name in "abc"[: instruction.operation.arity]]
        saturate, bits = bool(values["saturate"]), self.config.vxm_mul_bits
        name, type_ = instruction.mnemonic, values["type"]
        if values["float"]:
            to_float = type_ in FLOAT_TYPES
            results = [float_reference.lane(name, saturate, to_float, *lane) for lane in zip(*operands, strict=True)]
        else:
            results = [alu(name, saturate, bits, *lane) for lane in zip(*operands, strict=True)]
            if name == "CONVERT" and type_ in FLOAT_TYPES:
                results = [float_reference.of_integer(r) for r in results]
        if values["to_stream"]:
            planes = Type(type_).planes
            integers = type_ not in FLOAT_TYPES
            assert integers or name not in COMPARES
            narrow = [clamp(r, 8 * planes) if saturate and integers else r for r in results]
            if type_ == Type.FP16:
                narrow = [float_reference.half(float_reference.number(r)) for r in results]
            streams = [bytes(r >> 8 * plane & 255 for r in narrow) for plane in range(planes)]
            self.drive(queue, values["stream"], streams, self.table.alu_func)
        if not values["to_next"]:
            return None
        now = self.now
        return lambda: self.handed.__setitem__((queue.number, now), results)

    def _operand(self, queue, values, name):
        kind, source = values[f"{name}_kind"], values[f"{name}_source"]
        if kind == OperandKind.IMMEDIATE:
            return [values["immediate"]] * self.config.lanes
        if kind == OperandKind.ALU:
            rows, stages = self.config.vxm_rows, self.config.vxm_stages
            before = (queue.number // rows - 1) % stages * rows + source
            if (before, self.now - 1) not in self.handed:
                self.faults.add((self.now, queue.index, 3))
                return [0] * self.config.lanes
            return self.handed[before, self.now - 1]
        planes = Type(values[f"{name}_type"]).planes
        streams = [self.read(queue, source + plane) for plane in range(planes)]
        lanes = zip(*streams, strict=True)
        integers = [int.from_bytes(bytes(lane), "little", signed=True) for lane in lanes]
        if values[f"{name}_type"] != Type.FP16:
            return integers
        return [float_reference.signed(float_reference.of_half(half)) for half in integers]

    def _sxm(self, queue, instruction):
        values, lanes = instruction.values, range(self.config.lanes)
        on = range(16 * self.powered)
        across, inside = self.table.sxm_across_func, self.table.sxm_func

        def read(name, count=1):
            return [self.read(queue, values[name] + i) for i in range(count)]

        match instruction.mnemonic:
            case "PERMUTE":
                (source,), (low, high) = read("source"), read("map", 2)
                named = [low[lane] + 256 * high[lane] for lane in lanes]
                if sorted(named[: len(on)]) != list(on):
                    self.faults.add((self.now + across, queue.index, 7))
                words = [[source[n] if n in on else 0 for n in named]]
            case "DISTRIBUTE":
                (source,), (named,) = read("source"), read("map")
                words = [[source[lane // 16 * 16 + named[lane]] if named[lane] < 16 else 0 for lane in lanes]]
            case "TRANSPOSE":
                rows = read("source", 16)
                words = [[rows[lane % 16][lane // 16 * 16 + j] for lane in lanes] for j in range(16)]
            case "SHIFT":
                (source,) = read("source")
                by = -values["n"] if values["way"] == 0 else values["n"]
                moved = [source[lane + by] if lane + by in on else 0 for lane in lanes]
                select = read("select")[0] if values["selects"] else [1] * len(lanes)
                words = [[moved[lane] if select[lane] else source[lane] for lane in lanes]]
            case "ROTATE":
                n = values["n"]
                rows = read("source", n)
                words = [
                    [row[lane // 16 * 16 + (lane + j) % 16] for lane in lanes] for row in rows for j in range(n)
                ]  # fmt: skip
        func = across if instruction.mnemonic in ("PERMUTE", "SHIFT") else inside
        self.drive(queue, values["result"], [bytes(word) for word in words], func)
