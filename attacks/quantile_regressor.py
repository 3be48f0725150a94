"""What a signal is likely to be, given a record's features: small networks, fitted to records that no model trained on.

Five networks of one hidden layer beside a linear part, each without another fifth of the records, are trained at once in
one compiled loop that starts from the constant model. How long, and how far they then move away from the constant model,
is decided by the records that each did not see: where features explain nothing, the constant model stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from scipy import special

from .seeded_stream import seeded_stream

LEVELS = np.array([0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98])
_MIDDLE = len(LEVELS) // 2
_MOST_ROWS = 4_000
_MOST_COLUMNS = 8_192
_LAST_COLUMNS = 1_024  # never left out: the labels stand there
_WIDTH = 48  # wider records are seen through so many directions,
_SINGLE = 16  # of which these many are columns and the rest principal components
_VALUES_A_CHUNK = 4_000_000
_FOLDS = 5
_HIDDEN = 24
_STEPS, _PATIENCE = 600, 80
_RATE, _DECAY = 0.005, 0.02
_FARTHEST = 6.0  # robust standard deviations: a signal beyond is fitted as if it were there
_SLOWER = 0.1  # how much slower a standard deviation moves than a mean: on few records it is soon overfitted
_LARGEST = 1e150  # squares of such are finite
_LEAST_SCALE = 0.05  # of the population's standard deviation
_LEAST_GAP = 1e-3  # between two quantiles, in the same unit
_SHARES = np.linspace(0, 1, 6)

Rows = NDArray[np.float64]
Weights = tuple[Rows, ...]


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
    constant = _constant(head, target)
    nothing = Regressor(head, unit, constant, np.zeros_like(constant))
    folds = np.arange(len(target)) % _FOLDS
    columns = _Columns(features, target, folds, rng)
    if columns.width == 0 or not unit.varies:
        return nothing
    inputs = columns.inputs(features)
    weights = _trained(head, inputs, target, folds, rng)
    unseen = _answers(head, weights, inputs)[folds, np.arange(len(target))]
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
    first, middle, last = quantiles[:, 0], quantiles[:, _MIDDLE], quantiles[:, -1]
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


class _Columns:
    """Records as the networks see them: columns standardised as the population's are, wide ones through a few directions."""

    def __init__(
        self, features: NDArray[Any], target: Rows, folds: NDArray[np.int64], rng: np.random.Generator
    ) -> None:
        self._read: NDArray[np.int64] | None = None
        width = features.shape[1]
        if width > _MOST_COLUMNS:
            others = rng.choice(width - _LAST_COLUMNS, _MOST_COLUMNS - _LAST_COLUMNS, replace=False)
            self._read = np.append(np.sort(others), np.arange(width - _LAST_COLUMNS, width))
        values = self._values(features)
        peak = np.abs(values).max(axis=0, initial=0.0)
        self._peak = np.where(peak > 0, peak, 1.0)
        values /= self._peak
        self._mean, self._spread = values.mean(axis=0), values.std(axis=0)
        self._varies = self._spread > 1e-9
        self.width = min(int(self._varies.sum()), _WIDTH)
        self._components: Rows | None = None
        if self._varies.sum() > _WIDTH:
            rows = self._standardised(features)
            self._components = _principal_components(rows, _WIDTH - _SINGLE, rng)
            # Chosen anew for each fold, without it: the best of many columns look good where they were chosen.
            self._single = [_most_explaining(rows[folds != fold], target[folds != fold]) for fold in range(_FOLDS)]

    def inputs(self, features: NDArray[Any]) -> Rows:
        """float64[folds, n, width]; finite."""
        rows = self._standardised(features)
        if self._components is None:
            return np.broadcast_to(rows, (_FOLDS, *rows.shape))
        together = np.clip(rows @ self._components, -10, 10)
        return np.stack([np.concatenate([rows[:, single], together], axis=1) for single in self._single])

    def _values(self, features: NDArray[Any]) -> Rows:
        return np.array(features if self._read is None else features[:, self._read], dtype=np.float64)

    def _standardised(self, features: NDArray[Any]) -> Rows:
        with np.errstate(over="ignore"):
            rows = (self._values(features) / self._peak - self._mean)[:, self._varies] / self._spread[self._varies]
        return np.clip(rows, -5, 5)


def _principal_components(rows: Rows, count: int, rng: np.random.Generator) -> Rows:
    """float64[columns, count]. Source: Halko, Martinsson & Tropp 2011, arXiv:0909.4061 (randomised subspace iteration)."""
    start = rng.normal(size=(rows.shape[1], count + 10))
    with tf.device("CPU:0"):  # NumPy's threads wait busily on a busy machine: a hundred times the CPU time
        given = tf.constant(rows)
        basis = tf.matmul(given, start)
        for _ in range(2):
            basis, _ = tf.linalg.qr(tf.matmul(given, tf.matmul(given, basis, transpose_a=True)))
        found = tf.matmul(given, basis, transpose_a=True)
        squares, turn = (part.numpy() for part in tf.linalg.eigh(tf.matmul(found, found, transpose_a=True)))
        components = tf.matmul(found, turn[:, ::-1][:, :count]).numpy()
    sizes = np.sqrt(np.maximum(squares[::-1][:count], 1e-12 * squares[-1]))
    # Half way to whitening: small components carry something, but hardly as much as large ones.
    spread = sizes / np.sqrt(len(rows))
    return components / sizes / np.sqrt(spread[0] * np.maximum(spread, 0.01 * spread[0]))


def _most_explaining(rows: Rows, target: Rows) -> NDArray[np.int64]:
    """The columns with the largest squared correlation with the signal plus that with its distance from the median."""
    traits = np.stack([target, np.abs(target - np.median(target))])
    traits -= traits.mean(axis=1, keepdims=True)
    centred = rows - rows.mean(axis=0)
    sizes = np.outer((traits**2).sum(axis=1), (centred**2).sum(axis=0))
    explained = (np.einsum("tz,zc->tc", traits, centred) ** 2 / np.maximum(sizes, 1e-12)).sum(axis=0)
    return np.argsort(-explained, kind="stable")[:_SINGLE]


@dataclass(frozen=True)
class _Networks:
    """Five fitted networks, and `middle`: float64[o], from where their mean answer is counted."""

    head: str
    columns: _Columns
    weights: Weights
    middle: Rows

    def beyond_constant(self, features: NDArray[Any]) -> Rows:
        """float64[n, o]."""
        parts = [
            _answers(self.head, self.weights, self.columns.inputs(some)).mean(axis=0) for some in _chunks(features)
        ]
        answers = np.concatenate([np.zeros((0, len(self.middle))), *parts])
        # A product's last bits depend on where in the array a record stands; its score must not.
        return answers.astype(np.float32) - self.middle


def _chunks(features: NDArray[Any]) -> Iterator[NDArray[Any]]:
    size = max(1, _VALUES_A_CHUNK // max(_FOLDS * _WIDTH, features.shape[1]))
    return (features[start : start + size] for start in range(0, len(features), size))


def _moved(head: str, unseen: Rows, target: Rows, constant: Rows) -> tuple[Rows, Rows, Rows]:
    """(middle, constant, shares) of the move from the constant model that predicts best.

    There is none unless the gain exceeds its own standard error.

    Args:
      unseen: float64[z, o], what the network says of each record that did not see it.
    """
    middle = np.array([0.0, unseen[:, 1].mean()]) if head == "gaussian" else constant
    stay = _losses(head, np.tile(constant, (len(target), 1)), target)
    best, losses = (constant, np.zeros_like(constant)), stay
    for shares in _all_shares(head, len(constant)):
        predicted, start = constant + shares * (unseen - middle), constant
        if head == "gaussian":
            start = constant + np.array([0.0, _log_scale(target, predicted)])
            predicted = predicted + (start - constant)
        found = _losses(head, predicted, target)
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
    return float(np.log(max(_LEAST_SCALE**2, squares.mean())) / 2)


def _losses(head: str, predicted: Rows, target: Rows) -> Rows:
    with tf.device("CPU:0"):
        return _loss(head, tf.constant(predicted), tf.constant(target)).numpy()


def _constant(head: str, target: Rows) -> Rows:
    """float64[o]: the constant model."""
    if head == "gaussian":
        return np.zeros(2)
    quantiles = np.quantile(target, LEVELS)
    gaps = np.maximum(np.diff(quantiles), _LEAST_GAP)
    steps = np.concatenate([[0.0], np.cumsum(gaps)])
    return quantiles[_MIDDLE] + steps - steps[_MIDDLE]


def _raw_constant(head: str, target: Rows) -> Rows:
    """float64[o]: what the networks' last layer adds, so that they begin as the constant model."""
    if head == "gaussian":
        return np.zeros(2)
    quantiles = _constant(head, target)
    gaps = np.maximum(np.diff(quantiles) - _LEAST_GAP, 1e-5)
    return np.append(quantiles[_MIDDLE], _inverse_softplus(gaps))


def _inverse_softplus(values: Any) -> Any:
    return values + np.log(-np.expm1(-values))


def _trained(head: str, inputs: Rows, target: Rows, folds: NDArray[np.int64], rng: np.random.Generator) -> Weights:
    """The weights after the step at which the records unseen by their network were predicted best."""
    width, start = inputs.shape[2], _raw_constant(head, target)
    first = (
        rng.normal(size=(_FOLDS, width, _HIDDEN)) / np.sqrt(width),
        np.zeros((_FOLDS, _HIDDEN, len(start))),
        np.zeros((_FOLDS, width, len(start))),
        rng.uniform(-1, 1, (_FOLDS, 1, _HIDDEN)),
        np.tile(start, (_FOLDS, 1, 1)),
    )
    held = folds == np.arange(_FOLDS)[:, None]
    with tf.device("CPU:0"):
        given = [tf.constant(np.ascontiguousarray(array), tf.float32) for array in (inputs, target, held, *first)]
        return tuple(weight.numpy().astype(np.float64) for weight in _trainer(head)(*given))


def _answers(head: str, weights: Weights, inputs: Rows) -> Rows:
    """float64[folds, n, o]."""
    with tf.device("CPU:0"):
        return _distribution(head, _raw([tf.constant(weight) for weight in weights], tf.constant(inputs))).numpy()


@cache
def _trainer(head: str) -> Any:
    """One traced function for data of all sizes."""

    def train(inputs: Any, target: Any, held: Any, *weights: Any) -> Any:
        unseen_share = held / tf.reduce_sum(held)
        seen_share = (1 - held) / tf.reduce_sum(1 - held, axis=1, keepdims=True)

        def step(index: Any, best_index: Any, best_loss: Any, best: Any, weights: Any, mean: Any, square: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(weights)
                losses = _loss(head, _distribution(head, _raw(weights, inputs)), target)
                seen = tf.reduce_sum(losses * seen_share)
            unseen = tf.reduce_sum(losses * unseen_share)
            better = unseen < best_loss
            best = tuple(tf.where(better, new, old) for new, old in zip(weights, best, strict=True))
            best_loss, best_index = tf.minimum(unseen, best_loss), tf.where(better, index, best_index)
            weights, mean, square = _adam(index, tape.gradient(seen, weights), weights, mean, square)
            return index + 1, best_index, best_loss, best, weights, mean, square

        zeros = tuple(tf.zeros_like(weight) for weight in weights)
        start = (tf.constant(0), tf.constant(0), tf.constant(np.inf, tf.float32), weights, weights, zeros, zeros)
        return tf.while_loop(
            lambda index, best_index, *_: (index < _STEPS) & (index - best_index <= _PATIENCE), step, start
        )[3]

    three, two = tf.TensorSpec([None] * 3), tf.TensorSpec([None] * 2)
    return tf.function(train, autograph=False, input_signature=[three, tf.TensorSpec([None]), two, *[three] * 5])


def _adam(index: Any, gradients: Any, weights: Any, mean: Any, square: Any) -> tuple[Any, Any, Any]:
    """One step of Adam; decay draws all but the biases to 0. Source: Loshchilov & Hutter 2019, arXiv:1711.05101."""
    time = tf.cast(index + 1, tf.float32)
    rate = _RATE * tf.sqrt(1 - tf.pow(0.99, time)) / (1 - tf.pow(0.9, time))
    mean = tuple(0.9 * old + 0.1 * new for old, new in zip(mean, gradients, strict=True))
    square = tuple(0.99 * old + 0.01 * new**2 for old, new in zip(square, gradients, strict=True))
    decays = (_RATE * _DECAY,) * 3 + (0.0,) * 2
    moved = tuple(
        weight - rate * first / (tf.sqrt(second) + 1e-7) - decay * weight
        for weight, first, second, decay in zip(weights, mean, square, decays, strict=True)
    )
    return moved, mean, square


def _raw(weights: Any, inputs: Any) -> Any:
    """[folds, n, o]: one hidden layer beside a linear part."""
    across, out, skip, bias, constant = weights
    return tf.matmul(tf.tanh(tf.matmul(inputs, across) + bias), out) + tf.matmul(inputs, skip) + constant


def _distribution(head: str, raw: Any) -> Any:
    """[..., o]: (mean, log standard deviation), or quantiles that cannot cross."""
    middle = raw[..., :1]
    if head == "gaussian":
        above_least = tf.nn.softplus(float(_inverse_softplus(1 - _LEAST_SCALE)) + _SLOWER * raw[..., 1:])
        return tf.concat([middle, tf.math.log(_LEAST_SCALE + above_least)], axis=-1)
    gaps = _LEAST_GAP + tf.nn.softplus(raw[..., 1:])
    down = tf.cumsum(gaps[..., :_MIDDLE], axis=-1, reverse=True)
    return tf.concat([middle - down, middle, middle + tf.cumsum(gaps[..., _MIDDLE:], axis=-1)], axis=-1)


def _loss(head: str, predicted: Any, target: Any) -> Any:
    """[..., n]: minus the log-likelihood, or the mean pinball loss."""
    if head == "gaussian":
        with tf.init_scope():  # an import within a graph could leave tensors in it
            import tensorflow_probability as tfp

        return -tfp.distributions.Normal(predicted[..., 0], tf.exp(predicted[..., 1])).log_prob(target)
    missed = target[..., None] - predicted
    levels = tf.constant(LEVELS, predicted.dtype)
    return tf.reduce_mean(tf.maximum(levels * missed, (levels - 1) * missed), axis=-1)
