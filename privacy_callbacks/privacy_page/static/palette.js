/**
 * Colours of attacks and dashes of runs. The first six colours are told apart by people of every colour vision (Okabe and Ito).
 */

const ATTACK_COLOURS = ["#D55E00", "#0072B2", "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#8C6BB1", "#8C6D31", "#D6336C", "#5C9E1F", "#808890", "#A0522D"];
// Runs begin where the attacks of most audits end.
const RUNS_FROM = 5;
const RUN_DASHES = [null, "7 3", "2 3", "9 3 2 3", "14 4", "5 2 1 2 1 2"];

/** The colour of the attack, or of anything else, at a place of a list. */
export function colourAt(place) {
  return ATTACK_COLOURS[place] ?? `hsl(${Math.round((place * 137.5) % 360)} 50% 52%)`;
}

/** The colour of the run at a place of a list, where colours tell runs: none of the first attacks' colours comes before them. */
export function runColourAt(place) {
  return colourAt(place + RUNS_FROM);
}

/** The dash pattern of the run at a place of a list; null is a whole line. */
export function dashAt(place) {
  return RUN_DASHES[place % RUN_DASHES.length];
}
