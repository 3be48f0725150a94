"""The f-DP bound of one run: the recursion, its two families of trade-off functions, and how rarely it exceeds the truth."""

import numpy as np
import pytest
from scipy import special, stats

from privacy_callbacks.attacks.epsilon_fdp import (
    approximate_epsilon_of_guesses,
    fdp_epsilon,
    mu_of_guesses,
    refuted,
)
from privacy_callbacks.attacks.epsilon_gdp import gaussian_epsilon
from privacy_callbacks.attacks.epsilon_one_run import epsilon_of_guesses

RNG = np.random.default_rng(0)


def gaussian(mu):
    return lambda reached: float(special.ndtr(special.ndtri(reached) - mu))


def naive_total(inverse, correct, guesses, canaries, error):
    """What all sums come to, by the recursion as published: every step down to 0 and nothing left out."""
    right, wrong = [0.0] * (correct + 1), [0.0] * (correct + 1)
    right[correct], wrong[correct] = error * correct / canaries, error * (guesses - correct) / canaries
    for i in reversed(range(correct)):
        wrong[i] = max(wrong[i + 1], inverse(min(1.0, right[i + 1])))
        right[i] = right[i + 1] + i / (guesses - i) * (wrong[i] - wrong[i + 1])
    return right[0] + wrong[0]


@pytest.mark.parametrize("mu", [0.0, 0.3, 1.0, 3.0])
@pytest.mark.parametrize(("guesses", "canaries"), [(4, 4), (30, 45), (120, 120)])
def test_a_curve_is_refuted_if_the_published_recursion_comes_to_more_than_one(mu, guesses, canaries):
    for correct in range(guesses + 1):
        expected = naive_total(gaussian(mu), correct, guesses, canaries, 0.05) > guesses / canaries
        assert refuted(gaussian(mu), correct, guesses, canaries, 0.05) == expected


def test_the_sums_end_long_before_every_count_was_visited():
    """After about √guesses steps: 40,000 guesses need fewer than 3,000, whichever way it goes."""
    mu = mu_of_guesses(20_300, 40_000, 60_000, 0.95)
    for near in (mu * 0.999, mu * 1.001, 0.0, 1.0):
        asked = []
        refuted(lambda reached: asked.append(0) or gaussian(near)(reached), 20_300, 40_000, 60_000, 0.05)
        assert len(asked) < 3_000


@pytest.mark.parametrize("mu", [0.0, 0.3, 1.0, 2.5])
@pytest.mark.parametrize("guesses", [5, 60, 400])
def test_a_gaussian_mechanism_is_exceeded_in_5_percent_of_runs_at_most_counted_exactly(mu, guesses):
    """With the threshold at μ/2 each guess is right with probability Φ(μ/2), on its own."""
    counts = np.arange(guesses + 1)
    bounds = np.array([mu_of_guesses(int(count), guesses, guesses, 0.95) for count in counts])
    assert stats.binom.pmf(counts, guesses, stats.norm.cdf(mu / 2))[bounds > mu].sum() <= 0.05 + 1e-12


@pytest.mark.parametrize("epsilon", [0.0, 0.5, 1.0, 3.0])
@pytest.mark.parametrize("delta", [0.0, 1e-4, 1e-2])
@pytest.mark.parametrize("guesses", [5, 60, 400])
def test_no_more_than_5_percent_of_all_runs_exceed_the_truth_counted_exactly(epsilon, delta, guesses):
    """A canary is given away with probability δ and otherwise goes through randomised response: each guess right on its own."""
    chance = delta + (1 - delta) * special.expit(epsilon)
    counts = np.arange(guesses + 1)
    bounds = [approximate_epsilon_of_guesses(int(count), guesses, guesses, delta, 0.95) for count in counts]
    assert stats.binom.pmf(counts, guesses, chance)[np.array(bounds) > epsilon].sum() <= 0.05 + 1e-12


def test_the_answer_is_where_refuting_ends():
    for correct in (340, 400, 500, 660, 666):
        mu = mu_of_guesses(correct, 666, 1_000, 0.95)
        if mu > 0:
            assert naive_total(gaussian(mu), correct, 666, 1_000, 0.05) > 0.666 - 1e-9
        assert naive_total(gaussian(mu + 1e-6), correct, 666, 1_000, 0.05) <= 0.666


def test_agreement_with_jax_privacy():
    """jax_privacy 2.0.0 gives 1.699812, 7.489242 and 10.867558 for these counts at δ = 1e-5, significance 0.05."""
    for correct, expected in ((500, 1.699812), (660, 7.489242), (666, 10.867558)):
        mu = mu_of_guesses(correct, 666, 1_000, 0.95)
        assert gaussian_epsilon(mu, 1e-5) == pytest.approx(expected, abs=2e-6)


def test_one_canary_is_the_trade_off_curve_itself():
    """One canary, right with probability `error`, is wrong with at least f̄⁻¹(error), and the two come to 1 at most."""
    assert mu_of_guesses(1, 1, 1, 0.3) == pytest.approx(special.ndtri(0.7) - special.ndtri(0.3), abs=1e-6)
    assert approximate_epsilon_of_guesses(1, 1, 1, 0.0, 0.3) == pytest.approx(np.log(0.7 / 0.3), abs=1e-5)
    assert mu_of_guesses(1, 1, 1, 0.95) == 0.0


@pytest.mark.parametrize("correct", [180, 190, 199, 200])
def test_without_delta_it_never_shows_more_than_the_binomial_which_is_exact(correct):
    exact = epsilon_of_guesses(correct, 200, 300, 0.0, 0.95)
    assert 0.9 * exact < approximate_epsilon_of_guesses(correct, 200, 300, 0.0, 0.95) <= exact + 1e-6


def test_a_delta_is_paid_for_a_canary_not_for_all_of_them():
    by_this = approximate_epsilon_of_guesses(40_000, 40_000, 60_000, 1e-5, 0.95)
    assert by_this > epsilon_of_guesses(40_000, 40_000, 60_000, 1e-5, 0.95) + 1
    assert by_this == pytest.approx(approximate_epsilon_of_guesses(40_000, 40_000, 60_000, 0.0, 0.95), abs=1e-3)


def test_more_right_guesses_a_smaller_delta_and_a_lower_level_never_show_less():
    by_correct = [mu_of_guesses(correct, 200, 300, 0.95) for correct in range(0, 201, 4)]
    assert np.all(np.diff(by_correct) >= -1e-8)
    by_level = [mu_of_guesses(190, 200, 300, level) for level in (0.01, 0.5, 0.9, 0.99, 1 - 1e-9)]
    assert np.all(np.diff(by_level) <= 1e-8)
    by_delta = [approximate_epsilon_of_guesses(190, 200, 300, delta, 0.95) for delta in (0, 1e-6, 1e-3, 0.1, 0.9)]
    assert np.all(np.diff(by_delta) <= 1e-6)


def test_a_gaussian_bound_says_so_and_one_at_delta_0_is_none():
    truth = RNG.random(400) < 0.5
    values = 2.0 * truth + RNG.normal(size=400)
    bound = fdp_epsilon(values, truth, 1e-5, 0.95)
    assert (bound.method, bound.delta, bound.level, bound.reason) == ("fdp", 1e-5, 0.95, None)
    assert float(bound) == gaussian_epsilon(bound.details["mu"], 1e-5)
    assert "Gaussian-DP" in bound.assumes
    assert bound.ceiling > float(bound) > 0
    for other in (fdp_epsilon(values, truth, 0.0, 0.95), fdp_epsilon(values, truth, 1e-5, 0.95, family="approximate")):
        assert "mu" not in other.details
        assert "Gaussian" not in other.assumes
        assert 0 < float(other) < float(bound)


def test_a_perfect_attacker_meets_the_ceiling():
    truth = RNG.random(400) < 0.5
    for delta in (0.0, 1e-5):
        bound = fdp_epsilon(np.where(truth, np.inf, -np.inf), truth, delta, 0.95)
        assert float(bound) == bound.ceiling


@pytest.mark.parametrize("level", [1e-18, 1e-9, 1 - 2**-53])
def test_levels_and_deltas_at_the_edge_end(level):
    assert 0 <= mu_of_guesses(50, 50, 50, level) <= 64
    for delta in (0.0, 1e-300, 1 - 1e-9):
        assert 0 <= approximate_epsilon_of_guesses(50, 50, 50, delta, level) <= 64


def test_nothing_shown_comes_with_a_reason():
    truth = np.arange(300) < 210
    assert "guesses were right" in fdp_epsilon(np.where(truth, 0.0, 1.0), truth, 1e-5, 0.95).reason
    assert "fair coins do not produce" in fdp_epsilon(RNG.normal(size=300), truth, 1e-5, 0.95, guesses=(100, 5)).reason
    two = fdp_epsilon(np.array([1.0, 0.0]), np.array([True, False]), 1e-5, 0.95)
    assert (float(two), two.ceiling) == (0.0, 0.0)
    assert "audit more records" in two.reason


def test_an_unknown_family_is_refused():
    with pytest.raises(ValueError, match="family is 'laplace'; give one of gaussian, approximate"):
        fdp_epsilon(np.array([1.0, 0.0]), np.array([True, False]), 1e-5, 0.95, family="laplace")


RUNS = 300
# So many of 300 runs exceed the truth, at 5 % each, in fewer than one study of a thousand.
MOST = int(stats.binom.ppf(0.999, RUNS, 0.05))


def exceeding(epsilon, delta, scores_of, share=0.5, guesses=None, family="gaussian"):
    found = 0
    for run in range(RUNS):
        rng = np.random.default_rng([run, 12])
        truth = rng.random(1_000) < share
        bound = fdp_epsilon(scores_of(truth, rng), truth, delta, 0.95, guesses, seed=run, family=family)
        found += float(bound) > epsilon
    return found


def randomised_response(epsilon):
    return lambda truth, rng: (truth ^ (rng.random(len(truth)) < special.expit(-epsilon))).astype(float)


def mu_of(epsilon, delta):
    low, high = 0.0, 20.0
    while epsilon > 0 and high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (middle, high) if gaussian_epsilon(middle, delta) < epsilon else (low, middle)
    return low


@pytest.mark.slow
@pytest.mark.parametrize(("delta", "family"), [(0.0, "gaussian"), (1e-5, "approximate")])
@pytest.mark.parametrize("epsilon", [0.0, 1.0, 3.0])
def test_randomised_response_is_exceeded_in_5_percent_of_runs_at_most(epsilon, delta, family):
    assert exceeding(epsilon, delta, randomised_response(epsilon), family=family) <= MOST


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.5, 5 / 6])
@pytest.mark.parametrize("guesses", [None, 20])
@pytest.mark.parametrize("epsilon", [0.0, 1.0, 3.0])
def test_the_gaussian_mechanism_is_exceeded_in_5_percent_of_runs_at_most(epsilon, guesses, share):
    """Also where the coins were not fair."""
    mu = mu_of(epsilon, 1e-5)
    found = exceeding(epsilon, 1e-5, lambda truth, rng: mu * truth + rng.normal(size=len(truth)), share, guesses)
    assert found <= MOST
