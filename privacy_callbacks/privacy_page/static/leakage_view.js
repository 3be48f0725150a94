/**
 * The metric over epochs with its intervals and what guessing reaches, and beneath, on the same axis, the losses.
 */
import { h, svg, svgTitle, replaceContent } from "./dom.js";
import { countText, epochText, figureText, guessingAt, intervalText, metricTitle } from "./figures.js";
import { drawBand, drawLine, drawRule, legendOf, movedApart, plotFrame } from "./plot.js";
import { hoverBox, hoverLine } from "./hover_box.js";
import { claims, leakagePoints, leakageRange, lossCourses, nullBand, thinnedCourse } from "./leakage_data.js";
import { runsShown, unionOfSteps, nearestStep } from "./page_state.js";
import { dashAt } from "./palette.js";
import { nameText, shortName } from "./names.js";

const EDGE = { left: 58, right: 16 };
const MOST_HOVERED = 14;
const APART = 22; // pixels

/**
 * The leakage over epochs.
 *
 * @param onStep called with a step that somebody points at.
 * @param width of the pictures in pixels.
 * @returns the element; its `showStep(step)` moves the cursor without drawing anew.
 */
export function leakageView({ series, metric, step, onStep = () => null, width = 900 }) {
  const view = h("section", { class: "view leakage" });
  if (!series.length) return filledWith(view, h("p", { class: "nothing" }, "No series is shown. Choose runs and attacks in the list."));
  const courses = series.map((one) => leakagePoints(one.attack, metric));
  const losses = lossCourses(runsShown(series));
  const pixels = width - EDGE.left - EDGE.right;
  const x = epochAxis(series, losses, pixels);
  const upper = plotFrame({ width, height: 340, margin: { ...EDGE, bottom: losses.length ? 22 : 40 }, x: { ...x, label: losses.length ? "" : x.label }, y: yAxisOf(courses, metric), described: describedLeakage(series, courses, metric) });
  drawNull(upper, courses, metric);
  const columns = Math.max(50, Math.floor(pixels));
  const opacity = series.length <= 3 ? 0.17 : series.length <= 8 ? 0.1 : 0.05;
  const drawn = besideEachOther(courses, x, pixels);
  const thin = drawn.map((points) => thinnedCourse(points, columns));
  series.forEach((one, place) => drawBand(upper, thin[place].band, { colour: one.colour, opacity }));
  series.forEach((one, place) => drawLine(upper, thin[place].line, { colour: one.colour, dash: one.dash, width: series.length > 8 ? 1.5 : 2 }));
  series.forEach((one, place) => drawGaps(upper, one, drawn[place], metric));
  nameRules(upper, courses, metric);
  const frames = losses.length ? [upper, lossFrame(losses, x, width, runsShown(series))] : [upper];
  const figures = h("div", { class: "figures-here" });
  const folded = h("details", { class: "figures" }, h("summary", {}, "Figures at the slider's epoch"), figures);
  // A single audit is no choice; a cursor would only hide its intervals.
  const cursors = isSingle(courses) ? [] : frames.map((frame) => cursorOf(frame));
  view.append(...frames.map((frame) => frame.node), keyOf(series, courses, losses, metric), refusalNotes(series, courses, metric), folded);
  listen(view, frames, { series, courses, losses, metric, onStep });
  view.showStep = (at) => {
    for (const cursor of cursors) cursor(at);
    view.dataset.step = String(at);
    if (folded.open) replaceContent(figures, figuresAt(series, courses, metric, at));
  };
  folded.addEventListener("toggle", () => view.showStep(Number(view.dataset.step)));
  view.showStep(step);
  return view;
}

function describedLeakage(series, courses, metric) {
  const last = series.map((one, place) => ({ one, point: courses[place].findLast((known) => known.value !== null) }));
  const figures = last.map(({ one, point }) => (point ? `${one.label} ${intervalText(point.value, point.low, point.high, point.nullLevel)} ${epochText(point.step)}` : `${one.label} without a number`));
  return `${metricTitle(metric)} over epochs. ${figures.slice(0, MOST_HOVERED).join("; ")}`;
}

function filledWith(view, ...children) {
  view.append(...children);
  view.showStep = () => null;
  return view;
}

function epochAxis(series, losses, pixels) {
  let low = Infinity;
  let high = -Infinity;
  const widen = (epoch) => ([low, high] = [Math.min(low, epoch), Math.max(high, epoch)]);
  for (const at of unionOfSteps(series)) widen(at + 1);
  for (const loss of losses) for (const [epoch] of loss.points) widen(epoch);
  const beside = unionOfSteps(series).length === 1 ? 0.5 * besideStep(series.length, pixels) * series.length : 0;
  const air = high > low ? Math.max(0.012, beside / (pixels - 2 * beside)) * (high - low) : 0.5;
  const text = (epoch) => (epoch === 0 ? "before" : countText(epoch));
  return { kind: "linear", low: low - air, high: high + air, whole: true, wanted: 10, text, label: "epoch" };
}

function isSingle(courses) {
  return new Set(courses.flat().map((point) => point.step)).size === 1;
}

/** How far apart, in pixels, the audits of one epoch stand beside each other. */
function besideStep(count, pixels) {
  return Math.min(APART, (0.5 * pixels) / count);
}

/** Courses of one and the same audit, moved apart so that no interval hides another; other courses as they are. */
function besideEachOther(courses, x, pixels) {
  if (!isSingle(courses)) return courses;
  const step = (besideStep(courses.length, pixels) * (x.high - x.low)) / pixels;
  return courses.map((points, place) => points.map((point) => ({ ...point, epoch: point.epoch + (place - (courses.length - 1) / 2) * step })));
}

function yAxisOf(courses, metric) {
  const [low, high] = leakageRange(courses, metric);
  return { kind: "linear", low, high, wanted: 6, label: metricTitle(metric) };
}

function drawNull(frame, courses, metric) {
  const band = nullBand(courses);
  // Of a single audit it is as wide as that audit's epoch.
  const wide = band.length === 1 ? [-0.5, 0.5].map((half) => [band[0][0] + half, band[0][1], band[0][2]]) : band;
  drawBand(frame, wide, { colour: "var(--quiet)", opacity: 0.2, className: "null-band" });
  for (const { at, colour, className } of rulesOf(courses, metric)) drawRule(frame, { y: at }, { colour, width: 1.25, className });
}

/** Lines across the plot: what guessing reaches, if no band says more, and what is claimed. */
function rulesOf(courses, metric) {
  const guess = nullBand(courses).length ? null : guessingAt(metric);
  return [
    ...(guess === null ? [] : [{ at: guess, text: "guessing", colour: "var(--quiet)", className: "null-line" }]),
    ...claims(courses).map((claimed) => ({ at: claimed, text: `claimed: ${figureText(claimed)}`, colour: "var(--alarm)", className: "claimed-line" })),
  ];
}

/** Names the lines across the plot. Their pale outline keeps them readable only above the courses: they are drawn last. */
function nameRules(frame, courses, metric) {
  const rules = rulesOf(courses, metric);
  const heights = movedApart(rules.map(({ at }) => frame.y.at(at) + 14), 14, frame.edge.top + 12, frame.height - frame.edge.bottom - 4);
  const place = { x: frame.width - frame.edge.right - 26, "text-anchor": "end", class: "plot-note" };
  frame.area.append(...rules.map(({ text }, rank) => svg("text", { ...place, y: heights[rank] }, text)));
}

function drawGaps(frame, one, points, metric) {
  // A metric that an attack never has is said in words beneath, not once an audit.
  const never = points.every((point) => point.value === null && !point.failed);
  const bottom = frame.height - frame.edge.bottom - 7;
  let taken = -Infinity;
  for (const point of never ? [] : points) {
    const at = frame.x.at(point.epoch);
    if (point.value !== null || at - taken < 7) continue;
    taken = at;
    const why = point.failed ? point.words || "the audit failed" : one.attack.refusals?.[metric] ?? "no number at this epoch";
    const title = `${one.label}, ${epochText(point.step)}: ${why}`;
    frame.area.append(svg("path", { class: "gap", d: `M${at - 3} ${bottom - 3}l6 6m0 -6l-6 6`, stroke: one.colour, "stroke-width": 1.5, fill: "none" }, svgTitle(title)));
  }
}

function lossFrame(losses, x, width, runs) {
  const seen = losses.flatMap((loss) => loss.points.map(([, value]) => value)).filter((value) => value !== null);
  let low = 0;
  let high = 0;
  for (const value of seen) [low, high] = [Math.min(low, value), Math.max(high, value)];
  const y = { kind: "linear", low, high: high > low ? high * 1.04 : 1, wanted: 3, label: "loss" };
  const frame = plotFrame({ width, height: 150, margin: { ...EDGE, top: 6 }, x, y, described: "Training and validation loss over epochs" });
  const columns = Math.max(50, Math.floor(width - EDGE.left - EDGE.right));
  for (const loss of losses) {
    const points = loss.points.map(([epoch, value]) => ({ epoch, value, low: null, high: null }));
    const dash = runs.length > 1 ? dashAt(runs.indexOf(loss.run)) : null;
    drawLine(frame, thinnedCourse(points, columns).line, { colour: lossColour(loss), dash, width: 1.5 });
  }
  return frame;
}

function lossColour(loss) {
  return loss.name === "loss" ? "var(--training)" : "var(--validation)";
}

function cursorOf(frame) {
  const line = drawRule(frame, { x: 1 }, { colour: "var(--accent)", dash: null, width: 1.5, className: "cursor" });
  return (step) => {
    const at = step === null ? -99 : frame.x.at(step + 1);
    line.setAttribute("x1", at);
    line.setAttribute("x2", at);
  };
}

function keyOf(series, courses, losses, metric) {
  const attacks = [...new Map(series.map((one) => [one.attack.attack, one])).values()];
  const runs = runsShown(series);
  const level = series.map((one) => one.attack.metrics?.[metric]).find((columns) => columns?.low)?.level;
  const entries = [
    ...attacks.map((one) => ({ label: shortName(one.attack.attack, 40), colour: one.colour })),
    ...(level ? [{ label: `${figureText(100 * level)} % interval`, colour: "var(--quiet)", kind: "interval" }] : []),
    ...(nullBand(courses).length ? [{ label: "what no leak would reach", colour: "var(--quiet)", kind: "band" }] : []),
    ...(runs.length > 1 ? runs.map((run, place) => ({ label: `${shortName(run.id, 40)}, in any colour`, colour: "var(--text)", dash: dashAt(place) })) : []),
    ...[...new Map(losses.map((loss) => [loss.name, loss])).values()].map((loss) => ({ label: loss.name === "loss" ? "training loss" : "validation loss", colour: lossColour(loss) })),
  ];
  return legendOf(entries);
}

function refusalNotes(series, courses, metric) {
  const without = series.filter((one, place) => courses[place].every((point) => point.value === null));
  const reasons = new Map();
  for (const one of without) {
    const why = one.attack.refusals?.[metric] ?? "no audit gave this number.";
    reasons.set(why, [...(reasons.get(why) ?? []), one.label]);
  }
  return h("ul", { class: "notes" }, [...reasons].map(([why, labels]) => h("li", {}, `${metricTitle(metric)} of ${labels.slice(0, 8).join(", ")}${labels.length > 8 ? " and others" : ""}: ${why}`)));
}

function figuresAt(series, courses, metric, step) {
  const rows = series.map((one, place) => {
    const point = courses[place].find((known) => known.step === step);
    const text = point ? (point.failed ? "failed" : intervalText(point.value, point.low, point.high, point.nullLevel)) : "not audited";
    return h("tr", { "data-series": one.key }, h("th", { scope: "row" }, nameText(one.label)), h("td", { class: "figure" }, text));
  });
  return h("table", {}, h("caption", {}, `${metricTitle(metric)} ${epochText(step)}`), h("tbody", {}, rows));
}

function listen(view, frames, { series, courses, losses, metric, onStep }) {
  const steps = unionOfSteps(series);
  const box = hoverBox(view);
  for (const frame of frames) {
    const stepAt = (event) => {
      const place = frame.node.getBoundingClientRect();
      return nearestStep(steps, frame.x.inverse(((event.clientX - place.left) / place.width) * frame.width) - 1);
    };
    frame.node.classList.add("pointed");
    frame.node.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      frame.node.setPointerCapture(event.pointerId);
      onStep(stepAt(event));
    });
    frame.node.addEventListener("pointermove", (event) => {
      const at = stepAt(event);
      if (event.buttons & 1) onStep(at);
      box.show(event, hovered(series, courses, losses, metric, at));
    });
    frame.node.addEventListener("pointerleave", () => box.hide());
  }
}

function hovered(series, courses, losses, metric, step) {
  const points = series.map((one, place) => ({ one, point: courses[place].find((known) => known.step === step) })).filter(({ point }) => point);
  points.sort((a, b) => (b.point.value ?? -Infinity) - (a.point.value ?? -Infinity));
  const lines = points.slice(0, MOST_HOVERED).map(({ one, point }) => hoverLine(one, point.failed ? "failed" : intervalText(point.value, point.low, point.high, point.nullLevel)));
  const more = points.length > MOST_HOVERED ? h("div", { class: "quiet" }, `and ${points.length - MOST_HOVERED} more`) : null;
  const runs = new Set(losses.map((loss) => loss.run)).size;
  const figures = losses.slice(0, 6).map((loss) => {
    const value = loss.points.find(([epoch]) => epoch === step + 1)?.[1] ?? null;
    const label = `${runs > 1 ? `${shortName(loss.run.id, 30)} · ` : ""}${loss.name === "loss" ? "training loss" : "validation loss"}`;
    return value === null ? null : hoverLine({ colour: lossColour(loss), label }, figureText(value));
  });
  return [h("div", { class: "hover-head" }, `${metricTitle(metric)} ${epochText(step)}`), lines, more, figures];
}
