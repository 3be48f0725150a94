/**
 * The page: what is chosen, what is loaded, and who is drawn when something of it changes.
 */
import { h, replaceContent } from "./dom.js";
import { countText, epochText } from "./figures.js";
import { epochBar, filterField, keepingFocus, seriesGrid } from "./controls.js";
import { DetailStore } from "./detail_store.js";
import { saveFile } from "./download.js";
import { safeFileName } from "./names.js";
import { emptyNotice, failedNotice, loadingNotice } from "./page_notices.js";
import { pageSection, saveButton } from "./page_section.js";
import { sectionSpecs } from "./page_sections.js";
import { MOST_SERIES, chosenSeries, continuesAttack, defaultChoice, filterOf, filteredRuns, nearestStep, runsShown, shownNote, unionOfSteps } from "./page_state.js";
import { headlineOf } from "./verdicts.js";

const SCHEMA = 1;
const SIDE_WIDTH = 276;
const PAIR = ["roc", "scores"];

/** Shows the page within `root`, with the data of `source`, as `host` wishes; returns once the first chart stands. */
export async function showPage(root, source, host) {
  host.followDark((dark) => document.documentElement.classList.toggle("dark", dark));
  const page = new PrivacyPage(root, source, host);
  await page.start();
  return page;
}

class PrivacyPage {
  constructor(root, source, host) {
    Object.assign(this, { root, source, host });
    this.overview = null;
    this.regex = new RegExp("", "i");
    this.chosen = new Set();
    this.touched = false;
    this.step = null;
    this.series = [];
    this.runs = [];
    this.steps = [];
    this.settings = { metric: "auc", scale: "log", rangeMetric: "auc", utility: null, first: "", second: "", recordRun: null };
    this.memories = new Map();
    this.records = new Map();
    this.store = new DetailStore(source, (id, steps) => this.onDetails(id, steps));
    this.frame = null;
    this.followed = false;
  }

  async start() {
    replaceContent(this.root, loadingNotice());
    try {
      this.take(await this.source.overview());
    } catch (reason) {
      replaceContent(this.root, failedNotice(reason?.message ?? reason, () => this.start()));
    }
    if (this.followed) return;
    this.followed = true;
    this.host.followReload(() => this.reload());
  }

  take(overview) {
    const checked = checkedOverview(overview);
    const wasNewest = this.step === null || this.step === this.steps.at(-1);
    this.forgetStale(checked);
    this.overview = checked;
    this.told = JSON.stringify(overview);
    if (!checked.runs.length && !checked.ranges.length) {
      this.sections = null;
      replaceContent(this.root, emptyNotice(checked.problems));
      return;
    }
    if (!this.sections) this.build();
    this.choose(wasNewest);
  }

  forgetStale(newer) {
    const attacks = new Map(newer.runs.flatMap((run) => run.attacks).map((attack) => [attack.id, attack]));
    for (const attack of this.overview?.runs.flatMap((run) => run.attacks) ?? []) {
      const now = attacks.get(attack.id);
      if (!now || !continuesAttack(attack, now)) this.store.forget(attack.id);
    }
    this.forgetFaults();
  }

  forgetFaults() {
    // Tables that are shown stay until newer ones have come.
    for (const known of this.records.values()) known.asked = false;
    this.store.forget();
  }

  async reload() {
    try {
      const overview = await this.source.overview();
      if (JSON.stringify(overview) !== this.told) this.take(overview);
    } catch {
      // What is shown stays; the next reload may fare better.
    }
  }

  build() {
    this.grid = h("div", { class: "grid-place", tabindex: "0", role: "group", "aria-label": "Runs and attacks" });
    this.note = h("p", { class: "quiet", role: "status" });
    this.field = filterField(this.host.filterName, (pattern) => this.filter(pattern));
    this.bar = epochBar((step) => this.moveTo(step), saveButton("JSON", "Save the reports at this epoch as JSON", () => this.saveReports()));
    const specs = sectionSpecs();
    this.sections = specs.map((spec) => pageSection(spec, this));
    const button = (text, on) => h("button", { type: "button", onclick: () => this.toggle(this.allIds(), on) }, text);
    const side = h("aside", { class: "side" }, h("h2", {}, "Runs and attacks"), this.field.node, h("div", { class: "all-none" }, button("all", true), button("none", false)), this.note, this.grid);
    const above = this.sections.filter((_, place) => specs[place].above).map((section) => section.node);
    const below = this.sections.filter((section, place) => !specs[place].above && !PAIR.includes(section.id)).map((section) => section.node);
    // What sticks travels as far as its container reaches: beside the scores, and no further.
    const pair = h("div", { class: "pair" }, this.sections.filter((section) => PAIR.includes(section.id)).map((section) => section.node));
    this.main = h("main", { class: "parts" }, this.heading(), above, this.bar.node, pair, below);
    replaceContent(this.root, h("div", { class: "page" }, side, this.main));
    this.watchWidth();
    this.building = true;
    this.host.followFilter((pattern) => this.filter(pattern));
    this.building = false;
  }

  heading() {
    const { title, written, thinned } = this.host;
    if (!title) return h("h1", { class: "unseen" }, "Privacy");
    const when = written ? `Written ${String(written).replace("T", " ").slice(0, 19)}. ` : "";
    return h("header", { class: "file-head" }, h("h1", {}, title), h("p", { class: "quiet" }, `${when}${thinned ?? ""}`));
  }

  watchWidth() {
    let timer = null;
    let known = this.main.clientWidth;
    new ResizeObserver(() => {
      if (this.main.clientWidth === known || !this.main.clientWidth) return;
      known = this.main.clientWidth;
      window.clearTimeout(timer);
      timer = window.setTimeout(() => this.drawSome(["leakage", "compare"]), 120);
    }).observe(this.main);
  }

  get width() {
    return this.partWidth("leakage");
  }

  partWidth(id) {
    const body = this.sections.find((section) => section.id === id).node;
    return Math.max(320, Math.floor(body.clientWidth || window.innerWidth - SIDE_WIDTH));
  }

  filter(pattern) {
    const { regex, fault } = filterOf(pattern);
    this.regex = regex ?? this.regex;
    this.field.set(pattern, fault);
    if (!this.building && regex) this.choose(false);
  }

  allIds() {
    return filteredRuns(this.overview, this.regex).flatMap((entry) => entry.attacks.map((attack) => attack.id));
  }

  toggle(ids, on) {
    this.touched = true;
    for (const id of ids) this.chosen[on ? "add" : "delete"](id);
    this.choose(false);
  }

  choose(toNewest) {
    if (!this.touched) this.chosen = defaultChoice(this.overview, this.regex);
    const all = chosenSeries(this.overview, this.chosen, this.regex);
    this.series = all.slice(0, MOST_SERIES);
    this.runs = runsShown(this.series);
    this.steps = unionOfSteps(this.series);
    this.step = toNewest || this.step === null ? this.steps.at(-1) ?? null : nearestStep(this.steps, this.step);
    keepingFocus(this.grid, seriesGrid({ overview: this.overview, regex: this.regex, chosen: this.chosen, toggle: (ids, on) => this.toggle(ids, on) }));
    this.note.textContent = shownNote(filteredRuns(this.overview, this.regex).length, this.runs.length, all.length, this.touched);
    this.drawAll();
    this.store.want(this.series, this.step);
  }

  drawAll() {
    this.showStep();
    const first = this.sections.filter((section) => ["warnings", "leakage"].includes(section.id));
    for (const section of first) this.drawSection(section);
    const { dataset } = document.documentElement;
    const waits = dataset.painted === undefined;
    if (waits && this.series.length) dataset.painted = String(performance.now());
    const rest = () => this.sections.filter((section) => !first.includes(section)).forEach((section) => this.drawSection(section));
    // The first chart comes to the screen before the others are drawn.
    if (waits) window.requestAnimationFrame(() => window.setTimeout(rest, 0));
    else rest();
  }

  drawSome(ids) {
    for (const section of this.sections ?? []) if (ids.includes(section.id)) this.drawSection(section);
  }

  drawSection(section) {
    section.drawTools();
    section.draw();
  }

  set(name, value, redrawn) {
    this.settings[name] = value;
    this.drawSome(redrawn);
  }

  moveTo(step) {
    if (step === null || step === this.step) return;
    this.step = step;
    this.showStep();
    if (this.frame !== null) return;
    this.frame = window.requestAnimationFrame(() => this.drawStep());
  }

  drawStep() {
    this.frame = null;
    if (!this.sections) return;
    this.sections.find((section) => section.id === "leakage").view?.showStep?.(this.step);
    for (const section of this.sections) if (section.atStep) section.draw();
    document.documentElement.dataset.drawnStep = String(this.step);
    this.store.want(this.series, this.step);
  }

  showStep() {
    const last = this.steps.at(-1) ?? null;
    const of = last !== null && last >= 0 && this.step >= 0 ? ` of ${countText(last + 1)}` : "";
    this.bar.set(this.steps, this.step, this.step === null ? "no audit is shown" : `${epochText(this.step)}${of}`);
  }

  isWaiting() {
    return this.series.some((one) => this.store.at(one.attack, this.step).loading);
  }

  seriesAtStep() {
    return this.series.map((one) => {
      const { item, loading } = this.store.at(one.attack, this.step);
      return { ...one, details: item, loading };
    });
  }

  detailFaults() {
    const failed = this.series.map((one) => [one, this.store.at(one.attack, this.step).fault]).filter(([, fault]) => fault);
    return failed.slice(0, 6).map(([one, fault]) => `${one.label} could not be loaded: ${fault}`);
  }

  olderDetails() {
    const older = new Set(this.seriesAtStep().filter((one) => one.details && one.details.step !== this.step).map((one) => one.details.step));
    return older.size ? `This file keeps some audits in full: shown are the curves ${[...older].map(epochText).join(", ")}.` : null;
  }

  onDetails(id, steps) {
    // A file that keeps some audits shows those of an earlier step.
    if (!(this.source.partial || steps.includes(this.step)) || !this.series.some((one) => one.attack.id === id)) return;
    if (this.frame === null) this.frame = window.requestAnimationFrame(() => this.drawStep());
  }

  askAgain() {
    this.forgetFaults();
    this.store.want(this.series, this.step);
    this.drawStep();
  }

  memoryOf(name) {
    if (!this.memories.has(name)) this.memories.set(name, {});
    return this.memories.get(name);
  }

  recordsOf(run) {
    if (!run.has_records) return { data: null, fault: null };
    const known = this.records.get(run.id) ?? { data: null, fault: null, asked: false };
    this.records.set(run.id, known);
    if (known.asked) return known;
    known.asked = true;
    const told = (data, fault) => Object.assign(known, { data, fault });
    const asked = this.source.records(headlineOf(run).id, run.name);
    asked.then((data) => told(data, null), (reason) => told(null, String(reason?.message ?? reason).slice(0, 300))).then(() => this.drawSome(["records"]));
    return known;
  }

  fileLabel() {
    if (this.series.length === 1) return this.series[0].attack.id;
    return this.runs.length === 1 ? this.runs[0].id : `${this.runs.length}-runs`;
  }

  stepLabel() {
    return this.step === null ? "" : this.step < 0 ? "before-training" : `epoch-${this.step + 1}`;
  }

  saveReports() {
    const reports = this.seriesAtStep().filter((one) => one.details?.step === this.step).map((one) => ({ run: one.run.id, attack: one.attack.attack, step: this.step, epoch: this.step + 1, report: one.details.report }));
    saveFile(`${safeFileName("privacy-reports", this.fileLabel(), this.stepLabel())}.json`, "application/json", JSON.stringify({ reports }, null, 2));
  }
}

function checkedOverview(overview) {
  if (overview === null || typeof overview !== "object" || !Array.isArray(overview.runs)) throw new Error("What was answered is no overview of audits.");
  if (overview.schema_version > SCHEMA) throw new Error(`The audits are described in version ${overview.schema_version}; this page reads version ${SCHEMA}. Reload the page.`);
  const runs = overview.runs.filter((run) => Array.isArray(run?.attacks) && run.attacks.length);
  return { ...overview, runs, ranges: overview.ranges ?? [], problems: overview.problems ?? [] };
}
