"""Guesses are made from the scores alone, in the numbers asked for."""

import numpy as np
import pytest
from scipy import special, stats

from privacy_callbacks.attacks.one_run_guesses import check_guesses, make_guesses

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("distinct", [1, 2, 5, 10**9])
@pytest.mark.parametrize("guesses", [None, 1, (40, 3), (0, 100)])
def test_which_records_are_guessed_does_not_depend_on_the_truth(distinct, guesses):
    """Of the same guesses, those that are wrong are right when the truth is turned round."""
    values = RNG.integers(0, distinct, 100).astype(float)
    for truth in (RNG.random(100) < 0.5, np.arange(100) < 50, np.arange(100) >= 50):
        found, turned = (make_guesses(values, coins, guesses, seed=3) for coins in (truth, ~truth))
        assert found.correct + turned.correct == found.made == turned.made


def test_scores_that_are_all_equal_show_nothing_however_the_records_are_ordered():
    for truth in (np.arange(600) < 300, np.arange(600) >= 300):
        found = [make_guesses(np.zeros(600), truth, seed=seed).correct for seed in range(200)]
        assert abs(np.mean(found) - 200) < 3  # four standard errors: each count has a standard deviation of at most 10


def test_members_first_is_no_help_where_all_scores_are_equal():
    """One seed, as users have it: over the coins an attacker who knows nothing is right by chance alone."""
    far = []
    for count in range(100, 400):
        members = np.random.default_rng(count).binomial(count, 0.5)
        found = make_guesses(np.zeros(count), np.arange(count) < members)
        far.append(stats.binom.sf(found.correct - 1, found.made, 0.5) < 0.05)
    assert np.mean(far) < 0.09  # .05 and three standard errors of 300 draws


def test_equal_scores_are_ordered_by_the_seed():
    values, truth = np.repeat([0.0, 1.0], 50), RNG.random(100) < 0.5
    counts = [make_guesses(values, truth, 10, seed=seed).correct for seed in range(40)]
    assert len(set(counts)) > 3
    assert counts == [make_guesses(values, truth, 10, seed=seed).correct for seed in range(40)]


def test_the_highest_are_guessed_members_and_the_lowest_not():
    values = np.array([5.0, -np.inf, 3.0, np.inf, 1.0, 0.0])
    truth = np.array([True, False, False, True, True, False])
    found = make_guesses(values, truth)
    assert (found.canaries, found.made, found.correct) == (6, 4, 4)
    assert make_guesses(values, truth, (3, 0)).correct == 2
    assert make_guesses(values, truth, (0, 3)).correct == 2
    assert make_guesses(-values, truth).correct == 0


def test_a_third_on_each_side_is_guessed_unless_told_otherwise():
    assert [check_guesses(None, records) for records in (2, 3, 6, 1_000)] == [(1, 1), (1, 1), (2, 2), (333, 333)]
    assert check_guesses(7, 100) == (7, 7)
    assert check_guesses((np.int64(2), 0), 100) == (2, 0)


@pytest.mark.parametrize("guesses", [-1, 2.5, True, "ten", (1, 2, 3), (5, -1), (1.0, 1), ()])
def test_guesses_that_are_no_counts_are_refused(guesses):
    with pytest.raises(ValueError, match="give how many records to guess on each side"):
        check_guesses(guesses, 20)


@pytest.mark.parametrize("guesses", [0, (0, 0), 11, (20, 1)])
def test_no_guesses_and_more_than_there_are_records_are_refused(guesses):
    with pytest.raises(ValueError, match="there are 20 records; guess at least one and none twice"):
        check_guesses(guesses, 20)


@pytest.mark.parametrize("odds", [1.0, 1.5, 5.0, 100.0])
def test_the_mean_chance_of_equally_many_guesses_is_largest_with_fair_coins(odds):
    """The claim on which unequal sides rest."""
    for epsilon in np.linspace(0, 12, 49):
        mean = (special.expit(epsilon + np.log(odds)) + special.expit(epsilon - np.log(odds))) / 2
        assert mean <= special.expit(epsilon) + 1e-12


def test_scores_that_are_all_different_leave_nothing_to_the_seed():
    values, truth = RNG.permutation(100).astype(float), RNG.random(100) < 0.5
    assert len({make_guesses(values, truth, 10, seed=seed).correct for seed in range(40)}) == 1
