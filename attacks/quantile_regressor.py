"""What a signal is likely to be, given a record's features; learned from records that no model trained on.

Small networks are fitted (`fold_networks`), each without a fifth of the records. How long, and how far a prediction then moves
away from the constant model, is decided by the records that each did not see: where features explain nothing, the constant
model stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from .feature_directions import WIDTH, FeatureDirections
from .fold_networks import (
    FOLDS,
    LEAST_SCALE,
    LEVELS,
    MIDDLE,
    Weights,
    answers_of,
    constant_model,
    losses_of,
    trained_networks,
)
from .seeded_stream import seeded_stream

_MOST_ROWS = 4_000
_VALUES_A_CHUNK = 4_000_000
_FARTHEST = 6.0  # robust standard deviations: a signal beyond is fitted as if it were there
_LARGEST = 1e150  # squares of such are finite
_SHARES = np.linspace(0, 1, 6)

Rows = NDArray[np.float64]


@dataclass(frozen=True)
class Regressor:
    """A conditional distribution of the signal; constant where nothing was found that explains it.

    Axis o: mean and log standard deviation, or the quantiles at `LEVELS`; in the population's standard deviations.

    Attributes:
      head: "gaussian" or "pinball".
      unit: the population's signal in units of the caller.
      constant: float[o], the constant model's prediction.
      shares: float[o] in [0, 1], how far a prediction moves from the constant model to the networks'.
      networks: what explains the signal; None if nothing does.
    """

    head: str
    unit: _Unit
    constant: Rows
    shares: Rows
    networks: _Networks | None = None

    def predict(self, features: NDArray[Any]) -> Rows:
        """float64[n, o] for records [n, d]; quantiles increase strictly."""
        if self.networks is None:
            return np.tile(self.constant, (len(features), 1))
        return self.constant + self.shares * self.networks.beyond_constant(features)

    def score(self, signal: Rows, features: NDArray[Any]) -> Rows:
        """float64[n]: by how many standard deviations, or normal ones, the signal exceeds what the features promise."""
        values, predicted = self.unit.of(signal), self.predict(features)
        with np.errstate(over="ignore"):
            if self.head == "gaussian":
                return (values - predicted[:, 0]) / np.exp(predicted[:, 1])
            return normal_position(values, predicted)


def fit_regressor(signal: Rows, features: NDArray[Any], head: str, seed: int) -> Regressor:
    """Fits the distribution of the signal given the features.

    Args:
      signal: float[z] without NaN, z of some tens at least; of more than 4,000 so many are drawn.
      features: float[z, d], finite.
      head: "gaussian": a mean and a standard deviation, by likelihood; "pinball": quantiles.
      seed: decides folds, first weights and projections.
    """
    rng = seeded_stream("quantile regression", seed)
    drawn = rng.permutation(len(signal))[:_MOST_ROWS]
    unit = _Unit.of_population(signal[drawn])
    target, features = np.clip(unit.of(signal[drawn]), unit.low, unit.high), features[drawn]
    constant = constant_model(head, target)
    nothing = Regressor(head, unit, constant, np.zeros_like(constant))
    folds = np.arange(len(target)) % FOLDS
    columns = FeatureDirections(features, target, folds, rng)
    if columns.width == 0 or not unit.varies:
        return nothing
    inputs = columns.inputs(features)
    weights = trained_networks(head, inputs, target, folds, rng)
    unseen = answers_of(head, weights, inputs)[folds, np.arange(len(target))]
    middle, constant, shares = _moved(head, unseen, target, constant)
    if not shares.any():
        return nothing
    return Regressor(head, unit, constant, shares, _Networks(head, columns, weights, middle))


def normal_position(values: Rows, quantiles: Rows) -> Rows:
    """Where a value stands among quantiles, as the normal distribution's quantile of that level.

    Linear between quantiles. Beyond the last it goes on with the mean slope from the median to there: what the tail itself
    shows of its slope is mostly noise, and members stand in it.

    Args:
      values: float[n]; ±inf stay so.
      quantiles: float[n, o] at `LEVELS`, strictly increasing along o.
    Returns:
      float64[n], strictly increasing in the value.
    """
    normal = special.ndtri(LEVELS)
    above = np.clip((values[:, None] >= quantiles).sum(axis=1), 1, len(LEVELS) - 1)
    rows = np.arange(len(values))
    left, right = quantiles[rows, above - 1], quantiles[rows, above]
    between = normal[above - 1] + (values - left) / (right - left) * (normal[above] - normal[above - 1])
    first, middle, last = quantiles[:, 0], quantiles[:, MIDDLE], quantiles[:, -1]
    below_all = normal[0] - (first - values) * (normal[0] / (first - middle))
    above_all = normal[-1] + (values - last) * (normal[-1] / (last - middle))
    return np.where(values < first, below_all, np.where(values > last, above_all, between))


@dataclass(frozen=True)
class _Unit:
    """The population's mean and standard deviation; `low` and `high`, in that unit: outliers are fitted as if they were there."""

    mean: float
    spread: float
    low: float
    high: float

    @classmethod
    def of_population(cls, signal: Rows) -> _Unit:
        finite = np.clip(signal[np.isfinite(signal)], -_LARGEST, _LARGEST)
        finite = finite if finite.size else np.zeros(1)
        values = np.clip(signal, finite.min(), finite.max())
        lower, middle, upper = np.quantile(values, (0.25, 0.5, 0.75))
        reach = _FARTHEST * (upper - lower) / 1.349 or np.inf  # if most of the signals tie, there is no robust unit
        low, high = max(values.min(), middle - reach), min(values.max(), middle + reach)
        if low == high:
            return cls(float(low), 1.0, 0.0, 0.0)
        values = np.clip(values, low, high)
        mean, spread = float(values.mean()), float(values.std())
        if spread == 0:  # they differ by less than a float's square can be
            return cls(mean, 1.0, 0.0, 0.0)
        return cls(mean, spread, (low - mean) / spread, (high - mean) / spread)

    @property
    def varies(self) -> bool:
        return self.high > self.low

    def of(self, signal: Rows) -> Rows:
        with np.errstate(over="ignore"):
            return (signal - self.mean) / self.spread


@dataclass(frozen=True)
class _Networks:
    """Five fitted networks, and `middle`: float64[o], from where their mean answer is counted."""

    head: str
    columns: FeatureDirections
    weights: Weights
    middle: Rows

    def beyond_constant(self, features: NDArray[Any]) -> Rows:
        """float64[n, o]."""
        parts = [
            answers_of(self.head, self.weights, self.columns.inputs(some)).mean(axis=0) for some in _chunks(features)
        ]
        answers = np.concatenate([np.zeros((0, len(self.middle))), *parts])
        # A product's last bits depend on where in the array a record stands; its score must not.
        return answers.astype(np.float32) - self.middle


def _chunks(features: NDArray[Any]) -> Iterator[NDArray[Any]]:
    size = max(1, _VALUES_A_CHUNK // max(FOLDS * WIDTH, features.shape[1]))
    return (features[start : start + size] for start in range(0, len(features), size))


def _moved(head: str, unseen: Rows, target: Rows, constant: Rows) -> tuple[Rows, Rows, Rows]:
    """(middle, constant, shares) of the move from the constant model that predicts best.

    There is none unless the gain exceeds its own standard error.

    Args:
      unseen: float64[z, o], what the network says of each record that did not see it.
    """
    middle = np.array([0.0, unseen[:, 1].mean()]) if head == "gaussian" else constant
    stay = losses_of(head, np.tile(constant, (len(target), 1)), target)
    best, losses = (constant, np.zeros_like(constant)), stay
    for shares in _all_shares(head, len(constant)):
        predicted, start = constant + shares * (unseen - middle), constant
        if head == "gaussian":
            start = constant + np.array([0.0, _log_scale(target, predicted)])
            predicted = predicted + (start - constant)
        found = losses_of(head, predicted, target)
        if found.mean() < losses.mean():
            best, losses = (start, shares), found
    gain = stay - losses
    if gain.mean() <= gain.std() / np.sqrt(len(gain)):
        return middle, constant, np.zeros_like(constant)
    return middle, *best


def _all_shares(head: str, width: int) -> list[Rows]:
    """Mean and standard deviation move each by themselves; quantiles together, or they could cross."""
    if head == "gaussian":
        return [np.array(pair) for pair in product(_SHARES, _SHARES)]
    return [np.full(width, share) for share in _SHARES]


def _log_scale(target: Rows, predicted: Rows) -> float:
    """What to add to all log standard deviations, by likelihood."""
    squares = ((target - predicted[:, 0]) / np.exp(predicted[:, 1])) ** 2
    return float(np.log(max(LEAST_SCALE**2, squares.mean())) / 2)
