"""The page's own search for who reads what, in a browser, against the dataflow that checker and golden model use."""

import json
from importlib import resources

import numpy as np
import pytest

from tests.unit.chromium import chromium
from tsp.assembler import assemble, assemble_file
from tsp.config import preset
from tsp.floorplan import floorplan
from tsp.flow import NONE
from tsp.randprog import legal
from tsp.timeline.html import SCRIPTS, content
from tsp.timeline.model import timeline

ASK = """
const all = [], words = [], handed = [];
for (const queue of model.queues)
  for (let bar = 0; bar < queue.length; bar++)
    for (let step = 0; step < model.count[queue.form[bar]] && !(bar in queue.reason); step++) {
      const issue = { queue, bar, step }, me = [queue.name, cycleOf(model, issue)];
      for (const { operand, stream, planes, drive } of sourcesOf(model, issue)) {
        const from = drive ? [drive.issue.queue.name, cycleOf(model, drive.issue)] : ["", -1];
        for (let p = 0; p < planes; p++) all.push([...me, operand, stream + p, ...from]);
      }
      const drive = driveOf(model, issue);
      if (drive)
        for (const r of journeyOf(model, drive).readers)
          for (let p = 0; p < r.planes; p++)
            words.push(["read", r.issue.queue.name, cycleOf(model, r.issue), r.operand, r.stream + p, ...me]);
      const store = storeOf(model, issue);
      if (store) words.push(["store", ...me, cycleOf(model, store)]);
      for (const { operand, issue: from } of takenFrom(model, issue)) {
        words.push(["takes", ...me, operand, ...(from ? [from.queue.name, cycleOf(model, from)] : ["", -1])]);
      }
      for (const to of handedTo(model, issue)) handed.push([to.queue.name, cycleOf(model, to), ...me].join());
      const word = wordOf(model, issue);
      if (word) for (const r of word.reads) words.push(["word", ...me, cycleOf(model, r)]);
    }
return [all, words, handed];
"""


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found.new_page()


@pytest.fixture
def ask(browser):
    """What a script returns that has the page's functions and the ``model`` of a timeline."""
    texts = [(resources.files("tsp.timeline") / file).read_text() for file in SCRIPTS[:3]]

    def ask(found, script):
        data = f"const model = decode({json.dumps(content(found, 'x'))});"
        body = "\n".join([*texts, data, script])
        return json.loads(browser.evaluate(f"JSON.stringify((() => {{ {body} }})())"))

    return ask


def resolved(flow):
    """(sources, readers, stores) as the dataflow has them."""
    names = [queue.name for queue in floorplan(flow.config).queues]
    queue, time = flow.issues.queue, flow.issues.time

    def who(issue):
        return names[queue[issue]], int(time[issue])

    sources, readers = [], []
    for row, drive in enumerate(flow.source.tolist()):
        what = int(flow.reads.operand[row]), int(flow.reads.stream[row])
        source = ("", -1) if drive == NONE else who(flow.drives.issue[drive])
        sources.append([*who(flow.reads.issue[row]), *what, *source])
        if drive != NONE:
            readers.append(["read", *who(flow.reads.issue[row]), *what, *source])
    loads = np.flatnonzero(flow.loads.store != NONE)
    pairs = [(who(flow.loads.issue[i]), who(flow.stores.issue[flow.loads.store[i]])) for i in loads]
    stores = [["store", *load, store[1]] for load, store in pairs]
    stores += [["word", *store, load[1]] for load, store in pairs]
    chains = [
        ["takes", *who(issue), int(operand), *(("", -1) if source == NONE else who(source))]
        for issue, operand, source in zip(flow.chains.issue, flow.chains.operand, flow.chains.source, strict=True)
    ]
    for issue, product in zip(flow.accumulations.issue, flow.accumulations.product, strict=True):
        source = ("", -1) if product == NONE else who(flow.products.issue[product])
        chains.append(["takes", *who(issue), 0, *source])
    return sorted(sources), sorted(readers + stores + chains)


@pytest.mark.parametrize("name, seed", [("tiny", 1), ("tiny", 2), ("tiny", 3), ("board", 4)])
def test_the_page_follows_as_the_dataflow_does(ask, name, seed):
    found = timeline(legal(seed, preset(name)))
    sources, others, handed = ask(found, ASK)
    assert len(sources) > 100 and len(others) > 50
    assert (sorted(sources), sorted(others)) == resolved(found.flow)
    # The same seen from the other end; an ALU that takes a result twice is told of it once.
    taken = {f"{row[1]},{row[2]},{row[4]},{row[5]}" for row in others if row[0] == "takes" and row[5] >= 0}
    assert sorted(handed) == sorted(taken) and taken


def test_where_a_vector_is(ask, tmp_path):
    """The walk of docs/programming.md: x is beside the VXM in cycle 2, the sum beside mem.e.1 in cycle 5."""
    (tmp_path / "a.tsp").write_text(
        ".config tiny\n.queue mem.w0\nREAD 0, e4\n.queue mem.e0\nREAD 0, w4\n.queue vxm.r0s0\n"
        "@2 ADD.sat e4:int8, w4:int8 -> e8:int8\n.queue mem.e4\n@5 WRITE 0, e8\n.queue mem.w4\n@3 READ 5, e8\n"
    )
    found = timeline(assemble_file(tmp_path / "a.tsp"))
    script = """
    const queue = name => model.queues.find(q => q.name === name);
    const at = (name, cycle) => {
      const journey = journeyOf(model, driveOf(model, issueAt(model, queue(name), cycle)));
      return {
        registers: [...Array(12).keys()].map(t => registerAt(model, journey, t)),
        edge: journey.edge, last: journey.last,
        readers: journey.readers.map(r => [r.issue.queue.name, r.cycle, r.operand]),
        gone: journey.gone.map(g => g && [g.site, g.cycle]),
      };
    };
    return [at("vxm.r0s0", 2), at("mem.e0", 0), at("mem.w4", 3)];
    """
    added, west, other = ask(found, script)
    # tiny: sites 0 … 10, the VXM is 5, mem.e.0 is 6, mem.e.1 is 7; SR n lies east of site n.
    assert added["registers"] == [-1, -1, -1, -1, 5, 6, 7, 8, 9, -1, -1, -1]
    assert added["readers"] == [["mem.e4", 5, 0]] and added["edge"] == added["last"] == 8
    assert west["registers"] == [-1, -1, 5, 4, 3, 2, 1, 0, -1, -1, -1, -1] and west["readers"] == [["vxm.r0s0", 2, 1]]
    # mem.w4 is site 3; the ALU drives e8 in cycle 4, two sites on, where this comes in cycle 7.
    assert other["gone"] == [None] and other["last"] == 11


@pytest.mark.parametrize("cycles", [1, 7, 20])
def test_the_page_counts_as_the_table_does(ask, cycles):
    found = timeline(legal(2, preset("tiny")))
    bins = -(-found.span // cycles)
    script = f"return busyOver(model, 0, {cycles}, {bins}).map(row => [...row]);"
    assert ask(found, script) == [busy.tolist() for busy in found.busy(cycles).values()]
    # What is not in view does not count, whatever began before it.
    script = f"return busyOver(model, {3 * cycles}, {cycles}, 2).map(row => [...row]);"
    assert ask(found, script) == [busy.tolist()[3:5] for busy in found.busy(cycles).values()]


def test_what_becomes_of_a_word(ask):
    found = timeline(
        assemble(
            ".config tiny\n.queue mem.w0\nREAD 0, e1\nREPEAT 20, 1\n.queue mem.e4\n"
            "@5 WRITE 7, e1\nREPEAT 2, 1, 1\nREAD 7, e2\nREAD 7, e2\nREPEAT 2, 1, 1\nWRITE 7, e1\nREAD 7, e2\n"
            "@15 READ 3, e2 & WRITE 67, e1\nREAD 67, e2"
        )
    )
    script = """
    const queue = model.queues.find(q => q.name === "mem.e4"), at = t => issueAt(model, queue, t);
    const word = t => {
      const w = wordOf(model, at(t));
      return [w.address, w.cycle, w.reads.map(r => cycleOf(model, r)), w.until && cycleOf(model, w.until)];
    };
    const store = t => { const s = storeOf(model, at(t)); return s && cycleOf(model, s); };
    return [[5, 6, 7, 12, 15].map(word), [8, 9, 10, 11, 13, 15, 16].map(store)];
    """
    # 5, 6, 7 write words 7, 8, 9; 8 reads 7; 9, 10, 11 read 7, 8, 9; 12 writes 7 anew, which 13 reads the cycle after.
    words, stores = ask(found, script)
    assert words[:3] == [[7, 5, [8, 9], 12], [8, 6, [10], None], [9, 7, [11], None]]
    assert words[3:] == [[7, 12, [13], None], [67, 15, [16], None]]
    assert stores == [5, 5, 6, 7, 12, None, 15]
