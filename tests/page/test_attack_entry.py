"""Audits of one attack as columns; whatever a report lacks or holds wrongly is None, and nothing fails."""

import json
import math

import numpy as np
import pytest
from gaussian_world import GaussianWorld

from privacy_callbacks.attacks.report import LeakageReport, failed_report
from privacy_callbacks.privacy_page.attack_entry import METRICS, MOST_SENTENCES, attack_entry, metric_columns, rounded
from privacy_callbacks.privacy_page.page_version import package_version
from privacy_callbacks.privacy_page.thinning import evenly_spread, thinned_sentence


def report(step=0, **described):
    scores, is_member = GaussianWorld(1.0).draw(300, 300, np.random.default_rng(step + 1))
    return LeakageReport.from_scores(scores, is_member, attack="lira", step=step, **described)


def entry(*audits):
    return attack_entry("run1/mia/lira", "lira", True, audits)


def sentences(found):
    return [(said["text"], said["first"], said["last"], said["count"]) for said in found]


def test_every_metric_is_a_column_that_reads_as_the_reports_do():
    reports = [report(step) for step in (-1, 0, 5)]
    found = entry(*((one.step, one.to_dict(), f"words {one.step}") for one in reports))
    assert (found["id"], found["attack"], found["headline"]) == ("run1/mia/lira", "lira", True)
    assert found["steps"] == [-1, 0, 5]
    assert found["num_members"] == found["num_nonmembers"] == [300] * 3
    assert found["words"] == ["words -1", "words 0", "words 5"]
    assert found["failed"] == [False] * 3
    assert found["p_value"] == pytest.approx([one.p_value for one in reports], rel=1e-5)
    assert list(found["metrics"]) == list(METRICS)
    for name, columns in found["metrics"].items():
        for part in ("value", "low", "high", "null_level"):
            held = [one.estimates()[name] for one in reports]
            expected = [
                None if estimate is None else float(estimate) if part == "value" else getattr(estimate, part)
                for estimate in held
            ]
            if expected == [None] * 3:
                assert columns.get(part) == (expected if part == "value" else None)
            else:
                assert columns[part] == pytest.approx(expected, rel=1e-5)
        assert columns["level"] == 0.95
    assert set(found["refusals"]) == {"tpr_at_fpr_1e-2", "tpr_at_fpr_1e-3"}
    json.dumps(found, allow_nan=False)


def test_audits_stand_in_the_order_of_steps_and_of_a_step_the_later_counts():
    found = entry((3, report(3).to_dict(), "old"), (1, report(1).to_dict(), "one"), (3, report(9).to_dict(), "new"))
    assert found["steps"] == [1, 3]
    assert found["words"] == ["one", "new"]


def test_a_failed_audit_is_a_gap_with_its_reason():
    found = entry(
        (0, report(0).to_dict(), ""), (1, failed_report("lira", "outputs are NaN", step=1).to_dict(), "no result")
    )
    assert found["failed"] == [False, True]
    assert found["metrics"]["auc"]["value"][1] is None
    assert found["metrics"]["auc"]["low"][1] is None
    assert sentences(found["warnings"]) == [("outputs are NaN", 1, 1, 1)]
    assert found["refusals"] == {}


def test_a_sentence_is_told_once_those_said_last_first():
    audits = [report(step, warnings=("always", *(["once"] if step == 1 else []))).to_dict() for step in range(4)]
    found = entry(*((step, audit, "") for step, audit in enumerate(audits)))
    assert sentences(found["warnings"]) == [("always", 0, 3, 4), ("once", 1, 1, 1)]


def test_of_very_many_sentences_the_latest_are_told_and_the_others_counted():
    audits = [(step, {"notes": [f"note {step}"]}, "") for step in range(MOST_SENTENCES + 20)]
    found = entry(*audits)["notes"]
    assert len(found) == MOST_SENTENCES + 1
    assert found[0]["text"] == f"note {MOST_SENTENCES + 19}"
    assert found[-1] == {
        "text": "20 further notes of earlier audits stand in their reports.",
        "first": 0,
        "last": 19,
        "count": 20,
    }


def test_what_voids_an_audit_is_told_even_if_the_newest_failed():
    audits = [report(0, void="the sides differ"), failed_report("lira", "no", step=1)]
    assert entry(*((one.step, one.to_dict(), "") for one in audits))["void"] == "the sides differ"
    assert entry((0, report(0).to_dict(), ""))["void"] is None


def test_of_several_reasons_for_voidness_the_newest_is_told():
    audits = [(step, report(step, void=f"reason {step}").to_dict(), "") for step in (0, 1)]
    assert entry(*audits)["void"] == "reason 1"


def test_further_rates_are_metrics_too():
    found = entry((0, {"auc": {"value": 0.6}, "tpr_at_fpr_5e-2": {"value": 0.2}, "tpr_at_fpr_x": {"value": 1}}, ""))
    assert list(found["metrics"]) == [*METRICS, "tpr_at_fpr_5e-2"]


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"auc": None},
        {"auc": 0.7},
        {"auc": [0.7]},
        {"auc": {"value": "high", "low": {}, "high": True, "level": 7}},
        {"auc": {"value": 10**400}},
        {"warnings": "text", "notes": {"a": 1}, "refusals": ["x"], "void": 3, "p_value": [1], "failed": "yes"},
        {"warnings": [1, None], "refusals": {"auc": None, "x": 1}, "num_members": -1, "num_nonmembers": True},
        None,
        "report",
        [1],
    ],
)
def test_an_odd_report_is_a_gap_and_no_error(odd):
    found = entry((0, report(0).to_dict(), "words"), (1, odd, None))
    assert found["steps"] == [0, 1]
    assert found["metrics"]["auc"]["value"][1] is None
    assert found["num_members"][1] is None
    assert found["words"] == ["words", ""]
    assert all(isinstance(said["text"], str) for said in [*found["warnings"], *found["notes"]])
    json.dumps(found, allow_nan=False)


def test_no_audit_is_an_entry_without_steps():
    found = entry()
    assert found["steps"] == []
    assert found["metrics"]["auc"] == {"value": [], "level": 0.95}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.123456789, 0.123457),
        (123456789.0, 123457000.0),
        (1e-300, 1e-300),
        (0, 0.0),
        (math.nan, "NaN"),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
        ("NaN", "NaN"),
        ("nan", None),
        ("0.5", None),
        (True, None),
        (None, None),
        (10**400, None),
    ],
)
def test_numbers_are_rounded_to_six_digits_and_words_stand_for_those_that_are_not_finite(value, expected):
    assert rounded(value) == expected


def test_the_level_is_the_newest_that_is_one():
    reports = [{"auc": {"value": 0.5, "level": level}} for level in (0.9, 0.99, "NaN", 2)]
    assert metric_columns(reports, "auc")["level"] == 0.99


# ------------------------------------------------------------------------------------------------------------- thinning


@pytest.mark.parametrize("audits", [1, 2, 3, 7, 59, 60, 61, 100, 1_001])
@pytest.mark.parametrize("most", [2, 3, 60])
def test_audits_are_kept_evenly_the_first_and_the_last_always(audits, most):
    steps = list(range(-1, audits - 1))
    kept = evenly_spread(steps, most)
    assert kept == sorted(set(kept))
    assert len(kept) == min(most, audits)
    assert (kept[0], kept[-1]) == (steps[0], steps[-1])
    gaps = np.diff(kept)
    assert gaps.size == 0 or gaps.max() - gaps.min() <= 1
    assert (thinned_sentence(len(kept), audits) is None) == (audits <= most)


def test_fewer_than_two_audits_cannot_be_kept():
    with pytest.raises(ValueError, match="1 audits were asked for; the first and the last are always kept"):
        evenly_spread([1, 2, 3], 1)


def test_the_version_is_that_of_the_package():
    import privacy_callbacks

    assert package_version() == privacy_callbacks.__version__


def with_epsilon(step, value, doubt=None, claimed=1.0):
    one = {"value": value, "method": "one_run", "delta": 1e-5, "level": 0.9}
    claim = None if claimed is None else {"epsilon": claimed, "delta": 1e-5}
    name = "epsilon_lower_bound" if doubt is None else "epsilon_estimate"
    held = {"name": name, "newest": one, "best": one, "doubt": doubt, "claim": claim, "exposure": None}
    return report(step).to_dict() | {"epsilon": held}


def test_the_epsilon_of_a_training_is_a_metric_with_what_was_claimed():
    found = entry((-1, report(0).to_dict(), ""), (0, with_epsilon(0, 0.5), ""), (1, with_epsilon(1, 1.25), ""))
    assert found["metrics"]["epsilon_lower_bound"] == {"value": [None, 0.5, 1.25], "level": 0.9, "claimed": 1.0}
    assert "epsilon_estimate" not in found["metrics"]
    assert "epsilon_lower_bound" not in entry((0, report(0).to_dict(), ""))["metrics"]


def test_an_estimate_and_a_bound_are_two_metrics():
    found = entry((0, with_epsilon(0, 0.5, "no coins", None), ""), (1, with_epsilon(1, 1.25), ""))["metrics"]
    assert found["epsilon_estimate"] == {"value": [0.5, None], "level": 0.9, "claimed": None}
    assert found["epsilon_lower_bound"]["value"] == [None, 1.25]


@pytest.mark.parametrize("odd", [None, 3, "x", [], {"name": "epsilon_lower_bound", "best": 3, "claim": "?"}])
def test_an_odd_epsilon_is_no_error(odd):
    found = entry((0, report(0).to_dict() | {"epsilon": odd}, ""))["metrics"].get("epsilon_lower_bound")
    assert found in (None, {"value": [None], "level": 0.95, "claimed": None})
