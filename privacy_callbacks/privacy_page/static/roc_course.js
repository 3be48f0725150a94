/**
 * A ROC curve as points to draw: straight between its vertices in linear space, whatever the axes.
 */
import { asFinite } from "./figures.js";

const PIXELS_A_PIECE = 4;

/** The curve of a series' details if it can be drawn, else null: finite `fpr` and `tpr`, `low` and `high` or null. */
export function rocCurveOf(one) {
  const roc = one.details?.roc;
  if (!roc || !Array.isArray(roc.fpr) || !Array.isArray(roc.tpr)) return null;
  const rows = roc.fpr.map((fpr, index) => [fpr, roc.tpr[index], roc.low?.[index], roc.high?.[index]].map(asFinite));
  const kept = rows.filter(([fpr, tpr]) => fpr !== null && tpr !== null);
  if (kept.length < 2) return null;
  const [fpr, tpr, low, high] = [0, 1, 2, 3].map((part) => kept.map((row) => row[part]));
  const banded = Array.isArray(roc.low) && Array.isArray(roc.high);
  return { fpr, tpr, low: banded ? low : null, high: banded ? high : null, level: asFinite(roc.level) ?? 0.95, num_nonmembers: asFinite(roc.num_nonmembers) ?? 1 };
}

/**
 * Vertices `[x, y, ...more y]` with as many points between them as the axis needs to show a straight line as it is.
 *
 * @param scale the frame's x scale. On a logarithmic one, rates below its end (0, say) sit at that end.
 */
export function bentCourse(vertices, scale) {
  const floor = scale.kind === "log" ? scale.low : -Infinity;
  const raised = (point) => point.map((rate) => (rate === null ? null : Math.max(rate, floor)));
  if (scale.kind !== "log") return vertices;
  const points = [];
  vertices.forEach((vertex, index) => {
    const before = vertices[index - 1];
    if (index && ![...before, ...vertex].includes(null) && vertex[0] > Math.max(before[0], floor)) points.push(...between(before, vertex, scale).map(raised));
    points.push(raised(vertex));
  });
  return points;
}

/** The points of a curve around its band: `[fpr, low, high]`. */
export function bandCourse(curve, scale) {
  if (!curve.low || !curve.high) return [];
  return bentCourse(curve.fpr.map((fpr, index) => [fpr, curve.low[index], curve.high[index]]), scale);
}

/** The index of the last vertex whose rate is at most `rate`: a curve is read without interpolation. */
export function lastWithin(rates, rate) {
  let index = 0;
  while (index + 1 < rates.length && rates[index + 1] <= rate) index += 1;
  return index;
}

/** The height of the drawn curve at a rate. */
export function drawnAt(curve, rate) {
  const index = lastWithin(curve.fpr, rate);
  const [x0, x1] = [curve.fpr[index], curve.fpr[index + 1]];
  const [y0, y1] = [curve.tpr[index], curve.tpr[index + 1]];
  return x1 === undefined || !(x1 > x0) ? y0 : y0 + (Math.max(0, rate - x0) / (x1 - x0)) * (y1 - y0);
}

function between(before, vertex, scale) {
  const from = Math.max(before[0], scale.low);
  const pieces = Math.ceil(Math.abs(scale.at(vertex[0]) - scale.at(from)) / PIXELS_A_PIECE);
  const points = [];
  for (let piece = before[0] < from ? 0 : 1; piece < pieces; piece++) {
    const x = from * (vertex[0] / from) ** (piece / pieces);
    const share = (x - before[0]) / (vertex[0] - before[0]);
    points.push(before.map((start, part) => (part ? start + share * (vertex[part] - start) : x)));
  }
  return points;
}
