"""The page in a real TensorBoard: its filter, its downloads, its states, and names that mean harm."""

import csv
import io
import json
import re
from xml.etree import ElementTree

import pytest
from browser import open_browser, serve_tensorboard
from page.privacy_logs import write_ranges, write_run

pytestmark = pytest.mark.slow

HOSTILE = "<img src=x onerror=window.top.hacked=1>"
ATTACKS = ("loss", "lira")


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """An open browser, and the address of a TensorBoard with five runs; one is named to do harm."""
    folder = tmp_path_factory.mktemp("logs")
    for place, run in enumerate(("run1", "run2", "__proto__", HOSTILE)):
        asked = place == 0
        write_run(
            folder / run, attacks=ATTACKS, steps=range(-1, 6), records=asked, pictures=asked, seed=place, size=400
        )
    write_run(
        folder / "odd", attacks=("constructor", "toString"), steps=(0, 5, 10), training=False, verdict=False, size=400
    )
    write_ranges(folder)
    with serve_tensorboard(folder) as address, open_browser() as browser:
        yield browser, address


@pytest.fixture
def alone(served):
    """Opens the page without TensorBoard around it; `answers` replaces the server's by pattern."""
    browser, address = served
    with browser.page(1280, 900, accept_downloads=True) as watched:

        def show(answers=(), wait=True):
            for pattern, reply in dict(answers).items():
                watched.page.route(re.compile(pattern), reply)
            page = watched.open(f"{address}data/plugin_entry.html?name=privacy")
            if wait:
                page.wait_for_selector("html[data-painted]", state="attached")
            return page

        show.watched, show.address = watched, address
        yield show
        assert watched.errors == []
        assert watched.outside(address) == []
        assert watched.page.evaluate("window.hacked") is None


def shown_runs(page):
    """Runs whose row in the list has something checked."""
    rows = page.locator(".grid-place tbody tr")
    checked = [row for row in rows.all() if row.locator("input:checked, input:indeterminate").count()]
    return [row.locator("th").first.inner_text().strip() for row in checked]


def refuses(status, body):
    return lambda route: route.fulfill(status=status, body=body, content_type="application/json")


def test_hostile_names_are_text_and_the_rest_works(alone):
    page = alone()
    page.get_by_role("button", name="all", exact=True).click()
    listed = page.inner_text(".grid-place")
    assert "<img src=x" in listed
    assert "__proto__" in listed
    assert page.locator("img[src=x]").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert [url for url in alone.watched.failed if "favicon" not in url] == []


def test_the_filter_takes_regular_expressions_and_says_what_is_none(alone):
    page = alone()
    field = page.locator(".side input:not([type=checkbox])")
    field.fill("^run[12]")
    page.wait_for_function("document.querySelectorAll('.grid-place tbody tr').length === 2")
    assert shown_runs(page) == ["run1/mia", "run2/mia"]
    field.fill("run[")
    page.wait_for_timeout(400)
    assert page.locator(".grid-place tbody tr").count() == 2  # the last that was one
    assert "Invalid" in page.inner_text(".side") or "no regular expression" in page.inner_text(".side")


def test_tensorboards_own_run_filter_is_followed(served):
    browser, address = served
    with browser.page(1280, 900) as watched:
        page = watched.open(f"{address}?runFilter=run2#privacy")
        frame = page.wait_for_selector("iframe[src*='name=privacy']").content_frame()
        frame.wait_for_selector("html[data-painted]", state="attached")
        assert frame.locator(".grid-place tbody tr").count() == 1
        page.evaluate("history.replaceState(null, '', '?runFilter=run1#privacy')")
        frame.wait_for_selector(".grid-place tbody tr:has-text('run1/mia')")
        page.evaluate("document.body.classList.add('dark-mode')")
        frame.wait_for_selector("html.dark", state="attached")
        dark = frame.evaluate("getComputedStyle(document.body).backgroundColor")
        assert max(map(int, re.findall(r"\d+", dark)[:3])) < 80


def test_choosing_an_attack_redraws_what_is_shown(alone):
    page = alone()
    page.get_by_role("button", name="none", exact=True).click()
    assert "No series is shown" in page.inner_text("main")
    page.get_by_label("run1/mia, lira").check()
    page.locator("details.figures summary").click()
    page.wait_for_selector("details.figures tbody tr")
    assert page.locator("details.figures tbody tr").count() == 1


def test_every_metric_can_be_drawn(alone):
    page = alone()
    chooser = page.locator("#part-leakage select")
    for name in chooser.locator("option").all():
        chooser.select_option(name.get_attribute("value"))
        assert "could not be drawn" not in page.inner_text("main")


def saved(page, part, kind):
    with page.expect_download() as found:
        page.locator(f"#part-{part}").get_by_role("button", name=kind).click()
    with open(found.value.path(), encoding="utf-8-sig") as file:
        return file.read()


def test_downloads_hold_the_numbers_of_the_logs(alone):
    page = alone()
    overview = page.evaluate("fetch('./overview').then((answer) => answer.json())")
    run = next(run for run in overview["runs"] if run["id"] == "run1/mia")
    page.get_by_role("button", name="none", exact=True).click()
    page.get_by_label("run1/mia, lira").check()
    rows = list(csv.DictReader(io.StringIO(saved(page, "leakage", "CSV"))))
    lira = next(attack for attack in run["attacks"] if attack["attack"] == "lira")
    assert [float(row["value"]) for row in rows] == lira["metrics"]["auc"]["value"]
    assert [float(row["low"]) for row in rows] == lira["metrics"]["auc"]["low"]
    assert [int(row["epoch"]) for row in rows] == [step + 1 for step in lira["steps"]]
    picture = ElementTree.fromstring(saved(page, "leakage", "SVG"))
    assert picture.tag.endswith("svg")
    with page.expect_download() as found:
        page.get_by_role("button", name="JSON").click()
    (report,) = json.loads(found.value.path().read_text())["reports"]
    assert (report["attack"], report["report"]["auc"]["value"]) == ("lira", lira["metrics"]["auc"]["value"][-1])


def test_a_server_that_fails_is_told_and_asked_again(alone):
    page = alone({r"/overview$": refuses(500, '{"error": "the disk <b>is</b> gone."}')}, wait=False)
    page.wait_for_selector("text=the disk <b>is</b> gone.")
    page.unroute(re.compile(r"/overview$"))
    page.get_by_role("button", name="Try again").click()
    page.wait_for_selector("html[data-painted]", state="attached")


def test_garbage_is_no_overview(alone):
    page = alone({r"/overview$": refuses(200, "<html>")}, wait=False)
    page.wait_for_selector("text=something else than data")


def test_one_series_that_fails_leaves_the_others(alone):
    page = alone({r"/details\?run=run1%2Fmia%2Floss": refuses(404, '{"error": "gone since."}')})
    page.locator(".side input:not([type=checkbox])").fill("^run1")
    page.wait_for_selector("text=gone since.")
    page.wait_for_selector("#part-roc path[fill=none]", state="attached")


def test_without_audits_the_page_says_how_to_make_some(alone):
    nothing = {"schema_version": 1, "version": "1", "runs": [], "ranges": [], "problems": ["run 'x': <i>damaged</i>."]}
    page = alone({r"/overview$": refuses(200, json.dumps(nothing))}, wait=False)
    page.wait_for_selector("text=No privacy audits here yet")
    assert "MIACallback" in page.inner_text("body")
    assert "<i>damaged</i>" in page.inner_text("body")


def test_it_fits_narrow_screens_and_follows_the_keyboard(served):
    browser, address = served
    with browser.page(800, 700) as watched:
        page = watched.open(f"{address}data/plugin_entry.html?name=privacy")
        page.wait_for_selector("html[data-painted]", state="attached")
        assert page.evaluate("document.documentElement.scrollWidth") <= 800
        reached = set()
        for _ in range(60):
            page.keyboard.press("Tab")
            reached.add(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
        assert {"epoch", "BUTTON", "SELECT", "INPUT"} <= reached
