"""What a model's outputs mean: logits or probabilities, of which kind, and which class each record's label names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from .attack import SIGNAL_NAMES
from .model_loss import ModelLoss
from .signals import CLASSIFIER_SIGNALS, over_labels, two_class_logits

# log p of a probability that underflowed: the smallest normal float32, the type most models answer in.
_TINY = 1.1754944e-38
# Operations that pass their input on unchanged in meaning.
_TRANSPARENT = ("Identity", "Cast", "StopGradient", "CheckNumerics", "EnsureShape")


@dataclass(frozen=True)
class Head:
    """How to read one model's outputs.

    Attributes:
      kind: "categorical", "binary", "multi_label", or "loss_only": regressions, and classifiers whose outputs
        cannot be told to be logits or probabilities.
      read_as: "logits", "softmax" or "sigmoid" (the pre-activation is read), or "probabilities" (only those can be had).
      loss: the compiled loss.
      labels: int[n] class numbers (or int[n, labels] for "multi_label") of the audited records; None for "loss_only".
      soft: True if the labels are distributions; `labels` then names their largest entry.
      stable: True if the loss signal is the cross-entropy computed from logits, not Keras' clipped one.
      notes: sentences on how the signals are made.
    """

    kind: str
    read_as: str
    loss: ModelLoss
    labels: NDArray[np.int64] | None
    soft: bool
    stable: bool
    notes: tuple[str, ...]

    @property
    def signals(self) -> tuple[str, ...]:
        """The signals that fit this head, `loss` first."""
        return ("loss",) if self.kind == "loss_only" else SIGNAL_NAMES

    def compute(self, name: str, outputs: Any, y: Any, labels: Any) -> Any:
        """float64[n], inside the graph that made `outputs`.

        Args:
          name: one of `signals`.
          outputs: the model's outputs [n, ...].
          y: the labels as the loss takes them.
          labels: the rows of `self.labels` that belong to them.
        """
        if name == "loss":
            return self._loss(outputs, y, labels)
        return self._classifier_signal(name, self._logits(outputs), labels)

    def _loss(self, outputs: Any, y: Any, labels: Any) -> Any:
        if not self.stable:
            return -self.loss.per_record(y, tf.cast(outputs, tf.float32) if outputs.dtype.size < 4 else outputs)
        logits = self._logits(outputs)
        if self.kind == "multi_label" or (self.soft and self.kind == "binary"):
            targets = tf.reshape(tf.cast(y, tf.float64), tf.shape(logits))
            losses = tf.nn.sigmoid_cross_entropy_with_logits(targets, logits)
            return -tf.reduce_mean(tf.reshape(losses, [tf.shape(losses)[0], -1]), axis=1)
        if self.soft:
            return tf.reduce_sum(tf.cast(y, tf.float64) * tf.nn.log_softmax(logits), axis=-1)
        return self._classifier_signal("confidence", logits, labels)

    def _classifier_signal(self, name: str, logits: Any, labels: Any) -> Any:
        if self.kind == "categorical":
            return CLASSIFIER_SIGNALS[name](logits, labels)
        values = CLASSIFIER_SIGNALS[name](two_class_logits(logits), labels)
        return over_labels(name, values) if self.kind == "multi_label" else values

    def _logits(self, outputs: Any) -> Any:
        """float64[n, classes] for "categorical", [n, labels] for "multi_label", [n] for "binary"."""
        if self.read_as in ("softmax", "sigmoid"):
            _, outputs = activation_behind(outputs)
        values = tf.cast(outputs, tf.float64)
        if self.read_as == "probabilities":
            # Normalising does not matter: every signal of log p is the same for any multiple of p.
            logs = tf.math.log(tf.maximum(values, _TINY))
            values = logs if self.kind == "categorical" else logs - tf.math.log(tf.maximum(1 - values, _TINY))
        return tf.squeeze(values, -1) if self.kind == "binary" else values


def read_head(outputs: Any, loss: ModelLoss, y: NDArray[Any]) -> Head:
    """Decides from the loss, the operation that made the outputs, and the labels.

    Args:
      outputs: a symbolic tensor [n, ...] in the graph that made it.
      loss: the model's loss.
      y: the audited records' labels [n, ...].
    Raises:
      ValueError: if labels and outputs do not fit each other or the loss.
    """
    activation, _ = activation_behind(outputs)
    kind = _kind(loss, activation, outputs.shape, y)
    if kind == "loss_only" or loss.family == "other":
        _check_targets(loss, outputs.shape, y)
    if kind == "loss_only":
        return Head(kind, "logits", loss, None, False, False, _why_the_loss_alone(loss, outputs.shape, y))
    width = outputs.shape[-1]
    labels, soft = _class_labels(kind, loss, y, width)
    family = "categorical" if kind == "categorical" else "binary"
    read_as = _read_as(family, loss, activation)
    stable = loss.plain and loss.family == family
    notes = []
    if stable and read_as != "probabilities":
        notes.append(
            f"loss is {loss.name} computed from logits: Keras' own clips probabilities at 1e-7, this does not."
        )
    if read_as == "probabilities":
        notes.append(
            "the model gives probabilities whose logits cannot be reached, so very confident records may tie; "
            "a model that ends in logits or in a softmax / sigmoid activation is resolved further."
        )
    if soft:
        notes.append("labels are soft; signals other than the loss take the largest entry as the label.")
    return Head(kind, read_as, loss, labels, soft, stable, tuple(notes))


def activation_behind(outputs: Any) -> tuple[str | None, Any]:
    """("softmax" or "sigmoid", its input) if that operation made these outputs in this graph, else (None, outputs)."""
    tensor = outputs
    while tensor.op.type in _TRANSPARENT:
        tensor = tensor.op.inputs[0]
    if tensor.op.type in ("Softmax", "Sigmoid"):
        return tensor.op.type.lower(), tensor.op.inputs[0]
    return None, outputs


def _kind(loss: ModelLoss, activation: str | None, shape: Any, y: NDArray[Any]) -> str:
    if loss.family == "categorical" or (loss.family == "binary" and activation == "softmax"):
        if shape.rank != 2:
            raise ValueError(
                f"outputs have shape {tuple(shape)} with loss {loss.name!r}; classifiers are audited with one prediction a "
                "record, outputs of shape (records, classes)."
            )
        # Keras computes a categorical cross-entropy on what goes into a sigmoid, not on what comes out of it.
        return "loss_only" if activation == "sigmoid" else "categorical"
    if shape.rank != 2:
        return "loss_only"
    one_of_each = "binary" if shape[-1] == 1 else "multi_label"
    if loss.family == "binary":
        return one_of_each
    if activation == "softmax" and _names_classes(y, shape[-1]):
        return "categorical"
    if activation == "sigmoid" and np.isin(y, (0, 1)).all() and y.size == len(y) * shape[-1]:
        return one_of_each
    return "loss_only"


def _names_classes(y: NDArray[Any], width: int) -> bool:
    """True for one class number a record, or one row of `width` shares."""
    if y.shape == (len(y), width):
        return width > 1 and bool((y >= 0).all())
    return y.size == len(y) and bool(np.isin(y, np.arange(width)).all())


def _why_the_loss_alone(loss: ModelLoss, shape: Any, y: NDArray[Any]) -> tuple[str, ...]:
    """A note where a reader would expect the signals of a classifier; none for a plain regression."""
    looks_like_classes = shape.rank == 2 and shape[-1] > 1 and y.size == len(y) and y.dtype.kind in "iu"
    if loss.family != "categorical" and not looks_like_classes:
        return ()
    return (
        f"loss {loss.name!r} and the model's last operation do not tell whether its outputs are class scores and of which "
        "kind, so the loss is the only signal; if they are, give the audit a Keras cross-entropy with loss=.",
    )


def _read_as(family: str, loss: ModelLoss, activation: str | None) -> str:
    # Keras' losses, too, look for the activation first and read through it whatever from_logits says.
    if activation == {"categorical": "softmax", "binary": "sigmoid"}[family]:
        return activation
    return "logits" if loss.from_logits else "probabilities"


def _class_labels(kind: str, loss: ModelLoss, y: NDArray[Any], width: int) -> tuple[NDArray[np.int64], bool]:
    if y.dtype.kind not in "iubf":
        raise ValueError(f"labels have dtype {y.dtype}; give class numbers or one-hot rows.")
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        raise ValueError(f"labels are NaN or infinite in {int((~np.isfinite(y)).sum())} places; clean them first.")
    if kind == "categorical":
        if width < 2:
            raise ValueError(
                "the model has one output class, so every record gets it; use a sigmoid, or two classes or more."
            )
        return _categorical_labels(loss, y, width)
    expected = (len(y), width)
    if y.shape != expected and not (kind == "binary" and y.shape == (len(y),)):
        raise ValueError(f"labels have shape {y.shape}, outputs {expected}; give one 0/1 label an output.")
    if y.min() < 0 or y.max() > 1:
        raise ValueError(f"labels range from {y.min()} to {y.max()}, but {loss.name!r} wants them in [0, 1].")
    labels = np.rint(y).astype(np.int64)
    return (labels.reshape(-1) if kind == "binary" else labels), bool((labels != y).any())


def _categorical_labels(loss: ModelLoss, y: NDArray[Any], width: int) -> tuple[NDArray[np.int64], bool]:
    one_number = int(np.prod(y.shape[1:])) == 1
    if one_number and loss.sparse is not False:
        numbers = y.reshape(-1).astype(np.int64)
        wrong = np.flatnonzero((numbers != y.reshape(-1)) | (numbers < 0) | (numbers >= width))
        if wrong.size:
            raise ValueError(
                f"labels out of range in {wrong.size} audited records (first: {y.reshape(-1)[wrong[0]]}); the model has "
                f"{width} classes, so give whole numbers from 0 to {width - 1}."
            )
        return numbers, False
    if y.shape != (len(y), width) or loss.sparse:
        wanted = f"class numbers of shape ({len(y)},)" if loss.sparse else f"one-hot rows of shape ({len(y)}, {width})"
        raise ValueError(f"labels have shape {y.shape}, but {loss.name!r} on {width} classes wants {wanted}.")
    if y.min() < 0:
        raise ValueError(f"labels go down to {y.min()}; one-hot rows hold no negative entries.")
    labels = y.argmax(axis=1)
    one_hot = np.arange(width) == labels[:, None]
    return labels.astype(np.int64), not np.array_equal(y.astype(np.float64), one_hot.astype(np.float64))


def _check_targets(loss: ModelLoss, shape: Any, y: NDArray[Any]) -> None:
    if y.dtype.kind not in "iubf":
        raise ValueError(f"targets have dtype {y.dtype}; give numbers.")
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        raise ValueError(f"targets are NaN or infinite in {int((~np.isfinite(y)).sum())} places; clean them first.")
    ours, theirs = [tuple(axis for axis in axes if axis != 1) for axes in (y.shape[1:], tuple(shape)[1:])]
    # A loss of the user's may well compare targets with outputs of another shape (quantiles, a mean and a variance).
    if loss.keras_own and loss.family != "categorical" and ours != theirs:
        raise ValueError(
            f"labels have shape {y.shape[1:]} a record, outputs {tuple(shape)[1:]}; give targets of the outputs' shape."
        )
