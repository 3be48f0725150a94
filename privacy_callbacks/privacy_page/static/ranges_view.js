/**
 * A range attack and the point attack beside it, by the size of the range.
 */
import { h, svg, svgTitle } from "./dom.js";
import { asFinite, countText, figureText, guessingAt, intervalText, metricTitle, percentText } from "./figures.js";
import { nameText, shortName } from "./names.js";
import { drawBand, drawLine, drawRule, legendOf, plotFrame } from "./plot.js";
import { seriesEntry, seriesMark } from "./series_mark.js";

const RANGE_LOOKS = [
  { colour: "var(--members)", dash: null },
  { colour: "var(--nonmembers)", dash: "5 3" },
  { colour: "var(--accent)", dash: "2 3" },
  { colour: "var(--text)", dash: "9 3 2 3" },
];
const WIDE_SPAN = 100;
const PIXELS_A_TICK = 34;

/** One picture a range curve; `metric` is a flat name such as "auc". */
export function rangesView({ ranges, metric = "auc" }) {
  const section = h("section", { class: "view ranges-view" });
  if (!ranges.length) section.append(h("p", { class: "view-note" }, "No range curves: RangeCurve.log(log_dir) writes them."));
  section.append(...ranges.map((range) => rangeFigure(range, metric)));
  return section;
}

/** The numbers behind the curves. */
export function rangesRows({ ranges, metric = "auc" }) {
  const columns = ["ranges", "label", "size", "attack", "holding", "not_holding", metric, `${metric}_low`, `${metric}_high`, `${metric}_null_level`, "reason"];
  const rows = ranges.flatMap((range) =>
    range.curves.flatMap((curve) =>
      range.sizes.map((size, index) => {
        const at = rangePoint(curve, metric, size, index);
        const counts = [curve.num_members?.[index] ?? null, curve.num_nonmembers?.[index] ?? null];
        return [range.id, range.label, size, curve.name, ...counts, at.value, at.low, at.high, at.nullLevel, curve.reasons?.[index] ?? null];
      }),
    ),
  );
  return { columns, rows };
}

function rangePoint(curve, metric, size, index) {
  const columns = curve.metrics?.[metric] ?? {};
  const [value, low, high, nullLevel] = [columns.value, columns.low, columns.high, columns.null_level].map((column) => asFinite(column?.[index]));
  return { size: asFinite(size), index, value, low, high, nullLevel };
}

function rangeFigure(range, metric) {
  const title = h("figcaption", {}, nameText(range.id));
  const curves = range.curves.map((curve, place) => {
    const points = range.sizes.map((size, index) => rangePoint(curve, metric, size, index)).filter(({ size }) => size !== null);
    return { curve, label: curve.name, ...RANGE_LOOKS[place % RANGE_LOOKS.length], points: points.sort((a, b) => a.size - b.size) };
  });
  const sizes = range.sizes.map(asFinite).filter((size) => size !== null);
  const reasons = curves.flatMap(({ curve, points }) => points.filter((point) => whyNoPoint(curve, point)).map((point) => h("li", {}, nameText(curve.name), ` at ${figureText(point.size)}: ${whyNoPoint(curve, point)}`)));
  const told = sizes.length && curves.length ? [rangePicture(range, metric, curves, sizes), rangeLegend(range, metric, curves)] : h("p", { class: "view-note" }, "This range curve has no sizes.");
  return h("figure", { class: "ranges-figure" }, title, told, reasons.length ? h("ul", { class: "view-reasons" }, reasons) : null);
}

/** Why a curve has no point there, null if it has one. */
function whyNoPoint(curve, { index, value }) {
  return value === null ? (curve.reasons?.[index] ?? "no result") : null;
}

function rangePicture(range, metric, curves, sizes) {
  const frame = plotFrame({
    width: 560,
    height: 300,
    x: { ...sizeAxis(sizes), label: shortName(range.label) },
    y: { kind: "linear", ...metricRange(metric, curves), label: metricTitle(metric) },
    described: `${metricTitle(metric)} by ${shortName(range.label)}. ${curves.map(describedCurve).join("; ")}`,
  });
  const guessing = guessingAt(metric);
  if (guessing !== null) drawRule(frame, { y: guessing }, { className: "ranges-guessing" });
  drawLine(frame, nullLevels(curves), { colour: "var(--quiet)", dash: "1 3", width: 1.5, className: "ranges-null" });
  for (const { colour, points } of curves) drawBand(frame, points.map(({ size, low, high }) => [size, low, high]), { colour });
  for (const { colour, dash, points } of curves) drawLine(frame, points.map(({ size, value }) => [size, value]), { colour, dash });
  curves.forEach((one, place) => one.points.forEach((point) => drawPoint(frame, one, place, point, metric)));
  return frame.node;
}

function drawPoint(frame, { curve, colour }, place, point, metric) {
  const x = frame.x.at(point.size);
  if (point.value === null) {
    const y = frame.height - frame.edge.bottom - 8 - 12 * place;
    const cross = { d: `M${x - 4} ${y - 4}L${x + 4} ${y + 4}M${x + 4} ${y - 4}L${x - 4} ${y + 4}`, stroke: colour, "stroke-width": 1.8, class: "ranges-absent" };
    frame.node.append(svg("path", cross, svgTitle(`${shortName(curve.name)} at ${figureText(point.size)}: ${whyNoPoint(curve, point)}`)));
    return;
  }
  const counts = `${countText(curve.num_members?.[point.index])} ranges that hold a training record, ${countText(curve.num_nonmembers?.[point.index])} that do not`;
  const mark = seriesMark(place, x, frame.y.at(point.value), colour);
  mark.setAttribute("data-size", point.size);
  mark.append(svgTitle(`${shortName(curve.name)} at ${figureText(point.size)}: ${metricTitle(metric)} ${intervalText(point.value, point.low, point.high, point.nullLevel)}; ${counts}`));
  frame.node.append(mark);
}

/** The largest null level of the curves at each size: what no leak would reach. */
function nullLevels(curves) {
  const levels = new Map();
  for (const { size, nullLevel } of curves.flatMap(({ points }) => points)) {
    if (nullLevel !== null) levels.set(size, Math.max(nullLevel, levels.get(size) ?? nullLevel));
  }
  return [...levels].sort(([a], [b]) => a - b);
}

/** Logarithmic if the sizes span more than two decades; ticks at the sizes as far as there is room. */
function sizeAxis(sizes) {
  const sorted = [...new Set(sizes)].sort((a, b) => a - b);
  const [least, most] = [sorted[0], sorted.at(-1)];
  const isWide = least > 0 && most / least > WIDE_SPAN;
  const pad = least === most ? Math.max(0.5, Math.abs(least) / 2) : 0.04 * (most - least);
  const [low, high] = isWide ? [least / (most / least) ** 0.04, most * (most / least) ** 0.04] : [least - pad, most + pad];
  const place = isWide ? Math.log10 : (value) => value;
  const apart = ((place(high) - place(low)) * PIXELS_A_TICK) / 490;
  const ticks = sorted.reduce((kept, size) => (kept.length && place(size) - place(kept.at(-1)) < apart ? kept : [...kept, size]), []);
  return { kind: isWide ? "log" : "linear", low, high, ticks };
}

function metricRange(metric, curves) {
  const shown = curves.flatMap(({ points }) => points).flatMap(({ value, low, high, nullLevel }) => [value, low, high, nullLevel]);
  const ends = [...shown, guessingAt(metric), ...(metric === "auc" ? [0.45, 0.55] : [])].filter((end) => end !== null);
  if (!ends.length) return { low: 0, high: 1 };
  const margin = 0.06 * (Math.max(...ends) - Math.min(...ends) || 0.1);
  return { low: Math.min(...ends) - margin, high: Math.max(...ends) + margin };
}

function rangeLegend(range, metric, curves) {
  const legend = h("ul", { class: "legend" }, curves.map((one, place) => seriesEntry(one, place)));
  const more = [];
  const level = asFinite(range.curves.map((curve) => curve.metrics?.[metric]?.level).find((found) => asFinite(found) !== null)) ?? 0.95;
  if (curves.some(({ points }) => points.some(({ low, high }) => low !== null && high !== null))) more.push({ label: `${percentText(level)} interval`, colour: "var(--quiet)", kind: "interval" });
  if (guessingAt(metric) !== null) more.push({ label: "guessing", colour: "var(--quiet)", dash: "4 3" });
  if (nullLevels(curves).length) more.push({ label: "what no leak would reach", colour: "var(--quiet)", dash: "1 3" });
  legend.append(...legendOf(more).children);
  return legend;
}

function describedCurve({ label, points }) {
  const known = points.filter(({ value }) => value !== null);
  if (!known.length) return `${shortName(label)}: no result`;
  const [first, last] = [known[0], known.at(-1)];
  return `${shortName(label)}: ${figureText(first.value)} at ${figureText(first.size)} to ${figureText(last.value)} at ${figureText(last.size)}`;
}
