"""The best of three numbers of guesses, paid for: never above the truth more often, and never far below the best single one."""

import numpy as np
import pytest
from scipy import special

from privacy_callbacks.attacks import EpsilonAudit, EpsilonOverLooks, epsilon_lower_bound


def coins(count, rng):
    return rng.random(count) < 0.5


def gaussian(count, mu, rng):
    truth = coins(count, rng)
    return mu * truth + rng.normal(size=count), truth


def response(count, epsilon, rng):
    truth = coins(count, rng)
    return ((rng.random(count) < special.expit(epsilon)) == truth).astype(float), truth


@pytest.mark.parametrize("method", ["one_run", "fdp"])
def test_it_is_the_largest_of_three_bounds_at_a_third_of_the_error(method):
    scores, truth = gaussian(3_000, 1.5, np.random.default_rng(0))
    found = epsilon_lower_bound(scores, truth, 1e-5, 0.95, method, guesses="several")
    single = [
        epsilon_lower_bound(scores, truth, 1e-5, 1 - 0.05 / 3, method, guesses=count) for count in (1_000, 300, 100)
    ]
    best = max(single, key=float)
    assert (float(found), found.level, found.details) == (float(best), 0.95, best.details)
    assert found.ceiling == max(one.ceiling for one in single)
    assert found > 1.2 * epsilon_lower_bound(scores, truth, 1e-5, 0.95, method)


def test_where_all_records_are_alike_the_choice_costs_little():
    scores, truth = response(4_000, 3.0, np.random.default_rng(1))
    third = epsilon_lower_bound(scores, truth, 0.0, 0.95, "one_run")
    assert epsilon_lower_bound(scores, truth, 0.0, 0.95, "one_run", guesses="several") > 0.95 * third


@pytest.mark.parametrize("count", [2, 5, 40])
def test_few_records_are_no_error(count):
    scores = np.arange(float(count))
    found = epsilon_lower_bound(scores, scores >= count / 2, 0.0, 0.95, "one_run", guesses="several")
    assert found >= 0


def test_it_is_what_a_live_audit_takes_and_nothing_for_other_methods():
    assert EpsilonAudit().guesses == "several"
    assert EpsilonAudit(method="split").guesses is None
    scores, truth = gaussian(2_000, 1.5, np.random.default_rng(2))
    looks = EpsilonOverLooks(guesses="several")
    assert looks.look(scores, truth) > EpsilonOverLooks().look(scores, truth)
    with pytest.raises(ValueError, match="guesses by a threshold"):
        epsilon_lower_bound(scores, truth, method="split", guesses="several")
    with pytest.raises(ValueError, match="guesses is 'best'"):
        epsilon_lower_bound(scores, truth, method="one_run", guesses="best")


@pytest.mark.slow
@pytest.mark.parametrize("epsilon", [0.0, 1.0, 3.0])
def test_it_exceeds_the_epsilon_of_randomised_response_in_at_most_5_percent_of_1000_runs(epsilon):
    rng = np.random.default_rng(3)
    runs = [
        epsilon_lower_bound(*response(1_000, epsilon, rng), 0.0, 0.95, "one_run", guesses="several")
        for _ in range(1_000)
    ]
    assert np.mean(np.array(runs, float) > epsilon) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 1_000)
