"""Membership advantage as TensorFlow Privacy defines it, beside what guessing reaches."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import special

from .estimate import LEVEL, Estimate, check_level, order_quantile, simulations_for
from .roc import RocCurve

# Below this share of records in one tie the asymptotic level for continuous scores is right to the third digit.
_MATERIAL_TIE = 0.01
# Up to this many records membership is dealt to every single one, which costs hundreds of shuffles of them all.
_SHUFFLED_RECORDS = 20_000


def advantage(roc: RocCurve, level: float = LEVEL, seed: int = 0) -> Estimate:
    """The largest |TPR − FPR| over all thresholds.

    The maximum is taken on the very records it is reported for, so it is biased upwards (about .87·√(1/n₁ + 1/n₀)
    without any leakage) and has no honest confidence interval: `low` and `high` are None. Beside it stands
    `null_level`, which a leak-free audit of these sizes does not exceed with probability `level`; Youden's J is the
    unbiased companion.

    The level is the asymptotic one unless more than 1 % of the records share a score. Then membership is dealt at random
    over the tied groups; among more than 20,000 records with more than 64 distinct scores only over the large groups and
    the runs between them, within which the gap is taken for a Brownian bridge. Simulated at nominal 95 % (20,001 records,
    10 to 10,000 of them on the smaller side, 1 to 90 large groups) leak-free audits pass that level in .030 to .057.

    Args:
      roc: the curve of the judged records.
      level: probability of the null level.
      seed: for the random dealing that replaces the asymptotic level when scores tie.
    Returns:
      An `Estimate` in [0, 1]; 0 = no threshold tells the sides apart.
    Source: Yeom et al. 2018, arXiv:1709.01604; max |TPR − FPR| is the two-sample Kolmogorov–Smirnov statistic.
    """
    check_level(level)
    n1, n0 = roc.num_members, roc.num_nonmembers
    value = max(float(np.max(np.abs(tp / n1 - fp / n0))) for tp, fp in roc.pieces())
    return Estimate(value, level=level, null_level=_null_level(roc, level, seed))


def _null_level(roc: RocCurve, level: float, seed: int) -> float:
    members, records = roc.num_members, roc.num_members + roc.num_nonmembers
    material = max(1, _MATERIAL_TIE * records)
    if max(int(np.diff(tp + fp).max()) for tp, fp in roc.pieces()) <= material:
        scale = np.sqrt(1 / roc.num_members + 1 / roc.num_nonmembers)
        return min(1.0, float(special.kolmogi(1 - level) * scale))
    if records > _SHUFFLED_RECORDS and roc.thresholds.size > 65:
        return _level_by_bridges(*_ties_and_runs(roc, material), members, level, seed)
    return _level_by_permutation(np.diff(roc.true_positives + roc.false_positives), members, level, seed)


def _level_by_permutation(per_score: NDArray[np.int64], members: int, level: float, seed: int) -> float:
    """The level's quantile of max |TPR − FPR| when membership is dealt at random over the tied groups of scores."""
    rng = np.random.default_rng(seed)
    simulations = simulations_for(level, 1_000 if per_score.size <= 64 else 240)
    if per_score.size <= 64:
        gaps = _gaps(rng.multivariate_hypergeometric(per_score, members, size=simulations), per_score)
        return order_quantile(np.max(np.abs(gaps), axis=1), level)
    owner = np.repeat(np.arange(per_score.size), per_score)
    chosen = (rng.permutation(owner)[:members] for _ in range(simulations))
    dealt = (np.bincount(groups, minlength=per_score.size) for groups in chosen)
    return order_quantile(np.array([np.max(np.abs(_gaps(one, per_score))) for one in dealt]), level)


def _gaps(dealt: NDArray[np.int64], per_group: NDArray[np.int64]) -> NDArray[np.float64]:
    """TPR − FPR after each group, [..., groups], when `dealt` of its records are members."""
    tpr = np.cumsum(dealt, axis=-1) / dealt.sum(axis=-1, keepdims=True)
    return tpr - np.cumsum(per_group - dealt, axis=-1) / (per_group - dealt).sum(axis=-1, keepdims=True)


def _ties_and_runs(roc: RocCurve, material: float) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The records cut at both ends of every group larger than `material`: (records, is it such a group) by part."""
    ends, are_ties, last = [], [], 0
    for tp, fp in roc.pieces():
        at_or_above = tp + fp
        for group in np.flatnonzero(np.diff(at_or_above) > material):
            before, after = int(at_or_above[group]), int(at_or_above[group + 1])
            if before > last:
                ends.append(before)
                are_ties.append(False)
            ends.append(after)
            are_ties.append(True)
            last = after
    if last < int(at_or_above[-1]):
        ends.append(int(at_or_above[-1]))
        are_ties.append(False)
    return np.diff(np.array(ends), prepend=0), np.array(are_ties)


def _level_by_bridges(
    records: NDArray[np.int64], is_tie: NDArray[np.bool_], members: int, level: float, seed: int
) -> float:
    """As `_level_by_permutation`, without dealing membership within the runs between large ties.

    Given the gaps at both ends of a run of m records, the gap between them is a walk with both ends tied down, whose limit
    is a Brownian bridge of length m / (n₁·n₀): all runs together have the length 1/n₁ + 1/n₀ of the level without ties.
    A bridge from a to b leaves (−c, c) with probability at most exp(−2(c−a)(c−b)/length) + exp(−2(c+a)(c+b)/length)
    (reflection at either side; at the level .95 of an unbroken run the sum is right to seven digits). No gap is looked at
    within a tie, and small ties within a run can only lower the maximum. So each simulation gives a probability of passing
    c instead of a yes or no, and the level is the least c whose mean probability is small enough.
    """
    rng = np.random.default_rng(seed)
    # Four thousand at level .95 and a few parts; fewer of many parts, so that the tables stay at a few megabytes.
    simulations = int(np.ceil(max(12 / (1 - level), min(200 / (1 - level), 2**18 / records.size))))
    dealt = rng.multivariate_hypergeometric(records, members, size=simulations)
    after = _gaps(dealt, records)
    largest = np.max(np.abs(after), axis=1)
    before = np.concatenate([np.zeros((len(after), 1)), after[:, :-1]], axis=1)[:, ~is_tie]
    after = after[:, ~is_tie]
    length = records[~is_tie] / (members * (int(records.sum()) - members))

    def passing(c: float) -> float:
        inside = largest <= c  # the others pass c for sure
        a, b = before[inside], after[inside]
        leaves = np.exp(-2 * (c - a) * (c - b) / length) + np.exp(-2 * (c + a) * (c + b) / length)
        return float(len(largest) - np.sum(np.prod(1 - np.minimum(leaves, 1), axis=1)))

    low, high = 0.0, 1.0
    for _ in range(32):
        middle = (low + high) / 2
        # As `order_quantile`: a further audit counts as one that passes.
        if passing(middle) + 1 <= (1 - level) * (len(largest) + 1):
            high = middle
        else:
            low = middle
    return high
