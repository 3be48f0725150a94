/**
 * Long tables: folded at first; unfolded, they scroll in their place.
 */
import { h } from "./dom.js";
import { countText } from "./figures.js";

/** A place for a table that scrolls by itself, and stays where it was over redraws. */
export function tableRegion(table, label, memory) {
  const node = h("div", { class: `table-region ${memory.all ? "table-unfolded" : ""}`, role: "region", "aria-label": label, tabindex: 0 }, table);
  node.addEventListener("scroll", () => {
    memory.scrolled = [node.scrollLeft, node.scrollTop];
  });
  if (memory.scrolled) window.requestAnimationFrame(() => node.scrollTo(...memory.scrolled));
  return node;
}

/** A button that shows all rows or the first few, null if there are no more; what was chosen stays in `memory.all`. */
export function foldButton(all, atFirst, memory, draw) {
  if (all <= atFirst) return null;
  const turn = () => {
    memory.all = !memory.all;
    draw();
  };
  const text = memory.all ? `Show the first ${countText(atFirst)}` : `Show all ${countText(all)}`;
  return h("button", { type: "button", class: "table-more", "aria-expanded": String(Boolean(memory.all)), onclick: turn }, text);
}
