/**
 * A metric's course over the epochs as points, ranges and rows.
 */
import { asFinite, guessingAt } from "./figures.js";

const SHARE_METRICS = ["auc", "balanced_accuracy"];
const UNBOUNDED = ["mutual_information", "epsilon_lower_bound", "epsilon_estimate"];

/** The audits of an attack as points: `{step, epoch, value, low, high, nullLevel, failed, words}`, null where there is no number. */
export function leakagePoints(attack, metric) {
  const columns = attack.metrics?.[metric] ?? {};
  return attack.steps.map((step, place) => ({
    step,
    epoch: step + 1,
    value: asFinite(columns.value?.[place]),
    low: asFinite(columns.low?.[place]),
    high: asFinite(columns.high?.[place]),
    nullLevel: asFinite(columns.null_level?.[place]),
    claimed: asFinite(columns.claimed),
    failed: attack.failed?.[place] === true,
    words: attack.words?.[place] ?? "",
  }));
}

/** The y range that holds every value, interval and null level: `[low, high]`; never narrower than ½ ± 0.05 for the AUC. */
export function leakageRange(courses, metric) {
  const numbers = courses.flatMap((points) => points.flatMap((point) => [point.value, point.low, point.high, point.nullLevel, point.claimed ?? null]));
  const guess = guessingAt(metric);
  const seen = [...numbers.filter((number) => number !== null), guess].filter((number) => number !== null);
  if (metric === "auc") seen.push(0.45, 0.55);
  if (!SHARE_METRICS.includes(metric)) seen.push(0);
  let low = Math.min(...extremes(seen));
  let high = Math.max(...extremes(seen));
  if (!(high > low)) [low, high] = [low - 0.05, high + 0.05];
  const air = 0.04 * (high - low);
  const most = UNBOUNDED.includes(metric) ? Infinity : 1 + air;
  return [low < 0 || SHARE_METRICS.includes(metric) ? Math.max(low - air, -1 - air) : low, Math.min(high + air, most)];
}

/** A course with at most some points a pixel column: of each column the lowest and highest value, and the whole of its band. */
export function thinnedCourse(points, columns) {
  if (points.length <= columns) return { line: points.map((p) => [p.epoch, p.value]), band: points.map((p) => [p.epoch, p.low, p.high]) };
  const line = [];
  const band = [];
  const size = points.length / columns;
  for (let column = 0; column < columns; column++) {
    const part = points.slice(Math.floor(column * size), Math.floor((column + 1) * size));
    line.push(...lineOfPart(part));
    const bounded = part.filter((p) => p.low !== null && p.high !== null);
    const middle = part[part.length >> 1].epoch;
    band.push(bounded.length ? [middle, Math.min(...bounded.map((p) => p.low)), Math.max(...bounded.map((p) => p.high))] : [middle, null, null]);
  }
  return { line, band };
}

/** What no leak would reach, the highest of all series at each epoch: points `[epoch, 0, level]`. */
export function nullBand(courses) {
  const levels = new Map();
  for (const point of courses.flat()) {
    if (point.nullLevel !== null) levels.set(point.epoch, Math.max(levels.get(point.epoch) ?? 0, point.nullLevel));
  }
  return [...levels].sort((a, b) => a[0] - b[0]).map(([epoch, level]) => [epoch, 0, level]);
}

/** What the series claim, each value once. */
export function claims(courses) {
  return [...new Set(courses.flat().map((point) => point.claimed).filter((claimed) => claimed !== null))].sort((a, b) => a - b);
}

/** The training and validation losses of runs: `{run, name, points: [epoch, loss]}`. */
export function lossCourses(runs) {
  return runs.flatMap((run) =>
    ["loss", "val_loss"]
      .filter((name) => Array.isArray(run.training?.values?.[name]))
      .map((name) => ({ run, name, points: run.training.steps.map((step, place) => [step + 1, asFinite(run.training.values[name][place])]) })),
  );
}

/** The numbers behind the picture, for CSV. */
export function leakageRows({ series, metric }) {
  const columns = ["run", "attack", "epoch", "metric", "value", "low", "high", "null_level", "failed", "num_members", "num_nonmembers", "loss", "val_loss"];
  const rows = series.flatMap(({ run, attack }) => {
    const held = new Map((run.training?.steps ?? []).map((step, place) => [step, place]));
    const figure = (name, step) => run.training?.values?.[name]?.[held.get(step)] ?? null;
    return leakagePoints(attack, metric).map((point, place) => [
      ...[run.id, attack.attack, point.epoch, metric, point.value, point.low, point.high, point.nullLevel, point.failed],
      ...[attack.num_members?.[place] ?? null, attack.num_nonmembers?.[place] ?? null, figure("loss", point.step), figure("val_loss", point.step)],
    ]);
  });
  return { columns, rows };
}

function lineOfPart(part) {
  const there = part.filter((p) => p.value !== null);
  if (!there.length) return [[part[0].epoch, null]];
  const lowest = there.reduce((a, b) => (b.value < a.value ? b : a));
  const highest = there.reduce((a, b) => (b.value > a.value ? b : a));
  const ends = lowest.epoch <= highest.epoch ? [lowest, highest] : [highest, lowest];
  const found = (lowest === highest ? [lowest] : ends).map((p) => [p.epoch, p.value]);
  return there.length < part.length ? [...found, [part.at(-1).epoch, null]] : found;
}

function extremes(numbers) {
  let [low, high] = [Infinity, -Infinity];
  for (const number of numbers) {
    low = Math.min(low, number);
    high = Math.max(high, number);
  }
  return [low, high];
}
