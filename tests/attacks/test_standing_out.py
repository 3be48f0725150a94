"""Remembered records among forgotten ones show at the top, whatever stands there already; chance and allowed shifts do not."""

import numpy as np
import pytest
from scipy import stats

from privacy_callbacks.attacks.estimate import Estimate
from privacy_callbacks.attacks.standing_out import standing_out, standing_out_beside
from privacy_callbacks.attacks.unlearning_beside import PairedScores, judge_beside_retrained
from privacy_callbacks.attacks.unlearning_outcome import unlearning_report

LIMIT = 0.1
SEEING = Estimate(0.98, 0.97, 0.99), Estimate(0.85, 0.8, 0.9)


def with_outliers(records, rng):
    """One in a hundred has an outlying score, whoever it is."""
    return rng.normal(size=records) + 20 * (rng.random(records) < 0.01)


def partly_remembered(share, records, rng, gain=3.3):
    return np.where(rng.random(records) < share, rng.normal(gain, 1, records), with_outliers(records, rng))


def test_at_the_first_rank_the_probability_is_that_of_a_random_order():
    found = standing_out(np.arange(12.0) + 12, np.arange(12.0), LIMIT)
    assert (found.above, found.rank) == (12, 1)
    assert found.by_chance == pytest.approx(stats.hypergeom.pmf(12, 24, 12, 12))


def test_nine_of_many_may_stand_there_by_chance():
    assert standing_out(np.r_[np.zeros(991), np.full(9, 2.0)], np.linspace(-1, 1, 1_000), LIMIT) is None
    assert standing_out(np.r_[np.zeros(990), np.full(10, 2.0)], np.linspace(-1, 1, 1_000), LIMIT).above == 10


@pytest.mark.parametrize("records", [2_000, 5_000])
def test_odd_test_records_at_the_very_top_hide_nothing(records):
    rng = np.random.default_rng(0)
    for _ in range(20):
        found = standing_out(partly_remembered(0.15, records, rng), with_outliers(records, rng), LIMIT)
        assert found.rank > 8
        sides = rng.normal(3.3, 1, records), partly_remembered(0.15, records, rng), with_outliers(records, rng)
        assert unlearning_report(*sides).verdict == "residual"


@pytest.mark.parametrize(("forgets", "tests"), [(1_000, 1_000), (100, 2_000), (2_000, 100), (30, 60)])
@pytest.mark.parametrize(
    "draw",
    [
        lambda rng, records: rng.normal(size=records),
        lambda rng, records: rng.standard_t(2, records),
        lambda rng, records: rng.poisson(0.5, records) + 0.0,
        lambda rng, records: with_outliers(records, rng),
    ],
    ids=["Gaussian", "heavy tails", "ties", "outliers"],
)
def test_what_is_like_test_records_hardly_ever_stands_out(draw, forgets, tests):
    rng = np.random.default_rng(1)
    found = [standing_out(draw(rng, forgets), draw(rng, tests), LIMIT) is not None for _ in range(200)]
    # At most .4 of 200 are expected; four come up in less than one of a thousand such tests.
    assert sum(found) < 4


def test_an_even_shift_within_the_limit_is_not_taken_for_remembered_records():
    rng, shift = np.random.default_rng(2), np.sqrt(2) * stats.norm.ppf(0.5 + LIMIT)
    found = [standing_out(rng.normal(size=2_000) + shift, rng.normal(size=2_000), LIMIT) for _ in range(200)]
    assert sum(one is not None and one.rank > 1 for one in found) <= 2


def beside(change, forgets=1_000, tests=1_000, seed=0):
    """The verdict, where unlearning left of each forget record's score what `change` makes of it."""
    rng = np.random.default_rng(seed)
    hardness = with_outliers(forgets + tests, rng)
    unlearned, retrained = (hardness + 0.3 * rng.normal(size=hardness.size) for _ in range(2))
    unlearned[:forgets] = change(unlearned[:forgets], rng)
    scores = PairedScores(unlearned[:forgets], unlearned[forgets:], retrained[:forgets], retrained[forgets:])
    return judge_beside_retrained(scores, *SEEING, LIMIT)


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        (lambda scores, rng: scores, "forgotten"),
        (lambda scores, rng: scores + 1.5, "residual"),
        (lambda scores, rng: scores - 1.5, "over-forgotten"),
        (lambda scores, rng: scores + 4 * (rng.random(len(scores)) < 0.15), "residual"),
        (lambda scores, rng: scores + 3 * rng.choice([-1, 1], len(scores)), "residual"),
        (lambda scores, rng: np.zeros(len(scores)), "inconclusive"),
        (lambda scores, rng: np.median(scores) + (scores - np.median(scores)) * 0.2, "inconclusive"),
    ],
    ids=["nothing", "all higher", "all lower", "some remembered", "half up, half down", "all equal", "drawn together"],
)
def test_beside_a_retrained_model_averages_alone_prove_nothing(change, verdict):
    assert {beside(change, seed=seed).name for seed in range(20)} == {verdict}


def test_records_that_stand_out_on_the_retrained_model_as_well_are_no_residual():
    rng = np.random.default_rng(3)
    for _ in range(50):
        known = rng.normal(size=2_000) + 4 * (np.arange(2_000) < 150)
        ours, theirs = (known + 0.3 * rng.normal(size=2_000) for _ in range(2))
        assert standing_out_beside(ours[:1_000], ours[1_000:], theirs[:1_000], theirs[1_000:], LIMIT) is None


def test_ten_a_side_are_too_few_to_look_at_further_ranks():
    scores = np.arange(10.0)
    assert standing_out_beside(scores + 100, scores, scores, scores, LIMIT) is None
