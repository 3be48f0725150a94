"""Leakage beside hyperparameters: what TensorBoard's HParams tab makes of a fit's logs."""

import json
import subprocess
import sys
import time
import urllib.request

import browser
import pytest
import tensorflow as tf
from tensorboard.plugins.hparams import api as hp

from privacy_callbacks import MIACallback, hparams_metrics
from privacy_callbacks.attacks import Threshold

STATUSES = ["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"]
LOSS, CONFIDENCE = "mia/loss", "mia/confidence"


def named(metrics):
    """(run below the session's, tag, title) of each."""
    found = [metric.as_proto() for metric in metrics]
    return [(one.name.group, one.name.tag, one.display_name) for one in found]


def test_metrics_come_before_attacks_so_that_the_first_five_columns_compare():
    assert named(hparams_metrics(["lira", "loss"])) == [
        ("mia/lira", "mia/auc", "mia/lira AUC"),
        ("mia/loss", "mia/auc", "mia/loss AUC"),
        ("mia/lira", "mia/tpr_at_fpr_1e-2", "mia/lira TPR at 1 % FPR"),
        ("mia/loss", "mia/tpr_at_fpr_1e-2", "mia/loss TPR at 1 % FPR"),
    ]


def test_one_attack_and_one_metric_may_be_given_by_name():
    assert named(hparams_metrics("loss", "auc_low", name="leak")) == [
        ("leak/loss", "leak/auc_low", "leak/loss AUC, low end")
    ]
    assert named(hparams_metrics()) == named(hparams_metrics(["loss"], ["auc", "tpr_at_fpr_1e-2"]))


@pytest.mark.parametrize(
    ("metric", "title"),
    [
        ("tpr_at_fpr_1e-1", "TPR at 10 % FPR"),
        ("tpr_at_fpr_1e-3_high", "TPR at 0.1 % FPR, high end"),
        ("advantage_null_level", "advantage, null level"),
        ("youden_j", "Youden's J"),
    ],
)
def test_titles_say_what_the_numbers_are(metric, title):
    assert named(hparams_metrics("loss", metric)) == [(LOSS, f"mia/{metric}", f"mia/loss {title}")]


@pytest.mark.parametrize("metric", ["accuracy", "auc_lower", "tpr", "_low", "", 0.01, None])
def test_an_unknown_metric_is_refused(metric):
    with pytest.raises(ValueError, match=r"metrics has .*; give some of auc, advantage, .* or with _low, _high"):
        hparams_metrics("loss", [metric])


@pytest.mark.parametrize("attack", [Threshold("loss"), "", 3])
def test_an_attack_that_is_no_name_is_refused(attack):
    with pytest.raises(ValueError, match=r"attacks has .*; give the names of the callback's attacks, such as 'loss'"):
        hparams_metrics([attack])


def fit(blobs, model, log_dir, callbacks=()):
    members, nonmembers = blobs
    attacks = [Threshold("loss"), Threshold("confidence")]
    mia = MIACallback(members, nonmembers, attacks=attacks, audit_size=90, log_dir=log_dir, slices="class")
    with pytest.warns(UserWarning, match="cannot resolve"):
        model.fit(*members, epochs=3, verbose=0, callbacks=[mia, *callbacks])
    return {report.attack: float(report.auc) for report in mia.reports if report.slice == "entire"}


def asked(url, path, **more):
    """What the tab's own backend answers."""
    body = {"experimentName": "", "includeMetrics": True, **more}
    request = urllib.request.Request(
        f"{url}data/plugin/hparams/{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def columns(url):
    return [(one["name"].get("group", ""), one["name"]["tag"]) for one in asked(url, "experiment")["metricInfos"]]


def aucs(url):
    """By the learning rate logged: the AUC of each attack, and the step it is of."""
    return {
        group["hparams"]["learning_rate"]: {
            value["name"]["group"]: (value["value"], value.get("trainingStep", 0))
            for value in group["metricValues"]
            if value["name"]["tag"] == "mia/auc"
        }
        for group in asked(url, "session_groups", allowedStatuses=STATUSES, sliceSize=10)["sessionGroups"]
    }


def aucs_once_read(url, expected):
    """The same, as soon as they are what is expected: TensorBoard lists a run before it has read all of it."""
    end = time.monotonic() + 20
    while (found := aucs(url)) != expected and time.monotonic() < end:
        time.sleep(0.2)
    return found


RATES = (0.01, 0.05)


@pytest.fixture
def logs(tmp_path, blobs, make_model):
    """(TensorBoard's directory, the last AUC of each attack by learning rate): hyperparameters logged in both ways."""
    by_callback, by_writer = tmp_path / "by_callback", tmp_path / "by_writer"
    found = {}
    for rate, log_dir in zip(RATES, (by_callback, by_writer), strict=True):
        chosen = {"learning_rate": rate}
        model = make_model(optimizer=tf.keras.optimizers.Adam(rate))
        if log_dir == by_callback:
            last = fit(blobs, model, log_dir, [hp.KerasCallback(str(log_dir), chosen)])
        else:
            with tf.summary.create_file_writer(str(log_dir)).as_default():
                hp.hparams(chosen)
            last = fit(blobs, model, log_dir)
        found[rate] = {f"mia/{attack}": (pytest.approx(auc, abs=1e-6), 2) for attack, auc in last.items()}
    return tmp_path, found


@pytest.mark.slow
@pytest.mark.parametrize("fast", [True, False], ids=["RustBoard", "Python"])
def test_without_help_the_last_numbers_are_there_among_many(logs, fast):
    logdir, last = logs
    with browser.serve_tensorboard(logdir, fast=fast) as url:
        assert aucs_once_read(url, last) == last
        there = columns(url)
    assert {(LOSS, "mia/auc"), (CONFIDENCE, "mia/auc")} < set(there)
    assert {(LOSS, "mia/auc_low"), (LOSS, "mia_slices/class_0/auc")} < set(there)


@pytest.mark.slow
@pytest.mark.parametrize("fast", [True, False], ids=["RustBoard", "Python"])
def test_with_the_metrics_given_the_browser_shows_them_and_nothing_else(logs, tmp_path, fast):
    logdir, last = logs
    metrics = hparams_metrics(["loss", "confidence"], ["auc", "youden_j"])
    with tf.summary.create_file_writer(str(logdir)).as_default():
        hp.hparams_config(hparams=[hp.HParam("learning_rate", hp.Discrete(RATES))], metrics=metrics)
    with browser.serve_tensorboard(logdir, fast=fast) as url:
        assert aucs_once_read(url, last) == last
        assert columns(url) == [(group, tag) for group, tag, _ in named(metrics)]
        with browser.open_browser() as chromium, chromium.page(1440, 700) as seen:
            page = seen.open(f"{url}#hparams")
            heads = page.locator("tf-hparams-table-view .table-header:visible")
            heads.filter(has_text="mia/confidence AUC").first.wait_for()
            titles = [" ".join(head.inner_text().split()) for head in heads.all()]
            seen.screenshot(tmp_path / "hparams.png")
            seen.assert_clean(url)
    assert titles[-5:] == ["learning_rate", *(title for _, _, title in named(metrics))]


def test_importing_it_brings_no_tensorflow():
    code = "import sys; from privacy_callbacks import hparams_metrics; print('tensorflow' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
