/**
 * The door of the one-file page: its data stand beside the script.
 */
import { h } from "./dom.js";
import { embeddedSource } from "./embedded_source.js";
import { followScheme } from "./host.js";
import { showPage } from "./page.js";

/** Shows the page from the data in its own file. */
export function startOneFile() {
  const root = h("div", { id: "privacy" });
  document.body.append(root);
  const held = document.getElementById("privacy-data");
  const data = JSON.parse(held?.textContent || "{}");
  const host = { followDark: followScheme, followFilter: (apply) => apply(""), followReload: () => null, filterName: null };
  return showPage(root, embeddedSource(data), { ...host, title: data.title, written: data.written, thinned: data.thinned });
}
