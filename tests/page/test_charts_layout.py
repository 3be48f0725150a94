"""The Custom Scalars tab without a plugin of ours: what is written, what TensorBoard makes of it, what a browser shows."""

import json
import re

import browser
import pytest
import tensorflow as tf
from tensorboard import context
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.plugins import base_plugin
from tensorboard.plugins.custom_scalar.custom_scalars_plugin import CustomScalarsPlugin

from privacy_callbacks import MIACallback
from privacy_callbacks.attacks import Threshold
from privacy_callbacks.attacks.estimate import LEVEL
from privacy_callbacks.charts_layout import charts_layout, write_layout

CHARTS = ["AUC of every attack", "TPR at 1 % FPR of every attack", "Advantage of every attack"]
BAND = f"AUC with {100 * LEVEL:g} % interval: pick a few runs"


def provider_of(logdir):
    multiplexer = EventMultiplexer(tensor_size_guidance={"custom_scalars": 0})
    multiplexer.AddRunsFromDirectory(str(logdir))
    multiplexer.Reload()
    return MultiplexerDataProvider(multiplexer, str(logdir))


def shown_layout(logdir):
    """The layout as the tab's own backend hands it to the browser."""
    plugin = CustomScalarsPlugin(base_plugin.TBContext(logdir=str(logdir), data_provider=provider_of(logdir)))
    return json.loads(plugin.layout_impl(context.RequestContext(), ""))


def categories(logdir):
    return {
        category["title"]: [chart["title"] for chart in category["chart"]]
        for category in shown_layout(logdir)["category"]
    }


def tags_drawn(name, tags):
    """By chart, which of these tags its pattern lets through, as the tab's backend matches them."""
    charts = charts_layout(name).category[0].chart
    patterns = {chart.title: chart.multiline.tag[0] for chart in charts if chart.multiline.tag}
    return {title: [tag for tag in tags if re.compile(pattern).match(tag)] for title, pattern in patterns.items()}


def test_each_chart_draws_its_metric_and_nothing_that_begins_alike():
    metrics = [
        "auc",
        "auc_low",
        "auc_high",
        "advantage",
        "advantage_null_level",
        "tpr_at_fpr_1e-2",
        "tpr_at_fpr_1e-2_low",
    ]
    drawn = tags_drawn("mia", [f"mia/{metric}" for metric in metrics] + ["mia_slices/x/auc", "miax/auc"])
    assert drawn == dict(zip(CHARTS, [["mia/auc"], ["mia/tpr_at_fpr_1e-2"], ["mia/advantage"]], strict=True))


@pytest.mark.parametrize("name", ["my-mia", "a.b", "leak (1)", "c++", "[x]", "ä"])
def test_a_name_is_no_pattern(name):
    assert tags_drawn(name, [f"{name}/auc", "mia/auc"])[CHARTS[0]] == [f"{name}/auc"]


def test_the_interval_is_drawn_from_the_tags_that_are_written():
    (series,) = charts_layout("mia").category[0].chart[-1].margin.series
    assert (series.value, series.lower, series.upper) == ("mia/auc", "mia/auc_low", "mia/auc_high")


def test_tensorboard_reads_the_layout_back(tmp_path):
    write_layout(tmp_path / "run1", "mia")
    assert categories(tmp_path) == {"mia: leakage by attack": [*CHARTS, BAND]}


def test_the_layout_has_a_run_of_its_own_that_holds_nothing_else(tmp_path):
    write_layout(f"{tmp_path}/run1/", "mia")
    provider = provider_of(tmp_path)
    (run,) = provider.list_runs(context.RequestContext(), experiment_id="")
    assert run.run_name == "run1/mia"
    for plugin in ("privacy", "scalars"):
        assert not provider.list_tensors(context.RequestContext(), experiment_id="", plugin_name=plugin)
        assert not provider.list_scalars(context.RequestContext(), experiment_id="", plugin_name=plugin)


def test_fits_of_one_name_share_their_charts_and_each_name_has_its_own(tmp_path):
    for run, name in [("run1", "mia"), ("run2", "mia"), ("run2", "other"), ("run3", "other"), ("run1", "mia")]:
        write_layout(tmp_path / run, name)
    everything = [*CHARTS, BAND]
    assert categories(tmp_path) == {"mia: leakage by attack": everything, "other: leakage by attack": everything}


def test_it_is_written_where_recording_was_switched_off(tmp_path):
    with tf.summary.record_if(False):
        write_layout(tmp_path, "mia")
    assert categories(tmp_path)


@pytest.fixture
def fitted(tmp_path, blobs, make_model):
    """TensorBoard's directory after two small fits, each with its layout."""
    members, nonmembers = blobs
    for run in ("run1", "run2"):
        attacks = [Threshold("loss"), Threshold("confidence")]
        mia = MIACallback(members, nonmembers, attacks=attacks, audit_size=90, log_dir=tmp_path / run)
        with pytest.warns(UserWarning, match="cannot resolve"):
            make_model().fit(*members, epochs=4, verbose=0, callbacks=[mia])
    return tmp_path


# The cards lie in nested shadow roots: (title, number of series) of each.
SERIES_OF_CARDS = """() => {
  const inside = (node) => (node.shadowRoot ? within(node.shadowRoot) : []);
  const within = (root) => [...root.querySelectorAll("*")].flatMap((node) => [node, ...inside(node)]);
  const cards = within(document).filter((node) => /^tf-custom-scalar-.*-chart-card$/.test(node.localName));
  return cards.map((card) => [card.title, Number(/Matches \\((\\d+)\\)/.exec(card.shadowRoot.textContent)?.[1] ?? 0)]);
}"""


@pytest.mark.slow
@pytest.mark.parametrize("fast", [True, False], ids=["RustBoard", "Python"])
def test_the_browser_shows_attacks_side_by_side_and_the_interval(fitted, tmp_path, fast):
    with (
        browser.serve_tensorboard(fitted, fast=fast) as url,
        browser.open_browser() as chromium,
        chromium.page(1280, 1000) as seen,
    ):
        page = seen.open(f"{url}#custom_scalars")
        page.get_by_text("mia: leakage by attack").wait_for()
        # Two fits, two attacks each; so few records resolve no false positive rate of 1 %.
        expected = {CHARTS[0]: 4, CHARTS[1]: 0, CHARTS[2]: 4, BAND: 4}
        for _ in range(50):
            page.wait_for_timeout(200)
            if (counts := dict(page.evaluate(SERIES_OF_CARDS))) == expected:
                break
        seen.screenshot(tmp_path / "charts.png")
        seen.assert_clean(url)
    assert counts == expected
