"""From `fit` to the screen: a real fit writes, a real TensorBoard serves, a real browser shows what the reports say."""

import re

import keras
import pytest
from browser import open_browser, serve_tensorboard

from privacy_callbacks import MIACallback
from privacy_callbacks.attacks import LiRA, Threshold

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*cannot resolve a false positive rate:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*each shadow model trains on:UserWarning"),
]


@pytest.fixture
def fitted(make_model, blobs, tmp_path):
    """(log directory, the callback) after five epochs of two attacks on three classes."""
    mia = MIACallback(
        *blobs,
        attacks=[LiRA(), Threshold("loss")],
        shadow_models=4,
        log_dir=tmp_path / "run1",
        slices="class",
        log_records=5,
    )
    model = make_model(metrics=["accuracy"])
    board = keras.callbacks.TensorBoard(tmp_path / "run1")
    model.fit(*blobs[0], validation_data=blobs[1], epochs=5, batch_size=30, verbose=0, callbacks=[mia, board])
    return tmp_path, mia


def frame_of(page):
    """The tab's own frame, once its first chart stands."""
    frame = page.wait_for_selector("iframe[src*='name=privacy']").content_frame()
    frame.wait_for_selector("html[data-painted]", state="attached")
    return frame


def figures_at(frame, step):
    """{attack: text} of the table beneath the leakage chart."""
    frame.wait_for_selector(f"html[data-drawn-step='{step}']", state="attached")
    rows = frame.locator("details.figures tbody tr").all_inner_texts()
    return dict(row.split("\t") for row in rows)


def told(report):
    """An AUC with its interval as the page writes it, to three significant digits."""
    value, low, high = (float(f"{number:.3g}") for number in (report.auc, report.auc.low, report.auc.high))
    return f"{value:g} [{low:g}, {high:g}]"


@pytest.mark.parametrize("fast", [True, False], ids=["data server", "Python loader"])
def test_the_tab_shows_what_the_reports_say(fitted, tmp_path_factory, fast):
    folder, mia = fitted
    with serve_tensorboard(folder, fast=fast) as address, open_browser() as browser, browser.page(1280, 900) as watched:
        page = watched.open(f"{address}#privacy")
        frame = frame_of(page)
        frame.locator("details.figures summary").click()
        reports = {(r.attack, r.step): r for r in mia.reports if r.slice == "entire"}
        assert figures_at(frame, 4) == {attack: told(reports[attack, 4]) for attack in ("lira", "loss")}
        for step, key in ((3, "ArrowLeft"), (2, "ArrowLeft"), (-1, "Home"), (4, "End")):
            frame.locator("input#epoch").press(key)
            assert figures_at(frame, step) == {attack: told(reports[attack, step]) for attack in ("lira", "loss")}
        slices = frame.locator(".slices-table tbody tr").all_inner_texts()
        newest = {r.slice: r for r in mia.reports if (r.attack, r.step) == ("lira", 4) and r.slice != "entire"}
        assert len(slices) == len(newest) == 3
        for row in slices:
            auc = newest[re.match(r"class \d", row)[0]].auc
            assert f"{auc:.3f} [{auc.low:.3f}, {auc.high:.3f}]" in row
        ids = frame.locator(".records-table tbody th").all_inner_texts()
        assert ids == [str(id) for id in mia.records().head(5)["id"]]
        assert str(mia.verdict)[:30] in frame.inner_text("body")
        watched.screenshot(tmp_path_factory.mktemp("seen") / "tab.png")
        watched.assert_clean(address)


def test_the_tab_of_a_log_directory_itself_and_with_a_growing_log(make_model, blobs, tmp_path):
    """TensorBoard's logdir is the log_dir itself; the page follows while `fit` runs."""
    mia = MIACallback(*blobs, attacks=Threshold("loss"), log_dir=tmp_path)
    mia.set_model(make_model())
    mia.set_params({"epochs": 9, "steps": None})
    mia.on_train_begin()
    mia.on_epoch_begin(0)
    mia.on_epoch_end(0, {"loss": 1.0})
    with (
        serve_tensorboard(tmp_path, runs=["mia/loss"]) as address,
        open_browser() as browser,
        browser.page() as watched,
    ):
        page = watched.open(f"{address}#privacy")
        frame = frame_of(page)
        assert frame.locator("input#epoch").get_attribute("max") == "1"
        mia.on_epoch_begin(1)
        mia.on_epoch_end(1, {"loss": 0.5})
        mia.on_train_end()
        page.wait_for_timeout(2_500)  # TensorBoard looks for new data every second
        page.locator("[aria-label='Reload data'], button:has(mat-icon[svgicon='refresh_24px'])").first.click()
        frame.wait_for_selector("input#epoch[max='2']")
        frame.wait_for_selector("html[data-drawn-step='1']", state="attached")  # it was at the newest, and stays there
        watched.assert_clean(address)
