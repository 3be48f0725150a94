/**
 * The door for TensorBoard: it imports this module into a frame and calls `render`.
 */
import { h } from "./dom.js";
import { httpSource } from "./http_source.js";
import { showPage } from "./page.js";
import { tensorboardHost } from "./host.js";

/** Shows the page in TensorBoard's frame. */
export async function render() {
  document.documentElement.lang = "en";
  const sheets = ["./page.css", "./views.css"].map((href) => h("link", { rel: "stylesheet", href }));
  const root = h("div", { id: "privacy" });
  // Without its style the page would flash; a sheet that does not come must not keep it away.
  const styled = Promise.all(sheets.map((sheet) => new Promise((done) => ["load", "error"].forEach((name) => sheet.addEventListener(name, done)))));
  document.head.append(...sheets);
  const source = httpSource();
  const asked = source.overview();
  asked.catch(() => null);
  let first = asked;
  await styled;
  document.body.append(root);
  // The overview was asked for while the style was on its way; later it is asked for again.
  const overview = () => {
    const answer = first ?? source.overview();
    first = null;
    return answer;
  };
  await showPage(root, { ...source, overview }, tensorboardHost());
}
