"""Where the parts of the page stand: what sticks, what scrolls, what the keys reach, and what the list of runs says."""

import pytest
from page.held_page import held_pages, overview_of, run_of
from page.view_cases import open_pages

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def chromium():
    with open_pages() as opened:
        yield opened


@pytest.fixture
def shown(chromium):
    """Shows a page of an overview; returns playwright's page."""
    with held_pages(*chromium) as show:
        yield show


def test_curves_that_stick_beside_the_scores_cover_nothing_that_follows(shown):
    page = shown(overview_of(run_of("fit", range(3))))
    places = """() => {
        const [roc, slices, bar] = ["#part-roc", "#part-slices", ".epoch-bar"].map((name) => document.querySelector(name));
        return [roc.getBoundingClientRect(), slices.getBoundingClientRect(), bar.getBoundingClientRect()];
    }"""
    # As tall as many histograms, and as many records.
    page.evaluate(
        """() => {
            document.getElementById("part-scores").style.minHeight = "2500px";
            document.getElementById("part-records").style.minHeight = "1500px";
            document.getElementById("part-slices").scrollIntoView();
        }"""
    )
    roc, slices, _ = page.evaluate(places)
    assert roc["bottom"] <= slices["top"]
    page.evaluate("document.getElementById('part-records').scrollIntoView()")
    roc, slices, _ = page.evaluate(places)
    assert roc["bottom"] <= slices["top"]
    page.evaluate("scrollBy(0, document.getElementById('part-scores').getBoundingClientRect().top + 900)")
    roc, _, bar = page.evaluate(places)
    assert bar["bottom"] <= roc["top"] <= bar["bottom"] + 20


def test_what_gets_the_focus_stands_clear_of_the_slider(shown):
    page = shown(overview_of(run_of("fit", range(5))))
    page.set_viewport_size({"width": 1280, "height": 560})
    page.evaluate(
        """() => {
            const folded = document.querySelector(".leakage summary").getBoundingClientRect();
            scrollTo(0, folded.bottom + scrollY - innerHeight + 10);
            [...document.querySelectorAll("#part-leakage .save")].at(-1).focus({ preventScroll: true });
        }"""
    )
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
    held, bar = (page.locator(name).bounding_box() for name in (".leakage summary", ".epoch-bar"))
    assert bar["y"] + bar["height"] == 560  # it sticks
    assert held["y"] + held["height"] <= bar["y"]


def test_the_keys_walk_through_a_long_list_of_runs_without_moving_the_page(shown):
    page = shown(overview_of(*(run_of(f"fit{place}", range(2)) for place in range(40))))
    page.focus("#run-filter")
    seen = []
    for _ in range(80):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("[document.activeElement.closest('.grid-place') !== null, scrollY]"))
    assert sum(within for within, _ in seen) > 70
    assert {height for _, height in seen} == {0}


def test_the_list_says_what_the_page_left_out_by_itself_and_nothing_else(shown):
    training = {"steps": [0, 1], "values": {"val_accuracy": [0.1, 0.2]}}
    page = shown(overview_of(*(run_of(name, range(2), training=training) for name in ("a1", "b1", "b2", "b3", "b4"))))
    notes = {}
    for pattern in ("", "b", "a1", "b[12]", "nothing"):
        page.fill("#run-filter", pattern)
        notes[pattern] = page.inner_text(".side > [role=status]")
    assert notes == {
        "": "The last 3 of 5 runs are shown; check more, or filter.",
        "b": "The last 3 of 4 runs are shown; check more, or filter.",
        "a1": "",
        "b[12]": "",
        "nothing": "",
    }
    assert page.inner_text("#part-compare .view") == "No run is shown."
    note = "async () => (await import('/page_state.js')).shownNote(3, 1, 1, false)"
    assert page.evaluate(note) == "The last 1 of 3 runs is shown; check more, or filter."


def test_on_a_narrow_screen_the_list_of_runs_scrolls_in_its_place(shown):
    page = shown(overview_of(*(run_of(f"fit{place}", range(2)) for place in range(3))))
    page.set_viewport_size({"width": 800, "height": 700})
    row = page.locator(".grid-place tbody tr").last.bounding_box()
    place = page.locator(".grid-place").bounding_box()
    assert row["y"] + row["height"] <= place["y"] + place["height"]
    page = shown(overview_of(*(run_of(f"fit{place}", range(2)) for place in range(40))))
    sides = page.evaluate(
        "[...document.querySelectorAll('.side, .grid-place')].map((part) => [part.clientHeight, part.scrollHeight])"
    )
    assert sides[0][0] == sides[0][1]  # nothing of it is hidden
    assert sides[1][0] == 340 < sides[1][1]
