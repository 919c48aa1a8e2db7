"""Rules of single words: legal in their queue and configuration, nothing reserved set, a result that goes somewhere."""

from collections.abc import Mapping, Sequence

from tsp import isa, isa_rules
from tsp.checker.report import Problem, Writer
from tsp.config import ChipConfig
from tsp.dispatch import Mistake, Unrolled
from tsp.floorplan import Queue


def check_queues(queues: Mapping[int, Sequence[int]], writer: Writer) -> dict[int, Sequence[int]]:
    """Report queues that do not exist or overflow; returns those that exist."""
    known = {}
    depth = writer.config.queue_depth
    for index, words in sorted(queues.items()):
        if not 0 <= index < len(writer.plan.queues):
            last = len(writer.plan.queues) - 1
            writer.add("unknown_queue", index, 0, None, f"config {writer.config.name} has queues 0…{last} only")
            continue
        known[index] = words
        if len(words) > depth:
            message = f"the queue has {len(words)} words but holds {depth} (queue_depth); {len(words) - depth} too many"
            writer.add("queue_depth", index, depth, None, message)
    return known


def check_fetches(unrolled: Unrolled, writer: Writer) -> None:
    """Report queues that run dry and fetched words that meet on their way, each the first time only."""
    seen: set[tuple[str, int]] = set()
    for mistake in unrolled.mistakes:
        rule = {"dry": "run_dry", "path": "collision"}.get(mistake.kind)
        if rule is not None and (rule, mistake.queue) not in seen:
            seen.add((rule, mistake.queue))
            message = mistake.reason if rule == "collision" else f"the queue has run dry: {mistake.reason}"
            writer.add(rule, mistake.queue, mistake.index, mistake.cycle, message)


def check_unfetched(unrolled: Unrolled, writer: Writer) -> None:
    """Report words written for a queue that no IFETCH brings there, the first of each queue. Of a program that is legal
    otherwise: in others the IFETCH may be what is wrong."""
    if writer.problems:
        return
    lost = [(queue, i) for queue, i in sorted(writer.source.lines) if i >= len(unrolled.words.get(queue, ()))]
    for queue, index in {queue: index for queue, index in reversed(lost)}.items():
        message = "no IFETCH brings this word and those after it; one before it must take more vectors"
        writer.add("unfetched", queue, index, None, message)


def drop_absent_words(queues: Mapping[int, Sequence[int]], unrolled: Unrolled, writer: Writer) -> None:
    """Words that did not come are zero and illegal: not said where another mistake of their queue may be why."""
    others = {problem.queue for problem in writer.problems if problem.rule != "illegal_instruction"}

    def follows(problem: Problem) -> bool:
        if problem.rule != "illegal_instruction" or problem.queue not in others:
            return False
        return problem.index >= len(queues[problem.queue]) and unrolled.words[problem.queue][problem.index] == 0

    writer.problems = [problem for problem in writer.problems if not follows(problem)]


def check_words(unrolled: Unrolled, writer: Writer) -> None:
    """Report illegal, reserved and pointless words."""
    queues = unrolled.words
    for mistake in unrolled.mistakes:
        if mistake.kind in ("illegal", "step"):
            word = queues[mistake.queue][mistake.index]
            reason = illegal_reason(word, writer.plan.queues[mistake.queue], writer) or mistake.reason
            if mistake.kind == "step":
                reason += _most_repeats(mistake, unrolled)
            writer.add("illegal_instruction", mistake.queue, mistake.index, mistake.cycle, reason)
    illegal = {(mistake.queue, mistake.index) for mistake in unrolled.mistakes if mistake.kind == "illegal"}
    for queue, words in queues.items():
        for index, word in enumerate(words):
            if (queue, index) not in illegal:
                _check_word(word, queue, index, words, writer)


def _most_repeats(mistake: Mistake, unrolled: Unrolled) -> str:
    repeated = (mistake.queue, mistake.index - 1)
    count = next(burst.count for burst in unrolled.bursts if (burst.queue, burst.index) == repeated)
    return f"; n = {count - 1} is the most that fits" if count > 1 else "; it cannot be repeated with this step"


def _check_word(word: int, queue: int, index: int, words: Sequence[int], writer: Writer) -> None:
    instruction = isa.decode(word)
    if instruction is None:
        return
    used = 0xFF
    for field in instruction.operation.fields:
        used |= ((1 << field.width) - 1) << field.lo
    if word & ~used:
        first = ((word & ~used) & -(word & ~used)).bit_length() - 1
        message = f"{instruction.mnemonic} has reserved bit {first} set; bits outside its fields must be 0"
        writer.add("reserved_bits", queue, index, None, message)
    if instruction.mnemonic == "REPEAT" and index:
        _check_steps(instruction, isa.decode(words[index - 1]), queue, index, writer)
    if lost := _no_result(instruction):
        writer.add("no_result", queue, index, None, lost)


def _check_steps(
    repeat: isa.Instruction, repeated: isa.Instruction | None, queue: int, index: int, writer: Writer
) -> None:
    if repeated is None or not (repeat["step_a"] or repeat["step_b"]) or not repeated.operation.repeatable:
        return
    addresses = {(field.lo, field.width) for field in repeated.operation.fields} & {isa.ADDRESS_A, isa.ADDRESS_B}
    if repeated.operation.arity or not addresses:
        message = f"REPEAT has a step, but {repeated.mnemonic} has no address to step; the step must be 0"
        writer.add("ignored_step", queue, index, None, message)


def _no_result(instruction: isa.Instruction) -> str | None:
    if instruction.operation.arity and not (instruction["to_stream"] or instruction["to_next"]):
        return f"the result of {instruction.mnemonic} goes nowhere; send it to a stream or to the next stage"
    if instruction.mnemonic == "ACC" and not instruction["out"]:
        mode = isa.AccMode(instruction["mode"])
        if mode in (isa.AccMode.PASS, isa.AccMode.PEEK):
            return f"ACC {mode.name.lower()} without a stream does nothing; give it a stream, or use store or add"
    return None


def illegal_reason(word: int, queue: Queue, writer: Writer) -> str | None:
    """Why a word is illegal, and what would be legal; None if it is legal."""
    broken = isa_rules.broken_rule(word, queue, writer.config)
    if broken is None:
        return None
    operation = isa.BY_OPCODE.get(word & 0xFF)
    if isinstance(broken, str):
        if operation is not None and queue.kind in operation.queues:
            field = isa_rules.missing_feature(operation.mnemonic, writer.config)
            if field is None:
                return broken
            return f"{operation.called} needs {field}, which config {writer.config.name} does not have"
        if operation is None:
            return broken
        known = ", ".join(operation.mnemonic for operation in isa_rules.operations_of(queue, writer.config))
        return f"{operation.mnemonic} is no instruction of a {queue.kind} queue; it takes {known}"
    assert operation is not None
    return f"{operation.called}: {_rule_text(broken, word, operation, queue, writer.config)}"


def _type_text(rule: isa_rules.Rule, value: int) -> str:
    names = ", ".join(isa.Type(kind).name.lower() for kind in range(rule.low, rule.high + 1))
    with_float = {bits: wanted for bits, _, wanted in rule.when}.get(isa.BY_MNEMONIC["ADD"].field("float").lo)
    when = "" if with_float is None else f" when float is {with_float}"
    return f"{rule.field} is {value}, must be {rule.low}…{rule.high} ({names}){when}"


def _float_text(operation: isa.Operation, config: ChipConfig) -> str:
    if not config.vxm_float:
        return f"float is 1, but config {config.name} has vxm_float=False"
    if operation.mnemonic in isa.FLOAT_ONLY:
        return "it computes in fp32 only, so float must be 1"
    return "it computes in int32 only, so float must be 0"


def _rule_text(rule: isa_rules.Rule, word: int, operation: isa.Operation, queue: Queue, config: ChipConfig) -> str:
    value = (word >> rule.lo) & ((1 << rule.width) - 1)
    field = operation.field(rule.field)
    stream = field.kind in ("stream", "source") and rule.width in (isa.STREAM_INDEX_BITS, 3)
    if stream and rule.lo == field.lo + isa.STREAM_DIRECTION_BIT:
        if value > 1:
            return f"the bits above the direction of {rule.field} must be 0"
        side = "drives" if operation.mnemonic == "ACC" else "reads"
        flow = ("eastward (e…)", "westward (w…)")[rule.low]
        return (
            f"{rule.field} is {isa.stream_name(word >> field.lo & 0x3F)}, but {queue.name} {side} {flow} streams only"
        )
    if field.kind == "kind":
        return (
            f"operand {rule.field[0]} comes from nowhere; give it a stream, an immediate or an ALU of the stage before"
        )
    if field.kind == "type":
        return _type_text(rule, value)
    if field.name == "float":
        return _float_text(operation, config)
    good = min(max(value, rule.low), rule.high)
    good -= good % rule.align
    if stream:
        name = isa.stream_name(word >> field.lo & 0x3F)
        try_ = name[0] + str(good)
        if rule.align > 1 and value <= rule.high:
            return (
                f"{rule.field} is {name}, but a group of {rule.align} begins at a multiple of {rule.align}; try {try_}"
            )
        return f"{rule.field} is {name}, but streams are {name[0]}{rule.low}…{name[0]}{rule.high}; try {try_}"
    return f"{rule.field} is {value}, must be {rule.low}…{rule.high}{rule.reason}; try {good}"
