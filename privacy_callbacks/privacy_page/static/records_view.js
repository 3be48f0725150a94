/**
 * The members most at risk as a table, with their pictures where these were written.
 */
import { h } from "./dom.js";
import { keepingFocus } from "./controls.js";
import { asNumber, epochText } from "./figures.js";
import { nameText, shortName } from "./names.js";
import { numberTexts, pictureCell, pictureOf, recordCell } from "./record_cells.js";
import { foldButton, tableRegion } from "./table_fold.js";

const RECORDS_AT_FIRST = 20;
const NOT_WRITTEN =
  "Record ids and pictures are written only when asked for: MIACallback(..., log_records=20, log_pictures=True). " +
  "They then stand in TensorBoard's logs, and on a page made of these (privacy-audit report), never on one by to_html. " +
  "Whoever reads them learns who was in the training set.";
const MEANINGS = {
  member_probability: "that the record was trained on: by the first successful attack, at prior ½",
  loss_iqr: "interquartile range of the record's loss over the audited epochs: how far it had to travel",
  risk_rank: "1 = most at risk",
  risk_stability: "share of audits at which the member stood among the tenth most at risk",
};
const HOW_TO_READ =
  "Worst first. From four audits on, a classifier's members are ranked by how far their loss had to travel (risk_rank follows " +
  "loss_iqr), which finds those that had to be memorised; before that, and for other models, by the first attack's score. " +
  "member_probability: by the first successful attack, if half of the records that it is asked about were members.";

/**
 * The newest table at or before the step.
 *
 * @param records what the source answers for this run; null = not loaded yet.
 * @param memory an object kept over redraws: the column sorted by, and whether all rows are shown.
 */
export function recordsView({ run, records, step, memory = {} }) {
  const section = h("section", { class: "view records-view" });
  if (!run) return saying(section, "No run is selected.");
  if (!run.has_records) return saying(section, NOT_WRITTEN);
  if (!records) return saying(section, "loading …");
  const table = tableAt(records, step);
  if (!table) saying(section, noTable(records, step));
  const draw = () => keepingFocus(section, recordTable(run, records, table, memory, draw), h("p", { class: "view-note" }, HOW_TO_READ), readingProblems(records));
  if (table) draw();
  else section.append(...[readingProblems(records)].filter((part) => part));
  return section;
}

/** The table as it stands there. */
export function recordsRows({ run, records, step }) {
  const table = run?.has_records && records ? tableAt(records, step) : null;
  if (!table) return { columns: ["run", "epoch"], rows: [] };
  const columns = shownColumns(table);
  return { columns: ["run", "epoch", ...columns], rows: table.rows.map((row) => [run.id, table.step + 1, ...columns.map((column) => row[column] ?? null)]) };
}

function saying(section, text) {
  section.append(h("p", { class: "view-note" }, text));
  return section;
}

function readableTables(records) {
  return (records.tables ?? []).filter((table) => table && asNumber(table.step) !== null && Array.isArray(table.rows) && Array.isArray(table.columns));
}

function tableAt(records, step) {
  const until = readableTables(records).filter((table) => step === null || step === undefined || table.step <= step);
  return until.reduce((newest, table) => (newest === null || table.step >= newest.step ? table : newest), null);
}

function noTable(records, step) {
  const steps = readableTables(records).map((table) => table.step);
  if (!steps.length) return "No table of records has been written yet.";
  return `No table of records was written up to this audit (${epochText(step)}); the first one stands ${epochText(Math.min(...steps))}.`;
}

function readingProblems(records) {
  const problems = (records.problems ?? []).filter((problem) => typeof problem === "string");
  return problems.length ? h("ul", { class: "view-reasons" }, problems.map((problem) => h("li", {}, problem))) : null;
}

function shownColumns(table) {
  return table.columns.filter((column) => typeof column === "string" && column !== "row");
}

function recordTable(run, records, table, memory, draw) {
  const columns = shownColumns(table);
  const order = columns.includes(memory.column) ? memory : { column: null };
  const rows = sortedRows(table.rows.filter((row) => row !== null && typeof row === "object"), order);
  const texts = numberTexts(columns, rows);
  const pictured = rows.some((row) => pictureOf(records, row));
  const shown = memory.all ? rows : rows.slice(0, RECORDS_AT_FIRST);
  const head = columns.map((column) => sortHeading(column, texts.has(column), order, memory, draw));
  const body = shown.map((row) =>
    h("tr", {}, pictured ? pictureCell(records, row) : null, columns.map((column, index) => recordCell(row[column], column, texts.get(column), index === 0))),
  );
  const caption = `${shortName(run.id)}: members most at risk ${epochText(table.step)}`;
  const whole = h("table", { class: "records-table" }, h("caption", {}, caption), h("thead", {}, h("tr", {}, pictured ? h("th", { scope: "col" }, "picture") : null, head)), h("tbody", {}, body));
  return h("div", { class: "records-body" }, tableRegion(whole, caption, memory), foldButton(rows.length, RECORDS_AT_FIRST, memory, draw));
}

/** Sorts by a column: first the way that is asked for most, then the other, then as given. */
function sortHeading(column, isNumber, order, memory, draw) {
  const isSorted = order.column === column;
  const sort = () => {
    const turned = isSorted && memory.descending !== isNumber;
    memory.column = turned ? null : column;
    memory.descending = isSorted ? !memory.descending : isNumber;
    draw();
  };
  const direction = isSorted ? (memory.descending ? "descending" : "ascending") : "none";
  const arrow = { descending: " ▾", ascending: " ▴", none: "" }[direction];
  const button = h("button", { type: "button", class: "records-sort", title: MEANINGS[column] ?? "sort", onclick: sort }, nameText(column), arrow);
  return h("th", { scope: "col", class: isNumber ? "number" : null, "aria-sort": direction }, button);
}

/** Rows in the order asked for; those without a value come last. */
function sortedRows(rows, { column, descending }) {
  if (!column) return rows;
  const sign = descending ? -1 : 1;
  const key = (row) => asNumber(row[column]) ?? row[column] ?? null;
  return [...rows].sort((one, other) => {
    const [a, b] = [key(one), key(other)];
    const [noA, noB] = [a, b].map((value) => value === null || Number.isNaN(value));
    if (noA || noB) return Number(noA) - Number(noB);
    if (a === b) return 0;
    return sign * (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b)));
  });
}
