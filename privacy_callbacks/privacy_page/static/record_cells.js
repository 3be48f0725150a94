/**
 * Cells of the table of records: pictures, shares with a bar, numbers in columns that can be compared.
 */
import { h } from "./dom.js";
import { asFinite, asNumber, countText, figureText, percentText } from "./figures.js";

const PICTURE_SIDE = 44; // pixels on the page
const MOST_DIGITS = 4;
const RECORD_SHARES = new Set(["member_probability", "risk_stability"]);
const PNG_URL = "data:image/png;base64,";

/** A picture of the row's record that is a PNG within the data, else null. */
export function pictureOf(records, row) {
  const picture = records.pictures?.[String(row.row)];
  return picture && typeof picture.url === "string" && picture.url.startsWith(PNG_URL) ? picture : null;
}

/** The cell with that picture, its longer side as long as all others'; empty without one. */
export function pictureCell(records, row) {
  const picture = pictureOf(records, row);
  if (!picture) return h("td", { class: "records-picture" });
  const [width, height] = [picture.width, picture.height].map((side) => Math.max(1, asFinite(side) ?? PICTURE_SIDE));
  const times = PICTURE_SIDE / Math.max(width, height);
  const sides = { width: Math.max(1, Math.round(width * times)), height: Math.max(1, Math.round(height * times)) };
  const name = String(row.id ?? row.row).slice(0, 200);
  return h("td", { class: "records-picture" }, h("img", { src: picture.url, alt: `record ${name}`, title: name, ...sides, class: times > 1 ? "records-image records-enlarged" : "records-image" }));
}

/** Which of the columns hold numbers: by name, how to write one. Numbers of a column have equally many decimals. */
export function numberTexts(columns, rows) {
  const numeric = columns.filter((column) => rows.every((row) => (row[column] ?? null) === null || asNumber(row[column]) !== null));
  return new Map(numeric.map((column) => [column, columnText(column, rows.map((row) => asFinite(row[column])).filter((number) => number !== null))]));
}

/** A cell; `write` is the column's in `numberTexts`, or undefined for text. */
export function recordCell(value, column, write, isFirst) {
  const tag = isFirst ? "th" : "td";
  const scope = isFirst ? "row" : null;
  if (write === undefined) {
    const text = wordOf(value);
    return h(tag, { scope, class: "records-text", title: text.slice(0, 600) }, text);
  }
  const isShare = RECORD_SHARES.has(column) && asFinite(value) !== null;
  return h(tag, { scope, class: "number" }, isShare ? h("span", { class: "records-share" }, shareBar(asFinite(value)), write(value)) : write(value));
}

function columnText(column, numbers) {
  if (RECORD_SHARES.has(column)) return (value) => percentText(value);
  if (column === "label" || column === "risk_rank" || column === "id") return (value) => (Number.isInteger(value) ? String(value) : figureText(value, MOST_DIGITS));
  if (numbers.every(Number.isInteger)) return (value) => (asFinite(value) === null ? figureText(value) : countText(value));
  const largest = Math.max(...numbers.map(Math.abs));
  const decimals = MOST_DIGITS - 1 - Math.floor(Math.log10(largest || 1));
  if (decimals < 0 || decimals > 6) return (value) => figureText(value, MOST_DIGITS);
  return (value) => (asFinite(value) === null ? figureText(value) : asFinite(value).toFixed(decimals).replace("-", "−"));
}

function shareBar(share) {
  const filled = h("span", {});
  filled.style.width = `${Math.round(100 * Math.min(1, Math.max(0, share)))}%`;
  return h("span", { class: "records-bar", "aria-hidden": "true" }, filled);
}

function wordOf(value) {
  if (value === null || value === undefined) return "–";
  if (typeof value === "boolean") return value ? "yes" : "no";
  return typeof value === "number" ? figureText(value, MOST_DIGITS) : String(value);
}
