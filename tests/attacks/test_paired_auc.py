"""Two AUCs on the same records: the difference is theirs, and the interval covers it."""

import numpy as np
import pytest
from scipy import stats

from privacy_callbacks.attacks.auc import auc_value
from privacy_callbacks.attacks.paired_auc import auc_difference


def world(members, nonmembers, shifts, correlation, rng):
    """Scores of two models on the same records, Gaussian, with these shifts of the members."""
    truth = np.arange(members + nonmembers) < members
    hardness = rng.normal(size=truth.size)
    own = [np.sqrt(correlation) * hardness + np.sqrt(1 - correlation) * rng.normal(size=truth.size) for _ in shifts]
    return [values + shift * truth for values, shift in zip(own, shifts, strict=True)], truth


def test_the_difference_is_that_of_the_two_areas():
    rng = np.random.default_rng(0)
    (one, other), truth = world(80, 50, (1.0, 0.3), 0.5, rng)
    one, other = one.round(1), other.round(1)  # with ties
    found = auc_difference(one, other, truth)
    assert float(found) == pytest.approx(auc_value(one, truth) - auc_value(other, truth), abs=1e-12)


def test_the_better_known_the_more_alike_the_models_are():
    rng = np.random.default_rng(1)
    widths = []
    for correlation in (0.0, 0.9):
        (one, other), truth = world(500, 500, (1.0, 0.5), correlation, rng)
        found = auc_difference(one, other, truth)
        widths.append(found.high - found.low)
    assert widths[1] < 0.6 * widths[0]


def test_exchanging_the_models_or_the_sides_mirrors_it():
    (one, other), truth = world(40, 60, (1.0, 0.3), 0.5, np.random.default_rng(2))
    found = auc_difference(one, other, truth)
    for mirrored in (auc_difference(other, one, truth), auc_difference(one, other, ~truth)):
        assert float(mirrored) == pytest.approx(-found)
        assert (mirrored.low, mirrored.high) == pytest.approx((-found.high, -found.low))


def test_the_same_scores_differ_by_nothing_as_far_as_so_many_records_show():
    (one, _), truth = world(40, 60, (1.0, 0.3), 0.5, np.random.default_rng(3))
    found = auc_difference(one, one, truth)
    assert float(found) == 0.0
    # None of 40 differs; at .025 a share of this size would have shown.
    assert found.high == -found.low == pytest.approx(1 - 0.025 ** (1 / 40))


@pytest.mark.parametrize(
    ("members", "nonmembers", "right", "wrong", "member_flips", "nonmember_flips"),
    [(50, 50, 0.9, 0.8, 0.05, 0.0), (20, 2_000, 0.9, 0.8, 0.3, 0.01), (2_000, 2_000, 0.99, 0.95, 0.05, 0.005)],
)
def test_two_models_that_hardly_ever_differ_are_not_known_to_be_equal(
    members, nonmembers, right, wrong, member_flips, nonmember_flips
):
    """One attack says yes or no; the other says yes a little more often."""
    truth = np.arange(members + nonmembers) < members
    says, flips = np.where(truth, right, wrong), np.where(truth, member_flips, nonmember_flips)
    expected = ((1 - wrong) * nonmember_flips - (1 - right) * member_flips) / 2
    held = 0
    for seed in range(300):
        rng = np.random.default_rng([seed, 5])
        one = rng.random(truth.size) < says
        other = one | (rng.random(truth.size) < flips)
        found = auc_difference(one + 0.0, other + 0.0, truth)
        held += found.low <= expected <= found.high
    assert held >= 0.93 * 300  # by variance alone .21, .44 and .78


def test_a_few_records_that_moved_past_all_others_are_within_the_interval():
    rng, held = np.random.default_rng(6), 0
    for _ in range(300):
        one = rng.normal(size=100)
        moved = (np.arange(100) < 50) & (rng.random(100) < 0.02)
        found = auc_difference(one, np.where(moved, 100, one), np.arange(100) < 50)
        held += found.low <= -0.01 <= found.high
    assert held >= 0.93 * 300  # by variance alone .57


def test_two_perfect_attacks_may_still_differ():
    truth = np.arange(20) < 10
    found = auc_difference(truth + 0.0, truth * 2.0, truth)
    assert (float(found), found.low < -0.2, found.high > 0.2) == (0.0, True, True)
    infinite = auc_difference(np.where(truth, np.inf, -np.inf), np.where(truth, -np.inf, np.inf), truth)
    assert float(infinite) == 1.0


def test_too_few_records_are_refused():
    with pytest.raises(ValueError, match="1 members and 3 non-members are too few to compare by"):
        auc_difference([1, 2, 3, 4], [1, 2, 3, 4], [True, False, False, False])
    with pytest.raises(ValueError, match="NaN"):
        auc_difference([1, np.nan, 3, 4], [1, 2, 3, 4], [True, True, False, False])


@pytest.mark.parametrize(("shifts", "correlation"), [((0.0, 0.0), 0.5), ((1.0, 1.0), 0.8), ((1.5, 0.3), 0.3)])
def test_the_interval_covers_in_93_percent_of_1000_worlds(shifts, correlation):
    rng = np.random.default_rng(4)
    areas = stats.norm.cdf(np.array(shifts) / np.sqrt(2))
    covered = 0
    for _ in range(1_000):
        (one, other), truth = world(120, 80, shifts, correlation, rng)
        found = auc_difference(one, other, truth)
        covered += found.low <= areas[0] - areas[1] <= found.high
    assert covered >= 930


@pytest.mark.parametrize(("members", "nonmembers"), [(15, 400), (400, 15)])
def test_a_small_side_widens_the_interval_as_it_must(members, nonmembers):
    expected = stats.norm.cdf(1.0 / np.sqrt(2)) - stats.norm.cdf(0.3 / np.sqrt(2))
    held, worlds = 0, 1_000
    for seed in range(worlds):
        (one, other), truth = world(members, nonmembers, (1.0, 0.3), 0.9, np.random.default_rng([seed, 4]))
        found = auc_difference(one, other, truth)
        held += found.low <= expected <= found.high
    # By 1,000 worlds .95 is known to ± .018 (99 %); normal quantiles cover in .93.
    assert held / worlds > 0.95 - 0.018
