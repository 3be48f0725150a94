"""How often an accusation is right, once the attacker's prior and threshold are stated."""

from __future__ import annotations

import numpy as np

from .estimate import LEVEL, Estimate, check_level, clopper_pearson_high, clopper_pearson_low
from .roc import RocCurve


def ppv(roc: RocCurve, threshold: float, prior: float = 0.5, level: float = LEVEL) -> Estimate:
    """P(member | score ≥ threshold) = π·TPR / (π·TPR + (1 − π)·FPR) at prior π.

    State the threshold beforehand, or learn it on other records. The largest PPV over all thresholds is never reported:
    it is 1 whenever the highest score is a member's, in half of all runs on noise.

    The interval combines Clopper–Pearson bounds of TPR and FPR, each side spending α/4.

    Args:
      roc: the curve of the judged records.
      threshold: records with a score at or above it are accused.
      prior: share of members among the records the attacker would try, in (0, 1).
      level: confidence level of the interval.
    Returns:
      An `Estimate` in [0, 1]; `details` holds `true_positives` and `false_positives`.
    Raises:
      ValueError: on a prior outside (0, 1), a NaN threshold, or one that accuses nobody.
    Source: Jayaraman et al. 2021, arXiv:2005.10881.
    """
    check_level(level)
    if not 0 < prior < 1:
        raise ValueError(f"prior is {prior!r}; give the share of members the attacker expects, between 0 and 1.")
    if np.isnan(threshold):
        raise ValueError("threshold is NaN; give the score from which on records are accused.")
    accused = np.flatnonzero(roc.thresholds[1:] >= threshold)
    if accused.size == 0:
        raise ValueError(
            f"no record reaches the threshold {threshold:g}, so nobody is accused and the PPV is undefined."
        )
    hits = int(roc.true_positives[1 + accused[-1]])
    alarms = int(roc.false_positives[1 + accused[-1]])
    n1, n0, error = roc.num_members, roc.num_nonmembers, (1 - level) / 4

    def value(tpr: float, fpr: float) -> float:
        return prior * tpr / (prior * tpr + (1 - prior) * fpr)

    return Estimate(
        value(hits / n1, alarms / n0),
        value(clopper_pearson_low(hits, n1, error), clopper_pearson_high(alarms, n0, error)),
        value(clopper_pearson_high(hits, n1, error), clopper_pearson_low(alarms, n0, error)),
        level,
        details={"true_positives": hits, "false_positives": alarms},
    )
