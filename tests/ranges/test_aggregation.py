"""From scores of points to the score of a range."""

from functools import partial

import numpy as np
import pytest

from privacy_callbacks.range_queries.aggregation import largest, log_mean_exp, mean, top_k, trimmed_mean

AGGREGATIONS = [
    trimmed_mean,
    partial(trimmed_mean, keep=(0.25, 0.75)),
    partial(trimmed_mean, keep=(0.5, 1.0)),
    mean,
    largest,
    log_mean_exp,
    top_k,
    partial(top_k, k=1),
]
every_aggregation = pytest.mark.parametrize("aggregate", AGGREGATIONS)
SCORES = np.random.default_rng(0).normal(size=(40, 16))


@every_aggregation
def test_one_point_is_its_own_range(aggregate):
    np.testing.assert_allclose(aggregate(SCORES[:, :1]), SCORES[:, 0])


@every_aggregation
def test_the_order_of_points_is_irrelevant(aggregate):
    shuffled = np.random.default_rng(1).permuted(SCORES, axis=1)
    np.testing.assert_allclose(aggregate(shuffled), aggregate(SCORES))


@every_aggregation
def test_equal_points_are_that_point_and_inputs_stay(aggregate):
    given = np.full((3, 5), 0.7)
    np.testing.assert_allclose(aggregate(given), 0.7)
    assert (given == 0.7).all()


@every_aggregation
def test_it_lies_among_the_points_and_rises_with_each(aggregate):
    found = aggregate(SCORES)
    assert ((found >= SCORES.min(axis=1) - 1e-12) & (found <= SCORES.max(axis=1) + 1e-12)).all()
    raised = SCORES.copy()
    raised[:, 3] += 1.0
    assert (aggregate(raised) >= found - 1e-12).all()


@every_aggregation
def test_a_further_range_changes_no_other(aggregate):
    np.testing.assert_array_equal(aggregate(SCORES)[:10], aggregate(SCORES[:10]))


@pytest.mark.parametrize("aggregate", [mean, trimmed_mean, largest, top_k, log_mean_exp])
def test_infinite_scores_have_a_meaning(aggregate):
    assert aggregate([[np.inf, 0.0, 1.0]])[0] == np.inf
    assert aggregate([[-np.inf, -np.inf, -np.inf]])[0] == -np.inf


def test_as_many_infinities_of_either_sign_cancel_out():
    assert trimmed_mean([[np.inf, -np.inf, 1.0, 3.0]])[0] == 2.0
    assert trimmed_mean([[np.inf, -np.inf, -np.inf, 3.0]])[0] == -np.inf


def test_log_mean_exp_is_the_log_of_the_mean_likelihood():
    np.testing.assert_allclose(log_mean_exp(SCORES), np.log(np.exp(SCORES).mean(axis=1)))
    assert np.isfinite(log_mean_exp([[1e4, -1e4]])).all()


@pytest.mark.parametrize("q", range(1, 14))
@pytest.mark.parametrize("keep", [(0, 1), (0.25, 0.75), (0.3, 0.7), (0.5, 1), (1, 1), (0, 0), (0.1, 0.9), (0.99, 1)])
def test_the_trimmed_mean_keeps_the_order_statistics_of_its_definition(q, keep):
    values = np.random.default_rng(q).normal(size=(5, q))
    low, high = (share * 100 for share in keep)
    kept = [i for i in range(1, q + 1) if low * q // 100 < i <= -(-high * q // 100)]
    # At least one: the next above, or where there is none the highest.
    kept = kept or [min(q, int(low * q // 100) + 1)]
    expected = np.sort(values, axis=1)[:, np.array(kept) - 1].mean(axis=1)
    np.testing.assert_allclose(trimmed_mean(values, keep), expected)


def test_the_ends_of_the_trimmed_mean_are_the_mean_and_the_largest():
    np.testing.assert_allclose(trimmed_mean(SCORES, (0, 1)), SCORES.mean(axis=1))
    np.testing.assert_array_equal(trimmed_mean(SCORES, (1, 1)), SCORES.max(axis=1))
    np.testing.assert_array_equal(trimmed_mean(SCORES, (0, 0)), SCORES.min(axis=1))


@pytest.mark.parametrize("keep", [(0.5, 0.2), (-0.1, 1), (0, 1.1), (np.nan, 1), "half", (0.5,), None])
def test_shares_out_of_order_are_refused(keep):
    with pytest.raises(ValueError, match=r"keep is .*; give two shares"):
        trimmed_mean(SCORES, keep)


@every_aggregation
@pytest.mark.parametrize("scores", [SCORES[0], np.empty((3, 0)), SCORES[None]])
def test_other_shapes_are_refused(aggregate, scores):
    with pytest.raises(ValueError, match=r"give \(ranges, points\)"):
        aggregate(scores)


@every_aggregation
def test_nan_is_refused(aggregate):
    with pytest.raises(ValueError, match="1 scores are NaN"):
        aggregate([[0.0, np.nan]])


@pytest.mark.parametrize("k", [0, -1, 1.5, True, None])
def test_k_is_a_number_of_points(k):
    with pytest.raises(ValueError, match=r"k is .*; give how many"):
        top_k(SCORES, k)
