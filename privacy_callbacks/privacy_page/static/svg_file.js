/**
 * A view as one picture that stands alone: its plots with their colours as shown, its texts where they stand.
 */
import { svg } from "./dom.js";

const KEPT = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-opacity", "stroke-dasharray", "stroke-linejoin", "font-size", "font-weight", "text-anchor", "opacity", "paint-order"];
const FONT = "Roboto, system-ui, Helvetica, Arial, sans-serif";
const CONTROLS = "button, select, input, textarea";
const NOT_DRAWN = `${CONTROLS}, .hover, .cursor, [hidden]`;
// XML has no way to write these, not even escaped.
const NO_XML = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g;
const AIR = 12;

/** The picture as text of an SVG file. Controls, and what is folded away, are not in it. */
export function svgFileText(view) {
  const place = view.getBoundingClientRect();
  const [width, height] = [place.width + 2 * AIR, place.height + 2 * AIR].map(Math.ceil);
  const paper = getComputedStyle(document.documentElement).getPropertyValue("--page").trim() || "#ffffff";
  const root = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "font-family": FONT });
  root.append(svg("rect", { width, height, fill: paper }));
  for (const plot of view.querySelectorAll("svg")) if (isDrawn(plot)) root.append(plotCopy(plot, place));
  for (const image of view.querySelectorAll("img")) if (isDrawn(image)) root.append(imageCopy(image, place));
  root.append(...textCopies(view, place));
  const text = new XMLSerializer().serializeToString(root);
  return `<?xml version="1.0" encoding="UTF-8"?>\n${text.replace(NO_XML, "")}\n`;
}

function isDrawn(element) {
  return !element.closest(NOT_DRAWN) && element.getClientRects().length > 0;
}

function boxWithin(rect, place) {
  return { x: tenth(rect.left - place.left + AIR), y: tenth(rect.top - place.top + AIR), width: tenth(rect.width), height: tenth(rect.height) };
}

function plotCopy(plot, place) {
  const copy = plot.cloneNode(true);
  const [from, to] = [[plot, ...plot.querySelectorAll("*")], [copy, ...copy.querySelectorAll("*")]];
  const gone = [];
  from.forEach((element, index) => {
    const shown = getComputedStyle(element);
    if (shown.display === "none" && !["title", "clipPath", "defs", "rect"].includes(element.tagName)) gone.push(to[index]);
    if (element.matches(NOT_DRAWN)) gone.push(to[index]);
    for (const name of element.closest("title, clipPath") ? [] : KEPT) to[index].setAttribute(name, shown.getPropertyValue(name));
    to[index].removeAttribute("class");
    to[index].removeAttribute("tabindex");
  });
  for (const element of gone) element.remove();
  for (const [name, value] of Object.entries(boxWithin(plot.getBoundingClientRect(), place))) copy.setAttribute(name, value);
  return copy;
}

function imageCopy(image, place) {
  return svg("image", { ...boxWithin(image.getBoundingClientRect(), place), href: image.getAttribute("src") });
}

function textCopies(view, place) {
  const walker = document.createTreeWalker(view, NodeFilter.SHOW_TEXT);
  const found = [];
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const holder = node.parentElement;
    if (!node.data.trim() || holder.closest("svg, title, summary") || !isDrawn(holder)) continue;
    // What a control is called says nothing without it.
    if (holder.closest("label")?.querySelector(CONTROLS)) continue;
    const shown = getComputedStyle(holder);
    if (shown.visibility === "hidden") continue;
    const style = { fill: shown.color, "font-size": shown.fontSize, "font-weight": shown.fontWeight };
    for (const line of linesOf(node)) {
      const y = tenth(line.rect.top - place.top + AIR + line.rect.height * 0.78);
      found.push(svg("text", { x: tenth(line.rect.left - place.left + AIR), y, ...style }, line.text));
    }
  }
  return found;
}

/** The lines in which the browser shows a text: words that stand at one height. */
function linesOf(node) {
  const lines = [];
  for (const word of node.data.slice(0, 5000).matchAll(/\S+\s*/g)) {
    const range = document.createRange();
    range.setStart(node, word.index);
    range.setEnd(node, word.index + word[0].length);
    const rect = range.getClientRects()[0];
    if (!rect) continue;
    const last = lines.at(-1);
    if (last && Math.abs(last.rect.top - rect.top) < 2) last.text += word[0];
    else lines.push({ rect, text: word[0] });
  }
  return lines;
}

function tenth(value) {
  return Math.round(value * 10) / 10;
}
