"""Area under the ROC curve with its confidence interval."""

from __future__ import annotations

import numpy as np

from .estimate import LEVEL, Estimate, check_level, normal_quantile
from .roc import RocCurve


def auc(roc: RocCurve, level: float = LEVEL) -> Estimate:
    """The probability that a random member outscores a random non-member, ties counting one half.

    The interval is DeLong's variance taken on the logit scale. Simulated on Gaussian scores at nominal 95 % it covers
    .94 to .98 for 30 to 500 records a side and AUC .5 to .99, where the plain AUC ± 1.96·SE falls to .88; near AUC ½ the
    two agree. Where the variance estimate vanishes it says nothing, and an exact bound takes its place:
    AUC 1 gets [(α/2)^(1/min(n₁, n₀)), 1], AUC 0 the mirror image, and scores that are all equal ½ ± half that width.
    With one record on a side and an AUC strictly inside (0, 1) the interval is [0, 1].

    Args:
      roc: the curve of the judged records.
      level: confidence level of the interval.
    Returns:
      An `Estimate` in [0, 1]; ½ = guessing, 1 = every member above every non-member.
    Source: DeLong, DeLong & Clarke-Pearson 1988 (variance); Pepe 2003, section 5.2.4 (logit scale).
    """
    check_level(level)
    value, variance = _area_and_variance(roc)
    half_error = (1 - level) / 2
    smaller = min(roc.num_members, roc.num_nonmembers)
    exact_width = 1 - half_error ** (1 / smaller)
    if value == 1:
        low, high = 1 - exact_width, 1.0
    elif value == 0:
        low, high = 0.0, exact_width
    elif smaller == 1:
        low, high = 0.0, 1.0
    elif variance == 0:
        low, high = value - exact_width / 2, value + exact_width / 2
    else:
        logit = np.log(value / (1 - value))
        reach = normal_quantile(level) * np.sqrt(variance) / (value * (1 - value))
        low, high = 1 / (1 + np.exp(reach - logit)), 1 / (1 + np.exp(-reach - logit))
    return Estimate(value, low, high, level)


def _area_and_variance(roc: RocCurve) -> tuple[float, float]:
    n1, n0 = roc.num_members, roc.num_nonmembers
    members, nonmembers = roc.members_per_score, roc.nonmembers_per_score
    # Exact integers: twice the number of (member, non-member) pairs in which the member wins.
    twice_beaten_by_a_member = 2 * roc.true_positives[:-1] + members
    twice_won = int(np.sum(nonmembers * twice_beaten_by_a_member))
    value = twice_won / (2 * n1 * n0)
    if min(n1, n0) == 1:
        return value, 0.0
    # DeLong's placements: for each distinct score, the share of the other side that it beats (or is beaten by).
    share_beaten = 1 - (roc.false_positives[:-1] + nonmembers / 2) / n0
    share_beating = twice_beaten_by_a_member / (2 * n1)
    member_variance = np.sum(members * (share_beaten - value) ** 2) / (n1 - 1)
    nonmember_variance = np.sum(nonmembers * (share_beating - value) ** 2) / (n0 - 1)
    return value, float(member_variance / n1 + nonmember_variance / n0)
