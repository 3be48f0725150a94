/**
 * Runs against each other: what an attacker learns against what the model is good for, epoch by epoch.
 */
import { h, svg } from "./dom.js";
import { asFinite, countText, epochText, figureText, guessingAt, intervalText, metricTitle } from "./figures.js";
import { drawDots, drawLine, drawRule, legendOf, linearTicks, movedApart, plotFrame } from "./plot.js";
import { hoverBox, hoverLine } from "./hover_box.js";
import { leakageRange } from "./leakage_data.js";
import { dashAt, runColourAt } from "./palette.js";
import { nameText, shortName } from "./names.js";
import { headlineOf } from "./verdicts.js";

const NAMES_APART = 14; // pixels

/** The points of a run, oldest first: `{step, utility, value, low, high}`; epochs that lack either number are left out. */
export function comparePoints(run, metric, utility) {
  const attack = headlineOf(run);
  const held = new Map((run.training?.steps ?? []).map((step, place) => [step, asFinite(run.training.values?.[utility]?.[place])]));
  const columns = attack?.metrics?.[metric] ?? {};
  const points = (attack?.steps ?? []).map((step, place) => ({ step, utility: held.get(step) ?? null, value: asFinite(columns.value?.[place]), low: asFinite(columns.low?.[place]), high: asFinite(columns.high?.[place]) }));
  return points.filter((point) => point.utility !== null && point.value !== null);
}

/** Whether less of a training figure is better. */
export function lessIsBetter(utility) {
  return /(loss|error|mae|mse|rmse|perplexity|divergence)/i.test(utility);
}

/** Privacy against utility, with a table of each run's last epoch. */
export function compareView({ runs, metric = "auc", utility, width = 560 }) {
  const view = h("section", { class: "view compare" });
  if (!runs.length) return filledCompare(view, "No run is shown.");
  if (!utility) return filledCompare(view, "No training figures were logged: there is nothing to compare leakage with.");
  const courses = runs.map((run, place) => ({ run, colour: runColourAt(place), dash: dashAt(Math.floor(place / 6)), label: shortName(run.id, 40), points: comparePoints(run, metric, utility) }));
  const there = courses.filter((course) => course.points.length);
  if (!there.length) return filledCompare(view, `No epoch has both ${metricTitle(metric)} and ${utility}. Choose another figure or other runs.`);
  const frame = compareFrame(there, metric, utility, Math.min(width, 760));
  for (const course of there) drawCourse(frame, course);
  nameGuessing(frame, metric);
  nameCourses(frame, there);
  listenToCourses(view, frame, there, metric, utility);
  view.append(frame.node, compareLegend(there), lastEpochs(courses, metric, utility));
  return view;
}

/** The numbers behind the picture, for CSV. */
export function compareRows({ runs, metric = "auc", utility }) {
  const rows = runs.flatMap((run) => comparePoints(run, metric, utility).map((p) => [run.id, headlineOf(run).attack, p.step + 1, p.utility, p.value, p.low, p.high]));
  return { columns: ["run", "attack", "epoch", utility ?? "utility", metric, "low", "high"], rows };
}

function filledCompare(view, text) {
  view.append(h("p", { class: "nothing" }, text));
  return view;
}

function compareFrame(courses, metric, utility, width) {
  const seen = courses.flatMap((course) => course.points.map((point) => point.utility));
  let [low, high] = [Math.min(...seen), Math.max(...seen)];
  if (!(high > low)) [low, high] = [low - 0.5 * Math.abs(low || 1), high + 0.5 * Math.abs(high || 1)];
  const air = 0.05 * (high - low);
  const ticks = linearTicks(low, high, 5);
  [low, high] = [low - air, high + air];
  const less = lessIsBetter(utility);
  const [least, most] = leakageRange(courses.map((course) => course.points.map((point) => ({ ...point, nullLevel: null }))), metric);
  const x = { kind: "linear", low: less ? high : low, high: less ? low : high, ticks, label: `${shortName(utility, 40)} (right = better${less ? ", axis reversed" : ""})` };
  const y = { kind: "linear", low: least, high: most, label: `${metricTitle(metric)} (down = less leakage)` };
  const frame = plotFrame({ width, height: Math.round(width * 0.62), x, y, described: `${metricTitle(metric)} against ${utility} of ${courses.length} runs over their epochs` });
  const guess = guessingAt(metric);
  if (guess !== null) drawRule(frame, { y: guess });
  return frame;
}

function drawCourse(frame, { points, colour, dash }) {
  const last = points.at(-1);
  drawLine(frame, points.map((point) => [point.utility, point.value]), { colour, dash, width: 1.25, className: "course" });
  drawDots(frame, points.slice(1, -1).map((point) => [point.utility, point.value]), { colour, radius: points.length > 60 ? 1 : 1.75 });
  if (points.length > 1) drawDots(frame, [[points[0].utility, points[0].value]], { colour, radius: 4.5, hollow: true });
  if (last.low !== null && last.high !== null) drawLine(frame, [[last.utility, last.low], [last.utility, last.high]], { colour, width: 2, className: "interval" });
  drawDots(frame, [[last.utility, last.value]], { colour, radius: 6.5 });
}

function nameGuessing(frame, metric) {
  const guess = guessingAt(metric);
  if (guess !== null) frame.area.append(svg("text", { x: frame.edge.left + 8, y: frame.y.at(guess) - 4, class: "plot-note" }, "guessing"));
}

/** Names beside the last epochs, over all courses. */
function nameCourses(frame, courses) {
  const lasts = courses.map(({ points }) => points.at(-1));
  const heights = movedApart(lasts.map(({ value }) => frame.y.at(value) - 9), NAMES_APART, frame.edge.top + 10, frame.height - frame.edge.bottom - 4);
  courses.forEach(({ label }, place) => {
    const at = frame.x.at(lasts[place].utility);
    const right = at > (frame.x.from + frame.x.to) / 2;
    frame.area.append(svg("text", { x: at + (right ? -11 : 11), y: heights[place], "text-anchor": right ? "end" : "start", class: "plot-name" }, shortName(label, 28)));
  });
}

function compareLegend(courses) {
  return legendOf([
    ...courses.map((course) => ({ label: course.label, colour: course.colour, dash: course.dash })),
    { label: "last epoch, with interval; hollow: first epoch", colour: "var(--quiet)", kind: "dot" },
  ]);
}

function lastEpochs(courses, metric, utility) {
  const rows = courses.map(({ run, points }) => {
    const last = points.at(-1);
    const cells = last
      ? [countText(last.step + 1), figureText(last.utility, 4), intervalText(last.value, last.low, last.high)]
      : ["–", "–", "no epoch has both"];
    return h("tr", { "data-run": run.id }, h("th", { scope: "row" }, nameText(run.id)), h("td", {}, headlineOf(run) ? nameText(headlineOf(run).attack) : "–"), cells.map((text) => h("td", { class: "figure" }, text)));
  });
  const heads = ["run", "attack", "last epoch", shortName(utility, 40), metricTitle(metric)];
  const head = h("tr", {}, heads.map((text, place) => h("th", { scope: "col", class: place > 1 ? "figure" : "" }, text)));
  return h("div", { class: "last-epochs" }, h("table", {}, h("thead", {}, head), h("tbody", {}, rows)));
}

function listenToCourses(view, frame, courses, metric, utility) {
  const box = hoverBox(view);
  const marked = courses.flatMap((course) => course.points.map((point) => ({ course, point, x: frame.x.at(point.utility), y: frame.y.at(point.value) })));
  frame.node.addEventListener("pointermove", (event) => {
    const place = frame.node.getBoundingClientRect();
    const scale = frame.width / place.width;
    const [x, y] = [(event.clientX - place.left) * scale, (event.clientY - place.top) * scale];
    const far = (mark) => Math.hypot(mark.x - x, mark.y - y);
    const nearest = marked.reduce((best, mark) => (far(mark) < far(best) ? mark : best));
    if (far(nearest) > 40) return box.hide();
    const { course, point } = nearest;
    const text = `${metricTitle(metric)} ${intervalText(point.value, point.low, point.high)}`;
    return box.show(event, h("div", { class: "hover-head" }, epochText(point.step)), hoverLine(course, text), h("div", {}, `${shortName(utility, 40)} ${figureText(point.utility, 4)}`));
  });
  frame.node.addEventListener("pointerleave", () => box.hide());
}
