"""Means of probabilities over shadow models, taken and given as logarithms, and ratios to them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import special


def log_mean_probability(log_p: NDArray[np.float64], chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """log of the mean probability over the chosen models, [n, q]; NaN where there is none.

    Args:
      log_p: [m, n, q], natural logs; −inf is a probability of 0.
      chosen: bool[m, n].
    """
    counts = chosen.sum(axis=0)[:, None]
    total = np.sum(np.exp(log_p), axis=0, where=chosen[:, :, None])
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(total) - np.log(counts)
    small = (total < 1e-290) & (counts > 0)
    if small.any():  # probabilities that underflow: rare, and worth the slower way
        masked = np.where(chosen[:, :, None], log_p, -np.inf)
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.where(small, special.logsumexp(masked, axis=0) - np.log(counts), logs)
    return np.where(counts > 0, logs, np.nan)


def log_ratio(log_p_target: NDArray[np.float64], log_p: NDArray[np.float64]) -> NDArray[np.float64]:
    """log(p_θ / p), [n, q]; 0 where both are 0, NaN where `log_p` is."""
    with np.errstate(invalid="ignore"):
        ratio = log_p_target - log_p
    # 0/0: neither the target nor any shadow model gives the label a chance; that says nothing about membership.
    return np.where(np.isneginf(log_p_target) & np.isneginf(log_p), 0.0, ratio)
