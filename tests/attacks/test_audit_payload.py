"""What the Privacy tab is told of an audit is what the reports say."""

import json

import numpy as np
import pytest

from privacy_callbacks.attacks.audit_payload import SLICES_TOLD, audit_of, details_of, rounded
from privacy_callbacks.attacks.by_slice import sliced_reports
from privacy_callbacks.attacks.report import LeakageReport, failed_report
from privacy_callbacks.attacks.slices import Slice


def scored(members=600, nonmembers=600, leak=1.0, seed=0):
    rng = np.random.default_rng(seed)
    truth = np.arange(members + nonmembers) < members
    return rng.normal(size=truth.size) + leak * truth, truth


def test_an_audit_holds_the_report_its_words_and_whether_it_leads():
    report = LeakageReport.from_scores(*scored(), attack="lira", step=3)
    told = audit_of(report, True)
    assert told["headline"] is True
    assert "lira" in told["words"]
    again = LeakageReport.from_dict(told["report"])
    assert again.attack == "lira"
    assert again.step == 3
    assert float(again.auc) == pytest.approx(float(report.auc), rel=1e-5)
    assert again.auc.low == pytest.approx(report.auc.low, rel=1e-5)
    json.dumps(told, allow_nan=False)


def test_details_hold_curve_histogram_and_slices_worst_first():
    values, truth = scored(leak=0.0)
    values[truth & (np.arange(truth.size) % 3 == 0)] += 3.0
    third = np.arange(truth.size) % 3
    slices = [Slice(f"third {k}", third == k) for k in (2, 1, 0)] + [Slice("nobody", np.zeros(truth.size, bool))]
    whole = LeakageReport.from_scores(values, truth, "loss", step=0)
    parts = sliced_reports(values, truth, slices, "loss", step=0)
    told = details_of(whole, parts)
    assert told["roc"]["num_members"] == 600
    assert sum(told["scores"]["members"]) + sum(told["scores"][end][0] for end in ("below", "above")) == 600
    assert told["scores"]["ranks"] is False
    names = [part["slice"] for part in told["slices"]]
    assert names[0] == "third 0"
    assert names[-1] == "nobody"
    assert told["slices"][0]["holm_p_value"] < 1e-6
    assert told["slices"][-1]["auc"] is None
    assert "too small" in told["slices"][-1]["reason"]
    assert told["slices_left_out"] == 0
    json.dumps(told, allow_nan=False)


def test_of_many_slices_the_worst_are_told_and_the_others_counted():
    values, truth = scored(2_000, 2_000)
    group = np.arange(truth.size) % 100
    parts = sliced_reports(values, truth, [Slice(str(k), group == k) for k in range(100)], "loss")
    told = details_of(LeakageReport.from_scores(values, truth, "loss"), parts)
    assert len(told["slices"]) == SLICES_TOLD
    assert told["slices_left_out"] == 100 - SLICES_TOLD
    told_worst = {part["slice"] for part in told["slices"]}
    left_out = [part.auc.low for part in parts if part.slice not in told_worst]
    assert max(left_out) <= min(part["auc"]["low"] for part in told["slices"]) + 1e-5


def test_a_failed_audit_has_neither_curve_nor_histogram():
    told = details_of(failed_report("lira", "no shadow models"))
    assert told == {"roc": None, "scores": None, "slices": [], "slices_left_out": 0}
    assert "no shadow models" in audit_of(failed_report("lira", "no shadow models"), False)["words"]


def test_cross_fitted_scores_have_no_band_and_say_that_they_are_ranks():
    values, truth = scored(100, 100)
    told = details_of(LeakageReport.from_scores(values, truth, "trained", folds=np.arange(200) % 2))
    assert told["roc"]["low"] is None
    assert told["scores"]["ranks"] is True


def test_numbers_are_rounded_to_six_digits_and_infinite_ones_are_words():
    assert rounded({"a": (1 / 3, np.float32(2.5), np.int64(7), True, None, float("-inf"), "x")}) == {
        "a": [0.333333, 2.5, 7, True, None, "-Infinity", "x"]
    }


@pytest.mark.parametrize(
    "scores", [lambda z: 1e6 + 0.1 * z, lambda z: (1 - 1e-6 * abs(z)).astype("float32"), lambda z: 1e-300 * z]
)
def test_bins_of_scores_that_lie_close_together_have_a_width(scores):
    truth = np.arange(1_000) < 500
    values = scores(np.random.default_rng(0).normal(size=1_000))
    edges = details_of(LeakageReport.from_scores(values, truth))["scores"]["edges"]
    gaps = np.diff(edges)
    assert (gaps > 0).all()
    np.testing.assert_allclose(gaps, gaps.mean(), rtol=0.01)


def test_the_band_is_at_the_reports_own_level():
    values, truth = scored()
    assert details_of(LeakageReport.from_scores(values, truth, level=0.9))["roc"]["level"] == 0.9
