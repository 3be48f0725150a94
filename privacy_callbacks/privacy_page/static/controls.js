/**
 * What people move: a labelled choice, the epoch slider, the run filter, the grid of runs and attacks.
 */
import { h, svg, replaceContent } from "./dom.js";
import { attackNames, filteredRuns } from "./page_state.js";
import { colourAt } from "./palette.js";
import { nameText, shortName } from "./names.js";

/** A drop-down with its label; options are `[value, text]`. */
export function choice(label, options, value, onChange) {
  const items = options.map(([key, text]) => h("option", { value: key, selected: key === value }, shortName(text, 60)));
  return h("label", { class: "choice" }, h("span", {}, label), h("select", { onchange: (event) => onChange(event.target.value) }, items));
}

/** The bar with the slider; `set(steps, step, text)` after each change, `onStep(step)` when it is moved. */
export function epochBar(onStep, ...beside) {
  let known = [];
  const slider = h("input", { type: "range", id: "epoch", min: 0, max: 0, step: 1, value: 0, oninput: () => onStep(known[Number(slider.value)] ?? null) });
  const text = h("output", { for: "epoch", class: "epoch-text" });
  const node = h("div", { class: "epoch-bar" }, h("label", { for: "epoch" }, "Epoch"), slider, text, beside);
  return {
    node,
    set(steps, step, said) {
      known = steps;
      slider.max = String(Math.max(0, steps.length - 1));
      slider.value = String(Math.max(0, steps.indexOf(step)));
      slider.disabled = steps.length < 2;
      slider.setAttribute("aria-valuetext", said);
      text.textContent = said;
    },
  };
}

/** The run filter's field; `set(pattern, fault)` writes into it. */
export function filterField(filterName, onPattern) {
  const fault = h("p", { class: "fault", role: "alert", id: "filter-fault" });
  const field = h("input", { type: "search", id: "run-filter", placeholder: "e.g. run1|lira", spellcheck: "false", autocomplete: "off", "aria-describedby": "filter-fault", oninput: () => onPattern(field.value) });
  const about = filterName ? h("p", { class: "quiet" }, `Follows ${filterName}.`) : null;
  return {
    node: h("div", { class: "filter" }, h("label", { for: "run-filter" }, "Filter runs (regular expression)"), field, fault, about),
    set(pattern, reason) {
      if (field.value !== pattern) field.value = pattern;
      fault.textContent = reason ? `Not a regular expression; the last good one stays. ${reason}` : "";
      field.setAttribute("aria-invalid", String(Boolean(reason)));
    },
  };
}

/**
 * Runs × attacks as checkboxes; heads check a whole row or column.
 *
 * @param toggle called with attack ids and whether they are to be shown.
 */
export function seriesGrid({ overview, regex, chosen, toggle }) {
  const through = filteredRuns(overview, regex);
  const known = attackNames(overview);
  const names = known.filter((name) => through.some((entry) => entry.attacks.some((attack) => attack.attack === name)));
  if (!names.length) return h("p", { class: "nothing" }, "The filter lets no run through.");
  const idsOf = (name) => through.flatMap((entry) => entry.attacks.filter((attack) => attack.attack === name).map((attack) => attack.id));
  const heads = names.map((name) => h("th", { scope: "col" }, columnHead(name, colourAt(known.indexOf(name)), checkbox(idsOf(name), chosen, toggle, `attack ${shortName(name)} in all runs`))));
  const rows = through.map(({ run, attacks }) => {
    const own = checkbox(attacks.map((attack) => attack.id), chosen, toggle, `all attacks of run ${shortName(run.id)}`);
    const cells = names.map((name) => h("td", {}, attacks.filter((attack) => attack.attack === name).map((attack) => cellBox(attack, run, chosen, toggle, colourAt(known.indexOf(name))))));
    return h("tr", {}, h("th", { scope: "row" }, h("label", { class: "row-head" }, own, nameText(run.id))), cells);
  });
  return h("table", { class: "grid-of-series" }, h("thead", {}, h("tr", {}, h("td", {}), heads)), h("tbody", {}, rows));
}

function columnHead(name, colour, box) {
  const mark = svg("svg", { viewBox: "0 0 10 10", class: "swatch", "aria-hidden": "true" }, svg("rect", { width: 10, height: 10, rx: 2, fill: colour }));
  return h("label", { class: "column-head" }, nameText(name), mark, box);
}

function cellBox(attack, run, chosen, toggle, colour) {
  const box = checkbox([attack.id], chosen, toggle, `${shortName(run.id)}, ${shortName(attack.attack)}`);
  box.dataset.attack = attack.id;
  box.style.accentColor = colour;
  return box;
}

function checkbox(ids, chosen, toggle, label) {
  const box = h("input", { type: "checkbox", "aria-label": label, onchange: () => toggle(ids, box.checked) });
  const count = ids.filter((id) => chosen.has(id)).length;
  box.checked = count > 0 && count === ids.length;
  box.indeterminate = count > 0 && count < ids.length;
  return box;
}

/** Draws anew within an element and gives the focus back to what had it, by its place. */
export function keepingFocus(container, ...children) {
  const reachable = () => [...container.querySelectorAll("a, button, input, select, summary, [tabindex]")];
  const at = container.contains(document.activeElement) ? reachable().indexOf(document.activeElement) : -1;
  replaceContent(container, ...children);
  if (at >= 0) reachable()[at]?.focus({ preventScroll: true });
}
