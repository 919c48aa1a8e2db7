// The canvas: how busy the units are over time, above a row a queue. Only what is in view is drawn, and where a cycle is
// narrower than two pixels a column of pixels is what its cycles hold together.

const LABEL = 116, AXIS = 20, STRIP = 24, ROW = 17, ISSUES_FROM = 2;

class Chart {
  constructor(canvas, model) {
    Object.assign(this, { canvas, model, from: 0, scale: 1, top: 0, selected: null, marks: [], frame: 0 });
    this.context = canvas.getContext("2d");
    this.buffer = document.createElement("canvas");
    this.colours = model.kinds.map(kind => packed(kind[1]));
    this.head = AXIS + model.units.length * STRIP;
    this.whole = true;
    new ResizeObserver(() => this.resize()).observe(canvas);
    this.resize();
  }

  /** Pixels a cycle is wide at most, and at least. */
  get most() { return 140; }
  get least() { return this.width / this.model.span; }
  get width() { return Math.max(this.canvas.clientWidth - LABEL, 40); }
  get height() { return this.canvas.clientHeight; }
  x(cycle) { return LABEL + (cycle - this.from) * this.scale; }
  cycleAt(x) { return this.from + (x - LABEL) / this.scale; }

  resize() {
    const ratio = window.devicePixelRatio || 1;
    this.canvas.style.maxHeight = `${this.head + Math.max(this.model.queues.length, 1) * ROW + 4}px`;
    this.canvas.width = Math.round(this.canvas.clientWidth * ratio);
    this.canvas.height = Math.round(this.height * ratio);
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    if (this.whole) this.fit(); else this.zoom(1);
  }

  fit() {
    [this.scale, this.from, this.whole] = [Math.min(this.least, this.most), 0, true];
    this.move(0, 0);
  }

  zoom(factor, x = LABEL + this.width / 2) {
    const cycle = this.cycleAt(Math.max(x, LABEL));
    this.scale = Math.min(Math.max(this.scale * factor, Math.min(this.least, this.most)), this.most);
    this.whole = this.scale === Math.min(this.least, this.most);
    this.from = cycle - (Math.max(x, LABEL) - LABEL) / this.scale;
    this.move(0, 0);
  }

  /** Pan by pixels, and draw in the next frame. */
  move(dx, dy) {
    const room = Math.max(this.model.span - this.width / this.scale, 0);
    this.from = Math.min(Math.max(this.from + dx / this.scale, 0), room);
    this.top = Math.min(Math.max(this.top + dy, 0), Math.max(this.model.queues.length * ROW - (this.height - this.head), 0));
    this.frame ||= requestAnimationFrame(() => { this.frame = 0; this.draw(); });
  }

  /** Bring a cycle of a queue into view. */
  show(queue, cycle) {
    const x = this.x(cycle), y = queue.number * ROW - this.top, room = this.height - this.head;
    const dx = x < LABEL || x > LABEL + this.width - 20 ? x - LABEL - this.width / 2 : 0;
    this.move(dx, y < 0 || y + ROW > room ? y - room / 2 : 0);
  }

  /** The issue at a point, or the nearest within a column of pixels; null where nothing is. */
  issueAtPoint(x, y) {
    const queue = this.queueAtPoint(y);
    if (!queue || x < LABEL) return null;
    const cycle = Math.floor(this.cycleAt(x)), reach = this.scale < ISSUES_FROM ? Math.ceil(3 / this.scale) : 0;
    return nearestIssue(this.model, queue, cycle, reach);
  }

  queueAtPoint(y) {
    return y < this.head ? undefined : this.model.queues[Math.floor((y - this.head + this.top) / ROW)];
  }

  draw() {
    const began = performance.now(), c = this.context, style = getComputedStyle(document.documentElement);
    this.colour = name => style.getPropertyValue(`--${name}`);
    c.font = "11px system-ui, sans-serif";
    c.textBaseline = "middle";
    c.fillStyle = this.colour("paper");
    c.fillRect(0, 0, this.canvas.clientWidth, this.height);
    this.drawQueues();
    c.fillStyle = this.colour("paper");
    c.fillRect(0, 0, this.canvas.clientWidth, this.head);
    this.drawAxis();
    this.drawUnits();
    this.took = performance.now() - began;
  }

  drawAxis() {
    const c = this.context, step = niceStep(70 / this.scale);
    for (let t = Math.ceil(this.from / step) * step; this.x(t) < LABEL + this.width; t += step) {
      if (t > this.model.span) break;
      c.fillStyle = this.colour("line");
      c.fillRect(Math.round(this.x(t)), AXIS - 5, 1, this.height);
      c.fillStyle = this.colour("pale");
      c.fillText(t.toLocaleString("en"), this.x(t) + 3, AXIS / 2);
    }
  }

  drawUnits() {
    const c = this.context, per = Math.max(2 / this.scale, 1), from = per > 1 ? this.from : Math.floor(this.from);
    const columns = Math.ceil(this.width / this.scale / per) + 1;
    const key = [from, per, columns].join();
    if (this.sumsOf !== key) [this.sumsOf, this.sums] = [key, busyOver(this.model, from, per, columns)];
    this.model.units.forEach(([name, queues, all], unit) => {
      const y = AXIS + unit * STRIP;
      c.fillStyle = this.colour("pale");
      c.fillText(`${name}  ${(100 * all / (queues * this.model.span)).toFixed(1)} %`, 6, y + STRIP / 2);
      c.fillStyle = UNIT_COLOURS[name] || this.colour("pale");
      for (let i = 0; i < columns; i++) {
        const cycles = cyclesIn(from + i * per, per, this.model.span), left = Math.max(this.x(from + i * per), LABEL);
        const share = cycles && this.sums[unit][i] / (queues * cycles);
        const high = share && Math.max(share * (STRIP - 4), 1);
        c.fillRect(left, y + STRIP - 1 - high, this.x(from + (i + 1) * per) - left, high);
      }
      c.fillStyle = this.colour("line");
      c.fillRect(0, y + STRIP - 1, this.canvas.clientWidth, 1);
    });
  }

  drawQueues() {
    const c = this.context, { queues } = this.model;
    const first = Math.floor(this.top / ROW), last = Math.min(first + Math.ceil((this.height - this.head) / ROW) + 1, queues.length);
    for (let n = first; n < last; n++) {
      const y = this.head + n * ROW - this.top;
      if (n % 2) { c.fillStyle = this.colour("shade"); c.fillRect(0, y, this.canvas.clientWidth, ROW); }
      if (this.scale >= ISSUES_FROM) this.drawIssues(queues[n], y);
    }
    if (this.scale < ISSUES_FROM) this.drawColumns(first, last);
    if (this.selected) this.outline(this.selected, "ink");
    for (const issue of this.marks) this.outline(issue, "mark");
    for (let n = first; n < last; n++) {
      const y = this.head + n * ROW - this.top;
      c.fillStyle = this.colour(n % 2 ? "shade" : "paper");
      c.fillRect(0, y, LABEL - 2, ROW);
      c.fillStyle = this.colour(this.selected && this.selected.queue.number === n ? "ink" : "pale");
      c.fillText(queues[n].name, 6, y + ROW / 2, LABEL - 12);
    }
  }

  /** Every issue a box of its own, and the wait after a bar a line. */
  drawIssues(queue, y) {
    const c = this.context, m = this.model, end = this.cycleAt(LABEL + this.width);
    for (let bar = Math.max(lastBefore(queue, this.from), 0); bar < queue.length && queue.start[bar] < end; bar++) {
      const f = queue.form[bar], kind = m.kinds[m.kind[f]], skip = Math.floor((this.from - queue.start[bar]) / m.interval[f]);
      for (let step = Math.max(skip, 0); step < m.count[f]; step++) {
        const cycle = queue.start[bar] + step * m.interval[f];
        if (cycle >= end) break;
        c.fillStyle = kind[1];
        c.fillRect(this.x(cycle), y + 2, Math.max(this.scale - 1, 1), ROW - 4);
        if (this.scale > 40) this.write(m.texts[m.text[f]], kind[1], this.x(cycle), y);
      }
      if (bar in queue.wait) {
        const from = queue.start[bar] + (m.count[f] - 1) * m.interval[f] + 1;
        c.fillStyle = this.colour("pale");
        c.fillRect(this.x(from), y + ROW / 2 - 1, queue.wait[bar] * this.scale, 2);
      }
    }
  }

  write(text, background, x, y) {
    const c = this.context, fits = Math.floor((this.scale - 6) / 6);
    c.fillStyle = isLight(background) ? "#000" : "#fff";
    c.fillText(text.length > fits ? text.slice(0, Math.max(fits - 1, 1)) + "…" : text, x + 3, y + ROW / 2, this.scale - 5);
  }

  /** Rows of queues where a cycle is narrower than a column of pixels: an image with a line a queue, stretched to rows. */
  drawColumns(first, last) {
    const wide = Math.ceil(this.width), high = last - first;
    if (high <= 0) return;
    const image = new ImageData(wide, high), pixels = new Uint32Array(image.data.buffer);
    for (let n = 0; n < high; n++) this.columnsOf(this.model.queues[first + n], pixels.subarray(n * wide, (n + 1) * wide));
    [this.buffer.width, this.buffer.height] = [wide, high];
    this.buffer.getContext("2d").putImageData(image, 0, 0);
    this.context.imageSmoothingEnabled = false;
    for (let n = 0; n < high; n++) {
      const y = this.head + (first + n) * ROW - this.top;
      this.context.drawImage(this.buffer, 0, n, wide, 1, LABEL, y + 2, wide, ROW - 4);
    }
  }

  /** A column has the colour of the last bar that issues in it, and is the fainter the less is issued. */
  columnsOf(queue, pixels) {
    const m = this.model, per = 1 / this.scale, pale = packed("#8793a0");
    let k = lastBefore(queue, Math.ceil(this.from)), t = Math.ceil(this.from), before = issuedBefore(m, queue, "seen", k, t);
    for (let x = 0; x < pixels.length && t < m.span; x++) {
      const low = t;
      t = Math.ceil(this.from + (x + 1) * per);
      while (k + 1 < queue.length && queue.start[k + 1] < t) k++;
      const now = issuedBefore(m, queue, "seen", k, t), share = (now - before) / Math.max(t - low, 1);
      if (share > 0) pixels[x] = this.colours[m.kind[queue.form[k]]] | Math.min(80 + 175 * share, 255) << 24;
      else if (k in queue.wait && this.waitsAt(queue, k, low)) pixels[x] = pale | 90 << 24;
      before = now;
    }
  }

  waitsAt(queue, bar, cycle) {
    return cycle > queue.start[bar] && cycle <= queue.start[bar] + queue.wait[bar];
  }

  outline(issue, colour) {
    const c = this.context, y = this.head + issue.queue.number * ROW - this.top, x = this.x(cycleOf(this.model, issue));
    if (x < LABEL - 8 || y + ROW < this.head) return;
    c.strokeStyle = this.colour(colour);
    c.lineWidth = 2;
    c.strokeRect(x - 1, y + 1, Math.max(this.scale, 4) + 1, ROW - 2);
  }
}

const UNIT_COLOURS = { MEM: "#2a9d8f", VXM: "#c98416", MXM: "#4c6fe0", SXM: "#d0568f" };

/** Whether black is read better on it than white. */
function isLight(colour) {
  const [r, g, b] = [1, 3, 5].map(i => parseInt(colour.slice(i, i + 2), 16));
  return 0.299 * r + 0.587 * g + 0.114 * b > 140;
}

/** #rrggbb as the low 24 bits of a pixel. */
function packed(colour) {
  const [r, g, b] = [1, 3, 5].map(i => parseInt(colour.slice(i, i + 2), 16));
  return r | g << 8 | b << 16;
}

/** 1, 2 or 5 times a power of ten, not less. */
function niceStep(least) {
  const power = 10 ** Math.floor(Math.log10(Math.max(least, 1)));
  return [1, 2, 5, 10].map(f => f * power).find(step => step >= least);
}

/** Whole cycles that begin in [from, from + length) and before the end. */
function cyclesIn(from, length, end) {
  return Math.max(Math.min(Math.ceil(from + length), end) - Math.ceil(from), 0);
}

/** Per unit and column the busy queue-cycles; the last unit is the ICU. A column is per cycles, at least 1. */
function busyOver(model, from, per, columns) {
  const sums = model.units.map(() => new Float64Array(columns)), icu = sums[model.units.length - 1];
  const column = cycle => Math.floor((cycle - from) / per);
  for (const queue of model.queues) {
    const mine = sums[queue.unit], { busy, dispatched } = queue.counts, end = from + columns * per;
    for (let k = Math.max(lastBefore(queue, from), 0); k < queue.length && queue.start[k] < end; k++) {
      const f = queue.form[k], start = queue.start[k], d = model.interval[f];
      const add = (i, n) => {
        if (i < 0 || i >= columns) return;
        if (busy[k]) mine[i] += n;
        if (dispatched[k]) icu[i] += n;
      };
      if (model.count[f] === 1) { add(column(start), 1); continue; }
      const last = Math.min(column(start + (model.count[f] - 1) * d), columns - 1);
      for (let i = Math.max(column(start), 0); i <= last; i++) {
        const before = t => Math.min(Math.max(Math.ceil((t - start) / d), 0), model.count[f]);
        add(i, before(from + (i + 1) * per) - before(from + i * per));
      }
    }
  }
  return sums;
}

/** The issue of a queue nearest to a cycle, at most so far away; skipped words count. */
function nearestIssue(model, queue, cycle, reach) {
  let best = null, nearest = reach + 0.5;
  const k = lastBefore(queue, cycle + 1);
  for (const bar of [k, k + 1]) {
    if (bar < 0 || bar >= queue.length) continue;
    const f = queue.form[bar], near = Math.floor((cycle - queue.start[bar]) / model.interval[f]);
    for (const at of [near, near + 1]) {
      const step = Math.min(Math.max(at, 0), model.count[f] - 1), issue = { queue, bar, step };
      const away = Math.abs(cycleOf(model, issue) - cycle);
      if (away < nearest) [best, nearest] = [issue, away];
    }
  }
  return best;
}
