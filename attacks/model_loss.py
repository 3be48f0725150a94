"""One output's loss, as a number a record: no reduction, weights, smoothing or regularisers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import keras
import tensorflow as tf

from .graph_loop import stacked
from .position_means import mean_over_positions
from .said import said

_FAMILIES = {
    "categorical_crossentropy": "categorical",
    "sparse_categorical_crossentropy": "categorical",
    "categorical_focal_crossentropy": "categorical",
    "binary_crossentropy": "binary",
    "binary_focal_crossentropy": "binary",
}
_CLASS_NAMES = {
    "CategoricalCrossentropy": "categorical_crossentropy",
    "SparseCategoricalCrossentropy": "sparse_categorical_crossentropy",
    "CategoricalFocalCrossentropy": "categorical_focal_crossentropy",
    "BinaryCrossentropy": "binary_crossentropy",
    "BinaryFocalCrossentropy": "binary_focal_crossentropy",
}


@dataclass(frozen=True)
class ModelLoss:
    """What the audit needs to know of a loss.

    Attributes:
      name: the loss's name, for messages.
      family: "categorical" or "binary" for Keras' cross-entropies, else "other".
      plain: True for a cross-entropy without focal weights.
      keras_own: True if the loss is one of Keras', not the user's.
      sparse: True if labels must be class numbers, False if one-hot, None if the loss does not say.
      from_logits: True if a cross-entropy reads logits.
      ignore_class: the class number of positions that training leaves out, or None.
      values: (y, outputs) -> what the loss gives, as Keras computes it: [n, ...] or, where it reduces over the batch by
        itself, a scalar or something else.
      reduces: True if it reduces over the batch by itself, so that it must be asked about one record at a time.
    """

    name: str
    family: str
    plain: bool
    keras_own: bool
    sparse: bool | None
    from_logits: bool
    ignore_class: int | None
    values: Callable[[Any, Any], Any]
    reduces: bool = False

    def per_record(self, y: Any, outputs: Any, valid: Any = None) -> Any:
        """float64[n], lower = better: the mean of what the loss gives over a record's positions, or over the valid ones.

        Args:
          y: labels [n, ...].
          outputs: [n, ...].
          valid: bool[n, ...], the positions that count; None = all.
        Raises:
          ValueError: if the loss gives no number a position where only some of the positions count.
        """
        y = tf.cast(y, outputs.dtype)  # as Keras does before any loss
        values = None if self.reduces else tf.convert_to_tensor(self.values(y, outputs))
        if values is None or _is_no_batch(values, outputs):

            def of_one(index: Any) -> Any:
                one = slice(index, index + 1)
                return tf.reduce_mean(tf.cast(self.values(y[one], outputs[one]), tf.float64))

            values = stacked(of_one, tf.shape(outputs)[0], ())
        if values.shape.rank is None:
            raise ValueError(f"loss {self.name!r} gives values of unknown shape; an audit needs one number a record.")
        own = getattr(values, "_keras_mask", None)  # a loss may leave out positions by itself
        if own is not None and own.shape.rank == (valid.shape.rank if valid is not None else values.shape.rank):
            valid = tf.cast(own, tf.bool) if valid is None else valid & tf.cast(own, tf.bool)
        if valid is not None and values.shape.rank < valid.shape.rank:
            raise ValueError(
                f"loss {self.name!r} gives values of shape {values.shape} where positions of {valid.shape} are masked, so "
                "padding cannot be left out; give the audit a loss that has one value a position with loss=."
            )
        return mean_over_positions(tf.cast(values, tf.float64), valid)

    def looked_at(self, y: Any, outputs: Any) -> ModelLoss:
        """The same, knowing whether it reduces over the batch: told from symbolic outputs of an open number of records."""
        try:
            labels = tf.cast(tf.convert_to_tensor(y[:1]), outputs.dtype)
            labels = tf.repeat(labels, tf.shape(outputs)[0], axis=0)
            values = tf.convert_to_tensor(self.values(labels, outputs))
        except Exception:  # it will be said when it is tried
            return self
        rank = values.shape.rank
        return replace(self, reduces=rank == 0 or (rank is not None and values.shape[0] is not None))

    def of_batch(self, y: Any, outputs: Any) -> float:
        """What the loss gives for all records at once: the mean, if it is more than one number."""
        return float(tf.reduce_mean(tf.cast(self.values(tf.cast(y, outputs.dtype), outputs), tf.float64)))


def _is_no_batch(values: Any, outputs: Any) -> bool:
    return values.shape.rank == 0 or (values.shape.rank is not None and values.shape[0] != outputs.shape[0])


def read_loss(loss: Any, label_shape: tuple[int, ...], output_shape: tuple[int | None, ...]) -> ModelLoss:
    """Reads what `compile` takes as the loss of one output.

    Args:
      loss: a name, a function, or a `keras.losses.Loss`.
      label_shape, output_shape: of all labels and outputs, first axis included; they decide what "crossentropy" means.
    Raises:
      ValueError: if it has no per-record meaning that this package knows.
    """
    if isinstance(loss, str) and loss.lower() in ("crossentropy", "ce"):
        # The rule by which Keras chooses.
        if output_shape[-1] == 1:
            loss = "binary_crossentropy"
        else:
            is_sparse = len(label_shape) < len(output_shape) or label_shape[-1] == 1
            loss = "sparse_categorical_crossentropy" if is_sparse else "categorical_crossentropy"
    try:
        resolved = keras.losses.get(loss)
    except (TypeError, ValueError) as reason:
        raise ValueError(
            f"the loss {loss!r} is not known to Keras: {said(reason)}; give what compile(loss=) takes."
        ) from None
    if isinstance(resolved, keras.losses.Loss):
        return _read_object(resolved)
    return _read_function(resolved)


def _read_object(loss: keras.losses.Loss) -> ModelLoss:
    if type(loss).call is keras.losses.Loss.call:
        raise ValueError(
            f"loss {type(loss).__name__} overrides __call__ and not call, which gives the loss of each record."
        )
    if isinstance(loss, keras.losses.Circle):
        raise ValueError(
            "loss Circle compares the records of a batch with each other, so it has no value for one record; give the audit "
            "another with loss=."
        )
    config = _config(loss)
    # A user's subclass may compute something else under the same name.
    keras_own = getattr(keras.losses, type(loss).__name__, None) is type(loss)
    function = _CLASS_NAMES.get(type(loss).__name__, "") if keras_own else ""
    if keras_own and config.get("label_smoothing"):
        loss = type(loss).from_config({**config, "label_smoothing": 0.0})
    # `call` is the loss before masks, weights and reduction.
    # Keras' own bring both to one rank themselves; a user's would broadcast (n,) against (n, 1) over other records.
    call = loss.call if keras_own else lambda y, outputs: loss.call(*_of_one_rank(y, outputs))
    return _model_loss(loss.name, function, keras_own, config, call)


def _read_function(function: Callable[..., Any]) -> ModelLoss:
    arguments: dict[str, Any] = {}
    inner = function
    while isinstance(inner, functools.partial):
        arguments, inner = {**inner.keywords, **arguments}, inner.func
    name = getattr(inner, "__name__", type(inner).__name__)
    keras_own = getattr(keras.losses, name, None) is inner
    if keras_own and arguments.get("label_smoothing"):
        function = functools.partial(function, label_smoothing=0.0)
    return _model_loss(
        name, name if keras_own else "", keras_own, arguments, lambda y, outputs: function(*_of_one_rank(y, outputs))
    )


def _model_loss(
    name: str, function: str, keras_own: bool, arguments: dict[str, Any], call: Callable[[Any, Any], Any]
) -> ModelLoss:
    family = _FAMILIES.get(function, "other")
    if family != "other" and arguments.get("axis", -1) not in (-1, 1):
        raise ValueError(f"a loss over axis {arguments['axis']} is not supported; put the classes on the last axis.")
    sparse = function.startswith("sparse") if family == "categorical" else None
    plain = family != "other" and "focal" not in function
    ignored = arguments.get("ignore_class")
    return ModelLoss(name, family, plain, keras_own, sparse, bool(arguments.get("from_logits")), ignored, call)


def _of_one_rank(y: Any, outputs: Any) -> tuple[Any, Any]:
    """Labels and outputs as Keras brings them to one rank before a function of the user's: (n,) against (n, 1), and so on."""
    ours, theirs = y.shape.rank, outputs.shape.rank
    if ours is None or theirs is None or abs(ours - theirs) != 1:
        return y, outputs
    if ours > theirs and y.shape[-1] == 1:
        return (y, outputs[..., None]) if theirs == 1 else (tf.squeeze(y, -1), outputs)
    if theirs > ours and outputs.shape[-1] == 1:
        return (y[..., None], outputs) if ours == 1 else (y, tf.squeeze(outputs, -1))
    return y, outputs


def _config(loss: keras.losses.Loss) -> dict[str, Any]:
    try:
        return loss.get_config()
    except NotImplementedError:
        return {}
