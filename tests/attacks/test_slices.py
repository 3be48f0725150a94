import itertools

import numpy as np
import pytest
from gaussian_world import GaussianWorld

from privacy_callbacks.attacks import (
    Column,
    LeakageReport,
    Slice,
    by_class,
    by_column,
    by_correctness,
    by_percentile,
    crossed,
    sliced_reports,
)
from privacy_callbacks.attacks.slices import percentile_edges
from privacy_callbacks.attacks.verdict import holm, holm_p_values

RNG = np.random.default_rng(0)


def rows(slices):
    return np.stack([slice.rows for slice in slices])


def test_each_record_belongs_to_its_class_alone():
    labels = np.array([2, 0, 2, 5])
    found = by_class(labels)
    assert [slice.name for slice in found] == ["class 0", "class 2", "class 5"]
    np.testing.assert_array_equal(rows(found).sum(axis=0), 1)
    np.testing.assert_array_equal(rows(by_class(labels[:, None])), rows(found))


def test_a_class_that_is_wanted_and_absent_is_an_empty_slice():
    (found,) = by_class([0, 1], classes=[7])
    assert found.name == "class 7"
    assert not found.rows.any()


def test_percentiles_cut_distinct_losses_into_equal_parts():
    losses = RNG.permutation(1_000) / 7
    found = by_percentile(losses)
    assert [slice.name for slice in found][:2] == ["loss 0–10 %", "loss 10–20 %"]
    np.testing.assert_array_equal(rows(found).sum(axis=1), 100)
    for lower, upper in itertools.pairwise(found):
        assert losses[lower.rows].max() < losses[upper.rows].min()
    np.testing.assert_allclose(percentile_edges(losses, 10), np.percentile(losses, np.arange(0, 101, 10)))


@pytest.mark.parametrize("losses", [RNG.integers(0, 4, 300), np.zeros(50), [np.inf, -np.inf, 0, 1, np.inf, np.inf]])
def test_equal_losses_stay_together_and_no_record_is_lost(losses):
    losses = np.asarray(losses, float)
    found = by_percentile(losses)
    np.testing.assert_array_equal(rows(found).sum(axis=0), 1)
    for value in np.unique(losses):
        assert sum(slice.rows[losses == value].any() for slice in found) == 1


def test_correctness_and_crosses():
    right, wrong = by_correctness([1, 0, 1])
    np.testing.assert_array_equal(right.rows, [True, False, True])
    np.testing.assert_array_equal(wrong.rows, [False, True, False])
    found = crossed(by_class([0, 0, 1]), [right, wrong], by_column("sex", ["f", "m", "f"]))
    assert len(found) == 8
    names = {slice.name: slice.rows for slice in found}
    np.testing.assert_array_equal(names["class 0 & correct & sex f"], [True, False, False])
    assert not names["class 1 & wrong & sex m"].any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: by_class(np.zeros((3, 2))), "give one value a record"),
        (lambda: by_column("age", [1.0, np.nan]), "column 'age' is missing .NaN, None. for 1 records"),
        (lambda: by_column("zip", np.arange(1_001)), "1,001 different values; bin it first"),
        (lambda: by_percentile([1.0, np.nan]), "are NaN somewhere"),
        (lambda: by_percentile([1.0, 2.0], parts=1), "parts is 1"),
        (lambda: by_correctness([0.5]), "other than 0 and 1"),
        (lambda: crossed(by_class([0])), "cross two or more"),
        (lambda: crossed(by_class(np.arange(40)), by_class(np.arange(40))), "more than 1,000 slices"),
    ],
)
def test_what_cannot_be_cut_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_slices_report_is_that_of_its_records_at_the_level_of_all_slices_together():
    scores, is_member = GaussianWorld(1.0).draw(300, 300, RNG)
    slices = by_column("third", np.arange(600) % 3)
    found = sliced_reports(scores, is_member, slices, "x", seed=3, step=4)
    for slice, report in zip(slices, found, strict=True):
        alone = LeakageReport.from_scores(
            scores[slice.rows], is_member[slice.rows], "x", 3, level=1 - 0.05 / 3, slice=slice.name, step=4
        )
        assert report.auc.to_dict() == alone.auc.to_dict()
        assert (report.slice, report.step, report.attack) == (slice.name, 4, "x")
        assert report.to_dict() | {"holm_p_value": None} == alone.to_dict()
    assert [report.holm_p_value for report in found] == holm_p_values([report.p_value for report in found])


def test_a_slice_without_one_side_is_there_and_says_so():
    scores, is_member = GaussianWorld(1.0).draw(20, 20, RNG)
    some, none = sliced_reports(scores, is_member, [Slice("all", np.ones(40, bool)), Slice("members", is_member)])
    assert not some.failed
    assert none.failed
    assert (none.slice, none.num_members, none.num_nonmembers) == ("members", 20, 0)
    assert "20 members and 0 non-members" in none.warnings[0]
    assert none.holm_p_value is None


def test_records_without_a_score_are_left_out():
    scores, is_member = GaussianWorld(1.0).draw(20, 20, RNG)
    scores[:5] = np.nan
    (found,) = sliced_reports(scores, is_member, [Slice("all", np.ones(40, bool))])
    assert found.num_members == 15


def test_the_intervals_of_all_slices_together_err_in_5_percent_of_leak_free_audits():
    """Ten slices of 30 + 30: about one in two audits would have an interval off ½ at 95 % each."""
    alarms = singly = 0
    for seed in range(120):
        rng = np.random.default_rng(seed)
        scores, is_member = GaussianWorld(0.0).draw(300, 300, rng)
        found = sliced_reports(scores, is_member, by_column("part", np.tile(np.arange(10), 60)))
        alarms += any(not report.auc.low <= 0.5 <= report.auc.high for report in found)
        singly += any(report.p_value < 0.025 or report.p_value > 0.975 for report in found)
        assert [report.holm_p_value <= 0.05 for report in found] == holm([report.p_value for report in found], 0.05)
    assert alarms <= 12  # 6 expected, 12 or more in 1.6 %
    assert singly > 30


def test_holms_p_values_by_hand():
    assert holm_p_values([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm_p_values([0.5, 0.9]) == pytest.approx([1.0, 1.0])


def test_a_column_is_a_value():
    column = Column("age", [1, 2], [3])
    assert (column.name, column.members, column.nonmembers) == ("age", [1, 2], [3])


@pytest.mark.parametrize("side", [10, 40])
def test_null_levels_of_small_slices_hold_for_all_of_them_together(side):
    above = {"mutual_information": 0, "total_variation": 0, "advantage": 0}
    for seed in range(60):
        rng = np.random.default_rng(seed)
        scores, is_member = GaussianWorld(0.0).draw(10 * side, 10 * side, rng)
        found = sliced_reports(scores, is_member, by_column("part", np.tile(np.arange(10), 2 * side)))
        bits = [report.mutual_information for report in found]
        above["mutual_information"] += any(one > one.null_level for one in bits)
        above["total_variation"] += any(
            one.details["total_variation"] > one.details["total_variation_null_level"] for one in bits
        )
        above["advantage"] += any(report.advantage > report.advantage.null_level for report in found)
    assert max(above.values()) <= 8  # 3 expected at most, 9 or more in .4 %


def test_slices_of_cross_fitted_scores_are_judged_in_their_halves():
    scores, is_member = GaussianWorld(1.0).draw(200, 200, RNG)
    fold = np.arange(400) % 2
    (found,) = sliced_reports(scores + 100 * fold, is_member, [Slice("all", np.ones(400, bool))], folds=fold)
    assert found.folds == 2
    again = LeakageReport.from_scores(scores + 100 * fold, is_member, folds=fold)
    assert float(found.auc) == float(again.auc)
