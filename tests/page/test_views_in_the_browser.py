"""Each view says something sensible of nothing at all, shows hostile text as text, and keeps to its place."""

import pytest
from page.view_cases import HOSTILE, RECORDS, ROC, RUN, SCORES, SLICES, estimate, one, open_pages, shown_views

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def chromium():
    with open_pages() as opened:
        yield opened


@pytest.fixture
def view(chromium):
    """Shows a view on an empty page and leaves it there; returns playwright's page."""
    with shown_views(chromium) as show:
        yield show


EMPTY = {"edges": [], "members": [], "nonmembers": [], "below": [0, 0], "above": [3, 2]}
STRANGE = {
    "no series": [],
    "hostile label": [one(HOSTILE)],
    "not loaded": [one(details={}, loading=True) | {"details": None}],
    "no audit": [one() | {"details": None}],
    "failed": [
        one(details={"roc": None, "scores": None, "slices": [], "report": {"failed": True, "warnings": [HOSTILE]}})
    ],
    "one record a side": [
        one(
            details={
                "roc": {**ROC, "fpr": [0, 1], "tpr": [0, 1], "low": None, "high": None, "num_nonmembers": 1},
                "scores": {"edges": [0, 1], "members": [1], "nonmembers": [1], "below": [0, 0], "above": [0, 0]},
            }
        )
    ],
    "vertical": [
        one(
            details={
                "roc": {**ROC, "fpr": [0, 0, 1], "tpr": [0, 1, 1], "low": [None, None, 1], "high": [None, None, 1]}
            }
        )
    ],
    "words for numbers": [
        one(
            details={
                "scores": {**SCORES, "edges": ["-Infinity", 0, "NaN"]},
                "slices": [{**SLICES[0], "auc": estimate("NaN", "-Infinity", "Infinity")}],
            }
        )
    ],
    "nothing finite": [one(details={"scores": EMPTY})],
    "fifteen": [one(f"attack {k}") for k in range(15)],
}


@pytest.mark.parametrize("case", STRANGE)
@pytest.mark.parametrize("name", ["roc", "scores", "slices"])
def test_a_view_of_anything_says_something_and_breaks_nothing(view, name, case):
    page = view(f"{name}_view", f"{name}View", {"series": STRANGE[case], "step": 4, "scale": "log"})
    assert page.inner_text("body").strip()
    assert "NaN" not in page.evaluate(
        "[...document.querySelectorAll('path,circle,line,rect')].map((e) => e.outerHTML.replace(/title>.*/, '')).join()"
    )
    rows = view.rows(f"{name}_view", f"{name}Rows", {"series": STRANGE[case], "step": 4})
    assert all(len(row) == len(rows["columns"]) for row in rows["rows"])


@pytest.mark.parametrize(
    ("name", "argument"),
    [
        ("ranges", {"ranges": []}),
        ("ranges", {"ranges": [{"id": HOSTILE, "label": HOSTILE, "sizes": [], "curves": []}]}),
        (
            "ranges",
            {
                "ranges": [
                    {
                        "id": "r",
                        "label": "r",
                        "sizes": [1],
                        "curves": [{"name": HOSTILE, "metrics": {}, "reasons": [HOSTILE]}],
                    }
                ],
                "metric": "auc",
            },
        ),
        ("records", {"run": None, "records": None, "step": None}),
        ("records", {"run": {"id": HOSTILE, "has_records": False}, "records": None, "step": 0}),
        ("records", {"run": {"id": "r", "has_records": True}, "records": None, "step": 0}),
        ("records", {"run": {"id": "r", "has_records": True}, "records": {"tables": [], "pictures": {}}, "step": 0}),
        (
            "records",
            {
                "run": {"id": "r", "has_records": True},
                "records": {"tables": [{"step": 3, "columns": [HOSTILE], "rows": [{HOSTILE: None}]}], "pictures": {}},
                "step": 9,
            },
        ),
    ],
)
def test_ranges_and_records_of_anything_likewise(view, name, argument):
    page = view(f"{name}_view", f"{name}View", argument)
    assert page.inner_text("body").strip()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"loading": True}, "loading …"),
        ({"attack": {"steps": [0, 2], "failed": [False, False]}}, "not audited after epoch 5"),
        (
            {
                "attack": {
                    "steps": [4],
                    "failed": [True],
                    "warnings": [
                        {"text": "of another time", "first": 1, "last": 3},
                        {"text": "no <b>classes</b>", "first": 4, "last": 4},
                    ],
                }
            },
            "failed: no <b>classes</b>",
        ),
        ({"attack": {"steps": [4], "failed": [False]}}, "was not kept at this audit"),
        ({"details": {"roc": None, "scores": None, "report": {"failed": True, "warnings": ["few"]}}}, "failed: few"),
        ({"details": {"roc": None, "scores": None, "report": {"failed": False}}}, "was not kept at this audit"),
    ],
    ids=["loading", "no audit", "failed", "not kept", "failed report", "no curve"],
)
@pytest.mark.parametrize("name", ["roc", "scores"])
def test_what_is_absent_is_named_with_its_reason(view, name, changed, words):
    series = [{**one("lira"), "details": None, **changed}, one("loss")]
    page = view(f"{name}_view", f"{name}View", {"series": series, "step": 4, "scale": "log"})
    told = page.inner_text("body")
    assert words in told
    assert "lira" in told


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [560, 900])
def test_no_view_is_wider_than_its_place(chromium, width, scheme):
    opened, address = chromium
    series = [one(HOSTILE), *(one(f"attack {k}") for k in range(3)), one("absent") | {"details": None}]
    argument = {"series": series, "step": 4, "scale": "log", "run": RUN, "records": RECORDS, "memory": {}}
    with opened.page(width, 900, scheme) as watched:
        page = watched.open(address)
        for name in ("roc", "scores", "slices", "records"):
            page.evaluate(
                """async ([name, argument]) => {
                    const found = await import(`/${name}_view.js`);
                    document.documentElement.classList.toggle("dark", matchMedia("(prefers-color-scheme: dark)").matches);
                    document.body.replaceChildren(found[`${name}View`](argument));
                }""",
                [name, argument],
            )
            assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        assert page.evaluate("window.hacked") is None


@pytest.mark.parametrize(("step", "epoch"), [(-1, 0), (0, 1), (4, 5)])
@pytest.mark.parametrize("name", ["roc", "scores", "slices", "records"])
def test_saved_tables_count_epochs_as_people_do(view, name, step, epoch):
    """0 = before training, as on the slider and in the names of files."""
    records = {"tables": [{**RECORDS["tables"][0], "step": step}]}
    argument = {"series": [one(details={"step": step})], "step": step, "run": RUN, "records": records}
    rows = view.rows(f"{name}_view", f"{name}Rows", argument)
    assert "step" not in rows["columns"]
    assert {row[rows["columns"].index("epoch")] for row in rows["rows"]} == {epoch}
