"""REPEAT's step for an address that an instruction does not have is legal and does nothing."""

import pytest

from golden.machine import run
from tsp.assembler import assemble
from tsp.checker import check

COPY = """
.config tiny
.data x: mem.e0 int8 = [1], [2], [3], [4]
.queue mem.e0
        READ x, e4
        REPEAT 3, 1, 1, {spare_b}
.queue mem.e4
@2      WRITE 10, e4
        REPEAT 3, 1, {spare_a}, 1
"""


@pytest.mark.parametrize("spare", [1, 5, -20000, 32767])
def test_a_spare_step_changes_nothing(spare: int) -> None:
    plain = assemble(COPY.format(spare_a=0, spare_b=0))
    spared = assemble(COPY.format(spare_a=spare, spare_b=spare))
    assert spared.queues != plain.queues
    assert check(spared).ok and check(spared).cycles == check(plain).cycles
    one, other = run(plain), run(spared)
    assert (one.cycles, one.fault, one.signature) == (other.cycles, other.fault, other.signature)
    (place,) = one.written
    assert one.written[place].addresses.tolist() == other.written[place].addresses.tolist() == [10, 11, 12, 13]
