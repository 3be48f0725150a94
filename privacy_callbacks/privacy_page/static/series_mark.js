/**
 * Marks by which series, or their attacks, are told apart without colour: a form each.
 */
import { h, svg } from "./dom.js";
import { nameText } from "./names.js";

// Outlines around (0, 0), of about the area of a circle of radius 1.
const FORMS = ["circle", "M-.9-.9H.9V.9H-.9Z", "M0-1.25L1.15.85H-1.15Z", "M0-1.25L1.25 0L0 1.25L-1.25 0Z", "M0 1.25L1.15-.85H-1.15Z", "M-.4-1.2H.4V-.4H1.2V.4H.4V1.2H-.4V.4H-1.2V-.4H-.4Z"];

/** The mark of the series at a place of the list, at pixels (x, y). */
export function seriesMark(place, x, y, colour, radius = 4) {
  const form = FORMS[place % FORMS.length];
  // Forms come round again: hollow the second time.
  const fill = Math.floor(place / FORMS.length) % 2 ? "var(--page)" : colour;
  if (form === "circle") return svg("circle", { cx: x, cy: y, r: radius, fill, stroke: colour, "stroke-width": 1.5 });
  const path = { d: form, transform: `translate(${x} ${y}) scale(${radius})`, fill, stroke: colour, "stroke-width": 1.5 / radius };
  return svg("path", path);
}

/** An entry of a legend: line, form and name of a series. */
export function seriesEntry(one, place) {
  const line = svg("line", { x1: 0, x2: 26, y1: 6, y2: 6, stroke: one.colour, "stroke-width": 2.5, "stroke-dasharray": one.dash ?? null });
  const mark = svg("svg", { viewBox: "0 0 26 12", class: "mark", "aria-hidden": "true" }, line, seriesMark(place, 13, 6, one.colour));
  return h("li", {}, mark, nameText(one.label));
}
