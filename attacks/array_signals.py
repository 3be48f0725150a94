"""The signals of `attacks.signals` from arrays of answers and labels, without TensorFlow, float64 throughout.

The formulas take logits float[..., c >= 2] and labels int[...] and return float[...], finite for logits of ±1e4 and equal to
those of the graph; higher = more member-like.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from .array_answers import Answers
from .attack import Signals

Values = NDArray[np.float64]
Labels = NDArray[np.int64]


def signals_from_arrays(
    labels: ArrayLike | None,
    *,
    logits: ArrayLike | None = None,
    probs: ArrayLike | None = None,
    loss: ArrayLike | None = None,
    entropy: ArrayLike | None = None,
    loss_function: str = "cross_entropy",
    multi_label: bool | None = None,
) -> Signals:
    """Every signal that these arrays allow, higher = more member-like.

    Of a multi-label record each signal is the sum over its labels (`correct`: the share). Whatever its origin, a known loss or
    entropy comes in as such, lower = better known, and has its sign turned here.

    Args:
      labels: class numbers int[n] or [n, 1]; 0/1 rows [n, c] with one 1 (one-hot) or several (multi-label); targets for
        "squared"; None = unknown, which leaves `entropy` and what is given.
      logits: float[n, c], or float[n] / [n, 1] of a binary head. Give these or `probs`, where either is to be had.
      probs: the same after softmax (rows sum to 1) or sigmoid. Read as log p; 0 counts as its type's smallest
        normal number.
      loss: float[n] or [n, 1], the loss of each record, instead of one computed here; [n, labels] is summed.
      entropy: the same for an entropy.
      loss_function: "cross_entropy", or "squared": the mean squared distance to the targets, and no other signal.
      multi_label: whether 0/1 rows are labels independent of each other; None = only if some row has not exactly one 1.
    Returns:
      float[n, 1] by name; all of `SIGNAL_NAMES` where labels and answers are known.
    Raises:
      ValueError: on NaN, lengths or shapes that do not fit, labels out of range, probabilities that are none, an unknown
        loss, or nothing to read.
    """
    if logits is None and probs is None and loss is None and entropy is None:
        raise ValueError("nothing to read signals from; give logits, probs, loss or entropy.")
    answers = Answers.read(labels, logits=logits, probs=probs, loss_function=loss_function, multi_label=multi_label)
    found = _of_answers(answers)
    for name, given in (("loss", loss), ("entropy", entropy)):
        if given is not None:
            found[name] = -known(given, name).sum(axis=1)
    lengths = {name: len(values) for name, values in found.items()}
    if answers.records is not None:
        lengths["labels or answers"] = answers.records
    if len(set(lengths.values())) > 1:
        raise ValueError(f"numbers of records differ: {lengths}; give every array one row a record.")
    classes = answers.labels if answers.labels is not None and answers.labels.ndim == 1 else None
    return Signals({name: values[:, None] for name, values in found.items()}, labels=classes)


def losses_of(answers: Answers) -> Values | None:
    """float[n], or float[n, labels] of a multi-label head: what `loss` is minus (the sum of); None where it cannot be known.

    A cross-entropy in nats, computed from logits and never clipped; for targets the mean squared distance.
    """
    if answers.logits is None:
        return None
    if answers.targets is not None:
        return np.mean((answers.logits - answers.targets) ** 2, axis=1)
    return None if answers.labels is None else -confidence(answers.class_logits(), answers.labels)


def _of_answers(answers: Answers) -> dict[str, Values]:
    if answers.logits is None:
        return {}
    if answers.targets is not None:
        return {"loss": -np.mean((answers.logits - answers.targets) ** 2, axis=1)}
    logits, labels = answers.class_logits(), answers.labels
    if labels is None:
        found = {"entropy": entropy(logits)}
    else:
        found = {name: formula(logits, labels) for name, formula in CLASSIFIER_SIGNALS.items()}
        found = {"loss": found["confidence"], **found}
    if answers.kind != "multi_label":
        return found
    return {name: values.mean(axis=-1) if name == "correct" else values.sum(axis=-1) for name, values in found.items()}


def known(given: ArrayLike, name: str) -> Values:
    """float[n, k] from a user's float[n], [n, 1] or [n, labels].

    Raises:
      ValueError: on another shape or NaN.
    """
    values = np.asarray(given, dtype=np.float64)
    if values.ndim not in (1, 2):
        raise ValueError(f"{name} has shape {values.shape}; give one number a record (or one a label of each).")
    if np.isnan(values).any():
        raise ValueError(f"{name} is NaN in {int(np.isnan(values).sum())} places; every record needs a number.")
    return values[:, None] if values.ndim == 1 else values


def scaled_logit(logits: Values, labels: Labels) -> Values:
    """Log-odds that a record is given its own label: the true logit minus the log-sum-exp of the others."""
    own = _own_class(logits, labels)
    return _own(logits, own) - special.logsumexp(np.where(own, -np.inf, logits), axis=-1)


def confidence(logits: Values, labels: Labels) -> Values:
    """Log-probability of the record's own label: −softplus(−φ)."""
    return -np.logaddexp(0.0, -scaled_logit(logits, labels))


def margin(logits: Values, labels: Labels) -> Values:
    """The true logit minus the largest of the others."""
    own = _own_class(logits, labels)
    return _own(logits, own) - np.where(own, -np.inf, logits).max(axis=-1)


def entropy(logits: Values, labels: Labels | None = None) -> Values:
    """Negative entropy Σ p log p. Does not read the labels."""
    log_p, _ = _log_p_and_log_rest(logits)
    return np.sum(_times(np.exp(log_p), log_p), axis=-1)


def modified_entropy(logits: Values, labels: Labels) -> Values:
    """(1 − p_y) log p_y + Σ_{j≠y} p_j log(1 − p_j)."""
    own = _own_class(logits, labels)
    log_p, log_rest = _log_p_and_log_rest(logits)
    own_part = _times(np.exp(_own(log_rest, own)), _own(log_p, own))
    return own_part + np.sum(np.where(own, 0.0, _times(np.exp(log_p), log_rest)), axis=-1)


def correct(logits: Values, labels: Labels) -> Values:
    """1 where the largest logit is the label's, else 0 (the first of several largest counts)."""
    return (np.argmax(logits, axis=-1) == labels).astype(np.float64)


CLASSIFIER_SIGNALS: dict[str, Callable[[Values, Labels], Values]] = {
    "confidence": confidence,
    "scaled_logit": scaled_logit,
    "margin": margin,
    "entropy": entropy,
    "modified_entropy": modified_entropy,
    "correct": correct,
}


def _own_class(logits: Values, labels: Labels) -> NDArray[np.bool_]:
    return np.arange(logits.shape[-1]) == labels[..., None]


def _own(values: Values, own: NDArray[np.bool_]) -> Values:
    return np.sum(np.where(own, values, 0.0), axis=-1)


def _times(probability: Values, log: Values) -> Values:
    """Their product, 0 where the probability is: 0 · log 0 = 0."""
    return np.multiply(probability, log, out=np.zeros_like(probability), where=probability != 0)


def _log_p_and_log_rest(logits: Values) -> tuple[Values, Values]:
    """log p and log(1 − p) of every class, to full relative precision however sure the model is."""
    largest = np.arange(logits.shape[-1]) == np.argmax(logits, axis=-1)[..., None]
    below = logits - logits.max(axis=-1, keepdims=True)
    # The others' weight beside the largest class's 1: log p of the largest is −log(1 + weight), never 1 − rounding.
    log_weight = special.logsumexp(np.where(largest, -np.inf, below), axis=-1, keepdims=True)
    log_total = np.logaddexp(0.0, log_weight)
    log_p = np.where(largest, -log_total, below - log_total)
    # Every class but the largest has p <= 1/2, where log1p is exact.
    small_p = np.where(largest, 0.0, np.exp(log_p))
    return log_p, np.where(largest, log_weight - log_total, np.log1p(-small_p))
