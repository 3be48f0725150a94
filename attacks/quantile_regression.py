"""Quantile regression: is the model surer of a record than it is of others that look alike and that it never saw?

No shadow models: the signal's distribution given a record's features is learned from records that no model trained on,
and must then be judged on others. Done differently from the paper: small networks on the inputs and labels themselves
instead of a large network, so that it takes a second beside a training run. Source: Bertran et al. 2023, arXiv:2307.03694.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .attack import AttackContext, Signals
from .number_arrays import as_floats, as_plain_array
from .one_signal import OneSignalAttack

if TYPE_CHECKING:
    from .quantile_regressor import Regressor

_HEADS = ("gaussian", "pinball")
_LEAST_POPULATION = 40


def quantile_regression_scores(
    signal: ArrayLike,
    features: ArrayLike,
    population_signal: ArrayLike,
    population_features: ArrayLike,
    head: str = "gaussian",
    seed: int = 0,
) -> NDArray[np.float64]:
    """How far a record's signal stands above what its features let one expect of a record that was not trained on.

    Axes: n records, z population records, d features.

    Args:
      signal: float[n], higher = more member-like; ±inf are ordinary extremes.
      features: float[n, d], what is known of a record without the model: its flattened input, then its one-hot label.
      population_signal: float[z], the same of records that no model trained on, at least 40; none of them among the n.
      population_features: float[z, d].
      head: "gaussian": a mean and a standard deviation given the features, by likelihood; "pinball": quantiles given the
        features.
      seed: decides how the population is split, first weights and projections.
    Returns:
      float64[n], higher = more member-like: (s − μ(x)) / σ(x); for quantiles the level at which s stands among them, as the
      standard normal quantile of that level, linear between quantiles and beyond them. Where the features do not help to
      predict the population's unseen records, a strictly increasing function of the signal alone.
    Raises:
      ValueError: on shapes that do not fit each other, NaN, features that are not finite, a population of fewer than 40
        records, or an unknown head.
    Source: Bertran et al. 2023, arXiv:2307.03694.
    """
    regressor = _fitted(population_signal, population_features, head, seed)
    width = np.shape(population_features)[1]
    return regressor.score(*_checked("", signal, features, width))


def _fitted(signal: ArrayLike, features: ArrayLike, head: str, seed: int) -> Regressor:
    _check_head(head)
    values, rows = _checked("population_", signal, features)
    if len(values) < _LEAST_POPULATION:
        raise ValueError(
            f"the population has {len(values)} records; quantile regression learns from at least {_LEAST_POPULATION} "
            "that no model trained on, better 1,000."
        )
    from .quantile_regressor import fit_regressor

    return fit_regressor(values, rows, head, seed)


def _checked(
    prefix: str, signal: ArrayLike, features: ArrayLike, width: int | None = None
) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """float64[n] and numbers [n, d], or the reason why they cannot be read."""
    values, rows = as_floats(signal, f"{prefix}signal"), as_plain_array(features, f"{prefix}features")
    if values.ndim != 1 or rows.ndim != 2 or len(rows) != len(values):
        raise ValueError(
            f"{prefix}signal has shape {values.shape} and {prefix}features {rows.shape}; give (records,) and "
            "(records, columns)."
        )
    if width is not None and rows.shape[1] != width:
        raise ValueError(
            f"features has {rows.shape[1]} columns, population_features {width}; give the same columns of both."
        )
    if np.isnan(values).any():
        raise ValueError(
            f"{prefix}signal is NaN for {np.isnan(values).sum()} of {len(values)} records; leave such records out."
        )
    if rows.dtype.kind not in "fiub" or not np.isfinite(rows).all():
        raise ValueError(
            f"{prefix}features holds values that are not finite numbers (its type is {rows.dtype}); fill or encode them."
        )
    return values, rows


def _check_head(head: str) -> None:
    if head not in _HEADS:
        raise ValueError(f"head is {head!r}; give 'gaussian' or 'pinball'.")


@dataclass(frozen=True)
class QuantileRegression(OneSignalAttack):
    """A record's signal against its distribution among records with such features that no model trained on.

    Args:
      signal: which signal to compare; the scaled logit is nearest to normal.
      name: what to call the attack.
      head: "gaussian" or "pinball" (quantiles, for signals that are far from normal).
    Raises:
      ValueError: on an unknown signal or head, or a name that cannot stand in log keys.
    Source: Bertran et al. 2023, arXiv:2307.03694.
    """

    signal: str = "scaled_logit"
    name: str = "quantile_regression"
    head: str = "gaussian"
    needs_population: bool = field(default=True, init=False)
    needs_inputs: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_head(self.head)

    def fit(self, context: AttackContext) -> FittedQuantileRegression:
        """Learns the signal's distribution from the population.

        Raises:
          ValueError: without a population, without features, or as `quantile_regression_scores`.
        """
        population = context.population_signals()
        values = population[self.signal].mean(axis=1)
        features = _features(population)
        return FittedQuantileRegression(
            self.signal, features.shape[1], _fitted(values, features, self.head, context.seed)
        )


@dataclass(frozen=True)
class FittedQuantileRegression:
    """The fitted distribution, for records of `width` features."""

    signal: str
    width: int
    regressor: Regressor

    def score(self, signals: Signals) -> NDArray[np.float64]:
        """float64[n], for any records with the same features; a record's queries are averaged."""
        return self.regressor.score(*_checked("", signals[self.signal].mean(axis=1), _features(signals), self.width))


def _features(signals: Signals) -> NDArray[Any]:
    if signals.features is None:
        raise ValueError(
            "the signals stand without features; quantile regression reads the records' own numbers as well."
        )
    return signals.features
