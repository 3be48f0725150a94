"""Each metric against an independent computation, in null worlds, in closed-form worlds, and at its edges."""

import numpy as np
import pytest
from gaussian_world import GaussianWorld
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import special, stats
from sklearn.metrics import roc_auc_score

from privacy_callbacks.attacks.advantage import advantage
from privacy_callbacks.attacks.auc import auc
from privacy_callbacks.attacks.estimate import clopper_pearson_low
from privacy_callbacks.attacks.information import mutual_information
from privacy_callbacks.attacks.low_fpr import tpr_at_fpr, tpr_band
from privacy_callbacks.attacks.predictive_value import ppv
from privacy_callbacks.attacks.roc import RocCurve
from privacy_callbacks.attacks.youden import balanced_accuracy, youden_j

few_values = st.lists(st.integers(-3, 3), min_size=1, max_size=12)


def curve(members, nonmembers):
    scores = np.concatenate([members, nonmembers]).astype(float)
    return RocCurve.from_scores(scores, np.arange(scores.size) < len(members))


# AUC


def naive_auc_and_delong(members, nonmembers):
    wins = (np.sign(np.subtract.outer(members, nonmembers)) + 1) / 2
    parts = wins.mean(1).var(ddof=1) / len(members), wins.mean(0).var(ddof=1) / len(nonmembers)
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / (len(members) - 1) + parts[1] ** 2 / (len(nonmembers) - 1))
    return wins.mean(), sum(parts), stats.t.ppf(0.975, freedom)


@pytest.mark.parametrize("decimals", [8, 0])
def test_auc_and_its_interval_agree_with_a_naive_delong(decimals):
    rng = np.random.default_rng(1)
    members, nonmembers = np.round(rng.normal(0.5, 1, 60), decimals), np.round(rng.normal(size=45), decimals)
    value, variance, quantile = naive_auc_and_delong(members, nonmembers)
    found = auc(curve(members, nonmembers))
    assert float(found) == pytest.approx(value, abs=1e-12)
    reach = quantile * np.sqrt(variance) / (value * (1 - value))
    assert found.low == pytest.approx(special.expit(special.logit(value) - reach), abs=1e-7)
    assert found.high == pytest.approx(special.expit(special.logit(value) + reach), abs=1e-7)


@given(few_values, few_values)
def test_auc_is_scikit_learns_for_any_ties_and_lies_in_its_interval(members, nonmembers):
    found = auc(curve(members, nonmembers))
    truth = np.arange(len(members) + len(nonmembers)) < len(members)
    assert float(found) == pytest.approx(roc_auc_score(truth, members + nonmembers))
    assert 0 <= found.low <= found <= found.high <= 1


@given(few_values, few_values)
def test_swapping_members_and_nonmembers_mirrors_the_auc_and_its_interval(members, nonmembers):
    there, back = auc(curve(members, nonmembers)), auc(curve(nonmembers, members))
    assert float(there) == pytest.approx(1 - back)
    assert (there.low, there.high) == pytest.approx((1 - back.high, 1 - back.low))


def test_separated_sides_get_the_exact_bound_not_a_point():
    found = auc(curve([3, 4, 5], [0, 1]))
    assert (float(found), found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(0.025 ** (1 / 2))
    mirrored = auc(curve([0, 1], [3, 4, 5]))
    assert (float(mirrored), mirrored.low, mirrored.high) == (0.0, 0.0, pytest.approx(1 - 0.025 ** (1 / 2)))


def test_scores_that_say_nothing_do_not_claim_certainty():
    found = auc(curve([1] * 50, [1] * 50))
    assert float(found) == 0.5
    assert found.high - found.low == pytest.approx(1 - 0.025 ** (1 / 50))
    single = auc(curve([1], [1]))
    assert (single.low, single.high) == (0, 1)


@pytest.mark.slow
@pytest.mark.parametrize("sides", [(30, 30), (200, 200), (10, 1_000), (3, 5_000)])
@pytest.mark.parametrize("gain", [0.0, 0.36, 1.2, 2.3, 3.3])
def test_the_auc_interval_covers_the_truth(sides, gain):
    """Nominal 95 %; 2,000 worlds, so a rate of .935 lies 3 standard errors below."""
    world, rng = GaussianWorld(gain), np.random.default_rng(2)
    covered = [
        (e := auc(RocCurve.from_scores(*world.draw(*sides, rng)))).low <= world.auc <= e.high for _ in range(2_000)
    ]
    assert np.mean(covered) >= 0.935


@pytest.mark.slow
@pytest.mark.parametrize(("right", "count"), [((1.0, 0.97), 100), ((1.0, 0.995), 1_000), ((0.9, 0.9), 30)])
def test_the_auc_interval_of_the_gap_attack_covers_the_truth(right, count):
    rng = np.random.default_rng(16)
    truth = 0.5 + (right[0] - right[1]) / 2
    found = [auc(curve(*(rng.random(count) < share for share in right))) for _ in range(2_000)]
    assert np.mean([e.low <= truth <= e.high for e in found]) >= 0.935


def test_one_lost_pair_does_not_claim_more_than_a_perfect_result():
    members, nonmembers = np.arange(100.0), -1 - np.arange(100.0)
    nonmembers[0] = 0.5
    assert auc(curve(members, nonmembers)).low <= auc(curve(members, -1 - members)).low


def curve_of(world, count, rng, decimals=None):
    scores, is_member = world.draw(count, count, rng)
    return RocCurve.from_scores(scores if decimals is None else np.round(scores, decimals), is_member)


def test_the_gaussian_world_reaches_its_closed_form():
    rng = np.random.default_rng(3)
    for world, expected in ((GaussianWorld(1.0, 2.0), 0.624), (GaussianWorld(1.0, 0.0), 0.760)):
        assert world.auc == pytest.approx(expected, abs=5e-4)
        assert float(auc(curve_of(world, 100_000, rng))) == pytest.approx(world.auc, abs=0.004)


# Advantage


@given(few_values, few_values)
def test_advantage_is_the_largest_gap_between_the_distribution_functions(members, nonmembers):
    gaps = [abs(np.mean(np.array(members) >= t) - np.mean(np.array(nonmembers) >= t)) for t in members + nonmembers]
    found = advantage(curve(members, nonmembers))
    assert float(found) == pytest.approx(max(gaps))
    assert found.low is None
    assert found.high is None
    assert 0 <= found.null_level <= 1


@pytest.mark.slow
@pytest.mark.parametrize("decimals", [None, 1, 0])
@pytest.mark.parametrize("sides", [(200, 200), (100, 1_000)])
def test_without_leakage_the_advantage_passes_its_null_level_in_at_most_one_audit_of_twenty(decimals, sides):
    rng = np.random.default_rng(4)
    alarms, values = [], []
    for _ in range(600):
        scores, is_member = GaussianWorld(0.0).draw(*sides, rng)
        found = advantage(RocCurve.from_scores(scores if decimals is None else np.round(scores, decimals), is_member))
        alarms.append(found > found.null_level)
        values.append(found)
    assert np.mean(alarms) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 600)
    if decimals is None and sides == (200, 200):
        # The bias that the docstring speaks of.
        assert np.mean(values) == pytest.approx(0.087, abs=0.006)
        assert found.null_level == pytest.approx(1.36 * np.sqrt(2 / 200), rel=0.01)


def test_the_null_level_of_two_tied_values_is_that_of_a_difference_of_proportions():
    rng = np.random.default_rng(5)
    scores = rng.integers(0, 2, 800).astype(float)
    found = advantage(RocCurve.from_scores(scores, np.arange(800) < 400))
    # |difference of two proportions of .5, 400 a side| has its 95 % point at 1.96·√(.25·2/400).
    assert found.null_level == pytest.approx(1.96 * np.sqrt(0.5 / 400), abs=0.006)


# Youden's J


@pytest.mark.slow
@pytest.mark.parametrize(("count", "gain"), [(10, 0.0), (50, 0.0), (200, 0.0), (200, 1.0), (50, 4.0)])
def test_youden_is_centred_and_its_interval_covers(count, gain):
    """The target is the expected J of the thresholds learned, known in the Gaussian world; 2,000 worlds."""
    rng = np.random.default_rng(6)
    world = GaussianWorld(gain)
    found = [youden_j(*world.draw(count, count, rng), seed=seed) for seed in range(2_000)]
    if gain == 0:
        assert np.mean(found) == pytest.approx(0, abs=4 * np.std(found) / np.sqrt(2_000))
        assert np.mean([e.low <= 0 <= e.high for e in found]) >= 0.935
    else:
        assert world.best_j >= np.mean(found) >= world.best_j - 0.06


def test_youden_depends_on_its_seed_only():
    scores, is_member = GaussianWorld(1.0).draw(100, 100, np.random.default_rng(7))
    first, again, other = (youden_j(scores, is_member, seed=seed) for seed in (0, 0, 1))
    assert repr(first) == repr(again)
    assert float(first) != float(other)


def test_balanced_accuracy_is_youden_rescaled():
    j = youden_j(*GaussianWorld(1.0).draw(100, 100, np.random.default_rng(8)))
    accuracy = balanced_accuracy(j)
    assert (float(accuracy), accuracy.low, accuracy.high) == ((j + 1) / 2, (j.low + 1) / 2, (j.high + 1) / 2)


def test_ties_at_the_threshold_count_as_members_and_the_largest_best_threshold_wins():
    # Any threshold in {1, 2} separates; the larger one, 2, must not admit the later non-members at 1.
    scores = np.array([2.0, 2.0, 2.0, 2.0, 0.0, 0.0, 0.0, 0.0])
    assert float(youden_j(scores, np.arange(8) < 4)) == 1.0
    assert float(youden_j(np.ones(8), np.arange(8) < 4)) == 0.0


def test_halves_need_two_records_a_side():
    with pytest.raises(ValueError, match="1 members and 3 non-members cannot be halved"):
        youden_j(np.arange(4.0), np.arange(4) < 1)


# TPR at a low FPR


@pytest.mark.parametrize("decimals", [8, 0])
@pytest.mark.parametrize("fpr", [0.1, 0.013])
def test_tpr_at_fpr_is_the_naive_count(decimals, fpr):
    rng = np.random.default_rng(9)
    members, nonmembers = np.round(rng.normal(1, 1, 700), decimals), np.round(rng.normal(size=1_000), decimals)
    boundary = np.sort(nonmembers)[::-1][int(np.floor(fpr * 1_000 + 1e-9))]
    found = tpr_at_fpr(curve(members, nonmembers), fpr)
    assert float(found) == np.mean(members > boundary)
    assert found.details["false_positives"] == np.sum(nonmembers > boundary)
    assert found.details["attained_fpr"] <= fpr
    assert found.low <= found <= found.high


def test_ties_at_the_boundary_are_rejected():
    nonmembers = np.concatenate([np.full(20, 5.0), np.zeros(80)])
    found = tpr_at_fpr(curve(np.full(10, 5.0), nonmembers), 0.1)
    assert (float(found), found.details["false_positives"]) == (0.0, 0)


@pytest.mark.parametrize(("fpr", "needed"), [(0.1, 100), (0.01, 1_000), (0.001, 10_000)])
def test_tpr_at_fpr_is_refused_below_ten_expected_false_positives(fpr, needed):
    assert tpr_at_fpr(curve(np.zeros(3), np.arange(needed)), fpr) == 0
    with pytest.raises(ValueError, match=f"needs {needed:,} non-members"):
        tpr_at_fpr(curve(np.zeros(3), np.arange(needed - 1)), fpr)


@pytest.mark.parametrize("fpr", [0, 1, -0.1, float("nan")])
def test_a_rate_that_cannot_be_allowed_is_refused(fpr):
    with pytest.raises(ValueError, match="false positive rate allowed"):
        tpr_at_fpr(curve(np.zeros(3), np.arange(1_000)), fpr)


@pytest.mark.slow
@pytest.mark.parametrize("decimals", [None, 1])
@pytest.mark.parametrize(("fpr", "count"), [(0.1, 100), (0.1, 1_000), (0.01, 1_000), (0.01, 2_000)])
def test_the_interval_covers_the_tpr_at_the_population_rate(fpr, count, decimals):
    world, rng = GaussianWorld(1.0), np.random.default_rng(10)
    truth = world.tpr_at(fpr)
    if decimals is not None:
        # Rounded scores: the smallest threshold whose population FPR is within the rate.
        grid = np.arange(-8, 8, 0.1) + 0.05
        truth = special.ndtr(1 - grid[special.ndtr(-grid) <= fpr][0])
    found = [tpr_at_fpr(curve_of(world, count, rng, decimals), fpr) for _ in range(600)]
    assert np.mean([e.low <= truth <= e.high for e in found]) >= 0.95


def test_the_band_is_the_interval_at_every_rate():
    roc = curve_of(GaussianWorld(1.0), 1_000, np.random.default_rng(11))
    low, high = tpr_band(roc, np.array([0.01, 0.1]))
    for k, fpr in enumerate((0.01, 0.1)):
        assert (low[k], high[k]) == (tpr_at_fpr(roc, fpr).low, tpr_at_fpr(roc, fpr).high)


@pytest.mark.slow
def test_a_tie_across_the_boundary_keeps_the_interval_useful_and_right():
    """Half of all records tie at the top: no threshold within 1 % exists but "nobody", so the TPR is 0."""
    rng = np.random.default_rng(18)
    found = [
        tpr_at_fpr(
            curve(
                np.where(rng.random(1_000) < 0.7, 9, rng.random(1_000)),
                np.where(rng.random(1_000) < 0.5, 9, rng.random(1_000)),
            ),
            0.01,
        )
        for _ in range(100)
    ]
    assert {e.low for e in found} == {0.0}
    assert max(e.high for e in found) < 0.01


# PPV


def test_ppv_is_bayes_rule_at_the_stated_prior_and_threshold():
    roc = curve([3, 2, 1, 0], [2, 1, 0, 0])
    assert float(ppv(roc, threshold=2)) == pytest.approx(0.5 / 0.75)
    assert float(ppv(roc, threshold=2, prior=0.01)) == pytest.approx(0.01 * 0.5 / (0.01 * 0.5 + 0.99 * 0.25))
    assert float(ppv(roc, threshold=1.5)) == float(ppv(roc, threshold=2))
    assert float(ppv(roc, threshold=3)) == 1.0
    assert ppv(roc, threshold=3).low < 0.3  # one accusation proves little


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"prior": 0}, "share of members"), ({"threshold": np.nan}, "NaN"), ({"threshold": 9}, "nobody")],
)
def test_a_ppv_without_meaning_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        ppv(curve([1], [0]), **{"threshold": 0.5, **arguments})


@pytest.mark.slow
def test_the_ppv_interval_covers():
    world, rng = GaussianWorld(1.0), np.random.default_rng(19)
    tpr, fpr = special.ndtr(1 - 1.5), special.ndtr(-1.5)
    found = [ppv(curve_of(world, 300, rng), threshold=1.5, prior=0.1) for _ in range(1_000)]
    assert np.mean([e.low <= 0.1 * tpr / (0.1 * tpr + 0.9 * fpr) <= e.high for e in found]) >= 0.95


# Mutual information


@pytest.mark.slow
@pytest.mark.parametrize("sides", [(15, 15), (500, 500), (50, 5_000)])
def test_mutual_information_is_centred_on_zero_without_leakage(sides):
    rng = np.random.default_rng(12)
    curves = (RocCurve.from_scores(*GaussianWorld(0.0).draw(*sides, rng)) for _ in range(1_000))
    found = [mutual_information(roc, seed=seed) for seed, roc in enumerate(curves)]
    assert np.mean(found) == pytest.approx(0, abs=4 * np.std(found) / np.sqrt(1_000))
    assert np.mean([e > e.null_level for e in found]) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 1_000)


def test_for_many_records_bias_and_null_level_are_the_textbook_ones():
    found = mutual_information(curve_of(GaussianWorld(0.5), 500, np.random.default_rng(13)))
    unit = 2 / 500 / (8 * np.log(2))
    assert found.details["plug_in"] - found == pytest.approx(19 * unit, rel=0.1)
    assert found.null_level == pytest.approx((stats.chi2.ppf(0.95, 19) - 19) * unit, rel=0.35)


@given(few_values, few_values)
def test_mutual_information_does_not_care_for_the_sign(members, nonmembers):
    there = mutual_information(curve(members, nonmembers))
    back = mutual_information(curve(-np.array(members), -np.array(nonmembers)))
    assert there.details["plug_in"] == pytest.approx(back.details["plug_in"])


def test_a_rare_but_telling_value_is_not_merged_away():
    members, nonmembers = np.zeros(1_000), np.random.default_rng(17).normal(-5, 1, 1_000)
    for sign in (1, -1):
        found = mutual_information(
            curve(sign * np.append(members, [9.0] * 60), sign * np.append(nonmembers, [9.0] * 2))
        )
        assert found.details["plug_in"] > 0.9
    scores = np.zeros(2_000)
    scores[:60] = 1
    assert float(mutual_information(RocCurve.from_scores(scores, np.arange(2_000) < 1_000))) > 0.02


def test_mutual_information_reaches_its_closed_form_where_threshold_j_does_not():
    # N(0, 9) against N(0, 1): I = .269 bits, threshold J = .242 (formulas of the field; wide members lie on both ends).
    rng = np.random.default_rng(14)
    roc = curve(rng.normal(0, 3, 100_000), rng.normal(0, 1, 100_000))
    assert float(mutual_information(roc)) == pytest.approx(0.269, abs=0.012)
    assert float(advantage(roc)) == pytest.approx(0.242, abs=0.006)


@given(few_values, few_values)
@example([1], [0, 0, 0, 0, 0, 0, -1, 2, -2, -2])
@example([3] * 221, [-3] * 221)
def test_the_sandwich_holds_for_the_plug_in(members, nonmembers):
    found = mutual_information(curve(members, nonmembers))
    details = found.details
    assert details["sandwich_low"] - 1e-12 <= details["plug_in"] <= details["sandwich_high"] + 1e-12
    assert details["plug_in"] <= 1 + 1e-12
    assert 0 <= details["bayes_error"] <= 0.5
    assert 0 <= details["total_variation"] <= 1


def test_separated_sides_tell_one_bit_and_equal_scores_none():
    rng = np.random.default_rng(15)
    assert mutual_information(curve(rng.normal(50, 1, 5_000), rng.normal(size=5_000))) == pytest.approx(1, abs=0.005)
    constant = mutual_information(curve(np.ones(50), np.ones(50)))
    assert (float(constant), constant.null_level) == (0.0, 0.0)


@pytest.mark.parametrize(("members", "nonmembers"), [(100, 100), (40, 400), (1_000, 1_000)])
def test_null_levels_far_out_are_those_of_many_relabellings(members, nonmembers):
    rng = np.random.default_rng(16)
    scores = rng.normal(size=members + nonmembers)
    found = mutual_information(curve(scores[:members], scores[members:]), level=0.999)
    drawn = []
    for _ in range(3_000):
        dealt = rng.permutation(scores)
        drawn.append(mutual_information(curve(dealt[:members], dealt[members:])).details)
    for name, level in (
        ("plug_in", found.details["plug_in"] - found + found.null_level),
        ("total_variation", found.details["total_variation_null_level"]),
    ):
        assert np.mean([details[name] > level for details in drawn]) < 0.004
        assert np.quantile([details[name] for details in drawn], 0.98) < level


def test_far_out_youdens_interval_is_made_of_exact_ends():
    """All members above all non-members: TPR 1 and FPR 0 in both halves, so each end is one proportion's own."""
    is_member = np.arange(60) >= 30
    scores = is_member.astype(float)
    found = youden_j(scores, is_member, level=0.999)
    reach = 1 - clopper_pearson_low(30, 30, 0.0005)
    assert (float(found), found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(1 - np.hypot(reach, reach))


@pytest.mark.parametrize(("members", "nonmembers"), [(20, 200), (15, 500)])
def test_far_out_youdens_interval_errs_no_more_than_it_may(members, nonmembers):
    rng, truth = np.random.default_rng(17), np.arange(members + nonmembers) < members
    found = [youden_j(rng.normal(size=truth.size), truth, 0.995, seed) for seed in range(3_000)]
    assert np.mean([not one.low <= 0 <= one.high for one in found]) < 0.008


def test_far_out_few_records_tell_nothing_of_youdens_j():
    scores, is_member = np.arange(509.0), np.arange(509) < 9
    assert youden_j(scores, is_member).low is not None
    with pytest.raises(ValueError, match=r"9 members and 500 non-members tell nothing about Youden's J at level 0.995"):
        youden_j(scores, is_member, level=0.995)
