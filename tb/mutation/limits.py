"""A question put to a process of its own, which may take so much memory and time and no more."""

import multiprocessing
import os
import resource
from collections.abc import Callable

MEMORY = 3 << 30
"""Bytes of address space that z3 may have for one mutant."""
SECONDS = 300
"""Of the processor, likewise. The effort of each question ends most proofs long before."""
_YES, _NO, _BROKEN = 42, 0, 1


def holds(question: Callable[[], bool], memory: int = MEMORY, seconds: int = SECONDS) -> bool:
    """The answer; no if there is none within the limits. RuntimeError if the question itself is broken."""
    # Forked: what the question is about was read once, and is there.
    process = multiprocessing.get_context("fork").Process(target=_answer, args=(question, memory, seconds))
    process.start()
    process.join()
    if process.exitcode == _BROKEN:
        raise RuntimeError("a question about a mutant failed, see above")
    return process.exitcode == _YES


def _answer(question: Callable[[], bool], memory: int, seconds: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    # No dump of a core of gigabytes.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        answer = question()
    except MemoryError:
        answer = False
    except Exception as error:
        # z3 says so in words, where it does not end the process.
        if "memory" not in str(error):
            raise
        answer = False
    os._exit(_YES if answer else _NO)
