"""The browser that other tests look through sees what they rely on: complaints, refusals, and every request."""

import asyncio

import browser
import pytest

pytestmark = pytest.mark.slow


def loops():
    """What fails, without leaving a coroutine behind, where a loop is running."""
    nothing = asyncio.sleep(0)
    try:
        asyncio.run(nothing)
    finally:
        nothing.close()


def test_a_browser_that_was_closed_leaves_no_loop_running_for_other_tests():  # before the module's own is open
    with browser.open_browser() as opened, opened.page() as seen:
        seen.open("about:blank")
        with pytest.raises(RuntimeError, match="running event loop"):
            loops()
    loops()


@pytest.fixture(scope="module")
def chromium():
    with browser.open_browser() as opened:
        yield opened


def page_of(tmp_path, body):
    file = tmp_path / "page.html"
    file.write_text(f"<!doctype html><title>x</title><link rel=icon href=data:,>{body}", encoding="utf-8")
    return file


def test_a_page_that_keeps_to_itself_is_clean(chromium, tmp_path):
    file = page_of(
        tmp_path, "<img src='data:image/gif;base64,R0lGODlhAQABAAAAACw='><script>console.log('seen')</script>"
    )
    with chromium.page() as seen:
        seen.open(file)
        seen.assert_clean(file)
    assert ("log", "seen") in seen.console


@pytest.mark.parametrize(
    "body",
    [
        "<img src='http://outside.invalid/x.png'>",
        "<script>fetch('https://outside.invalid/').catch(() => {})</script>",
        "<script>new Worker(URL.createObjectURL(new Blob(['fetch(\"https://outside.invalid/\").catch(()=>0)'])))</script>",
    ],
    ids=["picture", "script", "worker"],
)
def test_a_request_that_leaves_is_seen(chromium, tmp_path, body):
    file = page_of(tmp_path, body)
    with chromium.page() as seen:
        seen.open(file).wait_for_timeout(500)
        assert len(seen.outside(file)) == 1
        with pytest.raises(AssertionError):
            seen.assert_clean(file)


@pytest.mark.parametrize(
    "body",
    ["<script>console.error('no')</script>", "<script>null.x</script>", "<script>Promise.reject(Error())</script>"],
)
def test_complaints_are_seen_unless_they_are_known(chromium, tmp_path, body):
    file = page_of(tmp_path, body)
    with chromium.page() as seen:
        seen.open(file).wait_for_timeout(100)
        with pytest.raises(AssertionError):
            seen.assert_clean(file)
        seen.assert_clean(file, known=["."])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_hears_of_the_colour_scheme_and_the_size(chromium, tmp_path, scheme):
    with chromium.page(1920, 1080, scheme) as seen:
        page = seen.open(page_of(tmp_path, "<p>hello"))
        assert page.evaluate(f"matchMedia('(prefers-color-scheme: {scheme})').matches && innerWidth === 1920")
        seen.screenshot(tmp_path / "shots" / "whole.png")
        seen.screenshot(tmp_path / "shots" / "part.png", "p")
    assert len(list((tmp_path / "shots").iterdir())) == 2


def test_without_scripts_none_runs(chromium, tmp_path):
    with chromium.page(scripts=False) as seen:
        page = seen.open(page_of(tmp_path, "<noscript>none</noscript><script>console.log(1)</script>"))
        assert page.inner_text("body") == "none"
    assert seen.console == []


def test_without_a_browser_a_test_is_skipped_but_fails_where_one_is_required(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("REQUIRE_BROWSER", raising=False)
    with pytest.raises(pytest.skip.Exception, match="apt-get install chromium"):
        browser.require_chromium()
    monkeypatch.setenv("REQUIRE_BROWSER", "1")
    with pytest.raises(pytest.fail.Exception, match="none of chromium"):
        browser.require_chromium()


def test_a_tensorboard_that_lacks_a_run_says_which(tmp_path):
    with (
        pytest.raises(RuntimeError, match=r"did not list the runs \['never'\] within"),
        browser.serve_tensorboard(tmp_path, runs=["never"], seconds=3),
    ):
        raise AssertionError("it must not come here")
