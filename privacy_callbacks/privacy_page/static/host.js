/**
 * What TensorBoard around the page says: its colours, its run filter, that it reloaded. Every word of it is optional: the page
 * also stands alone, or in a frame of somebody else, who may not be looked at.
 */

const LOOK_EVERY = 400; // milliseconds; addresses change without an event

/** TensorBoard as a host, or whatever stands in its place. */
export function tensorboardHost() {
  const outer = sameOriginParent();
  return {
    followDark: (apply) => (outer ? followBodyClass(outer, apply) : followScheme(apply)),
    followFilter: (apply) => (outer ? followAddress(outer, apply) : apply("")),
    followReload: (apply) => (outer ? listenForReload(apply) : null),
    filterName: outer ? "TensorBoard's run filter" : null,
  };
}

/** Follows the colour scheme that the user prefers. */
export function followScheme(apply) {
  const query = window.matchMedia("(prefers-color-scheme: dark)");
  query.addEventListener("change", () => apply(query.matches));
  apply(query.matches);
}

/** The run filter in an address: that of the time series page, else that of the classic pages. */
export function filterInAddress(search, hash) {
  const asked = new URLSearchParams(search);
  const classic = new URLSearchParams(hash.replace(/^#/, "").split("&").slice(1).join("&"));
  return asked.get("runFilter") || classic.get("regexInput") || asked.get("regexInput") || "";
}

function sameOriginParent() {
  try {
    if (window.parent === window || !window.parent.document.body) return null;
    return window.parent;
  } catch {
    return null;
  }
}

function followBodyClass(outer, apply) {
  const look = () => apply(outer.document.body.classList.contains("dark-mode"));
  try {
    new MutationObserver(look).observe(outer.document.body, { attributes: true, attributeFilter: ["class"] });
    look();
  } catch {
    followScheme(apply);
  }
}

function followAddress(outer, apply) {
  let known = null;
  const look = () => {
    try {
      const said = filterInAddress(outer.location.search, outer.location.hash);
      if (said === known) return;
      known = said;
      apply(said);
    } catch {
      if (known === null) apply((known = ""));
    }
  };
  look();
  window.setInterval(look, LOOK_EVERY);
}

function listenForReload(apply) {
  try {
    const channel = new MessageChannel();
    channel.port1.onmessage = (event) => {
      try {
        const { type, id, isReply } = JSON.parse(event.data);
        if (isReply) return;
        channel.port1.postMessage(JSON.stringify({ type, id, payload: null, error: null, isReply: true }));
        if (type === "experimental.DataReloaded" || type === "experimental.RunsChanged") apply();
      } catch {
        // Not a message of TensorBoard's.
      }
    };
    window.parent.postMessage("experimental.bootstrap", "*", [channel.port2]);
  } catch {
    // A host that takes no messages: the page shows what it found first.
  }
}
