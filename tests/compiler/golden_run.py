"""A compiled program on the golden model, as most tests of the compiler need it."""

import golden.machine
from tsp.checker import check
from tsp.tensors import outputs


def golden_run(compiled, values):
    """The outputs and the result of the run: the program is legal, meets no fault and takes the predicted cycles."""
    program = compiled.with_inputs(values)
    report = check(program)
    assert report.ok, str(report)
    result = golden.machine.run(program, trace=False)
    assert result.fault is None and result.cycles == report.cycles
    return outputs(program, lambda place, address: result.words(place, [address])[0]), result
