// The floorplan a vector is followed on: sites from west to east, the stream registers between them.

const SVG = "http://www.w3.org/2000/svg", SITE = 46, GAP = 26, HIGH = 64, ABOVE = 56;
const SITE_COLOURS = { mem: "#2a9d8f", vxm: "#e9a23b", mxm: "#4c6fe0", sxm: "#d0568f" };

class Plan {
  constructor(svg, model) {
    Object.assign(this, { svg, model });
    this.wide = model.sites.length * (SITE + GAP) - GAP + 20;
    svg.setAttribute("viewBox", `-60 0 ${this.wide + 120} ${ABOVE + HIGH + 44}`);
    svg.style.maxHeight = "250px";
    svg.style.minWidth = `${0.85 * this.wide}px`;
  }

  /** Left edge of a site. */
  left(site) { return 10 + site * (SITE + GAP); }
  middle(site) { return this.left(site) + SITE / 2; }
  /** Middle of the stream register east of a site. */
  register(number) { return this.left(number) + SITE + GAP / 2; }

  add(name, attributes, text) {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    this.svg.append(element);
  }

  /** Draw where a journey's vector is in a cycle; word is what a WRITE makes of it, or null. */
  draw(journey, cycle, word) {
    this.svg.replaceChildren();
    const { drive } = journey, west = isWest(drive.stream), at = registerAt(this.model, journey, cycle);
    this.model.sites.forEach(([name, unit], site) => {
      const colour = SITE_COLOURS[unit] || "#8793a0", active = this.actsAt(journey, cycle, site);
      this.add("rect", { x: this.left(site), y: ABOVE, width: SITE, height: HIGH, rx: 4, fill: colour,
        "fill-opacity": active ? 1 : 0.35, stroke: active ? "var(--ink)" : "none", "stroke-width": 2 });
      this.add("text", { x: this.middle(site), y: ABOVE + 22 }, name);
    });
    for (let n = 0; n < this.model.sites.length - 1; n++) {
      this.add("rect", { x: this.register(n) - 5, y: ABOVE, width: 10, height: HIGH, fill: "var(--shade)", stroke: "var(--line)" });
      this.add("text", { x: this.register(n), y: ABOVE + HIGH + 14 }, n);
    }
    this.add("text", { x: this.middle(drive.site), y: ABOVE - 6 }, `▼ ${drive.issue.queue.name}`);
    for (const [site, names] of this.readersBySite(journey))
      this.add("text", { x: this.middle(site), y: ABOVE + HIGH + 30 }, `▲ ${names.length > 2 ? `${names.length} readers` : names.join(", ")}`);
    this.drawTrail(journey, cycle, west);
    if (at >= 0) {
      const x = this.register(at), y = ABOVE + HIGH - 18, way = west ? -1 : 1;
      this.add("path", { d: `M${x - 9 * way} ${y - 9}L${x + 9 * way} ${y}L${x - 9 * way} ${y + 9}z`, fill: "var(--mark)" });
      this.add("text", { x, y: ABOVE - 26, "font-weight": "bold" }, streamNames(drive.stream, drive.planes));
    }
    if (word && cycle >= word.cycle) {
      const site = journey.readers.find(r => r.issue.queue.slice === word.slice);
      if (site) this.add("text", { x: this.middle(site.site), y: ABOVE + HIGH - 5, "font-weight": "bold" }, `[${word.address}]`);
    }
  }

  actsAt(journey, cycle, site) {
    const { issue, time } = journey.drive;
    if (site === issue.queue.site && cycle >= cycleOf(this.model, issue) && cycle < time) return true;
    return journey.readers.some(r => r.site === site && r.cycle === cycle);
  }

  readersBySite(journey) {
    const bySite = new Map();
    for (const r of journey.readers) {
      const names = bySite.get(r.site) || bySite.set(r.site, []).get(r.site);
      if (!names.includes(r.issue.queue.name)) names.push(r.issue.queue.name);
    }
    return bySite;
  }

  /** From the first register to where the vector is now, or where it was last. */
  drawTrail(journey, cycle, west) {
    const { drive } = journey, until = Math.min(cycle, journey.last), y = ABOVE + HIGH - 18;
    if (until < drive.time) return;
    const end = registerAt(this.model, journey, until), start = this.register(west ? drive.site - 1 : drive.site);
    this.add("line", { x1: start, y1: y, x2: this.register(end), y2: y, stroke: "var(--mark)", "stroke-width": 3, "stroke-dasharray": "2 5" });
  }
}

/** In a sentence what happens to a journey's vector in a cycle. */
function stateOf(model, journey, cycle, word) {
  const { drive, readers } = journey, name = drive.issue.queue.name, at = registerAt(model, journey, cycle);
  const read = readers.filter(r => r.cycle === cycle).map(r => r.issue.queue.name);
  const said = [];
  if (cycle < drive.time) said.push(`${name} is making it`);
  if (at >= 0) {
    said.push(`in register ${at}, between ${model.sites[at][0]} and ${model.sites[at + 1][0]}, on ${streamNames(drive.stream, drive.planes)}`);
    if (read.length) said.push(`read by ${[...new Set(read)].join(", ")}`);
  }
  const over = journey.gone.filter(end => end && end.cycle <= cycle);
  if (over.length === drive.planes && cycle > journey.last) said.push(`overwritten by ${over[0].issue.queue.name}`);
  else if (cycle > journey.last) said.push("it has left the chip's edge");
  if (word && cycle >= word.cycle) said.push(`kept in ${placeName(model, word.slice, word.address)}`);
  return `Cycle ${cycle}: ${said.join("; ")}.`;
}
