/**
 * Files that leave the page: figures as CSV, reports as JSON, pictures as SVG.
 */
import { h } from "./dom.js";

const KEPT_FOR = 20000; // milliseconds until the browser has surely begun to read a file
const A_NUMBER = /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i;

/** Rows as CSV after RFC 4180. Text that a spreadsheet would take for a formula gets an apostrophe before it. */
export function csvText({ columns, rows }) {
  return [columns, ...rows].map((row) => row.map(csvCell).join(",")).join("\r\n") + "\r\n";
}

/** Offers text as a file of the browser's downloads. */
export function saveFile(name, type, text) {
  const address = URL.createObjectURL(new Blob([text], { type: `${type};charset=utf-8` }));
  const link = h("a", { href: address, download: name, hidden: true });
  document.body.append(link);
  link.click();
  link.remove();
  window.setTimeout(() => URL.revokeObjectURL(address), KEPT_FOR);
}

function csvCell(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  const text = typeof value === "string" ? value : JSON.stringify(value);
  // Infinity and NaN arrive as words; a minus before one makes no formula.
  const harmless = A_NUMBER.test(text) || text === "-Infinity";
  const safe = /^[=+\-@\t\r]/.test(text) && !harmless ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
