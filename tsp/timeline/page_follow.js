// Where a vector is in any cycle and who reads it: section 3 of docs/architecture.md. What a drive at site a puts into the
// stream register in cycle T is read at site b downstream in cycle T + |b - a| - 1, unless a drive between them is nearer.

const isWest = stream => stream >> 5 & 1;
/** Sites from a to b in the direction of flow; not positive if b is not downstream. */
const distance = (stream, a, b) => isWest(stream) ? a - b : b - a;

/** What an issue drives: {issue, stream, planes, time, site}, time being the cycle it is in the first stream register. */
function driveOf(model, issue) {
  const found = drivesOf(model, issue)[0];
  if (!found) return null;
  const [stream, planes, latency] = found;
  return { issue, stream, planes, site: issue.queue.site, time: cycleOf(model, issue) + latency };
}

/** Where what an issue reads comes from: per operand, and per stretch of streams with one source,
 *  {operand, stream, planes, cycle, drive}; drive is null where nothing arrives. */
function sourcesOf(model, issue) {
  const parts = [];
  for (const [first, planes, latency, operand] of readsOf(model, issue)) {
    const cycle = cycleOf(model, issue) + latency;
    for (let stream = first; stream < first + planes; stream++) {
      const drive = sourceOf(model, stream, cycle, issue.queue.site);
      const last = parts[parts.length - 1];
      const same = last && last.operand === operand && sameIssue(last.drive && last.drive.issue, drive && drive.issue);
      if (same) last.planes++; else parts.push({ operand, stream, planes: 1, cycle, drive });
    }
  }
  return parts;
}

const sameIssue = (a, b) => a === b || !!a && !!b && a.queue === b.queue && a.bar === b.bar && a.step === b.step;

/** The drive that a reader of a stream at a site sees in a cycle: the nearest upstream. */
function sourceOf(model, stream, cycle, site) {
  let best = null, nearest = Infinity;
  for (const queue of model.queues) {
    const away = distance(stream, queue.site, site);
    if (away < 1 || away >= nearest) continue;
    for (const latency of queue.driveLatencies) {
      const issue = issueAt(model, queue, cycle - away + 1 - latency);
      const drive = issue && driveOf(model, issue);
      if (!drive || drive.time !== cycle - away + 1) continue;
      if (stream >= drive.stream && stream < drive.stream + drive.planes) [best, nearest] = [drive, away];
    }
  }
  return best;
}

/** A drive's way: {drive, readers, gone, last}. readers: {issue, operand, stream, planes, cycle, site}, by cycle; gone: per
 *  plane {site, cycle} where another drive takes its place, or null; last: the last cycle any plane is in a register. */
function journeyOf(model, drive) {
  const gone = Array(drive.planes).fill(null), reach = Array(drive.planes).fill(Infinity);
  const inPlanes = (stream, planes, act) => {
    for (let p = 0; p < drive.planes; p++)
      if (drive.stream + p >= stream && drive.stream + p < stream + planes) act(p);
  };
  const downstream = model.queues
    .map(queue => ({ queue, away: distance(drive.stream, drive.site, queue.site) })).filter(({ away }) => away > 0);
  for (const { queue, away } of downstream)
    for (const latency of queue.driveLatencies) {
      const issue = issueAt(model, queue, drive.time + away - latency);
      for (const [stream, planes, its] of issue ? drivesOf(model, issue) : [])
        if (its === latency)
          inPlanes(stream, planes, p => {
            if (away < reach[p]) [reach[p], gone[p]] = [away, { site: queue.site, cycle: drive.time + away, issue }];
          });
    }
  const readers = [];
  for (const { queue, away } of downstream)
    for (const latency of queue.readLatencies) {
      const cycle = drive.time + away - 1, issue = issueAt(model, queue, cycle - latency);
      for (const [stream, planes, its, operand] of issue ? readsOf(model, issue) : []) {
        const seen = [];
        if (its === latency) inPlanes(stream, planes, p => { if (away <= reach[p]) seen.push(drive.stream + p); });
        if (seen.length)
          readers.push({ issue, operand, stream: seen[0], planes: seen.length, cycle, site: queue.site });
      }
    }
  readers.sort((a, b) => a.cycle - b.cycle || a.issue.queue.number - b.issue.queue.number || a.operand - b.operand);
  const edge = drive.time + (isWest(drive.stream) ? drive.site - 1 : model.sites.length - 2 - drive.site);
  const last = Math.max(...gone.map(end => end ? end.cycle - 1 : edge));
  return { drive, readers, gone, edge, last };
}

/** The stream register (the one east of the site of that number) a drive's vector is in, or -1 where it is in none. */
function registerAt(model, journey, cycle) {
  const { stream, site, time } = journey.drive, hops = cycle - time;
  if (hops < 0 || cycle > journey.last) return -1;
  return isWest(stream) ? site - 1 - hops : site + hops;
}

/** Issues of a bar whose address is the one asked: {first, step} where all match, {step} or null. */
function stepWith(first, by, count, address) {
  if (first < 0) return null;
  if (by === 0) return first === address ? { first: 0, last: count - 1 } : null;
  const step = (address - first) / by;
  return Number.isInteger(step) && step >= 0 && step < count ? { first: step, last: step } : null;
}

const MOST_READS = 200;

/** What becomes of a word that an issue writes: {slice, address, cycle, reads: [issue], until: issue or null, scatters}. */
function wordOf(model, issue) {
  const address = addressOf(model, issue, "write"), queue = issue.queue;
  if (address < 0) return null;
  const cycle = cycleOf(model, issue), word = { slice: queue.slice, address, cycle, reads: [], until: null, scatters: false };
  for (let bar = issue.bar; bar < queue.length; bar++) {
    if (word.until && queue.start[bar] >= cycleOf(model, word.until) + model.write_read) break;
    const f = queue.form[bar];
    if (bar in queue.reason) continue;
    word.scatters ||= model.shapes[model.shape[f]].scatters === 1;
    const stores = stepWith(model.writeAddress[f], model.stepB[f], model.count[f], address);
    for (let step = stores ? stores.first : 1; stores && !word.until && step <= stores.last; step++)
      if (cycleOf(model, { queue, bar, step }) > cycle) word.until = { queue, bar, step };
    const loads = stepWith(model.readAddress[f], model.stepA[f], model.count[f], address);
    for (let step = loads ? loads.first : 1; loads && step <= loads.last && word.reads.length < MOST_READS; step++) {
      const at = cycleOf(model, { queue, bar, step });
      if (at >= cycle + model.write_read) word.reads.push({ queue, bar, step });
    }
  }
  const end = word.until ? cycleOf(model, word.until) + model.write_read : Infinity;
  word.reads = word.reads.filter(read => cycleOf(model, read) < end);
  return word;
}

/** The WRITE whose word a READ takes, or null: then it is of the initial image, or of a SCATTER. */
function storeOf(model, issue) {
  const address = addressOf(model, issue, "read"), queue = issue.queue;
  const before = cycleOf(model, issue) - model.write_read;
  if (address < 0) return null;
  for (let bar = issue.bar; bar >= 0; bar--) {
    const f = queue.form[bar];
    const stores = bar in queue.reason ? null : stepWith(model.writeAddress[f], model.stepB[f], model.count[f], address);
    for (let step = stores ? stores.last : -1; stores && step >= stores.first; step--)
      if (cycleOf(model, { queue, bar, step }) <= before) return { queue, bar, step };
  }
  return null;
}

/** Issues whose results an issue takes without a stream, {operand, issue}: of ALUs of the stage before, and the product
 *  that an ACC adds up. issue is null where there is none. */
function takenFrom(model, issue) {
  const cycle = cycleOf(model, issue);
  const found = shapeOf(model, issue).chains.map(([operand, alu]) => {
    const queue = model.queues.find(other => other.alu === alu), before = queue && issueAt(model, queue, cycle - model.alu_next);
    return { operand, issue: before && shapeOf(model, before).next ? before : null };
  });
  if (kindOf(model, issue) === "ACC") found.push({ operand: 0, issue: ofPlane(model, issue, "mxm_activations", "ABC", -model.abc_acc) });
  return found;
}

/** Issues that take an issue's result without a stream: ALUs of the next stage, and the ACC of a product. */
function handedTo(model, issue) {
  const found = [], cycle = cycleOf(model, issue);
  for (const queue of shapeOf(model, issue).next ? model.queues : []) {
    const after = queue.alu >= 0 ? issueAt(model, queue, cycle + model.alu_next) : null;
    if (after && shapeOf(model, after).chains.some(([, alu]) => alu === issue.queue.alu)) found.push(after);
  }
  const sum = kindOf(model, issue).startsWith("ABC") && ofPlane(model, issue, "mxm_accumulate", "ACC", model.abc_acc);
  return sum ? [...found, sum] : found;
}

/** What another queue of the same plane issues so many cycles later, if it is of that kind. */
function ofPlane(model, issue, kind, name, cycles) {
  const queue = model.queues.find(other => other.kind === kind && other.slice === issue.queue.slice);
  const found = queue ? issueAt(model, queue, cycleOf(model, issue) + cycles) : null;
  return found && kindOf(model, found).startsWith(name) ? found : null;
}
