"""What an output means: logits or probabilities, of which kind, and how to read it as signals of records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from .attack import SIGNAL_NAMES
from .gradient_norm import last_layer_input
from .label_reading import check_targets, class_labels, names_classes
from .model_loss import ModelLoss
from .position_means import lowest_positions, mean_over_positions, sum_over_positions
from .signals import CLASSIFIER_SIGNALS, TOP_SIGNALS, over_labels, softened_confidence, two_class_logits
from .softening import EXAMPLES, Softening

# log p of a probability that underflowed: the smallest normal float32, the type most models answer in.
_TINY = 1.1754944e-38
# Kinds of heads whose softmax can be softened.
_SOFTENABLE = ("categorical", "binary")
_ROUNDING = 1e-3  # of probabilities in half precision
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
      labels: int[n] class numbers (or int[n, labels] for "multi_label") of the audited records, int[n, positions...] where a
        record has several (tokens, pixels); None for "loss_only".
      soft: True if the labels are distributions; `labels` then names their largest entry.
      stable: True if the loss signal is the cross-entropy computed from logits, not Keras' clipped one.
      notes: sentences on how the signals are made.
      by_model: True if the loss signal must come from the model's own `compute_loss`, which `compute` does not know.
    """

    kind: str
    read_as: str
    loss: ModelLoss
    labels: NDArray[np.int64] | None
    soft: bool
    stable: bool
    notes: tuple[str, ...]
    by_model: bool = False

    @property
    def signals(self) -> tuple[str, ...]:
        """The signals that fit this head, `loss` first."""
        return ("loss",) if self.kind == "loss_only" else SIGNAL_NAMES

    @property
    def further_signals(self) -> tuple[str, ...]:
        """The signals that fit this head too, and are computed where an attack asks for them."""
        largest = () if self.kind == "loss_only" else tuple(TOP_SIGNALS)
        positions = self.kind in _SOFTENABLE and self.labels is not None and self.labels.ndim > 1
        gradients = () if self.by_model else ("gradient_norm", "weight_gradient_norm")
        return (*largest, *(("min_k", "zlib") if positions else ()), *gradients)

    def compute(self, name: str, outputs: Any, y: Any, labels: Any, valid: Any = None) -> Any:
        """float64[n], inside the graph that made `outputs`: of a record with several positions, the mean over the valid ones.

        Two are not means: `min_k` is that of the log-likelihoods of the fifth of positions that the model finds least likely;
        `zlib` is the sum of all, which `SignalPass` divides by the record's compressed size.

        Args:
          name: of a signal that fits, those of gradients apart; see `fits`.
          outputs: the output [n, ...].
          y: the labels as the loss takes them.
          labels: the rows of `self.labels` that belong to them.
          valid: see `valid_positions`.
        """
        if name == "loss":
            return self._loss(outputs, y, labels, valid)
        if name in ("min_k", "zlib"):
            likelihoods = self._classifier_signal("confidence", self._logits(outputs), labels)
            return (lowest_positions if name == "min_k" else sum_over_positions)(likelihoods, valid)
        return mean_over_positions(self._classifier_signal(name, self._logits(outputs), labels), valid)

    def layer_input(self, outputs: Any) -> Any:
        """The input of the layer that made these outputs; see `last_layer_input`."""
        return last_layer_input(activation_behind(outputs)[1])

    def valid_positions(self, outputs: Any, y: Any, weights: Any) -> Any:
        """bool[n, positions...]: where training looks, by Keras' mask, the class to ignore and weights of 0; None = everywhere.

        Args:
          outputs, y: as for `compute`.
          weights: of each position, or ().
        """
        found = []
        mask = getattr(outputs, "_keras_mask", None)  # where Keras' own losses look; there is no public way to ask
        if mask is not None:
            found.append(tf.cast(mask, tf.bool))
        if self.loss.ignore_class is not None:
            found.append(tf.not_equal(tf.cast(y, tf.int64), self.loss.ignore_class))
        if not isinstance(weights, (tuple, list, dict)) and weights.shape.rank > 1:
            found.append(tf.not_equal(tf.cast(weights, tf.float32), 0))
        if not found:
            return None
        positions = max(1, outputs.shape.rank - 1)
        masks = [_for_positions(one, outputs.shape[:positions]) for one in found]
        return tf.reduce_all([tf.broadcast_to(one, tf.shape(outputs)[:positions]) for one in masks], axis=0)

    def believable(self, outputs: Any) -> Any:
        """bool[n]: False where what is read as probabilities is none, so that Keras' loss and ours would differ."""
        if self.kind == "loss_only" or self.read_as != "probabilities":
            return tf.ones(tf.shape(outputs)[:1], tf.bool)
        values = tf.reshape(tf.cast(outputs, tf.float64), [tf.shape(outputs)[0], -1])
        return tf.reduce_all((values >= -_ROUNDING) & (values <= 1 + _ROUNDING), axis=1)

    def _loss(self, outputs: Any, y: Any, labels: Any, valid: Any) -> Any:
        if not self.stable:
            outputs = tf.cast(outputs, tf.float32) if outputs.dtype.size < 4 else outputs
            return -self.loss.per_record(y, outputs, valid)
        logits = self._logits(outputs)
        if self.kind == "multi_label" or (self.soft and self.kind == "binary"):
            targets = tf.reshape(tf.cast(y, tf.float64), tf.shape(logits))
            return -mean_over_positions(tf.nn.sigmoid_cross_entropy_with_logits(targets, logits), valid)
        if self.soft:
            likelihood = tf.reduce_sum(tf.cast(y, tf.float64) * tf.nn.log_softmax(logits), axis=-1)
            return mean_over_positions(likelihood, valid)
        return mean_over_positions(self._classifier_signal("confidence", logits, labels), valid)

    def _classifier_signal(self, name: str, logits: Any, labels: Any) -> Any:
        signal = _classifier_signal_called(name)
        if self.kind == "categorical":
            return signal(logits, labels)
        values = signal(two_class_logits(logits), labels)
        return over_labels(name, values) if self.kind == "multi_label" else values

    def _logits(self, outputs: Any) -> Any:
        """float64[n, positions..., classes] for "categorical", [..., labels] for "multi_label", [n, positions...] else."""
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
    if outputs.shape.rank is None:
        raise ValueError("the model's output has a shape of unknown rank; give it one (set_shape, or a Reshape layer).")
    if activation is None and hasattr(outputs, "_keras_logits"):
        raise ValueError("the model's activation does not run over the last axis; put the classes on the last axis.")
    if activation is not None and loss.from_logits and not _keras_sees(outputs):
        activation = None  # Keras takes these probabilities for logits, and so do we
    kind = _kind(loss, activation, outputs.shape, y)
    if kind == "loss_only" or loss.family == "other":
        check_targets(loss, outputs.shape, y)
    loss = loss.looked_at(y, outputs) if loss.family == "other" else loss
    if kind == "loss_only":
        return Head(kind, "logits", loss, None, False, False, _why_the_loss_alone(loss, outputs.shape, y))
    labels, soft = class_labels(kind, loss, y, tuple(outputs.shape[1:]))
    family = "categorical" if kind == "categorical" else "binary"
    read_as = _read_as(family, loss, activation)
    stable = loss.plain and loss.family == family
    notes = []
    if outputs.shape.rank > 2:
        notes.append(
            "each signal is the mean over a record's positions (tokens, pixels), those left out by a mask, a class to ignore or "
            "a weight of 0 apart."
        )
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
        if shape.rank < 2:
            raise ValueError(
                f"outputs have shape {tuple(shape)} with loss {loss.name!r}; a classifier's have (records, …, classes)."
            )
        # Keras computes a categorical cross-entropy on what goes into a sigmoid, not on what comes out of it.
        return "loss_only" if activation == "sigmoid" else "categorical"
    if shape.rank is None or shape.rank < 2:
        return "loss_only"
    one_of_each = "binary" if shape[-1] == 1 else "multi_label"
    if loss.family == "binary":
        return one_of_each
    if shape.rank > 2:
        return "loss_only"
    if activation == "softmax" and names_classes(y, shape[-1]):
        return "categorical"
    if activation == "sigmoid" and np.isin(y, (0, 1)).all() and y.size == len(y) * shape[-1]:
        return one_of_each
    return "loss_only"


def fits(head: Any, name: str) -> bool:
    """True if a head (or a `SummedHead`) has a signal of this name."""
    softened = head.kind in _SOFTENABLE and Softening.of(name) is not None
    return softened or name in (*head.signals, *head.further_signals)


def signals_listed(head: Any) -> str:
    """The names of a head's signals, for a sentence."""
    return ", ".join((*head.signals, *head.further_signals, *([EXAMPLES] if head.kind in _SOFTENABLE else [])))


def _classifier_signal_called(name: str) -> Callable[[Any, Any], Any]:
    softening = Softening.of(name)
    if softening is not None:
        return partial(softened_confidence, softening=softening)
    return TOP_SIGNALS[name] if name in TOP_SIGNALS else CLASSIFIER_SIGNALS[name]


def _keras_sees(outputs: Any) -> bool:
    """True if Keras' losses see the logits behind this activation: they do at the very tensor that it made, in 32 bits."""
    return hasattr(outputs, "_keras_logits") and outputs.dtype == tf.float32


def _for_positions(mask: Any, shape: Any) -> Any:
    """A mask that leads with the axes of these positions: one of size 1 too many goes, missing ones are filled up."""
    rank = len(shape)
    if mask.shape.rank == rank + 1 and mask.shape[-1] == 1:
        mask = tf.squeeze(mask, -1)
    if mask.shape.rank > rank:
        raise ValueError(
            f"a mask or weights of shape {tuple(mask.shape)} are given where the loss has values of {rank} axes; give one a "
            "record, or one a position."
        )
    for _ in range(rank - mask.shape.rank):
        mask = mask[..., None]
    if any(
        ours not in (1, None) and theirs is not None and ours != theirs
        for ours, theirs in zip(mask.shape, shape, strict=True)
    ):
        raise ValueError(
            f"a mask or weights of shape {tuple(mask.shape)} are given for positions {tuple(shape)}; give one a position."
        )
    return mask


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
