"""The table of records can be read and sorted; range curves lie at their sizes."""

import itertools

import pytest
from page.view_cases import HOSTILE, PNG, RECORDS, RUN, TABLE, open_pages, shown_views

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


def test_records_are_shown_with_their_pictures_and_can_be_sorted(view):
    page = view("records_view", "recordsView", {"run": RUN, "records": RECORDS, "step": 8, "memory": {}})
    assert page.locator("tbody tr").count() == 2
    first = page.locator("tbody tr").first
    assert first.locator("th").inner_text() == HOSTILE
    assert "97.5 %" in first.inner_text()
    picture = page.locator("img")
    assert picture.count() == 1  # the other is no PNG
    assert (picture.get_attribute("width"), picture.get_attribute("height")) == ("44", "22")
    assert (picture.get_attribute("alt"), picture.get_attribute("src")) == (f"record {HOSTILE[:200]}"[:207], PNG)
    assert "row" not in page.locator("thead th").all_inner_texts()


def test_records_are_sorted_by_a_column_and_back(view):
    page = view("records_view", "recordsView", {"run": RUN, "records": RECORDS, "step": 8, "memory": {}})
    ids = page.locator("tbody th")
    orders = []
    for _ in range(3):
        page.click("button:has-text('lira')")
        assert "lira" in page.evaluate("document.activeElement.textContent")
        orders.append((page.locator("th:has-text('lira')").get_attribute("aria-sort"), ids.first.inner_text()[:1]))
    assert orders == [("descending", "b"), ("ascending", "<"), ("none", "<")]
    page.click("button:has-text('member_probability')")
    page.click("button:has-text('member_probability')")
    assert ids.first.inner_text()[:1] == "<"  # the other has none, and comes last either way
    assert "∞" in page.locator("tbody tr").last.inner_text()


def test_long_tables_of_records_are_folded(view):
    rows = [{**TABLE["rows"][1], "row": k, "id": f"record {k}"} for k in range(33)]
    records = {"tables": [{**TABLE, "rows": rows}], "pictures": {}, "problems": ["a <b>damaged</b> picture"]}
    page = view("records_view", "recordsView", {"run": RUN, "records": records, "step": 8, "memory": {}})
    assert page.locator("tbody tr").count() == 20
    page.click("text=Show all 33")
    assert page.locator("tbody tr").count() == 33
    assert "a <b>damaged</b> picture" in page.inner_text("body")
    assert page.locator("thead th").first.inner_text() == "id"  # no column of pictures where there is none


def test_records_that_were_not_written_are_asked_for_by_arguments(view):
    run = {"id": "run1/mia", "has_records": False}
    page = view("records_view", "recordsView", {"run": run, "records": None, "step": 8, "memory": {}})
    said = page.inner_text("body")
    assert "written only when asked for: MIACallback(..., log_records=20, log_pictures=True)" in said
    assert "on a page made of these (privacy-audit report), never on one by to_html" in said


def test_an_earlier_epoch_has_the_table_of_its_time(view):
    page = view("records_view", "recordsView", {"run": RUN, "records": RECORDS, "step": 2, "memory": {}})
    assert page.locator("tbody tr").count() == 1
    rows = view.rows("records_view", "recordsRows", {"run": RUN, "records": RECORDS, "step": 2})
    assert rows["rows"] == [["run1/mia", 2, "b", 1, "Infinity", None, 2]]


def test_before_the_first_table_it_is_said_when_it_comes(view):
    page = view("records_view", "recordsView", {"run": RUN, "records": RECORDS, "step": 0, "memory": {}})
    assert "the first one stands after epoch 2" in page.inner_text("body")


def test_range_curves_lie_at_their_sizes_and_say_why_some_are_missing(view):
    curve = {
        "name": "range attack",
        "metrics": {"auc": {"value": [0.6, 0.7, None], "low": [0.55, 0.65, None], "high": [0.65, 0.75, None]}},
        "num_members": [10, 20, 0],
        "num_nonmembers": [10, 20, 30],
        "reasons": [None, None, "no range holds a training record"],
    }
    ranges = [{"id": "ranges/range_attack", "label": "radius", "sizes": [1, 2, 4], "curves": [curve]}]
    page = view("ranges_view", "rangesView", {"ranges": ranges, "metric": "auc"})
    dots = page.locator("circle[data-size]")
    assert dots.locator("title").first.text_content().startswith("range attack at 1: AUC 0.6 [0.55, 0.65]")
    assert dots.count() == 2
    assert "no range holds a training record" in page.inner_text("li:has-text('at 4')")
    assert "at 4: no range holds" in page.locator(".ranges-absent title").text_content()
    (x1, y1), (x2, y2) = ([float(dots.nth(k).get_attribute(name)) for name in ("cx", "cy")] for k in (0, 1))
    assert x2 - x1 == pytest.approx((560 - 56 - 14) / 3.24, rel=0.01)  # sizes 1 to 4, and 4 % of that at each end
    guessing = float(page.locator("line.ranges-guessing").get_attribute("y1"))
    assert (guessing - y1) / (y1 - y2) == pytest.approx(1, abs=0.01)  # .5, .6, .7


@pytest.mark.parametrize(
    ("sizes", "is_even"), [([0.01, 0.1, 1, 10], True), ([0.1, 1, 10], False), ([0, 1, 1_000], False)]
)
def test_sizes_over_more_than_two_decades_stand_on_a_logarithmic_axis(view, sizes, is_even):
    curve = {"name": "range attack", "metrics": {"advantage": {"value": [0.3] * 4, "null_level": [0.1] * 4}}}
    ranges = [{"id": "r", "label": "radius", "sizes": sizes, "curves": [curve]}]
    page = view("ranges_view", "rangesView", {"ranges": ranges, "metric": "advantage"})
    at = page.locator("circle[data-size]").evaluate_all("(all) => all.map((dot) => Number(dot.getAttribute('cx')))")
    gaps = [b - a for a, b in itertools.pairwise(at)]
    assert (max(gaps) - min(gaps) < 0.5) == is_even
    assert "what no leak would reach" in page.inner_text(".legend")
    assert page.locator("path.ranges-null").count() == 1
