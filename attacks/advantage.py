"""Membership advantage as TensorFlow Privacy defines it, beside what guessing reaches."""

from __future__ import annotations

import numpy as np
from scipy import special

from .estimate import LEVEL, Estimate, check_level, order_quantile
from .roc import RocCurve

# Below this share of records in one tie the asymptotic level for continuous scores is right to the third digit.
_MATERIAL_TIE = 0.01


def advantage(roc: RocCurve, level: float = LEVEL, seed: int = 0) -> Estimate:
    """The largest |TPR − FPR| over all thresholds.

    The maximum is taken on the very records it is reported for, so it is biased upwards (about .87·√(1/n₁ + 1/n₀)
    without any leakage) and has no honest confidence interval: `low` and `high` are None. Beside it stands
    `null_level`, which a leak-free audit of these sizes does not exceed with probability `level`; Youden's J is the
    unbiased companion.

    Args:
      roc: the curve of the judged records.
      level: probability of the null level.
      seed: for the permutations that replace the asymptotic level when scores tie.
    Returns:
      An `Estimate` in [0, 1]; 0 = no threshold tells the sides apart.
    Source: Yeom et al. 2018, arXiv:1709.01604; max |TPR − FPR| is the two-sample Kolmogorov–Smirnov statistic.
    """
    check_level(level)
    value = float(np.max(np.abs(roc.tpr - roc.fpr)))
    return Estimate(value, level=level, null_level=_null_level(roc, level, seed))


def _null_level(roc: RocCurve, level: float, seed: int) -> float:
    per_score = roc.members_per_score + roc.nonmembers_per_score
    records = int(per_score.sum())
    if per_score.max() > max(1, _MATERIAL_TIE * records):
        return _level_by_permutation(per_score, roc.num_members, level, seed)
    scale = np.sqrt(1 / roc.num_members + 1 / roc.num_nonmembers)
    return min(1.0, float(special.kolmogi(1 - level) * scale))


def _level_by_permutation(per_score: np.ndarray, members: int, level: float, seed: int) -> float:
    """The level's quantile of max |TPR − FPR| when membership is dealt at random over the tied groups of scores."""
    rng = np.random.default_rng(seed)
    records = int(per_score.sum())
    owner = np.repeat(np.arange(per_score.size), per_score)
    few_values = per_score.size <= 64
    simulations = int(np.ceil((50 if few_values else 12) / (1 - level)))
    if few_values:
        dealt = rng.multivariate_hypergeometric(per_score, members, size=simulations)
    else:
        chosen = (rng.permutation(owner)[:members] for _ in range(simulations))
        dealt = np.stack([np.bincount(groups, minlength=per_score.size) for groups in chosen])
    tpr = np.cumsum(dealt, axis=1) / members
    fpr = np.cumsum(per_score - dealt, axis=1) / (records - members)
    return order_quantile(np.max(np.abs(tpr - fpr), axis=1), level)
