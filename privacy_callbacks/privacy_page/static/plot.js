/**
 * Plots in SVG: two scales, a frame with axes, and marks within it. Coordinates are in the frame's own pixels;
 * the picture scales with its place on the page.
 */
import { h, svg, svgTitle } from "./dom.js";
import { figureText } from "./figures.js";

const MARGIN = { left: 56, right: 14, top: 12, bottom: 40 };
const CAP = 14; // width of the ends of error bars, in pixels
let framesMade = 0;

/** A linear scale from data [low, high] to pixels [from, to]. */
export function linearScale(low, high, from, to) {
  const span = high - low || 1;
  return { kind: "linear", low, high, from, to, at: (value) => from + ((value - low) / span) * (to - from), inverse: (pixel) => low + ((pixel - from) / (to - from || 1)) * span };
}

/** A logarithmic scale; values below `low` sit at its end. `low` > 0. */
export function logScale(low, high, from, to) {
  const least = Math.log10(low);
  const span = Math.log10(high) - least || 1;
  const at = (value) => from + ((Math.log10(Math.max(value, low)) - least) / span) * (to - from);
  return { kind: "log", low, high, from, to, at, inverse: (pixel) => 10 ** (least + ((pixel - from) / (to - from || 1)) * span) };
}

/** Round numbers within [low, high], about `wanted` of them; `whole` = integers only. */
export function linearTicks(low, high, wanted = 5, whole = false) {
  if (!(high > low)) return [low];
  const rough = (high - low) / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough * 0.999) ?? rough;
  const size = whole ? Math.max(1, Math.round(step)) : step;
  const ticks = [];
  for (let k = Math.ceil(low / size - 1e-9); k * size <= high + size * 1e-9; k++) ticks.push(Number((k * size).toPrecision(12)));
  return ticks;
}

/** Powers of ten within [low, high]. */
export function logTicks(low, high) {
  const ticks = [];
  for (let k = Math.ceil(Math.log10(low) - 1e-9); k <= Math.log10(high) + 1e-9; k++) ticks.push(10 ** k);
  return ticks;
}

/**
 * An empty plot with axes.
 *
 * @param x, y `{kind: "linear"|"log", low, high, label, ticks?: number[], text?: value -> string, whole?: bool}`
 * @param described what the picture shows, for screen readers.
 * @returns `{node, x, y, area, width, height}`: the SVG, its scales, and the clipped group that marks go into.
 */
export function plotFrame({ width = 560, height = 320, x, y, described, margin = {} }) {
  const edge = { ...MARGIN, ...margin };
  const xScale = scaleOf(x, edge.left, width - edge.right);
  const yScale = scaleOf(y, height - edge.bottom, edge.top);
  const clip = `privacy-clip-${(framesMade += 1)}`;
  const area = svg("g", { "clip-path": `url(#${clip})` });
  const node = svg(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, class: "plot", role: "img", "aria-label": described, preserveAspectRatio: "xMidYMid meet" },
    svg(
      "clipPath",
      { id: clip },
      svg("rect", { x: edge.left, y: edge.top, width: width - edge.left - edge.right, height: height - edge.top - edge.bottom }),
    ),
    xAxis(xScale, x, height - edge.bottom, edge.top),
    yAxis(yScale, y, edge.left, width - edge.right),
    area,
  );
  return { node, x: xScale, y: yScale, area, width, height, edge };
}

/** A line through points `[x, y]`; a point whose y (or x) is null breaks it. Lone points are drawn as dots. */
export function drawLine(frame, points, { colour, dash = null, width = 2, title = null, className = "" }) {
  for (const run of unbroken(points)) {
    if (run.length === 1) {
      drawDots(frame, run, { colour, radius: width * 1.75 });
      continue;
    }
    const path = run.map(([x, y], index) => `${index ? "L" : "M"}${pixel(frame.x.at(x))} ${pixel(frame.y.at(y))}`).join("");
    frame.area.append(
      svg(
        "path",
        { d: path, fill: "none", stroke: colour, "stroke-width": width, "stroke-dasharray": dash, "stroke-linejoin": "round", class: className },
        title === null ? null : svgTitle(title),
      ),
    );
  }
}

/** The area between two curves: points `[x, low, high]`; null breaks it. Lone points are drawn as error bars. */
export function drawBand(frame, points, { colour, opacity = 0.16, className = "" }) {
  for (const run of unbroken(points)) {
    if (run.length === 1) {
      drawErrorBar(frame, run[0], colour);
      continue;
    }
    const there = run.map(([x, , high]) => `${pixel(frame.x.at(x))} ${pixel(frame.y.at(high))}`);
    const back = run.map(([x, low]) => `${pixel(frame.x.at(x))} ${pixel(frame.y.at(low))}`).reverse();
    frame.area.append(svg("path", { d: `M${[...there, ...back].join("L")}Z`, fill: colour, "fill-opacity": opacity, stroke: "none", class: className }));
  }
}

function drawErrorBar(frame, [x, low, high], colour) {
  const at = pixel(frame.x.at(x));
  const caps = [low, high].map((end) => `M${at - CAP / 2} ${pixel(frame.y.at(end))}h${CAP}`).join("");
  const d = `${caps}M${at} ${pixel(frame.y.at(low))}V${pixel(frame.y.at(high))}`;
  frame.area.append(svg("path", { d, fill: "none", stroke: colour, "stroke-width": 2, "stroke-opacity": 0.7, class: "error-bar" }));
}

/** Heights of texts moved as little as keeps them `gap` pixels apart between `top` and `bottom`, in the order given; closer if there is no room. */
export function movedApart(heights, gap, top, bottom) {
  const apart = Math.min(gap, (bottom - top) / Math.max(1, heights.length - 1));
  const order = heights.map((_, place) => place).sort((a, b) => heights[a] - heights[b]);
  const moved = [...heights];
  order.forEach((place, rank) => (moved[place] = Math.max(heights[place], rank ? moved[order[rank - 1]] + apart : top)));
  let most = bottom;
  for (const place of order.reverse()) {
    moved[place] = Math.min(moved[place], most);
    most = moved[place] - apart;
  }
  return moved;
}

/** Dots at points `[x, y]`. `title(point, index)` gives tooltips. */
export function drawDots(frame, points, { colour, radius = 3.5, hollow = false, title = null }) {
  points.forEach((point, index) => {
    if (point[0] === null || point[1] === null) return;
    frame.area.append(
      svg(
        "circle",
        { cx: pixel(frame.x.at(point[0])), cy: pixel(frame.y.at(point[1])), r: radius, fill: hollow ? "var(--page)" : colour, stroke: colour, "stroke-width": 1.5 },
        title === null ? null : svgTitle(title(point, index)),
      ),
    );
  });
}

/** A straight line across the plot at `{x}` or `{y}`. */
export function drawRule(frame, { x = null, y = null }, { colour = "var(--quiet)", dash = "4 3", width = 1, className = "" } = {}) {
  const { edge } = frame;
  const ends =
    x === null
      ? { x1: edge.left, x2: frame.width - edge.right, y1: frame.y.at(y), y2: frame.y.at(y) }
      : { x1: frame.x.at(x), x2: frame.x.at(x), y1: edge.top, y2: frame.height - edge.bottom };
  const line = svg("line", { ...ends, stroke: colour, "stroke-dasharray": dash, "stroke-width": width, class: className });
  frame.area.append(line);
  return line;
}

/** A shaded strip of the plot between data x0 and x1 (or y0 and y1); null = to the edge. */
export function drawShade(frame, { x0 = null, x1 = null, y0 = null, y1 = null }, { className = "shade", title = null } = {}) {
  const { edge } = frame;
  const left = x0 === null ? edge.left : frame.x.at(x0);
  const right = x1 === null ? frame.width - edge.right : frame.x.at(x1);
  const top = y1 === null ? edge.top : frame.y.at(y1);
  const bottom = y0 === null ? frame.height - edge.bottom : frame.y.at(y0);
  frame.area.append(
    svg(
      "rect",
      { x: pixel(left), y: pixel(top), width: pixel(Math.max(0, right - left)), height: pixel(Math.max(0, bottom - top)), class: className },
      title === null ? null : svgTitle(title),
    ),
  );
}

/** A key: `entries` are `{label, colour, dash, kind: "line"|"band"|"interval"|"dot"}`. */
export function legendOf(entries) {
  const marks = { band: markBand, interval: markInterval, dot: markDot, line: markLine };
  return h(
    "ul",
    { class: "legend" },
    entries.map((entry) => h("li", {}, svg("svg", { viewBox: "0 0 26 12", class: "mark", "aria-hidden": "true" }, marks[entry.kind ?? "line"](entry)), h("span", {}, entry.label))),
  );
}

function markLine({ colour, dash }) {
  return svg("line", { x1: 1, x2: 25, y1: 6, y2: 6, stroke: colour, "stroke-width": 2.5, "stroke-dasharray": dash });
}

function markBand({ colour }) {
  return svg("rect", { x: 1, y: 1, width: 24, height: 10, fill: colour, "fill-opacity": 0.25 });
}

/** A band around its line, so that it is told from a band that is none's interval. */
function markInterval({ colour }) {
  return [markBand({ colour }), svg("line", { x1: 1, x2: 25, y1: 6, y2: 6, stroke: colour, "stroke-width": 1.5 })];
}

function markDot({ colour }) {
  return svg("circle", { cx: 13, cy: 6, r: 4, fill: colour });
}

function scaleOf(axis, from, to) {
  return axis.kind === "log" ? logScale(axis.low, axis.high, from, to) : linearScale(axis.low, axis.high, from, to);
}

function ticksOf(scale, axis) {
  const within = (value) => value >= scale.low - 1e-12 && value <= scale.high * (1 + 1e-12) + 1e-12;
  if (axis.ticks) return axis.ticks.filter(within);
  return scale.kind === "log" ? logTicks(scale.low, scale.high) : linearTicks(scale.low, scale.high, axis.wanted ?? 5, axis.whole);
}

function xAxis(scale, axis, bottom, top) {
  const text = axis.text ?? ((value) => figureText(value));
  const marks = ticksOf(scale, axis).map((value) => [
    svg("line", { x1: scale.at(value), x2: scale.at(value), y1: top, y2: bottom, class: "grid" }),
    svg("text", { x: scale.at(value), y: bottom + 16, "text-anchor": "middle", class: "tick" }, text(value)),
  ]);
  const label = svg("text", { x: (scale.from + scale.to) / 2, y: bottom + 33, "text-anchor": "middle", class: "axis-label" }, axis.label ?? "");
  return svg("g", { class: "axis" }, marks, svg("line", { x1: scale.from, x2: scale.to, y1: bottom, y2: bottom, class: "axis-line" }), label);
}

function yAxis(scale, axis, left, right) {
  const text = axis.text ?? ((value) => figureText(value));
  const marks = ticksOf(scale, axis).map((value) => [
    svg("line", { x1: left, x2: right, y1: scale.at(value), y2: scale.at(value), class: "grid" }),
    svg("text", { x: left - 6, y: scale.at(value) + 4, "text-anchor": "end", class: "tick" }, text(value)),
  ]);
  const middle = (scale.from + scale.to) / 2;
  const label = svg("text", { x: 14, y: middle, transform: `rotate(-90 14 ${pixel(middle)})`, "text-anchor": "middle", class: "axis-label" }, axis.label ?? "");
  return svg("g", { class: "axis" }, marks, label);
}

function unbroken(points) {
  const runs = [[]];
  for (const point of points) {
    if (point.every((part) => part !== null && part !== undefined && !Number.isNaN(part))) runs.at(-1).push(point);
    else if (runs.at(-1).length) runs.push([]);
  }
  return runs.filter((run) => run.length);
}

function pixel(value) {
  return Math.round(value * 10) / 10;
}
