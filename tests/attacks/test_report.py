import copy
import json
import pickle

import numpy as np
import pytest
from gaussian_world import GaussianWorld

from privacy_callbacks.attacks import Estimate, LeakageReport
from privacy_callbacks.attacks.report import failed_report, low_fpr_name


@pytest.fixture
def report():
    scores, is_member = GaussianWorld(1.0).draw(1_200, 1_200, np.random.default_rng(0))
    return LeakageReport.from_scores(scores, is_member, attack="loss", step=3, warnings=("mind the gap",))


def test_every_number_travels_with_its_uncertainty(report):
    for name, estimate in report.estimates().items():
        if estimate is None:
            assert name in report.refusals
        elif name in ("advantage", "mutual_information"):
            assert estimate.null_level is not None
        else:
            assert isinstance(estimate, Estimate)
            assert estimate.low <= estimate <= estimate.high


def test_what_the_audit_cannot_resolve_is_refused_with_the_reason(report):
    assert set(report.tpr_at_fpr) == {0.1, 0.01, 0.001}
    assert report.tpr_at_fpr[0.01] is not None
    assert report.tpr_at_fpr[0.001] is None
    assert "needs 10,000 non-members" in report.refusals["tpr_at_fpr_1e-3"]
    assert "tpr_at_fpr_1e-3" not in report.scalars()


def test_scalars_are_plain_floats_by_the_names_tensorboard_shows(report):
    scalars = report.scalars()
    expected = {"auc", "auc_low", "auc_high", "advantage", "advantage_null_level", "youden_j", "tpr_at_fpr_1e-2"}
    assert expected <= set(scalars)
    assert {type(value) for value in scalars.values()} == {float}
    assert scalars["auc_low"] < scalars["auc"] < scalars["auc_high"]


def test_the_report_is_json(report):
    plain = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert plain["schema_version"] == 2
    assert plain["auc"] == {
        "value": float(report.auc),
        "low": report.auc.low,
        "high": report.auc.high,
        "level": 0.95,
    }
    assert plain["tpr_at_fpr_1e-3"] is None
    assert plain["warnings"] == ["mind the gap"]


def test_the_summary_reads_as_a_table_and_shows_itself(report):
    text = report.summary()
    assert repr(text) == str(text) == text
    assert text.startswith("loss · after epoch 4 · 1,200 members against 1,200 non-members\n")
    assert "AUC" in text
    assert "refused  needs 10,000 non-members" in text
    assert "12 false positives" in text
    assert text.endswith("! mind the gap")


def test_one_record_a_side_is_judged_as_far_as_it_can_be():
    report = LeakageReport.from_scores([1.0, 0.0], [1, 0])
    assert (float(report.auc), report.auc.low) == (1.0, pytest.approx(0.025))
    assert report.youden_j is None
    assert report.balanced_accuracy is None
    assert "cannot be halved" in report.refusals["youden_j"]
    assert "refused  too few records" in report.summary()


def test_a_failed_report_is_marked_and_has_no_numbers():
    report = failed_report("loss", "audit failed: outputs are NaN", step=4, num_members=5, num_nonmembers=5)
    assert report.failed
    assert report.scalars() == {}
    assert all(estimate is None for estimate in report.estimates().values())
    assert report.summary().split("\n")[1:] == ["  no result", "  ! audit failed: outputs are NaN"]


def test_the_seed_decides_the_halves_and_nothing_else():
    scores, is_member = GaussianWorld(1.0).draw(200, 200, np.random.default_rng(1))
    first, same, other = (LeakageReport.from_scores(scores, is_member, seed=seed) for seed in (0, 0, 5))
    assert first.scalars() == same.scalars()
    assert first.youden_j != other.youden_j
    assert repr(first.auc) == repr(other.auc)


def test_a_metric_of_exactly_zero_is_not_lost():
    plain = LeakageReport.from_scores(np.ones(12), [1, 0] * 6).to_dict()
    assert plain["youden_j"]["value"] == 0.0
    assert plain["youden_j"]["low"] < 0 < plain["youden_j"]["high"]


def test_notes_and_refusals_are_told():
    report = LeakageReport.from_scores([1.0, 0.0], [1, 0], notes=("made by hand",))
    assert report.summary().endswith("· made by hand")
    assert "cannot be halved" in report.to_dict()["refusals"]["youden_j"]
    assert report.to_dict()["notes"] == ["made by hand"]


def test_the_level_is_that_of_every_interval():
    scores, is_member = GaussianWorld(1.0).draw(300, 300, np.random.default_rng(0))
    narrow, wide = (LeakageReport.from_scores(scores, is_member, level=level) for level in (0.8, 0.99))
    for name, estimate in wide.estimates().items():
        if estimate is None:
            continue
        assert estimate.level == 0.99
        tighter = narrow.estimates()[name]
        if estimate.low is None:
            assert tighter.null_level < estimate.null_level
        else:
            assert estimate.low < tighter.low <= tighter.high < estimate.high


def test_a_report_can_be_pickled_and_copied(report):
    for twin in (pickle.loads(pickle.dumps(report)), copy.deepcopy(report)):
        assert twin.to_dict() == report.to_dict()
        np.testing.assert_array_equal(twin.roc.thresholds, report.roc.thresholds)


def test_global_random_state_is_neither_read_nor_set():
    scores, is_member = GaussianWorld(0.0).draw(100, 100, np.random.default_rng(2))
    before = np.random.get_state()[1].copy()
    LeakageReport.from_scores(np.round(scores), is_member)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


@pytest.mark.parametrize(
    ("fpr", "name"), [(0.1, "tpr_at_fpr_1e-1"), (0.01, "tpr_at_fpr_1e-2"), (0.025, "tpr_at_fpr_2.5e-2")]
)
def test_low_fpr_names(fpr, name):
    assert low_fpr_name(fpr) == name
