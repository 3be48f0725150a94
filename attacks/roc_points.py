"""A ROC curve in few points: enough to draw it, none of its low rates moved."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .estimate import LEVEL
from .low_fpr import tpr_band
from .roc import RocCurve

# Rates at which the few points read as the whole curve does.
KEPT_FPRS = (1e-1, 1e-2, 1e-3, 1e-4)
_LOG_POINTS, _LINEAR_POINTS = 56, 32


def roc_points(roc: RocCurve, level: float = LEVEL, *, band: bool = True) -> dict[str, Any]:
    """A curve thinned to at most about a hundred of its own points, ascending, with the pointwise band of `tpr_band`.

    Read as it stands there, without interpolation (the TPR at a rate is that of the last point whose FPR is at most the
    rate), it gives the TPR of the whole curve at 10⁻¹, 10⁻², 10⁻³ and 10⁻⁴.

    Args:
      roc: the curve.
      level: of the band.
      band: False for a curve that has none: scores of several cross-fitted attackers are joined in it.
    Returns:
      `fpr`, `tpr` [k] (a curve of few points whole), `low`, `high` [k] (None where FPR is 0, and
      altogether without a band), `level`, `num_members`, `num_nonmembers`.
    """
    kept = _kept(roc)
    fpr, tpr = roc.fpr[kept], roc.tpr[kept]
    low: list[float | None] | None = None
    high: list[float | None] | None = None
    if band:
        inner = np.unique(fpr[(fpr > 0) & (fpr < 1)])
        ends = tpr_band(roc, inner, level)
        low, high = ([_end_at(rate, inner, values) for rate in fpr] for values in ends)
    return {
        "fpr": fpr.tolist(),
        "tpr": tpr.tolist(),
        "low": low,
        "high": high,
        "level": level,
        "num_members": roc.num_members,
        "num_nonmembers": roc.num_nonmembers,
    }


def _kept(roc: RocCurve) -> NDArray[np.int64]:
    """Indices of points: for each of many rates the last point within it, and both ends of the curve."""
    fpr = roc.fpr
    if roc.thresholds.size <= _LOG_POINTS + _LINEAR_POINTS:
        return np.arange(roc.thresholds.size)
    least = min(0.5, 1 / roc.num_nonmembers)
    rates = np.concatenate(
        [[0.0], KEPT_FPRS, np.geomspace(least, 1, _LOG_POINTS), np.linspace(0, 1, _LINEAR_POINTS, endpoint=False)]
    )
    # A hair above: 0.1 of 30 non-members is three of them, whatever the binary fraction says.
    within = np.searchsorted(fpr, rates + 1e-12, side="right") - 1
    return np.unique(np.concatenate([[0], within, [fpr.size - 1]]))


def _end_at(rate: float, rates: NDArray[np.float64], ends: NDArray[np.float64]) -> float | None:
    if rate <= 0:
        return None
    return 1.0 if rate >= 1 else float(ends[np.searchsorted(rates, rate)])
