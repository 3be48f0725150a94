"""The Gaussian mechanism: its ε by μ and δ, and the bound that is read from scores."""

import numpy as np
import pytest
from scipy import integrate, special, stats

from privacy_callbacks.attacks.epsilon import epsilon_lower_bound
from privacy_callbacks.attacks.epsilon_gdp import gaussian_epsilon, gaussian_log_delta, mu_of_rates


def bound(values, truth, delta=1e-5, level=0.95):
    return epsilon_lower_bound(values, truth, delta, level, "gdp")


def gaussian_scores(mu, records, seed=0):
    rng = np.random.default_rng(seed)
    is_member = np.arange(2 * records) < records
    return rng.normal(0, 1, 2 * records) + mu * is_member, is_member


# Φ and e^ε in 60 decimal digits, bisected.
EXACT = {
    (0.1, 1e-2): 0.09270756622567847,
    (0.5, 1e-12): 3.4490521504828076,
    (1, 1e-2): 2.31778904030405,
    (1, 1e-5): 4.3771780956812245,
    (4, 1e-12): 35.56208275048508,
    (20, 1e-2): 245.5815858798281,
    (40, 1e-2): 892.082093059148,
    (40, 1e-12): 1080.4583031276206,
}


@pytest.mark.parametrize(("mu", "delta"), EXACT)
def test_epsilon_of_a_gaussian_mechanism_agrees_with_many_digits(mu, delta):
    assert gaussian_epsilon(mu, delta) == pytest.approx(EXACT[mu, delta], rel=1e-12)


@pytest.mark.parametrize(("mu", "epsilon"), [(1.0, 0.0), (1.0, 2.0), (0.3, 0.1), (3.0, 0.5)])
def test_delta_is_the_mass_by_which_one_density_exceeds_the_other_e_to_the_epsilon_times(mu, epsilon):
    def excess(x):
        return max(0.0, stats.norm.pdf(x, mu) - np.exp(epsilon) * stats.norm.pdf(x))

    mass, _ = integrate.quad(excess, epsilon / mu + mu / 2, mu + 12)  # where the densities' ratio is e^ε or more
    assert np.exp(gaussian_log_delta(mu, epsilon)) == pytest.approx(mass, rel=1e-6)


def test_delta_falls_with_epsilon_and_rises_with_mu_from_end_to_end():
    for mu in (1e-3, 0.1, 1.0, 5.0, 40.0, 100.0):
        epsilons = np.linspace(0, mu * (mu / 2 + 7), 50)
        assert np.all(np.diff([gaussian_log_delta(mu, epsilon) for epsilon in epsilons]) <= 0)
    assert np.all(np.diff([gaussian_epsilon(mu, 1e-12) for mu in np.geomspace(1e-6, 40, 60)]) > 0)


def test_the_ends_of_mu_and_delta():
    assert gaussian_epsilon(0.0, 1e-5) == gaussian_epsilon(-1.0, 1e-5) == gaussian_epsilon(-np.inf, 1e-5) == 0.0
    assert gaussian_epsilon(0.0, 0.0) == 0.0
    assert gaussian_epsilon(1.0, 0.0) == np.inf
    # At ε = 0 δ is the total variation, 2Φ(μ/2) − 1: any δ beyond it needs no ε.
    whole = 2 * special.ndtr(0.5) - 1
    assert gaussian_epsilon(1.0, whole + 1e-9) == 0.0
    assert 0 < gaussian_epsilon(1.0, whole - 1e-9) < 1e-7


def test_mu_of_a_gaussian_threshold_is_its_distance():
    thresholds = np.linspace(-3, 5, 30)
    fnr, fpr = special.ndtr(thresholds - 2.5), special.ndtr(-thresholds)
    assert mu_of_rates(fnr, fpr) == pytest.approx(np.full(30, 2.5))


def test_no_better_than_guessing_is_no_mu_above_zero():
    assert mu_of_rates(0.7, 0.3) == pytest.approx(0)
    assert mu_of_rates(1.0, 1.0) == -np.inf
    assert mu_of_rates(1.0, 1e-9) == -np.inf


def test_noise_shows_nothing_though_its_mu_is_far_from_zero_below():
    found = bound(*gaussian_scores(0, 300))
    assert (float(found), found.details["mu"]) == (0.0, 0.0)
    assert "needs no ε above 0" in found.reason


def test_a_pure_epsilon_is_refused_in_words_and_mu_is_still_told():
    found = bound(*gaussian_scores(2, 500), delta=0.0)
    assert (float(found), found.ceiling) == (0.0, 0.0)
    assert "no ε at δ = 0" in found.reason
    assert 1.5 < found.details["mu"] < 2


def test_the_bound_is_the_epsilon_of_its_mu_and_the_ceiling_that_of_a_perfect_attack():
    found = bound(*gaussian_scores(1, 1_000))
    assert float(found) == gaussian_epsilon(found.details["mu"], 1e-5) > 1
    perfect = bound(np.repeat([1.0, 0.0], 1_000), np.repeat([True, False], 1_000))
    assert float(perfect) == perfect.ceiling == found.ceiling


def test_it_says_that_it_takes_the_mechanism_for_gaussian():
    assert bound([1.0, 0.0], [1, 0]).assumes.endswith("and the mechanism is Gaussian-DP")


def test_one_record_a_side_is_too_few():
    found = bound([np.inf, -np.inf], [True, False])
    assert (float(found), found.ceiling) == (0.0, 0.0)
    assert "not even a perfect attack" in found.reason


@pytest.mark.parametrize("mu", [1.0, 3.0])
def test_many_records_reach_nine_tenths_of_the_truth(mu):
    for delta in (1e-2, 1e-5):
        reached = np.median([bound(*gaussian_scores(mu, 20_000, seed), delta) for seed in range(11)])
        assert 0.9 * gaussian_epsilon(mu, delta) < reached < gaussian_epsilon(mu, delta)


@pytest.mark.slow
@pytest.mark.parametrize("records", [200, 2_000])
@pytest.mark.parametrize("delta", [1e-2, 1e-5])
@pytest.mark.parametrize("epsilon", [0.0, 1.0, 3.0])
def test_gaussian_bound_exceeds_the_truth_in_at_most_5_percent_of_300_runs_and_simulation_error(
    epsilon, delta, records
):
    mu = mu_with(epsilon, delta)
    exceeded = sum(bound(*gaussian_scores(mu, records, [7, seed]), delta) > epsilon for seed in range(300))
    # One test in 1,000 of a bound that fails in exactly 5 % would count more.
    assert exceeded <= stats.binom.ppf(0.999, 300, 0.05)


def mu_with(epsilon, delta):
    """The μ whose ε at δ is this; for ε = 0 no leak at all."""
    if epsilon == 0:
        return 0.0
    low, high = 0.0, 10.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if gaussian_epsilon(middle, delta) < epsilon else (low, middle)
    return high
