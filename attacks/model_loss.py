"""The loss a model was compiled with, as a number a record: no reduction, weights, smoothing or regularisers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from .graph_loop import stacked

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
      per_record: (y, outputs) -> float[n], lower = better, as Keras computes it.
    """

    name: str
    family: str
    plain: bool
    keras_own: bool
    sparse: bool | None
    from_logits: bool
    per_record: Callable[[Any, Any], Any]


def loss_of(model: Any, loss: Any, label_shape: tuple[int, ...], output_shape: tuple[int | None, ...]) -> ModelLoss:
    """Reads the loss from what `compile` was given, or from `loss` where that is given instead.

    Args:
      model: a Keras model.
      loss: anything that `compile(loss=)` takes for one output; None = the model's own.
      label_shape, output_shape: of all labels and outputs, first axis included; they decide what "crossentropy" means.
    Raises:
      ValueError: if there is none, or it has no per-record meaning that this package knows.
    """
    if loss is None:
        if not getattr(model, "compiled", False) or model.loss is None:
            raise ValueError("the model is not compiled with a loss; compile it, or give the audit one with loss=.")
        if type(model).compute_loss is not keras.Model.compute_loss:
            raise ValueError(
                f"{type(model).__name__} overrides compute_loss, whose value an audit cannot take apart by record; "
                "give the audit the loss to use with loss=."
            )
        loss = model.loss
    return _read(_single(loss), label_shape, output_shape)


def _single(loss: Any) -> Any:
    if isinstance(loss, dict) and "class_name" not in loss:
        loss = list(loss.values())
    if isinstance(loss, (list, tuple)):
        if len(loss) != 1:
            raise ValueError(
                f"the model has {len(loss)} losses; an audit reads one output, so give it one loss with loss=."
            )
        return loss[0]
    return loss


def _read(loss: Any, label_shape: tuple[int, ...], output_shape: tuple[int | None, ...]) -> ModelLoss:
    if isinstance(loss, str) and loss.lower() in ("crossentropy", "ce"):
        # The rule by which Keras chooses.
        if output_shape[-1] == 1:
            loss = "binary_crossentropy"
        else:
            is_sparse = len(label_shape) < len(output_shape) or label_shape[-1] == 1
            loss = "sparse_categorical_crossentropy" if is_sparse else "categorical_crossentropy"
    resolved = keras.losses.get(loss)
    if isinstance(resolved, keras.losses.Loss):
        return _read_object(resolved)
    return _read_function(resolved)


def _read_object(loss: keras.losses.Loss) -> ModelLoss:
    if type(loss).call is keras.losses.Loss.call:
        raise ValueError(
            f"loss {type(loss).__name__} overrides __call__ and not call, which gives the loss of each record."
        )
    config = _config(loss)
    # A user's subclass may compute something else under the same name.
    keras_own = getattr(keras.losses, type(loss).__name__, None) is type(loss)
    function = _CLASS_NAMES.get(type(loss).__name__, "") if keras_own else ""
    if keras_own and config.get("label_smoothing"):
        loss = type(loss).from_config({**config, "label_smoothing": 0.0})
    # `call` is the loss before masks, weights and reduction.
    return _model_loss(loss.name, function, keras_own, config, loss.call)


def _read_function(function: Callable[..., Any]) -> ModelLoss:
    arguments: dict[str, Any] = {}
    inner = function
    while isinstance(inner, functools.partial):
        arguments, inner = {**inner.keywords, **arguments}, inner.func
    name = getattr(inner, "__name__", type(inner).__name__)
    keras_own = getattr(keras.losses, name, None) is inner
    if keras_own and arguments.get("label_smoothing"):
        function = functools.partial(function, label_smoothing=0.0)
    return _model_loss(name, name if keras_own else "", keras_own, arguments, lambda y, outputs: function(y, outputs))


def _model_loss(
    name: str, function: str, keras_own: bool, arguments: dict[str, Any], call: Callable[[Any, Any], Any]
) -> ModelLoss:
    family = _FAMILIES.get(function, "other")
    if family != "other" and arguments.get("axis", -1) not in (-1, 1):
        raise ValueError(f"a loss over axis {arguments['axis']} is not supported; put the classes on the last axis.")
    if arguments.get("ignore_class") is not None:
        raise ValueError(
            "a loss with ignore_class leaves records out of training; give the audit only the others, and loss=."
        )
    sparse = function.startswith("sparse") if family == "categorical" else None
    plain = family != "other" and "focal" not in function
    per_record = functools.partial(_per_record, call, name)
    return ModelLoss(name, family, plain, keras_own, sparse, bool(arguments.get("from_logits")), per_record)


def _per_record(call: Callable[[Any, Any], Any], name: str, y: Any, outputs: Any) -> Any:
    """float64[n], the mean over trailing axes of what the loss gives for each record."""
    y = tf.cast(y, outputs.dtype)  # as Keras does before any loss
    if y.shape.rank is not None and y.shape.rank + 1 == outputs.shape.rank and outputs.shape[-1] == 1:
        y = tf.expand_dims(y, -1)  # (n,) against (n, 1) would broadcast to (n, n)
    values = tf.convert_to_tensor(call(y, outputs))
    if values.shape.rank == 0 or values.shape[0] != outputs.shape[0]:
        # The loss reduces over the batch by itself: ask it about one record at a time.
        def of_one(index: Any) -> Any:
            one = slice(index, index + 1)
            return tf.reduce_mean(tf.cast(call(y[one], outputs[one]), tf.float64))

        values = stacked(of_one, tf.shape(outputs)[0], ())
    if values.shape.rank is None:
        raise ValueError(f"loss {name!r} gives values of unknown shape; an audit needs one number a record.")
    values = tf.cast(values, tf.float64)
    return tf.reduce_mean(tf.reshape(values, [tf.shape(values)[0], -1]), axis=1)


def _config(loss: keras.losses.Loss) -> dict[str, Any]:
    try:
        return loss.get_config()
    except NotImplementedError:
        return {}
