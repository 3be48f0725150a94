/**
 * Names that come from folders and people: of any length and content, shown as text.
 */
import { h } from "./dom.js";

const LONGEST_TITLE = 600;
// Controls, and marks that turn the direction of whatever follows them.
const UNSEEN = /[\u0000-\u001f\u007f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** A name that fits into a line: long ones lose their middle, an empty one says so. */
export function shortName(name, most = 60) {
  const letters = [...String(name ?? "").slice(0, 20000).replace(UNSEEN, "\ufffd")];
  if (!letters.length || !String(name).trim()) return "(no name)";
  if (letters.length <= most) return letters.join("");
  const half = Math.floor((most - 1) / 2);
  return `${letters.slice(0, most - 1 - half).join("")}…${letters.slice(-half).join("")}`;
}

/** An element with a name, cut where it leaves its place; the whole of it stands in its tooltip. */
export function nameText(name, className = "") {
  const whole = String(name ?? "");
  return h("bdi", { class: `name ${className}`.trim(), title: whole.slice(0, LONGEST_TITLE) || null }, shortName(whole, 160));
}

/** A name that every file system takes. */
export function safeFileName(...parts) {
  const words = parts.map((part) => String(part ?? "").slice(0, 200).normalize("NFKD").replace(/[^A-Za-z0-9._-]+/g, "_").replace(/^[._]+|[._]+$/g, ""));
  return words.filter((word) => word).join("-").slice(0, 100) || "privacy";
}
