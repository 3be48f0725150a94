"""Exposure: how many bits of search a model saves whoever guesses at a canary that it was trained on.

Assumes one score a canary that was trained on, and scores of references, drawn in the same manner, that were not. The rank form
counts; it ends at log2(references + 1). The skew-normal form goes beyond, as far as references are skew-normal.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from .estimate import LEVEL, Estimate, check_level, order_quantile, simulations_for
from .number_arrays import as_floats
from .seeded_stream import seeded_stream

# More references are thinned to so many of their quantiles: a fit costs at most some hundredths of a second.
_FITTED = 5_000
# The largest skewness that a fit may take; at .9953 the shape is infinite.
_STEEPEST = 0.995
_REFITS, _MOST_FITS, _DRAWN = 40, 1_000, 4_000_000
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(80)


_STREAM = "exposure of canaries that were not learned"


class _SkewNormal(NamedTuple):
    """The density 2φ(z)·Φ(shape·z) of z = (score − location)/scale."""

    location: float
    scale: float
    shape: float


def exposure(canary: ArrayLike, reference: ArrayLike, method: str = "rank") -> Any:
    """log2 of how much sooner than by chance a canary turns up when candidates are tried from the highest score down.

    Args:
      canary: float[k], or one number: scores of canaries, higher = more member-like; ±inf are ordinary extremes.
      reference: float[r], scores of candidates that the model was not trained on.
      method: "rank": log2(r + 1) − log2(rank), each canary's rank among the references and itself, ties to its disadvantage;
        "skew_normal": −log2 of the chance that a skew-normal fitted to the references exceeds the canary.
    Returns:
      float64[k], or one float64, in bits: 0 = no reference scored lower; log2(e) = 1.44 on average for what was not learned.
    Raises:
      ValueError: on NaN, shapes, an unknown method, or references to which no skew-normal can be fitted: fewer than 20,
        infinite, or of fewer than 20 distinct values.
    Source: Carlini et al. 2019, The Secret Sharer, arXiv:1802.08232.
    """
    scores, others = _checked(canary, reference, method)
    if method == "rank":
        return (np.log2(len(others) + 1) - np.log2(_ranks(scores, others)))[()]
    return _bits(np.atleast_1d(scores), _fit(others)).reshape(scores.shape)[()]


def exposure_estimate(
    canary: ArrayLike, reference: ArrayLike, method: str = "rank", level: float = LEVEL, seed: int = 0
) -> Estimate:
    """The mean exposure of canaries, and what canaries that were not learned would reach.

    Its interval takes canaries and references for independent draws, which those of one model are only as far as training is not
    chance itself, and supposes that references are skew-normal. By rank it is that of the expected mean at this number of
    references, and reaches as far as a share of canaries unlike those drawn, 1 − (α/2)^(1/k), could shift it. Simulated at 95 %,
    2 to 500 canaries, 1 to 1,000 references, it covers in .92 or more, in .90 where one in twenty of 20 canaries was learned; by
    skew-normal in .93 or more, in .89 from 50 references of shape −3.

    Args:
      canary, reference, method: see `exposure`.
      level: confidence level of the interval, and of the null level.
      seed: decides the simulation of the null level.
    Returns:
      An `Estimate` in bits, without an interval if a canary's exposure is infinite, or for one canary by skew-normal.
      `null_level`: what the mean exceeds with probability at most 1 − level if canaries are references like any other: by rank
      they are dealt anew among all scores (so ties count as they are), by skew-normal drawn from the fit (at most 1,000 times)
      and fitted again. `details`: canaries, references, null_mean, and by rank the ceiling log2(r + 1).
    Raises:
      ValueError: as `exposure`, or on a level out of range.
    """
    check_level(level)
    scores, others = _checked(canary, reference, method)
    scores = np.atleast_1d(scores)
    found = exposure(scores, others, method)
    details: dict[str, float] = {"canaries": len(scores), "references": len(others)}
    ceiling = float(np.log2(len(others) + 1))
    ends: tuple[float | None, float | None] = (None, None)
    if method == "rank":
        details["ceiling"], ends = ceiling, (0.0, ceiling)
        if len(scores) > 1:
            ends = _interval(found, _shifts_by_rank(scores, others, level), ceiling, True, level)
        simulated = _null_by_rank(scores, others, level, seed)
    else:
        rng = seeded_stream(_STREAM, seed)
        if len(scores) > 1 and np.isfinite(found).all():
            ends = _interval(found, _shifts_by_fit(scores, others, level, rng), ceiling, False, level)
        simulated = _null_by_fit(_fit(others).shape, len(scores), len(others), level, rng)
    details["null_mean"] = float(np.mean(simulated))
    return Estimate(float(np.mean(found)), *ends, level, order_quantile(simulated, level), details)


def _ranks(scores: NDArray[Any], others: NDArray[Any]) -> NDArray[Any]:
    return 1 + len(others) - np.searchsorted(np.sort(others), scores, "left")


def _fit(values: NDArray[np.float64]) -> _SkewNormal:
    """The skew-normal of the largest penalised likelihood (Azzalini & Arellano-Valle 2013).

    Without the penalty a small sample may be best fitted by a tail that falls off a cliff: of 50 draws of shape −8, one fit
    in twenty errs by over 2,000 bits where 20 are true; with it by 12 (simulated).
    """
    from scipy import optimize  # imported where it is used: it takes long

    with np.errstate(all="ignore"):
        middle, spread = float(np.mean(values)), float(np.std(values))
        if not 0 < spread < np.inf:
            raise ValueError("reference holds scores too large or too close for floating point; scale them.")
        points = np.sort((values - middle) / spread)
        if len(points) > _FITTED:
            points = points[((np.arange(_FITTED) + 0.5) * len(points) / _FITTED).astype(np.int64)]
        skewness = np.clip(np.mean(points**3), -0.9, 0.9)
        start = np.array([0.0, 0.0, np.arctanh(skewness / _STEEPEST)])
        best = optimize.minimize(_loss, start, (points, 1 / len(values)), "BFGS", jac=True, options={"maxiter": 50})
    location, scale, shape = _direct(best.x if np.isfinite(best.fun) else start)
    return _SkewNormal(middle + spread * location, spread * scale, shape)


def _bits(values: NDArray[np.float64], fitted: _SkewNormal) -> NDArray[np.float64]:
    """−log2 P[a draw of the fit exceeds each value], wherever floating point can hold it."""
    z = (values - fitted.location) / fitted.scale
    with np.errstate(all="ignore"):
        survival = special.ndtr(-z) + 2 * special.owens_t(z, fitted.shape)
        found = np.maximum(-np.log2(survival), 0.0)
        far = ~(survival > 1e-5)  # beyond, the two terms of a negative shape cancel, and later both underflow
        found[far] = -_log_tail(z[far], fitted.shape) / np.log(2)
    return found


def _log_tail(z: NDArray[np.float64], shape: float) -> NDArray[np.float64]:
    """log P far out (z > 0), by integrating the density up to where it has fallen by e^40."""
    fall = 1 + min(shape, 0.0) ** 2
    width = (82 / fall) / (z + np.sqrt(z**2 + 82 / fall))
    steps = width[:, None] * (_NODES + 1) / 2
    ahead = z[:, None] + steps
    # Relative to the density at z, or far-out values would cancel.
    relative = -steps * (z[:, None] + steps / 2) + special.log_ndtr(shape * ahead)
    whole = special.logsumexp(relative, axis=1, b=_WEIGHTS) + np.log(width / 2)
    return np.where(width > 0, whole - z**2 / 2 + np.log(2 / np.pi) / 2, -np.inf)


def _loss(chosen: NDArray[np.float64], points: NDArray[np.float64], weight: float) -> tuple[float, NDArray[np.float64]]:
    """Penalised negative log-likelihood a value, and its gradient."""
    location, scale, shape = _direct(chosen)
    z = (points - location) / scale
    log_cdf = special.log_ndtr(shape * z)
    hazard = np.exp(-((shape * z) ** 2) / 2 - np.log(2 * np.pi) / 2 - log_cdf)
    fit, pull = np.mean(log_cdf) - np.mean(z**2) / 2 - np.log(scale), np.mean(hazard * z)
    by_location, by_scale = (shape * np.mean(hazard) - np.mean(z)) / scale, shape * pull - np.mean(z**2) + 1
    by_shape = weight * 1.5 * shape / (1 + 0.85625 * shape**2) - pull
    # By way of ratio = (mean − location)/spread: scale = spread·√(1 + ratio²), and the shape depends on it alone.
    spread, ratio = np.exp(chosen[1]), _ratio(chosen)
    steepening = np.sqrt(np.pi / 2) / (1 - (np.pi / 2 - 1) * ratio**2) ** 1.5
    by_ratio = -spread * by_location + by_scale * ratio / (1 + ratio**2) + by_shape * steepening
    by_last = by_ratio * 2 / (3 * (4 - np.pi) * ratio**2) * _STEEPEST / np.cosh(chosen[2]) ** 2
    penalty = weight * 0.875913 * np.log1p(0.85625 * shape**2)
    return float(penalty - fit), np.array([by_location, by_scale - spread * ratio * by_location, by_last])


def _ratio(chosen: NDArray[np.float64]) -> float:
    skewness = _STEEPEST * float(np.tanh(chosen[2]))
    # At 0 the root has no derivative.
    return float(np.cbrt(2 / (4 - np.pi) * (skewness if abs(skewness) > 1e-9 else 1e-9)))


def _direct(chosen: NDArray[np.float64]) -> _SkewNormal:
    """From mean, log of the spread, and a number for the skewness, in which the likelihood has one well-formed top."""
    ratio, spread = _ratio(chosen), np.exp(chosen[1])
    shape = ratio * np.sqrt(np.pi / 2) / np.sqrt(1 - (np.pi / 2 - 1) * ratio**2)
    return _SkewNormal(float(chosen[0] - spread * ratio), float(spread * np.sqrt(1 + ratio**2)), float(shape))


def _shifts_by_rank(scores: NDArray[np.float64], others: NDArray[np.float64], level: float) -> tuple[float, float]:
    """How far down and up other references could move the mean: Clopper–Pearson for those that reach each canary, together."""
    count, error = len(others), (1 - level) / 2
    above = _ranks(scores, others) - 1
    most = np.where(above < count, special.betaincinv(above + 1, np.maximum(count - above, 1), 1 - error), 1.0)
    least = np.where(above > 0, special.betaincinv(np.maximum(above, 1), count - above + 1, error), 0.0)
    down, up = (float(np.mean(np.abs(np.log2(1 + count * end) - np.log2(1 + above)))) for end in (most, least))
    return down, up


def _shifts_by_fit(scores: NDArray[Any], others: NDArray[Any], level: float, rng: Any) -> tuple[float, float]:
    """The same of the fit: the bootstrap."""
    again = [_fit(rng.choice(others, len(others))) for _ in range(_REFITS)]
    spread = np.std([np.mean(_bits(scores, fit)) for fit in again], ddof=1)
    shift = float(special.stdtrit(_REFITS - 1, 0.5 + level / 2) * spread)
    return shift, shift


def _interval(
    found: NDArray[np.float64], shifts: tuple[float, float], ceiling: float, bounded: bool, level: float
) -> tuple[float, float]:
    """Student's for a mean over canaries, on the scale of the logit (log if there is no bound), widened by the references'."""
    value, count, met = float(np.mean(found)), len(found), ((1 - level) / 2) ** (1 / len(found))
    low = high = share = value / ceiling
    if share > 0 and not (bounded and share == 1):
        error = float(np.std(found, ddof=1)) / np.sqrt(count) / ceiling / share
        reach = float(special.stdtrit(count - 1, 0.5 + level / 2)) * error / (1 - share if bounded else 1)
        link, back = (special.logit, special.expit) if bounded else (np.log, np.exp)
        low, high = back(link(share) - reach), back(min(link(share) + reach, 700.0))
    low, high = ceiling * min(low, met * share), ceiling * max(high, 1 - met)
    low, high = value - np.hypot(value - low, shifts[0]), value + np.hypot(high - value, shifts[1])
    return max(0.0, float(low)), min(float(high), ceiling if bounded else np.inf)


def _null_by_rank(scores: NDArray[Any], others: NDArray[Any], level: float, seed: int) -> NDArray[Any]:
    """float64[s], mean exposures of k of all scores, drawn without replacement, against the others (not each other)."""
    pooled = np.sort(np.concatenate([scores, others]))
    if (pooled[1:] > pooled[:-1]).all():
        return _null_without_ties(len(scores), len(others), level, seed)
    at_least = len(pooled) - np.searchsorted(pooled, pooled, "left")  # those that score as high, itself included
    return _null_of_ranks(at_least, len(scores), level, seed)


@lru_cache(maxsize=16)  # an audit of every epoch asks for the same again
def _null_without_ties(canaries: int, references: int, level: float, seed: int) -> NDArray[Any]:
    found = _null_of_ranks(np.arange(canaries + references, 0, -1), canaries, level, seed)
    found.flags.writeable = False
    return found


def _null_of_ranks(at_least: NDArray[Any], canaries: int, level: float, seed: int) -> NDArray[Any]:
    total, rng = len(at_least), seeded_stream(_STREAM, seed)
    means = np.empty(simulations_for(level, int(np.clip(_DRAWN // total, 200, 2_000))))
    for index in range(len(means)):
        higher = np.sort(at_least[rng.choice(total, canaries, replace=False, shuffle=False)])
        means[index] = np.mean(np.log2(1 + higher - np.searchsorted(higher, higher, "right")))
    return np.log2(total - canaries + 1) - means


def _null_by_fit(shape: float, canaries: int, references: int, level: float, rng: np.random.Generator) -> NDArray[Any]:
    """float64[s], mean exposures of k draws of a skew-normal under the fit to r others (location and scale do not matter)."""
    count = min(_MOST_FITS, simulations_for(level, 200 if references <= _FITTED else 40))
    delta, means = shape / np.hypot(1, shape), np.empty(count)
    for index in range(count):
        tilted, free = rng.normal(size=(2, canaries + references))
        drawn = delta * np.abs(tilted) + np.sqrt(1 - delta**2) * free
        means[index] = np.mean(_bits(drawn[:canaries], _fit(drawn[canaries:])))
    return means


def _checked(canary: ArrayLike, reference: ArrayLike, method: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if method not in ("rank", "skew_normal"):
        raise ValueError(f"method is {method!r}; give 'rank' or 'skew_normal'.")
    scores, others = as_floats(canary, "canary"), as_floats(reference, "reference")
    if scores.ndim > 1 or others.ndim != 1 or scores.size == 0 or others.size == 0:
        shapes = f"canary has shape {scores.shape} and reference {others.shape}"
        raise ValueError(f"{shapes}; give one score a canary, (k,), and one a reference, (r,), at least one each.")
    missing = int(np.isnan(scores).sum()), int(np.isnan(others).sum())
    if any(missing):
        raise ValueError(f"{missing[0]} canaries and {missing[1]} references have NaN for a score; leave them out.")
    if method == "skew_normal":
        infinite, distinct = int(np.isinf(others).sum()), len(np.unique(others))
        if infinite or distinct < 20:
            raise ValueError(
                f"reference holds {others.size} scores, {distinct} of them distinct, {infinite} infinite; a skew-normal takes "
                "finite ones only, at least 20 distinct. Give more, or use method='rank'."
            )
    return scores, others
