"""The page as one file: what it holds, what is escaped, and that a browser opens it without a request."""

import base64
import hashlib
import html.parser
import json
import os
import re
import stat

import numpy as np
import pytest
from browser import open_browser

from privacy_callbacks.privacy_page.one_file import one_file_page, write_page
from privacy_callbacks.privacy_page.page_files import PAGE_FILES, STATIC, names_in, page_file

TINY = {
    "one_file.js": """\
/** Starts. */
import { shown, GREETING } from "./view.js";
import { data } from "./data.js";

export function startOneFile() {
  document.body.append(shown(`${GREETING} ${data().name}`));
  document.documentElement.dataset.painted = "1";
}
""",
    "view.js": """\
import { data } from "./data.js";

export const GREETING = "hello";

/** A paragraph. */
export function shown(text) {
  const element = document.createElement("p");
  element.textContent = `${text}, ${data().more}`;
  return element;
}
""",
    "data.js": 'export function data() {\n  return JSON.parse(document.getElementById("privacy-data").textContent);\n}\n',
    "page.css": "p { color: rgb(1, 2, 3); }\n",
    "views.css": "p { margin: 0; }\n",
    "note.txt": "no part of the page",
}


def folder_of(files, path):
    for name, text in files.items():
        (path / name).write_text(text)
    return path


@pytest.fixture
def static(tmp_path):
    folder = tmp_path / "static"
    folder.mkdir()
    return folder_of(TINY, folder)


class Elements(html.parser.HTMLParser):
    """The elements of a page with their attributes and text, as a browser takes them apart."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append([tag, dict(attrs), ""])

    def handle_data(self, data):
        if self.found:
            self.found[-1][2] += data

    def of(self, tag):
        return [(attributes, text) for found, attributes, text in self.found if found == tag]


def embedded(page):
    return json.loads(Elements(page).of("script")[0][1])


# ------------------------------------------------------------------------------------------------------------ the page


def test_the_page_holds_code_style_and_data_and_names_nothing_else(static):
    page = one_file_page({"name": "world"}, "My title", static)
    elements = Elements(page)
    assert [attributes.get("src") for attributes, _ in elements.of("script")] == [None, None]
    assert [attributes["href"] for attributes, _ in elements.of("link")] == ["data:,"]
    assert elements.of("title")[0][1] == "My title\n"
    assert embedded(page) == {"name": "world", "title": "My title"}
    assert elements.of("script")[1][1].rstrip().endswith("startOneFile();")
    assert "color: rgb(1, 2, 3)" in elements.of("style")[0][1].split("margin")[0]
    assert "no part of the page" not in page
    assert "JavaScript, which is switched off here" in elements.of("p")[0][1]


def test_the_policy_allows_this_script_and_this_style_alone(static):
    page = one_file_page({}, "title", static)
    elements = Elements(page)
    policy = elements.of("meta")[1][0]["content"]
    script = re.search(r'<script type="module">(.*)</script>', page, re.DOTALL)[1]
    style = re.search(r"<style>(.*)</style>", page, re.DOTALL)[1]
    hashed = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (script, style)]
    assert policy == (
        f"default-src 'none'; script-src 'sha256-{hashed[0]}'; style-src 'sha256-{hashed[1]}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


HOSTILE = "</script><script>alert(1)</script><!-- <img src=x onerror=alert(1)> & ' \" \u2028 \u2029 \ud800 \0 é 漢"


def test_hostile_text_stays_text(static):
    page = one_file_page({"name": HOSTILE, HOSTILE: [HOSTILE]}, HOSTILE, static)
    assert embedded(page) == {"name": HOSTILE, HOSTILE: [HOSTILE], "title": HOSTILE}
    data = re.search(r'id="privacy-data">(.*?)</script>', page, re.DOTALL)[1]
    assert not set("<>&\u2028\u2029") & set(data)
    assert len(Elements(page).of("script")) == 2
    assert Elements(page).of("img") == []
    assert "&lt;/script&gt;" in page
    page.encode()  # half of a surrogate pair cannot be written


@pytest.mark.parametrize(
    ("value", "error", "said"),
    [
        ([1.0, float("nan")], ValueError, r"data\['a'\]\[1\] is nan, which JSON has no number for; give the string"),
        ({"b": -float("inf")}, ValueError, r"data\['a'\]\['b'\] is -inf"),
        (np.float32(1), TypeError, r"data\['a'\] is of type float32; give plain Python types"),
        ((np.int64(1),), TypeError, r"data\['a'\]\[0\] is of type int64"),
        ({1, 2}, TypeError, r"data\['a'\] is of type set"),
    ],
)
def test_what_strict_json_cannot_hold_is_refused_with_its_place(static, value, error, said):
    with pytest.raises(error, match=said):
        one_file_page({"a": value}, "title", static)


@pytest.mark.parametrize("text", ["</script>", "<!--", "<SCRIPT"])
def test_a_module_that_would_end_its_script_is_refused(static, text):
    (static / "data.js").write_text(TINY["data.js"] + f'export const TRAP = "{text}";\n')
    with pytest.raises(ValueError, match="which would end the script inside a page"):
        one_file_page({}, "title", static)


@pytest.mark.parametrize("text", ["@import 'x.css';", "p { background: url(x.png) }", "/* </style> */"])
def test_a_style_sheet_that_loads_or_ends_is_refused(static, text):
    (static / "page.css").write_text(text)
    with pytest.raises(ValueError, match="in one file there is nothing to load"):
        one_file_page({}, "title", static)


def test_the_data_given_are_not_changed(static):
    data = {"name": "world"}
    one_file_page(data, "title", static)
    assert data == {"name": "world"}


def test_line_ends_of_other_systems_change_neither_script_nor_style(tmp_path, static):
    other = tmp_path / "other"
    other.mkdir()
    for name, text in TINY.items():
        (other / name).write_bytes(text.replace("\n", "\r\n").encode())
    assert one_file_page({}, "title", other) == one_file_page({}, "title", static)


def test_a_page_is_whole_or_what_it_was_before(tmp_path, monkeypatch):
    path = tmp_path / "page.html"
    write_page("first", path)
    write_page("second", path)
    assert path.read_text() == "second"

    def fail(*_):
        raise OSError("no space left")

    monkeypatch.setattr("privacy_callbacks.privacy_page.one_file.os.replace", fail)
    with pytest.raises(OSError, match="no space left"):
        write_page("third", path)
    assert path.read_text() == "second"
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]


# ----------------------------------------------------------------------------------------------------------- its files


def test_the_files_are_the_modules_and_style_sheets_of_the_folder(static):
    assert names_in(static) == ("data.js", "one_file.js", "page.css", "view.js", "views.css")
    assert names_in(static / "missing") == ()
    assert names_in(STATIC) == PAGE_FILES


def test_files_are_had_by_name_and_by_nothing_else():
    content, content_type = page_file("dom.js")
    assert (content, content_type) == ((STATIC / "dom.js").read_bytes(), "text/javascript")
    assert page_file("page.css")[1] == "text/css"
    for name in ("../page_files.py", "/dom.js", "static/dom.js", "dom.js\0", "", ".", "DOM.JS", "missing.js"):
        assert page_file(name) is None


# --------------------------------------------------------------------------------------------------------- in a browser


@pytest.mark.slow
def test_a_browser_opens_the_file_runs_its_script_and_asks_for_nothing(static, tmp_path):
    path = tmp_path / "page.html"
    write_page(one_file_page({"name": HOSTILE, "more": "é 漢"}, HOSTILE, static), path)
    with open_browser() as browser:
        with browser.page() as watched:
            page = watched.open(path)
            page.wait_for_selector("html[data-painted]", state="attached")
            shown = page.evaluate("JSON.stringify(document.querySelector('p:last-of-type').textContent)")
            assert json.loads(shown) == f"hello {HOSTILE}, é 漢"
            assert page.evaluate("getComputedStyle(document.querySelector('p:last-of-type')).color") == "rgb(1, 2, 3)"
            watched.assert_clean(path)
            assert [url for url in watched.requests if not url.startswith("data:")] == [path.as_uri()]
        with browser.page(scripts=False) as watched:
            page = watched.open(path)
            assert "switched off" in page.locator("body").inner_text()


@pytest.mark.slow
def test_the_policy_stops_what_a_page_should_never_do(static, tmp_path):
    """If text ever became markup, or a module asked for something, the browser would refuse."""
    trying = """\
export function startOneFile() {
  const script = document.createElement("script");
  script.textContent = "window.injected = true";
  document.body.append(script);
  document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='window.injected = true'>");
  document.body.insertAdjacentHTML("beforeend", "<p id=styled style='color: red'>text</p>");
  fetch("https://example.org/").catch(() => { document.documentElement.dataset.painted = "refused"; });
}
"""
    (static / "one_file.js").write_text(trying)
    path = tmp_path / "page.html"
    write_page(one_file_page({}, "title", static), path)
    with open_browser() as browser, browser.page() as watched:
        page = watched.open(path)
        page.wait_for_selector("html[data-painted=refused]", state="attached")
        assert page.evaluate("window.injected") is None
        assert page.evaluate("getComputedStyle(document.getElementById('styled')).color") == "rgb(1, 2, 3)"
        assert any("Content Security Policy" in text for _, text in watched.console)


def test_a_link_stays_a_link_and_a_long_name_can_be_written(tmp_path):
    place, link = tmp_path / f"{'x' * 240}.html", tmp_path / "link.html"
    place.write_text("old")
    link.symlink_to(place)
    write_page("new", link)
    assert link.is_symlink()
    assert place.read_text() == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([place.name, link.name])


def test_a_device_stays_a_device():
    write_page("nowhere", os.devnull)
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)
