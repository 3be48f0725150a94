/**
 * Parts of the records judged by themselves: a forest of intervals, the surest leak first.
 */
import { h, svg, svgTitle } from "./dom.js";
import { keepingFocus } from "./controls.js";
import { asFinite, countText, epochText, figureText, intervalText } from "./figures.js";
import { whyAbsent } from "./absent_reason.js";
import { nameText, shortName } from "./names.js";
import { linearTicks } from "./plot.js";
import { foldButton, tableRegion } from "./table_fold.js";

const SLICES_AT_FIRST = 20;
const LEAKS_AT = 0.05;
const SMALLEST_P = 1e-4;
const LONGEST_SLICE = 64; // letters shown; the tooltip has more
const NO_SLICES = 'No slices at this audit. Pass slices= to judge parts of the records by themselves: MIACallback(..., slices=["class", "correct"]).';

/**
 * The slices of one series at one audit.
 *
 * @param memory an object kept over redraws: which series is shown, and whether all its rows are.
 */
export function slicesView({ series, step, memory = {} }) {
  const section = h("section", { class: "view slices-view" });
  const having = series.filter((one) => slicesOf(one).length);
  if (!having.length) {
    section.append(...withoutSlices(series, step));
    return section;
  }
  const draw = () => {
    const one = having.find((some) => some.key === memory.key) ?? having[0];
    keepingFocus(section, sliceChooser(having, one, memory, draw), sliceTable(one, step, memory, draw));
  };
  draw();
  return section;
}

/** The numbers behind the forest, of all series. */
export function slicesRows({ series }) {
  const columns = ["run", "attack", "epoch", "slice", "members", "nonmembers", "auc", "auc_low", "auc_high", "level", "p_value", "holm_p_value", "reason"];
  const rows = series.flatMap((one) =>
    slicesOf(one).map((part) => {
      const auc = part.auc ?? {};
      const start = [one.run.id, one.attack.attack, one.details.step + 1, part.slice, part.num_members, part.num_nonmembers];
      return [...start, ...[auc.value, auc.low, auc.high, auc.level, part.p_value, part.holm_p_value, part.reason].map((cell) => cell ?? null)];
    }),
  );
  return { columns, rows };
}

function slicesOf(one) {
  const parts = one.details?.slices;
  return Array.isArray(parts) ? parts.filter((part) => part !== null && typeof part === "object") : [];
}

function withoutSlices(series, step) {
  if (!series.length) return [h("p", { class: "view-note" }, "No attack is selected.")];
  const absent = series.filter((one) => !one.details || one.details.report?.failed);
  const reasons = absent.map((one) => h("li", {}, nameText(one.label), `: ${whyAbsent(one, step, "list of slices")}`));
  return [absent.length === series.length ? null : h("p", { class: "view-note" }, NO_SLICES), reasons.length ? h("ul", { class: "view-reasons" }, reasons) : null].filter((part) => part);
}

/** A slice leaks if its corrected p-value and its interval both say so, and leaks can be told from the records at all. */
function sliceLeaks(part, report) {
  const [p, low] = [asFinite(part.holm_p_value), asFinite(part.auc?.low)];
  return !report?.void && p !== null && low !== null && p <= LEAKS_AT && low > 0.5;
}

function sliceChooser(having, one, memory, draw) {
  if (having.length < 2) return h("p", { class: "slices-attack" }, "Attack ", nameText(one.label));
  const pick = (event) => {
    memory.key = event.target.value;
    draw();
  };
  const options = having.map((some) => h("option", { value: some.key, selected: some === one }, shortName(some.label)));
  return h("label", { class: "slices-attack" }, "Attack ", h("select", { class: "slices-chooser", onchange: pick }, options));
}

function sliceTable(one, step, memory, draw) {
  const parts = slicesOf(one);
  const { report } = one.details;
  const shown = memory.all ? parts : parts.slice(0, SLICES_AT_FIRST);
  const scale = forestScale(parts);
  const leaking = parts.filter((part) => sliceLeaks(part, report)).length;
  const leftOut = asFinite(one.details.slices_left_out) ?? 0;
  const caption = `${shortName(one.label)} ${epochText(step)}: ${countText(leaking)} of ${countText(parts.length + leftOut)} slices leak`;
  const heads = [["Slice"], ["Members / non\u2011members", "number"], [[h("span", { class: "slices-axis" }, "AUC"), forestAxis(scale)], "slices-forest"], ["AUC", "number"], ["p (Holm)", "number"]];
  const head = heads.map(([title, name]) => h("th", { scope: "col", class: name }, title));
  const rows = shown.map((part) => sliceRow(part, scale, one.colour, sliceLeaks(part, report)));
  const table = h("table", { class: "slices-table" }, h("caption", {}, caption), h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows));
  return h(
    "div",
    { class: "slices-body" },
    tableRegion(table, caption, memory),
    foldButton(parts.length, SLICES_AT_FIRST, memory, draw),
    report?.void ? h("p", { class: "view-note" }, `No leak can be told from these records: ${report.void}`) : null,
    h("p", { class: "view-note" }, sliceNote(parts, leftOut)),
  );
}

function sliceNote(parts, leftOut) {
  const level = parts.map((part) => asFinite(part.auc?.level)).find((found) => found !== null);
  const each = level === undefined ? "" : ` (${figureText(100 * level, 5)} % each)`;
  const others = leftOut ? ` ${countText(leftOut)} further slices, less sure, are not in this log.` : "";
  return (
    `The surest leak comes first. Intervals${each} are widened so that all of them together are wrong in 5 % of audits; p-values are corrected by Holm's method. ` +
    `A filled dot and “leaks”: p is at most ${LEAKS_AT}, and the interval lies above guessing (½).${others}`
  );
}

function sliceRow(part, scale, colour, leaks) {
  const { auc } = part;
  const label = h("bdi", { title: String(part.slice).slice(0, 600) }, shortName(part.slice, LONGEST_SLICE));
  const name = h("th", { scope: "row", class: "slices-name" }, label, leaks ? h("span", { class: "slices-word" }, " leaks") : null);
  const counts = h("td", { class: "number" }, `${countText(part.num_members)} / ${countText(part.num_nonmembers)}`);
  if (asFinite(auc?.value) === null) return h("tr", { class: "slices-refused" }, name, counts, h("td", { colspan: 3, class: "slices-reason" }, part.reason ?? "no result"));
  return h(
    "tr",
    { class: leaks ? "slices-leaking" : null },
    name,
    counts,
    h("td", { class: "slices-forest" }, forestMark(auc, scale, colour, leaks)),
    h("td", { class: "number" }, aucText(auc)),
    h("td", { class: "number", title: figureText(part.holm_p_value) }, pText(part.holm_p_value)),
  );
}

/** Three decimals, so that columns can be compared. */
function aucText(auc) {
  const [value, low, high] = [auc.value, auc.low, auc.high].map(asFinite).map((number) => (number === null ? "–" : number.toFixed(3)));
  return `${value} [${low}, ${high}]`;
}

function pText(p) {
  const number = asFinite(p);
  return number !== null && number < SMALLEST_P ? "< 0.0001" : figureText(number, 2);
}

/** From AUC to per cent of the plot's width. */
function forestScale(parts) {
  const ends = parts.flatMap((part) => [part.auc?.low, part.auc?.high, part.auc?.value]).map(asFinite).filter((end) => end !== null);
  const low = Math.max(0, Math.min(0.4, ...ends));
  const high = Math.min(1, Math.max(0.6, ...ends));
  const at = (value) => `${Math.round(100 * (4 + (92 * (value - low)) / (high - low))) / 100}%`;
  return { low, high, at };
}

function forestAxis(scale) {
  const marks = linearTicks(scale.low, scale.high, 4).map((tick) => svg("text", { x: scale.at(tick), y: 14, "text-anchor": "middle", class: "tick" }, figureText(tick)));
  return svg("svg", { class: "slices-mark", role: "img", "aria-label": "AUC; the dotted line is guessing, ½" }, marks);
}

function forestMark(auc, scale, colour, leaks) {
  const [value, low, high] = [auc.value, auc.low, auc.high].map(asFinite);
  const text = `AUC ${intervalText(value, low, high)}`;
  const interval = low === null || high === null ? null : svg("line", { x1: scale.at(low), x2: scale.at(high), y1: 10, y2: 10, stroke: colour, "stroke-width": 2, class: "slices-interval" });
  return svg(
    "svg",
    { class: "slices-mark", role: "img", "aria-label": text },
    svgTitle(text),
    svg("line", { x1: scale.at(0.5), x2: scale.at(0.5), y1: 0, y2: 20, class: "slices-guessing" }),
    interval,
    svg("circle", { cx: scale.at(value), cy: 10, r: 4.5, fill: leaks ? colour : "var(--page)", stroke: colour, "stroke-width": 2 }),
  );
}
