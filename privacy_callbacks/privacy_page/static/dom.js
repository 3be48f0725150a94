/**
 * Elements from plain descriptions. Text becomes text nodes, never markup, whatever it holds.
 */

const SVG_NAMESPACE = "http://www.w3.org/2000/svg";

/** An HTML element: `h("p", {class: "note", onclick: f}, "text", child, [more], null)`; functions become listeners. */
export function h(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** An SVG element, likewise. */
export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG_NAMESPACE, tag), attributes, children);
}

/** Puts children in the place of whatever an element holds. */
export function replaceContent(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** A title element: browsers show it as a tooltip, screen readers read it. */
export function svgTitle(text) {
  return svg("title", {}, text);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.replace(/^on/, ""), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}
