"""The spending of error over looks, and bounds on ε that hold at every look together."""

import numpy as np
import pytest
from scipy import special, stats

from privacy_callbacks.attacks.epsilon import epsilon_lower_bound
from privacy_callbacks.attacks.looks import EpsilonOverLooks, error_at_look


def coins(seed, records=300):
    return np.random.default_rng(seed).random(records) < 0.5


def test_all_looks_that_ever_come_spend_alpha():
    spent = np.cumsum([error_at_look(look, 0.05) for look in range(1, 20_001)])
    assert spent[-1] < 0.05
    # The rest of the sum of 1/t² beyond T is 1/T up to 1/T².
    assert 0.05 - spent[-1] == pytest.approx(6 * 0.05 / np.pi**2 / 20_000, rel=1e-3)


@pytest.mark.parametrize("look", [0, -1])
def test_a_look_before_the_first_is_refused(look):
    with pytest.raises(ValueError, match="the first look is 1"):
        error_at_look(look, 0.05)


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, np.nan])
def test_an_alpha_that_is_no_error_is_refused(alpha):
    with pytest.raises(ValueError, match="give the error allowed, between 0 and 1"):
        error_at_look(1, alpha)


def test_each_look_is_the_bound_at_the_level_it_may_spend():
    over = EpsilonOverLooks(delta=1e-6, level=0.9)
    for look in (1, 2, 3):
        truth = coins(look)
        values = truth + np.random.default_rng([look, 1]).normal(size=300)
        expected = epsilon_lower_bound(values, truth, 1e-6, 1 - error_at_look(look, 1 - 0.9), "one_run")
        found = over.look(values, truth)
        assert float(found) == float(expected)
        assert found.level == expected.level
    assert len(over.bounds) == 3


def test_the_best_is_the_largest_and_holds_at_the_level_of_all_looks():
    over, truth = EpsilonOverLooks(delta=0.0, level=0.9), coins(0)
    found = [over.look(strength * truth + np.arange(300) % 7, truth) for strength in (0.0, 9.0, 1.0)]
    assert float(over.best) == max(float(bound) for bound in found) == float(found[1])
    assert (over.best.level, over.best.delta, over.best.method) == (0.9, 0.0, "one_run")
    assert (over.best.details["look"], over.best.details["looks"]) == (2, 3)
    assert over.best.ceiling == found[0].ceiling  # the first look may spend most
    assert over.best.reason is None


def test_before_the_first_look_nothing_is_known():
    best = EpsilonOverLooks().best
    assert (float(best), best.reason, best.level) == (0.0, "no model has been looked at yet", 0.95)


def test_a_refused_look_does_not_count():
    over, truth = EpsilonOverLooks(), coins(0)
    with pytest.raises(ValueError, match="scores is NaN"):
        over.look(np.full(300, np.nan), truth)
    with pytest.raises(ValueError, match="non-members were given"):
        over.look(np.zeros(300), np.ones(300, bool))
    assert over.bounds == ()
    assert over.look(truth * 1.0, truth).level == 1 - error_at_look(1, 1 - 0.95)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [({"delta": 1.0}, "delta is 1.0"), ({"level": 1.0}, "level is 1.0"), ({"method": "guess"}, "method is 'guess'")],
)
def test_what_can_never_be_a_bound_is_refused_at_once(arguments, text):
    with pytest.raises(ValueError, match=text):
        EpsilonOverLooks(**arguments)


def test_guesses_and_methods_are_passed_on():
    truth = coins(3)
    found = EpsilonOverLooks(method="fdp", guesses=(20, 30)).look(truth * 1.0, truth)
    assert (found.method, found.details["guesses"]) == ("fdp", 50)
    with pytest.raises(ValueError, match="guesses is 5"):
        EpsilonOverLooks(method="split", guesses=5).look(truth * 1.0, truth)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["one_run", "fdp"])
@pytest.mark.parametrize("epsilon", [0.0, 1.0])
def test_the_largest_of_50_looks_exceeds_the_truth_in_5_percent_of_trainings_at_most(epsilon, method):
    """At ε = 0 every look is fresh noise, else all show the same randomised response. 100 trainings, 400 records each."""
    runs = 100
    exceeded = 0
    for run in range(runs):
        rng, over = np.random.default_rng([run, 13]), EpsilonOverLooks(delta=0.0, method=method)
        truth = rng.random(400) < 0.5
        for look in range(50):
            if epsilon == 0 or look == 0:
                leak = truth ^ (rng.random(400) < special.expit(-epsilon))
            over.look(leak + 0.01 * rng.random(400), truth)
        exceeded += float(over.best) > epsilon
    assert exceeded <= stats.binom.ppf(0.999, runs, 0.05)


def test_what_is_kept_for_the_last_look_the_others_lack():
    values, truth = np.random.default_rng(0).random(40), np.arange(40) % 2 == 0
    over = EpsilonOverLooks(level=0.95, last_share=0.5)
    levels = [over.look(values, truth).level, over.look(values, truth, last=True).level, over.look(values, truth).level]
    assert levels == pytest.approx([1 - error_at_look(1, 0.025), 0.975, 1 - error_at_look(3, 0.025)])
    with pytest.raises(ValueError, match="there was one before"):
        over.look(values, truth, last=True)
    with pytest.raises(ValueError, match="no share of the error was kept"):
        EpsilonOverLooks().look(values, truth, last=True)
    assert EpsilonOverLooks(last_share=1).look(values, truth, last=True).level == 0.95
    with pytest.raises(ValueError, match="last_share is 2"):
        EpsilonOverLooks(last_share=2)


def test_all_looks_and_the_last_together_err_no_more_than_allowed():
    """Looks that are all of one and the same noise, and such that have nothing to do with each other."""
    rng, wrong = np.random.default_rng(1), {"same": 0, "apart": 0}
    for _ in range(300):
        truth = rng.random(400) < 0.5
        for kind in wrong:
            over, values = EpsilonOverLooks(0.0, 0.8, last_share=0.5), rng.random(400)
            for look in range(5):
                over.look(rng.random(400) if kind == "apart" else values, truth, last=look == 4)
            wrong[kind] += over.best > 0
    assert max(wrong.values()) <= 300 * 0.2 + 3 * np.sqrt(300 * 0.16)


def test_a_number_spends_its_error_once_and_the_next_comes_after_the_largest():
    values, is_member = np.arange(40.0), np.arange(40) >= 20
    looks = EpsilonOverLooks(method="grid", delta=0.0)
    assert looks.look(values, is_member, 3).level == 1 - error_at_look(3, 0.05)
    with pytest.raises(ValueError, match="number is 3, and there was a look 3 before"):
        looks.look(values, is_member, 3)
    assert looks.look(values, is_member).level == 1 - error_at_look(4, 0.05)
    assert looks.look(values, is_member, 1).level == 1 - error_at_look(1, 0.05)
    assert looks.best.details["look"] == 1
    assert looks.best.details["looks"] == 3


@pytest.mark.parametrize("number", [0, -1, 1.5, True, "2", float("nan")])
def test_a_look_has_a_whole_number(number):
    with pytest.raises(ValueError, match=r"number is .*; give a whole number, 1 for the first look"):
        EpsilonOverLooks().look(np.arange(40.0), np.arange(40) >= 20, number)
