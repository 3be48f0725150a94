"""A page whose source a test holds, and overviews to show on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from browser import Browser

# Shows an overview. `held` is the test's hand on the page: `overview` and `slow` (milliseconds) decide what is answered, and
# when; `asked` lists the questions for details; `reload()` and `dark(on)` are what the host would say.
SHOWN = """async (overview) => {
  const { showPage } = await import("/page.js");
  const held = (window.held = { overview, asked: [], slow: 0 });
  const wait = () => new Promise((done) => setTimeout(done, held.slow));
  const sizes = { num_members: 2000, num_nonmembers: 2000 };
  const roc = { fpr: [0, 0.01, 1], tpr: [0, 0.1, 1], low: null, high: null, level: 0.95, ...sizes };
  const item = (step) => ({ step, roc, scores: null, slices: [], slices_left_out: 0, report: { step } });
  const source = {
    partial: false,
    overview: async () => held.overview,
    details: async (id, name, from, to) => {
      held.asked.push([id, from, to]);
      await wait();
      const steps = held.overview.runs.flatMap((run) => run.attacks).find((attack) => attack.id === id).steps;
      return { details: steps.filter((step) => step >= from && step <= to).map(item), more: false };
    },
    records: async () => {
      await wait();
      const rows = Array.from({ length: 12 }, (_, row) => ({ row, id: `record-${row}` }));
      const { steps } = held.overview.runs[0].attacks[0];
      return { tables: steps.map((step) => ({ step, columns: ["id"], rows })), pictures: {}, problems: [] };
    },
  };
  const host = {
    followDark: (apply) => (held.dark = apply),
    followFilter: (apply) => apply(""),
    followReload: (apply) => (held.reload = apply),
    filterName: null,
  };
  const root = document.createElement("div");
  document.body.replaceChildren(root);
  await showPage(root, source, host);
}"""


@contextmanager
def held_pages(opened: Browser, address: str) -> Iterator[Callable[[dict[str, Any]], Any]]:
    """Yields what shows an overview on a page. At the end nobody has complained and no script of a name has run."""
    with opened.page(1280, 900, accept_downloads=True) as watched:

        def show(overview: dict[str, Any]) -> Any:
            page = watched.open(address)
            page.evaluate(SHOWN, overview)
            page.wait_for_selector("#part-roc .view")
            page.wait_for_function("!document.querySelector('#part-roc').innerText.includes('loading')")
            return page

        yield show
        assert watched.page.evaluate("window.hacked") is None
        watched.assert_clean(address)


def attack_of(run: str, name: str, steps: Iterable[int], headline: bool = False) -> dict[str, Any]:
    """An overview's attack; its AUC is 0.5 and a thousandth a step, give or take 0.02."""
    steps = list(steps)
    value = [0.5 + step / 1_000 for step in steps]
    auc = {"value": value, "low": [v - 0.02 for v in value], "high": [v + 0.02 for v in value], "level": 0.95}
    count = len(steps)
    return {
        "id": f"{run}/{name}",
        "attack": name,
        "headline": headline,
        "steps": steps,
        "num_members": [2_000] * count,
        "num_nonmembers": [2_000] * count,
        "metrics": {"auc": auc},
        "p_value": [None] * count,
        "failed": [False] * count,
        "words": [f"{name} at step {step}." for step in steps],
        "void": None,
        "warnings": [],
        "notes": [],
        "refusals": {},
    }


def run_of(name: str, steps: Iterable[int], attacks: Sequence[str] = ("loss", "lira"), **more: Any) -> dict[str, Any]:
    """An overview's run; `more` replaces parts of it."""
    found = [attack_of(name, attack, steps, headline=place == 0) for place, attack in enumerate(attacks)]
    return {"id": name, "run": name, "name": "mia", "training": None, "verdict": None, "has_records": False} | {
        "attacks": found,
        **more,
    }


def overview_of(*runs: dict[str, Any]) -> dict[str, Any]:
    """What the page is answered first."""
    return {"schema_version": 1, "version": "1", "runs": list(runs), "ranges": [], "problems": []}
