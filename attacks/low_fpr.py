"""How many members an attacker finds while accusing almost nobody wrongly: TPR at a low, fixed FPR."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from .estimate import LEVEL, Estimate, check_level, clopper_pearson_high, clopper_pearson_low
from .roc import RocCurve

FPRS = (0.1, 0.01, 0.001)


def nonmembers_needed(fpr: float) -> int:
    """The fewest non-members that resolve a false positive rate: ten expected false positives."""
    return int(np.ceil(10 / fpr - 1e-9))


def tpr_at_fpr(roc: RocCurve, fpr: float, level: float = LEVEL) -> Estimate:
    """The share of members above the lowest threshold whose empirical FPR is at most `fpr`; ties are rejected.

    With k = ⌊fpr·n₀⌋ a record is accused iff its score lies strictly above the (k+1)-th largest non-member score.
    Nothing is interpolated between thresholds.

    The interval is for the TPR at *population* FPR `fpr`, so it carries the error of the threshold as well as that of
    the count: the low end is the Clopper–Pearson bound of the TPR at a threshold whose FPR is at most `fpr` with
    confidence 1 − α/4, the high end that at a threshold which accuses at least as many as the right one with the same
    confidence; each TPR bound spends another α/4. It holds for any distribution and any ties, and is conservative:
    simulated coverage at nominal 95 % is .98 and more, where Clopper–Pearson on the TPR alone covers .24 to .77.

    Args:
      roc: the curve of the judged records.
      fpr: the false positive rate allowed, in (0, 1).
      level: confidence level of the interval.
    Returns:
      An `Estimate` in [0, 1]; `details` holds `attained_fpr` and `false_positives` at the point estimate's threshold.
    Raises:
      ValueError: if `fpr` lies outside (0, 1), or there are fewer than 10 / fpr non-members: the number would
        hang on single records.
    Source: Carlini et al. 2022, arXiv:2112.03570, section III (the metric).
    """
    check_level(level)
    needed = nonmembers_needed(check_fpr(fpr))
    if roc.num_nonmembers < needed:
        raise ValueError(
            f"TPR at FPR {fpr:g} needs {needed:,} non-members to be resolved, {roc.num_nonmembers:,} were "
            "judged; give more of them or ask for a higher FPR."
        )
    allowed = int(np.floor(fpr * roc.num_nonmembers + 1e-9))
    hits, alarms = _accused_above(roc, allowed)
    low, high = _interval(roc, fpr, level)
    details = {"attained_fpr": alarms / roc.num_nonmembers, "false_positives": alarms}
    return Estimate(hits / roc.num_members, low, high, level, details=details)


def tpr_band(roc: RocCurve, fprs: NDArray[np.float64], level: float = LEVEL) -> tuple[NDArray[Any], NDArray[Any]]:
    """The interval of `tpr_at_fpr` at each of many rates, as (low[k], high[k]): a pointwise band around a ROC curve.

    Rates below the resolution of the audit are not refused here: their interval says by its width how little is known.
    """
    ends = [_interval(roc, check_fpr(float(fpr)), check_level(level)) for fpr in fprs]
    return np.array([low for low, _ in ends]), np.array([high for _, high in ends])


def check_fpr(fpr: float) -> float:
    """Returns `fpr` if it is a rate that can be allowed.

    Raises:
      ValueError: if it does not lie strictly between 0 and 1.
    """
    if not 0 < fpr < 1:
        raise ValueError(f"fpr is {fpr!r}; give the false positive rate allowed, between 0 and 1, such as 0.01.")
    return fpr


def _accused_above(roc: RocCurve, rank: int) -> tuple[int, int]:
    """(members, non-members) whose score lies strictly above the (rank+1)-th largest non-member score."""
    # The first threshold with more than `rank` false positives is that score; the point before it lies strictly above.
    point = int(np.searchsorted(roc.false_positives, rank, side="right")) - 1
    return int(roc.true_positives[point]), int(roc.false_positives[point])


def _interval(roc: RocCurve, fpr: float, level: float) -> tuple[float, float]:
    error = (1 - level) / 4
    n1, n0 = roc.num_members, roc.num_nonmembers
    within, beyond = _sure_ranks(n0, fpr, error)
    low, high = 0.0, 1.0
    if within is not None:
        hits, _ = _accused_above(roc, within)
        low = clopper_pearson_low(hits, n1, error)
    if beyond is not None and beyond < n0:
        hits, _ = _accused_above(roc, beyond)
        high = clopper_pearson_high(hits, n1, error)
    return low, high


@functools.lru_cache(maxsize=8_192)  # audit after audit asks at the same rates of as many non-members
def _sure_ranks(n0: int, fpr: float, error: float) -> tuple[int | None, int | None]:
    """The largest rank surely within `fpr` and the smallest surely beyond it, each but for a probability of `error`."""
    # Let s be the (j+1)-th largest of n₀ non-member scores, and t the lowest threshold whose population FPR is within
    # `fpr`. Accusing above s has a population FPR stochastically at most Beta(j+1, n₀−j): it is within `fpr` but for
    # probability P[Bin(n₀, fpr) <= j]. And s lies at or above t only if j+1 non-members do, which has probability at most
    # P[Bin(n₀, fpr) >= j+1]; else all records that t accuses lie above s.
    ranks = _window(n0, fpr)
    cumulative = special.bdtr(ranks, n0, fpr)
    within, beyond = ranks[cumulative <= error], ranks[cumulative >= 1 - error]
    return (int(within[-1]) if within.size else None), (int(beyond[0]) if beyond.size else None)


def _window(n0: int, fpr: float) -> NDArray[np.float64]:
    """The ranks around fpr·n₀ among which both binomial quantiles lie (12 standard deviations and a margin)."""
    reach = 12 * np.sqrt(n0 * fpr * (1 - fpr)) + 30
    return np.arange(max(0, int(n0 * fpr - reach)), min(n0, int(n0 * fpr + reach)) + 1, dtype=np.float64)


def low_fpr_name(fpr: float) -> str:
    """`tpr_at_fpr_1e-2` for 0.01."""
    mantissa, exponent = f"{fpr:e}".split("e")
    return f"tpr_at_fpr_{float(mantissa):g}e{int(exponent)}"
