"""The signals of `attacks.signals` from arrays of answers and labels, without TensorFlow, float64 throughout.

The formulas take the classes' logits and labels int[...] and return float[...], finite for logits of ±1e4 and equal to those
of the graph; higher = more member-like.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .array_answers import Answers
from .attack import Signals
from .number_arrays import as_floats
from .softening import EXAMPLES, Softening

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
    softened: Iterable[str] = (),
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
      softened: names of softened confidences wanted besides, e.g. "confidence_t2" or "taylor_n4_m0.6_t2"; see `Softening`.
    Returns:
      float[n, 1] by name; all of `SIGNAL_NAMES` where labels and answers are known.
    Raises:
      ValueError: on NaN, lengths or shapes that do not fit, labels out of range, probabilities that are none, an unknown
        loss, nothing to read, or a softened confidence of records without one label each.
    """
    if logits is None and probs is None and loss is None and entropy is None:
        raise ValueError("nothing to read signals from; give logits, probs, loss or entropy.")
    answers = Answers.read(labels, logits=logits, probs=probs, loss_function=loss_function, multi_label=multi_label)
    found = {**label_signals(answers), **{name: _softened(answers, name) for name in softened}}
    return signals_of(answers, found, loss=loss, entropy=entropy)


def signals_of(
    answers: Answers, found: Mapping[str, Values], *, loss: ArrayLike | None = None, entropy: ArrayLike | None = None
) -> Signals:
    """One number a record and signal: what was found of each label summed, what is known in place of what was computed.

    Args:
      answers: whose labels and number of records these are.
      found: see `label_signals`.
      loss, entropy: see `signals_from_arrays`.
    Raises:
      ValueError: if they cannot be read, or are not as many as the answers.
    """
    columns = {name: _of_record(name, values) for name, values in found.items()}
    for name, given in (("loss", loss), ("entropy", entropy)):
        if given is not None:
            columns[name] = -known(given, name).sum(axis=1)
    lengths = {name: len(values) for name, values in columns.items()}
    if answers.records is not None:
        lengths["labels or answers"] = answers.records
    if len(set(lengths.values())) > 1:
        raise ValueError(f"numbers of records differ: {lengths}; give every array one row a record.")
    classes = answers.labels if answers.labels is not None and answers.labels.ndim == 1 else None
    return Signals({name: values[:, None] for name, values in columns.items()}, labels=classes)


def label_signals(answers: Answers) -> dict[str, Values]:
    """Every signal that the answers allow: float[n], or float[n, labels] of independent labels.

    `loss` is minus a cross-entropy in nats, computed from logits and never clipped; for targets minus the mean squared distance.
    """
    if answers.logits is None:
        return {}
    if answers.targets is not None:
        with np.errstate(over="ignore"):  # so far off that the square is infinite
            return {"loss": -np.mean((answers.logits - answers.targets) ** 2, axis=1)}
    if answers.labels is None:
        return {"entropy": entropy(Classes.of(answers.class_logits()))}
    classes = Classes.of(answers.class_logits())
    with np.errstate(over="ignore"):  # of logits near the largest floats
        found = {name: formula(classes, answers.labels) for name, formula in CLASSIFIER_SIGNALS.items()}
    return {"loss": found["confidence"], **found}


def known(given: ArrayLike, name: str) -> Values:
    """float[n, k] from a user's float[n], [n, 1] or [n, labels].

    Raises:
      ValueError: on another shape, NaN, or what is no number.
    """
    values = as_floats(given, name)
    if values.ndim not in (1, 2) or values.shape[1:] == (0,):
        raise ValueError(f"{name} has shape {values.shape}; give one number a record (or one a label of each).")
    if np.isnan(values).any():
        raise ValueError(f"{name} is NaN in {int(np.isnan(values).sum())} places; every record needs a number.")
    return values[:, None] if values.ndim == 1 else values


def _softened(answers: Answers, name: str) -> Values:
    softening = Softening.of(name)
    if softening is None:
        raise ValueError(f"{name!r} is no softened confidence; give {EXAMPLES}.")
    if answers.kind not in ("categorical", "binary") or answers.labels is None:
        raise ValueError(f"{name!r} needs one class label a record and logits or probabilities; leave softened= out.")
    with np.errstate(over="ignore", invalid="ignore"):
        found = softened_confidence(answers.class_logits(), answers.labels, softening)
    if np.isnan(found).any():
        raise ValueError(
            f"{name!r} cannot be told of {int(np.isnan(found).sum())} records: powers of their logits overflow; leave it out."
        )
    return found


def softened_confidence(logits: Values, labels: Labels, softening: Softening) -> Values:
    """Log-probability of the record's own label under a softened softmax; see `Softening`."""
    scaled = logits / softening.temperature
    if softening.order is None:
        return -np.logaddexp(0.0, softening.margin - scaled_logit(Classes.of(scaled), labels))
    own = np.arange(logits.shape[-1]) == labels[..., None]
    scaled = scaled - softening.margin * own
    weights = np.ones_like(scaled)
    with np.errstate(invalid="ignore"):  # masked classes
        for power in range(softening.order, 0, -1):
            weights = 1 + scaled / power * weights
    weights = np.where(np.isinf(scaled), 0.0, weights)
    with np.errstate(divide="ignore"):
        return -np.log1p(np.where(own, 0.0, weights).sum(axis=-1) / _at(weights, labels))


def _of_record(name: str, values: Values) -> Values:
    if values.ndim == 1:
        return values
    return values.mean(axis=-1) if name == "correct" else values.sum(axis=-1)


@dataclass(frozen=True, eq=False)
class Classes:
    """Logits seen from the most probable class (the top; the first of several): one exponential a logit serves every signal.

    Attributes:
      top: int[...].
      below: float[..., c], each logit minus the top's, ≤ 0.
      second: float[...], the largest of `below` but for the top's own.
      log_weight: float[...], log Σ exp(below) over all but the top: beside the top's weight, which is 1.
      log_total: float[...], log(1 + that sum) = −log p of the top, which p itself would round to 0.
      p: float[..., c], the probabilities of all but the top, ≤ ½; 0 for the top.
    """

    top: Labels
    below: Values
    second: Values
    log_weight: Values
    log_total: Values
    p: Values

    @classmethod
    def of(cls, logits: Values) -> Classes:
        """Logits float[..., c >= 2], at least one finite, none +inf or NaN."""
        top = np.argmax(logits, axis=-1)
        below = logits - _at(logits, top)[..., None]
        others = below.copy()
        np.put_along_axis(others, top[..., None], -np.inf, axis=-1)
        second = others.max(axis=-1)
        # So that the largest weight is 1, however far below the top; where all others are masked every weight is 0.
        shift = np.maximum(second, np.finfo(np.float64).min)
        weights = np.exp(others - shift[..., None])
        with np.errstate(divide="ignore"):
            log_weight = shift + np.log(weights.sum(axis=-1))
        log_total = np.logaddexp(0.0, log_weight)
        return cls(top, below, second, log_weight, log_total, weights * np.exp(shift - log_total)[..., None])


def scaled_logit(classes: Classes, labels: Labels) -> Values:
    """Log-odds that a record is given its own label: the true logit minus the log-sum-exp of the others."""
    own = _at(classes.below, labels)
    # A label below the top: the others are the top, of weight 1, and what neither has.
    rest = np.maximum(np.exp(classes.log_weight) - np.exp(own), 0.0)
    return np.where(classes.top == labels, -classes.log_weight, own - np.log1p(rest))


def confidence(classes: Classes, labels: Labels) -> Values:
    """Log-probability of the record's own label: −softplus(−φ)."""
    return -np.logaddexp(0.0, -scaled_logit(classes, labels))


def margin(classes: Classes, labels: Labels) -> Values:
    """The true logit minus the largest of the others."""
    return np.where(classes.top == labels, -classes.second, _at(classes.below, labels))


def entropy(classes: Classes, labels: Labels | None = None) -> Values:
    """Negative entropy Σ p log p, which is Σ p·(z − z_top) + log p_top. Does not read the labels."""
    below = np.multiply(classes.p, classes.below, out=np.zeros_like(classes.p), where=classes.p != 0)  # 0 · log 0 = 0
    return below.sum(axis=-1) - classes.log_total


def modified_entropy(classes: Classes, labels: Labels) -> Values:
    """(1 − p_y) log p_y + Σ_{j≠y} p_j log(1 − p_j)."""
    log_rest_of_top = classes.log_weight - classes.log_total  # log(1 − p) of the top
    others = np.sum(classes.p * np.log1p(-classes.p), axis=-1)
    if_top = np.exp(log_rest_of_top) * -classes.log_total + others
    p = _at(classes.p, labels)
    own = (1 - p) * (_at(classes.below, labels) - classes.log_total)
    if_below = own + others - p * np.log1p(-p) + np.exp(-classes.log_total) * log_rest_of_top
    return np.where(classes.top == labels, if_top, if_below)


def correct(classes: Classes, labels: Labels) -> Values:
    """1 where the largest logit is the label's, else 0 (the first of several largest counts)."""
    return (classes.top == labels).astype(np.float64)


CLASSIFIER_SIGNALS: dict[str, Callable[[Classes, Labels], Values]] = {
    "confidence": confidence,
    "scaled_logit": scaled_logit,
    "margin": margin,
    "entropy": entropy,
    "modified_entropy": modified_entropy,
    "correct": correct,
}


def _at(values: Values, classes: Labels) -> Values:
    """float[...]: of float[..., c] those of one class each."""
    return np.take_along_axis(values, classes[..., None], axis=-1)[..., 0]
