"""Area under the ROC curve with its confidence interval."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import special

from .estimate import LEVEL, Estimate, check_level
from .roc import RocCurve


def auc(roc: RocCurve, level: float = LEVEL) -> Estimate:
    """The probability that a random member outscores a random non-member, ties counting one half.

    The interval is DeLong's variance on the logit scale with Student-t quantiles (Welch's degrees of freedom). It never
    claims more than a perfect result of this size could, [(α/2)^(1/m), 1] for m records on the smaller side (mirrored at
    0), and where scores tie it is at least that width times half the share of tied pairs: a variance estimated from no
    or almost no disagreement says nothing. Simulated at nominal 95 % (1,500 Gaussian worlds each) it covers in at least
    .935 for 2 to 500 records a side, sides as unequal as 3 against 5,000, and AUC .5 to .99, where the plain
    AUC ± 1.96·SE falls to .43. At equal sides and AUC near ½ it is the plain interval to the third digit.

    Args:
      roc: the curve of the judged records.
      level: confidence level of the interval.
    Returns:
      An `Estimate` in [0, 1]; ½ = guessing, 1 = every member above every non-member.
    Source: DeLong, DeLong & Clarke-Pearson 1988 (variance); Pepe 2003, section 5.2.4 (logit scale).
    """
    check_level(level)
    value, member_part, nonmember_part = area_and_variance(roc)
    smaller = min(roc.num_members, roc.num_nonmembers)
    perfect_low = low_of_a_perfect_result(smaller, level)
    if smaller == 1 and 0 < value < 1:
        return Estimate(value, 0.0, 1.0, level)
    low, high = value, value
    if member_part + nonmember_part > 0 and 0 < value < 1:
        quantile = welch_quantile(member_part, roc.num_members, nonmember_part, roc.num_nonmembers, level)
        reach = quantile * np.sqrt(member_part + nonmember_part) / (value * (1 - value))
        low, high = special.expit(special.logit(value) - reach), special.expit(special.logit(value) + reach)
    least_reach = (1 - perfect_low) * tied_share(roc) / 2
    low = min(low, perfect_low, value - least_reach)
    high = max(high, 1 - perfect_low, value + least_reach)
    return Estimate(value, max(0.0, low), min(1.0, high), level)


def welch_quantile(
    member_part: float, members: int, nonmember_part: float, nonmembers: int, level: float = LEVEL
) -> float:
    """Student's t quantile of a two-sided interval whose variance is the sum of two that were estimated, not both 0.

    Args:
      member_part, nonmember_part: the variances of the two sides' means.
      members, nonmembers: from so many records each, at least 2.
      level: confidence level of the interval.
    Source: Welch 1947 (the degrees of freedom).
    """
    total = (member_part + nonmember_part) ** 2
    freedom = total / (member_part**2 / (members - 1) + nonmember_part**2 / (nonmembers - 1))
    return float(special.stdtrit(freedom, 0.5 + level / 2))


def low_of_a_perfect_result(smaller: int, level: float) -> float:
    """The low end at AUC 1 with `smaller` records on the smaller side: (α/2)^(1/m)."""
    return float(((1 - level) / 2) ** (1 / smaller))


def tied_share(roc: RocCurve) -> float:
    """The share of (member, non-member) pairs with equal scores."""
    tied = sum(int(np.sum(np.diff(tp) * np.diff(fp))) for tp, fp in roc.pieces())
    return float(tied) / (roc.num_members * roc.num_nonmembers)


def area_and_variance(roc: RocCurve) -> tuple[float, float, float]:
    """AUC, and the two parts of DeLong's variance: from sampling members, from sampling non-members."""
    n1, n0 = roc.num_members, roc.num_nonmembers
    # Exact integers: twice the number of (member, non-member) pairs in which the member wins.
    twice_won = sum(int(np.sum(np.diff(fp) * (tp[:-1] + tp[1:]))) for tp, fp in roc.pieces())
    value = twice_won / (2 * n1 * n0)
    if min(n1, n0) == 1:
        return value, 0.0, 0.0
    member_variance = nonmember_variance = 0.0
    for tp, fp in roc.pieces():
        members, nonmembers = np.diff(tp), np.diff(fp)
        # DeLong's placements: for each distinct score, the share of the other side that it beats (or is beaten by).
        share_beaten = 1 - (fp[:-1] + nonmembers / 2) / n0
        share_beating = (tp[:-1] + tp[1:]) / (2 * n1)
        member_variance += float(np.sum(members * (share_beaten - value) ** 2)) / (n1 - 1)
        nonmember_variance += float(np.sum(nonmembers * (share_beating - value) ** 2)) / (n0 - 1)
    return value, member_variance / n1, nonmember_variance / n0


def auc_value(scores: NDArray[np.float64], is_member: NDArray[np.bool_]) -> float:
    """The area alone, for those who compare many: one sort, ties count one half.

    Args:
      scores: float[n], without NaN.
      is_member: bool[n], both values present.
    """
    members = int(np.count_nonzero(is_member))
    from scipy import (
        stats,
    )  # imported where it is used: it takes half a second

    ranks = stats.rankdata(scores)
    return float((ranks[is_member].sum() - members * (members + 1) / 2) / (members * (len(scores) - members)))
