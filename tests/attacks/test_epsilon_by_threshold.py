"""Bounds of ε from thresholds: their formula, their thresholds, and that they are bounds."""

import numpy as np
import pytest
from scipy import special, stats

from privacy_callbacks.attacks.epsilon import epsilon_lower_bound
from privacy_callbacks.attacks.epsilon_by_threshold import (
    _nearly_clopper_pearson_high,
    best_by_rank,
    epsilon_of_rates,
)
from privacy_callbacks.attacks.epsilon_gdp import gaussian_epsilon
from privacy_callbacks.attacks.estimate import clopper_pearson_high

BOTH = pytest.mark.parametrize("method", ["split", "grid"])


def bound(sides, method, delta=0.0, level=0.95, seed=0):
    members, nonmembers = sides
    is_member = np.arange(len(members) + len(nonmembers)) < len(members)
    return epsilon_lower_bound(np.concatenate([members, nonmembers]), is_member, delta, level, method, seed)


def gaussian(mu, records, seed):
    rng = np.random.default_rng(seed)
    return rng.normal(mu, 1, records), rng.normal(0, 1, records)


def response(epsilon, records, seed):
    """Randomised response: the truth with probability expit(ε), which is ε-DP exactly."""
    rng = np.random.default_rng(seed)
    honest = special.expit(epsilon)
    return (rng.random(records) < honest).astype(float), (rng.random(records) >= honest).astype(float)


def one_sided(records, seed):
    """Three of ten members are recognised for sure; of the others nothing is known."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(records) < 0.3, np.inf, rng.normal(size=records)), rng.normal(size=records)


def mirrored(sides):
    members, nonmembers = sides
    return -nonmembers, -members


def test_the_true_rates_of_randomised_response_show_its_epsilon_and_with_delta_less():
    for epsilon in (0.0, 1.0, 3.0):
        rate = special.expit(-epsilon)
        assert epsilon_of_rates(rate, rate, 0.0) == pytest.approx(epsilon)
        assert epsilon_of_rates(rate, rate, 0.1) == pytest.approx(np.log((1 - rate - 0.1) / rate))


def test_either_rate_alone_can_show_it_and_impossible_numerators_show_nothing():
    fnr, fpr = np.array([0.9, 0.01, 1.0, 0.7]), np.array([0.01, 0.9, 1.0, 0.7])
    shown = epsilon_of_rates(fnr, fpr, 0.05)
    assert shown[:2] == pytest.approx([np.log(5), np.log(5)])
    assert shown[2] == -np.inf
    assert shown[3] == pytest.approx(np.log(0.25 / 0.7))


@BOTH
def test_a_bound_is_the_formula_at_its_own_counts(method):
    found = bound(gaussian(2, 500, 0), method, 1e-2)
    seen = found.details
    error = 0.05 / 2 / seen.get("thresholds", 1)
    fnr = clopper_pearson_high(seen["members"] - seen["true_positives"], seen["members"], error)
    fpr = clopper_pearson_high(seen["false_positives"], seen["nonmembers"], error)
    assert float(found) == pytest.approx(max(np.log((1 - fnr - 0.01) / fpr), np.log((1 - fpr - 0.01) / fnr)))
    assert seen["members"] == seen["nonmembers"] == (250 if method == "split" else 500)


def test_the_counts_of_the_grid_are_those_at_its_threshold():
    for sides in (gaussian(1, 300, 1), mirrored(one_sided(200, 2)), response(1, 100, 3)):
        found = bound(sides, "grid").details
        assert found["true_positives"] == np.count_nonzero(sides[0] >= found["threshold"])
        assert found["false_positives"] == np.count_nonzero(sides[1] >= found["threshold"])


def test_the_grid_is_as_large_as_the_numbers_of_records_say_and_no_scores_change_it():
    # 1, 2, 4, … up to half, one side each, and the two beyond.
    for members, nonmembers, thresholds in ((1, 1, 4), (2, 3, 4), (8, 8, 8), (100, 7, 10), (50_000, 10_000, 30)):
        for scores in (np.zeros(members + nonmembers), np.arange(members + nonmembers)):
            found = bound((scores[:members], scores[members:]), "grid")
            assert found.details["thresholds"] == thresholds


def test_the_grid_finds_the_best_of_its_thresholds_like_a_search_by_hand():
    members, nonmembers = gaussian(1.5, 20, 4)
    candidates = [np.nextafter(nonmembers.max(), np.inf), members.min()]
    candidates += [np.sort(nonmembers)[-rank] for rank in (1, 2, 4, 8)]
    candidates += [np.nextafter(np.sort(members)[rank - 1], np.inf) for rank in (1, 2, 4, 8)]
    error = 0.05 / (2 * len(candidates))
    shown = []
    for threshold in candidates:
        fnr = clopper_pearson_high(int(np.sum(members < threshold)), 20, error)
        fpr = clopper_pearson_high(int(np.sum(nonmembers >= threshold)), 20, error)
        shown.append(np.log(max((1 - fnr) / fpr, (1 - fpr) / fnr)))
    assert float(bound((members, nonmembers), "grid")) == pytest.approx(max(*shown, 0.0))


@BOTH
def test_a_perfect_attack_reaches_the_ceiling_whose_closed_form_is_that_of_no_mistake(method):
    for scores in (([1.0], [0.0]), ([np.inf], [-np.inf]), ([0.0], [np.nextafter(0.0, -1)])):
        found = bound((np.repeat(scores[0], 400), np.repeat(scores[1], 400)), method)
        judged, thresholds = (200, 1) if method == "split" else (400, 18)
        rate = 1 - (0.05 / 2 / thresholds) ** (1 / judged)
        assert float(found) == pytest.approx(np.log((1 - rate) / rate))
        assert float(found) == found.ceiling
        assert found.reason is None


@BOTH
def test_an_attack_sure_only_of_nonmembers_shows_as_much_as_one_sure_only_of_members(method):
    for delta in (0.0, 1e-2):
        sure = [float(bound(one_sided(2_000, seed), method, delta, seed=seed)) for seed in range(9)]
        mirror = [float(bound(mirrored(one_sided(2_000, seed)), method, delta, seed=seed)) for seed in range(9)]
        assert np.median(sure) == pytest.approx(np.median(mirror), rel=0.02)
        assert np.median(sure) > 4


def test_the_grid_mirrored_is_the_same_number():
    for seed in range(5):
        sides = gaussian(1, 300, seed)
        assert float(bound(mirrored(sides), "grid")) == pytest.approx(float(bound(sides, "grid")), rel=1e-12)


@BOTH
def test_scores_the_wrong_way_round_show_nothing(method):
    found = bound((np.repeat(0.0, 500), np.repeat(1.0, 500)), method)
    assert float(found) == 0.0
    assert "needs no ε above 0" in found.reason


@BOTH
def test_only_the_order_of_scores_counts(method):
    sides = gaussian(1.5, 400, 5)
    stretched = tuple(np.sinh(3 * side) for side in sides)
    assert float(bound(stretched, method)) == float(bound(sides, method))


@BOTH
def test_all_scores_equal_show_nothing(method):
    for score in (0.0, np.inf, -np.inf):
        assert float(bound((np.full(500, score), np.full(400, score)), method)) == 0.0


@BOTH
@pytest.mark.parametrize("delta", [0.0, 0.3, 0.999])
def test_it_never_exceeds_its_ceiling_nor_rises_with_delta_or_level(method, delta):
    for sides in (gaussian(3, 100, 6), response(3, 100, 6), one_sided(100, 6)):
        found = bound(sides, method, delta)
        assert 0 <= float(found) <= found.ceiling
        assert float(bound(sides, "grid", delta)) <= float(bound(sides, "grid", delta / 2))
        assert float(bound(sides, "grid", delta, 0.99)) <= float(bound(sides, "grid", delta, 0.9))


def test_the_halves_come_from_the_seed_and_nothing_else_is_touched():
    sides = gaussian(1, 300, 7)
    before, state = [side.copy() for side in sides], np.random.get_state()[1].tolist()
    found = [float(bound(sides, "split", seed=seed)) for seed in (1, 1, 2, 3)]
    assert found[0] == found[1]
    assert len(set(found)) == 3
    assert np.array_equal(before, sides)
    assert np.random.get_state()[1].tolist() == state


def test_one_record_of_a_side_cannot_be_halved():
    found = bound((np.array([1.0]), np.zeros(100)), "split")
    assert (float(found), found.ceiling) == (0.0, 0.0)
    assert "at least 2 of each are needed" in found.reason


@BOTH
def test_too_few_records_say_that_not_even_a_perfect_attack_would_do(method):
    found = bound((np.ones(3), np.zeros(3)), method)
    assert (float(found), found.ceiling) == (0.0, 0.0)
    assert "not even a perfect attack" in found.reason


def test_the_rule_to_choose_by_is_near_the_exact_bound_wherever_that_is_small():
    for trials in (1, 2, 20, 1_000):
        for error in (0.25, 0.025, 1e-4, 1e-9):
            counts = np.arange(trials + 1)
            exact, near = (
                clopper_pearson_high(counts, trials, error),
                _nearly_clopper_pearson_high(counts, trials, error),
            )
            assert np.all((near > 0) & (near <= 1))
            close = exact < 0.5
            assert near[close] == pytest.approx(exact[close], rel=0.2 if error < 1e-5 else 0.05)


@BOTH
@pytest.mark.parametrize(
    ("world", "truth", "share"),
    [
        (lambda seed: response(1, 20_000, seed), 1.0, 0.93),
        (lambda seed: response(3, 20_000, seed), 3.0, 0.96),
        # A Gaussian shows its ε at thresholds so far out that few records lie beyond them.
        (lambda seed: gaussian(2, 20_000, seed), gaussian_epsilon(2, 1e-2), 0.65),
    ],
    ids=["response 1", "response 3", "gaussian 2"],
)
def test_the_median_of_20_000_records_a_side_reaches_its_share_of_the_truth(method, world, truth, share):
    reached = np.median([bound(world(seed), method, 1e-2, seed=seed) for seed in range(9)])
    assert share * truth < reached < truth


# One test in 1,000 of a bound that fails in exactly 5 % of runs would count more.
MOST_OF_300 = stats.binom.ppf(0.999, 300, 0.05)


@pytest.mark.slow
@BOTH
@pytest.mark.parametrize("records", [200, 2_000])
@pytest.mark.parametrize("epsilon", [0.0, 1.0, 3.0])
def test_bound_exceeds_randomised_response_in_at_most_5_percent_of_300_runs_and_simulation_error(
    epsilon, records, method
):
    exceeded = sum(
        bound(response(epsilon, records, [1, seed]), method, seed=seed) > epsilon + 1e-12 for seed in range(300)
    )
    assert exceeded <= MOST_OF_300


@pytest.mark.slow
@BOTH
@pytest.mark.parametrize("records", [200, 2_000])
@pytest.mark.parametrize("delta", [1e-2, 1e-5])
@pytest.mark.parametrize("mu", [0.0, 0.5, 1.0])
def test_bound_exceeds_a_gaussian_mechanism_in_at_most_5_percent_of_300_runs_and_simulation_error(
    mu, delta, records, method
):
    truth = gaussian_epsilon(mu, delta)
    exceeded = sum(bound(gaussian(mu, records, [2, seed]), method, delta, seed=seed) > truth for seed in range(300))
    assert exceeded <= MOST_OF_300


@pytest.mark.slow
@pytest.mark.parametrize("values", [2, 3, 7, 10**9], ids=lambda values: f"{values} values")
@pytest.mark.parametrize("records", [(30, 30), (7, 60), (60, 7)], ids=str)
@pytest.mark.parametrize("shift", [0, 1, 3])
def test_each_bound_of_a_rate_of_the_grid_fails_in_at_most_its_5_or_6_percent_of_2000_runs_however_scores_tie(
    records, values, shift
):
    def scores(count, rng, side):
        return np.floor(values * special.ndtr(rng.normal(shift * (1 - side), 1, count)))

    whole = [np.sort(scores(400_000, np.random.default_rng(side), side)) for side in (0, 1)]
    failed, is_member = 0, np.arange(sum(records)) < records[0]
    for seed in range(2_000):
        rng = np.random.default_rng([3, seed])
        drawn = [scores(records[side], rng, side) for side in (0, 1)]
        bounds = []

        def worth(fnr, fpr, bounds=bounds):
            bounds.append(np.stack([fnr, fpr]))
            return -fnr

        # At level 0 so much error is allowed that the simulation sees it.
        _, thresholds = best_by_rank(np.concatenate(drawn), is_member, worth, level=0.0)
        at = grid_thresholds(*drawn)
        true_fnr = np.searchsorted(whole[0], at, "left") / len(whole[0])
        true_fpr = 1 - np.searchsorted(whole[1], at, "left") / len(whole[1])
        # As exact as 400,000 records know it.
        failed += np.stack([true_fnr, true_fpr]) > bounds[0] + 2e-3
    # One in 10,000 of each would count more.
    assert np.max(failed) <= stats.binom.ppf(0.9999, 2_000, 1 / (2 * thresholds))


def grid_thresholds(members, nonmembers):
    ranks = [[2**power for power in range(20) if 2**power <= max(1, len(side) // 2)] for side in (members, nonmembers)]
    members, nonmembers = np.sort(members), np.sort(nonmembers)
    above = [members[rank - 1] for rank in ranks[0]] + [nonmembers[-1]]
    return np.array([nonmembers[-rank] for rank in ranks[1]] + [members[0]] + [np.nextafter(x, np.inf) for x in above])
