/**
 * What the page shows, decided from the overview: which series, in which colours, at which steps. Nothing here touches the page.
 */
import { colourAt, dashAt } from "./palette.js";
import { countText } from "./figures.js";
import { shortName } from "./names.js";

export const MOST_DEFAULT_RUNS = 3;
export const MOST_SERIES = 60;

/** A run filter: `{regex, fault}`; a pattern that is none leaves regex null and says why. Letters' case does not count, as in TensorBoard. */
export function filterOf(pattern) {
  try {
    return { regex: new RegExp(pattern || "", "i"), fault: null };
  } catch (reason) {
    return { regex: null, fault: String(reason.message ?? reason).slice(0, 200) };
  }
}

/** The names of all attacks, each once: those that speak for their runs first. */
export function attackNames(overview) {
  const attacks = overview.runs.flatMap((run) => run.attacks);
  const names = [...attacks.filter((attack) => attack.headline), ...attacks].map((attack) => attack.attack);
  return [...new Set(names)];
}

/** Runs that the filter lets through, each with the attacks that it lets through. TensorBoard's run is one attack's folder. */
export function filteredRuns(overview, regex) {
  const through = overview.runs.map((run) => ({ run, attacks: run.attacks.filter((attack) => regex.test(attack.id)) }));
  return through.filter((entry) => entry.attacks.length);
}

/** The attacks (ids) that are shown until somebody chooses: all of the last three runs. */
export function defaultChoice(overview, regex) {
  const newest = filteredRuns(overview, regex).slice(-MOST_DEFAULT_RUNS);
  return new Set(newest.flatMap((entry) => entry.attacks.map((attack) => attack.id)));
}

/** The chosen series that the filter lets through, without what is loaded for them; see the contract of views. */
export function chosenSeries(overview, chosen, regex) {
  const names = attackNames(overview);
  const runs = filteredRuns(overview, regex)
    .map(({ run, attacks }) => ({ run, attacks: attacks.filter((attack) => chosen.has(attack.id)) }))
    .filter((entry) => entry.attacks.length);
  return runs.flatMap(({ run, attacks }, place) =>
    attacks.map((attack) => ({
      key: attack.id,
      run,
      attack,
      label: runs.length > 1 ? `${shortName(run.id)} · ${shortName(attack.attack)}` : shortName(attack.attack),
      colour: colourAt(names.indexOf(attack.attack)),
      dash: runs.length > 1 ? dashAt(place) : null,
      details: null,
      loading: false,
    })),
  );
}

/** The runs of series, each once. */
export function runsShown(series) {
  return [...new Set(series.map((one) => one.run))];
}

/** What the page left out by itself, as a sentence; empty if nothing. `passing` runs pass the filter, `runs` of them are shown. */
export function shownNote(passing, runs, series, touched) {
  if (series > MOST_SERIES) return `${countText(series)} series are chosen; the first ${MOST_SERIES} are drawn.`;
  if (touched || runs >= passing) return "";
  return `The last ${countText(runs)} of ${countText(passing)} runs ${runs === 1 ? "is" : "are"} shown; check more, or filter.`;
}

/** All steps at which one of the series was audited, ascending. */
export function unionOfSteps(series) {
  return [...new Set(series.flatMap((one) => one.attack.steps))].sort((a, b) => a - b);
}

/** The step of a list (ascending) that lies nearest; null if it is empty. */
export function nearestStep(steps, step) {
  if (!steps.length) return null;
  let low = 0;
  let high = steps.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (steps[middle] <= step) low = middle;
    else high = middle;
  }
  return Math.abs(steps[low] - step) <= Math.abs(steps[high] - step) ? steps[low] : steps[high];
}

/** The place of the newest audit at or before a step; −1 if there is none. */
export function placeAtOrBefore(steps, step) {
  let place = -1;
  for (let k = 0; k < steps.length && steps[k] <= step; k++) place = k;
  return place;
}

/** Whether a newer overview tells the same of the audits that an older one told of; else what was loaded is stale. */
export function continuesAttack(older, newer) {
  const known = older.steps.length;
  const told = (attack) => JSON.stringify([attack.steps.slice(0, known), attack.metrics?.auc?.value?.slice(0, known), attack.failed?.slice(0, known)]);
  return newer.steps.length >= known && told(older) === told(newer);
}

/** The names of the training figures of runs, those that say how useful a model is first. */
export function utilityNames(runs) {
  const names = new Set(runs.flatMap((run) => Object.keys(run.training?.values ?? {})));
  return [...names].sort((a, b) => utilityRank(a) - utilityRank(b) || (a < b ? -1 : 1));
}

function utilityRank(name) {
  const order = [/^val_accuracy$/, /^val_.*(acc|auc|f1|precision|recall)/, /^val_loss$/, /^val_/, /acc/, /^loss$/];
  const place = order.findIndex((pattern) => pattern.test(name));
  return place < 0 ? order.length : place;
}
