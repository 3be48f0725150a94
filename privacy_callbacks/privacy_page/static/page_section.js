/**
 * A section of the page: title, choices, downloads, and a body that is drawn again and again.
 */
import { h } from "./dom.js";
import { keepingFocus } from "./controls.js";
import { csvText, saveFile } from "./download.js";
import { safeFileName } from "./names.js";
import { svgFileText } from "./svg_file.js";

/**
 * @param spec `{id, title, wide, tools(page), view(page), rows(page) | null, picture: boolean, isShown(page)}`
 * @returns `{id, node, drawTools(), draw(), view}`; a view that fails says so in its place.
 */
export function pageSection(spec, page) {
  const tools = h("div", { class: "tools" });
  const body = h("div", { class: "body" });
  const node = h("section", { class: `part ${spec.wide ? "wide" : ""}`, id: `part-${spec.id}`, "aria-labelledby": `title-${spec.id}` });
  node.append(h("header", { class: "part-head" }, h("h2", { id: `title-${spec.id}` }, spec.title), tools), body);
  const section = {
    id: spec.id,
    atStep: spec.atStep === true,
    node,
    view: null,
    drawTools: () => keepingFocus(tools, spec.tools(page), downloads(spec, page, section)),
    draw() {
      node.hidden = !spec.isShown(page);
      if (node.hidden) return;
      try {
        section.view = spec.view(page);
      } catch (reason) {
        section.view = h("p", { class: "fault", role: "alert" }, `This part could not be drawn: ${String(reason?.message ?? reason).slice(0, 300)}`);
      }
      // What is on its way must not move what is read beneath it.
      body.style.minHeight = spec.atStep && page.isWaiting() ? `${body.offsetHeight}px` : "";
      keepingFocus(body, section.view);
    },
  };
  return section;
}

/** A button that saves a file. */
export function saveButton(text, label, save) {
  return h("button", { type: "button", class: "save", title: label, "aria-label": label, onclick: save }, text);
}

function downloads(spec, page, section) {
  const named = (ending) => `${safeFileName("privacy", spec.id, page.fileLabel(), spec.atStep ? page.stepLabel() : "")}.${ending}`;
  const picture = () => saveFile(named("svg"), "image/svg+xml", svgFileText(section.view));
  const table = () => saveFile(named("csv"), "text/csv", csvText(spec.rows(page)));
  return h(
    "span",
    { class: "downloads" },
    spec.picture ? saveButton("SVG", `Save the picture of “${spec.title}” as SVG`, picture) : null,
    spec.rows ? saveButton("CSV", `Save the numbers of “${spec.title}” as CSV`, table) : null,
  );
}
