/**
 * ROC curves of one audit on two logarithmic axes (or linear ones), with their bands.
 */
import { h, svg, svgTitle } from "./dom.js";
import { asFinite, epochText, figureText, intervalText, percentText } from "./figures.js";
import { whyAbsent } from "./absent_reason.js";
import { hoverBox, hoverLine } from "./hover_box.js";
import { nameText, shortName } from "./names.js";
import { drawBand, drawLine, drawShade, legendOf, plotFrame } from "./plot.js";
import { bandCourse, bentCourse, drawnAt, lastWithin, rocCurveOf } from "./roc_course.js";
import { seriesEntry, seriesMark } from "./series_mark.js";

const EXPECTED_FALSE_POSITIVES = 10;
const UNRESOLVED = ["fewer than 10 expected", "false positives"];
const MARKED_RATES = [
  [0.1, "tpr_at_fpr_1e-1"],
  [0.01, "tpr_at_fpr_1e-2"],
  [0.001, "tpr_at_fpr_1e-3"],
];
// With more series, bands are fainter.
const MOST_CLEAR_BANDS = 6;
// Where the axes of the smallest and of the largest audits begin.
const HIGHEST_FLOOR = 1e-2;
const LOWEST_FLOOR = 1e-5;

/** The curves of the series' details; `scale` is "log" or "linear". Higher = more members found at that rate of false accusations. */
export function rocView({ series, step, scale = "log" }) {
  const attacks = [...new Set(series.map((one) => one.attack.attack))];
  const drawn = series.map((one) => ({ one, curve: rocCurveOf(one), form: attacks.indexOf(one.attack.attack) })).filter(({ curve }) => curve !== null);
  const section = h("section", { class: "view roc-view" });
  if (drawn.length) section.append(rocPicture(drawn, step, scale), rocLegend(drawn));
  const without = series.filter((one) => rocCurveOf(one) === null);
  if (!series.length) section.append(h("p", { class: "view-note" }, "No attack is selected."));
  if (without.length) section.append(h("ul", { class: "view-reasons" }, without.map((one) => h("li", {}, nameText(one.label), `: ${whyAbsent(one, step, "curve")}`))));
  if (drawn.some(({ curve }) => curve.low === null)) {
    section.append(h("p", { class: "view-note" }, "A curve without a band joins attackers that were fitted to halves of the records: it is less certain than a band would claim."));
  }
  return section;
}

/** The numbers behind the curves; rates between 0 and 1. */
export function rocRows({ series }) {
  const columns = ["run", "attack", "epoch", "fpr", "tpr", "tpr_low", "tpr_high", "level"];
  const rows = series.flatMap((one) => {
    const curve = rocCurveOf(one);
    if (curve === null) return [];
    return curve.fpr.map((fpr, index) => [one.run.id, one.attack.attack, one.details.step + 1, fpr, curve.tpr[index], curve.low?.[index] ?? null, curve.high?.[index] ?? null, curve.level]);
  });
  return { columns, rows };
}

function rocPicture(drawn, step, scale) {
  const nonmembers = drawn.map(({ curve }) => Math.max(1, curve.num_nonmembers));
  const low = scale === "log" ? rocFloor(Math.max(...nonmembers)) : 0;
  const text = scale === "log" ? (value) => percentText(value) : (value) => figureText(value);
  const axis = { kind: scale, low, high: 1, text };
  const frame = plotFrame({
    width: 560,
    height: 420,
    x: { ...axis, label: "false positive rate: non-members accused" },
    y: { ...axis, label: "true positive rate: members found" },
    described: describedRoc(drawn, step),
    margin: { left: 66, right: 26 },
  });
  shadeUnresolved(frame, EXPECTED_FALSE_POSITIVES / Math.min(...nonmembers));
  drawLine(frame, bentCourse([[low, low], [1, 1]], frame.x), { colour: "var(--quiet)", dash: "4 3", width: 1, className: "roc-guessing" });
  for (const { one, curve } of drawn) drawBand(frame, bandCourse(curve, frame.x), { colour: one.colour, opacity: drawn.length > MOST_CLEAR_BANDS ? 0.06 : 0.14 });
  for (const { one, curve } of drawn) drawLine(frame, bentCourse(curve.fpr.map((fpr, index) => [fpr, curve.tpr[index]]), frame.x), { colour: one.colour, dash: one.dash });
  for (const { one, form } of drawn) markRates(frame, one, form);
  const holder = h("div", { class: "roc-plot" }, frame.node);
  tellNearest(frame, holder, drawn);
  return holder;
}

/** About a decade below one false positive of the largest audit, as a power of ten. */
function rocFloor(nonmembers) {
  return Math.min(HIGHEST_FLOOR, Math.max(LOWEST_FLOOR, 10 ** Math.floor(Math.log10(0.5 / nonmembers))));
}

function shadeUnresolved(frame, resolved) {
  const end = Math.min(1, resolved);
  if (end <= frame.x.low) return;
  drawShade(frame, { x1: end }, { title: UNRESOLVED.join(" ") });
  const right = frame.x.at(end);
  const fits = right - frame.edge.left > 145;
  const lines = fits ? UNRESOLVED : [`◂ ${UNRESOLVED.join(" ")}`];
  const place = { x: fits ? frame.edge.left + 7 : right + 5, class: "plot-note roc-unresolved" };
  frame.area.append(...lines.map((line, row) => svg("text", { ...place, y: frame.edge.top + 15 + 14 * row }, line)));
}

function markRates(frame, one, form) {
  for (const [rate, name] of MARKED_RATES) {
    const estimate = one.details.report?.[name];
    const value = asFinite(estimate?.value);
    if (value === null || rate < frame.x.low) continue;
    const mark = seriesMark(form, frame.x.at(rate), frame.y.at(value), one.colour);
    mark.setAttribute("data-rate", rate);
    mark.append(svgTitle(`${shortName(one.label)}: TPR at ${percentText(rate)} FPR ${intervalText(value, estimate.low, estimate.high)}`));
    frame.area.append(mark);
  }
}

/** Tells the numbers of the curve nearest to the pointer. */
function tellNearest(frame, holder, drawn) {
  const box = hoverBox(holder);
  const dot = svg("circle", { r: 5, class: "cursor roc-pointed", visibility: "hidden" });
  frame.area.append(dot);
  const hide = () => {
    box.hide();
    dot.setAttribute("visibility", "hidden");
  };
  holder.addEventListener("pointerleave", hide);
  holder.addEventListener("pointermove", (event) => {
    const place = frame.node.getBoundingClientRect();
    const x = ((event.clientX - place.left) / place.width) * frame.width;
    const y = ((event.clientY - place.top) / place.height) * frame.height;
    const rate = frame.x.inverse(x);
    if (x < frame.edge.left || rate > 1 || y < frame.edge.top || y > frame.height - frame.edge.bottom) return hide();
    const [{ one, curve }] = drawn.map((found) => ({ ...found, far: Math.abs(frame.y.at(drawnAt(found.curve, rate)) - y) })).sort((a, b) => a.far - b.far);
    const index = lastWithin(curve.fpr, rate);
    const [fpr, tpr] = [curve.fpr[index], curve.tpr[index]];
    for (const [name, value] of [["cx", frame.x.at(fpr)], ["cy", frame.y.at(tpr)], ["stroke", one.colour], ["visibility", "visible"]]) dot.setAttribute(name, value);
    box.show(event, hoverLine(one, ""), h("div", {}, `TPR ${intervalText(tpr, curve.low?.[index], curve.high?.[index])} at FPR ${percentText(fpr)}`));
  });
}

function rocLegend(drawn) {
  const legend = h("ul", { class: "legend" }, drawn.map(({ one, form }) => seriesEntry(one, form)));
  const levels = [...new Set(drawn.filter(({ curve }) => curve.low).map(({ curve }) => curve.level))].sort();
  const more = [{ label: "guessing", colour: "var(--quiet)", dash: "4 3", kind: "line" }];
  if (levels.length) more.unshift({ label: `${levels.map((level) => percentText(level)).join(" / ")} band, at each rate by itself`, colour: "var(--quiet)", kind: "interval" });
  legend.append(...legendOf(more).children);
  return legend;
}

function describedRoc(drawn, step) {
  const found = drawn.map(({ one }) => {
    const at = one.details.report?.["tpr_at_fpr_1e-2"];
    const name = shortName(one.label);
    return asFinite(at?.value) === null ? name : `${name}: TPR ${intervalText(at.value, at.low, at.high)} at 1 % FPR`;
  });
  return `ROC curves ${epochText(step)}. ${found.join("; ")}`;
}
