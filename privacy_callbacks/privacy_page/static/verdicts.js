/**
 * What can be said of a run in a word. That no leak was found is never called safe.
 */
import { asFinite, epochText } from "./figures.js";
import { placeAtOrBefore } from "./page_state.js";

export const STATES = {
  alarm: { sign: "▲", word: "Leak found" },
  shown: { sign: "▲", word: "A leak shows" },
  doubt: { sign: "?", word: "Cannot be judged" },
  quiet: { sign: "○", word: "No leak found" },
  open: { sign: "○", word: "No leak shows" },
  none: { sign: "–", word: "No audit yet" },
};

/** The state of a run at a step, one of `STATES`' names: from its verdict at the fit's end, before that from the headline's interval. */
export function stateOfRun(run, step) {
  const headline = headlineOf(run);
  if (voidReason(run)) return "doubt";
  // A detection at no epoch's end has null for its step.
  if (run.verdict) return Object.keys(run.verdict.detected ?? {}).length ? "alarm" : "quiet";
  const audit = headline ? auditAt(headline, step) : null;
  if (!audit) return "none";
  if (audit.failed) return "doubt";
  return audit.low !== null && audit.low > 0.5 ? "shown" : "open";
}

/** The attack that speaks for its run; null if the run has none. */
export function headlineOf(run) {
  return run.attacks.find((attack) => attack.headline) ?? run.attacks[0] ?? null;
}

/** Why nothing can be concluded of a run; null if something can. */
export function voidReason(run) {
  return run.verdict?.void || headlineOf(run)?.void || null;
}

/** The newest audit of an attack at or before a step: its step, AUC, interval and words; null if there is none. */
export function auditAt(attack, step) {
  const place = placeAtOrBefore(attack.steps, step ?? Infinity);
  if (place < 0) return null;
  const auc = attack.metrics?.auc ?? {};
  const [value, low] = [asFinite(auc.value?.[place]), asFinite(auc.low?.[place])];
  return { step: attack.steps[place], value, low, failed: attack.failed?.[place] === true, words: attack.words?.[place] ?? "" };
}

/** The attack with the highest AUC at a step; null if none has one. */
export function strongestOf(attacks, step) {
  const known = attacks.map((attack) => ({ attack, audit: auditAt(attack, step) })).filter(({ audit }) => audit !== null && audit.value !== null);
  return known.reduce((best, one) => (best === null || one.audit.value > best.audit.value ? one : best), null)?.attack ?? null;
}

/** Epochs from one step to another: `epochs 1–20`, `epoch 3`, `before training`. */
export function epochSpan(first, last) {
  if (first === last) return first < 0 ? "before training" : `epoch ${first + 1}`;
  return first < 0 ? `before training to epoch ${last + 1}` : `epochs ${first + 1}–${last + 1}`;
}

/** The sentences of attacks, each once: `{text, first, last, attacks}`, newest first. */
export function sentencesOf(attacks, kind) {
  const found = new Map();
  for (const attack of attacks) {
    for (const said of attack[kind] ?? []) {
      const known = found.get(said.text) ?? { text: said.text, first: said.first, last: said.last, attacks: [] };
      found.set(said.text, { ...known, first: Math.min(known.first, said.first), last: Math.max(known.last, said.last), attacks: [...known.attacks, attack.attack] });
    }
  }
  return [...found.values()].sort((a, b) => b.last - a.last);
}

/** When a leak was found, for a run's verdict: the first of its attacks; null if none. */
export function firstFound(run) {
  const found = Object.entries(run.verdict?.detected ?? {});
  if (!found.length) return null;
  const [attack, at] = found.reduce((first, one) => (one[1] < first[1] ? one : first));
  return { attack, text: epochText(at) };
}
