"""Views of the page by themselves in a browser, and what they are shown: an audit with an answer for every view."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from browser import Browser, open_browser
from page.view_server import serve_page_files

HOSTILE = "<img src=x onerror='window.hacked=1'><script>window.hacked=1</script>" + "‮x" * 2_000
PNG = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)


@contextmanager
def open_pages() -> Iterator[tuple[Browser, str]]:
    """A browser, and the address of an empty page beside the page's files."""
    with serve_page_files() as address, open_browser() as opened:
        yield opened, address


@contextmanager
def shown_views(chromium: tuple[Browser, str]) -> Iterator[Callable[..., Any]]:
    """A tab for views: `show(module, function, argument)` puts one in; `show.rows` gives what a function returns.

    At its end no script of hostile names has run, and nobody has complained.
    """
    opened, address = chromium
    with opened.page(900, 900) as watched:
        page = watched.open(address)

        def show(module: str, function: str, argument: Any) -> Any:
            page.evaluate(
                """async ([module, name, argument]) => {
                    const found = await import(`/${module}.js`);
                    document.body.replaceChildren(found[name](argument));
                }""",
                [module, function, argument],
            )
            return page

        show.rows = lambda module, function, argument: page.evaluate(  # type: ignore[attr-defined]
            "async ([module, name, argument]) => (await import(`/${module}.js`))[name](argument)",
            [module, function, argument],
        )
        yield show
        assert page.evaluate("window.hacked") is None
        watched.assert_clean(address)


def at_pixel(page: Any, x: float, y: float, width: int = 560, height: int = 420) -> None:
    """Moves the pointer to a place of the first picture, given in the picture's own pixels."""
    box = page.locator("svg.plot").first.bounding_box()
    page.mouse.move(box["x"] + x / width * box["width"], box["y"] + y / height * box["height"])


def estimate(value: Any, low: Any = None, high: Any = None) -> dict[str, Any]:
    """A number with its interval."""
    return {"value": value, "low": low, "high": high, "level": 0.95}


ROC = {
    "fpr": [0, 0.001, 0.01, 0.1, 1],
    "tpr": [0, 0.02, 0.1, 0.4, 1],
    "low": [None, 0.01, 0.08, 0.3, 1],
    "high": [None, 0.05, 0.13, 0.5, 1],
    "level": 0.95,
    "num_members": 2_000,
    "num_nonmembers": 2_000,
}
SCORES = {
    "edges": [0, 1, 2],
    "members": [10, 30],
    "nonmembers": [60, 20],
    "below": [0, 20],
    "above": [60, 0],
    "ranks": False,
}
SLICES = [
    {
        "slice": "wrong",
        "num_members": 50,
        "num_nonmembers": 60,
        "auc": estimate(0.8, 0.7, 0.9),
        "p_value": 1e-9,
        "holm_p_value": 1e-8,
        "reason": None,
    },
    {
        "slice": HOSTILE,
        "num_members": 1_500,
        "num_nonmembers": 9,
        "auc": estimate(0.55, 0.45, 0.65),
        "p_value": 0.3,
        "holm_p_value": 0.6,
        "reason": None,
    },
    {
        "slice": "tiny",
        "num_members": 1,
        "num_nonmembers": 0,
        "auc": None,
        "p_value": None,
        "holm_p_value": None,
        "reason": "slice too small: <b>0</b>",
    },
]


def one(label: str = "lira", details: Any = (), **more: Any) -> dict[str, Any]:
    """A series as views get it, at step 4."""
    found = {"step": 4, "roc": ROC, "scores": SCORES, "slices": SLICES, "slices_left_out": 3}
    found["report"] = {"tpr_at_fpr_1e-2": estimate(0.1, 0.08, 0.13), "failed": False, "warnings": []}
    run = {"id": "run1/mia", "run": "run1", "name": "mia", "has_records": True, "attacks": []}
    entry = {"key": label, "run": run, "attack": {"id": label, "attack": label}, "label": label, "colour": "#D55E00"}
    return {**entry, "dash": None, "loading": False, "details": {**found, **dict(details)}, **more}


TABLE = {
    "step": 3,
    "columns": ["id", "label", "lira", "member_probability", "risk_rank"],
    "rows": [
        {"row": 7, "id": HOSTILE, "label": 3, "lira": 2.5, "member_probability": 0.975, "risk_rank": 1},
        {"row": 9, "id": "b", "label": 1, "lira": "Infinity", "member_probability": None, "risk_rank": 2},
    ],
}
RECORDS = {
    "tables": [{**TABLE, "step": 1, "rows": TABLE["rows"][1:]}, TABLE],
    "pictures": {
        "7": {"url": PNG, "width": 4, "height": 2},
        "9": {"url": "javascript:alert(1)", "width": 1, "height": 1},
    },
}
RUN = {"id": "run1/mia", "has_records": True}
