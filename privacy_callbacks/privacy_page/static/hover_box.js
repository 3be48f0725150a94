/**
 * A box of figures beside the pointer.
 */
import { h, replaceContent, svg } from "./dom.js";

/** A hidden box within `container`; `show(event, children)` puts it beside the pointer, `hide()` takes it away. */
export function hoverBox(container) {
  const node = h("div", { class: "hover", hidden: true });
  container.classList.add("hover-place");
  container.append(node);
  return {
    show(event, ...children) {
      replaceContent(node, ...children);
      node.hidden = false;
      const place = container.getBoundingClientRect();
      const x = event.clientX - place.left;
      const beyond = x + 18 + node.offsetWidth > place.width;
      node.style.left = `${Math.max(0, beyond ? x - 18 - node.offsetWidth : x + 18)}px`;
      node.style.top = `${Math.max(0, event.clientY - place.top - 10)}px`;
    },
    hide() {
      node.hidden = true;
    },
  };
}

/** A line of such a box: a mark in the series' colour, its name, its figures. */
export function hoverLine(one, text) {
  const mark = svg("svg", { viewBox: "0 0 22 10", class: "mark", "aria-hidden": "true" });
  mark.append(svg("line", { x1: 1, x2: 21, y1: 5, y2: 5, stroke: one.colour, "stroke-width": 2.5, "stroke-dasharray": one.dash ?? null }));
  return h("div", { class: "hover-line" }, mark, h("bdi", { class: "name" }, one.label), h("span", { class: "figure" }, text));
}
