"""Histograms and forests of slices show the numbers they were given."""

import re
from xml.etree import ElementTree

import pytest
from page.view_cases import HOSTILE, SLICES, at_pixel, one, open_pages, shown_views

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


def test_a_histogram_shows_shares_of_each_side(view):
    page = view("scores_view", "scoresView", {"series": [one()], "step": 4})
    # 0 to 2 on the axis, and at each end .035 of that as a gap and .08 as the bar of what lies beyond.
    left, right, base, top = 54, 270 - 16, 172 - 46, 12
    across = {score: left + (score + 0.23) / 2.46 * (right - left) for score in (-0.15, 0, 1, 2, 2.15)}
    shares = {share: base - share / (1.08 * 0.6) * (base - top) for share in (0.1, 0.3, 0.6, 0.2)}
    inner, below, above = (page.locator("path[stroke='var(--members)']").nth(k).get_attribute("d") for k in range(3))
    steps = [f"V{shares[share]:.1f}H{across[score]:.1f}".replace(".0", "") for share, score in ((0.1, 1), (0.3, 2))]
    assert "".join(steps) in inner
    assert f"V{base}H" in below  # no member lies there
    assert f"V{shares[0.6]:.1f}H{right}".replace(".0", "") in above
    names = page.locator(".scores-beyond").all_text_contents()
    assert names == ["−∞ and", "below", "above", "and ∞"]
    rows = view.rows("scores_view", "scoresRows", {"series": [one()]})["rows"]
    assert [row[-2:] for row in rows] == [[0, 20], [10, 60], [30, 20], [60, 0]]


def test_the_pointer_reads_a_bar(view):
    page = view("scores_view", "scoresView", {"series": [one()], "step": 4})
    at_pixel(page, 54 + 0.73 / 2.46 * 200, 60, 270, 172)
    assert page.inner_text(".hover").split("\n") == ["scores 0 to 1", "10 members (10 %)", "60 non-members (60 %)"]
    at_pixel(page, 56, 60, 270, 172)
    told = page.inner_text(".hover").split("\n")
    assert told[0] == "below what the axis shows, infinite scores among them"
    assert told[1:] == ["0 members (0 %)", "20 non-members (20 %)"]


def test_slices_say_which_leak_and_why_some_say_nothing(view):
    page = view("slices_view", "slicesView", {"series": [one()], "step": 4, "memory": {}})
    rows = page.locator("tbody tr").all_inner_texts()
    assert re.split(r"\s*\t\s*", rows[0]) == ["wrong leaks", "50 / 60", "0.800 [0.700, 0.900]", "< 0.0001"]
    assert "leaks" not in rows[1]
    assert HOSTILE[:30] in rows[1]
    assert len(rows[1]) < 200
    assert rows[2].split("\t")[1:] == ["1 / 0", "slice too small: <b>0</b>"]
    assert "1 of 6 slices leak" in page.inner_text("caption")
    assert "3 further slices" in page.inner_text("body")
    assert "all of them together are wrong in 5 % of audits" in page.inner_text("body")
    dots = page.locator("tbody circle")
    assert dots.nth(0).get_attribute("fill") == "#D55E00"
    assert dots.nth(1).get_attribute("fill") == "var(--page)"


def test_an_interval_of_the_forest_lies_where_its_axis_says(view):
    page = view("slices_view", "slicesView", {"series": [one()], "step": 4, "memory": {}})
    ticks = page.locator("thead svg text").evaluate_all(
        "(all) => all.map((t) => [Number(t.textContent), parseFloat(t.getAttribute('x'))])"
    )
    (first, x_first), (last, x_last) = ticks[0], ticks[-1]

    def at(value):
        return x_first + (value - first) / (last - first) * (x_last - x_first)

    for row, (value, low, high) in enumerate([(0.8, 0.7, 0.9), (0.55, 0.45, 0.65)]):
        line, dot = page.locator("tbody .slices-interval").nth(row), page.locator("tbody circle").nth(row)
        drawn = [float(part.rstrip("%")) for part in (dot.get_attribute("cx"), *map(line.get_attribute, ("x1", "x2")))]
        assert drawn == pytest.approx([at(value), at(low), at(high)], abs=0.02)


def test_no_slice_leaks_where_no_leak_can_be_told(view):
    void = one(details={"report": {"void": "the sides differ in kind <i>x</i>"}})
    page = view("slices_view", "slicesView", {"series": [void], "step": 4, "memory": {}})
    assert "0 of 6 slices leak" in page.inner_text("caption")
    assert page.locator(".slices-word").count() == 0
    assert "the sides differ in kind <i>x</i>" in page.inner_text("body")


def test_without_slices_it_is_said_how_to_ask_for_them(view):
    page = view("slices_view", "slicesView", {"series": [one(details={"slices": []})], "step": 4, "memory": {}})
    assert "slices=" in page.inner_text("body")


def test_the_chosen_attack_and_all_rows_are_remembered_over_redraws(view):
    many = [{**SLICES[0], "slice": f"class {k}"} for k in range(45)]
    series = [one("lira"), one("loss", {"slices": many})]
    page = view("slices_view", "slicesView", {"series": series, "step": 4, "memory": {"key": "loss"}})
    assert "loss" in page.inner_text("caption")
    assert page.locator("tbody tr").count() == 20
    page.click("text=Show all 45")
    assert page.locator("tbody tr").count() == 45
    assert page.evaluate("document.activeElement.textContent") == "Show the first 20"
    page.focus("select")
    page.select_option("select", "lira")
    assert "lira" in page.inner_text("caption")
    assert page.evaluate("document.activeElement.tagName") == "SELECT"


def test_the_forest_s_axis_says_what_it_measures(view):
    page = view("slices_view", "slicesView", {"series": [one()], "step": 4, "memory": {}})
    assert page.locator("thead th").nth(2).inner_text().split()[0] == "AUC"
    title, axis = (page.locator(f"thead .slices-forest {part}").bounding_box() for part in ("span", "svg"))
    assert title["y"] + title["height"] <= axis["y"] + 1


def test_a_saved_forest_names_no_control_that_is_not_in_it(view):
    page = view("slices_view", "slicesView", {"series": [one("lira"), one("loss")], "step": 4, "memory": {}})
    assert page.inner_text("label").startswith("Attack")
    text = page.evaluate(
        "async () => (await import('/svg_file.js')).svgFileText(document.querySelector('.slices-view'))"
    )
    words = [" ".join("".join(node.itertext()).split()) for node in ElementTree.fromstring(text)]
    assert "Attack" not in words
    assert "lira after epoch 5: 1 of 6 slices leak" in words
