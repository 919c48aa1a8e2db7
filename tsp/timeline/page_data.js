"use strict";
// The program as the page uses it, and searches in it. Nothing here touches the document.

/** What tsp/timeline/html.py wrote, with running sums undone: columns of a queue become arrays of its bars, ascending. */
function decode(data) {
  const form = column => data.forms.map(row => row[column]);
  const model = {
    ...data,
    text: form(0), kind: form(1), count: form(2), interval: form(3), stepA: form(4), stepB: form(5), shape: form(6),
    readAddress: form(7), writeAddress: form(8),
  };
  model.queues = data.queues.map((row, number) => queueOf(model, row, number));
  return model;
}

/** A queue: per bar start, form, word and line; seen, busy and dispatched count issues before it (see WEIGHTS). */
function queueOf(model, row, number) {
  const n = row.start.length;
  const sum = column => {
    const out = new Float64Array(n);
    for (let i = 0, total = 0; i < n; i++) out[i] = total += column[i];
    return out;
  };
  const queue = { ...row, number, length: n, start: sum(row.start), word: sum(row.word), line: sum(row.line) };
  queue.form = Int32Array.from(row.form);
  for (const what of WEIGHTS) queue[what] = new Float64Array(n + 1);
  queue.counts = { seen: new Uint8Array(n), busy: new Uint8Array(n), dispatched: new Uint8Array(n) };
  const drives = new Set(), reads = new Set();
  for (let i = 0; i < n; i++) {
    const f = queue.form[i], count = model.count[f], skipped = i in row.reason;
    queue.counts.seen[i] = 1;
    queue.counts.dispatched[i] = skipped ? 0 : 1;
    queue.counts.busy[i] = skipped || model.kinds[model.kind[f]][2] ? 0 : 1;
    for (const what of WEIGHTS) queue[what][i + 1] = queue[what][i] + (queue.counts[what][i] ? count : 0);
    const shape = model.shapes[model.shape[f]];
    for (const [, , latency] of shape.drives) drives.add(latency);
    for (const [, , latency] of shape.reads) reads.add(latency);
  }
  queue.driveLatencies = [...drives].sort((a, b) => a - b);
  queue.readLatencies = [...reads].sort((a, b) => a - b);
  return queue;
}

/** seen: everything drawn; busy: what counts for the unit; dispatched: what counts for the ICU. */
const WEIGHTS = ["seen", "busy", "dispatched"];

/** The last bar that starts before cycle t, -1 if none does. */
function lastBefore(queue, t) {
  let low = 0, high = queue.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (queue.start[middle] < t) low = middle + 1; else high = middle;
  }
  return low - 1;
}

/** How many issues of a weight lie before cycle t, given the last bar that starts before t. */
function issuedBefore(model, queue, what, k, t) {
  if (k < 0) return 0;
  if (!queue.counts[what][k]) return queue[what][k];
  const f = queue.form[k];
  return queue[what][k] + Math.min(model.count[f], Math.ceil((t - queue.start[k]) / model.interval[f]));
}

/** The issue of a queue in exactly that cycle: {queue, bar, step}, or null. Words that are skipped are none. */
function issueAt(model, queue, cycle) {
  const bar = lastBefore(queue, cycle + 1);
  if (bar < 0 || bar in queue.reason) return null;
  const f = queue.form[bar], after = cycle - queue.start[bar];
  const step = after / model.interval[f];
  return Number.isInteger(step) && step < model.count[f] ? { queue, bar, step } : null;
}

const formOf = issue => issue.queue.form[issue.bar];
const cycleOf = (model, issue) => issue.queue.start[issue.bar] + issue.step * model.interval[formOf(issue)];
const shapeOf = (model, issue) => model.shapes[model.shape[formOf(issue)]];
const kindOf = (model, issue) => model.kinds[model.kind[formOf(issue)]][0];
/** [first stream, streams, latency, operand] of what an issue drives, and of each operand it reads. */
const drivesOf = (model, issue) => shapeOf(model, issue).drives;
const readsOf = (model, issue) => shapeOf(model, issue).reads;
const operandName = (model, issue, operand) => shapeOf(model, issue).names[operand] || "";

/** The address an issue reads or writes, -1 if it names none. */
function addressOf(model, issue, half) {
  const f = formOf(issue), first = (half === "read" ? model.readAddress : model.writeAddress)[f];
  return first < 0 ? -1 : first + issue.step * (half === "read" ? model.stepA : model.stepB)[f];
}

/** "mem.w0[3], x + 1": an address as people say it. */
function placeName(model, slice, address) {
  const symbol = model.symbols.find(([, place, first, words]) =>
    place === slice && address >= first && address < first + words);
  if (!symbol) return `${slice}[${address}]`;
  const offset = address - symbol[2];
  return `${slice}[${address}], ${symbol[0]}${offset ? ` + ${offset}` : ""}`;
}

/** "e7" or "w12". */
const streamName = stream => `${stream >> 5 & 1 ? "w" : "e"}${stream & 31}`;
const streamNames = (stream, planes) =>
  planes === 1 ? streamName(stream) : `${streamName(stream)}…${streamName(stream + planes - 1)}`;

/** "vector_add.tsp:12", or "mem.e0 word 3" where no line is known. */
function whereOf(model, issue) {
  const line = issue.queue.line[issue.bar];
  return line ? `${model.source}:${line}` : `${issue.queue.name} word ${issue.queue.word[issue.bar]}`;
}
