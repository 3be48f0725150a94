"""A distribution given a record's features: five small networks, one a fold, trained at once in one compiled loop.

Each has one hidden layer beside a linear part, is trained without its fold, and starts from the constant model.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

LEVELS = np.array([0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98])
MIDDLE = len(LEVELS) // 2
FOLDS = 5
LEAST_SCALE = 0.05  # of the population's standard deviation
_HIDDEN = 24
_STEPS, _PATIENCE = 600, 80
_RATE, _DECAY = 0.005, 0.02
_SLOWER = 0.1  # how much slower a standard deviation moves than a mean: on few records it is soon overfitted
_LEAST_GAP = 1e-3  # between two quantiles, in the same unit

Rows = NDArray[np.float64]
Weights = tuple[Rows, ...]


def trained_networks(
    head: str, inputs: Rows, target: Rows, folds: NDArray[np.int64], rng: np.random.Generator
) -> Weights:
    """The weights after the step at which the records unseen by their network were predicted best.

    Args:
      head: "gaussian": mean and log standard deviation, by likelihood; "pinball": the quantiles at `LEVELS`.
      inputs: float[folds, n, width], what each network reads of a record.
      target: float[n], in standard deviations.
      folds: int[n], by which network a record is not seen.
      rng: draws the first weights.
    """
    width, start = inputs.shape[2], _start(head, target)
    first = (
        rng.normal(size=(FOLDS, width, _HIDDEN)) / np.sqrt(width),
        np.zeros((FOLDS, _HIDDEN, len(start))),
        np.zeros((FOLDS, width, len(start))),
        rng.uniform(-1, 1, (FOLDS, 1, _HIDDEN)),
        np.tile(start, (FOLDS, 1, 1)),
    )
    held = folds == np.arange(FOLDS)[:, None]
    with tf.device("CPU:0"):
        given = [tf.constant(np.ascontiguousarray(array), tf.float32) for array in (inputs, target, held, *first)]
        return tuple(weight.numpy().astype(np.float64) for weight in _trainer(head)(*given))


def answers_of(head: str, weights: Weights, inputs: Rows) -> Rows:
    """float64[folds, n, o]: what each network says of inputs [folds, n, width]."""
    with tf.device("CPU:0"):
        return _distribution(head, _raw([tf.constant(weight) for weight in weights], tf.constant(inputs))).numpy()


def constant_model(head: str, target: Rows) -> Rows:
    """float64[o]: the best prediction without features; quantiles a little apart, so that they increase."""
    if head == "gaussian":
        return np.zeros(2)
    quantiles = np.quantile(target, LEVELS)
    gaps = np.maximum(np.diff(quantiles), _LEAST_GAP)
    steps = np.concatenate([[0.0], np.cumsum(gaps)])
    return quantiles[MIDDLE] + steps - steps[MIDDLE]


def losses_of(head: str, predicted: Rows, target: Rows) -> Rows:
    """float64[n]: minus the log-likelihood, or the mean pinball loss, of predictions [n, o]."""
    with tf.device("CPU:0"):
        return _loss(head, tf.constant(predicted), tf.constant(target)).numpy()


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
        above_least = tf.nn.softplus(float(_inverse_softplus(1 - LEAST_SCALE)) + _SLOWER * raw[..., 1:])
        return tf.concat([middle, tf.math.log(LEAST_SCALE + above_least)], axis=-1)
    gaps = _LEAST_GAP + tf.nn.softplus(raw[..., 1:])
    down = tf.cumsum(gaps[..., :MIDDLE], axis=-1, reverse=True)
    return tf.concat([middle - down, middle, middle + tf.cumsum(gaps[..., MIDDLE:], axis=-1)], axis=-1)


def _loss(head: str, predicted: Any, target: Any) -> Any:
    """[..., n]: minus the log-likelihood, or the mean pinball loss."""
    if head == "gaussian":
        with tf.init_scope():  # an import within a graph could leave tensors in it
            import tensorflow_probability as tfp

        return -tfp.distributions.Normal(predicted[..., 0], tf.exp(predicted[..., 1])).log_prob(target)
    missed = target[..., None] - predicted
    levels = tf.constant(LEVELS, predicted.dtype)
    return tf.reduce_mean(tf.maximum(levels * missed, (levels - 1) * missed), axis=-1)


def _start(head: str, target: Rows) -> Rows:
    """float64[o]: what the networks' last layer adds, so that they begin as the constant model."""
    if head == "gaussian":
        return np.zeros(2)
    quantiles = constant_model(head, target)
    gaps = np.maximum(np.diff(quantiles) - _LEAST_GAP, 1e-5)
    return np.append(quantiles[MIDDLE], _inverse_softplus(gaps))


def _inverse_softplus(values: Any) -> Any:
    return values + np.log(-np.expm1(-values))
