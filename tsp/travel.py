"""When values meet: the timing contract (section 3 of ``docs/architecture.md``) between slices and queues by name."""

from functools import lru_cache

from tsp.config import ChipConfig
from tsp.errors import InputError
from tsp.floorplan import EAST, WEST, Floorplan, floorplan
from tsp.timing import arrival, timing


@lru_cache(maxsize=1 << 14)
def travel(config: ChipConfig, source: str, target: str) -> int:
    """Cycles from the dispatch of a producer to that of the consumer of its stream; names of slices or queues,
    ``mxm.e0`` means its ABC, ``sxm.e`` an instruction of it that stays in a superlane, ``c2c.e`` a RECEIVE where it is
    the source and a SEND where it is the target. InputError for unknown names and
    for two at one site."""
    plan, table = floorplan(config), timing(config)
    a, b = _site(plan, source), _site(plan, target)
    if a == b:
        raise InputError(f"{source} and {target} stand at one site, so they cannot feed each other in one pass")
    moved = table.sxm_result(_kind(plan, source))
    func = {
        **{"mem": table.read_func, "vxm": table.alu_func, "mxm": table.acc_func, "sxm": moved},
        "c2c": table.receive_func,
    }
    skew = {
        **{"mem": table.write_skew, "vxm": table.alu_skew, "mxm": table.abc_skew, "sxm": table.sxm_skew},
        "c2c": table.send_skew,
    }
    reads = table.lw_skew if target.endswith(".weights") else skew[_unit(target)]
    return func[_unit(source)] + arrival(a, b) - reads


def depart(config: ChipConfig, at: int, source: str, target: str) -> int:
    """The cycle ``source`` must dispatch in to meet ``target``'s dispatch in cycle ``at``; InputError if before 0."""
    cycle = at - travel(config, source, target)
    if cycle < 0:
        would = f"{source} would have to dispatch in cycle {cycle}"
        raise InputError(f"{would} to meet {target} in cycle {at}; {target} can have it from cycle {at - cycle}")
    return cycle


@lru_cache(maxsize=1 << 14)
def direction(config: ChipConfig, source: str, target: str) -> int:
    """The way from one to the other: 0 is eastward, 1 westward."""
    plan = floorplan(config)
    return EAST if _site(plan, source) < _site(plan, target) else WEST


def _unit(name: str) -> str:
    """``mem``, ``vxm``, ``mxm``, ``sxm`` or ``c2c``."""
    return name.partition(".")[0]


def _kind(plan: Floorplan, name: str) -> str:
    """The kind of a queue; empty for a slice."""
    return next((queue.kind for queue in plan.queues if queue.name == name), "")


def _site(plan: Floorplan, name: str) -> int:
    """The site of a slice that uses streams, or of a queue's slice."""
    slices = {slice_.name: slice_.site for slice_ in plan.slices}
    if name in slices:
        return slices[name]
    queue = plan.queue(name)
    if queue.slice < 0:
        reason = f"needs c2c to use streams, but config {plan.config.name} has c2c=False"
        raise InputError(f"queue {name} {reason}")
    return queue.site
