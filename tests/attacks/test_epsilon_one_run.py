"""The one-run bound: its formula, and that it exceeds the true ε as rarely as it says."""

import numpy as np
import pytest
from scipy import special, stats

from privacy_callbacks.attacks.epsilon_gdp import gaussian_epsilon
from privacy_callbacks.attacks.epsilon_one_run import epsilon_of_guesses, guesses_p_value, one_run_epsilon
from privacy_callbacks.attacks.one_run_guesses import make_guesses

RNG = np.random.default_rng(0)


def naive_p_value(correct, guesses, canaries, epsilon, delta):
    """The formula as published, every sum written out."""
    law = stats.binom(guesses, special.expit(epsilon)).pmf(np.arange(guesses + 1))
    means = [law[correct - i : correct].sum() / i for i in range(1, correct + 1)]
    return min(1.0, law[correct:].sum() + 2 * canaries * delta * max(means, default=0.0))


@pytest.mark.parametrize("guesses", [1, 2, 9, 40])
@pytest.mark.parametrize("delta", [0.0, 1e-6, 1e-4, 1e-2])
def test_the_p_value_is_the_published_sum(guesses, delta):
    for correct in range(1, guesses + 1):
        for epsilon in (0.0, 0.3, 1.0, 3.0, 8.0):
            expected = naive_p_value(correct, guesses, 60, epsilon, delta)
            assert guesses_p_value(correct, guesses, 60, epsilon, delta) == pytest.approx(expected, rel=1e-9, abs=1e-14)
    assert guesses_p_value(0, guesses, 60, 1.0, delta) == 1.0


@pytest.mark.parametrize(
    ("correct", "guesses"), [(600, 1_000), (990, 1_000), (1_000, 1_000), (500, 1_000), (30, 2_000)]
)
@pytest.mark.parametrize("epsilon", [0.0, 0.4, 3.0, 7.0])
def test_the_sums_left_out_are_never_the_largest(correct, guesses, epsilon):
    expected = naive_p_value(correct, guesses, guesses, epsilon, 1e-5)
    assert guesses_p_value(correct, guesses, guesses, epsilon, 1e-5) == pytest.approx(expected, rel=1e-8, abs=1e-14)


@pytest.mark.parametrize(
    ("correct", "guesses"), [(7, 8), (60, 100), (700, 1_000), (33_000, 60_000), (100_000, 100_000)]
)
@pytest.mark.parametrize("level", [0.5, 0.95, 1 - 1e-6])
def test_without_delta_it_is_the_log_odds_of_the_clopper_pearson_bound(correct, guesses, level):
    expected = special.logit(stats.beta.ppf(1 - level, correct, guesses - correct + 1))
    assert epsilon_of_guesses(correct, guesses, guesses, 0.0, level) == pytest.approx(max(0.0, expected), abs=1e-9)


def test_a_perfect_attacker_of_one_run_shows_the_log_of_its_guesses_and_no_more():
    ceiling = epsilon_of_guesses(1_000, 1_000, 1_000, 0.0, 0.95)
    assert ceiling == pytest.approx(np.log(1_000 / -np.log(0.05)), abs=2e-3)


@pytest.mark.parametrize(
    ("correct", "guesses", "canaries"), [(20, 25, 50), (600, 666, 1_000), (60_000, 66_666, 100_000)]
)
@pytest.mark.parametrize("delta", [1e-7, 1e-5, 1e-4])
def test_the_answer_is_where_the_p_value_passes_the_error(correct, guesses, canaries, delta):
    found = epsilon_of_guesses(correct, guesses, canaries, delta, 0.95)
    if found > 0:
        assert guesses_p_value(correct, guesses, canaries, found, delta) <= 0.05
    assert guesses_p_value(correct, guesses, canaries, found + 2e-6, delta) > 0.05


@pytest.mark.parametrize(("correct", "guesses"), [(9, 10), (400, 666), (666, 666), (40_000, 66_666), (66_666, 66_666)])
def test_the_p_value_rises_with_epsilon_up_to_any_usual_error(correct, guesses):
    grid = np.linspace(0, np.log(guesses) + 3, 60)
    for delta in (0.0, 1e-7, 1e-5, 1e-3):
        found = np.array([guesses_p_value(correct, guesses, guesses * 3 // 2, epsilon, delta) for epsilon in grid])
        usual = found[: int(np.argmax(found > 0.3))]
        assert np.all(np.diff(usual) >= -1e-12)


def test_more_right_guesses_a_smaller_delta_and_a_lower_level_never_show_less():
    by_correct = [epsilon_of_guesses(correct, 200, 300, 1e-5, 0.95) for correct in range(0, 201, 4)]
    assert np.all(np.diff(by_correct) >= -1e-6)
    by_delta = [epsilon_of_guesses(190, 200, 300, delta, 0.95) for delta in (0.0, 1e-9, 1e-6, 1e-4, 1e-2, 0.5)]
    assert np.all(np.diff(by_delta) <= 1e-6)
    by_level = [epsilon_of_guesses(190, 200, 300, 1e-6, level) for level in (0.01, 0.5, 0.9, 0.99, 1 - 1e-9)]
    assert np.all(np.diff(by_level) <= 1e-6)


@pytest.mark.parametrize("epsilon", [0.0, 0.5, 1.0, 3.0])
@pytest.mark.parametrize("delta", [0.0, 1e-4, 1e-2])
@pytest.mark.parametrize("guesses", [5, 60, 500])
def test_no_more_than_5_percent_of_all_runs_exceed_the_truth_counted_exactly(epsilon, delta, guesses):
    """A canary is given away with probability δ and otherwise goes through randomised response: each guess right on its own."""
    chance = delta + (1 - delta) * special.expit(epsilon)
    counts = np.arange(guesses + 1)
    bounds = np.array([epsilon_of_guesses(int(count), guesses, guesses, delta, 0.95) for count in counts])
    assert stats.binom.pmf(counts, guesses, chance)[bounds > epsilon].sum() <= 0.05 + 1e-12


def test_a_hundred_thousand_canaries_are_no_harder_than_a_thousand():
    """Relative to the closed form at δ = 0, a δ that is nothing beside 1 / canaries changes nothing."""
    for correct in (0, 33_334, 50_000, 66_000, 66_666):
        exact = epsilon_of_guesses(correct, 66_666, 100_000, 0.0, 0.95)
        assert epsilon_of_guesses(correct, 66_666, 100_000, 1e-13, 0.95) == pytest.approx(exact, abs=1e-4)


def test_unequal_guesses_on_sides_that_no_fair_coins_made_show_nothing():
    truth = np.arange(1_000) < 700
    bound = one_run_epsilon(RNG.normal(size=1_000), truth, 0.0, 0.95, guesses=(300, 100))
    assert float(bound) == 0.0
    assert "700 of 1,000 records are members, which fair coins do not produce" in bound.reason
    assert make_guesses(RNG.normal(size=1_000), truth, 300).unfair is None


def test_a_bound_says_what_it_rests_on():
    truth = RNG.random(300) < 0.5
    bound = one_run_epsilon(np.where(truth, 1.0, 0.0), truth, 1e-6, 0.9)
    assert (bound.method, bound.delta, bound.level, bound.reason) == ("one_run", 1e-6, 0.9, None)
    assert dict(bound.details) == {"guesses": 200, "correct": 200, "canaries": 300}
    assert float(bound) == bound.ceiling == epsilon_of_guesses(200, 200, 300, 1e-6, 0.9)


def test_nothing_shown_comes_with_a_reason():
    truth = RNG.random(300) < 0.5
    assert "guesses were right" in one_run_epsilon(np.where(truth, 0.0, 1.0), truth, 0.0, 0.95).reason
    two = one_run_epsilon(np.array([1.0, 0.0]), np.array([True, False]), 0.0, 0.95)
    assert (float(two), two.ceiling) == (0.0, 0.0)
    assert "even 2 right guesses of 2 would show no ε above 0" in two.reason
    assert "a smaller δ" in one_run_epsilon(np.where(truth, 1.0, 0.0), truth, 0.5, 0.95).reason


def test_the_ceiling_knows_how_many_records_there_were_to_guess():
    """Of 40 guesses of non-members 20 at most are right where there are but 20."""
    truth = np.arange(120) >= 20
    bound = one_run_epsilon(truth * 1.0, truth, 0.0, 0.95)
    assert dict(bound.details) == {"guesses": 80, "correct": 60, "canaries": 120}
    assert float(bound) == bound.ceiling == epsilon_of_guesses(60, 80, 120, 0.0, 0.95)


@pytest.mark.parametrize("level", [1e-18, 1e-9, 1 - 2**-53])
@pytest.mark.parametrize("delta", [0.0, 1e-300, 1 - 1e-9])
def test_levels_and_deltas_at_the_edge_end(level, delta):
    assert 0 <= epsilon_of_guesses(50, 50, 50, delta, level) < 40


def test_neither_the_arrays_nor_the_global_random_state_are_touched():
    values, truth = np.array([1.0, 1.0, 0.0, 2.0]), np.array([True, False, True, False])
    values.flags.writeable = truth.flags.writeable = False
    before = np.random.get_state()[1].copy()
    one_run_epsilon(values, truth, 0.0, 0.95)
    assert np.array_equal(np.random.get_state()[1], before)


RUNS = 300
# So many of 300 runs exceed the truth, at 5 % each, in fewer than one study of a thousand.
MOST = int(stats.binom.ppf(0.999, RUNS, 0.05))


def exceeding(epsilon, delta, scores_of, share=0.5, guesses=None):
    found = 0
    for run in range(RUNS):
        rng = np.random.default_rng([run, 11])
        truth = rng.random(1_000) < share
        found += float(one_run_epsilon(scores_of(truth, rng), truth, delta, 0.95, guesses, seed=run)) > epsilon
    return found


def randomised_response(epsilon):
    return lambda truth, rng: (truth ^ (rng.random(len(truth)) < special.expit(-epsilon))).astype(float)


def gaussian_mechanism(epsilon, delta):
    """With the μ that is exactly (ε, δ)-DP; at ε = 0, with none."""
    low, high = 0.0, 20.0
    while epsilon > 0 and high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (middle, high) if gaussian_epsilon(middle, delta) < epsilon else (low, middle)
    mu = low
    return lambda truth, rng: mu * truth + rng.normal(size=len(truth))


@pytest.mark.slow
@pytest.mark.parametrize("delta", [0.0, 1e-5])
@pytest.mark.parametrize("guesses", [None, 100, (500, 500)])
@pytest.mark.parametrize("epsilon", [0.0, 1.0, 3.0])
def test_randomised_response_is_exceeded_in_5_percent_of_runs_at_most(epsilon, guesses, delta):
    assert exceeding(epsilon, delta, randomised_response(epsilon), guesses=guesses) <= MOST


@pytest.mark.slow
@pytest.mark.parametrize("guesses", [None, 100, (30, 0)])
@pytest.mark.parametrize("epsilon", [0.0, 1.0, 3.0])
def test_the_gaussian_mechanism_is_exceeded_in_5_percent_of_runs_at_most(epsilon, guesses):
    assert exceeding(epsilon, 1e-5, gaussian_mechanism(epsilon, 1e-5), guesses=guesses) <= MOST


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.2, 5 / 6])
@pytest.mark.parametrize("epsilon", [0.0, 1.0, 3.0])
def test_coins_that_were_not_fair_are_exceeded_in_5_percent_of_runs_at_most(epsilon, share):
    assert exceeding(epsilon, 0.0, randomised_response(epsilon), share) <= MOST
