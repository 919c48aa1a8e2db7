"""Systems for tests: chips in rows and trees, with programs that may do nothing."""

import random
from collections.abc import Sequence

from tsp.config import ChipConfig, preset
from tsp.floorplan import floorplan
from tsp.program import Program
from tsp.system import Chip, Link, Port, System, spanning_tree

TINY = preset("tiny").override(["c2c=on", "links_w=3", "links_e=3"])


def row(latencies: Sequence[tuple[int, int]], programs: Sequence[Program] = (), config: ChipConfig = TINY) -> System:
    """Chips a, b, … from west to east, each one's last link joined to the first of the next; the root is a."""
    count = len(latencies) + 1
    programs = programs or [Program(config)] * count
    chips = tuple(Chip(chr(ord("a") + n), config, program) for n, program in enumerate(programs))
    last = len(floorplan(config).links) - 1
    links = [Link((Port(n, last), Port(n + 1, 0)), both, both) for n, both in enumerate(latencies)]
    return System("row.toml", chips, tuple(links), 0, tuple(range(len(links))))


def random_system(seed: int, config: ChipConfig = TINY) -> System:
    """Up to ten chips, joined at random, with any root."""
    rng = random.Random(f"system {seed}")
    count, ports = rng.randint(1, 10), len(floorplan(config).links)
    free = {chip: rng.sample(range(ports), ports) for chip in range(count)}
    pairs = [(rng.choice([c for c in range(n) if free[c]]), n) for n in range(1, count)]
    pairs += [(rng.randrange(count), rng.randrange(count)) for _ in range(rng.randint(0, 4))]
    links = []
    for a, b in pairs:
        if a != b and free[a] and free[b]:
            latency = rng.randint(1, 600), rng.randint(1, 600)
            links.append(Link((Port(a, free[a].pop()), Port(b, free[b].pop())), latency, latency))
    names = [f"chip{number}" for number in range(count)]
    root = rng.randrange(count)
    tree = spanning_tree("random.toml", names, links, root, range(len(links)))
    chips = tuple(Chip(name, config, Program(config)) for name in names)
    return System("random.toml", chips, tuple(links), root, tree)
