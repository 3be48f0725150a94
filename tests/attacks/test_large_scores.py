"""Hundreds of thousands of scores: the report's memory, and its numbers, which are then summed and dealt in pieces."""

import numpy as np
import pytest
from held_memory import peak
from scipy import special, stats

from privacy_callbacks.attacks import LeakageReport, RocCurve
from privacy_callbacks.attacks.advantage import advantage
from privacy_callbacks.attacks.auc import auc, auc_value
from privacy_callbacks.attacks.information import mutual_information

SIDE = 200_000


def scores_of(kind, side=SIDE, gain=0.1):
    rng = np.random.default_rng(0)
    is_member = np.arange(2 * side) < side
    scores = rng.normal(size=2 * side) + gain * is_member
    if kind == "a thousand values":
        scores = np.clip(np.round(scores * 125), -499, 500)
    elif kind == "one tie":
        scores[rng.random(2 * side) < 0.05] = 0
    return scores, is_member


def sort(scores, is_member):
    """The sort that a ROC curve needs."""
    order = np.argsort(-scores, kind="stable")
    return scores[order], is_member[order]


@pytest.mark.parametrize("kind", ["distinct", "a thousand values", "one tie"])
def test_a_report_holds_at_most_three_times_what_its_sort_does(kind):
    scores, is_member = scores_of(kind)
    LeakageReport.from_scores(scores[SIDE - 10 : SIDE + 10], is_member[SIDE - 10 : SIDE + 10])  # imports, once
    for flags in (is_member, is_member.astype(np.int64)):
        limit = 3 * peak(lambda flags=flags: sort(scores, flags))
        assert peak(lambda flags=flags: LeakageReport.from_scores(scores, flags)) <= limit


def test_the_area_and_its_interval_are_those_of_ranks():
    scores, is_member = scores_of("distinct", gain=1.0)
    found = auc(RocCurve.from_scores(scores, is_member))
    assert float(found) == pytest.approx(auc_value(scores, is_member), abs=1e-12)
    ranks = stats.rankdata(scores)
    parts = []
    for side in (is_member, ~is_member):
        placements = (
            ranks[side] - stats.rankdata(scores[side])
        ) / SIDE  # the share of the other side that each one beats
        parts.append(placements.var(ddof=1) / SIDE)
    quantile = stats.t.ppf(0.975, sum(parts) ** 2 / sum(part**2 / (SIDE - 1) for part in parts))
    reach = quantile * np.sqrt(sum(parts)) / (found * (1 - found))
    assert found.low == pytest.approx(special.expit(special.logit(found) - reach), abs=1e-9)
    assert found.high == pytest.approx(special.expit(special.logit(found) + reach), abs=1e-9)


def test_the_advantage_is_scipys_and_its_level_the_asymptotic_one():
    scores, is_member = scores_of("distinct")
    found = advantage(RocCurve.from_scores(scores, is_member))
    assert float(found) == pytest.approx(stats.ks_2samp(scores[is_member], scores[~is_member]).statistic, abs=1e-12)
    assert found.null_level == pytest.approx(special.kolmogi(0.05) * np.sqrt(2 / SIDE))


def test_distinct_scores_are_binned_by_rank():
    scores, is_member = scores_of("distinct")
    middle_ranks = 2 * stats.rankdata(-scores) - 1
    bins = (middle_ranks * 20 // (4 * SIDE)).astype(int)
    p, q = (np.bincount(bins[side], minlength=20) / SIDE for side in (is_member, ~is_member))
    bits = (stats.entropy(p, (p + q) / 2, base=2) + stats.entropy(q, (p + q) / 2, base=2)) / 2
    assert mutual_information(RocCurve.from_scores(scores, is_member)).details["plug_in"] == pytest.approx(
        bits, abs=1e-12
    )


def test_large_ties_far_apart_keep_bins_of_their_own():
    scores, is_member = scores_of("distinct", gain=1.0)
    scores = np.where(scores > 1.5, np.inf, np.where(scores < -0.5, -np.inf, scores))
    bins = ((2 * stats.rankdata(-scores) - 1) * 20 // (4 * SIDE)).astype(int)
    bins = np.where(np.isfinite(scores), bins, np.where(scores > 0, 20, 21))
    p, q = (np.bincount(bins[side], minlength=22) / SIDE for side in (is_member, ~is_member))
    bits = (stats.entropy(p, (p + q) / 2, base=2) + stats.entropy(q, (p + q) / 2, base=2)) / 2
    assert np.unique(scores).size > 2**17  # the ties lie in different pieces
    assert mutual_information(RocCurve.from_scores(scores, is_member)).details["plug_in"] == pytest.approx(
        bits, abs=1e-12
    )


# The null level of the advantage when many of many scores tie


def dealt_to_every_record(per_score, members, simulations, seed):
    """max |TPR − FPR| of leak-free audits, largest score first."""
    rng, owner = np.random.default_rng(seed), np.repeat(np.arange(per_score.size), per_score)
    found = np.empty(simulations)
    for i in range(simulations):
        dealt = np.bincount(rng.permutation(owner)[:members], minlength=per_score.size)
        fpr = np.cumsum(per_score - dealt) / (owner.size - members)
        found[i] = np.abs(np.cumsum(dealt) / members - fpr).max()
    return found


def curve_of_groups(per_score, members):
    """Any curve with these groups, largest score first."""
    scores = -np.repeat(np.arange(per_score.size), per_score).astype(float)
    return RocCurve.from_scores(scores, np.random.default_rng(0).permutation(scores.size) < members)


def groups(records, *ties):
    """Sizes: runs of single records, of equal length, before, between and after the ties."""
    runs = np.array_split(np.ones(records - sum(ties), np.int64), len(ties) + 1)
    return np.concatenate([part for tie, run in zip(ties, runs, strict=False) for part in (run, [tie])] + [runs[-1]])


def test_up_to_twenty_thousand_records_membership_is_dealt_to_every_one():
    per_score = groups(20_000, 1_000)
    found = np.sort(dealt_to_every_record(per_score, 8_000, 240, seed=3))
    level = advantage(curve_of_groups(per_score, 8_000), seed=3).null_level
    assert level == found[int(np.ceil(0.95 * 241)) - 1]


@pytest.mark.parametrize("members", [10_000, 200])
@pytest.mark.parametrize("ties", [(1_000,), (10_000,), (4_000, 6_000, 2_000)])
def test_beyond_leak_free_audits_pass_the_level_one_time_in_twenty(ties, members):
    per_score = groups(20_002, *ties)
    level = advantage(curve_of_groups(per_score, members)).null_level
    passed = np.mean(dealt_to_every_record(per_score, members, 1_000, seed=1) > level)
    assert 0.025 < passed < 0.07  # three standard errors are .02; the level is slightly conservative


def test_small_ties_beside_a_large_one_at_the_end_leave_the_level_without_ties():
    """Nothing is cut off a bridge where it is tied down anyway."""
    per_score = np.concatenate([np.ones(988_000, np.int64), [12_000]])
    level = advantage(curve_of_groups(per_score, 400_000)).null_level
    assert level == pytest.approx(special.kolmogi(0.05) * np.sqrt(1 / 400_000 + 1 / 600_000), rel=0.01)


def test_two_large_ties_and_a_few_records_between_are_a_difference_of_proportions():
    per_score = np.concatenate([[60_000], np.ones(70, np.int64), [139_930]])
    level = advantage(curve_of_groups(per_score, 50_000)).null_level
    error = np.sqrt(0.3 * 0.7 * (1 / 50_000 + 1 / 150_000))
    # The quantile of 4,000 draws has a standard error of .03; the few records between add about .01.
    assert level / error == pytest.approx(special.ndtri(0.975), abs=0.1)


def test_the_level_grows_with_the_probability_and_never_passes_one():
    curve = curve_of_groups(groups(20_002, 5_000), 3)
    levels = [advantage(curve, level).null_level for level in (0.5, 0.9, 0.95, 0.99)]
    assert levels == sorted(set(levels))
    assert levels[-1] <= 1
