"""The programs in ``programs/examples`` on the RTL; what they mean is held in ``tests/asm/test_examples.py``."""

from pathlib import Path

import pytest

from golden.machine import run
from programs.examples import convolution, matmul_fp16
from tb import machine, simulator
from tsp.assembler import assemble_file
from tsp.config import preset
from tsp.program import Program

EXAMPLES = Path(__file__).parents[2] / "programs" / "examples"
TINY = preset("tiny")


@pytest.mark.slow
@pytest.mark.parametrize("sim", simulator.SIMULATORS)
def test_examples_on_the_rtl(sim: str) -> None:
    """Same memory, cycles and signatures as the golden model's."""
    programs = [assemble_file(path) for path in sorted(EXAMPLES.glob("*.tsp"))]
    assert len(programs) >= 7 and all(program.config == TINY for program in programs)
    programs.append(convolution.build(*convolution.example()))
    programs.append(matmul_fp16.build(*matmul_fp16.example()))
    run_examples(programs, sim)


def run_examples(programs: list[Program], sim: str) -> None:
    """Run programs of one configuration, which must leave what the golden model does."""
    config = programs[0].config
    wanted = [run(program) for program in programs]
    read = [[(place, int(a)) for place, image in w.written.items() for a in image.addresses] for w in wanted]
    jobs = [machine.Job(p, w.cycles + 200, words) for p, w, words in zip(programs, wanted, read, strict=True)]
    made = machine.build(config, sim)
    for want, job, found in zip(wanted, jobs, machine.run_on(made, jobs, config), strict=True):
        assert found.done and found.fault is None and found.cycles == want.cycles
        assert (found.tile_signatures == want.tile_signatures).all()
        assert all((found.memory[place, a] == want.words(place, [a])[0]).all() for place, a in job.read)
