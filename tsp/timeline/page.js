// The page: what is selected, what is followed, and who listens to whom.

const $ = id => document.getElementById(id);
const model = decode(JSON.parse($("data").textContent));
const chart = new Chart($("chart"), model), plan = new Plan($("plan"), model);
let followed = null;

function make(name, text, attributes = {}) {
  const element = document.createElement(name);
  if (text !== undefined) element.textContent = text;
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

/** A button that selects an issue. */
function link(issue, text) {
  const button = make("button", text, { type: "button", class: "link" });
  button.onclick = () => select(issue);
  return button;
}

const named = issue => `${issue.queue.name}, cycle ${cycleOf(model, issue)}`;
const textOf = issue => model.texts[model.text[formOf(issue)]];

function select(issue) {
  chart.selected = issue;
  chart.show(issue.queue, cycleOf(model, issue));
  describe(issue);
  const data = dataOf(issue);
  $("choices").replaceChildren(...data.map((one, number) => {
    const button = make("button", one.name, { type: "button", "aria-pressed": String(number === 0) });
    button.onclick = () => {
      for (const other of $("choices").children) other.setAttribute("aria-pressed", String(other === button));
      follow(one);
    };
    return button;
  }));
  $("follow").hidden = !data.length;
  if (data.length) follow(data[0]); else [followed, chart.marks] = [null, []];
}

function describe(issue) {
  const f = formOf(issue), count = model.count[f], { queue, bar } = issue;
  const list = make("dl"), row = (name, ...parts) => {
    const value = make("dd");
    value.append(...parts);
    list.append(make("dt", name), value);
  };
  const text = model.lines[queue.line[bar]];
  row("Source", whereOf(model, issue), ...(text ? [" ", make("code", text)] : []));
  row("Queue", queue.name);
  row("Cycle", String(cycleOf(model, issue)));
  if (count > 1) row("Issue", `${issue.step + 1} of ${count}, one every ${model.interval[f] === 1 ? "cycle" : `${model.interval[f]} cycles`}`);
  for (const half of ["read", "write"]) {
    const address = addressOf(model, issue, half);
    if (address >= 0) row(half === "read" ? "Reads word" : "Writes word", placeName(model, queue.slice, address));
  }
  const store = storeOf(model, issue);
  if (store) row("Word from", link(store, `${named(store)}: ${textOf(store)}`));
  for (const { operand, stream, planes, drive } of bar in queue.reason ? [] : sourcesOf(model, issue)) {
    const name = `${streamNames(stream, planes)}${operandName(model, issue, operand) && `, operand ${operandName(model, issue, operand)}`}`;
    row("Takes", `${name}: `, drive ? link(drive.issue, `from ${named(drive.issue)}: ${textOf(drive.issue)}`) : "nothing arrives");
  }
  for (const { operand, issue: from } of bar in queue.reason ? [] : takenFrom(model, issue)) {
    const name = operandName(model, issue, operand);
    row("Takes", name ? `operand ${name}: ` : "the sums ", from ? link(from, `from ${named(from)}: ${textOf(from)}`) : "that nobody makes");
  }
  for (const to of bar in queue.reason ? [] : handedTo(model, issue)) row("Hands on", link(to, `to ${named(to)}: ${textOf(to)}`));
  if (bar in queue.wait) row("Then waits", `${queue.wait[bar]} cycles`);
  if (bar in queue.reason) row("Skipped", queue.reason[bar]);
  $("details").replaceChildren(make("h2", textOf(issue), { class: "code" }), list);
}

/** The vectors that an issue has to do with: {name, journey, word}. */
function dataOf(issue) {
  if (issue.bar in issue.queue.reason) return [];
  const drive = driveOf(model, issue), word = wordOf(model, issue), data = [];
  if (drive) data.push({ name: `drives ${streamNames(drive.stream, drive.planes)}`, journey: journeyOf(model, drive), word: null });
  for (const part of sourcesOf(model, issue))
    if (part.drive) {
      const writes = word && part.operand === 0;
      const name = `${writes ? "writes" : "takes"} ${streamNames(part.stream, part.planes)} of ${part.drive.issue.queue.name}`;
      data.push({ name, journey: journeyOf(model, part.drive), word: writes ? word : null });
    }
  return data;
}

function follow(one) {
  followed = one;
  const { journey, word } = one, first = cycleOf(model, journey.drive.issue), slider = $("when");
  chart.marks = [journey.drive.issue, ...journey.readers.map(r => r.issue)];
  slider.min = first;
  slider.max = Math.max(journey.last + 1, ...(word ? [word.cycle + 1] : []));
  slider.value = journey.drive.time;
  const stops = journey.readers.map(r => stop(r.cycle, link(r.issue, `${r.issue.queue.name} reads ${streamNames(r.stream, r.planes)}: ${textOf(r.issue)}`)));
  for (const end of new Set(journey.gone.filter(Boolean).map(g => g.issue.queue.name)))
    stops.push(stop(journey.gone.find(g => g && g.issue.queue.name === end).cycle, `${end} drives the stream anew`));
  if (!journey.gone.every(Boolean)) stops.push(stop(journey.edge + 1, "beyond the chip's edge"));
  if (word) {
    stops.push(stop(word.cycle, `in ${placeName(model, word.slice, word.address)}${word.scatters ? "; SCATTERs may change it" : ""}`));
    for (const read of word.reads) stops.push(stop(cycleOf(model, read), link(read, `READ again: ${textOf(read)}`)));
    if (word.until) stops.push(stop(cycleOf(model, word.until), link(word.until, `overwritten: ${textOf(word.until)}`)));
  }
  stops.sort((a, b) => a.dataset.cycle - b.dataset.cycle);
  $("stops").replaceChildren(...stops);
  drawFollowed();
}

function stop(cycle, what) {
  const item = make("li", `cycle ${cycle}: `);
  item.dataset.cycle = cycle;
  item.append(what);
  return item;
}

function drawFollowed() {
  const cycle = Number($("when").value);
  plan.draw(followed.journey, cycle, followed.word);
  $("state").textContent = stateOf(model, followed.journey, cycle, followed.word);
  for (const item of $("stops").children) item.classList.toggle("now", Number(item.dataset.cycle) === cycle);
  chart.move(0, 0);
}

function step(by) {
  if (!followed) return;
  $("when").value = Number($("when").value) + by;
  drawFollowed();
}

/** The issue before or after in the queue; the nearest in the next queue that has one. */
function neighbour(dx, dy) {
  const issue = chart.selected;
  if (!issue) return model.queues.length ? nearestIssue(model, model.queues[0], Math.ceil(chart.from), Infinity) : null;
  if (dy) {
    const queue = model.queues[issue.queue.number + dy];
    return queue ? nearestIssue(model, queue, cycleOf(model, issue), Infinity) : null;
  }
  const { queue, bar } = issue, next = issue.step + dx;
  if (next >= 0 && next < model.count[queue.form[bar]]) return { queue, bar, step: next };
  if (bar + dx < 0 || bar + dx >= queue.length) return null;
  return { queue, bar: bar + dx, step: dx > 0 ? 0 : model.count[queue.form[bar - 1]] - 1 };
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const KEYS = {
  "+": () => chart.zoom(1.5), "=": () => chart.zoom(1.5), "-": () => chart.zoom(1 / 1.5), "0": () => chart.fit(),
  ",": () => step(-1), ".": () => step(1), "Home": () => chart.move(-Infinity, 0), "End": () => chart.move(1e15, 0),
  "PageUp": () => chart.move(0, -200), "PageDown": () => chart.move(0, 200),
};

function onKey(event) {
  const arrow = ARROWS[event.key];
  if (event.ctrlKey || event.metaKey || event.altKey || !(arrow || KEYS[event.key])) return;
  event.preventDefault();
  if (!arrow) return KEYS[event.key]();
  if (event.shiftKey) return chart.move(arrow[0] * 80, arrow[1] * ROW);
  const issue = neighbour(...arrow);
  if (issue) select(issue);
}

let grip = null;
$("chart").addEventListener("keydown", onKey);
$("chart").addEventListener("wheel", event => {
  event.preventDefault();
  const lines = event.deltaMode ? 16 : 1;
  if (event.shiftKey) chart.move((event.deltaX || event.deltaY) * lines, 0);
  else if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) chart.move(event.deltaX * lines, 0);
  else chart.zoom(Math.exp(-event.deltaY * lines / 300), event.offsetX);
}, { passive: false });
$("chart").addEventListener("pointerdown", event => {
  grip = { x: event.clientX, y: event.clientY, moved: 0 };
  $("chart").setPointerCapture(event.pointerId);
});
$("chart").addEventListener("pointermove", event => {
  if (grip) {
    const dx = grip.x - event.clientX, dy = grip.y - event.clientY;
    grip = { x: event.clientX, y: event.clientY, moved: grip.moved + Math.abs(dx) + Math.abs(dy) };
    if (grip.moved > 4) chart.move(dx, dy);
  } else {
    const queue = chart.queueAtPoint(event.offsetY), issue = chart.issueAtPoint(event.offsetX, event.offsetY);
    const cycle = Math.floor(chart.cycleAt(event.offsetX));
    $("hover").textContent = issue ? `${named(issue)}: ${textOf(issue)}` : event.offsetX < LABEL ? "" : `${queue ? `${queue.name}, ` : ""}cycle ${cycle}`;
  }
});
$("chart").addEventListener("pointerup", event => {
  const issue = grip && grip.moved <= 4 ? chart.issueAtPoint(event.offsetX, event.offsetY) : null;
  grip = null;
  if (issue) select(issue);
});
$("chart").addEventListener("pointercancel", () => { grip = null; });
$("in").onclick = KEYS["+"];
$("out").onclick = KEYS["-"];
$("fit").onclick = KEYS["0"];
$("back").onclick = KEYS[","];
$("on").onclick = KEYS["."];
$("when").oninput = drawFollowed;
$("goto").onchange = event => chart.move((Number(event.target.value) - chart.from) * chart.scale - chart.width / 2, 0);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => chart.move(0, 0));

$("name").textContent = model.name;
const issued = model.queues.reduce((sum, queue) => sum + queue.dispatched[queue.length], 0);
const counted = (n, what) => `${n.toLocaleString("en")} ${what}${n === 1 ? "" : "s"}`;
$("summary").textContent = `${counted(model.cycles, "cycle")}, ${counted(issued, "instruction")} in ${counted(model.queues.length, "queue")}, config ${model.config}`;
$("fault").hidden = !model.fault;
$("fault").textContent = `Not legal: ${model.fault}`;
$("goto").max = model.span - 1;
const used = new Set(model.queues.flatMap(queue => [...new Set(queue.form)].map(f => model.kind[f])));
$("legend").append(...model.kinds.flatMap(([name, colour], kind) => {
  const item = make("li"), swatch = make("i");
  swatch.style.background = colour;
  item.append(swatch, name);
  return used.has(kind) ? [item] : [];
}));
$("busy").tBodies[0].append(...model.units.map(([name, queues, busy]) => {
  const row = make("tr"), all = queues * model.span;
  for (const text of [name, queues, all.toLocaleString("en"), busy.toLocaleString("en"), `${(100 * busy / all).toFixed(1)} %`])
    row.append(make("td", text));
  return row;
}));
