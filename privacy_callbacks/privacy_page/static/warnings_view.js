/**
 * On top: what each run's audits say, in words for people who decide; what is doubtful about them; what could not be read.
 */
import { h } from "./dom.js";
import { epochText } from "./figures.js";
import { nameText, shortName } from "./names.js";
import { STATES, auditAt, epochSpan, firstFound, headlineOf, sentencesOf, stateOfRun, strongestOf, voidReason } from "./verdicts.js";

const MOST_CARDS = 9;
const MOST_SENTENCES_SHOWN = 3;

/** One card a run, and the problems of reading. */
export function warningsView({ runs, series, step, problems = [] }) {
  const cards = runs.map((run) => runCard(run, series.filter((one) => one.run === run).map((one) => one.attack), step));
  const more = cards.length > MOST_CARDS ? h("details", { class: "more-runs" }, h("summary", {}, `${cards.length - MOST_CARDS} more runs`), h("div", { class: "cards" }, cards.slice(MOST_CARDS))) : null;
  return h("section", { class: "view warnings" }, h("div", { class: "cards" }, cards.slice(0, MOST_CARDS)), more, problemList(problems));
}

/** The same as rows, for CSV. */
export function warningsRows({ runs, series, step }) {
  const rows = runs.flatMap((run) => {
    const attacks = series.filter((one) => one.run === run).map((one) => one.attack);
    const said = (kind) => sentencesOf(attacks, kind).map((one) => [run.id, kind.replace(/s$/, ""), one.attacks.join(" "), one.first + 1, one.last + 1, one.text]);
    const words = attacks.map((attack) => [attack, auditAt(attack, step)]).filter(([, audit]) => audit);
    return [
      [run.id, "state", "", null, null, STATES[stateOfRun(run, step)].word],
      ...words.map(([attack, audit]) => [run.id, "words", attack.attack, audit.step + 1, audit.step + 1, audit.words]),
      ...said("warnings"),
      ...said("notes"),
    ];
  });
  return { columns: ["run", "kind", "attacks", "first_epoch", "last_epoch", "text"], rows };
}

function runCard(run, attacks, step) {
  const state = stateOfRun(run, step);
  const { sign, word } = STATES[state];
  const reason = voidReason(run);
  const found = state === "alarm" ? firstFound(run) : null;
  const verdict = run.verdict?.text || null;
  return h(
    "article",
    { class: `card state-${state}`, "data-run": run.id, "data-state": state },
    h("header", {}, h("span", { class: "sign", "aria-hidden": "true" }, sign), h("strong", {}, word), nameText(run.id)),
    reason ? h("p", { class: "void" }, `Nothing can be concluded: ${reason}`) : null,
    verdict && !reason ? h("p", { class: "verdict" }, verdict) : null,
    found && !verdict ? h("p", { class: "verdict" }, `First told ${found.text}, by ${shortName(found.attack, 40)}.`) : null,
    wordsOf(run, attacks, step),
    state === "quiet" || state === "open" ? h("p", { class: "quiet" }, "These attacks found none; that is not proof that there is none.") : null,
    sentenceList(sentencesOf(attacks, "warnings")),
    notesOf(attacks),
  );
}

function wordsOf(run, attacks, step) {
  const headline = headlineOf(run);
  const strongest = strongestOf(attacks, step);
  const speakers = [headline, strongest === headline ? null : strongest].filter((attack) => attack);
  return speakers.map((attack, place) => {
    const audit = auditAt(attack, step);
    if (!audit || !audit.words) return null;
    const who = place === 0 ? "" : `Strongest attack, ${shortName(attack.attack, 40)}: `;
    const when = epochText(audit.step);
    return h("p", { class: "words" }, `${when[0].toUpperCase()}${when.slice(1)}. ${who}${audit.words}`);
  });
}

function sentenceList(said) {
  if (!said.length) return null;
  const line = (one) => h("li", {}, h("span", { class: "when" }, `${one.attacks.map((name) => shortName(name, 30)).join(", ")} · ${epochSpan(one.first, one.last)}: `), one.text);
  const rest = said.slice(MOST_SENTENCES_SHOWN);
  return [
    h("ul", { class: "sentences" }, said.slice(0, MOST_SENTENCES_SHOWN).map(line)),
    rest.length ? h("details", {}, h("summary", {}, `${rest.length} more ${rest.length === 1 ? "warning" : "warnings"}`), h("ul", { class: "sentences" }, rest.map(line))) : null,
  ];
}

function notesOf(attacks) {
  const said = sentencesOf(attacks, "notes");
  if (!said.length) return null;
  const line = (one) => h("li", {}, h("span", { class: "when" }, `${epochSpan(one.first, one.last)}: `), one.text);
  return h("details", { class: "card-notes" }, h("summary", {}, `${said.length} ${said.length === 1 ? "note" : "notes"}`), h("ul", { class: "sentences" }, said.map(line)));
}

function problemList(problems) {
  if (!problems.length) return null;
  const list = h("ul", { class: "sentences" }, problems.map((text) => h("li", {}, text)));
  return h("div", { class: "problems", role: "status" }, h("strong", {}, "Some of the logs could not be read; the rest is shown."), list);
}
