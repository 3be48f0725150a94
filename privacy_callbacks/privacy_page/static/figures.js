/**
 * Numbers as people read them. Numbers that JSON cannot hold arrive as words; absent ones as null.
 */

const WORDS = { NaN: NaN, Infinity: Infinity, "-Infinity": -Infinity };

const METRIC_TITLES = {
  auc: "AUC",
  advantage: "Advantage",
  youden_j: "Youden's J",
  balanced_accuracy: "Balanced accuracy",
  mutual_information: "Mutual information (bits)",
  "tpr_at_fpr_1e-1": "TPR at 10 % FPR",
  "tpr_at_fpr_1e-2": "TPR at 1 % FPR",
  "tpr_at_fpr_1e-3": "TPR at 0.1 % FPR",
  epsilon_lower_bound: "ε of the training, at least",
  epsilon_estimate: "ε of the training, estimated (no bound)",
};

const GUESSING = {
  auc: 0.5,
  balanced_accuracy: 0.5,
  youden_j: 0,
  "tpr_at_fpr_1e-1": 0.1,
  "tpr_at_fpr_1e-2": 0.01,
  "tpr_at_fpr_1e-3": 0.001,
};

/** The number that a value of the data means; null if it is none. */
export function asNumber(value) {
  if (typeof value === "number") return value;
  return typeof value === "string" && value in WORDS ? WORDS[value] : null;
}

/** The number if it is finite, else null. */
export function asFinite(value) {
  const number = asNumber(value);
  return number !== null && Number.isFinite(number) ? number : null;
}

/** A number in at most `digits` significant digits: `0.1234`, `1,200`, `3.1e-7`, `–` for none. */
export function figureText(value, digits = 3) {
  const number = asNumber(value);
  if (number === null || Number.isNaN(number)) return "–";
  if (!Number.isFinite(number)) return number > 0 ? "∞" : "−∞";
  const size = Math.abs(number);
  if (size !== 0 && (size < 1e-4 || size >= 1e7)) return number.toExponential(Math.max(0, digits - 1)).replace("-", "−");
  return number.toLocaleString("en-US", { maximumSignificantDigits: digits }).replace("-", "−");
}

/** A whole number with thousands separated. */
export function countText(value) {
  const number = asFinite(value);
  return number === null ? "–" : number.toLocaleString("en-US", { maximumFractionDigits: 0 });
}

/** A share as a percentage: `0.01` -> `1 %`. */
export function percentText(share, digits = 3) {
  const number = asFinite(share);
  return number === null ? "–" : `${figureText(100 * number, digits)} %`;
}

/** A value with its interval, or its null level where it has none: `0.612 [0.59, 0.634]`. */
export function intervalText(value, low, high, nullLevel = null) {
  const text = figureText(value);
  if (asNumber(low) !== null && asNumber(high) !== null) return `${text} [${figureText(low)}, ${figureText(high)}]`;
  return asNumber(nullLevel) === null ? text : `${text} (no leak: at most ${figureText(nullLevel)})`;
}

/** An epoch as people count: step 0 is epoch 1, step −1 before training. */
export function epochText(step) {
  if (step === null || step === undefined) return "at no epoch's end";
  return step < 0 ? "before training" : `after epoch ${countText(step + 1)}`;
}

/** What a metric is called. */
export function metricTitle(metric) {
  return METRIC_TITLES[metric] ?? metric;
}

/** What guessing reaches in a metric; null where that depends on the audit. */
export function guessingAt(metric) {
  return GUESSING[metric] ?? null;
}

/** The metrics of reports, in the order in which they are offered. */
export function metricNames() {
  return Object.keys(METRIC_TITLES);
}
