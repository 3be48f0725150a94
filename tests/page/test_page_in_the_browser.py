"""The page by itself, with a source that a test holds: what it draws, what it keeps when newer audits come, what it saves."""

import json
from xml.etree import ElementTree

import pytest
from page.held_page import SHOWN, held_pages, overview_of, run_of
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


def words_of(page):
    return page.inner_text("#part-warnings")


def test_the_newest_audit_is_shown_first_and_the_slider_moves_by_keys(shown):
    page = shown(overview_of(run_of("fit", range(-1, 20))))
    assert page.inner_text(".epoch-text") == "after epoch 20 of 20"
    page.focus("#epoch")
    page.keyboard.press("ArrowLeft")
    page.wait_for_selector("html[data-drawn-step='18']", state="attached")
    assert "loss at step 18." in words_of(page)
    page.keyboard.press("Home")
    page.wait_for_selector("html[data-drawn-step='-1']", state="attached")
    assert page.inner_text(".epoch-text") == "before training"
    assert page.get_attribute("#epoch", "aria-valuetext") == "before training"


def test_moving_the_slider_asks_for_nothing_that_is_there(shown):
    page = shown(overview_of(run_of("fit", range(120))))
    page.wait_for_function("held.asked.length >= 8")  # two attacks: one audit, then blocks of 50
    page.wait_for_timeout(100)
    asked = page.evaluate("held.asked.length")
    for place in (0, 30, 60, 119):
        page.evaluate(
            f"(e => {{ e.value = {place}; e.dispatchEvent(new Event('input')); }})(document.getElementById('epoch'))"
        )
        page.wait_for_selector(f"html[data-drawn-step='{place}']", state="attached")
    assert page.evaluate("held.asked.length") == asked
    assert page.evaluate("held.asked.slice(0, 2)") == [["fit/loss", 119, 119], ["fit/lira", 119, 119]]


def test_a_pointer_on_the_chart_moves_the_slider_and_reads_values(shown):
    page = shown(overview_of(run_of("fit", range(11))))
    box = page.locator(".leakage svg.plot").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 100)
    assert "AUC after epoch 6" in page.inner_text(".leakage .hover")
    assert "0.505 [0.485, 0.525]" in page.inner_text(".leakage .hover")
    page.mouse.down()
    page.mouse.up()
    page.wait_for_selector("html[data-drawn-step='5']", state="attached")


def test_the_figures_are_the_datas(shown):
    page = shown(overview_of(run_of("fit", range(5))))
    page.click(".leakage .figures summary")
    page.wait_for_selector(".leakage .figures tbody tr")
    rows = page.locator(".leakage .figures tbody tr").all_inner_texts()
    assert [row.split() for row in rows] == [
        ["loss", "0.504", "[0.484,", "0.524]"],
        ["lira", "0.504", "[0.484,", "0.524]"],
    ]


def test_newer_audits_are_followed_and_what_is_read_stays_in_place(shown):
    first = overview_of(run_of("fit", range(10), has_records=True))
    page = shown(first)
    page.wait_for_selector("text=record-3")
    page.evaluate(
        """() => {
            window.part = document.getElementById("part-records");
            part.scrollIntoView();
            document.getElementById("epoch").focus({ preventScroll: true });
        }"""
    )
    before = page.evaluate("part.getBoundingClientRect().top")
    page.evaluate(
        """(newer) => {
            Object.assign(held, { overview: newer, slow: 200 });
            window.seen = [];
            const look = () => {
                seen.push([part.getBoundingClientRect().top, part.innerText.includes("record-3")]);
                requestAnimationFrame(look);
            };
            look();
            return held.reload();
        }""",
        overview_of(run_of("fit", range(12), has_records=True)),
    )
    page.wait_for_timeout(800)
    assert page.inner_text(".epoch-text") == "after epoch 12 of 12"
    assert "record-3" in page.inner_text("#part-records")
    assert page.evaluate("document.activeElement.id") == "epoch"
    seen = page.evaluate("seen")
    assert max(abs(place - before) for place, _ in seen) < 60
    assert all(there for _, there in seen)


def test_who_looks_at_an_older_epoch_stays_there(shown):
    page = shown(overview_of(run_of("fit", range(10))))
    page.focus("#epoch")
    page.keyboard.press("Home")
    page.evaluate("(newer) => { held.overview = newer; return held.reload(); }", overview_of(run_of("fit", range(12))))
    assert page.inner_text(".epoch-text") == "after epoch 1 of 12"


def test_of_many_runs_the_last_three_are_shown_and_the_list_says_so(shown):
    runs = [run_of(f"sweep/{place}", range(3), attacks=[f"attack {k}" for k in range(20)]) for place in range(50)]
    page = shown(overview_of(*runs))
    assert "The last 3 of 50 runs are shown" in page.inner_text(".side")
    assert page.locator(".card").count() == 3
    page.get_by_role("button", name="all", exact=True).click()
    assert "1,000 series are chosen; the first 60 are drawn" in page.inner_text(".side")
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280


VERDICTS = {
    "alarm": {"verdict": {"text": "Told.", "detected": {"loss": 3}, "void": None}},
    "quiet": {"verdict": {"text": "None was found.", "detected": {}, "void": None}},
    "doubt": {"verdict": {"text": "", "detected": {"loss": 3}, "void": "both sides are the same."}},
}


@pytest.mark.parametrize("state", VERDICTS)
def test_a_run_s_state_is_told_in_words_and_never_called_safe(shown, state):
    page = shown(overview_of(run_of("fit", range(6), **VERDICTS[state])))
    assert page.get_attribute(".card", "data-state") == state
    told = words_of(page)
    assert {"alarm": "Leak found", "quiet": "not proof that there is none", "doubt": "both sides are the same"}[
        state
    ] in told
    assert "safe" not in told.lower()


def test_names_turn_no_direction_and_break_no_line(shown):
    names = ("\u202eevil", "<img src=x onerror=window.hacked=1>", "x" * 10_000)
    page = shown(overview_of(*(run_of(name, range(3)) for name in names)))
    assert "\ufffdevil" in page.inner_text(".grid-place")
    assert "\u202e" not in page.inner_text("main")
    assert "<img src=x" in page.inner_text(".grid-place")
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280


def test_saved_tables_hold_no_formulas_and_quote_what_needs_it(shown):
    page = shown(overview_of(run_of("fit", range(2))))
    text = page.evaluate(
        """async () => (await import("/download.js")).csvText({ columns: ["a", "b"], rows: [
            ["=1+1", -0.5], ["+x", "-3e-4"], ["@x", "-Infinity"], ['a "b", c', null], ["two\\nlines", true]] })"""
    )
    lines = ["a,b", "'=1+1,-0.5", "'+x,-3e-4", "'@x,-Infinity", '"a ""b"", c",', '"two\nlines",true', ""]
    assert text == "\r\n".join(lines)


def test_a_saved_picture_stands_alone_in_the_colours_shown(shown):
    page = shown(overview_of(run_of("fit \x07", range(6))))
    page.evaluate("held.dark(true)")
    with page.expect_download() as found:
        page.locator("#part-leakage").get_by_role("button", name="SVG").click()
    assert found.value.suggested_filename == "privacy-leakage-fit.svg"
    text = found.value.path().read_text("utf-8")
    root = ElementTree.fromstring(text)
    assert root[0].get("fill") == "#202124"
    assert "var(" not in text
    assert {"loss", "lira", "95 % interval"} <= {" ".join("".join(node.itertext()).split()) for node in root}


def test_reports_are_saved_as_they_are_at_the_epoch(shown):
    page = shown(overview_of(run_of("fit", range(6))))
    with page.expect_download() as found:
        page.get_by_role("button", name="JSON").click()
    assert found.value.suggested_filename == "privacy-reports-fit-epoch-6.json"
    reports = json.loads(found.value.path().read_text())["reports"]
    assert [(one["attack"], one["report"]) for one in reports] == [("loss", {"step": 5}), ("lira", {"step": 5})]
    assert {(one["step"], one["epoch"]) for one in reports} == {(5, 6)}


def test_a_newer_data_version_is_refused_in_words(chromium):
    opened, address = chromium
    with opened.page(1280, 900) as watched:
        page = watched.open(address)
        page.evaluate(SHOWN, overview_of() | {"schema_version": 2})
        assert "version 2; this page reads version 1" in page.inner_text("body")
