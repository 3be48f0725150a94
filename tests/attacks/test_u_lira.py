"""U-LiRA is LiRA with other shadow models, reaches the closed form, and finds nothing where there is nothing."""

import numpy as np
import pytest
from gaussian_world import GaussianWorld

from privacy_callbacks.attacks.lira import lira_scores
from privacy_callbacks.attacks.report import LeakageReport
from privacy_callbacks.attacks.u_lira import u_lira_scores

VARIANCES = ("auto", "pooled", "per_record", "student_t")


def small(models=12, others=9, records=7, queries=2, seed=0):
    rng = np.random.default_rng(seed)
    spread = rng.uniform(0.5, 2, (1, records, 1))
    unlearned = 0.7 + spread * rng.normal(size=(models, records, queries))
    return rng.normal(size=(records, queries)), unlearned, spread * rng.normal(size=(others, records, queries))


def world(gain, records, models, seed, spread=1.0):
    """(target, is_forgotten, unlearned, never): a record's own level, and `gain` where it was trained on and unlearned."""
    rng = np.random.default_rng(seed)
    level = 3 * rng.normal(size=records)
    is_forgotten = np.arange(records) < records // 2
    target = level + np.where(is_forgotten, gain + spread * rng.normal(size=records), rng.normal(size=records))
    unlearned = level + gain + spread * rng.normal(size=(models, records))
    return target, is_forgotten, unlearned, level + rng.normal(size=(models, records))


def auc(scores, truth):
    return LeakageReport.from_scores(scores, truth).auc


@pytest.mark.parametrize("variance", VARIANCES)
def test_it_is_lira_where_the_models_that_unlearned_stand_for_those_that_trained(variance):
    target, unlearned, never = small()
    shadow = np.concatenate([unlearned, never])
    trained_on = np.broadcast_to((np.arange(len(shadow)) < len(unlearned))[:, None], shadow.shape[:2])
    expected = lira_scores(target, shadow, trained_on, variance=variance)
    np.testing.assert_array_equal(u_lira_scores(target, unlearned, never, variance), expected)


@pytest.mark.parametrize("variance", VARIANCES)
def test_pairs_that_are_absent_are_left_out_as_lira_leaves_them(variance):
    """A model that is IN for one record and OUT for another stands on both sides, NaN where it does not belong."""
    target, unlearned, _ = small(models=20)
    trained_on = np.random.default_rng(1).random((20, 7)) < 0.5
    ours = u_lira_scores(
        target,
        np.where(trained_on[..., None], unlearned, np.nan),
        np.where(trained_on[..., None], np.nan, unlearned),
        variance,
    )
    np.testing.assert_array_equal(ours, lira_scores(target, unlearned, trained_on, variance=variance))


def test_a_record_without_a_model_on_a_side_has_no_score_and_moves_no_other():
    target, unlearned, never = small()
    whole = u_lira_scores(target, unlearned, never, "per_record")
    unlearned[:, 3], never[:, 5] = np.nan, np.nan
    ours = u_lira_scores(target, unlearned, never, "per_record")
    assert np.flatnonzero(np.isnan(ours)).tolist() == [3, 5]
    kept = [0, 1, 2, 4, 6]
    np.testing.assert_array_equal(ours[kept], whole[kept])


@pytest.mark.parametrize("gain", [0.5, 1.0, 2.0])
def test_with_many_models_it_reaches_the_ideal_auc_of_the_gaussian_world(gain):
    target, truth, unlearned, never = world(gain, 20_000, 100, seed=2)
    found = auc(u_lira_scores(target, unlearned, never), truth)
    assert abs(found - GaussianWorld(gain).ideal_auc) < 0.012


def test_the_cheap_variant_takes_models_that_did_not_unlearn_and_still_ranks():
    """The residue of 0.7 is a quarter of what training added; equal spreads make both ratios monotone in the same answer."""
    target, truth, unlearned, never = world(0.7, 20_000, 100, seed=3)
    cheap = auc(u_lira_scores(target, unlearned + 2.1, never, "pooled"), truth)
    exact = auc(u_lira_scores(target, unlearned, never, "pooled"), truth)
    assert abs(cheap - exact) < 0.01


def test_what_stands_out_for_being_known_too_badly_is_recognised_too():
    target, truth, unlearned, never = world(-2.0, 4_000, 40, seed=4)
    assert auc(u_lira_scores(target, unlearned, never), truth).low > 0.88
    target, truth, unlearned, never = world(0.0, 4_000, 40, seed=5, spread=3.0)
    assert auc(u_lira_scores(target, unlearned, never), truth).low > 0.65
    assert abs(auc(target, truth) - 0.5) < 0.03


def test_a_model_that_belongs_to_no_record_counts_for_none():
    target, unlearned, never = small(records=1)
    holed_never = np.concatenate([never, np.full_like(never[:2], np.nan)])
    expected = u_lira_scores(target, unlearned, never, "student_t")
    np.testing.assert_allclose(u_lira_scores(target, unlearned, holed_never, "student_t"), expected)


def test_a_single_record_is_scored_and_inputs_stay_as_they_are():
    target, unlearned, never = small(records=1)
    before = [array.copy() for array in (target, unlearned, never)]
    assert np.isfinite(u_lira_scores(target, unlearned, never)).all()
    for array, copy in zip((target, unlearned, never), before, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_the_order_of_models_is_irrelevant_and_that_of_records_carried_along():
    target, unlearned, never = small()
    whole = u_lira_scores(target, unlearned, never)
    np.testing.assert_allclose(u_lira_scores(target, unlearned[::-1], never[::-1]), whole)
    np.testing.assert_allclose(u_lira_scores(target[::-1], unlearned[:, ::-1], never[:, ::-1]), whole[::-1])


def test_a_query_axis_of_one_may_be_left_out_and_constant_answers_stay_finite():
    target, unlearned, never = small(queries=1)
    plain = u_lira_scores(target[:, 0], unlearned[:, :, 0], never[:, :, 0])
    np.testing.assert_array_equal(u_lira_scores(target, unlearned, never), plain)
    np.testing.assert_array_equal(u_lira_scores(target[:, 0], unlearned, never), plain)
    for variance in VARIANCES:
        assert np.isfinite(u_lira_scores(target, np.ones_like(unlearned), np.ones_like(never), variance)).all()
    np.testing.assert_array_equal(u_lira_scores(target, np.ones_like(unlearned), np.ones_like(unlearned)), 0.0)


def holed(value, models=4):
    array = np.random.default_rng(0).normal(size=(models, 2))
    array[1] = value
    return array


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros(3), np.zeros((4, 2)), np.zeros((4, 3))), r"target has shape \(3,\) and unlearned \(4, 2\)"),
        ((np.zeros(3), np.zeros((4, 3)), np.zeros(3)), r"and never \(3,\)"),
        ((np.zeros(()), np.zeros((4, 2)), np.zeros((4, 2))), r"target has shape \(\)"),
        ((np.zeros(0), np.zeros((4, 0)), np.zeros((4, 0))), "at least one"),
        ((np.array([0, np.nan]), np.zeros((4, 2)), np.zeros((4, 2))), "target holds 1 values that are NaN or infinite"),
        (
            (np.array([0, -np.inf]), np.zeros((4, 2)), np.zeros((4, 2))),
            "target holds 1 values that are NaN or infinite",
        ),
        ((np.zeros(2), np.zeros((4, 2)), holed(np.inf)), "never holds 2 infinite values"),
        ((np.zeros(2), np.full((4, 2), np.nan), np.zeros((4, 2))), r"two shadow models in unlearned \(4 were given\)"),
        ((np.zeros((2, 2)), np.zeros((3, 2, 2)), np.full((3, 2, 2), [0, np.nan])), "for some queries of a record"),
        ((np.zeros(2), np.zeros((1, 2)), np.zeros((4, 2))), r"two shadow models in unlearned \(1 were given\)"),
        ((np.zeros(2), np.zeros((4, 2)), np.zeros((0, 2))), r"two shadow models in never \(0 were given\)"),
        (
            (np.zeros(2), np.where(np.eye(2), 0, np.nan), np.zeros((4, 2))),
            "no record has two shadow models in unlearned",
        ),
        ((np.zeros(2), np.zeros((4, 2)), np.zeros((4, 2)), "mine"), "variance is 'mine'"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        u_lira_scores(*arguments)


@pytest.mark.slow
@pytest.mark.parametrize("models", [3, 12, 40])
def test_perfect_unlearning_is_called_recognisable_in_at_most_8_percent_of_400_runs_at_nominal_5(models):
    wrong = 0
    for seed in range(400):
        target, truth, unlearned, never = world(0.0, 300, models, seed=[seed, models])
        found = auc(u_lira_scores(target, unlearned, never), truth)
        wrong += not found.low <= 0.5 <= found.high
    assert wrong <= 0.08 * 400
