import numpy as np
import pytest
from scipy import special

from privacy_callbacks.attacks import membership_probabilities


def gaussian(members, nonmembers, gain, seed=0):
    is_member = np.arange(members + nonmembers) < members
    return np.random.default_rng(seed).normal(size=is_member.size) + gain * is_member, is_member


@pytest.mark.parametrize("prior", [0.5, 0.1])
@pytest.mark.parametrize("sides", [(4_000, 4_000), (8_000, 2_000)])
def test_in_the_gaussian_world_it_is_the_posterior(sides, prior):
    scores, is_member = gaussian(*sides, gain=1.5)
    found = membership_probabilities(scores, is_member, prior)
    posterior = special.expit(1.5 * scores - 1.5**2 / 2 + special.logit(prior))
    assert np.sqrt(np.mean((found - posterior) ** 2)) < (0.035 if prior == 0.5 else 0.065)


def test_without_leakage_it_is_the_prior():
    spread = [np.std(membership_probabilities(*gaussian(1_000, 1_000, 0.0, seed)) - 0.5) for seed in range(20)]
    assert np.mean(spread) < 0.06


def test_a_record_is_not_told_by_its_own_membership():
    """Scores that tell nothing: whoever looked at the record itself would find members likelier."""
    gap = []
    for seed in range(200):
        scores, is_member = gaussian(60, 60, 0.0, seed)
        found = membership_probabilities(scores, is_member, seed=seed)
        gap.append(found[is_member].mean() - found[~is_member].mean())
    assert abs(np.mean(gap)) < 3 * np.std(gap) / np.sqrt(200)


def test_it_rises_with_the_score_within_a_half_and_never_reaches_certainty():
    scores, is_member = gaussian(500, 500, 8.0)
    found = membership_probabilities(scores, is_member)
    assert 0 < found.min() < 0.03
    assert 0.97 < found.max() < 1
    assert np.corrcoef(scores, found)[0, 1] > 0.9


def test_only_the_order_of_scores_counts_and_infinities_are_extremes():
    scores, is_member = gaussian(300, 300, 1.0)
    expected = membership_probabilities(scores, is_member)
    np.testing.assert_allclose(membership_probabilities(np.exp(scores), is_member), expected)
    scores[0], scores[-1] = np.inf, -np.inf
    found = membership_probabilities(scores, is_member)
    assert found[0] == found.max()
    assert found[-1] == found.min()


def test_equal_scores_are_equally_likely():
    scores, is_member = gaussian(300, 300, 1.0)
    found = membership_probabilities(np.round(scores), is_member)
    for value in np.unique(np.round(scores)):
        assert len(np.unique(found[np.round(scores) == value])) <= 2  # one a half
    assert len(np.unique(membership_probabilities(np.zeros(600), is_member))) == 1


def test_of_few_members_among_many_others_little_is_claimed():
    """Twenty members among two thousand: whoever counts records alone claims .9 for the highest of noise."""
    for members in (20, 60):
        found = [membership_probabilities(*gaussian(2_000, members, 0.0, seed)).max() for seed in range(10)]
        assert np.mean(found) < 0.75


def test_of_too_few_records_nothing_is_learned():
    np.testing.assert_array_equal(membership_probabilities([1.0, 2.0, 3.0], [1, 0, 0], 0.3), 0.3)


def test_a_prior_must_be_a_share():
    with pytest.raises(ValueError, match="prior is 1"):
        membership_probabilities([1.0, 2.0], [1, 0], 1)


def test_how_sure_it_can_be_is_bounded_by_a_bin():
    highest = membership_probabilities(*gaussian(1_000, 1_000, 50.0)).max()
    assert 90 < highest / (1 - highest) < 110
