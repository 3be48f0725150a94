"""ROC curves lie where their axes say, straight between vertices, and tell what they lack."""

import itertools
import math

import pytest
from page.view_cases import ROC, at_pixel, estimate, one, open_pages, shown_views

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


def scaled(value, low, start, end):
    """Where a rate lies on a logarithmic axis from `low` to 1, in pixels."""
    return start + (math.log10(value) - math.log10(low)) / -math.log10(low) * (end - start)


def log_place(fpr, tpr, low=1e-4):
    """Pixels within the ROC picture; 1e-4 is a decade below 1/2,000, in whole powers of ten."""
    return scaled(fpr, low, 66, 534), scaled(tpr, low, 380, 12)


def points_of(path):
    return [tuple(map(float, part.split())) for part in path.get_attribute("d").replace("M", "").split("L")]


def test_a_rate_lies_where_the_axes_say(view):
    page = view("roc_view", "rocView", {"series": [one()], "step": 4, "scale": "log"})
    dot = page.locator("[data-rate='0.01']")
    where = tuple(float(dot.get_attribute(name)) for name in ("cx", "cy"))
    assert where == pytest.approx(log_place(0.01, 0.1), abs=0.1)
    assert dot.locator("title").text_content() == "lira: TPR at 1 % FPR 0.1 [0.08, 0.13]"
    points = points_of(page.locator("path[stroke='#D55E00'][fill=none]"))
    for fpr, tpr in zip(ROC["fpr"][1:], ROC["tpr"][1:], strict=True):
        assert min(math.dist(log_place(fpr, tpr), point) for point in points) < 0.15
    shade = page.locator("rect.shade")
    end = float(shade.get_attribute("x")) + float(shade.get_attribute("width"))
    assert end == pytest.approx(scaled(10 / 2_000, 1e-4, 66, 534), abs=0.2)
    assert "fewer than 10 expected" in page.locator(".roc-unresolved").first.text_content()


def test_a_straight_line_between_two_vertices_is_drawn_as_the_curve_it_is_on_logarithmic_axes(view):
    page = view("roc_view", "rocView", {"series": [one()], "step": 4, "scale": "log"})
    points = points_of(page.locator("path[stroke='#D55E00'][fill=none]"))
    for fpr in (0.0004, 0.004, 0.03, 0.55):
        upper = next(k for k, rate in enumerate(ROC["fpr"]) if rate >= fpr)
        (x0, y0), (x1, y1) = ((ROC["fpr"][k], ROC["tpr"][k]) for k in (upper - 1, upper))
        place = log_place(fpr, y0 + (fpr - x0) / (x1 - x0) * (y1 - y0))
        pairs = itertools.pairwise(points)
        (left, low), (right, high) = next((a, b) for a, b in pairs if a[0] <= place[0] <= b[0])
        drawn = low + (place[0] - left) / (right - left) * (high - low)
        assert drawn == pytest.approx(place[1], abs=0.4)
    first, last = points_of(page.locator("path.roc-guessing"))[:: len(points_of(page.locator("path.roc-guessing"))) - 1]
    assert first == pytest.approx((66, 380), abs=0.1)
    assert last == pytest.approx((534, 12), abs=0.1)


def test_rates_of_zero_sit_at_the_floor(view):
    roc = {**ROC, "fpr": [0, 0.01, 1], "tpr": [0, 0, 1], "low": None, "high": None}
    page = view("roc_view", "rocView", {"series": [one(details={"roc": roc})], "step": 4, "scale": "log"})
    points = points_of(page.locator("path[stroke='#D55E00'][fill=none]"))
    assert points[0] == pytest.approx((66, 380), abs=0.1)
    assert all(y == 380 for x, y in points if x <= scaled(0.01, 1e-4, 66, 534))
    assert "less certain than a band would claim" in page.inner_text("body")


def test_the_floor_follows_the_largest_audit_and_the_shade_the_smallest(view):
    large, small = one("large", {"roc": {**ROC, "num_nonmembers": 20_000}}), one("small")
    page = view("roc_view", "rocView", {"series": [large, small], "step": 4, "scale": "log"})
    ticks = page.locator("svg.plot .tick").all_text_contents()
    assert ticks[0] == "0.001 %"
    shade = page.locator("rect.shade")
    end = float(shade.get_attribute("x")) + float(shade.get_attribute("width"))
    assert end == pytest.approx(scaled(10 / 2_000, 1e-5, 66, 534), abs=0.2)


def test_the_linear_scale_is_linear(view):
    page = view("roc_view", "rocView", {"series": [one()], "step": 4, "scale": "linear"})
    assert float(page.locator("[data-rate]").get_attribute("cx")) == pytest.approx(66 + 0.01 * 468, abs=0.1)
    assert len(points_of(page.locator("path[stroke='#D55E00'][fill=none]"))) == len(ROC["fpr"])


def test_the_pointer_reads_the_nearest_curve(view):
    better = one("rmia", {"roc": {**ROC, "tpr": [0, 0.5, 0.6, 0.8, 1], "low": None, "high": None}})
    page = view("roc_view", "rocView", {"series": [one(), better], "step": 4, "scale": "log"})
    at_pixel(page, *log_place(0.03, 0.15))
    assert page.inner_text(".hover").split("\n")[-1] == "TPR 0.1 [0.08, 0.13] at FPR 1 %"
    assert "lira" in page.inner_text(".hover")
    at_pixel(page, *log_place(0.03, 0.65))
    assert "rmia" in page.inner_text(".hover")
    assert page.inner_text(".hover").split("\n")[-1] == "TPR 0.6 at FPR 1 %"
    at_pixel(page, 5, 5)
    assert not page.is_visible(".hover")


def test_series_are_told_apart_by_form_as_well(view):
    names = [f"tpr_at_fpr_1e-{digit}" for digit in (1, 2)]
    report = {name: estimate(0.3, 0.2, 0.4) for name in names}
    series = [one(str(k), {"report": report}) for k in range(3)]
    page = view("roc_view", "rocView", {"series": series, "step": 4, "scale": "log"})
    marks = page.locator("[data-rate='0.01']").evaluate_all(
        "(all) => all.map((mark) => mark.tagName + mark.getAttribute('d'))"
    )
    assert len(set(marks)) == 3


def test_fifteen_curves_of_three_hundred_points_are_drawn_again_in_time_for_a_slider(view):
    fpr = [(k / 299) ** 3 for k in range(300)]
    tpr = [rate**0.6 for rate in fpr]
    roc = {**ROC, "fpr": fpr, "tpr": tpr, "low": [0.9 * rate for rate in tpr], "high": [rate**0.9 for rate in tpr]}
    page = view("roc_view", "rocView", {"series": [], "step": 4})
    times = page.evaluate(
        """async (argument) => {
            const { rocView } = await import("/roc_view.js");
            const times = [];
            for (let turn = 0; turn < 15; turn++) {
                const began = performance.now();
                document.body.replaceChildren(rocView(argument));
                document.body.getBoundingClientRect();
                times.push(performance.now() - began);
            }
            return times.sort((a, b) => a - b);
        }""",
        {"series": [one(f"attack {k}", {"roc": roc}) for k in range(15)], "step": 4, "scale": "log"},
    )
    assert times[len(times) // 2] < 50  # ms
