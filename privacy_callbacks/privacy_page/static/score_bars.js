/**
 * Bars of a histogram of two sides: each bin's share of its side, and what lies beyond the bins.
 */
import { asFinite } from "./figures.js";

// The bars of what lies beyond the bins: how wide, and how far from the others, as shares of what the bins span.
const BEYOND_WIDTH = [0.045, 0.08];
const BEYOND_GAP = 0.035;

/** The histogram of a series' details if it can be drawn, else null. */
export function histogramOf(one) {
  const scores = one.details?.scores;
  if (!scores || ![scores.edges, scores.members, scores.nonmembers].every(Array.isArray)) return null;
  const edges = scores.edges.map(asFinite);
  const bins = Math.max(0, edges.length - 1);
  const rising = edges.every((edge, index) => edge !== null && (index === 0 || edge > edges[index - 1]));
  return rising && scores.members.length === bins && scores.nonmembers.length === bins ? scores : null;
}

/**
 * Bars from left to right.
 *
 * @returns `[{from, to, counts, shares, beyond}]`: counts and shares of members and of non-members; `beyond` is null,
 *   "below" or "above": what lies outside of the bins, infinite scores among it, set apart from them.
 */
export function barsOf(scores) {
  const sides = [scores.members, scores.nonmembers].map((counts) => counts.map((found) => asFinite(found) ?? 0));
  const [below, above] = [scores.below, scores.above].map((pair) => [0, 1].map((place) => asFinite(pair?.[place]) ?? 0));
  const totals = sides.map((counts, place) => sumOf(counts) + below[place] + above[place]);
  const bar = (from, to, counts, beyond = null) => ({ from, to, counts, beyond, shares: counts.map((some, place) => some / Math.max(1, totals[place])) });
  const edges = scores.edges.length ? scores.edges.map(asFinite) : [0, 1];
  const [first, last] = [edges[0], edges.at(-1)];
  const span = last - first || 1;
  const width = Math.min(BEYOND_WIDTH[1] * span, Math.max(BEYOND_WIDTH[0] * span, 1.5 * (edges[1] - first || span)));
  const bars = sides[0].map((members, index) => bar(edges[index], edges[index + 1], [members, sides[1][index]]));
  if (sumOf(below)) bars.unshift(bar(first - BEYOND_GAP * span - width, first - BEYOND_GAP * span, below, "below"));
  if (sumOf(above)) bars.push(bar(last + BEYOND_GAP * span, last + BEYOND_GAP * span + width, above, "above"));
  return bars;
}

function sumOf(numbers) {
  return numbers.reduce((total, number) => total + number, 0);
}
