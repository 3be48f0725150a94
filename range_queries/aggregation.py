"""From the scores of a range's points to the score of the range.

Each function takes float[n, q] (higher = more member-like, ±inf allowed) and gives float[n]. Scores should be log-ratios: the
mean of percentiles, which saturate, loses what happens at low false positive rates.

Source: Tao & Shokri 2025, arXiv:2408.05131.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from privacy_callbacks.attacks.number_arrays import as_floats


def trimmed_mean(scores: ArrayLike, keep: tuple[float, float] = (0.0, 1.0)) -> NDArray[np.float64]:
    """The mean of the order statistics ⌊lo·q⌋ + 1 … ⌈hi·q⌉ of each range, scores ascending; at least one of them.

    (0, 1) is the mean, (1, 1) the largest score, (0.25, 1) leaves out the lowest quarter: points far from any training record.

    Args:
      scores: float[n, q].
      keep: (lo, hi), 0 ≤ lo ≤ hi ≤ 1.
    Returns:
      float[n]. As many +inf as −inf among the kept cancel out.
    Raises:
      ValueError: on other shapes, NaN, no points, or shares out of order.
    """
    values = _checked(scores)
    low, high = check_keep(keep)
    q = values.shape[1]
    # Binary fractions such as 0.3 · 10 must not lose or win a place.
    last = min(q, max(1, math.ceil(high * q - 1e-9)))
    first = min(math.floor(low * q + 1e-9), last - 1)
    return _mean(np.sort(values, axis=1)[:, first:last])


def mean(scores: ArrayLike) -> NDArray[np.float64]:
    """The mean: `trimmed_mean` that keeps everything."""
    return trimmed_mean(scores)


def largest(scores: ArrayLike) -> NDArray[np.float64]:
    """The largest score: on log-likelihood ratios, the generalised likelihood ratio."""
    return _checked(scores).max(axis=1)


def top_k(scores: ArrayLike, k: int = 3) -> NDArray[np.float64]:
    """The mean of the k largest scores; of all, in ranges with fewer.

    Raises:
      ValueError: as `trimmed_mean`, or if k is below 1.
    """
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
        raise ValueError(f"k is {k!r}; give how many of the largest scores to average, at least 1.")
    values = _checked(scores)
    return _mean(np.sort(values, axis=1)[:, -int(k) :])


def log_mean_exp(scores: ArrayLike) -> NDArray[np.float64]:
    """log of the mean of exp(score): on log-likelihood ratios, the Bayes average over where in the range the record lies."""
    values = _checked(scores)
    with np.errstate(over="ignore"):  # of differences, whose exponential is 0
        return special.logsumexp(values, axis=1) - math.log(values.shape[1])


def check_keep(keep: tuple[float, float]) -> tuple[float, float]:
    """(lo, hi) as floats.

    Raises:
      ValueError: unless 0 ≤ lo ≤ hi ≤ 1.
    """
    try:
        low, high = (float(share) for share in keep)
    except (TypeError, ValueError):
        raise ValueError(f"keep is {keep!r}; give two shares (lo, hi), e.g. (0.25, 1.0).") from None
    if not 0 <= low <= high <= 1:
        raise ValueError(f"keep is {keep!r}; give two shares 0 <= lo <= hi <= 1, e.g. (0.25, 1.0).")
    return low, high


def _checked(scores: ArrayLike) -> NDArray[np.float64]:
    values = as_floats(scores, "scores", "give one real number a point")
    if values.ndim != 2 or not values.shape[1]:
        raise ValueError(f"scores have shape {values.shape}; give (ranges, points), at least one point a range.")
    if np.isnan(values).any():
        raise ValueError(f"{int(np.isnan(values).sum()):,} scores are NaN; leave those points or ranges out.")
    return values


def _mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    finite = np.isfinite(values)
    count = np.maximum(1, np.count_nonzero(finite, axis=1))
    with np.errstate(over="ignore"):
        means = np.sum(values, axis=1, where=finite) / count
    if not np.isfinite(means).all():  # the sum overflowed, the mean cannot
        with np.errstate(over="ignore"):
            means = np.sum(values / count[:, None], axis=1, where=finite)
        means = np.clip(means, values.min(axis=1), values.max(axis=1))
    if finite.all():
        return means
    surplus = np.sum(np.sign(values), axis=1, where=~finite)
    return np.where(surplus == 0, means, np.where(surplus > 0, np.inf, -np.inf))
