/**
 * Why a picture has nothing of a series to show.
 */
import { asNumber, epochText } from "./figures.js";

/** A sentence on why `part` ("curve", "histogram") of a series is not there at a step. */
export function whyAbsent(one, step, part) {
  if (one.loading) return "loading …";
  const report = one.details?.report;
  if (report?.failed) return failure(firstText(report.warnings));
  if (one.details) return `its ${part} was not kept at this audit`;
  if (one.reason) return String(one.reason);
  const { attack } = one;
  const place = (attack?.steps ?? []).indexOf(step);
  if (place < 0) return `not audited ${epochText(step)}`;
  if (attack.failed?.[place]) return failure(warningAt(attack, step));
  return `its ${part} was not kept at this audit`;
}

function failure(reason) {
  if (reason === null) return "failed; no reason was kept";
  return /\bfailed\b/.test(reason) ? reason : `failed: ${reason}`;
}

function warningAt(attack, step) {
  const said = (attack.warnings ?? []).filter(({ first, last }) => asNumber(first) !== null && first <= step && step <= last);
  return firstText(said.map(({ text }) => text));
}

function firstText(texts) {
  return Array.isArray(texts) ? (texts.find((text) => typeof text === "string") ?? null) : null;
}
