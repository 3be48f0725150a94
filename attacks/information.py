"""How many bits a score tells about membership."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import special

from .estimate import LEVEL, Estimate, check_level
from .roc import RocCurve

_BINS = 20


def mutual_information(roc: RocCurve, level: float = LEVEL, permutations: int = 0, seed: int = 0) -> Estimate:
    """Mutual information between score and membership, in bits, at prior ½ (sides of unequal size are reweighted).

    The scores are cut into 20 bins of (nearly) equal count, ties kept together, before membership is looked at. The
    value is the plug-in estimate minus its leading bias (B' − 1)·(1/n₁ + 1/n₀) / (8 ln 2) for B' occupied bins; it is
    centred on 0 without leakage and may be slightly negative. There is no simple honest interval; instead:

    * `null_level`: what a leak-free audit stays below with probability `level`; from the χ² law of the plug-in estimate,
      or from `permutations` random relabellings when asked for (200 cost more than all other metrics together).
    * `details["sandwich_low"]`, `["sandwich_high"]`: 1 − h₂((1 − V)/2) ≤ I ≤ V for the plug-in I (`["plug_in"]`), with V
      the total variation between the sides over the same bins (`["total_variation"]`); (1 − V)/2 is the Bayes error of
      an attacker who sees the bin.

    Args:
      roc: the curve of the judged records.
      level: probability of the null level.
      permutations: how many relabellings make the null level; 0 = the χ² law.
      seed: for the relabellings.
    Returns:
      An `Estimate` in bits, at most 1.
    Source: Miller 1955 (bias); Lin 1991 (the sandwich).
    """
    check_level(level)
    members, nonmembers = _bin_counts(roc)
    n1, n0 = roc.num_members, roc.num_nonmembers
    bias = (members.size - 1) * (1 / n1 + 1 / n0) / (8 * np.log(2))
    plug_in, variation = _plug_in(members, nonmembers), float(np.abs(members / n1 - nonmembers / n0).sum() / 2)
    if permutations:
        rng = np.random.default_rng(seed)
        dealt = rng.multivariate_hypergeometric(members + nonmembers, n1, size=permutations)
        null = np.quantile([_plug_in(m, members + nonmembers - m) for m in dealt], level, method="higher")
    else:
        # Twice the plug-in in nats times the effective number of records 4 / (1/n₁ + 1/n₀) is χ² with B' − 1 degrees.
        null = special.chdtri(members.size - 1, 1 - level) * (1 / n1 + 1 / n0) / (8 * np.log(2)) if bias else 0.0
    details = {
        "plug_in": plug_in,
        "sandwich_low": 1 - _binary_entropy((1 - variation) / 2),
        "sandwich_high": variation,
        "total_variation": variation,
    }
    return Estimate(plug_in - bias, level=level, null_level=float(null) - bias, details=details)


def _bin_counts(roc: RocCurve) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Members and non-members in each occupied bin; a tied group falls whole into the bin of its first record."""
    per_score = roc.members_per_score + roc.nonmembers_per_score
    before = np.cumsum(per_score) - per_score
    _, bins = np.unique(before * _BINS // per_score.sum(), return_inverse=True)
    counts = (np.bincount(bins, weights=side) for side in (roc.members_per_score, roc.nonmembers_per_score))
    members, nonmembers = (count.astype(np.int64) for count in counts)
    return members, nonmembers


def _plug_in(members: NDArray[np.int64], nonmembers: NDArray[np.int64]) -> float:
    p, q = members / members.sum(), nonmembers / nonmembers.sum()
    return float((special.rel_entr(p, (p + q) / 2) + special.rel_entr(q, (p + q) / 2)).sum() / (2 * np.log(2)))


def _binary_entropy(p: float) -> float:
    return float((special.entr(p) + special.entr(1 - p)) / np.log(2))
