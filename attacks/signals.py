"""One model's answer on one record, as one number: higher = more member-like, always.

Every function takes

  logits: float[..., c], unnormalised, c >= 2; computed in float64 whatever comes in.
  labels: int[...], each in [0, c).

and returns float64[...]. All stay finite for logits of ±1e4. A binary head with logit z is the two-class head (0, z); a
multi-label head is one such pair a label, and `over_labels` joins the labels.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import tensorflow as tf

from .softening import Softening


def scaled_logit(logits: Any, labels: Any) -> Any:
    """Log-odds that a record is given its own label, in nats: the true logit minus the log-sum-exp of the others.

    Never log p − log(1 − p), which is +inf in float32 from about 17 nats on.
    Source: Carlini et al. 2022, arXiv:2112.03570 (their φ).
    """
    logits, own = _prepared(logits, labels)
    return _own_logit(logits, own) - tf.reduce_logsumexp(_others(logits, own), axis=-1)


def confidence(logits: Any, labels: Any) -> Any:
    """Log-probability of the record's own label, in nats: −softplus(−φ) with φ the scaled logit."""
    return -tf.math.softplus(-scaled_logit(logits, labels))


def margin(logits: Any, labels: Any) -> Any:
    """The true logit minus the largest of the others (hinge)."""
    logits, own = _prepared(logits, labels)
    return _own_logit(logits, own) - tf.reduce_max(_others(logits, own), axis=-1)


def entropy(logits: Any, labels: Any) -> Any:
    """Negative entropy of the predicted distribution, in nats: Σ p log p. Does not read the labels."""
    logits, _ = _prepared(logits, labels)
    log_p, _ = _log_p_and_log_rest(logits)
    return tf.reduce_sum(tf.math.multiply_no_nan(log_p, tf.exp(log_p)), axis=-1)


def modified_entropy(logits: Any, labels: Any) -> Any:
    """Negative entropy that knows the label: (1 − p_y) log p_y + Σ_{j≠y} p_j log(1 − p_j), in nats.

    Large when the model is confident and right, very negative when it is confident and wrong. log(1 − p) of the largest
    class comes from the log-sum-exp of the others, so that a confident wrong answer is not −inf and a confident right one
    keeps its digits.
    Source: Song & Mittal 2021, arXiv:2003.10595 (their Mentr, sign turned).
    """
    logits, own = _prepared(logits, labels)
    log_p, log_rest = _log_p_and_log_rest(logits)
    own_part = tf.exp(_own_logit(log_rest, own)) * _own_logit(log_p, own)
    other_part = tf.reduce_sum(tf.where(own, tf.zeros_like(log_p), tf.exp(log_p) * log_rest), axis=-1)
    return own_part + other_part


def correct(logits: Any, labels: Any) -> Any:
    """1 where the largest logit is the label's, else 0 (the first of several largest counts): the "gap" attack.

    Source: Yeom et al. 2018, arXiv:1709.01604.
    """
    logits, _ = _prepared(logits, labels)
    return tf.cast(tf.argmax(logits, axis=-1) == tf.cast(labels, tf.int64), tf.float64)


def top(logits: Any, labels: Any, place: int) -> Any:
    """The largest, second, third … log-probability, in nats (of fewer classes the smallest). Does not read the labels.

    Source: Salem et al. 2019, arXiv:1806.01246 (three are enough for a trained attacker).
    """
    logits, _ = _prepared(logits, labels)
    log_p, _ = _log_p_and_log_rest(logits)
    return tf.math.top_k(log_p, min(place, logits.shape[-1])).values[..., -1]


def softened_confidence(logits: Any, labels: Any, softening: Softening) -> Any:
    """Log-probability of the record's own label, in nats, under a softened softmax.

    With a Taylor polynomial it depends on a shift of all logits, which the model's own softmax does not see; where only
    probabilities can be had, their logarithms stand for the logits.
    Source: Zarifzadeh et al. 2024, arXiv:2312.03262.
    """
    if softening.order is None:
        return -tf.math.softplus(
            softening.margin - scaled_logit(tf.cast(logits, tf.float64) / softening.temperature, labels)
        )
    logits, own = _prepared(logits, labels)
    logits = logits / softening.temperature - tf.where(own, tf.constant(softening.margin, tf.float64), 0.0)
    weights = tf.where(tf.math.is_inf(logits), tf.zeros_like(logits), _taylor(logits, softening.order))
    others = tf.reduce_sum(tf.where(own, tf.zeros_like(weights), weights), axis=-1)
    # −log(1 + ratio) instead of log(own / sum): no more than 0, and exact where the ratio is tiny.
    return -tf.math.log1p(others / _own_logit(weights, own))


def _taylor(values: Any, order: int) -> Any:
    """Σ_{i≤order} values^i / i!, by Horner's rule."""
    total = tf.ones_like(values)
    for power in range(order, 0, -1):
        total = 1 + values / power * total
    return total


CLASSIFIER_SIGNALS: dict[str, Callable[[Any, Any], Any]] = {
    "confidence": confidence,
    "scaled_logit": scaled_logit,
    "margin": margin,
    "entropy": entropy,
    "modified_entropy": modified_entropy,
    "correct": correct,
}
TOP_SIGNALS = {f"top_{place}": partial(top, place=place) for place in (1, 2, 3)}


def over_labels(name: str, values: Any) -> Any:
    """A multi-label record's signal from its labels' signals [..., labels]: their sum; of `correct`, the share."""
    return tf.reduce_mean(values, axis=-1) if name == "correct" else tf.reduce_sum(values, axis=-1)


def two_class_logits(logit: Any) -> Any:
    """The two-class head float[..., 2] that a sigmoid on `logit` float[...] amounts to."""
    return tf.stack([tf.zeros_like(logit), logit], axis=-1)


def _prepared(logits: Any, labels: Any) -> tuple[Any, Any]:
    logits, labels = tf.cast(logits, tf.float64), tf.convert_to_tensor(labels)
    if labels.shape.rank != logits.shape.rank - 1:
        raise ValueError(f"labels have shape {labels.shape}, logits {logits.shape}; give one label a prediction.")
    if logits.shape[-1] < 2:
        raise ValueError(
            f"logits have {logits.shape[-1]} class; a signal compares a label with others, so give two or more."
        )
    return logits, tf.one_hot(labels, logits.shape[-1], on_value=True, off_value=False, dtype=tf.bool)


def _log_p_and_log_rest(logits: Any) -> tuple[Any, Any]:
    """log p and log(1 − p) of every class, to full relative precision however sure the model is."""
    largest = tf.one_hot(tf.argmax(logits, axis=-1), logits.shape[-1], on_value=True, off_value=False, dtype=tf.bool)
    below = logits - tf.reduce_max(logits, axis=-1, keepdims=True)
    # The others' weight beside the largest class's 1: log p of the largest is −log(1 + weight), never 1 − rounding.
    log_weight = tf.reduce_logsumexp(_others(below, largest), axis=-1, keepdims=True)
    log_total = tf.math.softplus(log_weight)
    log_p = tf.where(largest, -log_total, below - log_total)
    # Every class but the largest has p <= 1/2, where log1p is exact.
    small_p = tf.where(largest, tf.zeros_like(log_p), tf.exp(log_p))
    return log_p, tf.where(largest, log_weight - log_total, tf.math.log1p(-small_p))


def _own_logit(logits: Any, own: Any) -> Any:
    return tf.reduce_sum(tf.where(own, logits, tf.zeros_like(logits)), axis=-1)


def _others(logits: Any, own: Any) -> Any:
    return tf.where(own, tf.constant(float("-inf"), logits.dtype), logits)
