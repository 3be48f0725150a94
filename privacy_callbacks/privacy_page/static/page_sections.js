/**
 * The sections of the page, in their order: which view shows what of the page's state.
 */
import { h } from "./dom.js";
import { choice } from "./controls.js";
import { metricNames, metricTitle } from "./figures.js";
import { compareRows, compareView } from "./compare_view.js";
import { leakageRows } from "./leakage_data.js";
import { leakageView } from "./leakage_view.js";
import { rangesRows, rangesView } from "./ranges_view.js";
import { recordsRows, recordsView } from "./records_view.js";
import { rocRows, rocView } from "./roc_view.js";
import { scoresRows, scoresView } from "./scores_view.js";
import { slicesRows, slicesView } from "./slices_view.js";
import { utilityNames } from "./page_state.js";
import { warningsRows, warningsView } from "./warnings_view.js";

const ALWAYS = () => true;
const NO_TOOLS = () => [];

/** Specifications of sections (see `pageSection`); those with `above` stand above the slider. */
export function sectionSpecs() {
  return [
    { id: "warnings", title: "What the audits say", above: true, wide: true, atStep: true, isShown: ALWAYS, tools: NO_TOOLS, picture: false, view: (page) => warningsView(warned(page)), rows: (page) => warningsRows(warned(page)) },
    { id: "leakage", title: "Leakage over epochs", above: true, wide: true, isShown: ALWAYS, tools: metricTool, picture: true, view: drawnLeakage, rows: (page) => leakageRows(leaked(page)) },
    atStepPart("roc", "ROC curves", (page) => rocView({ ...curves(page), scale: page.settings.scale }), (page) => rocRows({ ...curves(page), scale: page.settings.scale }), scaleTool),
    atStepPart("scores", "Scores of members and non-members", (page) => scoresView(curves(page)), (page) => scoresRows(curves(page))),
    { ...atStepPart("slices", "Slices", (page) => slicesView(curves(page, "slices")), (page) => slicesRows(curves(page, "slices"))), wide: true },
    { ...atStepPart("records", "Records at risk", drawnRecords, (page) => recordsRows(recorded(page)), recordsTool), wide: true, picture: false },
    { id: "ranges", title: "Range curves", isShown: (page) => page.overview.ranges.length > 0, tools: rangeTool, picture: true, view: (page) => rangesView(ranged(page)), rows: (page) => rangesRows(ranged(page)) },
    { id: "compare", title: "Privacy against usefulness", isShown: (page) => page.overview.runs.length > 1, tools: compareTools, picture: true, view: (page) => compareView(compared(page)), rows: (page) => compareRows(compared(page)) },
  ];
}

function atStepPart(id, title, view, rows, tools = NO_TOOLS) {
  return { id, title, atStep: true, isShown: ALWAYS, tools, picture: true, view: (page) => withFaults(page, view(page)), rows };
}

function warned(page) {
  return { runs: page.runs, series: page.series, step: page.step, problems: page.overview.problems };
}

function leaked(page) {
  return { series: page.series, metric: page.settings.metric, step: page.step };
}

function drawnLeakage(page) {
  return leakageView({ ...leaked(page), onStep: (step) => page.moveTo(step), width: page.width });
}

function curves(page, memory = "curves") {
  return { series: page.seriesAtStep(), step: page.step, memory: page.memoryOf(memory) };
}

function withFaults(page, view) {
  const faults = page.detailFaults();
  const stale = page.olderDetails();
  if (!faults.length && !stale) return view;
  const again = h("button", { type: "button", class: "again", onclick: () => page.askAgain() }, "Try again");
  const lines = faults.map((text) => h("li", {}, text));
  return h("div", {}, stale ? h("p", { class: "quiet" }, stale) : null, faults.length ? h("div", { class: "fault", role: "status" }, h("ul", { class: "sentences" }, lines), again) : null, view);
}

function recordRun(page) {
  const asked = page.runs.find((run) => run.id === page.settings.recordRun);
  return asked ?? page.runs.find((run) => run.has_records) ?? page.runs[0] ?? null;
}

function recorded(page) {
  const run = recordRun(page);
  return { run, records: run ? page.recordsOf(run).data : null, step: page.step, memory: page.memoryOf("records") };
}

function drawnRecords(page) {
  const run = recordRun(page);
  if (!run) return h("p", { class: "nothing" }, "No run is shown.");
  const { data, fault } = page.recordsOf(run);
  if (fault) return h("p", { class: "fault", role: "status" }, `The records of this run could not be loaded: ${fault} `, h("button", { type: "button", class: "again", onclick: () => page.askAgain() }, "Try again"));
  if (run.has_records && !data) return h("p", { class: "nothing" }, "Loading records …");
  return recordsView(recorded(page));
}

function recordsTool(page) {
  if (page.runs.length < 2) return [];
  const options = page.runs.map((run) => [run.id, run.has_records ? run.id : `${run.id} (none written)`]);
  return choice("Run", options, recordRun(page)?.id, (id) => page.set("recordRun", id, ["records"]));
}

function metricTool(page) {
  const known = new Set(page.overview.runs.flatMap((run) => run.attacks.flatMap((attack) => Object.keys(attack.metrics ?? {}))));
  const names = [...metricNames().filter((name) => known.has(name)), ...[...known].filter((name) => !metricNames().includes(name))];
  return choice("Metric", names.map((name) => [name, metricTitle(name)]), page.settings.metric, (name) => page.set("metric", name, ["leakage"]));
}

function scaleTool(page) {
  return choice("Axes", [["log", "logarithmic"], ["linear", "linear"]], page.settings.scale, (scale) => page.set("scale", scale, ["roc"]));
}

function ranged(page) {
  return { ranges: page.overview.ranges, metric: page.settings.rangeMetric, memory: page.memoryOf("ranges") };
}

function rangeTool(page) {
  const known = new Set(page.overview.ranges.flatMap((range) => range.curves.flatMap((curve) => Object.keys(curve.metrics ?? {}))));
  const options = metricNames().filter((name) => known.has(name)).map((name) => [name, metricTitle(name)]);
  return choice("Metric", options, page.settings.rangeMetric, (name) => page.set("rangeMetric", name, ["ranges"]));
}

function compared(page) {
  const { first, second } = page.settings;
  const all = page.overview.runs;
  const pair = [first, second].map((id) => all.find((run) => run.id === id)).filter((run) => run);
  const runs = first === "" ? page.runs : pair;
  const names = utilityNames(runs.length ? runs : all);
  const utility = names.includes(page.settings.utility) ? page.settings.utility : names[0] ?? null;
  return { runs, metric: "auc", utility, width: page.partWidth("compare"), names };
}

function compareTools(page) {
  const runs = page.overview.runs.map((run) => [run.id, run.id]);
  const { names, utility } = compared(page);
  const { first, second } = page.settings;
  const redrawn = ["compare"];
  return [
    choice("Runs", [["", "all that are shown"], ...runs], first, (id) => page.set("first", id, redrawn)),
    first === "" ? null : choice("and", [["", "no other"], ...runs.filter(([id]) => id !== first)], second, (id) => page.set("second", id, redrawn)),
    names.length ? choice("Usefulness", names.map((name) => [name, name]), utility, (name) => page.set("utility", name, redrawn)) : null,
  ];
}
