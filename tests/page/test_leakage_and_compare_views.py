"""Leakage over epochs and privacy against usefulness: what is drawn of courses, single audits, bands, claims and runs."""

import itertools
import re

import pytest
from page.held_page import held_pages, overview_of, run_of
from page.view_cases import open_pages

pytestmark = pytest.mark.slow

DRAWN_BEFORE = """([first, second]) => Boolean(
    document.querySelector(first).compareDocumentPosition(document.querySelector(second)) & Node.DOCUMENT_POSITION_FOLLOWING
)"""


@pytest.fixture(scope="module")
def chromium():
    with open_pages() as opened:
        yield opened


@pytest.fixture
def shown(chromium):
    """Shows a page of an overview; returns playwright's page."""
    with held_pages(*chromium) as show:
        yield show


def trained(name, values, **more):
    """A run whose validation figures are those of epochs 1, 2, …"""
    figures = {"loss": values, "val_loss": values, "val_accuracy": values}
    return run_of(name, range(-1, len(values)), training={"steps": list(range(len(values))), "values": figures}, **more)


def courses_of(page):
    return page.locator(".leakage svg.plot").first.locator("path[fill=none]:not(.gap)")


def test_long_courses_keep_their_extremes(shown):
    run = run_of("fit", range(4_000), attacks=["loss"])
    columns = run["attacks"][0]["metrics"]["auc"]
    columns |= {"value": [0.6] * 4_000, "low": [0.58] * 4_000, "high": [0.62] * 4_000}
    columns["value"][2_001], columns["low"][2_001], columns["high"][2_001] = 0.2, 0.1, 0.3
    page = shown(overview_of(run))
    path = page.locator(".leakage svg.plot").first.locator("path[fill=none]").first.get_attribute("d")
    heights = [float(point.split(" ")[1]) for point in path[1:].split("L")]
    assert len(heights) < 2_500
    assert max(heights) - min(heights) > 150  # pixels, from 0.6 to the dip on an axis from 0.1 to 0.62
    band = page.locator(".leakage svg.plot").first.locator("path[fill-opacity]").first.get_attribute("d")
    assert max(float(point.split(" ")[1]) for point in band[1:-1].split("L")) > max(heights)


def test_an_audit_that_failed_leaves_a_gap_with_its_reason(shown):
    run = run_of("fit", range(6), attacks=["loss"])
    attack = run["attacks"][0]
    for part in ("value", "low", "high"):
        attack["metrics"]["auc"][part][3] = "NaN"
    attack["failed"][3], attack["words"][3] = True, "All scores are <b>NaN</b>."
    page = shown(overview_of(run))
    upper = page.locator(".leakage svg.plot").first
    assert upper.locator("path.gap title").all_text_contents() == ["loss, after epoch 4: All scores are <b>NaN</b>."]
    assert upper.locator("path[fill=none]:not(.gap)").count() == 2  # the course, in two pieces


@pytest.mark.parametrize("metric", ["advantage", "mutual_information"])
def test_what_no_leak_would_reach_is_shaded(shown, metric):
    run = run_of("fit", range(6), attacks=["loss"])
    run["attacks"][0]["metrics"][metric] = {"value": [0.2] * 6, "null_level": [0.05] * 6}
    page = shown(overview_of(run))
    page.select_option("#part-leakage select", metric)
    assert page.locator(".leakage .null-band").count() == 1
    assert "what no leak would reach" in page.locator(".leakage .legend li").all_text_contents()
    assert "what no leak would reach" not in page.locator(".leakage svg.plot").first.text_content()


@pytest.mark.parametrize("claimed", [None, 0.8])
def test_the_names_of_lines_are_drawn_over_the_courses(shown, claimed):
    run = run_of("fit", range(6), attacks=["loss"])
    if claimed is not None:
        run["attacks"][0]["metrics"]["auc"]["claimed"] = claimed
    page = shown(overview_of(run))
    notes = page.locator(".leakage svg.plot").first.locator(".plot-note")
    assert notes.all_text_contents() == ["guessing"] + ([] if claimed is None else ["claimed: 0.8"])
    assert page.evaluate(DRAWN_BEFORE, [".leakage path[fill=none]", ".leakage .plot-note"])
    assert page.locator(".leakage .claimed-line").count() == (claimed is not None)


def test_the_names_of_claims_that_lie_close_stand_apart(shown):
    run = run_of("fit", range(6), attacks=["loss", "lira", "rmia"])
    for attack, claimed in zip(run["attacks"], (0.500, 0.501, 0.502), strict=True):
        attack["metrics"]["auc"]["claimed"] = claimed
    page = shown(overview_of(run))
    heights = sorted(
        page.locator(".leakage svg.plot")
        .first.locator(".plot-note")
        .evaluate_all("(all) => all.map((t) => +t.getAttribute('y'))")
    )
    assert len(heights) == 4
    assert min(b - a for a, b in itertools.pairwise(heights)) >= 14 - 1e-9


def test_a_single_audit_shows_its_intervals_side_by_side(shown):
    page = shown(overview_of(run_of("fit", [4], attacks=["loss", "lira", "rmia"])))
    plot = page.locator(".leakage svg.plot").first
    bars = plot.locator("path.error-bar")
    assert bars.count() == 3
    assert bars.first.get_attribute("stroke-opacity") == "0.7"
    places = []
    for course in bars.evaluate_all("(all) => all.map((bar) => bar.getAttribute('d'))"):
        found = re.fullmatch(r"M(\S+) (\S+)h14M\1 (\S+)h14M(\S+) \2V\3", course)
        places.append(float(found[4]))
        assert float(found[1]) == pytest.approx(float(found[4]) - 7)
        # The AUC's axis runs at least from 0.45 to 0.55 over 340 - 12 - 40 pixels; the interval is 0.04 long.
        assert float(found[2]) - float(found[3]) == pytest.approx(0.04 / 0.108 * 288, rel=0.02)
    assert places[1] - places[0] > 14
    assert places[2] - places[1] > 14
    assert plot.locator("circle").count() == 3
    assert page.locator(".leakage .cursor").count() == 0


def test_single_audits_at_the_end_of_a_fit_stay_within_the_plot(shown):
    training = {"steps": list(range(30)), "values": {"loss": [1.0] * 30}}
    page = shown(overview_of(run_of("fit", [29], attacks=[f"attack {k}" for k in range(12)], training=training)))
    plot = page.locator(".leakage svg.plot").first
    within = plot.locator("clipPath rect").evaluate(
        "(r) => [+r.getAttribute('x'), +r.getAttribute('x') + +r.getAttribute('width')]"
    )
    dots = plot.locator("circle").evaluate_all("(all) => all.map((dot) => +dot.getAttribute('cx'))")
    assert len(dots) == 12
    assert within[0] + 7 <= min(dots)
    assert max(dots) + 7 <= within[1]


def test_what_no_leak_would_reach_is_shaded_at_a_single_audit_too(shown):
    run = run_of("fit", [0], attacks=["loss"])
    run["attacks"][0]["metrics"]["advantage"] = {"value": [0.2], "null_level": [0.05]}
    page = shown(overview_of(run))
    page.select_option("#part-leakage select", "advantage")
    assert page.locator(".leakage .null-band").bounding_box()["width"] > 500
    assert page.locator(".leakage path.error-bar").count() == 0


@pytest.mark.parametrize("dark", [False, True])
def test_no_loss_has_the_colour_of_an_attack_nor_a_run_that_of_the_first_attacks(shown, dark):
    page = shown(overview_of(*(trained(name, [0.5, 0.4, 0.3], attacks=("loss", "lira")) for name in ("a", "b", "c"))))
    page.evaluate(f"held.dark({str(dark).lower()})")

    def colours(selector):
        return set(page.locator(selector).evaluate_all("(all) => all.map((one) => getComputedStyle(one).stroke)"))

    attacks = colours(".leakage svg.plot:first-of-type path[fill=none]")
    losses = colours(".leakage svg.plot:nth-of-type(2) path[fill=none]")
    runs = colours(".compare svg.plot path.course")
    assert [len(found) for found in (attacks, losses, runs)] == [2, 2, 3]
    assert not attacks & (losses | runs)


def test_no_picture_holds_what_is_no_number(shown):
    runs = [trained(name, [0.1, 0.2, 0.4]) for name in ("a", "b")]
    runs[0]["attacks"][0]["metrics"]["auc"]["claimed"] = 0.7
    page = shown(overview_of(*runs))
    drawn = page.evaluate("[...document.querySelectorAll('svg')].map((one) => one.outerHTML).join('')")
    assert "<circle" in drawn
    assert "NaN" not in drawn
    assert "undefined" not in drawn


def test_runs_are_compared_at_the_epochs_that_have_both_figures(shown):
    def trained(name, values):
        return run_of(
            name, range(-1, 4), training={"steps": [0, 1, 2, 3], "values": {"val_loss": values, "val_accuracy": values}}
        )

    page = shown(overview_of(trained("a", [0.1, 0.2, None, 0.4]), trained("b", [0.3, 0.4, 0.5, "NaN"])))
    assert page.locator("#part-compare .choice select").last.input_value() == "val_accuracy"
    rows = [row.split("\t") for row in page.locator(".last-epochs tbody tr").all_inner_texts()]
    assert rows == [
        ["a", "loss", "4", "0.4", "0.503 [0.483, 0.523]"],
        ["b", "loss", "3", "0.5", "0.502 [0.482, 0.522]"],
    ]
    page.locator("#part-compare .choice select").last.select_option("val_loss")
    assert "axis reversed" in page.locator(".compare svg.plot").text_content()


def test_names_of_runs_stand_over_all_points_and_apart(shown):
    page = shown(overview_of(*(trained(f"fit{place}", [0.1, 0.2, 0.3]) for place in range(3))))
    names = page.locator(".compare .plot-name")
    assert sorted(names.all_text_contents()) == ["fit0", "fit1", "fit2"]
    heights = sorted(names.evaluate_all("(all) => all.map((name) => +name.getAttribute('y'))"))
    assert min(heights[1] - heights[0], heights[2] - heights[1]) >= 14 - 1e-9
    assert page.evaluate(DRAWN_BEFORE, [".compare svg.plot circle:last-of-type", ".compare .plot-name"])


@pytest.mark.parametrize(
    ("heights", "moved"),
    [
        ([], []),
        ([50], [50]),
        ([50, 90], [50, 90]),
        ([50, 50, 50], [50, 64, 78]),
        ([-5, 200], [10, 100]),
        ([99, 98], [100, 86]),
        ([100] * 10, [10, 20, 30, 40, 50, 60, 70, 80, 90, 100]),
    ],
)
def test_texts_are_moved_no_further_than_they_must(shown, heights, moved):
    page = shown(overview_of(run_of("fit", range(2))))
    found = page.evaluate("async (heights) => (await import('/plot.js')).movedApart(heights, 14, 10, 100)", heights)
    assert found == pytest.approx(moved)
