/**
 * Where the scores of members and of non-members lie, one small histogram a series.
 */
import { h, svg } from "./dom.js";
import { asFinite, countText, epochText, figureText, percentText } from "./figures.js";
import { whyAbsent } from "./absent_reason.js";
import { hoverBox } from "./hover_box.js";
import { nameText, shortName } from "./names.js";
import { legendOf, linearTicks, plotFrame } from "./plot.js";
import { barsOf, histogramOf } from "./score_bars.js";

const SIDES = [
  { label: "members", colour: "var(--members)", dash: null },
  { label: "non-members", colour: "var(--nonmembers)", dash: "4 2" },
];
const BEYOND_NAMES = { below: ["−∞ and", "below"], above: ["above", "and ∞"] };

/** Histograms of the scores at one audit; each side's shares, higher = more member-like. */
export function scoresView({ series, step }) {
  const section = h("section", { class: "view scores-view" });
  if (!series.length) section.append(h("p", { class: "view-note" }, "No attack is selected."));
  else section.append(legendOf(SIDES));
  const box = hoverBox(section);
  section.append(h("div", { class: "scores-grid" }, series.map((one) => scoresCell(one, step, box))));
  return section;
}

/** The numbers behind the histograms: a row a bin. */
export function scoresRows({ series }) {
  const columns = ["run", "attack", "epoch", "from", "to", "members", "nonmembers"];
  const rows = series.flatMap((one) => {
    const scores = histogramOf(one);
    if (scores === null) return [];
    const start = [one.run.id, one.attack.attack, one.details.step + 1];
    const bins = scores.members.map((count, index) => [...start, scores.edges[index], scores.edges[index + 1], count, scores.nonmembers[index]]);
    const [first, last] = [scores.edges[0] ?? null, scores.edges.at(-1) ?? null];
    const [below, above] = [scores.below, scores.above].map((pair) => [pair?.[0] ?? 0, pair?.[1] ?? 0]);
    return [[...start, "-Infinity", first, ...below], ...bins, [...start, last, "Infinity", ...above]];
  });
  return { columns, rows };
}

function scoresCell(one, step, box) {
  const scores = histogramOf(one);
  const mark = svg("svg", { viewBox: "0 0 26 12", class: "mark", "aria-hidden": "true" });
  mark.append(svg("line", { x1: 1, x2: 25, y1: 6, y2: 6, stroke: one.colour, "stroke-width": 2.5, "stroke-dasharray": one.dash ?? null }));
  const title = h("figcaption", {}, mark, nameText(one.label));
  if (scores !== null) {
    const bars = barsOf(scores);
    const empty = bars.length ? null : h("p", { class: "view-note" }, "no scores");
    return h("figure", { class: "scores-cell" }, title, empty ?? scoresPicture(one, scores, bars, step, box));
  }
  const why = one.details?.scores ? "its histogram cannot be read" : whyAbsent(one, step, "histogram");
  return h("figure", { class: "scores-cell" }, title, h("p", { class: "view-note" }, why));
}

function scoresPicture(one, scores, bars, step, box) {
  const top = Math.max(0.02, ...bars.flatMap((bar) => bar.shares));
  const beyond = bars.filter((bar) => bar.beyond);
  const frame = plotFrame({
    width: 270,
    height: 172,
    x: { kind: "linear", low: bars[0].from, high: bars.at(-1).to, ticks: scoreTicks(scores, beyond) },
    y: { kind: "linear", low: 0, high: 1.08 * top, label: "share of each side", wanted: 3, text: (value) => percentText(value) },
    described: describedScores(one, bars, step),
    margin: { left: 54, right: 16, bottom: 46 },
  });
  for (const [place, side] of SIDES.entries()) {
    for (const run of touchingBars(bars)) frame.area.append(scoreOutline(frame, run, place, side));
  }
  tellBar(frame, bars, box);
  const base = frame.height - frame.edge.bottom;
  const centred = { x: (frame.x.from + frame.x.to) / 2, y: frame.height - 4, "text-anchor": "middle", class: "axis-label" };
  frame.node.append(svg("text", centred, `${scores.ranks ? "rank of the score" : "score"} (higher = more member-like)`));
  for (const bar of beyond) {
    const place = { x: frame.x.at((bar.from + bar.to) / 2), "text-anchor": "middle", class: "tick scores-beyond" };
    frame.node.append(...BEYOND_NAMES[bar.beyond].map((line, row) => svg("text", { ...place, y: base + 13 + 11 * row }, line)));
  }
  return frame.node;
}

/** Round scores within the bins, away from the names of bars at the ends. */
function scoreTicks(scores, beyond) {
  const edges = scores.edges.map(asFinite);
  if (edges.length < 2) return [];
  const [low, high] = [edges[0], edges.at(-1)];
  const keptOff = (end) => (beyond.some((bar) => bar.beyond === end) ? 0.13 * (high - low) : 0);
  return linearTicks(low, high, 4).filter((tick) => tick >= low + keptOff("below") && tick <= high - keptOff("above"));
}

/** Bars that touch, together. */
function touchingBars(bars) {
  const inner = bars.filter((bar) => !bar.beyond);
  return [...(inner.length ? [inner] : []), ...bars.filter((bar) => bar.beyond).map((bar) => [bar])];
}

function scoreOutline(frame, bars, place, { colour, dash }) {
  const at = (value) => Math.round(value * 10) / 10;
  const base = at(frame.y.at(0));
  const steps = bars.map((bar) => `V${at(frame.y.at(bar.shares[place]))}H${at(frame.x.at(bar.to))}`).join("");
  const path = `M${at(frame.x.at(bars[0].from))} ${base}${steps}V${base}Z`;
  return svg("path", { d: path, fill: colour, "fill-opacity": 0.22, stroke: colour, "stroke-width": 1.5, "stroke-dasharray": dash });
}

/** Tells the counts of the bar under the pointer; one listener a picture, for there may be a thousand bars. */
function tellBar(frame, bars, box) {
  frame.node.addEventListener("pointerleave", box.hide);
  frame.node.addEventListener("pointermove", (event) => {
    const place = frame.node.getBoundingClientRect();
    const score = frame.x.inverse(((event.clientX - place.left) / place.width) * frame.width);
    const bar = bars.find(({ from, to }) => from <= score && score <= to);
    if (!bar) return box.hide();
    const range = bar.beyond ? `${bar.beyond} what the axis shows, infinite scores among them` : `scores ${figureText(bar.from, 4)} to ${figureText(bar.to, 4)}`;
    const counts = SIDES.map(({ label }, side) => h("div", {}, `${countText(bar.counts[side])} ${label} (${percentText(bar.shares[side])})`));
    box.show(event, h("div", { class: "hover-head" }, range), counts);
  });
}

function describedScores(one, bars, step) {
  const totals = SIDES.map(({ label }, place) => `${countText(bars.reduce((total, bar) => total + bar.counts[place], 0))} ${label}`);
  return `Histogram of the scores of ${shortName(one.label)} ${epochText(step)}: ${totals.join(", ")}`;
}
