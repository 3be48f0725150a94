import numpy as np
import pytest
from scipy import stats

from privacy_callbacks.attacks.estimate import clopper_pearson_high, clopper_pearson_low

COUNTS = np.arange(21)


@pytest.mark.parametrize("error", [0.5, 0.025, 1e-6])
def test_arrays_give_the_quantiles_of_the_beta_distribution_with_exact_ends(error):
    low, high = clopper_pearson_low(COUNTS, 20, error), clopper_pearson_high(COUNTS, 20, error)
    assert low[1:] == pytest.approx(stats.beta.ppf(error, COUNTS[1:], 21 - COUNTS[1:]))
    assert high[:-1] == pytest.approx(stats.beta.ppf(1 - error, COUNTS[:-1] + 1, 20 - COUNTS[:-1]))
    assert (low[0], high[-1]) == (0.0, 1.0)


@pytest.mark.parametrize("bound", [clopper_pearson_low, clopper_pearson_high])
def test_an_array_is_as_many_scalars(bound):
    trials, errors = np.array([20, 50, 1_000]), np.array([[0.05], [0.001]])
    joined = bound(np.array([0, 50, 7]), trials, errors)
    apart = [[bound(s, int(n), float(e)) for s, n in zip((0, 50, 7), trials, strict=True)] for e in errors[:, 0]]
    assert joined.shape == (2, 3)
    assert joined.tolist() == apart


@pytest.mark.parametrize("bound", [clopper_pearson_low, clopper_pearson_high])
def test_scalars_stay_plain_floats_and_ints_of_numpy_are_scalars(bound):
    for successes in (0, 3, 5, np.int64(0), np.int64(3), np.int64(5)):
        assert type(bound(successes, 5, 0.05)) is float


@pytest.mark.parametrize("trials", [1, 10**6, 10**12])
def test_no_success_has_a_closed_form_however_many_trials(trials):
    assert clopper_pearson_high(0, trials, 0.05) == pytest.approx(-np.expm1(np.log(0.05) / trials))
    assert clopper_pearson_low(trials, trials, 0.05) == pytest.approx(0.05 ** (1 / trials))
    assert clopper_pearson_high(np.array([0]), trials, 0.05)[0] == clopper_pearson_high(0, trials, 0.05)


def test_the_bound_is_where_so_few_successes_have_the_stated_probability():
    high = clopper_pearson_high(COUNTS[:-1], 20, 0.025)
    assert stats.binom.cdf(COUNTS[:-1], 20, high) == pytest.approx(np.full(20, 0.025))


def test_the_low_bound_mirrors_the_high_one():
    assert clopper_pearson_low(COUNTS, 20, 0.1) == pytest.approx(1 - clopper_pearson_high(20 - COUNTS, 20, 0.1))


def test_an_empty_array_stays_empty():
    assert clopper_pearson_high(np.array([], int), 20, 0.05).shape == (0,)
