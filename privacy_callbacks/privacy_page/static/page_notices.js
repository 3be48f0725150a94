/**
 * The page without charts: while it loads, when nothing is there, when it failed.
 */
import { h } from "./dom.js";

const EXAMPLE = [
  "from privacy_callbacks import MIACallback",
  'mia = MIACallback((x_train, y_train), (x_test, y_test), log_dir="logs/run1")',
  "model.fit(x_train, y_train, epochs=20, callbacks=[mia])",
];

/** While the overview is on its way. */
export function loadingNotice() {
  return h("main", { class: "notice", "aria-busy": "true" }, h("p", { role: "status" }, "Loading audits …"), h("div", { class: "skeleton" }), h("div", { class: "skeleton low" }));
}

/** Where no audit was written. */
export function emptyNotice(problems = []) {
  const list = problems.length ? [h("p", {}, "Some of the logs could not be read:"), h("ul", { class: "sentences" }, problems.map((text) => h("li", {}, text)))] : null;
  return h("main", { class: "notice" }, h("h1", {}, "No privacy audits here yet"), h("p", {}, "Three lines of Python make some; they show here while the model trains."), h("pre", {}, h("code", {}, EXAMPLE.join("\n"))), list);
}

/** When the overview could not be had. */
export function failedNotice(reason, again) {
  return h("main", { class: "notice", role: "alert" }, h("h1", {}, "The audits could not be loaded"), h("p", { class: "reason" }, String(reason).slice(0, 600)), h("button", { type: "button", class: "again", onclick: again }, "Try again"));
}
