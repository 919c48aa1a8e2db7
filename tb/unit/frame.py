"""A frame around a part of the chip whose words pass in beats (:mod:`rtl.beats`): benches see whole words.

It counts the clocks of a schedule cycle, hands in the beats of words that a bench holds for a cycle, and shows whole
words in the last clock of a cycle, where everything else has settled too.
"""

from amaranth.hdl import Module, Value
from amaranth.lib.data import StructLayout
from amaranth.lib.wiring import Component, Member

from rtl import beats
from rtl.stamp import ports_of, stamp
from rtl.stream import WORD_BITS
from tsp.config import ChipConfig

PREFIX = "framed_"


def framed(name: str, config: ChipConfig) -> str:
    """The module that a bench tests to test module ``name``."""
    return name if config.beats == 1 or name == "chip" else PREFIX + name


def frame(component: Component, config: ChipConfig) -> Component:
    """The component itself if a cycle is one clock, else a frame around it."""
    return component if config.beats == 1 else Frame(component, config)


class Frame(Component):
    """Ports: those of the component, words with all their bits."""

    structural = True
    counts_beats = True

    def __init__(self, component: Component, config: ChipConfig):
        self.component, self.config = component, config
        self.module_name = PREFIX + component.module_name
        members: dict[str, Member] = dict(component.signature.members)
        self._serial = {name for name, member in members.items() if _in_beats(name, member)}
        wide = {name: Member(members[name].flow, WORD_BITS) for name in self._serial}
        super().__init__(members | wide)

    def elaborate(self, platform: object) -> Module:
        m, count = Module(), self.config.beats
        beats.count(m, count)
        m.submodules.inner = inner = stamp(self.component, "inner")
        for name, (port, is_input) in ports_of(self).items():
            outer, within = Value.cast(port), Value.cast(getattr(inner, name))
            if name in self._serial:
                outer = beats.part(count, outer) if is_input else outer
                within = within if is_input else beats.whole(m, name, count, within)
            m.d.comb += within.eq(outer) if is_input else Value.cast(port).eq(within)
        return m


def _in_beats(name: str, member: Member) -> bool:
    return isinstance(member.shape, StructLayout) or (name.startswith("host_rdata") and member.shape != WORD_BITS)
