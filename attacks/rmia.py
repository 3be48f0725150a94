"""RMIA, the relative attack: is the model surer of this record than of others, each compared with what is to be expected?

Assumes signals that are log-probabilities of the true label. For one target, Pr_z[r(x)/r(z) > γ] is a monotone function of
r(x), so records are ranked by log r(x) itself, which does not saturate; the percentile is available and costs one sort,
never a records × population matrix. Done differently from public code, on purpose: p(z) is averaged over *all* shadow
models (all are OUT for z), not over those that give the largest values, and a missing model is masked, not zero.

Several queries a record are averaged, or put to a majority vote, which has no such shortcut: that compares every record with
every one of the population, query by query, in blocks of bounded memory (about 1 ns a comparison).

The probabilities may be softened. Measured once on the data sets of `benchmarks/power.py` (16 shadow models,
offline, tuned; six and five targets, of which that benchmark draws others) a temperature of 2 raised TPR at 1 % FPR
from .366 to .391 (synthetic) and from .051 to .054 (Fashion-MNIST, AUC .61 both); the Taylor softmax
did as well on the first, and lost nearly everything on the second (AUC .54), where logits lie far outside of the few units
in which a polynomial resembles the exponential.

Source: Zarifzadeh, Liu & Shokri 2024, arXiv:2312.03262.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .attack import AttackContext, Signals, check_name
from .auc import auc_value
from .mean_probability import log_mean_probability, log_ratio
from .number_arrays import as_floats
from .shadow_assignment import without_pair
from .shadow_signals import ShadowSignals
from .shadow_values import shadow_values
from .softening import Softening

DEFAULT_A = 0.3
_CANDIDATES = tuple(np.round(np.linspace(0, 1, 11), 1))
# Tuning averages over so many surrogate targets: one alone is noisy, more change little.
_SURROGATES = 4
SOFTMAXES = ("exponential", "taylor")
OVER_QUERIES = ("mean", "majority")
# Comparisons of records with the population at a time, in the majority vote.
_COMPARED_AT_ONCE = 4_000_000


def rmia_scores(
    target: ArrayLike,
    shadow: ArrayLike,
    trained_on: ArrayLike,
    population_target: ArrayLike | None = None,
    population_shadow: ArrayLike | None = None,
    mode: str = "offline",
    a: float = DEFAULT_A,
    gamma: float = 1.0,
    form: str = "log_ratio",
    over_queries: str = "mean",
) -> NDArray[np.float64]:
    """How much surer the target is of each record than the world at large, p_θ(x) / p(x).

    Axes: n records, q queries a record, m shadow models, z population records.

    Args:
      target: float[n] or [n, q], log-probability that the target gives to the true label.
      shadow: float[m, n] or [m, n, q], the shadow models'.
      trained_on: bool[m, n].
      population_target: float[z] (or [z, q]), the same of records that no model trained on; only for the percentile.
      population_shadow: float[m, z] (or [m, z, q]).
      mode: p(x): "online" ½(mean_IN + mean_OUT); "offline" ½[(1 + a)·mean_OUT + 1 − a], for which no model that trained on
        x is needed.
      a: in [0, 1], how close IN is taken to be to OUT: 1 = alike; for "offline" and for all p(z). See `tune_rmia`.
      gamma: above 0, the threshold on r(x)/r(z); only for the percentile.
      form: "log_ratio": log r(x); "percentile": Pr_z[r(x)/r(z) > γ].
      over_queries: "mean": log-ratios are averaged over queries (and then compared, for the percentile); "majority", for
        the percentile: the share of z that x surpasses in more than half of the queries, each query of x compared with the
        same query of z. It costs n·z·q comparisons, in blocks of a few megabytes.
    Returns:
      float64[n], higher = more member-like. NaN where a record lacks a model on a side that `mode` uses.
    Raises:
      ValueError: on shapes that do not fit, NaN, positive log-probabilities, arguments out of range, a percentile without
        population, or a majority without percentile.
    """
    _check_options(mode, form, a, gamma, over_queries)
    values = shadow_values(target, shadow, trained_on, infinite=True)
    _check_log_probabilities(values.target, values.shadow)
    log_out = log_mean_probability(values.shadow, ~values.trained_on)
    if mode == "online":
        log_p = _log_of_sum(log_mean_probability(values.shadow, values.trained_on), log_out) - np.log(2)
    else:
        log_p = _offline(log_out, a)
    ratios = log_ratio(values.target, log_p)
    log_r = ratios.mean(axis=1)
    if form == "log_ratio":
        return log_r
    if population_target is None or population_shadow is None:
        raise ValueError("the percentile compares with a population; give population_target and population_shadow.")
    population_values = as_floats(population_shadow, "population_shadow")
    never = np.zeros(population_values.shape[:2], bool)
    others = shadow_values(population_target, population_values, never, infinite=True)
    if len(others.shadow) != len(values.shadow):
        raise ValueError(f"population_shadow has {len(others.shadow)} models, shadow {len(values.shadow)}; give all.")
    _check_log_probabilities(others.target, others.shadow)
    ratios_z = log_ratio(others.target, _offline(log_mean_probability(others.shadow, ~never), a))
    if over_queries == "majority":
        return np.where(np.isnan(ratios).any(axis=1), np.nan, _majority(ratios, ratios_z + np.log(gamma)))
    log_r_z = ratios_z.mean(axis=1)
    below = np.searchsorted(np.sort(log_r_z) + np.log(gamma), log_r, "left") / len(log_r_z)
    return np.where(np.isnan(log_r), np.nan, below)


def tune_rmia(shadow: ArrayLike, trained_on: ArrayLike, candidates: ArrayLike = _CANDIDATES) -> float:
    """The `a` with which shadow models, each playing the target for the others, are attacked best (mean AUC).

    No target, and none of its membership, is involved. A surrogate's complement is left out with it, because in a balanced
    design the rest would otherwise betray what it had trained on.

    Args:
      shadow: float[m, n] or [m, n, q], log-probabilities of the true label.
      trained_on: bool[m, n].
      candidates: values of `a` to try.
    Returns:
      One of the candidates; 0.3 if no shadow model has records on both sides (none is in the pool), so that none can be judged.
    Raises:
      ValueError: with fewer than 4 shadow models, or on arrays as in `rmia_scores`.
    """
    array = as_floats(shadow, "shadow")
    if array.ndim not in (2, 3) or len(array) < 4:
        raise ValueError(
            f"shadow has shape {array.shape}; tuning needs at least 4 shadow models: one plays the target, its complement "
            "is dropped, two remain."
        )
    choices = [_check_a(float(value)) for value in np.ravel(as_floats(candidates, "candidates"))]
    if not choices:
        raise ValueError("candidates is empty; give at least one value of `a` to try.")
    values = shadow_values(array[0], array, trained_on, infinite=True)
    _check_log_probabilities(values.target, values.shadow)
    reached, judged = np.zeros(len(choices)), 0
    pairs = len(array) // 2
    # One of a pair each: pairs stand side by side in a balanced design.
    for surrogate in 2 * np.unique(np.linspace(0, pairs - 1, _SURROGATES).round().astype(int)):
        others = without_pair(values.trained_on, surrogate)
        log_out = log_mean_probability(values.shadow[others], ~values.trained_on[others])
        scored = ~np.isnan(log_out).any(axis=1)
        truth = values.trained_on[surrogate, scored]
        if truth.all() or not truth.any():
            continue
        judged += 1
        for index, a in enumerate(choices):
            scores = log_ratio(values.shadow[surrogate], _offline(log_out, a)).mean(axis=1)
            reached[index] += auc_value(scores[scored], truth)
    return choices[int(np.argmax(reached))] if judged else DEFAULT_A


def _offline(log_out: NDArray[np.float64], a: float) -> NDArray[np.float64]:
    with np.errstate(divide="ignore"):
        return _log_of_sum(np.log1p(a) + log_out, np.log(1 - a)) - np.log(2)


def _log_of_sum(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """`logaddexp`, silent about NaN, which marks records without a model."""
    with np.errstate(invalid="ignore"):
        return np.logaddexp(left, right)


def _majority(ratios: NDArray[np.float64], thresholds: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64[n], the share of the population that a record [n, q] surpasses in most queries of [z, q]; half is not most."""
    records, queries = ratios.shape
    if thresholds.shape[1] != queries:
        raise ValueError(
            f"the population was asked {thresholds.shape[1]} queries a record, the audited records {queries}; a majority vote "
            "compares them one by one, so ask the same."
        )
    shares = np.empty(records)
    size = max(1, _COMPARED_AT_ONCE // len(thresholds))
    for start in range(0, records, size):
        block = ratios[start : start + size]
        votes = np.zeros((len(block), len(thresholds)), np.uint16)
        for query in range(queries):
            votes += block[:, query, None] > thresholds[:, query]
        shares[start : start + size] = np.mean(votes > queries // 2, axis=1)
    return shares


def _check_options(mode: str, form: str, a: float, gamma: float, over_queries: str) -> None:
    if mode not in ("online", "offline") or form not in ("log_ratio", "percentile"):
        raise ValueError(
            f"mode is {mode!r} and form {form!r}; give 'online' or 'offline', 'log_ratio' or 'percentile'."
        )
    _check_a(a)
    if not 0 < gamma < np.inf:
        raise ValueError(f"gamma is {gamma!r}; give a positive number.")
    if over_queries not in OVER_QUERIES:
        raise ValueError(f"over_queries is {over_queries!r}; give 'mean' or 'majority'.")
    if over_queries == "majority" and form != "percentile":
        raise ValueError("a majority vote counts comparisons with a population; give it with form='percentile'.")


def _check_a(a: float) -> float:
    if not 0 <= a <= 1:
        raise ValueError(f"a is {a!r}; give a number in [0, 1].")
    return a


def _check_log_probabilities(*arrays: NDArray[np.float64]) -> None:
    highest = max(float(array.max()) for array in arrays)
    if highest > 1e-6:
        raise ValueError(
            f"a log-probability is {highest:.4g}, above 0; RMIA takes log-probabilities of the true label."
        )


@dataclass(frozen=True)
class RMIA:
    """The relative membership inference attack.

    Args:
      mode: "offline" (OUT models only) or "online".
      a: for the offline form of p(x); None = tuned on shadow models, from four of them on, else 0.3.
      gamma: for the percentile.
      form: "log_ratio", or "percentile", which asks for a population.
      name: what to call the attack.
      queries: functions of a batch of inputs, each asked instead of the record itself, deterministic (augmentations, say),
        of audited records and population alike; none = the record as it is.
      over_queries: "mean", or "majority" (with the percentile); see `rmia_scores`.
      temperature: logits are divided by it before they become the probability of the true label; 1 = the model's own.
      softmax: "exponential", or "taylor" (a polynomial in its place), for classifiers with one label a record or position.
      order: of the Taylor polynomial, even.
      soft_margin: taken from the true class's logit. The paper has, for CIFAR-10, `temperature=2.0, softmax="taylor",
        order=4, soft_margin=0.6`.
    Raises:
      ValueError: on arguments out of range.
    Source: Zarifzadeh et al. 2024, arXiv:2312.03262.
    """

    mode: str = "offline"
    a: float | None = None
    gamma: float = 1.0
    form: str = "log_ratio"
    name: str = "rmia"
    queries: tuple[Callable[[Any], Any], ...] = ()
    over_queries: str = "mean"
    temperature: float = 1.0
    softmax: str = "exponential"
    order: int = 4
    soft_margin: float = 0.0
    signals: tuple[str, ...] = field(init=False)
    needs_shadows: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        _check_options(self.mode, self.form, DEFAULT_A if self.a is None else self.a, self.gamma, self.over_queries)
        if self.softmax not in SOFTMAXES:
            raise ValueError(f"softmax is {self.softmax!r}; give one of {', '.join(map(repr, SOFTMAXES))}.")
        softening = Softening(self.temperature, self.order if self.softmax == "taylor" else None, self.soft_margin)
        object.__setattr__(self, "queries", tuple(self.queries))
        object.__setattr__(self, "signals", (softening.name,))
        check_name(self.name)

    @property
    def needs_population(self) -> bool:
        """True for the percentile."""
        return self.form == "percentile"

    def fit(self, context: AttackContext) -> FittedRMIA:
        """Tunes `a`, on shadow models alone."""
        shadows = context.shadow_models()
        a = self.a
        if a is None:
            enough = shadows.num_models >= 4
            a = tune_rmia(shadows[self.signals[0]], shadows.trained_on) if enough else DEFAULT_A
        return FittedRMIA(self, a, shadows, context.population)


@dataclass(frozen=True)
class FittedRMIA:
    """RMIA with its `a` chosen."""

    attack: RMIA
    a: float
    shadows: ShadowSignals
    population: Signals | None

    def score(self, signals: Signals) -> NDArray[np.float64]:
        """float64[n] for the records whose shadow signals it was fitted with; NaN where shadow models are missing."""
        attack, (name,) = self.attack, self.attack.signals
        population = None if self.population is None else self.population[name]
        known = self.shadows.population
        return rmia_scores(
            signals[name],
            self.shadows[name],
            self.shadows.trained_on,
            population,
            None if known is None else known[name],
            attack.mode,
            self.a,
            attack.gamma,
            attack.form,
            attack.over_queries,
        )
