"""What a host port does (docs/architecture.md, section 8), a cycle at a time."""

import numpy as np

from golden import ecc
from tb import host
from tb.unit.ports import Values
from tsp.config import ChipConfig
from tsp.timing import timing

LATENCY = 5
"""From a read of a register to its value."""
WORD, CHECK = (1 << 128) - 1, (1 << 9) - 1
MOST = (0xFFFF_FFFF, 0xFFFF, 0xFFFF)
"""What the counters of words count to: corrected by units, corrected for the host, and uncorrectable."""
REGISTER_MASK = 7


def check_bits(word: int) -> int:
    """Of 128 data bits."""
    return int(ecc.encode(_lanes(word)))


def decode(word: int, check: int) -> tuple[int, int, int]:
    """(data as it should be, 1 if a bit was wrong, 1 if more were)."""
    found = ecc.decode(_lanes(word), np.array(check, np.uint16))
    return int.from_bytes(found.data.tobytes(), "little"), int(found.corrected), int(found.uncorrectable)


def _lanes(word: int) -> ecc.Bytes:
    return np.frombuffer(word.to_bytes(16, "little"), np.uint8)


class HostPortModel:
    """What the outputs are a cycle after some inputs; what nobody says is left open.

    The last answer to the host stays until the next one, and so do the address and the word of an access.
    """

    def __init__(self, config: ChipConfig) -> None:
        self.config, self.cycle = config, 0
        self.drain = timing(config).drain
        self.pulses = ["push_valid", "start", "request_valid", *(["flip_mask", "flip_push"] if config.ecc else [])]
        self.reset()

    def reset(self) -> Values:
        """Accesses, the program, its fault and all counts are forgotten."""
        self.running = self.done = self.started = 0
        self.worked = 0
        """The last cycle in which not everything was idle."""
        self.cycles = self.driven = 0
        self.time: int | None = None
        """Of a fault that is reported now."""
        self.fault: tuple[int, int, int] | None = None
        self.corrected = [0, 0, 0]
        self.reads: dict[int, int] = {}
        """The cycle whose value is shown → the register."""
        self.kept: Values = {}
        return dict.fromkeys(("host_rvalid", "done", "running", "fault", *self.pulses), 0)

    def register_is_next(self) -> bool:
        """Whether a register takes the place of an answer in this cycle."""
        return self.cycle in self.reads

    def step(self, given: Values) -> Values:
        """The next cycle's outputs."""
        want = self.reset() if given["rst"] else self._step(given)
        self.cycle += 1
        return want

    def _step(self, given: Values) -> Values:
        want = self._answer(given)
        if self.config.ecc:
            self._count_corrected(given)
        self._run(given)
        if given["fault_valid"] and self.fault is None:
            assert self.time is not None
            self.fault = self.time, given["fault_queue"], given["fault_kind"]
        self.time = given["fault_time"]
        want |= self._access(given)
        status = {"done": self.done, "running": self.running, "fault": int(self.fault is not None)}
        return want | status | self.kept

    def _answer(self, given: Values) -> Values:
        number = self.reads.pop(self.cycle, None)
        if number is not None:
            self.kept["host_rdata"] = self.register(number, given)
        elif given["answer_valid"]:
            self.kept["host_rdata"] = self._decoded(given)[0]
        return {"host_rvalid": int(number is not None or given["answer_valid"])}

    def _decoded(self, given: Values) -> tuple[int, int, int]:
        answer = given["answer_data"]
        if self.config.ecc and answer >> 137:
            return decode(answer & WORD, answer >> 128 & CHECK)
        return answer & WORD, 0, 0

    def register(self, number: int, given: Values) -> int:
        """What a register shows in this cycle."""
        time, queue, kind = self.fault or (0, 0, 0)
        units, mended, hopeless = self.corrected
        shown = {
            host.STATUS: self.done | self.running << 1 | (self.fault is not None) << 2,
            host.CYCLES: self.cycles,
            host.FAULT: time | queue << 32 | kind << 40,
            host.COUNTERS: given["hac"] | given["sac"] << 16 | given["delta"] << 32,
            host.CORRECTED: units | mended << 32 | hopeless << 48,
        }
        return shown.get(number, 0)

    def _count_corrected(self, given: Values) -> None:
        more = given["corrected"], *(self._decoded(given)[1:] if given["answer_valid"] else (0, 0))
        self.corrected = [min(old + new, most) for old, new, most in zip(self.corrected, more, MOST, strict=True)]

    def _run(self, given: Values) -> None:
        if self.started:
            self.running, self.done, self.worked, self.cycles = 1, 0, self.cycle, 0
        elif self.running and self.cycle - self.worked > self.drain:
            self.running, self.done = 0, 1
        elif not given["idle"]:
            self.worked = self.cycle
        if (self.driven or given["write_event"]) and not self.started:
            self.cycles = (given["now"] + 1) % 2**32
        self.driven = given["stream_event"]

    def _access(self, given: Values) -> Values:
        """What the access does, after :meth:`_run`: it acts in the next cycle."""
        write, read, word, address = (given[f"host_{name}"] for name in ("write", "read", "wdata", "address"))
        want = dict.fromkeys(self.pulses, 0)
        self.started = 0
        if not (write or read):
            return want
        self.kept |= {"push_word": word, "push_queue": address >> 16 & 0xFFF, "request_address": address & 0x1FFF}
        self.kept |= {"request_superlane": address >> 13 & 0x3F, "request_place": address >> 19 & 0x1FF}
        region, number = address >> 28, address & REGISTER_MASK
        if region == host.REGISTERS and read:
            self.reads[self.cycle + LATENCY - 1] = number
        elif region == host.REGISTERS:
            want["start"] = self.started = int(number == host.CONTROL and word & 1 and not self.running)
        elif region == host.QUEUE:
            want["push_valid"] = write
        elif region == host.SIGNATURE and read and self.config.trace:
            want |= {"request_valid": 1, "request_write": 0, "request_signature": 1}
        elif region == host.MEMORY or (self.config.ecc and region in (host.FLIP_DATA, host.FLIP_CHECK)):
            want |= {} if self.running else self._request(region, write, word)
        elif self.config.ecc and region in (host.FLIP_MASK, host.FLIP_STREAM):
            want["flip_mask" if region == host.FLIP_MASK else "flip_push"] = write
        if region == host.FLIP_CHECK and read:
            del want["request_valid"]  # what that reads is not said
        return want

    def _request(self, region: int, write: int, word: int) -> Values:
        want = {"request_valid": 1, "request_write": write} | ({"request_signature": 0} if self.config.trace else {})
        if write:
            want["request_wdata"] = 0 if region == host.FLIP_CHECK else word
        if self.config.ecc:
            want["request_flip"] = int(region != host.MEMORY)
        if self.config.ecc and write:
            check = {host.MEMORY: check_bits(word), host.FLIP_DATA: 0, host.FLIP_CHECK: word & CHECK}
            want["request_check"] = check[region]
        return want
