"""How large ε must be, at least, if the mechanism is Gaussian-DP: its whole trade-off curve has one parameter, μ."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from .epsilon_bound import EpsilonBound
from .epsilon_by_threshold import best_by_rank

_NO_PURE_EPSILON = (
    "a Gaussian mechanism has no ε at δ = 0: whatever ε, it fails with some probability; give a δ above 0"
)


def gdp_epsilon(values: NDArray[np.float64], truth: NDArray[np.bool_], delta: float, level: float) -> EpsilonBound:
    """The bound by way of μ: the smallest μ that allows both rates of a threshold, and the ε that such a mechanism has at δ.

    Thresholds are fixed by rank and pay for each other, see `best_by_rank`. For mechanisms that are Gaussian-DP this reaches
    further than `grid_epsilon`: one threshold fixes the whole curve. For others it is no bound.

    Args:
      values: float[n]; higher = more member-like.
      truth: bool[n], both values present.
      delta: in [0, 1); at 0 nothing can be said.
      level: of the bound, in (0, 1).
    Returns:
      The bound in nats; `details` holds the numbers at the best threshold, how many `thresholds` there were, and `mu`, the
      lower bound of μ, at least 0.
    Source: Dong, Roth & Su 2022, arXiv:1905.02383, definition 2.6 and corollary 2.13. Different on purpose from public code:
      bounds of rates that show nothing (μ below 0) count as 0, not by their absolute value.
    """
    said: dict[str, Any] = {"method": "gdp", "delta": delta, "level": level}
    outcome, thresholds = best_by_rank(values, truth, mu_of_rates, level)
    mu = max(0.0, float(mu_of_rates(*outcome.rates())))
    details = {**outcome.details, "thresholds": thresholds, "mu": mu}
    if delta == 0:
        return EpsilonBound(0.0, ceiling=0.0, reason=_NO_PURE_EPSILON, details=details, **said)
    most = float(mu_of_rates(*outcome.perfect_rates()))
    ceiling, value = gaussian_epsilon(most, delta), gaussian_epsilon(mu, delta)
    return EpsilonBound(value, ceiling=ceiling, reason=outcome.reason(value, ceiling), details=details, **said)


def mu_of_rates(fnr: Any, fpr: Any) -> Any:
    """The smallest μ at which μ-GDP allows these two rates: Φ⁻¹(1−FPR) − Φ⁻¹(FNR).

    Args:
      fnr, fpr: false negative and false positive rates in (0, 1], numbers or arrays alike.
    Returns:
      float64 of their shape; not above 0 where they are no better than guessing.
    """
    # As −Φ⁻¹(FPR), which is the same and keeps the digits of small rates.
    return -special.ndtri(fpr) - special.ndtri(fnr)


def gaussian_epsilon(mu: float, delta: float) -> float:
    """The smallest ε at which a μ-GDP mechanism is (ε, δ)-DP.

    Args:
      mu: of the mechanism: sensitivity over noise; 0 or below is perfect privacy.
      delta: in [0, 1).
    Returns:
      ε in nats, 0.0 at least; inf for δ = 0 and μ > 0.
    """
    if mu <= 0:
        return 0.0
    if delta == 0:
        return np.inf
    target = np.log(delta)

    def excess(epsilon: float) -> float:
        return gaussian_log_delta(mu, epsilon) - target

    if excess(0.0) <= 0:
        return 0.0
    # δ(ε) ≤ Φ(μ/2 − ε/μ) ≤ exp(−(ε/μ − μ/2)²/2), so that ε is beyond the root.
    beyond = mu * (mu / 2 + np.sqrt(-2 * target)) * (1 + 1e-9)
    from scipy import optimize  # imported where it is used: it takes long

    return float(optimize.brentq(excess, 0.0, beyond, xtol=1e-13, rtol=1e-13))


def gaussian_log_delta(mu: float, epsilon: float) -> float:
    """log δ of a μ-GDP mechanism at ε: the log of Φ(μ/2 − ε/μ) − e^ε Φ(−μ/2 − ε/μ).

    Args:
      mu: above 0.
      epsilon: in nats, 0 or more.
    """
    upper, lower = mu / 2 - epsilon / mu, -mu / 2 - epsilon / mu
    if upper > 0:
        log_upper = special.log_ndtr(upper)
        return float(log_upper + np.log1p(-np.exp(epsilon + special.log_ndtr(lower) - log_upper)))
    # e^ε is the ratio of the normal densities at the two points. Divided by the first the difference is one of Mills'
    # ratios, both of ordinary size, where the plain form loses all digits in the tail.
    ratios = special.erfcx(-upper / np.sqrt(2)) - special.erfcx(-lower / np.sqrt(2))
    return float(-(upper**2) / 2 + np.log(ratios / 2))
