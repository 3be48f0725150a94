"""The prior of spreads finds by how much records differ, and draws spreads that they may have."""

import numpy as np
import pytest

from privacy_callbacks.attacks.spread_prior import spread_prior

RECORDS = 20_000


def sums_of_squares(weight, freedom, rng, variance=4.0):
    """Of records whose variances were drawn from the prior itself."""
    variances = (
        variance * weight / rng.chisquare(weight, RECORDS) if np.isfinite(weight) else np.full(RECORDS, variance)
    )
    return variances, variances * rng.chisquare(freedom, RECORDS)


@pytest.mark.parametrize("weight", [1.0, 4.0, 20.0])
@pytest.mark.parametrize("freedom", [2, 7, 31])
def test_it_is_found_again(weight, freedom):
    _, squares = sums_of_squares(weight, freedom, np.random.default_rng(0))
    found = spread_prior(squares, freedom)
    assert found.variance == pytest.approx(4.0, rel=0.1)
    assert found.weight == pytest.approx(weight, rel=0.25)


@pytest.mark.parametrize("freedom", [2, 31])
def test_where_all_spreads_are_equal_next_to_nothing_is_left_of_a_records_own(freedom):
    _, squares = sums_of_squares(np.inf, freedom, np.random.default_rng(1))
    found = spread_prior(squares, freedom)
    assert found.weight > 20 * freedom
    np.testing.assert_allclose(found.mean(squares, freedom), 4.0, rtol=0.35)


def test_draws_are_as_the_spreads_are_given_what_was_seen():
    rng = np.random.default_rng(2)
    variances, squares = sums_of_squares(3.0, 5, rng)
    drawn = spread_prior(squares, 5).draw(squares, 5, rng) ** 2
    for few in (squares < np.median(squares), squares >= np.median(squares)):
        shares = np.quantile(variances[few], [0.1, 0.5, 0.9])
        np.testing.assert_allclose(np.quantile(drawn[few], [0.1, 0.5, 0.9]), shares, rtol=0.08)


def test_records_without_any_spread_tell_nothing_and_break_nothing():
    found = spread_prior(np.zeros(5), 3)
    assert (found.variance, found.weight) == (0.0, np.inf)
    assert found.draw(np.zeros(5), 3, np.random.default_rng(0)).tolist() == [0.0] * 5
    mixed = np.r_[np.zeros(1_000), sums_of_squares(4.0, 7, np.random.default_rng(3))[1]]
    assert spread_prior(mixed, 7) == spread_prior(mixed[1_000:], 7)
    assert np.isfinite(spread_prior(mixed, 7).draw(mixed, 7, np.random.default_rng(0))).all()
    assert spread_prior(np.array([2.0]), 2).variance == 1.0
