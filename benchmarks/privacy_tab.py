"""How soon the Privacy tab stands, and how soon it follows its slider. `make bench`.

A real TensorBoard, with each of its loaders, serves three runs of five attacks with 100 audits each (or as many as the
first argument says) to a real Chromium without a window. Measured by the browser's own clock:

* first paint: from the start of the tab's frame to the frame on the screen that holds the first chart; for the first look
  after TensorBoard was started, when nothing of the logs has been decoded, and for later looks;
* the slider: from its input event to the first frame after the ROC curves are those of the new epoch, all series chosen
  and their curves loaded; and once at first sight, for an epoch whose curves must still be fetched.

Medians and the worst of several. The limits, 1 s and 100 ms, are the product's own.
"""

import math
import os
import statistics
import sys
import tempfile
from pathlib import Path

# The browser, the server and the logs are those of the tests.
sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from browser import open_browser, serve_tensorboard
from page.privacy_logs import make_demo_logs

STARTS, LOOKS, MOVES = 5, 3, 40
FIRST_PAINT_LIMIT, SLIDER_LIMIT = 1_000, 100

# Runs in every frame before its own scripts.
WATCH = """
const shown = (then) => requestAnimationFrame(() => {
  const channel = new MessageChannel();
  channel.port1.onmessage = () => then(performance.now());  // after the frame, not at its beginning
  channel.port2.postMessage(0);
});
const watcher = new MutationObserver(() => {
  if (document.documentElement?.dataset.painted === undefined || window.paintedAt !== undefined) return;
  window.paintedAt = NaN;
  shown((at) => (window.paintedAt = at));
});
watcher.observe(document, { attributes: true, subtree: true, attributeFilter: ["data-painted"] });
const curves = () => [...document.querySelectorAll("#part-roc path")].map((path) => path.getAttribute("d"));
window.moveTo = (place) => new Promise((done) => {
  const slider = document.querySelector("input[type=range]#epoch");
  const before = curves();
  const look = () => {
    const now = curves();
    // While an epoch's curves are being fetched there are fewer.
    if (now.length < before.length || now.join() === before.join()) requestAnimationFrame(look);
    else shown((at) => done(at - start));
  };
  const start = performance.now();
  slider.value = String(place);
  slider.dispatchEvent(new Event("input", { bubbles: true }));
  requestAnimationFrame(look);
});
"""


def look(chromium, address):
    """Opens the tab; (milliseconds to the first chart, the page, the tab's frame)."""
    chromium.page.context.add_init_script(WATCH)
    page = chromium.open(f"{address}#privacy")
    frame = page.wait_for_selector("iframe").content_frame()
    frame.wait_for_function("Number.isFinite(window.paintedAt)", timeout=60_000)
    return frame.evaluate("window.paintedAt"), page, frame


def moves(page, frame):
    """Milliseconds of the first move, and of many once everything is loaded."""
    frame.get_by_role("button", name="all", exact=True).click()
    last = int(frame.evaluate("Number(document.querySelector('#epoch').max)"))
    unseen = frame.evaluate("moveTo(1)")
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(500)
    # Far apart and near, in both directions; 37 has no divisor in common with the usual numbers of audits.
    places = [(37 * number) % (last + 1) for number in range(1, MOVES + 1)]
    found = [frame.evaluate(f"moveTo({place})") for place in places if place > 1]
    return unseen, found


def measured(logs, fast):
    """(first looks, later looks, first moves, later moves) in milliseconds, with one loader."""
    first, later, unseen, slid = [], [], [], []
    with open_browser() as browser:
        for _ in range(STARTS):
            with serve_tensorboard(logs, fast=fast) as address:
                for number in range(LOOKS):
                    with browser.page() as chromium:
                        milliseconds, page, frame = look(chromium, address)
                        (later if number else first).append(milliseconds)
                        if number == LOOKS - 1:
                            once, many = moves(page, frame)
                            unseen.append(once)
                            slid += many
                        chromium.assert_clean(address)
    return first, later, unseen, slid


def row(name, what, found, limit):
    """Prints the median, what nineteen in twenty do not exceed, and the worst beside the limit."""
    worst, most = max(found), sorted(found)[math.ceil(0.95 * len(found)) - 1]
    verdict = "" if limit is None else f"{limit:>8,} ms {'ok' if worst <= limit else 'OVER'}"
    print(f"{name:10}{what:32}{len(found):4}{statistics.median(found):8.0f} ms{most:8.0f} ms{worst:8.0f} ms{verdict}")


def main():
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    with tempfile.TemporaryDirectory() as folder:
        logs = make_demo_logs(folder, steps=steps)
        size = sum(path.stat().st_size for path in logs.rglob("*") if path.is_file()) / 1e6
        # A clock is honest on a quiet machine only: server, browser and whatever else runs share the cores.
        load = f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores before"
        print(f"3 runs x 5 attacks x {steps} audits, {size:.1f} MB of logs; {load}\n")
        print(f"{'loader':10}{'':32}{'n':>4}{'median':>11}{'95 %':>11}{'worst':>11}{'limit':>11}")
        for name, fast in (("RustBoard", True), ("Python", False)):
            first, later, unseen, slid = measured(logs, fast)
            row(name, "first paint, first look", first, FIRST_PAINT_LIMIT)
            row(name, "first paint, later looks", later, FIRST_PAINT_LIMIT)
            row(name, "slider", slid, SLIDER_LIMIT)
            row(name, "slider, curves not yet fetched", unseen, None)


if __name__ == "__main__":
    main()
